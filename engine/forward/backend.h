/* The private table of operations that the forward pass is written over.
 *
 * A backend is one session's device state: row buffers (the activations of one step), the KV cache, scratch. It owns all of it, in
 * the layout that suits it; forward.c only names things. Rules that let one forward pass serve a CPU and a GPU:
 *
 *   - Operations are queued in order and return nothing. The first failure sticks; step_end() waits and reports it.
 *     A CPU does the work at once, a GPU on its stream; no operation inside a layer needs an answer on the host.
 *   - Position, rows and captures of a step are set once, by step_begin(); operations do not carry them, so that decode steps look alike
 *     (one recorded graph serves all).
 *   - Column sums (captures) belong to the caller. A backend may gather them on its device over many steps and add them at collect();
 *     rows that are kept one by one (per_row) and row errors are there at step_end().
 *   - Rows of a step count from 0; a row's position is step.position + row. All activations are float32 (n_rows, width), row-major.
 *   - Results do not depend on the number of threads.
 */
#ifndef KVGLASS_ENGINE_FORWARD_BACKEND_H
#define KVGLASS_ENGINE_FORWARD_BACKEND_H

#include "engine/model/model.h"

enum row_buffer {
	ROWS_HIDDEN,   /* (n_rows, n_embd) the residual stream */
	ROWS_NORMED,   /* (n_rows, n_embd) */
	ROWS_Q,        /* (n_rows, n_head * head_dim) */
	ROWS_K,        /* (n_rows, n_kv_head * head_dim) */
	ROWS_V,        /* the same */
	ROWS_ATTENDED, /* (n_rows, n_head * head_dim) weighted values, heads side by side */
	ROWS_GATE,     /* (n_rows, n_ff) */
	ROWS_UP,       /* (n_rows, n_ff) */
	N_ROW_BUFFER
};
int row_buffer_width(const struct model_info *info, enum row_buffer buffer);

struct row_range { /* rows of the step */
	int first, n;
};

/* One set of query rows to be measured: positions first, first + step, ..., count of them (struct colsum_request). */
struct capture {
	int first, count, step;
	int n_key;
	float *sum;     /* (n_layer, n_head, n_key), added to; or NULL */
	float *per_row; /* (n_layer, n_head, count, n_key), written; or NULL */
	double *row_error;
};

/* Index of a position among the capture's rows, -1 when it is not one of them. */
static inline int capture_row(const struct capture *c, int position)
{
	int distance = position - c->first;
	if (distance < 0 || distance % c->step || distance / c->step >= c->count)
		return -1;
	return distance / c->step;
}

/* A LoRA pair as the products use it: out += (in A^T) B, with the scale in B and B's columns in the order of the base weight's rows. */
struct adapter {
	int r, n_in, n_out;
	const float *a; /* (r, n_in); NULL: none */
	float *b; /* (r, n_out) */
};
enum { ADAPTER_MAX_RANK = 1024 };

struct backend_config {
	const struct model *model;
	int max_tokens; /* capacity of the KV cache */
	int max_rows;   /* rows of a step at most; 0 in an estimate or an open: the backend chooses */
	int n_threads;  /* CPU only; > 0 */
};

struct step {
	int position, n_rows;
	const struct capture *capture; /* must live until step_end() */
	int n_capture;
};

struct norm_op { /* out = in / sqrt(mean(in^2) + eps) * gain, per row */
	enum row_buffer in, out;
	const float *gain;
	struct row_range rows;
};

struct matmul_part {
	const struct weight *weight;
	const float *bias; /* (n_out) or NULL */
	enum row_buffer out;
};
struct matmul_op { /* out = in W^T + bias for up to three weights that read the same rows */
	enum row_buffer in;
	struct row_range rows;
	const struct matmul_part *part;
	int n_part;
	bool add; /* onto out (the residual stream) instead of replacing it */
};

struct lora_part {
	const struct adapter *adapter; /* one of those that adapt() was told of */
	enum row_buffer out;
};
struct lora_op { /* onto the outputs of up to three products that read the same rows */
	enum row_buffer in;
	struct row_range rows;
	const struct lora_part *part;
	int n_part;
};

