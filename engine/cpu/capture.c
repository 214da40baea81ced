/* Column sums of captured rows (engine/engine.h): every importance method is this sum over another set of rows.
 *
 * Captured rows go through attention_few.c, in prefill a second time: that costs rows / n of the attention and stores nothing of
 * size n x n. A column of a map belongs to one piece of work (KV head, tile), and rows are added in ascending order, so sums do not
 * depend on the number of threads and nothing is locked.
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

/* Sum of row i's probabilities of one head in one tile; (tile, head, i) with n rows. */
static float *check_at(const struct cpu *c, int tile, int head, int i, int n)
{
	return c->area[AREA_CHECK] + ((size_t)tile * (size_t)c->model->info.n_head + (size_t)head) * (size_t)n + i;
}

/* Adds the rows of one head that belong to one capture to its columns. */
static void add_columns(struct cpu *c, const struct capture_tile *t, const struct capture *capture, int head_in_group)
{
	const struct model_info *info = &c->model->info;
	int head = t->kv_head * (info->n_head / info->n_kv_head) + head_in_group, begin = t->tile * KEY_TILE, added = 0;
	int n = capture->n_key - begin < t->n_key ? capture->n_key - begin : t->n_key;
	size_t map = (size_t)t->layer * (size_t)info->n_head + (size_t)head;
	float column[KEY_TILE];
	for (int i = 0; n > 0 && i < t->n; i++) {
		int row = capture_row(capture, c->step.position + t->row[i]);
		const float *p = t->p + ((size_t)head_in_group * (size_t)t->n + (size_t)i) * KEY_TILE;
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
		for (int i = 0; i < t->n; i++) {
			size_t stacked = (size_t)head * (size_t)t->n + (size_t)i;
			*check_at(c, t->tile, t->kv_head * group + head, i, t->n) =
				c->simd->rows->scale_sum(t->p + stacked * KEY_TILE, t->factor[stacked], t->n_key);
		}
		for (int i = 0; i < c->step.n_capture; i++)
			add_columns(c, t, &c->step.capture[i], head);
	}
}

/* The larger; a NaN stays. */
static void raise_to(double *worst, double error)
{
	if (!isnan(*worst) && !(error <= *worst))
		*worst = error;
}

void cpu_capture_check(struct cpu *c, const int *row, int n, int n_tile)
{
	for (int i = 0; i < n; i++) {
		double worst = 0;
		for (int head = 0; head < c->model->info.n_head; head++) {
			double sum = 0;
			for (int tile = 0; tile < n_tile; tile++)
				sum += *check_at(c, tile, head, i, n);
			raise_to(&worst, fabs(sum - 1));
		}
		for (int k = 0; k < c->step.n_capture; k++) {
			const struct capture *capture = &c->step.capture[k];
			if (capture->row_error && capture_row(capture, c->step.position + row[i]) >= 0)
				raise_to(capture->row_error, worst);
		}
	}
}
