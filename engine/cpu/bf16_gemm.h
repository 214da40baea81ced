/* Single-threaded products of bfloat16 matrices with float32 sums: the machine's matrix units (AMX, AVX512-BF16) through oneDNN.
 *
 * oneDNN compiles a product for its shape, so shapes are kept: a cache belongs to one thread and grows with the shapes it meets.
 * Everything is row-major. Worth while where simd_kernels.bf16_products says so.
 */
#ifndef KVGLASS_ENGINE_CPU_BF16_GEMM_H
#define KVGLASS_ENGINE_CPU_BF16_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"

struct bf16_gemm {
	int m, n, k;
	const uint16_t *a; /* (m, k) */
	const uint16_t *b; /* (k, n); (n, k) when b_transposed */
	float *c;          /* (m, n) */
	int lda, ldb, ldc;
	bool b_transposed;
	bool add; /* onto c instead of replacing it */
};

struct bf16_gemm_cache;
int bf16_gemm_cache_open(struct bf16_gemm_cache **out, struct err *e);
void bf16_gemm_cache_close(struct bf16_gemm_cache *c); /* NULL is allowed */
/* 0 or ERR_MEMORY. The caller has set OpenMP to one thread. */
int bf16_gemm_run(struct bf16_gemm_cache *c, const struct bf16_gemm *g);

#endif