struct rope_op { /* per-head RMSNorm where the model has one (Qwen3), then rotation, of ROWS_Q and ROWS_K in place */
	const float *q_norm, *k_norm;
	struct row_range q_rows, k_rows;
};

struct append_op { /* ROWS_K and ROWS_V of every row of the step become the cache's entries at their positions */
	int layer;
	bool values; /* false: keys alone (last layer of a lookahead pass) */
};

struct attention_op { /* ROWS_Q over the cache -> ROWS_ATTENDED, causal, and the step's captures */
	int layer;
	struct row_range rows; /* captured rows must lie in it */
	bool output;           /* false: only the captures are wanted */
};

struct logits_op { /* ROWS_NORMED times the output matrix; the last row of the range is also kept as the last logits */
	struct row_range rows;
	float *out; /* host (rows.n, n_vocab), or NULL when only the last row is wanted */
};

struct read_cache_op { /* keys and values of positions 0 .. n-1 */
	int layer, n;
	float *key, *value; /* host (n_kv_head, n, head_dim) */
};

struct value_norms_op {
	int layer, n;
	enum value_norm kind;
	float *out; /* host (n_kv_head, n) */
};

struct backend; /* begins with its table: struct backend_base */

struct backend_ops {
	const char *name;

	/* Bytes that open() with this configuration would take: fills kv and scratch. */
	void (*estimate)(const struct backend_config *c, struct memory_estimate *out);
	int (*open)(struct backend **out, const struct backend_config *c, struct err *e);
	void (*close)(struct backend *b);
	int (*max_rows)(const struct backend *b); /* rows a step may have */

	/* struct eviction of the steps to come, copied; NULL: none. max_rows() may be smaller while there is one. */
	int (*evict)(struct backend *b, const struct eviction *eviction, struct err *e);

	/* (n_layer, N_PROJ) the adapters of the passes to come, which stay as they are until the next call; a device takes its copy now. */
	int (*adapt)(struct backend *b, const struct adapter *adapter, struct err *e);

	void (*step_begin)(struct backend *b, const struct step *step);
	int (*step_end)(struct backend *b, struct err *e); /* ERR_NUMBER names the first layer whose attention was not finite */

	int (*collect)(struct backend *b, struct err *e); /* adds what captures have gathered to their sums */

	void (*embed_ids)(struct backend *b, const int32_t *ids);      /* n_rows token ids -> ROWS_HIDDEN */
	void (*embed_rows)(struct backend *b, const float *embedding); /* (n_rows, n_embd) -> ROWS_HIDDEN */
	void (*rmsnorm)(struct backend *b, const struct norm_op *op);
	void (*matmul)(struct backend *b, const struct matmul_op *op);
	void (*lora)(struct backend *b, const struct lora_op *op);
	void (*rope)(struct backend *b, const struct rope_op *op);
	void (*append)(struct backend *b, const struct append_op *op);
	void (*attention)(struct backend *b, const struct attention_op *op);
	void (*swiglu)(struct backend *b, struct row_range rows); /* ROWS_GATE = silu(ROWS_GATE) * ROWS_UP */
	void (*logits)(struct backend *b, const struct logits_op *op);

	/* These wait for what is queued. */
	const float *(*last_logits)(struct backend *b); /* host (n_vocab) */
	int32_t (*argmax)(struct backend *b);           /* of the last logits, lowest id among equals; -1 when one is not finite */
	void (*read_cache)(struct backend *b, const struct read_cache_op *op);
	void (*key_norms)(struct backend *b, int layer, int n, float *out); /* host (n_kv_head, n) */
	void (*value_norms)(struct backend *b, const struct value_norms_op *op);
};

struct backend_base {
	const struct backend_ops *ops;
};

static inline const struct backend_ops *backend_ops(const struct backend *b)
{
	return ((const struct backend_base *)b)->ops;
}

extern const struct backend_ops backend_cpu; /* engine/cuda has the other: cuda_backend() */
/* The table for the model's device (model_info.device). */
const struct backend_ops *backend_for(const struct model *m);

#endif
