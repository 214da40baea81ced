/* Kernels that are compiled once per instruction set; simd_choose() gives the best table this machine runs.
 *
 * All are pure over their arguments and work for any length; sources of stored weights may be unaligned.
 */
#ifndef KVGLASS_ENGINE_CPU_SIMD_SIMD_H
#define KVGLASS_ENGINE_CPU_SIMD_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/file/tensor_type.h"

enum { KEY_TILE = 256 }; /* keys a tile of the cache holds, side by side: (head_dim, KEY_TILE) */

struct weight_rows { /* consecutive rows of a stored matrix */
	const uint8_t *data;
	size_t row_bytes;
	int n_row, n_in;
};

struct tile_rows { /* m rows of n floats, ld floats apart */
	const float *data;
	int m, n, ld;
};

struct simd_unpack {
	/* Elements [0, n) of a stored row; n a multiple of the type's block. The same bits as tensor_unpack(). */
	void (*unpack[N_TENSOR_TYPE])(const uint8_t *src, int n, float *dst);
	void (*round_bf16)(const float *src, int n, uint16_t *dst); /* as f32_to_bf16(), denormals may be 0 */
	void (*transpose)(const struct tile_rows *src, float *dst, int ld_dst); /* dst (n, ld_dst): dst[j][i] = src[i][j] */
};

struct simd_dot {
	void (*dot[N_TENSOR_TYPE])(const struct weight_rows *w, const float *x, float *out); /* out[i] = row i . x */
};

struct simd_rows {
	void (*rmsnorm)(const float *x, const float *gain, float eps, int n, float *out); /* x / sqrt(mean(x^2) + eps) * gain */
	void (*swiglu)(float *gate, const float *up, int n);                              /* gate = gate / (1 + exp(-gate)) * up */
	void (*axpy)(float *y, float a, const float *x, int n);                           /* y += a x */
	void (*scale)(float *y, float a, int n);                                          /* y *= a */
	float (*scale_sum)(float *y, float a, int n);                                     /* the same; returns the sum of the results */
	float (*sum_squares)(const float *x, int n);
	float (*sum_abs)(const float *x, int n);
	float (*largest)(const float *x, int n); /* -INFINITY for n = 0; a NaN may or may not be returned */
	/* s[j] = exp(s[j] - shift) for j < visible, 0 for visible <= j < n; returns their sum. s[j] <= shift. */
	float (*exp_row)(float *s, float shift, int visible, int n);
	float (*exp2_row)(float *s, float shift, int visible, int n); /* the same with 2^(s[j] - shift) */
	float (*exp2_row_bf16)(const float *s, float shift, int visible, int n, uint16_t *out); /* and rounded on the way out */
	/* Rotates a head's pairs, (i, d/2 + i) or (2i, 2i + 1): every element times its cosine plus its partner times its sine, which
	 * is negative for the first of a pair; both (d). */
	void (*rope_halves)(float *x, const float *cosine, const float *sine, int d);
	void (*rope_adjacent)(float *x, const float *cosine, const float *sine, int d);
	/* out (m, n_key) = q (m, head_dim) keys, for few rows against one tile of keys; ld_out >= KEY_TILE, columns behind n_key may
	 * be overwritten. */
	void (*scores_few)(const struct tile_rows *q, const float *keys, int n_key, float *out, int ld_out);
	/* out (m, head_dim) = p (m, n_key) values (n_key, head_dim) */
	void (*values_few)(const struct tile_rows *p, const float *values, int head_dim, float *out);
};

struct simd_kernels {
	const char *name;
	bool bf16_products; /* the processor multiplies bfloat16 matrices faster than float32 ones */
	const struct simd_unpack *unpack;
	const struct simd_dot *dot;
	const struct simd_rows *rows;
};

/* Every set that this machine can run, best first, NULL at the end (tests run them all). */
const struct simd_kernels *const *simd_available(void);

extern const struct simd_unpack simd_unpack_avx512_bf16, simd_unpack_avx512, simd_unpack_avx2, simd_unpack_baseline;
extern const struct simd_dot simd_dot_avx512_bf16, simd_dot_avx512, simd_dot_avx2, simd_dot_baseline;
extern const struct simd_rows simd_rows_avx512_bf16, simd_rows_avx512, simd_rows_avx2, simd_rows_baseline;

#endif
