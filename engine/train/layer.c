#include "engine/train/layer.h"

/* ---- linear maps with adapters ---- */

struct linear_at {
	const struct pass *pass;
	int layer, proj;
};

static bool is_last_layer(const struct pass *pass, int layer)
{
	return layer == pass->s->shape.model->info.n_layer - 1;
}

static const struct weight *weight_of(struct linear_at at)
{
	return &at.pass->s->shape.model->layer[at.layer].proj[at.proj];
}

static const struct adapter_place *place_of(struct linear_at at)
{
	return &at.pass->s->p->place[at.layer * N_PROJ + at.proj];
}

/* y = x W^T + bias + scale * (x A^T) B^T; scale goes into the narrow matrix, here and backward. */
static void linear_forward(struct linear_at at, const float *x, float *y)
{
	struct train_step *s = at.pass->s;
	const struct weight *w = weight_of(at);
	const struct adapter_place *place = place_of(at);
	int r = s->p->r, n_row = at.pass->n_row;
	s->ops->product(s->device, &(struct row_product){.weight = w, .bias = s->shape.model->layer[at.layer].bias[at.proj], .n_row = n_row,
		.in = x, .out = y});
	if (place->a == NO_PARAMETER)
		return;
	const float *a = s->vector[STEP_VALUE] + place->a, *b = s->vector[STEP_VALUE] + place->b;
	float *low = s->tape[at.layer].low[at.proj];
	s->ops->gemm(s->device, &(struct gemm){.m = n_row, .n = r, .k = w->n_in, .a = x, .lda = w->n_in, .b = a, .ldb = w->n_in,
		.b_transposed = 1, .c = low, .ldc = r});
	s->ops->scale(s->device, low, s->p->scale, (size_t)n_row * (size_t)r);
	s->ops->gemm(s->device, &(struct gemm){.m = n_row, .n = w->n_out, .k = r, .a = low, .lda = r, .b = b, .ldb = r, .b_transposed = 1,
		.c = y, .ldc = w->n_out, .add = 1});
}

/* dx += dy W + dlow A;  dlow = scale * dy B;  dB += dy^T low;  dA += dlow^T x */
static void linear_backward(struct linear_at at, const float *x, const float *dy, float *dx)
{
	struct train_step *s = at.pass->s;
	const struct weight *w = weight_of(at);
	const struct adapter_place *place = place_of(at);
	int r = s->p->r, n_row = at.pass->n_row;
	s->ops->product_back(s->device, &(struct row_product_back){.weight = w, .n_row = n_row, .d_out = dy, .d_in = dx});
	if (place->a == NO_PARAMETER)
		return;
	const float *a = s->vector[STEP_VALUE] + place->a, *b = s->vector[STEP_VALUE] + place->b;
	float *d_a = s->vector[STEP_GRADIENT] + place->a, *d_b = s->vector[STEP_GRADIENT] + place->b;
	float *low = s->tape[at.layer].low[at.proj], *d_low = s->d_low;
	s->ops->gemm(s->device, &(struct gemm){.m = n_row, .n = r, .k = w->n_out, .a = dy, .lda = w->n_out, .b = b, .ldb = r, .c = d_low,
		.ldc = r});
	s->ops->scale(s->device, d_low, s->p->scale, (size_t)n_row * (size_t)r);
	s->ops->gemm(s->device, &(struct gemm){.m = n_row, .n = w->n_in, .k = r, .a = d_low, .lda = r, .b = a, .ldb = w->n_in, .c = dx,
		.ldc = w->n_in, .add = 1});
	s->ops->gemm(s->device, &(struct gemm){.m = w->n_out, .n = r, .k = n_row, .a = dy, .lda = w->n_out, .a_transposed = 1, .b = low,
		.ldb = r, .c = d_b, .ldc = r, .add = 1});
	s->ops->gemm(s->device, &(struct gemm){.m = r, .n = w->n_in, .k = n_row, .a = d_low, .lda = r, .a_transposed = 1, .b = x,
		.ldb = w->n_in, .c = d_a, .ldc = w->n_in, .add = 1});
}

static struct linear_at proj_at(const struct pass *pass, int layer, int proj)
{
	return (struct linear_at){.pass = pass, .layer = layer, .proj = proj};
}

/* ---- norms and rotation ---- */

