#include "engine/train/layer.h"

#include <string.h>

#include "engine/train/row_ops.h"

/* ---- linear maps with adapters ---- */

struct linear_at {
	const struct pass *pass;
	int layer, proj;
};

static const struct weight *weight_of(struct linear_at at)
{
	return &at.pass->s->model->layer[at.layer].proj[at.proj];
}

static const struct adapter_place *place_of(struct linear_at at)
{
	return &at.pass->p->place[at.layer * N_PROJ + at.proj];
}

/* y = x W^T + bias + scale * (x A^T) B^T; scale goes into the narrow matrix, here and backward. */
static void linear_forward(struct linear_at at, const float *x, float *y)
{
	const struct pass *pass = at.pass;
	struct cpu *c = pass->s->cpu;
	const struct weight *w = weight_of(at);
	const struct adapter_place *place = place_of(at);
	struct product product = {.in = x, .n_row = pass->n_row, .weight = w, .bias = pass->s->model->layer[at.layer].bias[at.proj],
		.out = y, .ld_out = w->n_out};
	cpu_products(c, &product, 1);
	if (place->a == NO_PARAMETER)
		return;
	int r = pass->p->r;
	float *low = pass->s->tape[at.layer].low[at.proj];
	row_gemm(c, &(struct gemm){.m = pass->n_row, .n = r, .k = w->n_in, .a = x, .lda = w->n_in, .b = pass->p->value + place->a,
		.ldb = w->n_in, .b_transposed = 1, .c = low, .ldc = r});
	c->simd->rows->scale(low, pass->p->scale, pass->n_row * r);
	row_gemm(c, &(struct gemm){.m = pass->n_row, .n = w->n_out, .k = r, .a = low, .lda = r, .b = pass->p->value + place->b, .ldb = r,
		.b_transposed = 1, .c = y, .ldc = w->n_out, .add = 1});
}

/* dx += dy W + dlow A;  dlow = scale * dy B;  dB += dy^T low;  dA += dlow^T x */
static void linear_backward(struct linear_at at, const float *x, const float *dy, float *dx)
{
	const struct pass *pass = at.pass;
	struct cpu *c = pass->s->cpu;
	const struct weight *w = weight_of(at);
	const struct adapter_place *place = place_of(at);
	int r = pass->p->r, n_row = pass->n_row;
	cpu_product_back(c, &(struct product_back){.d_out = dy, .n_row = n_row, .weight = w, .d_in = dx});
	if (place->a == NO_PARAMETER)
		return;
	const float *a = pass->p->value + place->a, *b = pass->p->value + place->b;
	float *low = pass->s->tape[at.layer].low[at.proj], *d_low = pass->s->d_low;
	row_gemm(c, &(struct gemm){.m = n_row, .n = r, .k = w->n_out, .a = dy, .lda = w->n_out, .b = b, .ldb = r, .c = d_low, .ldc = r});
	c->simd->rows->scale(d_low, pass->p->scale, n_row * r);
	row_gemm(c, &(struct gemm){.m = n_row, .n = w->n_in, .k = r, .a = d_low, .lda = r, .b = a, .ldb = w->n_in, .c = dx,
		.ldc = w->n_in, .add = 1});
	row_gemm(c, &(struct gemm){.m = w->n_out, .n = r, .k = n_row, .a = dy, .lda = w->n_out, .a_transposed = 1, .b = low, .ldb = r,
		.c = pass->gradient + place->b, .ldc = r, .add = 1});
	row_gemm(c, &(struct gemm){.m = r, .n = w->n_in, .k = n_row, .a = d_low, .lda = r, .a_transposed = 1, .b = x, .ldb = w->n_in,
		.c = pass->gradient + place->a, .ldc = w->n_in, .add = 1});
}

static struct linear_at proj_at(const struct pass *pass, int layer, int proj)
{
	return (struct linear_at){.pass = pass, .layer = layer, .proj = proj};
}

/* ---- norms and rotation ---- */

static struct norm_rows width_norm(const struct pass *pass, const float *x, const float *gain)
{
	const struct model *m = pass->s->model;
	return (struct norm_rows){.n_row = pass->n_row, .n = m->info.n_embd, .eps = m->norm_eps, .x = x, .gain = gain};
}

static struct norm_rows head_norm(const struct pass *pass, int n_head, const float *x, const float *gain)
{
	const struct model *m = pass->s->model;
	return (struct norm_rows){.n_row = pass->n_row * n_head, .n = m->info.head_dim, .eps = m->norm_eps, .x = x, .gain = gain};
}

static struct rope_rows rotation(const struct pass *pass, int n_head, bool inverse)
{
	return (struct rope_rows){.model = pass->s->model, .n_row = pass->n_row, .n_head = n_head, .period = pass->s->n_row,
		.offset = pass->s->offset, .inverse = inverse};
}

/* q or k after its projection: norm of every head where the model has one, then RoPE at positions n .. n+T-1 of its prompt. */
static void rotate_forward(const struct pass *pass, const float *gain, int n_head, float *raw, float *x)
{
	if (gain) {
		memcpy(raw, x, (size_t)pass->n_row * (size_t)(n_head * pass->s->model->info.head_dim) * sizeof *x);
		struct norm_rows norm = head_norm(pass, n_head, raw, gain);
		norm_forward(pass->s->cpu, &norm, x);
	}
	struct rope_rows rope = rotation(pass, n_head, false);
	rope_rows(pass->s->cpu, &rope, x);
}

