/* Products of activations with stored weights.
 *
 * Many rows: a panel of PANEL weight rows is unpacked to float32, transposed, in a buffer of the thread that fits its cache, and
 * multiplied by oneDNN. Panel, row block and depth are fixed, so an element's result does not depend on the number of threads.
 * Few rows: unpacking would cost more than the product; every row is a sweep over the stored blocks.
 * bf16: panels and activations are rounded to bfloat16, sums stay float32; few rows stay as they are.
 */
#include "engine/cpu/cpu.h"

enum {
	PANEL = 96,       /* weight rows (outputs) of a panel */
	DEPTH = 2048,     /* inputs of a panel: PANEL * DEPTH * 4 bytes = 768 KiB */
	ROW_BLOCK = 256,  /* activation rows of one product */
	STRETCH = 256,    /* inputs unpacked at once before they are transposed; a multiple of every block size */
	SWEEP_ROWS = 3,   /* up to here rows are sweeps */
	SWEEP_BYTES = 32768, /* weight bytes of one piece of a sweep */
};

size_t cpu_product_scratch(void)
{
	return (size_t)PANEL * DEPTH + (size_t)PANEL * STRETCH; /* the stretch of bf16 is one row of DEPTH, which fits too */
}

struct panel { /* outputs [first_out, first_out + n_out) for rows [first_row, end_row) */
	const struct product *p;
	int first_out, n_out, first_row, end_row;
};

/* panel[k][o] = weight[first_out + o][first_in + k] for o < n_out, k < n_in; PANEL apart. */
static void unpack_panel(const struct cpu *c, const struct panel *l, int first_in, int n_in, float *panel, float *stretch)
{
	const struct weight *w = l->p->weight;
	size_t row_bytes = tensor_type_bytes(w->type, (uint64_t)w->n_in);
	for (int at = 0; at < n_in; at += STRETCH) {
		int n = n_in - at < STRETCH ? n_in - at : STRETCH;
		const uint8_t *src = w->data + (size_t)l->first_out * row_bytes + tensor_type_bytes(w->type, (uint64_t)(first_in + at));
		for (int o = 0; o < l->n_out; o++)
			c->simd->unpack->unpack[w->type](src + (size_t)o * row_bytes, n, stretch + (size_t)o * STRETCH);
		struct tile_rows rows = {.data = stretch, .m = l->n_out, .n = n, .ld = STRETCH};
		c->simd->unpack->transpose(&rows, panel + (size_t)at * PANEL, PANEL);
	}
}

/* The same as bfloat16 and not transposed, rows n_in apart: oneDNN's bf16 products take either way at the same speed. */
static void unpack_half_panel(const struct cpu *c, const struct panel *l, int first_in, int n_in, uint16_t *panel, float *stretch)
{
	const struct weight *w = l->p->weight;
	size_t row_bytes = tensor_type_bytes(w->type, (uint64_t)w->n_in);
	const uint8_t *src = w->data + (size_t)l->first_out * row_bytes + tensor_type_bytes(w->type, (uint64_t)first_in);
	for (int o = 0; o < l->n_out; o++) {
		c->simd->unpack->unpack[w->type](src + (size_t)o * row_bytes, n_in, stretch);
		c->simd->unpack->round_bf16(stretch, n_in, panel + (size_t)o * (size_t)n_in);
	}
}

static void add_bias(const struct cpu *c, const struct product *p, int first_row, int n_row, int first_out, int n_out)
{
	for (int row = first_row; p->bias && row < first_row + n_row; row++)
		c->simd->rows->axpy(p->out + (size_t)row * (size_t)p->ld_out + first_out, 1.0f, p->bias + first_out, n_out);
}

struct panel_job {
	struct cpu *c;
	bool half; /* inputs are in AREA_HALF_ROWS */
	const struct product *p;
	int n;
	int row_step; /* rows a piece takes: all of them, or ROW_BLOCK where there are too few panels for the threads */
};

static int n_panel(const struct product *p)
{
	return (p->weight->n_out + PANEL - 1) / PANEL;
}

