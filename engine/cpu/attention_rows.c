/* What attention of many rows and of few share: the stack of query rows against one KV head, and the check of its sums.
 *
 * Scores are kept times log2 e, so that their exponentials are powers of two: the factor is in the queries anyway.
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

#define LOG2_E 1.4426950408889634

void cpu_stack_queries(const struct cpu *c, int kv_head, const int *row, int n, float *out)
{
	const struct model_info *info = &c->model->info;
	int group = info->n_head / info->n_kv_head, d = info->head_dim;
	float factor = (float)(LOG2_E / sqrt(d));
	for (int head = 0; head < group; head++)
		for (int i = 0; i < n; i++, out += d) {
			const float *q = cpu_rows(c, ROWS_Q) + ((size_t)row[i] * (size_t)info->n_head + (size_t)(kv_head * group + head)) * (size_t)d;
			memcpy(out, q, (size_t)d * sizeof *out);
			c->simd->rows->scale(out, factor, d);
		}
}

void cpu_check_sum(struct cpu *c, int layer, float sum)
{
	int none = -1;
	if (!isfinite(sum))
		atomic_compare_exchange_strong(&c->bad_layer, &none, layer);
}