static struct norm_rows width_norm(const struct pass *pass, const float *x, const float *gain)
{
	const struct model *m = pass->s->shape.model;
	return (struct norm_rows){.n_row = pass->n_row, .n = m->info.n_embd, .eps = m->norm_eps, .x = x, .gain = gain};
}

static struct norm_rows head_norm(const struct pass *pass, int n_head, const float *x, const float *gain)
{
	const struct model *m = pass->s->shape.model;
	return (struct norm_rows){.n_row = pass->n_row * n_head, .n = m->info.head_dim, .eps = m->norm_eps, .x = x, .gain = gain};
}

static struct rope_rows rotation(const struct pass *pass, int n_head, bool inverse, float *x)
{
	return (struct rope_rows){.model = pass->s->shape.model, .n_row = pass->n_row, .n_head = n_head,
		.period = pass->s->shape.n_lookahead, .offset = pass->s->offset, .inverse = inverse, .x = x};
}

static size_t elements(const struct pass *pass, int width)
{
	return (size_t)pass->n_row * (size_t)width;
}

/* q or k after its projection: norm of every head where the model has one, then RoPE at positions n .. n+T-1 of its prompt. */
static void rotate_forward(const struct pass *pass, const float *gain, int n_head, float *raw, float *x)
{
	struct train_step *s = pass->s;
	if (gain) {
		struct norm_rows norm = head_norm(pass, n_head, raw, gain);
		s->ops->copy(s->device, x, elements(pass, n_head * s->shape.model->info.head_dim), raw);
		s->ops->norm(s->device, &norm, x);
	}
	struct rope_rows rope = rotation(pass, n_head, false, x);
	s->ops->rope(s->device, &rope);
}

/* dx: gradient after RoPE -> before the norm. */
static void rotate_backward(const struct pass *pass, const float *gain, int n_head, const float *raw, float *dx)
{
	struct train_step *s = pass->s;
	struct rope_rows rope = rotation(pass, n_head, true, dx);
	s->ops->rope(s->device, &rope);
	if (!gain)
		return;
	size_t n = elements(pass, n_head * s->shape.model->info.head_dim);
	struct norm_rows norm = head_norm(pass, n_head, raw, gain);
	float *spare = s->d_wide;
	s->ops->zero(s->device, spare, n);
	s->ops->norm_back(s->device, &norm, dx, spare);
	s->ops->copy(s->device, spare, n, dx);
}

/* ---- attention ---- */

static struct attend_rows attention_of(const struct pass *pass, int layer)
{
	struct train_step *s = pass->s;
	struct tape *tape = &s->tape[layer];
	bool last = is_last_layer(pass, layer);
	return (struct attend_rows){.layer = layer, .n_prompt = pass->n_prompt, .n_row = s->shape.n_lookahead, .prompt = pass->prompt,
		.q = tape->q, .k = tape->k, .v = last ? NULL : tape->v, .attended = last ? NULL : tape->attended, .lse = tape->lse,
		.mean = s->mean, .head_kl = s->head_kl, .weight = pass->weight};
}

/* d_wide: gradient of what was attended, in all but the last layer -> d_q, d_k, d_v. */
static void attention_backward_rows(const struct pass *pass, int layer)
{
	struct train_step *s = pass->s;
	struct attend_rows forward = attention_of(pass, layer);
	s->ops->attend_back(s->device, &(struct attend_rows_back){.forward = &forward,
		.d_attended = is_last_layer(pass, layer) ? NULL : s->d_wide, .d_q = s->d_q, .d_k = s->d_k, .d_v = s->d_v});
}

/* ---- a layer ---- */

