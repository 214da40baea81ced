/* The table of operations on a CUDA device: life of a session, steps, and the operations that are one kernel. */
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/cuda.h"

static const struct backend_ops table;

const struct backend_ops *cuda_backend(void)
{
	return &table;
}

/* ---- rows and cache ------------------------------------------------------------------------------------------------ */

struct cuda_rows cuda_rows_from(const struct cuda *c, enum row_buffer buffer, int row)
{
	const struct model_info *info = &c->model->info;
	int kv = info->n_kv_head * info->head_dim, width = row_buffer_width(info, buffer);
	struct cuda_rows out = {.ld = width};
	int column = 0;
	switch (buffer) {
	case ROWS_HIDDEN:
		out.data = c->area[CUDA_HIDDEN];
		break;
	case ROWS_NORMED:
		out.data = c->area[CUDA_NORMED];
		break;
	case ROWS_ATTENDED:
		out.data = c->area[CUDA_ATTENDED];
		break;
	case ROWS_GATE:
	case ROWS_UP:
		out.data = c->area[CUDA_FEED];
		out.ld = 2 * info->n_ff;
		column = buffer == ROWS_UP ? info->n_ff : 0;
		break;
	default: /* K, V, Q */
		out.data = c->area[CUDA_KVQ];
		out.ld = 2 * kv + info->n_head * info->head_dim;
		column = buffer == ROWS_K ? 0 : buffer == ROWS_V ? kv : 2 * kv;
	}
	out.half = c->half && (buffer == ROWS_NORMED || buffer == ROWS_ATTENDED || buffer == ROWS_GATE || buffer == ROWS_UP);
	out.data = (uint8_t *)out.data + ((size_t)row * (size_t)out.ld + (size_t)column) * (out.half ? sizeof(uint16_t) : sizeof(float));
	return out;
}

struct cuda_rows cuda_rows_of(const struct backend *b, enum row_buffer buffer)
{
	return cuda_rows_from((const struct cuda *)b, buffer, 0);
}

static uint8_t *layer_of(const struct cuda *c, enum cuda_area area, int layer)
{
	const struct model_info *info = &c->model->info;
	size_t n = (size_t)info->n_kv_head * (size_t)c->max_tokens * (size_t)info->head_dim;
	return (uint8_t *)c->area[area] + (size_t)layer * n * cuda_element(c);
}

void *cuda_layer_keys(const struct cuda *c, int layer)
{
	return layer_of(c, CUDA_KEYS, layer);
}

void *cuda_layer_values(const struct cuda *c, int layer)
{
	return layer_of(c, CUDA_VALUES, layer);
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

static void close_session(struct backend *b)
{
	struct cuda *c = (struct cuda *)b;
	if (!c)
		return;
	cudaSetDevice(c->device.index);
	if (c->device.stream)
		cudaStreamSynchronize(c->device.stream);
	cuda_queue_close(c);
	cuda_sums_close(c);
	cuda_adapters_close(c);
	if (c->upload.device)
		cuda_upload_close(&c->upload);
	if (c->blas)
		cublas_find(NULL)->destroy(c->blas);
	for (int i = 0; i < N_CUDA_AREA; i++)
		cuda_release(&c->device, c->area[i]);
	cuda_release(&c->device, c->kept);
	void *pinned[] = {c->pinned, c->ids, c->captured, c->logits};
	for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++)
		if (pinned[i])
			cudaFreeHost(pinned[i]);
	cuda_device_close(&c->device);
	free(c);
}

static bool open_products(struct cuda *c)
{
	const struct cublas *blas = cublas_find(&c->device.failure);
	return blas && CUBLAS_TRY(&c->device, blas->create(&c->blas)) && CUBLAS_TRY(&c->device, blas->set_stream(c->blas, c->device.stream)) &&
		CUBLAS_TRY(&c->device, blas->set_workspace(c->blas, c->area[CUDA_WORKSPACE], WORKSPACE_BYTES));
}

