/* Products of bfloat16 matrices on a processor without units for them: in place of engine/cpu/bf16_gemm.c, whose library refuses there. */
#include "engine/cpu/bf16_gemm.h"

#include <stddef.h>
#include <stdlib.h>

#include "engine/file/tensor_type.h"

struct bf16_gemm_cache {
	char unused;
};

int bf16_gemm_cache_open(struct bf16_gemm_cache **out, struct err *e)
{
	*out = calloc(1, sizeof **out);
	return *out ? 0 : err_set(e, ERR_MEMORY, "no memory for a cache of products");
}

void bf16_gemm_cache_close(struct bf16_gemm_cache *c)
{
	free(c);
}

int bf16_gemm_run(struct bf16_gemm_cache *c, const struct bf16_gemm *g)
{
	(void)c;
	size_t to_next_k = g->b_transposed ? 1 : (size_t)g->ldb, to_next_n = g->b_transposed ? (size_t)g->ldb : 1;
	for (int i = 0; i < g->m; i++) {
		const uint16_t *a = g->a + (size_t)i * (size_t)g->lda;
		float *out = g->c + (size_t)i * (size_t)g->ldc;
		for (int j = 0; j < g->n; j++) {
			const uint16_t *b = g->b + (size_t)j * to_next_n;
			float sum = 0;
			for (int k = 0; k < g->k; k++)
				sum += bf16_to_f32(a[k]) * bf16_to_f32(b[(size_t)k * to_next_k]);
			out[j] = g->add ? out[j] + sum : sum;
		}
	}
	return 0;
}
