/* The KV cache: where a position's key and value lie, writing them, and norms of what was written. */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <string.h>

static size_t tile_offset(const struct cpu *c, int layer, int tile, int kv_head)
{
	const struct model_info *info = &c->model->info;
	return (((size_t)layer * (size_t)c->n_tile + (size_t)tile) * (size_t)info->n_kv_head + (size_t)kv_head) * (size_t)(KEY_TILE * info->head_dim);
}

float *cpu_key_tile(const struct cpu *c, int layer, int tile, int kv_head)
{
	return c->area[AREA_KEYS] + tile_offset(c, layer, tile, kv_head);
}

float *cpu_value_tile(const struct cpu *c, int layer, int tile, int kv_head)
{
	return c->area[AREA_VALUES] + tile_offset(c, layer, tile, kv_head);
}

struct append_job {
	struct cpu *c;
	const struct append_op *op;
	int first_tile;
};

/* One KV head's entries of the step that fall into one tile. */
static void append_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct append_job *job = context;
	struct cpu *c = job->c;
	const struct model_info *info = &c->model->info;
	int kv_head = piece % info->n_kv_head, tile = job->first_tile + piece / info->n_kv_head;
	int begin = tile * KEY_TILE, end = begin + KEY_TILE, d = info->head_dim, width = info->n_kv_head * d;
	begin = begin > c->step.position ? begin : c->step.position;
	end = end < c->step.position + c->step.n_rows ? end : c->step.position + c->step.n_rows;
	size_t source = (size_t)(begin - c->step.position) * (size_t)width + (size_t)kv_head * (size_t)d;
	int column = begin % KEY_TILE;
	struct tile_rows rows = {.data = cpu_rows(c, ROWS_K) + source, .m = end - begin, .n = d, .ld = width};
	c->simd->unpack->transpose(&rows, cpu_key_tile(c, job->op->layer, tile, kv_head) + column, KEY_TILE);
	for (int i = 0; job->op->values && i < end - begin; i++)
		memcpy(cpu_value_tile(c, job->op->layer, tile, kv_head) + (size_t)(column + i) * (size_t)d,
			cpu_rows(c, ROWS_V) + source + (size_t)i * (size_t)width, (size_t)d * sizeof(float));
}

void cpu_append(struct backend *b, const struct append_op *op)
{
	struct cpu *c = (struct cpu *)b;
	int first = c->step.position / KEY_TILE, last = (c->step.position + c->step.n_rows - 1) / KEY_TILE;
	int pieces = (last - first + 1) * c->model->info.n_kv_head;
	struct append_job job = {.c = c, .op = op, .first_tile = first};
	if (c->step.n_rows > FEW_ROWS) {
		threads_run(c->threads, pieces, append_piece, &job);
		return;
	}
	for (int piece = 0; piece < pieces; piece++)
		append_piece(&job, piece, 0);
}

void cpu_read_cache(struct backend *b, const struct read_cache_op *op)
{
	const struct cpu *c = (const struct cpu *)b;
	int d = c->model->info.head_dim;
	for (int kv_head = 0; kv_head < c->model->info.n_kv_head; kv_head++)
		for (int first = 0; first < op->n; first += KEY_TILE) {
			int n = op->n - first < KEY_TILE ? op->n - first : KEY_TILE;
			size_t at = ((size_t)kv_head * (size_t)op->n + (size_t)first) * (size_t)d;
			struct tile_rows keys = {.data = cpu_key_tile(c, op->layer, first / KEY_TILE, kv_head), .m = d, .n = n, .ld = KEY_TILE};
			c->simd->unpack->transpose(&keys, op->key + at, d);
			memcpy(op->value + at, cpu_value_tile(c, op->layer, first / KEY_TILE, kv_head), (size_t)n * (size_t)d * sizeof(float));
		}
}

void cpu_key_norms(struct backend *b, int layer, int n, float *out)
{
	const struct cpu *c = (const struct cpu *)b;
	const struct model_info *info = &c->model->info;
	for (int kv_head = 0; kv_head < info->n_kv_head; kv_head++)
		for (int j = 0; j < n; j++) {
			const float *key = cpu_key_tile(c, layer, j / KEY_TILE, kv_head) + j % KEY_TILE;
			double sum = 0;
			for (int i = 0; i < info->head_dim; i++)
				sum += (double)key[(size_t)i * KEY_TILE] * key[(size_t)i * KEY_TILE];
			out[(size_t)kv_head * (size_t)n + (size_t)j] = (float)sqrt(sum);
		}
}

