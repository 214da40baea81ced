/* Single-threaded float32 matrix products (oneDNN). Everything is row-major. */
#ifndef KVGLASS_ENGINE_CPU_GEMM_H
#define KVGLASS_ENGINE_CPU_GEMM_H

#include "engine/err.h"

struct gemm {
	int m, n, k;
	const float *a; /* (m, k); (k, m) when a_transposed */
	const float *b; /* (k, n); (n, k) when b_transposed */
	float *c;       /* (m, n) */
	int lda, ldb, ldc;
	int a_transposed, b_transposed;
	int add; /* onto c instead of replacing it */
};

/* Adds what it cost to nothing and fails only for want of memory (ERR_MEMORY). The result of an element depends on the
 * shape alone. The caller has set OpenMP to one thread. */
int gemm_run(const struct gemm *g);
/* "oneDNN 2.6.0" */
void gemm_version(char *out, int n_bytes);

#endif
