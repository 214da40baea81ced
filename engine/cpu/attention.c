/* Causal attention of many rows, after Dao et al. (FlashAttention, arXiv 2205.14135): a block of query rows goes over the cache's tiles
 * with a running maximum and sum per row, so nothing of size rows x keys is stored.
 *
 * A block is the rows of all query heads that share a KV head, stacked: both products of a tile are then one matrix product of
 * about STACK_ROWS rows. Tiles behind the block's last row are skipped and the last tile is cut there. The final maximum and sum
 * of every row stay behind for the captures (capture.c).
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

int cpu_block_rows(const struct model_info *info)
{
	int rows = STACK_ROWS / (info->n_head / info->n_kv_head);
	return rows >= 16 ? rows / 8 * 8 : rows > 0 ? rows : 1;
}

static size_t stacked_rows(const struct model_info *info)
{
	return (size_t)cpu_block_rows(info) * (size_t)(info->n_head / info->n_kv_head);
}

size_t cpu_attention_scratch(const struct model_info *info)
{
	size_t stack = stacked_rows(info);
	if (stack < FEW_ROWS * (size_t)(info->n_head / info->n_kv_head))
		stack = FEW_ROWS * (size_t)(info->n_head / info->n_kv_head);
	return stack * (2 * (size_t)info->head_dim + KEY_TILE) + KEY_TILE;
}

void cpu_stack_queries(const struct cpu *c, int kv_head, const int *row, int n, float *out)
{
	const struct model_info *info = &c->model->info;
	int group = info->n_head / info->n_kv_head, d = info->head_dim;
	float factor = (float)(1.0 / sqrt(d));
	for (int head = 0; head < group; head++)
		for (int i = 0; i < n; i++) {
			const float *q = cpu_rows(c, ROWS_Q) + ((size_t)row[i] * (size_t)info->n_head + (size_t)(kv_head * group + head)) * (size_t)d;
			for (int k = 0; k < d; k++)
				*out++ = q[k] * factor;
		}
}

struct block { /* of query rows against one KV head */
	struct cpu *c;
	const struct attention_op *op;
	int kv_head, first_row, n_row, n_stacked; /* rows of the step */
	float *q, *score, *out;                   /* (n_stacked, head_dim), (n_stacked, KEY_TILE), (n_stacked, head_dim) */
	float *max, *sum;                         /* stacked row (head, i) at head * max_rows + i: into AREA_ROW_MAX, AREA_ROW_SUM */
};

/* Scores of a tile become exponentials against the row's new maximum; what was summed before is brought to that maximum. */
static void soften_tile(const struct block *b, int tile, int n_key)
{
	const struct cpu *c = b->c;
	int d = c->model->info.head_dim;
	for (int s = 0; s < b->n_stacked; s++) {
		int i = s % b->n_row, visible = c->step.position + b->first_row + i + 1 - tile * KEY_TILE;
		size_t at = (size_t)(s / b->n_row) * (size_t)c->max_rows + (size_t)i;
		float *score = b->score + (size_t)s * KEY_TILE;
		if (visible > n_key)
			visible = n_key;
		if (visible <= 0) {
			memset(score, 0, (size_t)n_key * sizeof *score);
			continue;
		}
		float most = c->simd->rows->largest(score, visible);
		if (tile == 0) {
			b->max[at] = most;
			b->sum[at] = 0;
		} else if (most > b->max[at]) {
			float factor = expf(b->max[at] - most);
			b->max[at] = most;
			b->sum[at] *= factor;
			c->simd->rows->scale(b->out + (size_t)s * (size_t)d, factor, d);
		}
		b->sum[at] += c->simd->rows->exp_row(score, b->max[at], visible, n_key);
	}
}

