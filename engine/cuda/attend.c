/* Attention, and the second pass for captured rows. */
#include "engine/cuda/cuda.h"

static int at_least_one(int n)
{
	return n > 1 ? n : 1;
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

static int tiles(int n, int each)
{
	return (n + each - 1) / each;
}

static struct attention_args shape_of(const struct cuda *c, int layer)
{
	const struct model_info *info = &c->model->info;
	struct cuda_result *result = c->area[CUDA_RESULT];
	return (struct attention_args){.q = cuda_rows_from(c, ROWS_Q, 0), .keys = cuda_layer_keys(c, layer),
		.values = cuda_layer_values(c, layer), .half = c->half, .max_tokens = c->max_tokens, .n_head = info->n_head,
		.n_kv_head = info->n_kv_head, .head_dim = info->head_dim, .position = c->step.position, .part = c->area[CUDA_PART],
		.part_out = c->area[CUDA_PART_OUT], .stat = c->area[CUDA_STAT], .bad = &result->bad, .layers_left = info->n_layer - layer};
}

/* Parts that fill the device with two blocks a multiprocessor, where there are too few blocks of rows to do so, and no more than run at
 * once; none smaller than some tiles. */
static int parts_for(const struct cuda *c, int n_block, int n_key, int most)
{
	int wanted = 2 * c->device.n_unit / n_block, possible = tiles(n_key, 2 * ATTENTION_KEYS);
	return at_least_one(smaller(smaller(wanted, possible), most));
}

static void attend_rows(struct cuda *c, const struct attention_op *op)
{
	const struct model_info *info = &c->model->info;
	struct attention_args a = shape_of(c, op->layer);
	int stacked = op->rows.n * (info->n_head / info->n_kv_head), rows_of_block = c->half ? 128 : 32;
	a.first_row = op->rows.first;
	a.n_row = op->rows.n;
	if (op->output)
		a.out = cuda_rows_from(c, ROWS_ATTENDED, 0);
	a.n_split = parts_for(c, tiles(stacked, rows_of_block) * info->n_kv_head, c->step.position + op->rows.first + op->rows.n,
		smaller(PART_ROWS / op->rows.n, DECODE_PARTS));
	CUDA_TRY(&c->device, c->half ? cuda_attention_half(&a, c->device.stream) : cuda_attention_f32(&a, c->device.stream));
	if (a.n_split > 1)
		CUDA_TRY(&c->device, cuda_attention_join(&a, c->device.stream));
}

static void capture_rows(struct cuda *c, const struct attention_op *op)
{
	const struct model_info *info = &c->model->info;
	struct capture_args a = {.attention = shape_of(c, op->layer), .capture = c->area[CUDA_CAPTURES], .n_capture = c->step.n_capture,
		.row = c->area[CUDA_CAPTURED], .n_captured = c->n_captured, .layer = op->layer, .check = c->area[CUDA_CHECK]};
	a.n_span = parts_for(c, info->n_kv_head, c->step.position + c->captured[c->n_captured - 1] + 1, CAPTURE_SPANS);
	CUDA_TRY(&c->device, c->half ? cuda_capture_half(&a, c->device.stream) : cuda_capture_f32(&a, c->device.stream));
	CUDA_TRY(&c->device, cuda_capture_check(&(struct capture_check_args){.place = c->area[CUDA_PLACE], .capture = a.capture, .row = a.row,
		.check = a.check, .n_span = a.n_span, .n_captured = a.n_captured, .n_head = info->n_head}, c->device.stream));
}

/* Parts of a decode step: as many blocks as the device holds at once. */
static int decode_parts(const struct cuda *c)
{
	const struct model_info *info = &c->model->info;
	int of_unit = info->n_head / info->n_kv_head > 4 ? DECODE_BLOCKS_OF_MANY : DECODE_BLOCKS;
	int wanted = of_unit * c->device.n_unit / info->n_kv_head, possible = tiles(c->max_tokens, ATTENTION_KEYS);
	return at_least_one(smaller(smaller(wanted, possible), DECODE_PARTS));
}

/* One row. Nothing here depends on the position, which kernels read from the device: a recorded step serves all. */
static void attend_one(struct cuda *c, const struct attention_op *op)
{
	const struct model_info *info = &c->model->info;
	struct decode_args a = {.place = c->area[CUDA_PLACE], .attention = shape_of(c, op->layer)};
	bool captures = c->step.n_capture > 0;
	a.attention.n_row = 1;
	a.attention.n_split = decode_parts(c);
	a.attention.out = cuda_rows_from(c, ROWS_ATTENDED, 0);
	a.score = captures ? c->area[CUDA_SCORE] : NULL;
	a.kept = c->kept ? c->kept + (size_t)op->layer * (size_t)info->n_head * (size_t)c->n_evictable : NULL;
	a.n_evictable = c->n_evictable;
	CUDA_TRY(&c->device, cuda_attention_decode(&a, c->device.stream));
	CUDA_TRY(&c->device, cuda_attention_join(&a.attention, c->device.stream));
	if (!captures)
		return;
	struct capture_few_args few = {.place = a.place, .score = a.score, .stat = a.attention.stat, .capture = c->area[CUDA_CAPTURES],
		.n_head = info->n_head, .max_tokens = c->max_tokens, .layer = op->layer, .check = c->area[CUDA_CHECK],
		.n_span = parts_for(c, tiles(info->n_head, 4), c->max_tokens, CAPTURE_SPANS)};
	CUDA_TRY(&c->device, cuda_capture_decode(&few, c->device.stream));
	CUDA_TRY(&c->device, cuda_capture_check(&(struct capture_check_args){.place = a.place, .capture = few.capture, .check = few.check,
		.n_span = few.n_span, .n_captured = 1, .n_head = info->n_head}, c->device.stream));
}

void cuda_do_attention(struct cuda *c, const struct attention_op *op)
{
	if (op->rows.n < 1)
		return;
	if (c->step.n_rows == 1) {
		attend_one(c, op);
	} else {
		attend_rows(c, op);
		if (c->n_captured)
			capture_rows(c, op);
	}
	if (c->n_captured)
		cuda_sums_layer(c, op->layer);
}
