/* Everything that runs on the device, as C functions that queue it on a stream: arguments in a struct, the launch's error back.
 *
 * Pointers are device memory unless they say host. `half` says what an array of elements holds: bfloat16, else float32. Matrices are
 * row-major with a leading dimension in elements. Each .cu names its twin on the CPU, which it is tested against.
 */
#ifndef KVGLASS_ENGINE_CUDA_KERNELS_H
#define KVGLASS_ENGINE_CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a step's kernels read from device memory, so that one recorded graph serves every position. */
struct cuda_place {
	int position, n_rows, n_capture;
};

struct cuda_capture { /* struct capture of backend.h with its sums on the device */
	int first, count, step, n_key;
	float *sum;           /* (n_layer, n_head, n_key), added to; or NULL */
	float *per_row;       /* (n_head, row_count, n_key) of one layer, written; or NULL */
	int row_first, row_count; /* the capture's rows that the step has */
	unsigned *error;      /* bits of the largest |row sum - 1| */
};

struct cuda_rows { /* a matrix of activations */
	void *data;
	int ld;
	bool half;
};

/* ---- embed.cu ---- */
struct embed_args {
	const int32_t *ids; /* (n_rows) */
	const void *table;  /* (n_vocab, n_embd) */
	bool half;
	int n_rows, n_embd;
	struct cuda_rows out; /* float32 */
};
cudaError_t cuda_embed(const struct embed_args *a, cudaStream_t stream);
/* Has this build code for the device that calls go to? No error: it has; it is the same for all kernels. */
cudaError_t cuda_find_code(void);

/* ---- norm.cu ---- */
struct norm_args { /* out = in / sqrt(mean(in^2) + eps) * gain */
	struct cuda_rows in, out; /* in: float32 */
	const float *gain;
	float eps;
	int n_rows, n;
};
cudaError_t cuda_norm(const struct norm_args *a, cudaStream_t stream);

/* ---- swiglu.cu ---- */
struct swiglu_args { /* gate = silu(gate) * up */
	struct cuda_rows gate, up;
	int n_rows, n;
};
cudaError_t cuda_swiglu(const struct swiglu_args *a, cudaStream_t stream);

/* ---- rope.cu ---- */
struct rope_table_args { /* cosine and sine of the step's positions: (n_rows, head_dim / 2) pairs */
	const struct cuda_place *place;
	const float *inv_freq;
	float2 *out;
	int n_rows, head_dim;
};
cudaError_t cuda_rope_table(const struct rope_table_args *a, cudaStream_t stream);

struct rope_args { /* per-head norm where there is a gain, rotation, and what the cache takes; any of them may be left out */
	const struct cuda_place *place;
	const float2 *table;      /* NULL: no rotation (the rows are as they go into the cache) */
	const float *q_norm, *k_norm;
	float eps;
	bool adjacent;            /* pairs (2 i, 2 i + 1), else (i, head_dim / 2 + i) */
	struct cuda_rows q, k, v; /* float32 */
	int q_first, q_end, k_first, k_end; /* rows to rotate */
	void *keys, *values;      /* one layer's cache (n_kv_head, max_tokens, head_dim), or NULL */
	bool half;
	int max_tokens, n_rows, n_head, n_kv_head, head_dim;
};
cudaError_t cuda_rope(const struct rope_args *a, cudaStream_t stream);

/* ---- matvec.cu: products of up to MATVEC_ROWS rows, reading the weights once ---- */
enum { MATVEC_ROWS = 8 };
struct matvec_args { /* out = in W^T + bias, or added onto out */
	struct cuda_rows in, out;
	const void *weight; /* (n_out, n_in) */
	const float *bias;  /* (n_out) or NULL */
	bool half;          /* of weight and in */
	bool add;
	bool swiglu;        /* W is [gate; up]: out (n_out / 2) = silu(gate) * up */
	int n_rows, n_out, n_in;
};
cudaError_t cuda_matvec(const struct matvec_args *a, cudaStream_t stream);

/* ---- bias.cu ---- */
struct bias_args {
	const float *bias;
	struct cuda_rows out;
	int n_rows, n;
};
cudaError_t cuda_add_bias(const struct bias_args *a, cudaStream_t stream);

/* ---- lora.cu ---- */
enum { MOST_LORA_PARTS = 3 };
struct lora_args { /* out += (in A^T) B for up to three pairs */
	struct cuda_rows in;
	bool out_half;
	int n_part;
	const float *a[MOST_LORA_PARTS], *b[MOST_LORA_PARTS]; /* (r, n_in), (r, n_out) */
	void *out[MOST_LORA_PARTS];                           /* rows ld_out apart */
	int ld_out[MOST_LORA_PARTS], r[MOST_LORA_PARTS], n_out[MOST_LORA_PARTS];
	int low_at[MOST_LORA_PARTS]; /* the part's column of `low` */
	float *low; /* scratch (n_rows, ranks of all parts side by side), ld_low apart */
	int ld_low, n_rows, n_in;
};
cudaError_t cuda_lora_rows(const struct lora_args *a, cudaStream_t stream);

/* ---- unpack.cu ---- */
struct unpack_args {
	int type;            /* enum tensor_type */
	bool half;
	const uint8_t *from; /* blocks, as stored */
	void *to;            /* n elements */
	size_t n;            /* a multiple of the type's block */
};
cudaError_t cuda_unpack(const struct unpack_args *a, cudaStream_t stream);