static void attend_tile(const struct block *b, int tile, int n_key)
{
	struct cpu *c = b->c;
	int d = c->model->info.head_dim;
	struct gemm scores = {.m = b->n_stacked, .n = n_key, .k = d, .a = b->q, .lda = d,
		.b = cpu_key_tile(c, b->op->layer, tile, b->kv_head), .ldb = KEY_TILE, .c = b->score, .ldc = KEY_TILE};
	int failed = gemm_run(&scores);
	soften_tile(b, tile, n_key);
	struct gemm values = {.m = b->n_stacked, .n = d, .k = n_key, .a = b->score, .lda = KEY_TILE,
		.b = cpu_value_tile(c, b->op->layer, tile, b->kv_head), .ldb = d, .c = b->out, .ldc = d, .add = tile > 0};
	if (failed || gemm_run(&values))
		atomic_store(&c->failure, ERR_MEMORY);
}

static void store_block(const struct block *b)
{
	struct cpu *c = b->c;
	const struct model_info *info = &c->model->info;
	int group = info->n_head / info->n_kv_head, d = info->head_dim;
	for (int s = 0; s < b->n_stacked; s++) {
		int i = s % b->n_row, head = s / b->n_row;
		float sum = b->sum[(size_t)head * (size_t)c->max_rows + (size_t)i];
		float *out = cpu_rows(c, ROWS_ATTENDED)
			+ ((size_t)(b->first_row + i) * (size_t)info->n_head + (size_t)(b->kv_head * group + head)) * (size_t)d;
		memcpy(out, b->out + (size_t)s * (size_t)d, (size_t)d * sizeof *out);
		c->simd->rows->scale(out, 1.0f / sum, d);
		if (!isfinite(sum)) {
			int none = -1;
			atomic_compare_exchange_strong(&c->bad_layer, &none, b->op->layer);
		}
	}
}

struct attention_job {
	struct cpu *c;
	const struct attention_op *op;
	int n_block;
};

static void block_piece(void *context, int piece, int thread)
{
	const struct attention_job *job = context;
	struct cpu *c = job->c;
	const struct model_info *info = &c->model->info;
	int group = info->n_head / info->n_kv_head, rows = cpu_block_rows(info), row[STACK_ROWS];
	int kv_head = piece % info->n_kv_head, at = job->n_block - 1 - piece / info->n_kv_head; /* the longest first */
	int left = job->op->rows.n - at * rows;
	struct block b = {.c = c, .op = job->op, .kv_head = kv_head, .first_row = job->op->rows.first + at * rows,
		.n_row = left < rows ? left : rows, .q = cpu_scratch(c, thread)};
	b.n_stacked = group * b.n_row;
	b.out = b.q + (size_t)b.n_stacked * (size_t)info->head_dim;
	b.score = b.out + (size_t)b.n_stacked * (size_t)info->head_dim;
	b.max = c->area[AREA_ROW_MAX] + (size_t)(kv_head * group) * (size_t)c->max_rows + b.first_row;
	b.sum = c->area[AREA_ROW_SUM] + (size_t)(kv_head * group) * (size_t)c->max_rows + b.first_row;
	for (int i = 0; i < b.n_row; i++)
		row[i] = b.first_row + i;
	cpu_stack_queries(c, kv_head, row, b.n_row, b.q);
	int n_key = c->step.position + b.first_row + b.n_row; /* visible to the block's last row */
	for (int tile = 0; tile * KEY_TILE < n_key; tile++)
		attend_tile(&b, tile, n_key - tile * KEY_TILE < KEY_TILE ? n_key - tile * KEY_TILE : KEY_TILE);
	store_block(&b);
}

void cpu_attention(struct backend *b, const struct attention_op *op)
{
	struct cpu *c = (struct cpu *)b;
	if (op->rows.n <= 0)
		return;
	if (op->rows.n <= FEW_ROWS) {
		cpu_attention_few(c, op);
		return;
	}
	int rows = cpu_block_rows(&c->model->info);
	struct attention_job job = {.c = c, .op = op, .n_block = (op->rows.n + rows - 1) / rows};
	threads_run(c->threads, job.n_block * c->model->info.n_kv_head, block_piece, &job);
	if (c->n_captured)
		cpu_capture_recompute(c, op);
}
