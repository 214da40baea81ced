/* Attention of few rows (decode steps, lookahead rows, rows to be measured): there are not enough query rows to go round the threads,
 * so the keys are shared out. Every tile is softened against its own maximum (a part), then the parts are brought to the row's
 * maximum and added. Score rows are kept meanwhile, so captures need no second look at the keys. Always float32.
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { OWN_KERNEL_ROWS = 16 }; /* stacked rows up to which our kernels beat the overhead of a library product */

struct few_job {
	struct cpu *c;
	const struct few_rows *f;
	int n_tile, n_stacked;
};

/* Index of a stacked row's part: multiply by KEY_TILE or head_dim for its numbers. */
static size_t part_at(const struct few_job *job, int kv_head, int tile, int stacked)
{
	return ((size_t)kv_head * (size_t)job->n_tile + (size_t)tile) * (size_t)job->n_stacked + (size_t)stacked;
}

static int visible_keys(const struct few_job *job, int stacked, int tile)
{
	int n = job->c->step.position + job->f->row[stacked % job->f->n] + 1 - tile * KEY_TILE;
	return n < 0 ? 0 : n < KEY_TILE ? n : KEY_TILE;
}

/* Keys of the tile that the last row sees. */
static int tile_keys(const struct few_job *job, int tile)
{
	return visible_keys(job, job->f->n - 1, tile);
}

static void multiply_scores(const struct few_job *job, int kv_head, int tile, const float *q, float *score)
{
	struct cpu *c = job->c;
	int d = c->model->info.head_dim, m = job->n_stacked, n_key = tile_keys(job, tile);
	const float *keys = cpu_key_tile(c, job->f->layer, tile, kv_head);
	struct tile_rows rows = {.data = q, .m = m, .n = d, .ld = d};
	struct gemm g = {.m = m, .n = n_key, .k = d, .a = q, .lda = d, .b = keys, .ldb = KEY_TILE, .c = score, .ldc = KEY_TILE};
	if (m <= OWN_KERNEL_ROWS)
		c->simd->rows->scores_few(&rows, keys, n_key, score, KEY_TILE);
	else if (gemm_run(&g))
		atomic_store(&c->failure, ERR_MEMORY);
}

static void multiply_values(const struct few_job *job, int kv_head, int tile, const float *p, float *out)
{
	struct cpu *c = job->c;
	int d = c->model->info.head_dim, m = job->n_stacked, n_key = tile_keys(job, tile);
	const float *values = cpu_value_tile(c, job->f->layer, tile, kv_head);
	struct tile_rows rows = {.data = p, .m = m, .n = n_key, .ld = KEY_TILE};
	struct gemm g = {.m = m, .n = d, .k = n_key, .a = p, .lda = KEY_TILE, .b = values, .ldb = d, .c = out, .ldc = d};
	if (m <= OWN_KERNEL_ROWS)
		c->simd->rows->values_few(&rows, values, d, out);
	else if (gemm_run(&g))
		atomic_store(&c->failure, ERR_MEMORY);
}

/* Keys of the tile that the query head may not see leave the softmax. */
static void evict_scores(const struct few_job *job, int kv_head, int tile, int stacked, float *score)
{
	const struct cpu *c = job->c;
	const struct model_info *info = &c->model->info;
	int head = kv_head * (info->n_head / info->n_kv_head) + stacked / job->f->n, begin = tile * KEY_TILE;
	int n = c->n_evictable - begin < KEY_TILE ? c->n_evictable - begin : KEY_TILE;
	const uint8_t *kept = c->kept + ((size_t)job->f->layer * (size_t)info->n_head + (size_t)head) * (size_t)c->n_evictable + begin;
	for (int j = 0; j < n; j++)
		if (!kept[j])
			score[j] = -INFINITY;
}

/* Scores of one row become exponentials against the part's own maximum; their sum is returned. A part of which nothing is kept has the
 * maximum -INFINITY and adds nothing. */
static float soften_part(const struct few_job *job, int kv_head, int tile, int stacked, float *score, float *most)
{
	const struct simd_rows *k = job->c->simd->rows;
	int visible = visible_keys(job, stacked, tile), n_key = tile_keys(job, tile);
	if (job->c->kept)
		evict_scores(job, kv_head, tile, stacked, score);
	*most = k->largest(score, visible);
	if (*most > -INFINITY || !job->c->kept)
		return k->exp2_row(score, *most, visible, n_key);
	memset(score, 0, (size_t)n_key * sizeof *score);
	return 0;
}

