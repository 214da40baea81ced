/* The CPU backend: one session's buffers, and the operations that its files share out between them.
 *
 *   backend.c    table, buffers, embedding, norms, RoPE, activation, logits
 *   matmul.c     products with stored weights: panels unpacked to float32 for many rows, blocks read directly for few;
 *                matmul_back.c their transpose, for training
 *   cache.c      KV cache: layout, append, norms
 *   attention.c  attention of many rows (prefill), attention_few.c of few (decode, lookahead), attention_rows.c what both
 *                begin and end with, capture.c the column sums
 *
 * KV cache layout, per layer, in tiles of KEY_TILE positions: keys (tile, n_kv_head, head_dim, KEY_TILE), so that a row of
 * scores is a sum of whole vectors; values (tile, n_kv_head, KEY_TILE, head_dim). Pages are touched as positions fill.
 */
#ifndef KVGLASS_ENGINE_CPU_CPU_H
#define KVGLASS_ENGINE_CPU_CPU_H

#include <stdatomic.h>

#include "engine/cpu/bf16_gemm.h"
#include "engine/cpu/gemm.h"
#include "engine/cpu/simd/simd.h"
#include "engine/cpu/threads.h"
#include "engine/forward/backend.h"

enum {
	FEW_ROWS = 64,    /* up to here attention keeps whole score rows and divides the keys among threads */
	STACK_ROWS = 192, /* query rows a block of attention takes: the heads of a KV group stacked */
};

/* Everything a session allocates, in floats. Pages are touched on use, so what is not needed costs nothing. */
enum area {
	AREA_KEYS,
	AREA_VALUES,
	AREA_ROPE_COS, /* (max_rows, head_dim) of the step's positions, as simd_rows' rope takes them */
	AREA_ROPE_SIN,
	AREA_LOGITS,   /* (n_vocab) */
	AREA_SCORE,    /* attention of few rows: (n_kv_head, n_tile, stacked row, KEY_TILE) */
	AREA_PART_OUT, /* (n_kv_head, n_tile, stacked row, head_dim) */
	AREA_PART_MAX, /* (n_kv_head, n_tile, stacked row), later the factor that makes a part a share of the whole */
	AREA_PART_SUM, /* the same shape */
	AREA_CHECK,    /* (n_tile, n_head, few row) sums of the captured probabilities, tile by tile */
	AREA_HALF_ROWS,   /* bf16: inputs of a product (max_rows, widest) */
	AREA_HALF_KEYS,   /* bf16: one layer's keys (tile, n_kv_head, head_dim, KEY_TILE), */
	AREA_HALF_VALUES, /* and values (tile, n_kv_head, KEY_TILE, head_dim) */
	AREA_SCRATCH,  /* (n_threads, scratch_floats) */
	AREA_ROWS,     /* and the following N_ROW_BUFFER: (max_rows, width) */
	N_AREA = AREA_ROWS + N_ROW_BUFFER
};

struct cpu {
	struct backend_base base;
	const struct model *model;
	const struct simd_kernels *simd;
	struct threads *threads;
	int max_rows, max_tokens, n_tile;
	size_t scratch_floats; /* of one thread */
	float *area[N_AREA];
	int *captured; /* rows of the step that some capture wants, ascending; (max_rows) */
	int n_captured;
	struct bf16_gemm_cache **half; /* per thread; NULL: everything in float32 */
	struct step step;
	int n_evictable;
	uint8_t *kept;    /* (n_layer, n_head, n_evictable) 0: not seen; NULL: no eviction */
	_Atomic int bad_layer; /* first layer whose attention was not finite, -1: none */
	_Atomic int failure;   /* first error code of a piece of work, 0: none */
};

static inline float *cpu_rows(const struct cpu *c, enum row_buffer buffer)
{
	return c->area[AREA_ROWS + (int)buffer];
}

static inline float *cpu_scratch(const struct cpu *c, int thread)
{
	return c->area[AREA_SCRATCH] + (size_t)thread * c->scratch_floats;
}

static inline uint16_t *cpu_half(const struct cpu *c, enum area area)
{
	return (uint16_t *)c->area[area];
}

/* ---- matmul.c ---- */
struct product { /* out (n_row, n_out) = in (n_row, n_in) W^T + bias, or added onto out */
	const float *in;
	int n_row;
	const struct weight *weight;
	const float *bias;
	float *out;
	int ld_out;
	bool add;
	bool exact; /* float32 in every mode (logits) */
};
void cpu_products(struct cpu *c, const struct product *p, int n); /* up to three over the same rows */
int cpu_adapt(struct backend *b, const struct adapter *adapter, struct err *e);
void cpu_lora(struct backend *b, const struct lora_op *op);
size_t cpu_product_scratch(void);                                 /* floats a thread needs */

/* ---- matmul_back.c ---- */
struct product_back { /* d_in (n_row, n_in) += d_out (n_row, n_out) W: the gradient's way back through a product */
	const float *d_out;
	int n_row;
	const struct weight *weight;
	float *d_in;
};
void cpu_product_back(struct cpu *c, const struct product_back *p);

/* ---- cache.c ---- */
float *cpu_key_tile(const struct cpu *c, int layer, int tile, int kv_head);
float *cpu_value_tile(const struct cpu *c, int layer, int tile, int kv_head);
void cpu_append(struct backend *b, const struct append_op *op);
void cpu_read_cache(struct backend *b, const struct read_cache_op *op);
void cpu_key_norms(struct backend *b, int layer, int n, float *out);
void cpu_value_norms(struct backend *b, const struct value_norms_op *op);
size_t cpu_value_norms_scratch(const struct model_info *info); /* floats a thread needs */

/* ---- attention.c ---- */
void cpu_attention(struct backend *b, const struct attention_op *op);
size_t cpu_attention_scratch(const struct model_info *info); /* floats a thread needs */

/* ---- attention_few.c ---- */
struct few_rows {
	int layer;
	int row[FEW_ROWS]; /* rows of the step, ascending */
	int n;
	bool output;  /* write ROWS_ATTENDED */
	bool capture; /* feed the step's captures */
};
void cpu_attention_few(struct cpu *c, const struct few_rows *f);

/* ---- attention_rows.c ---- */
/* Stacks rows of a KV group's heads, times log2(e) / sqrt(head_dim): out (group * n, head_dim), head-major. */
void cpu_stack_queries(const struct cpu *c, int kv_head, const int *row, int n, float *out);
void cpu_check_sum(struct cpu *c, int layer, float sum); /* remembers the first layer with a row sum that is not finite */

/* ---- capture.c ---- */
void cpu_capture_begin(struct cpu *c); /* which rows of the step are wanted */
struct capture_tile { /* n rows against one tile of keys */
	int layer, kv_head, tile, n_key;
	const int *row; /* rows of the step */
	int n;
	float *p;            /* (group * n, KEY_TILE), head-major: weights, which become probabilities */
	const float *factor; /* (group * n) what makes them that */
};
void cpu_capture_add(struct cpu *c, const struct capture_tile *t);
void cpu_capture_check(struct cpu *c, const int *row, int n, int n_tile); /* row errors, after every tile was added */

#endif