void layer_forward(const struct pass *pass, int layer)
{
	struct train_step *s = pass->s;
	const struct model_info *info = &s->shape.model->info;
	const struct layer_weights *w = &s->shape.model->layer[layer];
	struct tape *tape = &s->tape[layer];
	struct norm_rows norm = width_norm(pass, tape->x, w->attn_norm);
	s->ops->norm(s->device, &norm, s->normed);
	linear_forward(proj_at(pass, layer, PROJ_Q), s->normed, tape->q);
	linear_forward(proj_at(pass, layer, PROJ_K), s->normed, tape->k);
	if (!is_last_layer(pass, layer))
		linear_forward(proj_at(pass, layer, PROJ_V), s->normed, tape->v);
	rotate_forward(pass, w->q_norm, info->n_head, tape->q_raw, tape->q);
	rotate_forward(pass, w->k_norm, info->n_kv_head, tape->k_raw, tape->k);
	struct attend_rows attention = attention_of(pass, layer);
	s->ops->attend(s->device, &attention);
	if (is_last_layer(pass, layer))
		return;
	linear_forward(proj_at(pass, layer, PROJ_O), tape->attended, s->out);
	s->ops->add(s->device, tape->x, s->out, elements(pass, info->n_embd), tape->middle);
	norm = width_norm(pass, tape->middle, w->ffn_norm);
	s->ops->norm(s->device, &norm, s->normed);
	linear_forward(proj_at(pass, layer, PROJ_GATE), s->normed, tape->gate);
	linear_forward(proj_at(pass, layer, PROJ_UP), s->normed, tape->up);
	s->ops->swiglu(s->device, &(struct swiglu_rows){tape->gate, tape->up, elements(pass, info->n_ff)}, s->act);
	linear_forward(proj_at(pass, layer, PROJ_DOWN), s->act, s->out);
	s->ops->add(s->device, tape->middle, s->out, elements(pass, info->n_embd), s->tape[layer + 1].x);
}

/* d_out keeps the residual's share; the branch's share is added to it. */
static void mlp_backward(const struct pass *pass, int layer)
{
	struct train_step *s = pass->s;
	const struct model_info *info = &s->shape.model->info;
	struct tape *tape = &s->tape[layer];
	const struct swiglu_rows swiglu = {tape->gate, tape->up, elements(pass, info->n_ff)};
	s->ops->swiglu(s->device, &swiglu, s->act);
	s->ops->zero(s->device, s->d_wide, swiglu.n);
	linear_backward(proj_at(pass, layer, PROJ_DOWN), s->act, s->d_out, s->d_wide);
	s->ops->swiglu_back(s->device, &swiglu, s->d_wide, s->d_wide2);
	struct norm_rows norm = width_norm(pass, tape->middle, s->shape.model->layer[layer].ffn_norm);
	s->ops->norm(s->device, &norm, s->normed);
	s->ops->zero(s->device, s->d_normed, elements(pass, info->n_embd));
	linear_backward(proj_at(pass, layer, PROJ_GATE), s->normed, s->d_wide, s->d_normed);
	linear_backward(proj_at(pass, layer, PROJ_UP), s->normed, s->d_wide2, s->d_normed);
	s->ops->norm_back(s->device, &norm, s->d_normed, s->d_out);
}

static void attention_half_backward(const struct pass *pass, int layer)
{
	struct train_step *s = pass->s;
	const struct model_info *info = &s->shape.model->info;
	const struct layer_weights *w = &s->shape.model->layer[layer];
	struct tape *tape = &s->tape[layer];
	bool last = is_last_layer(pass, layer);
	if (!last) {
		s->ops->zero(s->device, s->d_wide, elements(pass, info->n_head * info->head_dim));
		linear_backward(proj_at(pass, layer, PROJ_O), tape->attended, s->d_out, s->d_wide);
	}
	attention_backward_rows(pass, layer);
	rotate_backward(pass, w->q_norm, info->n_head, tape->q_raw, s->d_q);
	rotate_backward(pass, w->k_norm, info->n_kv_head, tape->k_raw, s->d_k);
	struct norm_rows norm = width_norm(pass, tape->x, w->attn_norm);
	s->ops->norm(s->device, &norm, s->normed);
	s->ops->zero(s->device, s->d_normed, elements(pass, info->n_embd));
	linear_backward(proj_at(pass, layer, PROJ_Q), s->normed, s->d_q, s->d_normed);
	linear_backward(proj_at(pass, layer, PROJ_K), s->normed, s->d_k, s->d_normed);
	if (!last)
		linear_backward(proj_at(pass, layer, PROJ_V), s->normed, s->d_v, s->d_normed);
	s->ops->norm_back(s->device, &norm, s->d_normed, s->d_out);
}

void layer_backward(const struct pass *pass, int layer)
{
	if (!is_last_layer(pass, layer))
		mlp_backward(pass, layer);
	attention_half_backward(pass, layer);
}
