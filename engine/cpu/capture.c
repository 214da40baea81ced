/* Column sums of captured rows (methods.md 1.1): every importance method is this sum over another set of rows.
 *
 * A column of a map belongs to one piece of work (KV head, tile), and rows are added in ascending order, so sums do not depend on
 * the number of threads and nothing is locked. After attention of many rows the captured rows' scores are computed a second time
 * against the final maximum and sum, which costs rows / n of the attention and stores nothing of size rows x keys.
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

void cpu_capture_begin(struct cpu *c)
{
	const struct step *step = &c->step;
	c->n_captured = 0;
	for (int row = 0; row < step->n_rows; row++)
		for (int i = 0; i < step->n_capture; i++)
			if (capture_row(&step->capture[i], step->position + row) >= 0) {
				c->captured[c->n_captured++] = row;
				break;
			}
}

static float *check_at(const struct cpu *c, int tile, int head, int i)
{
	return c->area[AREA_CHECK] + ((size_t)tile * (size_t)c->model->info.n_head + (size_t)head) * (size_t)c->n_captured + i;
}

/* Adds the rows of one head that belong to one capture to its columns. */
static void add_columns(struct cpu *c, const struct capture_tile *t, const struct capture *capture, int head_in_group)
{
	const struct model_info *info = &c->model->info;
	int head = t->kv_head * (info->n_head / info->n_kv_head) + head_in_group, begin = t->tile * KEY_TILE;
	int n = capture->n_key - begin < t->n_key ? capture->n_key - begin : t->n_key, added = 0;
	float column[KEY_TILE];
	size_t map = (size_t)t->layer * (size_t)info->n_head + (size_t)head;
	for (int i = 0; n > 0 && i < t->n; i++) {
		int row = capture_row(capture, c->step.position + c->captured[t->first + i]);
		const float *p = t->p + ((size_t)head_in_group * (size_t)t->stride + (size_t)i) * KEY_TILE;
		if (row < 0)
			continue;
		if (capture->per_row)
			memcpy(capture->per_row + (map * (size_t)capture->count + (size_t)row) * (size_t)capture->n_key + begin, p,
				(size_t)n * sizeof *p);
		if (added++)
			c->simd->rows->axpy(column, 1.0f, p, n);
		else
			memcpy(column, p, (size_t)n * sizeof *p);
	}
	if (added && capture->sum)
		c->simd->rows->axpy(capture->sum + map * (size_t)capture->n_key + begin, 1.0f, column, n);
}

void cpu_capture_add(struct cpu *c, const struct capture_tile *t)
{
	int group = c->model->info.n_head / c->model->info.n_kv_head;
	for (int head = 0; head < group; head++) {
		for (int i = 0; i < c->step.n_capture; i++)
			add_columns(c, t, &c->step.capture[i], head);
		for (int i = 0; i < t->n; i++)
			*check_at(c, t->tile, t->kv_head * group + head, t->first + i) =
				c->simd->rows->sum(t->p + ((size_t)head * (size_t)t->stride + (size_t)i) * KEY_TILE, t->n_key);
	}
}

/* The larger; a NaN stays. */
static void raise_to(double *worst, double error)
{
	if (!isnan(*worst) && !(error <= *worst))
		*worst = error;
}

void cpu_capture_check(struct cpu *c, int n_tile)
{
	const struct step *step = &c->step;
	for (int i = 0; i < c->n_captured; i++) {
		double worst = 0;
		for (int head = 0; head < c->model->info.n_head; head++) {
			double sum = 0;
			for (int tile = 0; tile < n_tile; tile++)
				sum += *check_at(c, tile, head, i);
			raise_to(&worst, fabs(sum - 1));
		}
		for (int k = 0; k < step->n_capture; k++) {
			double *error = step->capture[k].row_error;
			if (error && capture_row(&step->capture[k], step->position + c->captured[i]) >= 0)
				raise_to(error, worst);
		}
	}
}

/* ---- the second look, after attention of many rows -------------------------------------------------------------- */

struct recompute_job {
	struct cpu *c;
	const struct attention_op *op;
	int n_tile;
};

/* Probabilities of captured rows [first, first + n) against one tile: the same products and exponentials as before. */
static void recompute(struct cpu *c, const struct capture_tile *t, float *q, float *score)
{
	const struct model_info *info = &c->model->info;
	int group = info->n_head / info->n_kv_head, d = info->head_dim;
	const int *row = c->captured + t->first;
	cpu_stack_queries(c, t->kv_head, row, t->n, q);
	struct gemm g = {.m = group * t->n, .n = t->n_key, .k = d, .a = q, .lda = d,
		.b = cpu_key_tile(c, t->layer, t->tile, t->kv_head), .ldb = KEY_TILE, .c = score, .ldc = KEY_TILE};
	if (gemm_run(&g))
		atomic_store(&c->failure, ERR_MEMORY);
	for (int s = 0; s < group * t->n; s++) {
		int r = row[s % t->n], visible = c->step.position + r + 1 - t->tile * KEY_TILE;
		size_t at = (size_t)(t->kv_head * group + s / t->n) * (size_t)c->max_rows + (size_t)r;
		float *p = score + (size_t)s * KEY_TILE;
		visible = visible < 0 ? 0 : visible < t->n_key ? visible : t->n_key;
		c->simd->rows->exp_row(p, c->area[AREA_ROW_MAX][at], visible, t->n_key);
		c->simd->rows->scale(p, 1.0f / c->area[AREA_ROW_SUM][at], visible);
	}
}

static void clear_checks(struct cpu *c, const struct capture_tile *t)
{
	int group = c->model->info.n_head / c->model->info.n_kv_head;
	for (int head = t->kv_head * group; head < (t->kv_head + 1) * group; head++)
		memset(check_at(c, t->tile, head, t->first), 0, (size_t)t->n * sizeof(float));
}

static void recompute_piece(void *context, int piece, int thread)
{
	const struct recompute_job *job = context;
	struct cpu *c = job->c;
	const struct model_info *info = &c->model->info;
	int most = cpu_block_rows(info), keys = c->step.position + job->op->rows.first + job->op->rows.n;
	float *q = cpu_scratch(c, thread);
	float *score = q + (size_t)most * (size_t)(info->n_head / info->n_kv_head) * (size_t)info->head_dim;
	struct capture_tile t = {.layer = job->op->layer, .kv_head = piece % info->n_kv_head, .tile = piece / info->n_kv_head, .p = score};
	t.n_key = keys - t.tile * KEY_TILE < KEY_TILE ? keys - t.tile * KEY_TILE : KEY_TILE;
	for (t.first = 0; t.first < c->n_captured; t.first += t.n) {
		t.n = c->n_captured - t.first < most ? c->n_captured - t.first : most;
		t.stride = t.n;
		if (c->step.position + c->captured[t.first + t.n - 1] < t.tile * KEY_TILE) {
			clear_checks(c, &t); /* the tile lies ahead of all these rows */
			continue;
		}
		recompute(c, &t, q, score);
		cpu_capture_add(c, &t);
	}
}

void cpu_capture_recompute(struct cpu *c, const struct attention_op *op)
{
	struct recompute_job job = {.c = c, .op = op};
	job.n_tile = (c->step.position + op->rows.first + op->rows.n + KEY_TILE - 1) / KEY_TILE;
	threads_run(c->threads, job.n_tile * c->model->info.n_kv_head, recompute_piece, &job);
	cpu_capture_check(c, job.n_tile);
}
