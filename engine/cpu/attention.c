/* Causal attention of many rows, after Dao et al. (FlashAttention, arXiv 2205.14135): a block of query rows goes over the cache's tiles
 * with a running maximum and sum per row, so nothing of size rows x keys is stored.
 *
 * A block is the rows of all query heads that share a KV head, stacked: both products of a tile are then one matrix product of
 * about STACK_ROWS rows. Tiles behind the block's last row are skipped and the last tile is cut there.
 *
 * bf16: queries, keys, values and the exponentials are rounded for the two products; maxima, sums and the weighted values stay
 * float32. A layer's tiles are rounded once per step. Shapes are few, as each is compiled: a block has always its full number of
 * rows, and tiles are cut at multiples of HALF_CUT.
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

static int group_size(const struct model_info *info)
{
	return info->n_head / info->n_kv_head;
}

/* Query rows of a block: times the group's size about STACK_ROWS. */
static int block_rows(const struct model_info *info)
{
	int rows = STACK_ROWS / group_size(info);
	return rows >= 16 ? rows / 8 * 8 : rows > 0 ? rows : 1;
}

size_t cpu_attention_scratch(const struct model_info *info)
{
	size_t block = (size_t)(block_rows(info) * group_size(info)), few = (size_t)(FEW_ROWS * group_size(info));
	return (block > few ? block : few) * (3 * (size_t)info->head_dim + 2 * KEY_TILE + 2);
}

struct block { /* query rows against one KV head */
	struct cpu *c;
	int layer, kv_head;
	int first_row, n_row; /* rows of the step */
	int n_stacked;        /* stacked row s: head s / n_row of the group, row first_row + s % n_row */
	int n_full;           /* n_stacked of a block with all its rows; buffers are this large */
	float *q, *score, *out; /* (n_stacked, head_dim), (n_stacked, KEY_TILE), (n_stacked, head_dim) */
	float *max, *sum;       /* (n_stacked) so far */
	uint16_t *half_q, *half_score; /* bf16: rounded copies */
};

/* Scores of a tile become exponentials (in half_score for bf16) against the row's new maximum; what was summed before is brought to that maximum. */
static void soften_row(const struct block *b, int s, int tile, int visible, int n_key)
{
	const struct simd_rows *k = b->c->simd->rows;
	int d = b->c->model->info.head_dim;
	float *score = b->score + (size_t)s * KEY_TILE, most = k->largest(score, visible);
	if (tile == 0) {
		b->max[s] = most;
		b->sum[s] = 0;
	} else if (most > b->max[s]) {
		float factor = exp2f(b->max[s] - most);
		b->max[s] = most;
		b->sum[s] *= factor;
		k->scale(b->out + (size_t)s * (size_t)d, factor, d);
	}
	if (b->c->half)
		b->sum[s] += k->exp2_row_bf16(score, b->max[s], visible, n_key, b->half_score + (size_t)s * KEY_TILE);
	else
		b->sum[s] += k->exp2_row(score, b->max[s], visible, n_key);
}

static void soften_tile(const struct block *b, int tile, int n_key)
{
	for (int s = 0; s < b->n_stacked; s++) {
		int visible = b->c->step.position + b->first_row + s % b->n_row + 1 - tile * KEY_TILE;
		if (visible > 0)
			soften_row(b, s, tile, visible < n_key ? visible : n_key, n_key);
		else if (b->c->half)
			memset(b->half_score + (size_t)s * KEY_TILE, 0, (size_t)n_key * sizeof(uint16_t));
		else
			memset(b->score + (size_t)s * KEY_TILE, 0, (size_t)n_key * sizeof(float));
	}
}

static void attend_tile(const struct block *b, int tile, int n_key)
{
	struct cpu *c = b->c;
	int d = c->model->info.head_dim;
	struct gemm scores = {.m = b->n_stacked, .n = n_key, .k = d, .a = b->q, .lda = d,
		.b = cpu_key_tile(c, b->layer, tile, b->kv_head), .ldb = KEY_TILE, .c = b->score, .ldc = KEY_TILE};
	struct gemm values = {.m = b->n_stacked, .n = d, .k = n_key, .a = b->score, .lda = KEY_TILE,
		.b = cpu_value_tile(c, b->layer, tile, b->kv_head), .ldb = d, .c = b->out, .ldc = d, .add = tile > 0};
	int failed = gemm_run(&scores);
	soften_tile(b, tile, n_key);
	if (failed || gemm_run(&values))
		atomic_store(&c->failure, ERR_MEMORY);
}

/* ---- bf16 --------------------------------------------------------------------------------------------------------- */

enum { HALF_CUT = 64 };

static size_t half_tile_at(const struct cpu *c, int tile, int kv_head)
{
	return ((size_t)tile * (size_t)c->model->info.n_kv_head + (size_t)kv_head) * (size_t)(KEY_TILE * c->model->info.head_dim);
}

static void attend_half_tile(const struct block *b, int tile, int n_key, struct bf16_gemm_cache *products)
{
	struct cpu *c = b->c;
	int d = c->model->info.head_dim, cut = (n_key + HALF_CUT - 1) / HALF_CUT * HALF_CUT;
	size_t at = half_tile_at(c, tile, b->kv_head);
	struct bf16_gemm scores = {.m = b->n_full, .n = cut, .k = d, .a = b->half_q, .lda = d,
		.b = cpu_half(c, AREA_HALF_KEYS) + at, .ldb = KEY_TILE, .c = b->score, .ldc = KEY_TILE};
	struct bf16_gemm values = {.m = b->n_full, .n = d, .k = cut, .a = b->half_score, .lda = KEY_TILE,
		.b = cpu_half(c, AREA_HALF_VALUES) + at, .ldb = d, .c = b->out, .ldc = d, .add = tile > 0};
	int failed = bf16_gemm_run(products, &scores);
	soften_tile(b, tile, cut);
	if (failed || bf16_gemm_run(products, &values))
		atomic_store(&c->failure, ERR_MEMORY);
}