static bool take_pinned(struct cuda *c)
{
	size_t rows = (size_t)c->max_rows, n_vocab = (size_t)c->model->info.n_vocab;
	return CUDA_TRY(&c->device, cudaHostAlloc((void **)&c->pinned, sizeof *c->pinned, cudaHostAllocDefault)) &&
		CUDA_TRY(&c->device, cudaHostAlloc((void **)&c->ids, rows * sizeof *c->ids, cudaHostAllocDefault)) &&
		CUDA_TRY(&c->device, cudaHostAlloc((void **)&c->captured, rows * sizeof *c->captured, cudaHostAllocDefault)) &&
		CUDA_TRY(&c->device, cudaHostAlloc((void **)&c->logits, n_vocab * sizeof *c->logits, cudaHostAllocDefault));
}

static int open_parts(struct cuda *c, const struct backend_config *config, struct err *e)
{
	int rc = cuda_device_open(&c->device, c->model, e);
	rc = rc ? rc : cuda_weights_of(&c->weights, c->model, &c->device, e);
	if (rc)
		return rc;
	if (cuda_take_areas(c, config) && open_products(c) && take_pinned(c) && cuda_upload_open(&c->upload, &c->device) && cuda_queue_open(c) &&
		cuda_adapters_open(c))
		cuda_sums_open(c, config->n_threads);
	return cuda_failure(&c->device, e);
}

static int open_session(struct backend **out, const struct backend_config *config, struct err *e)
{
	const struct model *m = config->model;
	if (m->info.head_dim > MOST_HEAD_DIM)
		return err_set(e, ERR_UNSUPPORTED, "%s: %d dimensions per head, on a CUDA device %d are possible", m->info.path, m->info.head_dim,
			MOST_HEAD_DIM);
	struct cuda *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_MEMORY, "no memory for a session");
	*c = (struct cuda){.base.ops = &table, .model = m, .max_rows = cuda_rows_max(config), .max_tokens = config->max_tokens,
		.half = !strcmp(m->info.precision, "bf16")};
	int rc = open_parts(c, config, e);
	if (rc) {
		close_session((struct backend *)c);
		return rc;
	}
	*out = (struct backend *)c;
	return 0;
}

/* Only attention of one row knows evictions: an evicted cache is continued token by token. */
static int max_rows(const struct backend *b)
{
	const struct cuda *c = (const struct cuda *)b;
	return c->kept ? 1 : c->max_rows;
}

static int evict(struct backend *b, const struct eviction *eviction, struct err *e)
{
	struct cuda *c = (struct cuda *)b;
	const struct model_info *info = &c->model->info;
	size_t n_bytes = eviction ? (size_t)info->n_layer * (size_t)info->n_head * (size_t)eviction->n : 0;
	c->device.failure = (struct err){0};
	CUDA_TRY(&c->device, cudaSetDevice(c->device.index));
	uint8_t *kept = cuda_take(&c->device, n_bytes, "an eviction");
	if (kept)
		CUDA_TRY(&c->device, cudaMemcpy(kept, eviction->kept, n_bytes, cudaMemcpyHostToDevice));
	int rc = cuda_failure(&c->device, e);
	if (rc) {
		cuda_release(&c->device, kept);
		return rc;
	}
	cuda_queue_forget(c);
	cuda_release(&c->device, c->kept);
	c->kept = kept;
	c->n_evictable = kept ? eviction->n : 0;
	return 0;
}

/* ---- a step --------------------------------------------------------------------------------------------------------- */

static void step_begin(struct backend *b, const struct step *step)
{
	struct cuda *c = (struct cuda *)b;
	c->device.failure = (struct err){0}; /* a device that is lost says so again */
	c->step = *step;
	c->logits_fetched = false;
	CUDA_TRY(&c->device, cudaSetDevice(c->device.index));
	c->pinned->place = (struct cuda_place){step->position, step->n_rows, step->n_capture};
	CUDA_TRY(&c->device, cudaMemcpyAsync(c->area[CUDA_PLACE], &c->pinned->place, sizeof c->pinned->place, cudaMemcpyHostToDevice,
		c->device.stream));
	CUDA_TRY(&c->device, cudaMemsetAsync(c->area[CUDA_RESULT], 0, sizeof(struct cuda_result), c->device.stream));
	cuda_sums_begin(c);
	cuda_queue_begin(c);
}

