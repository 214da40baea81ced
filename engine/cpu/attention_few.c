/* Attention of few rows (decode steps, lookahead rows): there are not enough query rows to go round the threads, so the keys are
 * shared out. Every tile is softened against its own maximum (a part), then the parts are brought to the row's maximum and added.
 * The score rows are kept meanwhile, so captures need no second look at the keys.
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { OWN_KERNEL_ROWS = 16 }; /* stacked rows up to which our kernels beat the overhead of a library product */

struct few_job {
	struct cpu *c;
	const struct attention_op *op;
	int n_tile, n_stacked;
	int row[FEW_ROWS]; /* rows of the step */
};

/* Index of a stacked row's part: multiply by KEY_TILE or head_dim for its numbers. */
static size_t part_at(const struct few_job *job, int kv_head, int tile, int stacked)
{
	return ((size_t)kv_head * (size_t)job->n_tile + (size_t)tile) * (size_t)job->n_stacked + (size_t)stacked;
}

static int visible_keys(const struct few_job *job, int stacked, int tile)
{
	int position = job->c->step.position + job->row[stacked % job->op->rows.n], n = position + 1 - tile * KEY_TILE;
	return n < 0 ? 0 : n < KEY_TILE ? n : KEY_TILE;
}

static void multiply_parts(const struct few_job *job, int kv_head, int tile, const float *q, int n_key)
{
	struct cpu *c = job->c;
	int d = c->model->info.head_dim, m = job->n_stacked;
	size_t first = part_at(job, kv_head, tile, 0);
	float *score = c->area[AREA_SCORE] + first * KEY_TILE, *out = c->area[AREA_PART_OUT] + first * (size_t)d;
	const float *keys = cpu_key_tile(c, job->op->layer, tile, kv_head), *values = cpu_value_tile(c, job->op->layer, tile, kv_head);
	int failed = 0;
	if (m <= OWN_KERNEL_ROWS) {
		struct tile_rows rows = {.data = q, .m = m, .n = d, .ld = d};
		c->simd->rows->scores_few(&rows, keys, n_key, score, KEY_TILE);
	} else {
		struct gemm g = {.m = m, .n = n_key, .k = d, .a = q, .lda = d, .b = keys, .ldb = KEY_TILE, .c = score, .ldc = KEY_TILE};
		failed = gemm_run(&g);
	}
	for (int s = 0; s < m; s++) {
		int visible = visible_keys(job, s, tile);
		c->area[AREA_PART_MAX][first + (size_t)s] = c->simd->rows->largest(score + s * KEY_TILE, visible);
		c->area[AREA_PART_SUM][first + (size_t)s] = c->simd->rows->exp_row(score + s * KEY_TILE, c->area[AREA_PART_MAX][first + (size_t)s], visible, n_key);
	}
	if (job->op->output && m <= OWN_KERNEL_ROWS) {
		struct tile_rows rows = {.data = score, .m = m, .n = n_key, .ld = KEY_TILE};
		c->simd->rows->values_few(&rows, values, d, out);
	} else if (job->op->output) {
		struct gemm g = {.m = m, .n = d, .k = n_key, .a = score, .lda = KEY_TILE, .b = values, .ldb = d, .c = out, .ldc = d};
		failed |= gemm_run(&g);
	}
	if (failed)
		atomic_store(&c->failure, ERR_MEMORY);
}

static int tile_keys(const struct few_job *job, int tile)
{
	int end = job->c->step.position + job->op->rows.first + job->op->rows.n - tile * KEY_TILE;
	return end < KEY_TILE ? end : KEY_TILE;
}

static void part_piece(void *context, int piece, int thread)
{
	const struct few_job *job = context;
	int n_kv_head = job->c->model->info.n_kv_head, kv_head = piece % n_kv_head, tile = piece / n_kv_head;
	float *q = cpu_scratch(job->c, thread);
	cpu_stack_queries(job->c, kv_head, job->row, job->op->rows.n, q);
	multiply_parts(job, kv_head, tile, q, tile_keys(job, tile));
}

