/* The CPU's table of operations: buffers, embedding, norms, RoPE, activation, logits. */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROWS = 512 }; /* rows of a prefill step: enough that unpacking weights is one percent of the products */

/* ---- buffers ---------------------------------------------------------------------------------------------------- */

static size_t most(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t scratch_floats(const struct model_info *info)
{
	size_t floats = most(cpu_product_scratch(), cpu_attention_scratch(info));
	return (most(floats, cpu_value_norms_scratch(info)) + 15) / 16 * 16;
}

/* A model says what it is run in; without the instructions model_open() has said float32. */
static bool is_bf16(const struct model *m)
{
	return !strcmp(m->info.precision, "bf16");
}

static size_t widest_input(const struct model_info *info)
{
	return most((size_t)info->n_embd, most((size_t)info->n_ff, (size_t)info->n_head * (size_t)info->head_dim));
}

static int rows_of(const struct backend_config *config)
{
	int rows = config->max_rows ? config->max_rows : DEFAULT_ROWS;
	return rows < config->max_tokens ? rows : config->max_tokens;
}

static size_t area_floats(const struct backend_config *config, enum area area)
{
	const struct model_info *info = &config->model->info;
	size_t rows = (size_t)rows_of(config), tiles = ((size_t)config->max_tokens + KEY_TILE - 1) / KEY_TILE;
	size_t n_head = (size_t)info->n_head, d = (size_t)info->head_dim, few = rows < FEW_ROWS ? rows : FEW_ROWS;
	switch (area) {
	case AREA_KEYS:
	case AREA_VALUES:
		return (size_t)info->n_layer * tiles * (size_t)info->n_kv_head * KEY_TILE * d;
	case AREA_ROPE_COS:
	case AREA_ROPE_SIN:
		return rows * d;
	case AREA_LOGITS:
		return (size_t)info->n_vocab;
	case AREA_SCORE:
		return n_head * tiles * few * KEY_TILE;
	case AREA_PART_OUT:
		return n_head * tiles * few * d;
	case AREA_PART_MAX:
	case AREA_PART_SUM:
	case AREA_CHECK:
		return n_head * tiles * few;
	case AREA_HALF_ROWS:
		return is_bf16(config->model) ? rows * widest_input(info) / 2 + 1 : 0;
	case AREA_HALF_KEYS:
	case AREA_HALF_VALUES:
		return is_bf16(config->model) ? tiles * (size_t)info->n_kv_head * KEY_TILE * d / 2 : 0;
	case AREA_SCRATCH:
		return (size_t)config->n_threads * scratch_floats(info);
	default:
		return rows * (size_t)row_buffer_width(info, (enum row_buffer)(area - AREA_ROWS));
	}
}

static void cpu_estimate(const struct backend_config *config, struct memory_estimate *out)
{
	uint64_t floats = 0, kv = area_floats(config, AREA_KEYS) + area_floats(config, AREA_VALUES);
	for (int i = 0; i < N_AREA; i++)
		floats += area_floats(config, (enum area)i);
	out->kv = kv * sizeof(float);
	out->scratch = (floats - kv) * sizeof(float);
}

static void cpu_close(struct backend *b)
{
	struct cpu *c = (struct cpu *)b;
	if (!c)
		return;
	for (int i = 0; c->half && i < threads_count(c->threads); i++)
		bf16_gemm_cache_close(c->half[i]);
	free(c->half);
	threads_close(c->threads);
	for (int i = 0; i < N_AREA; i++)
		free(c->area[i]);
	free(c->captured);
	free(c->kept);
	free(c);
}

static int open_half(struct cpu *c, struct err *e)
{
	int rc = 0, n = threads_count(c->threads);
	c->half = calloc((size_t)n, sizeof *c->half);
	if (!c->half)
		return err_set(e, ERR_MEMORY, "no memory for %d threads", n);
	for (int i = 0; i < n && !rc; i++)
		rc = bf16_gemm_cache_open(&c->half[i], e);
	return rc;
}

static int cpu_open(struct backend **out, const struct backend_config *config, struct err *e)
{
	struct cpu *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_MEMORY, "no memory for a session");
	*c = (struct cpu){.base.ops = &backend_cpu, .model = config->model, .simd = simd_available()[0], .max_rows = rows_of(config),
		.max_tokens = config->max_tokens, .n_tile = (config->max_tokens + KEY_TILE - 1) / KEY_TILE,
		.scratch_floats = scratch_floats(&config->model->info)};
	c->captured = calloc((size_t)c->max_rows, sizeof *c->captured);
	bool complete = c->captured != NULL;
	for (int i = 0; i < N_AREA; i++) {
		size_t bytes = (area_floats(config, (enum area)i) * sizeof(float) + 63) / 64 * 64;
		c->area[i] = bytes ? aligned_alloc(64, bytes) : NULL;
		complete &= c->area[i] || !bytes;
	}
	if (!complete) {
		cpu_close((struct backend *)c);
		return err_set(e, ERR_MEMORY, "no memory for the buffers of %d tokens", config->max_tokens);
	}
	int rc = threads_open(&c->threads, config->n_threads, e);
	if (!rc && is_bf16(config->model))
		rc = open_half(c, e);
	if (rc) {
		cpu_close((struct backend *)c);
		return rc;
	}
	*out = (struct backend *)c;
	return 0;
}