static int step_end(struct backend *b, struct err *e)
{
	struct cuda *c = (struct cuda *)b;
	cuda_queue_end(c);
	if (!c->device.failure.code && CUDA_TRY(&c->device, cudaMemcpyAsync(&c->pinned->result, c->area[CUDA_RESULT],
		sizeof c->pinned->result, cudaMemcpyDeviceToHost, c->device.stream)))
		CUDA_TRY(&c->device, cudaStreamSynchronize(c->device.stream));
	else
		cudaStreamSynchronize(c->device.stream); /* nothing may still be under way when the caller frees what it gave us */
	int rc = cuda_failure(&c->device, e);
	if (rc)
		return rc;
	cuda_sums_end(c);
	if (c->pinned->result.bad)
		return err_set(e, ERR_NUMBER, "attention of layer %d is not finite near position %d: damaged weights?",
			c->model->info.n_layer - c->pinned->result.bad, c->step.position);
	return 0;
}

/* ---- operations that are one kernel ------------------------------------------------------------------------------- */

void cuda_do_embed(struct cuda *c, const float *embedding)
{
	const struct model_info *info = &c->model->info;
	struct cuda_rows hidden = cuda_rows_from(c, ROWS_HIDDEN, 0);
	CUDA_TRY(&c->device, cuda_rope_table(&(struct rope_table_args){.place = c->area[CUDA_PLACE],
		.inv_freq = cuda_weight_at(c->weights, c->model->rope_inv_freq), .out = c->area[CUDA_ROPE], .n_rows = c->step.n_rows,
		.head_dim = info->head_dim}, c->device.stream));
	if (embedding)
		cuda_upload_bytes(&c->upload, hidden.data, embedding, (size_t)c->step.n_rows * (size_t)info->n_embd * sizeof *embedding);
	else
		CUDA_TRY(&c->device, cuda_embed(&(struct embed_args){.ids = c->area[CUDA_IDS],
			.table = cuda_weight_at(c->weights, c->model->embedding.data), .half = c->half, .n_rows = c->step.n_rows,
			.n_embd = info->n_embd, .out = hidden}, c->device.stream));
}

void cuda_do_norm(struct cuda *c, const struct norm_op *op)
{
	if (op->rows.n > 0)
		CUDA_TRY(&c->device, cuda_norm(&(struct norm_args){.in = cuda_rows_from(c, op->in, op->rows.first),
			.out = cuda_rows_from(c, op->out, op->rows.first), .gain = cuda_weight_at(c->weights, op->gain), .eps = c->model->norm_eps,
			.n_rows = op->rows.n, .n = c->model->info.n_embd}, c->device.stream));
}

void cuda_do_rope(struct cuda *c, const struct rope_op *rope, const struct append_op *append)
{
	const struct model_info *info = &c->model->info;
	struct rope_args a = {.place = c->area[CUDA_PLACE], .eps = c->model->norm_eps, .adjacent = c->model->rope_pairs == ROPE_ADJACENT,
		.q = cuda_rows_from(c, ROWS_Q, 0), .k = cuda_rows_from(c, ROWS_K, 0), .v = cuda_rows_from(c, ROWS_V, 0), .half = c->half,
		.max_tokens = c->max_tokens, .n_rows = c->step.n_rows, .n_head = info->n_head, .n_kv_head = info->n_kv_head,
		.head_dim = info->head_dim};
	if (rope) {
		a.table = c->area[CUDA_ROPE];
		a.q_norm = cuda_weight_at(c->weights, rope->q_norm);
		a.k_norm = cuda_weight_at(c->weights, rope->k_norm);
		a.q_first = rope->q_rows.first;
		a.q_end = rope->q_rows.first + rope->q_rows.n;
		a.k_first = rope->k_rows.first;
		a.k_end = rope->k_rows.first + rope->k_rows.n;
	}
	if (append) {
		a.keys = cuda_layer_keys(c, append->layer);
		a.values = append->values ? cuda_layer_values(c, append->layer) : NULL;
	}
	CUDA_TRY(&c->device, cuda_rope(&a, c->device.stream));
}

