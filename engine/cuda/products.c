/* Products with stored weights, logits. Few rows are read-once sweeps over the weights (matvec.cu), many a product of cuBLAS. */

#include "engine/cuda/cuda.h"

struct product { /* out = in W^T + bias, or added onto out */
	struct cuda_rows in, out;
	const void *weight;
	const float *bias;
	int n_rows, n_in, n_out;
	bool add, swiglu;
};

static void multiply_many(struct cuda *c, const struct product *p)
{
	const struct cublas *blas = cublas_find(NULL);
	cudaDataType element = c->half ? CUDA_R_16BF : CUDA_R_32F, out = p->out.half ? CUDA_R_16BF : CUDA_R_32F;
	const float one = 1, onto = p->add ? 1 : 0;
	/* cuBLAS is column-major: its matrices are our transposed ones. */
	CUBLAS_TRY(&c->device, blas->gemm(c->blas, CUBLAS_OP_T, CUBLAS_OP_N, p->n_out, p->n_rows, p->n_in, &one, p->weight, element, p->n_in,
		p->in.data, element, p->in.ld, &onto, p->out.data, out, p->out.ld, c->half ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_PEDANTIC,
		CUBLAS_GEMM_DEFAULT));
	if (p->bias)
		CUDA_TRY(&c->device, cuda_add_bias(&(struct bias_args){.bias = p->bias, .out = p->out, .n_rows = p->n_rows, .n = p->n_out},
			c->device.stream));
}

static void multiply(struct cuda *c, const struct product *p)
{
	if (p->n_rows < 1)
		return;
	if (p->n_rows > MATVEC_ROWS) {
		multiply_many(c, p);
		return;
	}
	CUDA_TRY(&c->device, cuda_matvec(&(struct matvec_args){.in = p->in, .out = p->out, .weight = p->weight, .half = c->half,
		.bias = p->bias, .add = p->add, .swiglu = p->swiglu, .n_rows = p->n_rows, .n_out = p->n_out, .n_in = p->n_in}, c->device.stream));
}

static size_t weight_bytes(const struct cuda *c, const struct product *p)
{
	return (size_t)p->n_out * (size_t)p->n_in * (c->half ? sizeof(uint16_t) : sizeof(float));
}

/* Does `next` lie behind `p` in everything, so that both are one product? */
static bool continues(const struct cuda *c, const struct product *p, const struct product *next)
{
	size_t element = p->out.half ? sizeof(uint16_t) : sizeof(float);
	return (const uint8_t *)p->weight + weight_bytes(c, p) == next->weight && p->out.ld == next->out.ld &&
		(uint8_t *)p->out.data + (size_t)p->n_out * element == next->out.data && (p->bias ? p->bias + p->n_out == next->bias : !next->bias);
}

void cuda_do_matmul(struct cuda *c, const struct matmul_op *op, bool swiglu)
{
	struct product p = {0};
	for (int i = 0; i < op->n_part; i++) {
		const struct matmul_part *part = &op->part[i];
		struct product next = {.in = cuda_rows_from(c, op->in, op->rows.first), .out = cuda_rows_from(c, part->out, op->rows.first),
			.weight = cuda_weight_at(c->weights, part->weight->data), .bias = cuda_weight_at(c->weights, part->bias), .n_rows = op->rows.n,
			.n_in = part->weight->n_in, .n_out = part->weight->n_out, .add = op->add, .swiglu = swiglu};
		if (i > 0 && continues(c, &p, &next)) {
			p.n_out += next.n_out;
			continue;
		}
		multiply(c, &p);
		p = next;
	}
	multiply(c, &p);
}

/* ---- logits ------------------------------------------------------------------------------------------------------- */

/* Logits of some rows, and for the last of all its own place and the largest of them. */
void cuda_do_logits(struct cuda *c, const struct logits_op *op)
{
	size_t n_vocab = (size_t)c->model->info.n_vocab;
	float *logits = c->area[CUDA_LOGITS], *last = logits;
	int end = op->rows.first + op->rows.n, step = c->max_rows < LOGIT_ROWS ? c->max_rows : LOGIT_ROWS;
	for (int row = op->out ? op->rows.first : end - 1, n; row < end; row += n) {
		n = end - row < step ? end - row : step;
		multiply(c, &(struct product){.in = cuda_rows_from(c, ROWS_NORMED, row), .out = {logits, (int)n_vocab, false},
			.weight = cuda_weight_at(c->weights, c->model->output.data), .n_rows = n, .n_in = c->model->info.n_embd, .n_out = (int)n_vocab});
		if (op->out)
			CUDA_TRY(&c->device, cudaMemcpyAsync(op->out + (size_t)(row - op->rows.first) * n_vocab, logits,
				(size_t)n * n_vocab * sizeof(float), cudaMemcpyDeviceToHost, c->device.stream));
		last = logits + (size_t)(n - 1) * n_vocab;
	}
	if (last != logits)
		CUDA_TRY(&c->device, cudaMemcpyAsync(logits, last, n_vocab * sizeof(float), cudaMemcpyDeviceToDevice, c->device.stream));
	struct cuda_result *result = c->area[CUDA_RESULT];
	CUDA_TRY(&c->device, cuda_argmax(&(struct argmax_args){.x = logits, .n = (int)n_vocab, .out = &result->argmax}, c->device.stream));
}
