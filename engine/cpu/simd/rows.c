/* Row kernels: normalisation, activation, sums, softmax pieces and one-row attention. */
#include <math.h>

#include "engine/cpu/simd/simd.h"
#include "engine/cpu/simd/vec.h"

static float sum_squares(const float *x, int n)
{
	vf acc[2] = {0};
	int i = 0;
	for (; i + 2 * VW <= n; i += 2 * VW) {
		vf a = vf_load(x + i), b = vf_load(x + i + VW);
		acc[0] = vf_fma(a, a, acc[0]);
		acc[1] = vf_fma(b, b, acc[1]);
	}
	float total = vf_sum(acc[0] + acc[1]);
	for (; i < n; i++)
		total += x[i] * x[i];
	return total;
}

static float sum_abs(const float *x, int n)
{
	vf acc = {0};
	int i = 0;
	for (; i + VW <= n; i += VW)
		acc += (vf)((vi)vf_load(x + i) & 0x7fffffff);
	float total = vf_sum(acc);
	for (; i < n; i++)
		total += fabsf(x[i]);
	return total;
}

static float largest(const float *x, int n)
{
	int i = 0;
	float most = -INFINITY;
	if (n >= VW) {
		vf acc = vf_load(x);
		for (i = VW; i + VW <= n; i += VW)
			acc = vf_max(acc, vf_load(x + i));
		most = vf_largest(acc);
	}
	for (; i < n; i++)
		most = most > x[i] ? most : x[i];
	return most;
}

static void rmsnorm(const float *x, const float *gain, float eps, int n, float *out)
{
	float factor = 1.0f / sqrtf(sum_squares(x, n) / (float)n + eps);
	int i = 0;
	for (; i + VW <= n; i += VW)
		vf_store(out + i, vf_load(x + i) * factor * vf_load(gain + i));
	for (; i < n; i++)
		out[i] = x[i] * factor * gain[i];
}

static inline vf swiglu_vector(vf gate, vf up)
{
	vf minus = vf_max(vf_set(-87.0f), -gate), clamped = -vf_max(vf_set(-87.0f), -minus); /* exp stays finite; NaN passes */
	return gate / (vf_exp(clamped) + 1.0f) * up;
}

static void swiglu(float *gate, const float *up, int n)
{
	int i = 0;
	for (; i + VW <= n; i += VW)
		vf_store(gate + i, swiglu_vector(vf_load(gate + i), vf_load(up + i)));
	if (i < n) {
		float g[VW] = {0}, u[VW] = {0};
		memcpy(g, gate + i, (size_t)(n - i) * sizeof *g);
		memcpy(u, up + i, (size_t)(n - i) * sizeof *u);
		vf_store(g, swiglu_vector(vf_load(g), vf_load(u)));
		memcpy(gate + i, g, (size_t)(n - i) * sizeof *g);
	}
}

static void rope_halves(float *x, const float *cosine, const float *sine, int d)
{
	int half = d / 2, i = 0;
	for (; i + VW <= half; i += VW) {
		vf a = vf_load(x + i), b = vf_load(x + half + i);
		vf_store(x + i, a * vf_load(cosine + i) + b * vf_load(sine + i));
		vf_store(x + half + i, b * vf_load(cosine + half + i) + a * vf_load(sine + half + i));
	}
	for (; i < half; i++) {
		float a = x[i], b = x[half + i];
		x[i] = a * cosine[i] + b * sine[i];
		x[half + i] = b * cosine[half + i] + a * sine[half + i];
	}
}

static void rope_adjacent(float *x, const float *cosine, const float *sine, int d)
{
	int i = 0;
	for (; i + VW <= d; i += VW) {
		vf v = vf_load(x + i);
		vf_store(x + i, v * vf_load(cosine + i) + vf_swap_pairs(v) * vf_load(sine + i));
	}
	for (; i < d; i += 2) {
		float a = x[i], b = x[i + 1];
		x[i] = a * cosine[i] + b * sine[i];
		x[i + 1] = b * cosine[i + 1] + a * sine[i + 1];
	}
}

static void axpy(float *y, float a, const float *x, int n)
{
	vf factor = vf_set(a);
	int i = 0;
	for (; i + VW <= n; i += VW)
		vf_store(y + i, vf_fma(factor, vf_load(x + i), vf_load(y + i)));
	for (; i < n; i++)
		y[i] += a * x[i];
}

static void scale(float *y, float a, int n)
{
	int i = 0;
	for (; i + VW <= n; i += VW)
		vf_store(y + i, vf_load(y + i) * a);
	for (; i < n; i++)
		y[i] *= a;
}

static float scale_sum(float *y, float a, int n)
{
	vf acc[2] = {0};
	int i = 0;
	for (; i + 2 * VW <= n; i += 2 * VW)
		for (int k = 0; k < 2; k++) {
			vf x = vf_load(y + i + k * VW) * a;
			vf_store(y + i + k * VW, x);
			acc[k] += x;
		}
	float total = vf_sum(acc[0] + acc[1]);
	for (; i < n; i++)
		total += y[i] *= a;
	return total;
}

/* The last n numbers of a row, fewer than a vector: -infinity fills the rest, so that their exponentials are 0. */
static inline vf load_tail(const float *s, int n)
{
	float last[VW];
	for (int i = 0; i < VW; i++)
		last[i] = i < n ? s[i] : -INFINITY;
	return vf_load(last);
}

