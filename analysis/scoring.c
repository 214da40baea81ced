#include "analysis/scoring.h"

#include <math.h>
#include <string.h>

int scoring_n_unit(const struct capture *c, const struct scoring *how)
{
	return how->group == REDUCE_NONE ? c->n_head : c->n_kv_head;
}

int scoring_prepare(struct score_job *job, struct err *e)
{
	static const char *const name[] = {[WEIGHT_L2] = "value_l2", [WEIGHT_L1_WO] = "value_l1_wo",
		[WEIGHT_L2_WO] = "value_l2_wo"};
	job->value = NULL;
	if (job->how.value == WEIGHT_NONE)
		return 0;
	job->value = capture_find(job->capture, name[job->how.value]);
	if (!job->value || job->value->kind != MAP_SCORE)
		return err_set(e, ERR_USE, "score.%s is not in this capture, value weights need it", name[job->how.value]);
	return 0;
}

/* One vector pooled: in and out (n), not the same. */
static void pool_row(enum pool pool, int kernel, const double *in, int n, double *out)
{
	int half = kernel / 2;
	if (pool == POOL_NONE) {
		memcpy(out, in, (size_t)n * sizeof *out);
		return;
	}
	for (int j = 0; j < n; j++) {
		int first = j > half ? j - half : 0, last = n - j > half ? j + half : n - 1;
		double sum = 0, max = -INFINITY;
		for (int i = first; i <= last; i++) {
			sum += in[i];
			max = in[i] > max ? in[i] : max;
		}
		out[j] = pool == POOL_AVG ? sum / kernel : max;
	}
}

/* Rows that one unit reduces: all heads of the layer when the set is shared, its own query head, or its group. */
static void unit_rows(const struct score_job *job, int unit, int *first, int *count)
{
	const struct capture *c = job->capture;
	int heads = job->map->kind == MAP_SCORE ? c->n_kv_head : c->n_head;
	int n_unit = scoring_n_unit(c, &job->how);
	*first = unit * heads / n_unit; /* a KV head's score serves all its query heads */
	*count = heads > n_unit ? heads / n_unit : 1;
	if (job->shared) {
		*first = 0;
		*count = heads;
	}
}

void scoring_row(const struct score_job *job, int layer, int head, int n, double *out)
{
	const float *row = capture_row(job->capture, job->map, layer, head);
	double n_rows = job->capture->n_prompt;
	for (int j = 0; j < n; j++)
		out[j] = (double)row[j];
	/* the map is a mean over all n rows, of which only n - j can see column j */
	for (int j = 0; job->how.per_visible_rows && j < n; j++)
		out[j] *= n_rows / (n_rows - j);
}

static void reduce(enum reduce how, const double *row, int n, bool first, double *sum)
{
	if (first)
		memcpy(sum, row, (size_t)n * sizeof *sum);
	else if (how == REDUCE_MAX)
		for (int j = 0; j < n; j++)
			sum[j] = row[j] > sum[j] ? row[j] : sum[j];
	else
		for (int j = 0; j < n; j++)
			sum[j] += row[j];
}

void scoring_unit(const struct score_job *job, int layer, int unit, double *scratch, float *out)
{
	const struct capture *c = job->capture;
	int n = c->n_prompt, kept = job->window < n ? n - job->window : 0;
	int n_pool = job->how.cut_window ? kept : n;
	enum pool pool = job->map->kind == MAP_SCORE ? POOL_NONE : job->how.pool;
	enum reduce how = job->shared ? REDUCE_MEAN : job->how.group;
	double *row = scratch, *pooled = scratch + n, *sum = scratch + 2 * (size_t)n;
	int first, count;
	unit_rows(job, unit, &first, &count);
	for (int i = 0; i < count; i++) {
		scoring_row(job, layer, first + i, n_pool, row);
		if (job->how.pool_before_group)
			pool_row(pool, job->how.kernel, row, n_pool, pooled);
		reduce(how, job->how.pool_before_group ? pooled : row, n_pool, i == 0, sum);
	}
	if (!job->how.pool_before_group) {
		pool_row(pool, job->how.kernel, sum, n_pool, pooled);
		memcpy(sum, pooled, (size_t)n_pool * sizeof *sum);
	}
	double scale = how == REDUCE_MEAN ? 1.0 / count : 1.0;
	int kv_head = unit * c->n_kv_head / scoring_n_unit(c, &job->how);
	const float *value = job->value ? capture_row(c, job->value, layer, kv_head) : NULL;
	for (int j = 0; j < n; j++)
		out[j] = j >= kept ? 0 : (float)(sum[j] * scale * (value ? (double)value[j] : 1.0));
}