static void part_piece(void *context, int piece, int thread)
{
	const struct few_job *job = context;
	struct cpu *c = job->c;
	int n_kv_head = c->model->info.n_kv_head, kv_head = piece % n_kv_head, tile = piece / n_kv_head;
	size_t first = part_at(job, kv_head, tile, 0);
	float *q = cpu_scratch(c, thread), *score = c->area[AREA_SCORE] + first * KEY_TILE;
	float *most = c->area[AREA_PART_MAX] + first, *sum = c->area[AREA_PART_SUM] + first;
	cpu_stack_queries(c, kv_head, job->f->row, job->f->n, q);
	multiply_scores(job, kv_head, tile, q, score);
	for (int s = 0; s < job->n_stacked; s++, score += KEY_TILE)
		sum[s] = soften_part(job, kv_head, tile, s, score, &most[s]);
	if (job->f->output)
		multiply_values(job, kv_head, tile, c->area[AREA_SCORE] + first * KEY_TILE,
			c->area[AREA_PART_OUT] + first * (size_t)c->model->info.head_dim);
}

/* One stacked row: the maximum and sum over its parts. AREA_PART_MAX becomes the factor that makes each part a share of the whole. */
static void join_row(const struct few_job *job, int kv_head, int stacked)
{
	struct cpu *c = job->c;
	float *factor = c->area[AREA_PART_MAX] + part_at(job, kv_head, 0, stacked), most = -INFINITY, sum = 0;
	const float *part_sum = c->area[AREA_PART_SUM] + part_at(job, kv_head, 0, stacked);
	size_t apart = (size_t)job->n_stacked; /* from tile to tile */
	for (int tile = 0; tile < job->n_tile; tile++)
		most = factor[(size_t)tile * apart] > most ? factor[(size_t)tile * apart] : most;
	for (int tile = 0; tile < job->n_tile; tile++) {
		float *f = &factor[(size_t)tile * apart];
		*f = visible_keys(job, stacked, tile) ? exp2f(*f - most) : 0.0f;
		sum += *f * part_sum[(size_t)tile * apart];
	}
	for (int tile = 0; tile < job->n_tile; tile++)
		factor[(size_t)tile * apart] /= sum;
	cpu_check_sum(c, job->f->layer, sum);
}

/* The row's weighted values: its parts, each times its factor. */
static void join_values(const struct few_job *job, int kv_head, int stacked)
{
	struct cpu *c = job->c;
	const struct model_info *info = &c->model->info;
	int d = info->head_dim, head = kv_head * (info->n_head / info->n_kv_head) + stacked / job->f->n;
	float *out = cpu_rows(c, ROWS_ATTENDED) + ((size_t)job->f->row[stacked % job->f->n] * (size_t)info->n_head + (size_t)head) * (size_t)d;
	memset(out, 0, (size_t)d * sizeof *out);
	for (int tile = 0; tile < job->n_tile; tile++) {
		size_t at = part_at(job, kv_head, tile, stacked);
		if (visible_keys(job, stacked, tile))
			c->simd->rows->axpy(out, c->area[AREA_PART_MAX][at], c->area[AREA_PART_OUT] + at * (size_t)d, d);
	}
}

static void join_piece(void *context, int kv_head, int thread)
{
	(void)thread;
	const struct few_job *job = context;
	for (int stacked = 0; stacked < job->n_stacked; stacked++) {
		join_row(job, kv_head, stacked);
		if (job->f->output)
			join_values(job, kv_head, stacked);
	}
}

/* The weights of one tile become probabilities, which the captures take. */
static void capture_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct few_job *job = context;
	struct cpu *c = job->c;
	int n_kv_head = c->model->info.n_kv_head, kv_head = piece % n_kv_head, tile = piece / n_kv_head;
	size_t first = part_at(job, kv_head, tile, 0);
	struct capture_tile t = {.layer = job->f->layer, .kv_head = kv_head, .tile = tile, .n_key = tile_keys(job, tile), .row = job->f->row,
		.n = job->f->n, .p = c->area[AREA_SCORE] + first * KEY_TILE, .factor = c->area[AREA_PART_MAX] + first};
	cpu_capture_add(c, &t);
}

void cpu_attention_few(struct cpu *c, const struct few_rows *f)
{
	const struct model_info *info = &c->model->info;
	struct few_job job = {.c = c, .f = f, .n_stacked = f->n * (info->n_head / info->n_kv_head)};
	job.n_tile = (c->step.position + f->row[f->n - 1] + KEY_TILE) / KEY_TILE;
	threads_run(c->threads, job.n_tile * info->n_kv_head, part_piece, &job);
	if (f->n == 1) /* less work than waking a thread */
		for (int kv_head = 0; kv_head < info->n_kv_head; kv_head++)
			join_piece(&job, kv_head, 0);
	else
		threads_run(c->threads, info->n_kv_head, join_piece, &job);
	if (!f->capture)
		return;
	threads_run(c->threads, job.n_tile * info->n_kv_head, capture_piece, &job);
	cpu_capture_check(c, f->row, f->n, job.n_tile);
}