/* ---- value norms ------------------------------------------------------------------------------------------------ */

struct norms_job {
	struct cpu *c;
	const struct value_norms_op *op;
};

enum { OUT_ROWS = 64 };

size_t cpu_value_norms_scratch(const struct model_info *info)
{
	return (size_t)info->n_head * (size_t)info->head_dim + OUT_ROWS * (size_t)info->head_dim + (OUT_ROWS + 1) * KEY_TILE;
}

/* Norm over the model's width of V[g,j] W_O^(h), for the positions of one tile, added to out in shares of the group. The output
 * matrix is taken a stretch of rows at a time: its columns h * head_dim .. belong to head h. */
static void add_projected_norms(struct cpu *c, const struct value_norms_op *op, int tile, int head, float *scratch)
{
	const struct model_info *info = &c->model->info;
	const struct weight *w = &c->model->layer[op->layer].proj[PROJ_O];
	int group = info->n_head / info->n_kv_head, d = info->head_dim, kv_head = head / group;
	int n = op->n - tile * KEY_TILE < KEY_TILE ? op->n - tile * KEY_TILE : KEY_TILE;
	size_t row_bytes = tensor_type_bytes(w->type, (uint64_t)w->n_in);
	float *row = scratch, *slice = row + w->n_in, *projected = slice + OUT_ROWS * d, *norm = projected + OUT_ROWS * KEY_TILE;
	memset(norm, 0, KEY_TILE * sizeof *norm);
	for (int first = 0; first < w->n_out; first += OUT_ROWS) {
		int n_out = w->n_out - first < OUT_ROWS ? w->n_out - first : OUT_ROWS;
		for (int o = 0; o < n_out; o++) {
			c->simd->unpack->unpack[w->type](w->data + (size_t)(first + o) * row_bytes, w->n_in, row);
			memcpy(slice + (size_t)o * (size_t)d, row + (size_t)head * (size_t)d, (size_t)d * sizeof *row);
		}
		struct gemm g = {.m = n, .n = n_out, .k = d, .a = cpu_value_tile(c, op->layer, tile, kv_head), .lda = d,
			.b = slice, .ldb = d, .b_transposed = 1, .c = projected, .ldc = OUT_ROWS};
		if (gemm_run(&g))
			atomic_store(&c->failure, ERR_MEMORY);
		for (int j = 0; j < n; j++)
			norm[j] += op->kind == VALUE_L1_WO ? c->simd->rows->sum_abs(projected + (size_t)j * OUT_ROWS, n_out)
				: c->simd->rows->sum_squares(projected + (size_t)j * OUT_ROWS, n_out);
	}
	float *out = op->out + (size_t)kv_head * (size_t)op->n + (size_t)tile * KEY_TILE;
	for (int j = 0; j < n; j++)
		out[j] += (op->kind == VALUE_L1_WO ? norm[j] : sqrtf(norm[j])) / (float)group;
}

static void value_norms_piece(void *context, int piece, int thread)
{
	const struct norms_job *job = context;
	struct cpu *c = job->c;
	const struct value_norms_op *op = job->op;
	const struct model_info *info = &c->model->info;
	int group = info->n_head / info->n_kv_head, kv_head = piece % info->n_kv_head, tile = piece / info->n_kv_head;
	int end = (tile + 1) * KEY_TILE < op->n ? (tile + 1) * KEY_TILE : op->n;
	float *out = op->out + (size_t)kv_head * (size_t)op->n;
	for (int j = tile * KEY_TILE; j < end; j++) {
		const float *value = cpu_value_tile(c, op->layer, tile, kv_head) + (size_t)(j % KEY_TILE) * (size_t)info->head_dim;
		out[j] = op->kind == VALUE_L2 ? sqrtf(c->simd->rows->sum_squares(value, info->head_dim)) : 0.0f;
	}
	for (int head = kv_head * group; op->kind != VALUE_L2 && head < (kv_head + 1) * group; head++)
		add_projected_norms(c, op, tile, head, cpu_scratch(c, thread));
}

void cpu_value_norms(struct backend *b, const struct value_norms_op *op)
{
	struct cpu *c = (struct cpu *)b;
	struct norms_job job = {.c = c, .op = op};
	threads_run(c->threads, (op->n + KEY_TILE - 1) / KEY_TILE * c->model->info.n_kv_head, value_norms_piece, &job);
}