/* dx: gradient after RoPE -> before the norm. */
static void rotate_backward(const struct pass *pass, const float *gain, int n_head, const float *raw, float *dx)
{
	struct rope_rows rope = rotation(pass, n_head, true);
	rope_rows(pass->s->cpu, &rope, dx);
	if (!gain)
		return;
	size_t bytes = (size_t)pass->n_row * (size_t)(n_head * pass->s->model->info.head_dim) * sizeof *dx;
	struct norm_rows norm = head_norm(pass, n_head, raw, gain);
	float *spare = pass->s->d_wide;
	memset(spare, 0, bytes);
	norm_backward(pass->s->cpu, &norm, dx, spare);
	memcpy(dx, spare, bytes);
}

/* ---- a layer ---- */

static void add(const float *a, const float *b, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = a[i] + b[i];
}

static size_t elements(const struct pass *pass, int width)
{
	return (size_t)pass->n_row * (size_t)width;
}

void layer_forward(const struct pass *pass, int layer)
{
	struct train_step *s = pass->s;
	const struct model_info *info = &s->model->info;
	const struct layer_weights *w = &s->model->layer[layer];
	struct tape *tape = &s->tape[layer];
	struct norm_rows norm = width_norm(pass, tape->x, w->attn_norm);
	norm_forward(s->cpu, &norm, s->normed);
	linear_forward(proj_at(pass, layer, PROJ_Q), s->normed, tape->q);
	linear_forward(proj_at(pass, layer, PROJ_K), s->normed, tape->k);
	if (!is_last_layer(pass, layer))
		linear_forward(proj_at(pass, layer, PROJ_V), s->normed, tape->v);
	rotate_forward(pass, w->q_norm, info->n_head, tape->q_raw, tape->q);
	rotate_forward(pass, w->k_norm, info->n_kv_head, tape->k_raw, tape->k);
	row_attention_forward(pass, layer);
	if (is_last_layer(pass, layer))
		return;
	linear_forward(proj_at(pass, layer, PROJ_O), tape->attended, s->out);
	add(tape->x, s->out, elements(pass, info->n_embd), tape->middle);
	norm = width_norm(pass, tape->middle, w->ffn_norm);
	norm_forward(s->cpu, &norm, s->normed);
	linear_forward(proj_at(pass, layer, PROJ_GATE), s->normed, tape->gate);
	linear_forward(proj_at(pass, layer, PROJ_UP), s->normed, tape->up);
	swiglu_forward(s->cpu, tape->gate, tape->up, elements(pass, info->n_ff), s->act);
	linear_forward(proj_at(pass, layer, PROJ_DOWN), s->act, s->out);
	add(tape->middle, s->out, elements(pass, info->n_embd), s->tape[layer + 1].x);
}

/* d_out keeps the residual's share; the branch's share is added to it. */
static void mlp_backward(const struct pass *pass, int layer)
{
	struct train_step *s = pass->s;
	const struct model_info *info = &s->model->info;
	const struct layer_weights *w = &s->model->layer[layer];
	struct tape *tape = &s->tape[layer];
	swiglu_forward(s->cpu, tape->gate, tape->up, elements(pass, info->n_ff), s->act);
	memset(s->d_wide, 0, elements(pass, info->n_ff) * sizeof(float));
	linear_backward(proj_at(pass, layer, PROJ_DOWN), s->act, s->d_out, s->d_wide);
	swiglu_backward(s->cpu, tape->gate, tape->up, elements(pass, info->n_ff), s->d_wide, s->d_wide2);
	struct norm_rows norm = width_norm(pass, tape->middle, w->ffn_norm);
	norm_forward(s->cpu, &norm, s->normed);
	memset(s->d_normed, 0, elements(pass, info->n_embd) * sizeof(float));
	linear_backward(proj_at(pass, layer, PROJ_GATE), s->normed, s->d_wide, s->d_normed);
	linear_backward(proj_at(pass, layer, PROJ_UP), s->normed, s->d_wide2, s->d_normed);
	norm_backward(s->cpu, &norm, s->d_normed, s->d_out);
}

static void attention_half_backward(const struct pass *pass, int layer)
{
	struct train_step *s = pass->s;
	const struct model_info *info = &s->model->info;
	const struct layer_weights *w = &s->model->layer[layer];
	struct tape *tape = &s->tape[layer];
	bool last = is_last_layer(pass, layer);
	if (!last) {
		memset(s->d_wide, 0, elements(pass, info->n_head * info->head_dim) * sizeof(float));
		linear_backward(proj_at(pass, layer, PROJ_O), tape->attended, s->d_out, s->d_wide);
	}
	row_attention_backward(pass, layer);
	rotate_backward(pass, w->q_norm, info->n_head, tape->q_raw, s->d_q);
	rotate_backward(pass, w->k_norm, info->n_kv_head, tape->k_raw, s->d_k);
	struct norm_rows norm = width_norm(pass, tape->x, w->attn_norm);
	norm_forward(s->cpu, &norm, s->normed);
	memset(s->d_normed, 0, elements(pass, info->n_embd) * sizeof(float));
	linear_backward(proj_at(pass, layer, PROJ_Q), s->normed, s->d_q, s->d_normed);
	linear_backward(proj_at(pass, layer, PROJ_K), s->normed, s->d_k, s->d_normed);
	if (!last)
		linear_backward(proj_at(pass, layer, PROJ_V), s->normed, s->d_v, s->d_normed);
	norm_backward(s->cpu, &norm, s->d_normed, s->d_out);
}

void layer_backward(const struct pass *pass, int layer)
{
	if (!is_last_layer(pass, layer))
		mlp_backward(pass, layer);
	attention_half_backward(pass, layer);
}