/* Attention of many rows knows no eviction: it would serve no one, as an evicted cache is continued by few rows. */
static int cpu_max_rows(const struct backend *b)
{
	const struct cpu *c = (const struct cpu *)b;
	return c->kept && c->max_rows > FEW_ROWS ? FEW_ROWS : c->max_rows;
}

static int cpu_evict(struct backend *b, const struct eviction *eviction, struct err *e)
{
	struct cpu *c = (struct cpu *)b;
	const struct model_info *info = &c->model->info;
	size_t bytes = eviction ? (size_t)info->n_layer * (size_t)info->n_head * (size_t)eviction->n : 0;
	uint8_t *kept = bytes ? malloc(bytes) : NULL;
	if (bytes && !kept)
		return err_set(e, ERR_MEMORY, "no memory for an eviction of %d tokens", eviction->n);
	if (bytes)
		memcpy(kept, eviction->kept, bytes);
	free(c->kept);
	c->kept = kept;
	c->n_evictable = bytes ? eviction->n : 0;
	return 0;
}

/* ---- the same for every row ---------------------------------------------------------------------------------------- */

enum { ROWS_A_PIECE = 32 };

struct rows_job {
	struct cpu *c;
	const void *op;
	struct row_range rows;
	void (*row)(struct cpu *c, const void *op, int row);
};

static void rows_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct rows_job *job = context;
	int end = job->rows.first + job->rows.n, first = job->rows.first + piece * ROWS_A_PIECE;
	for (int row = first; row < end && row < first + ROWS_A_PIECE; row++)
		job->row(job->c, job->op, row);
}

