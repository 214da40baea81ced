/* Inner products and singular values of B A by way of r x r matrices. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lookahead/parts.h"
#include "engine/lookahead_weights.h"

enum { MAX_SWEEPS = 60 };

/* out (rx, ry) = X Y^T of rows of n */
static void cross_rows(const float *x, int rx, const float *y, int ry, int n, double *out)
{
	for (int i = 0; i < rx; i++)
		for (int j = 0; j < ry; j++) {
			double sum = 0;
			for (int k = 0; k < n; k++)
				sum += (double)x[(size_t)i * (size_t)n + (size_t)k] * (double)y[(size_t)j * (size_t)n + (size_t)k];
			out[i * ry + j] = sum;
		}
}

/* out (rx, ry) = X^T Y of columns of n */
static void cross_columns(const float *x, int rx, const float *y, int ry, int n, double *out)
{
	memset(out, 0, (size_t)rx * (size_t)ry * sizeof *out);
	for (int k = 0; k < n; k++)
		for (int i = 0; i < rx; i++)
			for (int j = 0; j < ry; j++)
				out[i * ry + j] += (double)x[(size_t)k * (size_t)rx + (size_t)i] * (double)y[(size_t)k * (size_t)ry + (size_t)j];
}

double lora_inner(const struct lora *x, const struct lora *y)
{
	size_t n = (size_t)x->r * (size_t)y->r;
	double *a = malloc(2 * n * sizeof *a), sum = 0;
	if (!a)
		return NAN;
	cross_rows(x->a, x->r, y->a, y->r, x->n_in, a);
	cross_columns(x->b, x->r, y->b, y->r, x->n_out, a + n);
	for (size_t i = 0; i < n; i++)
		sum += a[i] * a[n + i];
	free(a);
	return sum;
}

/* ---- eigenvalues of a symmetric matrix: cyclic Jacobi ---------------------------------------------------------- */

/* Rotates rows (or, with a stride of r, columns) p and q. */
static void rotate(double *p, double *q, int n, int stride, double c, double s)
{
	for (int i = 0; i < n; i++, p += stride, q += stride) {
		double x = *p, y = *q;
		*p = c * x - s * y;
		*q = s * x + c * y;
	}
}

static double off_diagonal(const double *m, int r)
{
	double sum = 0;
	for (int i = 0; i < r; i++)
		for (int j = 0; j < i; j++)
			sum += m[i * r + j] * m[i * r + j];
	return sum;
}

/* m (r, r) becomes diagonal; vectors (r, r), or NULL, receives eigenvectors as rows. */
static void diagonalise(double *m, int r, double *vectors)
{
	double size = off_diagonal(m, r);
	for (int i = 0; i < r; i++) {
		size += m[i * r + i] * m[i * r + i];
		for (int j = 0; vectors && j < r; j++)
			vectors[i * r + j] = i == j;
	}
	for (int sweep = 0; sweep < MAX_SWEEPS && off_diagonal(m, r) > 1e-30 * size; sweep++)
		for (int p = 0; p < r; p++)
			for (int q = p + 1; q < r; q++) {
				double apq = m[p * r + q], theta = (m[q * r + q] - m[p * r + p]) / (2 * apq);
				if (!(apq < 0 || apq > 0))
					continue;
				double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
				rotate(m + p * r, m + q * r, r, 1, c, s);
				rotate(m + p, m + q, r, r, c, s);
				if (vectors)
					rotate(vectors + p * r, vectors + q * r, r, 1, c, s);
			}
}

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x < y) - (x > y);
}

/* ---- singular values ------------------------------------------------------------------------------------------ */

/* out = S^T G S where the rows of s are sqrt(eigenvalue) * eigenvector of A A^T */
static void sandwich(const double *s, const double *g, int r, double *room, double *out)
{
	for (int i = 0; i < r; i++)
		for (int j = 0; j < r; j++) {
			double sum = 0;
			for (int k = 0; k < r; k++)
				sum += s[i * r + k] * g[k * r + j];
			room[i * r + j] = sum;
		}
	for (int i = 0; i < r; i++)
		for (int j = 0; j < r; j++) {
			double sum = 0;
			for (int k = 0; k < r; k++)
				sum += room[i * r + k] * s[j * r + k];
			out[i * r + j] = sum;
		}
}

static double root(double x)
{
	return x > 0 ? sqrt(x) : x <= 0 ? 0 : NAN; /* of a positive matrix: below zero is rounding */
}

int lora_spectrum(const struct lora *l, double *out, struct err *e)
{
	int r = l->r;
	size_t n = (size_t)r * (size_t)r;
	if (r > LORA_MAX_SPECTRUM)
		return err_set(e, ERR_LIMIT, "singular values of rank %d: up to %d are computed", r, LORA_MAX_SPECTRUM);
	double *gram_a = malloc(4 * n * sizeof *gram_a);
	if (!gram_a)
		return err_set(e, ERR_MEMORY, "out of memory for singular values of rank %d", r);
	double *gram_b = gram_a + n, *vectors = gram_b + n, *room = vectors + n;
	cross_rows(l->a, r, l->a, r, l->n_in, gram_a);
	cross_columns(l->b, r, l->b, r, l->n_out, gram_b);
	diagonalise(gram_a, r, vectors);
	for (int i = 0; i < r; i++)
		for (int j = 0; j < r; j++)
			vectors[i * r + j] *= root(gram_a[i * r + i]);
	sandwich(vectors, gram_b, r, room, gram_a);
	diagonalise(gram_a, r, NULL);
	bool finite = true;
	for (int i = 0; i < r; i++) {
		out[i] = root(gram_a[i * r + i]);
		finite &= isfinite(out[i]);
	}
	for (int i = 0; i < r && !finite; i++)
		out[i] = NAN;
	qsort(out, (size_t)r, sizeof *out, descending);
	free(gram_a);
	return 0;
}