static void multiply_panel(struct cpu *c, const struct panel *l, float *scratch)
{
	const struct product *p = l->p;
	int width = p->weight->n_in;
	for (int first_in = 0; first_in < width; first_in += DEPTH) {
		int n_in = width - first_in < DEPTH ? width - first_in : DEPTH;
		unpack_panel(c, l, first_in, n_in, scratch, scratch + (size_t)PANEL * DEPTH);
		for (int row = l->first_row; row < l->end_row; row += ROW_BLOCK) {
			struct gemm g = {.m = l->end_row - row < ROW_BLOCK ? l->end_row - row : ROW_BLOCK, .n = l->n_out, .k = n_in,
				.a = p->in + (size_t)row * (size_t)width + first_in, .lda = width, .b = scratch, .ldb = PANEL,
				.c = p->out + (size_t)row * (size_t)p->ld_out + l->first_out, .ldc = p->ld_out, .add = p->add || first_in > 0};
			if (gemm_run(&g))
				atomic_store(&c->failure, ERR_MEMORY);
		}
	}
}

static void multiply_half_panel(struct cpu *c, const struct panel *l, float *scratch, int thread)
{
	const struct product *p = l->p;
	int width = p->weight->n_in;
	uint16_t *panel = (uint16_t *)scratch;
	for (int first_in = 0; first_in < width; first_in += DEPTH) {
		int n_in = width - first_in < DEPTH ? width - first_in : DEPTH;
		unpack_half_panel(c, l, first_in, n_in, panel, scratch + (size_t)PANEL * DEPTH);
		for (int row = l->first_row; row < l->end_row; row += ROW_BLOCK) {
			struct bf16_gemm g = {.m = l->end_row - row < ROW_BLOCK ? l->end_row - row : ROW_BLOCK, .n = l->n_out, .k = n_in,
				.a = cpu_half(c, AREA_HALF_ROWS) + (size_t)row * (size_t)width + first_in, .lda = width, .b = panel, .ldb = n_in,
				.b_transposed = true, .c = p->out + (size_t)row * (size_t)p->ld_out + l->first_out, .ldc = p->ld_out,
				.add = p->add || first_in > 0};
			if (bf16_gemm_run(c->half[thread], &g))
				atomic_store(&c->failure, ERR_MEMORY);
		}
	}
}

static void panel_piece(void *context, int piece, int thread)
{
	const struct panel_job *job = context;
	const struct product *p = job->p;
	int n_step = (p->n_row + job->row_step - 1) / job->row_step, panel = piece / n_step, first_row = piece % n_step * job->row_step;
	while (panel >= n_panel(p))
		panel -= n_panel(p++);
	int first_out = panel * PANEL, left = p->weight->n_out - first_out;
	struct panel l = {.p = p, .first_out = first_out, .n_out = left < PANEL ? left : PANEL, .first_row = first_row,
		.end_row = first_row + job->row_step < p->n_row ? first_row + job->row_step : p->n_row};
	if (job->half)
		multiply_half_panel(job->c, &l, cpu_scratch(job->c, thread), thread);
	else
		multiply_panel(job->c, &l, cpu_scratch(job->c, thread));
	add_bias(job->c, p, l.first_row, l.end_row - l.first_row, l.first_out, l.n_out);
}

enum { ROUNDED_ROWS = 32 };

static void round_piece(void *context, int piece, int thread)
{
	(void)thread;
	const struct panel_job *job = context;
	const struct product *p = job->p;
	size_t width = (size_t)p->weight->n_in, at = (size_t)piece * ROUNDED_ROWS * width;
	int rows = p->n_row - piece * ROUNDED_ROWS < ROUNDED_ROWS ? p->n_row - piece * ROUNDED_ROWS : ROUNDED_ROWS;
	job->c->simd->unpack->round_bf16(p->in + at, rows * (int)width, cpu_half(job->c, AREA_HALF_ROWS) + at);
}

static void multiply_panels(struct cpu *c, const struct product *p, int n)
{
	int panels = 0, n_row = p->n_row;
	for (int i = 0; i < n; i++)
		panels += n_panel(&p[i]);
	struct panel_job job = {.c = c, .half = c->half && !p->exact, .p = p, .n = n,
		.row_step = panels < 2 * threads_count(c->threads) ? ROW_BLOCK : n_row};
	if (job.half)
		threads_run(c->threads, (n_row + ROUNDED_ROWS - 1) / ROUNDED_ROWS, round_piece, &job);
	threads_run(c->threads, panels * ((n_row + job.row_step - 1) / job.row_step), panel_piece, &job);
}

/* ---- few rows --------------------------------------------------------------------------------------------------- */

struct sweep_job {
	struct cpu *c;
	const struct product *p;
	int n;
	int n_out; /* outputs of one piece */
};