struct round_job {
	struct cpu *c;
	int layer, n_key;
};

static void round_tile_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct round_job *job = context;
	struct cpu *c = job->c;
	int d = c->model->info.head_dim, kv_head = piece % c->model->info.n_kv_head, tile = piece / c->model->info.n_kv_head;
	int n = job->n_key - tile * KEY_TILE < KEY_TILE ? job->n_key - tile * KEY_TILE : KEY_TILE;
	size_t at = half_tile_at(c, tile, kv_head);
	uint16_t *values = cpu_half(c, AREA_HALF_VALUES) + at;
	c->simd->unpack->round_bf16(cpu_key_tile(c, job->layer, tile, kv_head), d * KEY_TILE, cpu_half(c, AREA_HALF_KEYS) + at);
	c->simd->unpack->round_bf16(cpu_value_tile(c, job->layer, tile, kv_head), n * d, values);
	/* Weights behind the last key are 0, but 0 times what lies there may be NaN. */
	memset(values + (size_t)n * (size_t)d, 0, (size_t)(KEY_TILE - n) * (size_t)d * sizeof *values);
}

/* ---- blocks --------------------------------------------------------------------------------------------------------- */

static void store_block(const struct block *b)
{
	struct cpu *c = b->c;
	const struct model_info *info = &c->model->info;
	int d = info->head_dim;
	for (int s = 0; s < b->n_stacked; s++) {
		int row = b->first_row + s % b->n_row, head = b->kv_head * group_size(info) + s / b->n_row;
		float *out = cpu_rows(c, ROWS_ATTENDED) + ((size_t)row * (size_t)info->n_head + (size_t)head) * (size_t)d;
		memcpy(out, b->out + (size_t)s * (size_t)d, (size_t)d * sizeof *out);
		c->simd->rows->scale(out, 1.0f / b->sum[s], d);
		cpu_check_sum(c, b->layer, b->sum[s]);
	}
}

struct attention_job {
	struct cpu *c;
	const struct attention_op *op;
	int n_block;
};

static void place_buffers(struct block *b, int n_full)
{
	size_t n = (size_t)n_full, d = (size_t)b->c->model->info.head_dim;
	b->n_full = n_full;
	b->out = b->q + n * d;
	b->score = b->out + n * d;
	b->max = b->score + n * KEY_TILE;
	b->sum = b->max + n;
	b->half_q = (uint16_t *)(b->sum + n);
	b->half_score = b->half_q + n * d;
}

static void block_piece(void *context, int piece, int thread)
{
	const struct attention_job *job = context;
	struct cpu *c = job->c;
	const struct model_info *info = &c->model->info;
	int rows = block_rows(info), row[STACK_ROWS];
	int at = job->n_block - 1 - piece / info->n_kv_head; /* the longest first */
	int left = job->op->rows.n - at * rows;
	struct block b = {.c = c, .layer = job->op->layer, .kv_head = piece % info->n_kv_head,
		.first_row = job->op->rows.first + at * rows, .n_row = left < rows ? left : rows, .q = cpu_scratch(c, thread)};
	b.n_stacked = group_size(info) * b.n_row;
	place_buffers(&b, group_size(info) * rows);
	for (int i = 0; i < b.n_row; i++)
		row[i] = b.first_row + i;
	cpu_stack_queries(c, b.kv_head, row, b.n_row, b.q);
	if (c->half)
		c->simd->unpack->round_bf16(b.q, b.n_stacked * info->head_dim, b.half_q);
	int n_key = c->step.position + b.first_row + b.n_row; /* visible to the block's last row */
	for (int tile = 0; tile * KEY_TILE < n_key; tile++) {
		int n = n_key - tile * KEY_TILE < KEY_TILE ? n_key - tile * KEY_TILE : KEY_TILE;
		if (c->half)
			attend_half_tile(&b, tile, n, c->half[thread]);
		else
			attend_tile(&b, tile, n);
	}
	store_block(&b);
}

static void attend_blocks(struct cpu *c, const struct attention_op *op)
{
	int rows = block_rows(&c->model->info);
	struct attention_job job = {.c = c, .op = op, .n_block = (op->rows.n + rows - 1) / rows};
	struct round_job round = {.c = c, .layer = op->layer, .n_key = c->step.position + op->rows.first + op->rows.n};
	if (c->half)
		threads_run(c->threads, (round.n_key + KEY_TILE - 1) / KEY_TILE * c->model->info.n_kv_head, round_tile_piece, &round);
	threads_run(c->threads, job.n_block * c->model->info.n_kv_head, block_piece, &job);
}

void cpu_attention(struct backend *b, const struct attention_op *op)
{
	struct cpu *c = (struct cpu *)b;
	struct few_rows few = {.layer = op->layer, .output = op->output, .capture = c->n_captured > 0};
	if (op->rows.n <= FEW_ROWS) {
		for (few.n = 0; few.n < op->rows.n; few.n++)
			few.row[few.n] = op->rows.first + few.n;
		if (few.n)
			cpu_attention_few(c, &few);
		return;
	}
	attend_blocks(c, op);
	few.output = false;
	for (int at = 0; at < c->n_captured; at += few.n) {
		few.n = c->n_captured - at < FEW_ROWS ? c->n_captured - at : FEW_ROWS;
		memcpy(few.row, c->captured + at, (size_t)few.n * sizeof *few.row);
		cpu_attention_few(c, &few);
	}
}
