#include "engine/cuda/train.h"

/* What a product with weights reads, in the weights' precision: rows as they are, or rounded beside. */
static const void *operand(struct cuda_train *t, const float *rows, int n_row, int width)
{
	if (!t->half)
		return rows;
	CUDA_TRY(&t->device, cuda_narrow(&(struct narrow_args){.from = rows, .to = t->area[TRAIN_NARROW], .n = (size_t)n_row * (size_t)width},
		t->device.stream));
	return t->area[TRAIN_NARROW];
}

/* cuBLAS is column-major: its matrices are our transposed ones. */
static void with_weights(struct cuda_train *t, cublasOperation_t op, const struct weight *w, const void *in, int n_row, float *out, bool added)
{
	const struct cublas *blas = cublas_find(NULL);
	cudaDataType element = t->half ? CUDA_R_16BF : CUDA_R_32F;
	const float one = 1, onto = added ? 1 : 0;
	int width_in = op == CUBLAS_OP_T ? w->n_in : w->n_out, width_out = op == CUBLAS_OP_T ? w->n_out : w->n_in;
	CUBLAS_TRY(&t->device, blas->gemm(t->blas, op, CUBLAS_OP_N, width_out, n_row, width_in, &one, cuda_weight_at(t->weights, w->data), element,
		w->n_in, in, element, width_in, &onto, out, CUDA_R_32F, width_out, t->half ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_PEDANTIC,
		CUBLAS_GEMM_DEFAULT));
}

void cuda_train_product(struct step_device *device, const struct row_product *op)
{
	struct cuda_train *t = (struct cuda_train *)device;
	const struct weight *w = op->weight;
	with_weights(t, CUBLAS_OP_T, w, operand(t, op->in, op->n_row, w->n_in), op->n_row, op->out, false);
	if (op->bias)
		CUDA_TRY(&t->device, cuda_add_bias(&(struct bias_args){.bias = cuda_weight_at(t->weights, op->bias),
			.out = {op->out, w->n_out, false}, .n_rows = op->n_row, .n = w->n_out}, t->device.stream));
}

void cuda_train_product_back(struct step_device *device, const struct row_product_back *op)
{
	struct cuda_train *t = (struct cuda_train *)device;
	with_weights(t, CUBLAS_OP_N, op->weight, operand(t, op->d_out, op->n_row, op->weight->n_out), op->n_row, op->d_in, true);
}

void cuda_train_multiply(struct cuda_train *t, const struct train_batch *b)
{
	const struct cublas *blas = cublas_find(NULL);
	const struct gemm *g = &b->one;
	const float one = 1, onto = g->add ? 1 : 0;
	CUBLAS_TRY(&t->device, blas->gemm_batch(t->blas, g->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, g->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
		g->n, g->m, g->k, &one, g->b, CUDA_R_32F, g->ldb, b->stride_b, g->a, CUDA_R_32F, g->lda, b->stride_a, &onto, g->c, CUDA_R_32F, g->ldc,
		b->stride_c, b->n, CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT));
}

void cuda_train_gemm(struct step_device *device, const struct gemm *g)
{
	cuda_train_multiply((struct cuda_train *)device, &(struct train_batch){.one = *g, .n = 1});
}