void cuda_do_swiglu(struct cuda *c, struct row_range rows)
{
	if (rows.n > 0)
		CUDA_TRY(&c->device, cuda_swiglu(&(struct swiglu_args){.gate = cuda_rows_from(c, ROWS_GATE, rows.first),
			.up = cuda_rows_from(c, ROWS_UP, rows.first), .n_rows = rows.n, .n = c->model->info.n_ff}, c->device.stream));
}

/* ---- the table ------------------------------------------------------------------------------------------------------- */

static void embed_ids(struct backend *b, const int32_t *ids)
{
	struct cuda *c = (struct cuda *)b;
	size_t n_bytes = (size_t)c->step.n_rows * sizeof *ids;
	memcpy(c->ids, ids, n_bytes);
	CUDA_TRY(&c->device, cudaMemcpyAsync(c->area[CUDA_IDS], c->ids, n_bytes, cudaMemcpyHostToDevice, c->device.stream));
	cuda_submit(c, &(struct cuda_op){.kind = OP_EMBED});
}

static void embed_rows(struct backend *b, const float *embedding)
{
	struct cuda *c = (struct cuda *)b;
	cuda_queue_flush(c);
	cuda_do_embed(c, embedding);
}

static void rmsnorm(struct backend *b, const struct norm_op *op)
{
	cuda_submit((struct cuda *)b, &(struct cuda_op){.kind = OP_NORM, .norm = *op});
}

static void matmul(struct backend *b, const struct matmul_op *op)
{
	struct cuda_op kept = {.kind = OP_MATMUL, .matmul = *op};
	memcpy(kept.part, op->part, (size_t)op->n_part * sizeof *op->part);
	cuda_submit((struct cuda *)b, &kept);
}

static void lora(struct backend *b, const struct lora_op *op)
{
	cuda_queue_flush((struct cuda *)b);
	if (op->rows.n > 0)
		cuda_do_lora((struct cuda *)b, op);
}

static void rope(struct backend *b, const struct rope_op *op)
{
	cuda_submit((struct cuda *)b, &(struct cuda_op){.kind = OP_ROPE, .rope = *op});
}

static void append(struct backend *b, const struct append_op *op)
{
	cuda_submit((struct cuda *)b, &(struct cuda_op){.kind = OP_APPEND, .append = *op});
}

static void attention(struct backend *b, const struct attention_op *op)
{
	cuda_submit((struct cuda *)b, &(struct cuda_op){.kind = OP_ATTENTION, .attention = *op});
}

static void swiglu(struct backend *b, struct row_range rows)
{
	cuda_submit((struct cuda *)b, &(struct cuda_op){.kind = OP_SWIGLU, .swiglu = rows});
}

static void logits(struct backend *b, const struct logits_op *op)
{
	if (op->out)
		cuda_queue_flush((struct cuda *)b);
	cuda_submit((struct cuda *)b, &(struct cuda_op){.kind = OP_LOGITS, .logits = *op});
}

static const struct backend_ops table = {
	.name = "cuda",
	.estimate = cuda_estimate,
	.open = open_session,
	.close = close_session,
	.max_rows = max_rows,
	.evict = evict,
	.adapt = cuda_adapt,
	.step_begin = step_begin,
	.step_end = step_end,
	.embed_ids = embed_ids,
	.embed_rows = embed_rows,
	.rmsnorm = rmsnorm,
	.matmul = matmul,
	.lora = lora,
	.rope = rope,
	.append = append,
	.attention = attention,
	.swiglu = swiglu,
	.logits = logits,
	.collect = cuda_collect,
	.last_logits = cuda_last_logits,
	.argmax = cuda_last_argmax,
	.read_cache = cuda_read_cache,
	.key_norms = cuda_key_norms,
	.value_norms = cuda_value_norms,
};