/* ---- random.cu ---- */
struct random_args { /* normal numbers, mean 0; element i depends on seed and i alone */
	void *to; /* (n) */
	bool half;
	size_t n;
	uint64_t seed;
	float deviation;
};
cudaError_t cuda_random(const struct random_args *a, cudaStream_t stream);

/* ---- argmax.cu ---- */
struct argmax_args {
	const float *x;
	int n;
	unsigned long long *out; /* 0 before; argmax_index() reads it */
};
cudaError_t cuda_argmax(const struct argmax_args *a, cudaStream_t stream);
#define ARGMAX_NOT_FINITE (~0ull)
/* Lowest index of the largest, -1 when one is not finite. Host. */
static inline int argmax_index(unsigned long long out)
{
	return out == ARGMAX_NOT_FINITE ? -1 : (int)(0xffffffffu - (unsigned)out);
}

/* ---- attention: attention.cu (bfloat16 on tensor cores), attention_f32.cu, attention_join.cu ---- */
struct attention_args {
	struct cuda_rows q, out;     /* q float32; out.data NULL: statistics alone */
	const void *keys, *values;   /* one layer's cache (n_kv_head, max_tokens, head_dim) */
	bool half;                   /* of the cache; also which kernel */
	int max_tokens, n_head, n_kv_head, head_dim;
	int position, first_row, n_row; /* rows first_row .. first_row + n_row - 1 of the step attend */
	int n_split;                 /* parts that the keys are cut into */
	float *part_out;             /* (n_split, n_row, n_head, head_dim), only with n_split > 1 */
	float2 *part;                /* (n_split, n_row, n_head): maximum and sum, only with n_split > 1 */
	float2 *stat;                /* (step row, n_head): maximum of the scores times log2 e, 1 / sum of their powers of two */
	int *bad;                    /* raised to `layers_left` when a sum is not finite */
	int layers_left;             /* n_layer - layer: the largest is the first layer */
};
cudaError_t cuda_attention_half(const struct attention_args *a, cudaStream_t stream);
cudaError_t cuda_attention_f32(const struct attention_args *a, cudaStream_t stream);
cudaError_t cuda_attention_join(const struct attention_args *a, cudaStream_t stream); /* parts -> out, stat */
enum { ATTENTION_KEYS = 64 }; /* keys of a tile: parts begin at multiples */

/* ---- attention_decode.cu: the one row of a decode step; the position is read from device memory ---- */
struct decode_args {
	const struct cuda_place *place;
	struct attention_args attention; /* n_row 1, position unused; part arrays always */
	float *score;                    /* (n_head, max_tokens) kept for the captures, or NULL */
	const uint8_t *kept;             /* one layer's (n_head, n_evictable) 0: not seen (struct eviction); NULL: no eviction */
	int n_evictable;
};
cudaError_t cuda_attention_decode(const struct decode_args *a, cudaStream_t stream);
/* Blocks that a multiprocessor holds at once, with up to four query heads for a KV head and with more: as many parts as fill the device
 * once are best, because a block that comes when others have ended finds the device half empty. */
enum { DECODE_BLOCKS = 3, DECODE_BLOCKS_OF_MANY = 2 };

/* ---- capture.cu, capture_f32.cu: column sums of the captured rows, from their statistics ---- */
struct capture_args {
	struct attention_args attention; /* q, keys, shape, position, stat */
	const struct cuda_capture *capture;
	int n_capture;
	const int *row; /* (n_captured) rows of the step that a capture wants, ascending */
	int n_captured, layer;
	int n_span;     /* parts that the keys are cut into */
	float *check;   /* (n_span, n_captured, n_head) sums of each part's probabilities */
};
cudaError_t cuda_capture_half(const struct capture_args *a, cudaStream_t stream);
cudaError_t cuda_capture_f32(const struct capture_args *a, cudaStream_t stream);

struct capture_few_args { /* of the one row of a decode step, from the scores that attention kept */
	const struct cuda_place *place;
	const float *score; /* (n_head, max_tokens) */
	const float2 *stat;
	const struct cuda_capture *capture;
	int n_head, max_tokens, layer;
	int n_span;
	float *check;
};
cudaError_t cuda_capture_decode(const struct capture_few_args *a, cudaStream_t stream);

struct capture_check_args { /* check -> the captures' errors */
	const struct cuda_place *place;
	const struct cuda_capture *capture;
	const int *row; /* NULL: row 0 */
	const float *check;
	int n_span, n_captured, n_head;
};
cudaError_t cuda_capture_check(const struct capture_check_args *a, cudaStream_t stream);
enum { MAX_CAPTURES = 32 }; /* of one step */

/* ---- cache.cu ---- */
struct widen_args { /* elements -> float32 */
	const void *from;
	float *to;
	size_t n;
	bool half;
};
cudaError_t cuda_widen(const struct widen_args *a, cudaStream_t stream);

struct row_norms_args { /* out[i] (+)= factor * norm of row i */
	const void *rows; /* (n_rows, n), ld apart */
	bool half;
	int ld, n_rows, n;
	bool l1, add;
	float factor;
	float *out;
};
cudaError_t cuda_row_norms(const struct row_norms_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
