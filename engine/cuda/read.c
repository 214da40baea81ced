/* What is read back between steps: logits, the largest of them, the cache and norms of what is in it. Buffers of a step are free then. */
#include <string.h>

#include "engine/cuda/cuda.h"

const float *cuda_last_logits(struct backend *b)
{
	struct cuda *c = (struct cuda *)b;
	size_t n = (size_t)c->model->info.n_vocab;
	if (!c->logits_fetched) {
		memset(c->logits, 0xff, n * sizeof *c->logits); /* NaN, should the device be lost */
		if (CUDA_TRY(&c->device, cudaSetDevice(c->device.index)) && CUDA_TRY(&c->device, cudaMemcpyAsync(c->logits,
			c->area[CUDA_LOGITS], n * sizeof *c->logits, cudaMemcpyDeviceToHost, c->device.stream)))
			CUDA_TRY(&c->device, cudaStreamSynchronize(c->device.stream));
	}
	c->logits_fetched = true;
	return c->logits;
}

int32_t cuda_last_argmax(struct backend *b)
{
	return argmax_index(((const struct cuda *)b)->pinned->result.argmax);
}

/* ---- the cache ------------------------------------------------------------------------------------------------------ */

static void fetch(struct cuda *c, float *to, const float *from, size_t n)
{
	if (CUDA_TRY(&c->device, cudaMemcpyAsync(to, from, n * sizeof *to, cudaMemcpyDeviceToHost, c->device.stream)))
		CUDA_TRY(&c->device, cudaStreamSynchronize(c->device.stream));
}

/* n elements of the cache as float32, a stretch at a time through the residual stream's buffer. */
static void read_elements(struct cuda *c, const uint8_t *from, size_t n, float *to)
{
	size_t most = (size_t)c->max_rows * (size_t)c->model->info.n_embd;
	float *wide = c->area[CUDA_HIDDEN];
	for (size_t at = 0, part; at < n; at += part) {
		part = n - at < most ? n - at : most;
		CUDA_TRY(&c->device, cuda_widen(&(struct widen_args){.from = from + at * cuda_element(c), .half = c->half, .to = wide, .n = part},
			c->device.stream));
		fetch(c, to + at, wide, part);
	}
}

/* Entries of one KV head within a layer of the cache. */
static const uint8_t *head_of(const struct cuda *c, const void *layer, int kv_head)
{
	return (const uint8_t *)layer + (size_t)kv_head * (size_t)c->max_tokens * (size_t)c->model->info.head_dim * cuda_element(c);
}

void cuda_read_cache(struct backend *b, const struct read_cache_op *op)
{
	struct cuda *c = (struct cuda *)b;
	size_t n = (size_t)op->n * (size_t)c->model->info.head_dim;
	CUDA_TRY(&c->device, cudaSetDevice(c->device.index));
	for (int kv_head = 0; kv_head < c->model->info.n_kv_head; kv_head++) {
		read_elements(c, head_of(c, cuda_layer_keys(c, op->layer), kv_head), n, op->key + (size_t)kv_head * n);
		read_elements(c, head_of(c, cuda_layer_values(c, op->layer), kv_head), n, op->value + (size_t)kv_head * n);
	}
}

/* Norms of one head's entries, into the buffer that decode steps keep scores in; (n) of every KV head. */
static float *norms_of_rows(struct cuda *c, const void *layer, int kv_head, int n)
{
	int d = c->model->info.head_dim;
	float *out = (float *)c->area[CUDA_SCORE] + (size_t)kv_head * (size_t)n;
	CUDA_TRY(&c->device, cuda_row_norms(&(struct row_norms_args){.rows = head_of(c, layer, kv_head), .half = c->half, .ld = d, .n_rows = n,
		.n = d, .factor = 1, .out = out}, c->device.stream));
	return out;
}

static void fetch_norms(struct cuda *c, int n, float *out)
{
	fetch(c, out, c->area[CUDA_SCORE], (size_t)c->model->info.n_kv_head * (size_t)n);
}

void cuda_key_norms(struct backend *b, int layer, int n, float *out)
{
	struct cuda *c = (struct cuda *)b;
	CUDA_TRY(&c->device, cudaSetDevice(c->device.index));
	for (int kv_head = 0; n > 0 && kv_head < c->model->info.n_kv_head; kv_head++)
		norms_of_rows(c, cuda_layer_keys(c, layer), kv_head, n);
	fetch_norms(c, n, out);
}

/* Norms over the model's width of V[g,j] W_O^(h), added to out in shares of the group: products of a stretch of positions at a time.
 * Columns h * head_dim .. of the output matrix belong to head h. */
static void add_projected_norms(struct cuda *c, const struct value_norms_op *op, int head, float *out)
{
	const struct model_info *info = &c->model->info;
	const struct cublas *blas = cublas_find(NULL);
	const struct weight *w = &c->model->layer[op->layer].proj[PROJ_O];
	int group = info->n_head / info->n_kv_head, d = info->head_dim;
	const uint8_t *matrix = (const uint8_t *)cuda_weight_at(c->weights, w->data) + (size_t)head * (size_t)d * cuda_element(c);
	const uint8_t *values = head_of(c, cuda_layer_values(c, op->layer), head / group);
	cudaDataType element = c->half ? CUDA_R_16BF : CUDA_R_32F;
	const float one = 1, nothing = 0;
	for (int at = 0, n; at < op->n; at += n) {
		n = op->n - at < c->max_rows ? op->n - at : c->max_rows;
		CUBLAS_TRY(&c->device, blas->gemm(c->blas, CUBLAS_OP_T, CUBLAS_OP_N, w->n_out, n, d, &one, matrix, element, w->n_in,
			values + (size_t)at * (size_t)d * cuda_element(c), element, d, &nothing, c->area[CUDA_HIDDEN], CUDA_R_32F, w->n_out,
			c->half ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT));
		CUDA_TRY(&c->device, cuda_row_norms(&(struct row_norms_args){.rows = c->area[CUDA_HIDDEN], .ld = w->n_out, .n_rows = n,
			.n = w->n_out, .l1 = op->kind == VALUE_L1_WO, .add = head % group > 0, .factor = 1.0f / (float)group, .out = out + at},
			c->device.stream));
	}
}

void cuda_value_norms(struct backend *b, const struct value_norms_op *op)
{
	struct cuda *c = (struct cuda *)b;
	const struct model_info *info = &c->model->info;
	CUDA_TRY(&c->device, cudaSetDevice(c->device.index));
	for (int head = 0; op->n > 0 && op->kind != VALUE_L2 && head < info->n_head; head++)
		add_projected_norms(c, op, head, (float *)c->area[CUDA_SCORE] + (size_t)(head / (info->n_head / info->n_kv_head)) * (size_t)op->n);
	for (int kv_head = 0; op->n > 0 && op->kind == VALUE_L2 && kv_head < info->n_kv_head; kv_head++)
		norms_of_rows(c, cuda_layer_values(c, op->layer), kv_head, op->n);
	fetch_norms(c, op->n, op->out);
}