static int n_sweep(const struct sweep_job *job, const struct product *p)
{
	return (p->weight->n_out + job->n_out - 1) / job->n_out;
}

static void sweep_piece(void *context, int piece, int thread)
{
	const struct sweep_job *job = context;
	const struct product *p = job->p;
	while (piece >= n_sweep(job, p))
		piece -= n_sweep(job, p++);
	const struct weight *w = p->weight;
	size_t row_bytes = tensor_type_bytes(w->type, (uint64_t)w->n_in);
	int first = piece * job->n_out, n_out = w->n_out - first < job->n_out ? w->n_out - first : job->n_out;
	struct weight_rows rows = {.data = w->data + (size_t)first * row_bytes, .row_bytes = row_bytes, .n_row = n_out, .n_in = w->n_in};
	for (int row = 0; row < p->n_row; row++) {
		float *out = p->out + (size_t)row * (size_t)p->ld_out + first;
		float *product = p->add ? cpu_scratch(job->c, thread) : out;
		job->c->simd->dot->dot[w->type](&rows, p->in + (size_t)row * (size_t)w->n_in, product);
		if (p->add)
			job->c->simd->rows->axpy(out, 1.0f, product, n_out);
	}
	add_bias(job->c, p, 0, p->n_row, first, n_out);
}

static void sweep(struct cpu *c, const struct product *p, int n)
{
	size_t row_bytes = tensor_type_bytes(p->weight->type, (uint64_t)p->weight->n_in);
	int n_out = (int)(SWEEP_BYTES / row_bytes);
	struct sweep_job job = {.c = c, .p = p, .n = n, .n_out = n_out < 8 ? 8 : n_out > 512 ? 512 : n_out};
	int pieces = 0;
	for (int i = 0; i < n; i++)
		pieces += n_sweep(&job, &p[i]);
	threads_run(c->threads, pieces, sweep_piece, &job);
}

void cpu_products(struct cpu *c, const struct product *p, int n)
{
	if (p->n_row <= 0)
		return;
	if (p->n_row <= SWEEP_ROWS)
		sweep(c, p, n);
	else
		multiply_panels(c, p, n);
}

/* ---- LoRA --------------------------------------------------------------------------------------------------------- */

enum { LORA_ROWS = 16 }; /* rows of one piece */

struct lora_job {
	struct cpu *c;
	const struct adapter *adapter;
	int n_row;
	float *in, *out;
	int ld_out;
};

static void lora_piece(void *context, int piece, int thread)
{
	const struct lora_job *job = context;
	const struct adapter *a = job->adapter;
	int first = piece * LORA_ROWS, n = job->n_row - first < LORA_ROWS ? job->n_row - first : LORA_ROWS;
	float *inner = cpu_scratch(job->c, thread);
	struct gemm down = {.m = n, .n = a->r, .k = a->n_in, .a = job->in + (size_t)first * (size_t)a->n_in, .lda = a->n_in,
		.b = a->a, .ldb = a->n_in, .b_transposed = 1, .c = inner, .ldc = a->r};
	struct gemm up = {.m = n, .n = a->n_out, .k = a->r, .a = inner, .lda = a->r, .b = a->b, .ldb = a->n_out,
		.c = job->out + (size_t)first * (size_t)job->ld_out, .ldc = job->ld_out, .add = 1};
	if (gemm_run(&down) || gemm_run(&up))
		atomic_store(&job->c->failure, ERR_MEMORY);
}

int cpu_adapt(struct backend *b, const struct adapter *adapter, struct err *e)
{
	(void)b, (void)adapter, (void)e; /* they are where the products want them */
	return 0;
}

void cpu_lora(struct backend *b, const struct lora_op *op)
{
	struct cpu *c = (struct cpu *)b;
	int width_in = row_buffer_width(&c->model->info, op->in);
	for (int i = 0; i < op->n_part; i++) {
		int width_out = row_buffer_width(&c->model->info, op->part[i].out);
		struct lora_job job = {.c = c, .adapter = op->part[i].adapter, .n_row = op->rows.n,
			.in = cpu_rows(c, op->in) + (size_t)op->rows.first * (size_t)width_in,
			.out = cpu_rows(c, op->part[i].out) + (size_t)op->rows.first * (size_t)width_out, .ld_out = width_out};
		threads_run(c->threads, (op->rows.n + LORA_ROWS - 1) / LORA_ROWS, lora_piece, &job);
	}
}
