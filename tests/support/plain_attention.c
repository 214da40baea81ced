#include "tests/support/plain_attention.h"

#include <math.h>
#include <stddef.h>

void plain_attention_row(const struct plain_attention *a, int head, int row, double *p, double *out)
{
	size_t n = (size_t)a->n, d = (size_t)a->d, g = (size_t)(head / (a->n_head / a->n_kv_head));
	const float *q = a->q + ((size_t)head * n + (size_t)row) * d, *k = a->k + g * n * d, *v = a->v + g * n * d;
	double most = -INFINITY, sum = 0;
	for (int j = 0; j < a->n; j++) {
		p[j] = 0;
		for (int c = 0; j <= row && c < a->d; c++)
			p[j] += (double)q[c] * k[j * a->d + c] / sqrt(a->d);
		if (j <= row && p[j] > most)
			most = p[j];
	}
	for (int j = 0; j < a->n; j++)
		sum += p[j] = j <= row ? exp(p[j] - most) : 0;
	for (int c = 0; out && c < a->d; c++)
		out[c] = 0;
	for (int j = 0; j < a->n; j++) {
		p[j] /= sum;
		for (int c = 0; out && c < a->d; c++)
			out[c] += p[j] * v[j * a->d + c];
	}
}