static inline __attribute__((always_inline)) float power_row(float *s, float shift, int visible, int n, vf power(vf))
{
	vf total = {0};
	int j = 0;
	for (; j + VW <= visible; j += VW) {
		vf p = power(vf_load(s + j) - shift);
		vf_store(s + j, p);
		total += p;
	}
	if (j < visible) {
		vf p = power(load_tail(s + j, visible - j) - shift);
		total += p;
		memcpy(s + j, &p, (size_t)(visible - j) * sizeof *s);
	}
	if (visible < n)
		memset(s + visible, 0, (size_t)(n - visible) * sizeof *s);
	return vf_sum(total);
}

static float exp_row(float *s, float shift, int visible, int n)
{
	return power_row(s, shift, visible, n, vf_exp);
}

static float exp2_row(float *s, float shift, int visible, int n)
{
	return power_row(s, shift, visible, n, vf_exp2);
}

static float exp2_row_bf16(const float *s, float shift, int visible, int n, uint16_t *out)
{
	vf total = {0};
	int j = 0;
	for (; j + VW <= visible; j += VW) {
		vf p = vf_exp2(vf_load(s + j) - shift);
		vf_store_bf16(out + j, p);
		total += p;
	}
	if (j < visible) {
		uint16_t last[VW];
		vf p = vf_exp2(load_tail(s + j, visible - j) - shift);
		total += p;
		vf_store_bf16(last, p);
		memcpy(out + j, last, (size_t)(visible - j) * sizeof *out);
	}
	if (visible < n)
		memset(out + visible, 0, (size_t)(n - visible) * sizeof *out);
	return vf_sum(total);
}

/* ---- products of few rows -------------------------------------------------------------------------------------- */

enum { WIDE = 4 }; /* vectors of columns kept in registers per row, for up to four rows at a time */

/* out[r][0 .. ahead * VW) = sum over i < n of left[r][i] * right[i * ld ...], for up to four rows r. */
struct strip {
	const float *left[4];
	const float *right;
	int ld, n;
	float *out[4];
};

static inline __attribute__((always_inline)) void run_strip(const struct strip *s, int n_row, int ahead)
{
	vf acc[4][WIDE] = {0};
	for (int i = 0; i < s->n; i++) {
		const float *right = s->right + (size_t)i * (size_t)s->ld;
		vf column[WIDE];
		for (int c = 0; c < ahead; c++)
			column[c] = vf_load(right + c * VW);
		for (int r = 0; r < n_row; r++) {
			vf factor = vf_set(s->left[r][i]);
			for (int c = 0; c < ahead; c++)
				acc[r][c] = vf_fma(factor, column[c], acc[r][c]);
		}
	}
	for (int r = 0; r < n_row; r++)
		for (int c = 0; c < ahead; c++)
			vf_store(s->out[r] + c * VW, acc[r][c]);
}

/* The loops above with their counts known to the compiler, so that the accumulators are registers. */
static void strip_rows(const struct strip *s, int n_row, int ahead)
{
	switch (n_row * 8 + ahead) {
	case 8 + WIDE: run_strip(s, 1, WIDE); break;
	case 16 + WIDE: run_strip(s, 2, WIDE); break;
	case 24 + WIDE: run_strip(s, 3, WIDE); break;
	case 32 + WIDE: run_strip(s, 4, WIDE); break;
	default: run_strip(s, n_row, 1); break;
	}
}

/* out (m, width) = left (m, n) right (n, width). */
static void product_few(const struct tile_rows *left, const float *right, int ld_right, int width, float *out, int ld_out)
{
	for (int row = 0; row < left->m; row += 4) {
		int n_row = left->m - row < 4 ? left->m - row : 4, at = 0;
		struct strip s = {.ld = ld_right, .n = left->n};
		for (int r = 0; r < n_row; r++)
			s.left[r] = left->data + (size_t)(row + r) * (size_t)left->ld;
		while (at + VW <= width) {
			int ahead = at + WIDE * VW <= width ? WIDE : 1;
			s.right = right + at;
			for (int r = 0; r < n_row; r++)
				s.out[r] = out + (size_t)(row + r) * (size_t)ld_out + at;
			strip_rows(&s, n_row, ahead);
			at += ahead * VW;
		}
		for (int r = 0; r < n_row; r++)
			for (int c = at; c < width; c++) {
				float total = 0;
				for (int i = 0; i < left->n; i++)
					total += s.left[r][i] * right[(size_t)i * (size_t)ld_right + (size_t)c];
				out[(size_t)(row + r) * (size_t)ld_out + (size_t)c] = total;
			}
	}
}

static void scores_few(const struct tile_rows *q, const float *keys, int n_key, float *out, int ld_out)
{
	int strip = WIDE * VW; /* whole strips: the tile and the row of out have KEY_TILE columns */
	product_few(q, keys, KEY_TILE, (n_key + strip - 1) / strip * strip, out, ld_out);
}

static void values_few(const struct tile_rows *p, const float *values, int head_dim, float *out)
{
	product_few(p, values, head_dim, head_dim, out, head_dim);
}

const struct simd_rows SIMD_FN(simd_rows) = {
	.rmsnorm = rmsnorm,
	.swiglu = swiglu,
	.axpy = axpy,
	.scale = scale,
	.scale_sum = scale_sum,
	.sum_squares = sum_squares,
	.sum_abs = sum_abs,
	.largest = largest,
	.rope_halves = rope_halves,
	.rope_adjacent = rope_adjacent,
	.exp_row = exp_row,
	.exp2_row = exp2_row,
	.exp2_row_bf16 = exp2_row_bf16,
	.scores_few = scores_few,
	.values_few = values_few,
};