/* One stacked row: the row's maximum and sum over its parts; part_max becomes the factor that makes each part a share of the whole. */
static void join_row(const struct few_job *job, int kv_head, int stacked)
{
	struct cpu *c = job->c;
	const struct model_info *info = &c->model->info;
	int group = info->n_head / info->n_kv_head, d = info->head_dim, n = job->op->rows.n;
	float most = -INFINITY, sum = 0;
	for (int tile = 0; tile < job->n_tile; tile++) {
		float m = c->area[AREA_PART_MAX][part_at(job, kv_head, tile, stacked)];
		most = m > most ? m : most;
	}
	for (int tile = 0; tile < job->n_tile; tile++) {
		size_t at = part_at(job, kv_head, tile, stacked);
		c->area[AREA_PART_MAX][at] = visible_keys(job, stacked, tile) ? expf(c->area[AREA_PART_MAX][at] - most) : 0.0f;
		sum += c->area[AREA_PART_MAX][at] * c->area[AREA_PART_SUM][at];
	}
	if (!isfinite(sum)) {
		int none = -1;
		atomic_compare_exchange_strong(&c->bad_layer, &none, job->op->layer);
	}
	int head = kv_head * group + stacked / n;
	float *out = cpu_rows(c, ROWS_ATTENDED) + ((size_t)job->row[stacked % n] * (size_t)info->n_head + (size_t)head) * (size_t)d;
	if (job->op->output)
		memset(out, 0, (size_t)d * sizeof *out);
	for (int tile = 0; tile < job->n_tile; tile++) {
		size_t at = part_at(job, kv_head, tile, stacked);
		c->area[AREA_PART_MAX][at] /= sum;
		if (job->op->output && c->area[AREA_PART_MAX][at] != 0)
			c->simd->rows->axpy(out, c->area[AREA_PART_MAX][at], c->area[AREA_PART_OUT] + at * (size_t)d, d);
	}
}

static void join_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct few_job *job = context;
	for (int stacked = 0; stacked < job->n_stacked; stacked++)
		join_row(job, piece, stacked);
}

/* The captured rows of one tile, made probabilities in place. All heads of the group keep the layout of the parts. */
static void capture_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct few_job *job = context;
	struct cpu *c = job->c;
	int n_kv_head = c->model->info.n_kv_head, kv_head = piece % n_kv_head, tile = piece / n_kv_head, n_key = tile_keys(job, tile);
	size_t first = part_at(job, kv_head, tile, 0);
	for (int s = 0; s < job->n_stacked; s++)
		c->simd->rows->scale(c->area[AREA_SCORE] + (first + (size_t)s) * KEY_TILE, c->area[AREA_PART_MAX][first + (size_t)s], n_key);
	for (int i = 0; i < c->n_captured; i++) {
		struct capture_tile t = {.layer = job->op->layer, .kv_head = kv_head, .tile = tile, .n_key = n_key, .first = i, .n = 1,
			.p = c->area[AREA_SCORE] + (first + (size_t)(c->captured[i] - job->op->rows.first)) * KEY_TILE, .stride = job->op->rows.n};
		cpu_capture_add(c, &t);
	}
}

void cpu_attention_few(struct cpu *c, const struct attention_op *op)
{
	const struct model_info *info = &c->model->info;
	struct few_job job = {.c = c, .op = op, .n_stacked = op->rows.n * (info->n_head / info->n_kv_head)};
	for (int i = 0; i < op->rows.n; i++)
		job.row[i] = op->rows.first + i;
	job.n_tile = (c->step.position + op->rows.first + op->rows.n + KEY_TILE - 1) / KEY_TILE;
	threads_run(c->threads, job.n_tile * info->n_kv_head, part_piece, &job);
	threads_run(c->threads, info->n_kv_head, join_piece, &job);
	if (c->n_captured) {
		threads_run(c->threads, job.n_tile * info->n_kv_head, capture_piece, &job);
		cpu_capture_check(c, job.n_tile);
	}
}