static void each_row(struct cpu *c, struct row_range rows, const void *op, void (*row)(struct cpu *c, const void *op, int row))
{
	struct rows_job job = {.c = c, .op = op, .rows = rows, .row = row};
	threads_run(c->threads, (rows.n + ROWS_A_PIECE - 1) / ROWS_A_PIECE, rows_piece, &job);
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

/* Angles as the reference computes them: position times inverse frequency, rounded to float32, then cosine and sine of that. */
static void fill_rope(struct cpu *c, const void *context, int row)
{
	(void)context;
	int d = c->model->info.head_dim, half = d / 2;
	bool adjacent = c->model->rope_pairs == ROPE_ADJACENT;
	float *cosine = c->area[AREA_ROPE_COS] + (size_t)row * (size_t)d, *sine = c->area[AREA_ROPE_SIN] + (size_t)row * (size_t)d;
	for (int i = 0; i < half; i++) {
		float angle = (float)(c->step.position + row) * c->model->rope_inv_freq[i];
		int first = adjacent ? 2 * i : i, second = adjacent ? 2 * i + 1 : half + i;
		cosine[first] = cosine[second] = (float)cos((double)angle);
		sine[second] = (float)sin((double)angle);
		sine[first] = -sine[second];
	}
}

static void cpu_step_begin(struct backend *b, const struct step *step)
{
	struct cpu *c = (struct cpu *)b;
	c->step = *step;
	atomic_store(&c->bad_layer, -1);
	atomic_store(&c->failure, 0);
	each_row(c, (struct row_range){0, step->n_rows}, NULL, fill_rope);
	cpu_capture_begin(c);
}

static int cpu_step_end(struct backend *b, struct err *e)
{
	struct cpu *c = (struct cpu *)b;
	if (atomic_load(&c->failure))
		return err_set(e, ERR_MEMORY, "the matrix library found no memory for its work space");
	if (atomic_load(&c->bad_layer) >= 0)
		return err_set(e, ERR_NUMBER, "attention of layer %d is not finite near position %d: damaged weights?",
			atomic_load(&c->bad_layer), c->step.position);
	return 0;
}

static int cpu_collect(struct backend *b, struct err *e)
{
	(void)b, (void)e; /* sums were added as they arose */
	return 0;
}

/* ---- operations on rows ------------------------------------------------------------------------------------------ */

static float *row_at(const struct cpu *c, enum row_buffer buffer, int row)
{
	return cpu_rows(c, buffer) + (size_t)row * (size_t)row_buffer_width(&c->model->info, buffer);
}

static void embed_row(struct cpu *c, const void *op, int row)
{
	const struct weight *w = &c->model->embedding;
	const int32_t *ids = op;
	const uint8_t *src = w->data + (size_t)ids[row] * tensor_type_bytes(w->type, (uint64_t)w->n_in);
	c->simd->unpack->unpack[w->type](src, w->n_in, row_at(c, ROWS_HIDDEN, row));
}

static void cpu_embed_ids(struct backend *b, const int32_t *ids)
{
	struct cpu *c = (struct cpu *)b;
	each_row(c, (struct row_range){0, c->step.n_rows}, ids, embed_row);
}

static void cpu_embed_rows(struct backend *b, const float *embedding)
{
	struct cpu *c = (struct cpu *)b;
	memcpy(cpu_rows(c, ROWS_HIDDEN), embedding, (size_t)c->step.n_rows * (size_t)c->model->info.n_embd * sizeof *embedding);
}

static void norm_row(struct cpu *c, const void *context, int row)
{
	const struct norm_op *op = context;
	c->simd->rows->rmsnorm(row_at(c, op->in, row), op->gain, c->model->norm_eps, c->model->info.n_embd, row_at(c, op->out, row));
}

static void cpu_rmsnorm(struct backend *b, const struct norm_op *op)
{
	each_row((struct cpu *)b, op->rows, op, norm_row);
}

static void swiglu_row(struct cpu *c, const void *context, int row)
{
	(void)context;
	c->simd->rows->swiglu(row_at(c, ROWS_GATE, row), row_at(c, ROWS_UP, row), c->model->info.n_ff);
}

static void cpu_swiglu(struct backend *b, struct row_range rows)
{
	each_row((struct cpu *)b, rows, NULL, swiglu_row);
}

static void rope_heads(struct cpu *c, float *x, int n_head, const float *norm, int row)
{
	int d = c->model->info.head_dim;
	const float *cosine = c->area[AREA_ROPE_COS] + (size_t)row * (size_t)d, *sine = c->area[AREA_ROPE_SIN] + (size_t)row * (size_t)d;
	const struct simd_rows *k = c->simd->rows;
	for (int head = 0; head < n_head; head++, x += d) {
		if (norm)
			k->rmsnorm(x, norm, c->model->norm_eps, d, x);
		if (c->model->rope_pairs == ROPE_ADJACENT)
			k->rope_adjacent(x, cosine, sine, d);
		else
			k->rope_halves(x, cosine, sine, d);
	}
}

static bool in_range(struct row_range rows, int row)
{
	return row >= rows.first && row < rows.first + rows.n;
}

static void rope_row(struct cpu *c, const void *context, int row)
{
	const struct rope_op *op = context;
	if (in_range(op->q_rows, row))
		rope_heads(c, row_at(c, ROWS_Q, row), c->model->info.n_head, op->q_norm, row);
	if (in_range(op->k_rows, row))
		rope_heads(c, row_at(c, ROWS_K, row), c->model->info.n_kv_head, op->k_norm, row);
}

static void cpu_rope(struct backend *b, const struct rope_op *op)
{
	struct cpu *c = (struct cpu *)b;
	each_row(c, (struct row_range){0, c->step.n_rows}, op, rope_row);
}

/* ---- products ----------------------------------------------------------------------------------------------------- */

static void cpu_matmul(struct backend *b, const struct matmul_op *op)
{
	struct cpu *c = (struct cpu *)b;
	struct product p[3];
	for (int i = 0; i < op->n_part; i++)
		p[i] = (struct product){.in = row_at(c, op->in, op->rows.first), .n_row = op->rows.n, .weight = op->part[i].weight,
			.bias = op->part[i].bias, .out = row_at(c, op->part[i].out, op->rows.first),
			.ld_out = row_buffer_width(&c->model->info, op->part[i].out), .add = op->add};
	cpu_products(c, p, op->n_part);
}

static void cpu_logits(struct backend *b, const struct logits_op *op)
{
	struct cpu *c = (struct cpu *)b;
	size_t n_vocab = (size_t)c->model->info.n_vocab;
	struct product p = {.in = row_at(c, ROWS_NORMED, op->rows.first), .n_row = op->rows.n, .weight = &c->model->output,
		.out = op->out, .ld_out = (int)n_vocab, .exact = true};
	if (!op->out) {
		p.in = row_at(c, ROWS_NORMED, op->rows.first + op->rows.n - 1);
		p.n_row = 1;
		p.out = c->area[AREA_LOGITS];
	}
	cpu_products(c, &p, 1);
	if (op->out)
		memcpy(c->area[AREA_LOGITS], op->out + (size_t)(op->rows.n - 1) * n_vocab, n_vocab * sizeof(float));
}

static const float *cpu_last_logits(struct backend *b)
{
	return ((struct cpu *)b)->area[AREA_LOGITS];
}

static int32_t cpu_argmax(struct backend *b)
{
	struct cpu *c = (struct cpu *)b;
	const float *logits = c->area[AREA_LOGITS];
	int n = c->model->info.n_vocab;
	if (!isfinite(c->simd->rows->sum_abs(logits, n)))
		return -1;
	float top = c->simd->rows->largest(logits, n);
	for (int i = 0; i < n; i++)
		if (logits[i] == top)
			return i;
	return -1;
}

const struct backend_ops backend_cpu = {
	.name = "cpu",
	.estimate = cpu_estimate,
	.open = cpu_open,
	.close = cpu_close,
	.max_rows = cpu_max_rows,
	.evict = cpu_evict,
	.adapt = cpu_adapt,
	.step_begin = cpu_step_begin,
	.step_end = cpu_step_end,
	.collect = cpu_collect,
	.embed_ids = cpu_embed_ids,
	.embed_rows = cpu_embed_rows,
	.rmsnorm = cpu_rmsnorm,
	.matmul = cpu_matmul,
	.lora = cpu_lora,
	.rope = cpu_rope,
	.append = cpu_append,
	.attention = cpu_attention,
	.swiglu = cpu_swiglu,
	.logits = cpu_logits,
	.last_logits = cpu_last_logits,
	.argmax = cpu_argmax,
	.read_cache = cpu_read_cache,
	.key_norms = cpu_key_norms,
	.value_norms = cpu_value_norms,
};
