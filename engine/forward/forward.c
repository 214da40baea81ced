/* The forward pass of the Llama family, written once over the table of operations.
 *
 *   h = embed(rows)
 *   layer:  x = rmsnorm(h);  q, k, v = x Wq, x Wk, x Wv (+ bias, + LoRA);  [q, k per-head rmsnorm: Qwen3];  rotate q, k
 *           append k, v;  h += attention(q) Wo;  x = rmsnorm(h);  h += (silu(x Wgate) * (x Wup)) Wdown
 *   logits = rmsnorm(h) Wout
 *
 * The last layer does only what somebody will look at: keys and values of every row, queries from the first captured row (or the
 * last row, for its logits) on, and everything behind attention for the last row alone.
 */
#include "engine/forward/session.h"

int row_buffer_width(const struct model_info *info, enum row_buffer buffer)
{
	switch (buffer) {
	case ROWS_Q:
	case ROWS_ATTENDED:
		return info->n_head * info->head_dim;
	case ROWS_K:
	case ROWS_V:
		return info->n_kv_head * info->head_dim;
	case ROWS_GATE:
	case ROWS_UP:
		return info->n_ff;
	default:
		return info->n_embd;
	}
}

struct layer_run { /* one layer of one pass */
	const struct backend_ops *ops;
	struct backend *b;
	const struct layer_weights *w;
	const struct adapter *adapter; /* (N_PROJ) of this layer, or NULL */
	int index;
	struct row_range all;     /* every row of the pass */
	struct row_range queries; /* rows that attend */
	struct row_range outputs; /* rows that go on behind attention; n = 0: none */
	bool values;              /* the cache takes values too */
};

static void project(const struct layer_run *l, enum row_buffer in, const int *proj, const enum row_buffer *out, int n,
	struct row_range rows, bool add)
{
	struct matmul_part part[3];
	for (int i = 0; i < n; i++)
		part[i] = (struct matmul_part){.weight = &l->w->proj[proj[i]], .bias = l->w->bias[proj[i]], .out = out[i]};
	l->ops->matmul(l->b, &(struct matmul_op){.in = in, .rows = rows, .part = part, .n_part = n, .add = add});
	struct lora_part lora[3];
	int n_lora = 0;
	for (int i = 0; l->adapter && i < n; i++)
		if (l->adapter[proj[i]].a)
			lora[n_lora++] = (struct lora_part){.adapter = &l->adapter[proj[i]], .out = out[i]};
	if (n_lora)
		l->ops->lora(l->b, &(struct lora_op){.in = in, .rows = rows, .part = lora, .n_part = n_lora});
}

static void project_one(const struct layer_run *l, enum row_buffer in, int proj, enum row_buffer out, struct row_range rows, bool add)
{
	project(l, in, &proj, &out, 1, rows, add);
}

static void attend(const struct layer_run *l)
{
	static const int proj[] = {PROJ_K, PROJ_V, PROJ_Q};
	static const enum row_buffer out[] = {ROWS_K, ROWS_V, ROWS_Q};
	l->ops->rmsnorm(l->b, &(struct norm_op){.in = ROWS_HIDDEN, .out = ROWS_NORMED, .gain = l->w->attn_norm, .rows = l->all});
	if (l->values && l->queries.n == l->all.n) {
		project(l, ROWS_NORMED, proj, out, 3, l->all, false);
	} else {
		project(l, ROWS_NORMED, proj, out, l->values ? 2 : 1, l->all, false);
		project_one(l, ROWS_NORMED, PROJ_Q, ROWS_Q, l->queries, false);
	}
	l->ops->rope(l->b, &(struct rope_op){.q_norm = l->w->q_norm, .k_norm = l->w->k_norm, .q_rows = l->queries, .k_rows = l->all});
	l->ops->append(l->b, &(struct append_op){.layer = l->index, .values = l->values});
	l->ops->attention(l->b, &(struct attention_op){.layer = l->index, .rows = l->queries, .output = l->outputs.n > 0});
}

static void feed(const struct layer_run *l)
{
	static const int proj[] = {PROJ_GATE, PROJ_UP};
	static const enum row_buffer out[] = {ROWS_GATE, ROWS_UP};
	l->ops->rmsnorm(l->b, &(struct norm_op){.in = ROWS_HIDDEN, .out = ROWS_NORMED, .gain = l->w->ffn_norm, .rows = l->outputs});
	project(l, ROWS_NORMED, proj, out, 2, l->outputs, false);
	l->ops->swiglu(l->b, l->outputs);
	project_one(l, ROWS_GATE, PROJ_DOWN, ROWS_HIDDEN, l->outputs, true);
}

static void run_layer(const struct layer_run *l)
{
	attend(l);
	if (!l->outputs.n)
		return;
	project_one(l, ROWS_ATTENDED, PROJ_O, ROWS_HIDDEN, l->outputs, true);
	feed(l);
}

/* First row of the pass that a capture wants, n_rows when none does. */
static int first_captured(const struct pass *p)
{
	for (int row = 0; row < p->n_rows; row++)
		for (int i = 0; i < p->n_capture; i++)
			if (capture_row(&p->capture[i], p->position + row) >= 0)
				return row;
	return p->n_rows;
}

static void narrow_last_layer(struct layer_run *l, const struct pass *p)
{
	int first = first_captured(p), last = p->n_rows - 1;
	if (p->logits)
		return;
	if (p->want_last && first > last)
		first = last;
	l->queries = (struct row_range){first, p->n_rows - first};
	l->outputs = p->want_last ? (struct row_range){last, 1} : (struct row_range){0, 0};
	l->values = !p->soft;
}

static int report(const struct pass *p, int layer, int n_layer)
{
	return progress_report(p->progress, p->stage, p->rows_before + (int64_t)p->n_rows * layer / n_layer, p->rows_total);
}

int forward_pass(struct session *s, const struct pass *p, struct err *e)
{
	const struct model *m = s->model;
	int n_layer = m->info.n_layer;
	s->ops->step_begin(s->backend, &(struct step){.position = p->position, .n_rows = p->n_rows, .capture = p->capture,
		.n_capture = p->n_capture});
	if (p->ids)
		s->ops->embed_ids(s->backend, p->ids);
	else
		s->ops->embed_rows(s->backend, p->embedding);
	for (int i = 0; i < n_layer; i++) {
		if (report(p, i, n_layer)) {
			s->ops->step_end(s->backend, NULL);
			return err_set(e, ERR_CANCELLED, "%s was cancelled", p->stage);
		}
		struct layer_run l = {.ops = s->ops, .b = s->backend, .w = &m->layer[i], .index = i, .values = true,
			.adapter = p->adapter ? p->adapter + (size_t)i * N_PROJ : NULL, .all = {0, p->n_rows}, .queries = {0, p->n_rows},
			.outputs = {0, p->n_rows}};
		if (i == n_layer - 1)
			narrow_last_layer(&l, p);
		run_layer(&l);
	}
	if (p->want_last || p->logits) {
		struct row_range rows = p->logits ? (struct row_range){0, p->n_rows} : (struct row_range){p->n_rows - 1, 1};
		s->ops->rmsnorm(s->backend, &(struct norm_op){.in = ROWS_HIDDEN, .out = ROWS_NORMED, .gain = m->output_norm, .rows = rows});
		s->ops->logits(s->backend, &(struct logits_op){.rows = rows, .out = p->logits});
	}
	return s->ops->step_end(s->backend, e);
}
