/* The CUDA backend: one session's state on a device, and what its files share out between them. Host code, C; kernels.h is the way to the
 * device.
 *
 *   backend.c   the table, opening and closing, steps; queue.c a decode step as a recorded graph
 *   memory.c    what a session takes: areas, estimate; failure.c calls that fail
 *   weights.c   a model's weights on a device, once for all its sessions; upload.c host -> device
 *   products.c  matmul, logits; cublas.c the library, loaded when it is first needed; adapters.c LoRA
 *   attend.c    attention and the captures' passes; sums.c column sums between device and host
 *   read.c      what is read back: logits, argmax, cache, norms
 *   yardstick.c what the device reaches, for kvglass bench
 *   device.c    which devices there are, and why one cannot be used; absent.c all of it in a build without CUDA
 *
 * bf16 (the default): weights, KV cache and the inputs of products are bfloat16, sums float32; the residual stream, queries, keys and values
 * of a step are float32. f32: everything float32, products without TF32.
 *
 * Everything is queued on one stream in order. Host buffers that the device reads or writes meanwhile are pinned.
 */
#ifndef KVGLASS_ENGINE_CUDA_CUDA_H
#define KVGLASS_ENGINE_CUDA_CUDA_H

#include "engine/cuda/cublas.h"
#include "engine/cuda/device.h"
#include "engine/cuda/kernels.h"
#include "engine/forward/backend.h"

/* ---- failures ------------------------------------------------------------------------------------------------------ */

struct cuda_device { /* where calls go, and the first thing that went wrong there */
	int index;
	char name[80]; /* "cuda:0 (NVIDIA H200)" */
	int n_unit;    /* multiprocessors */
	cudaStream_t stream;
	struct err failure; /* code ERR_NONE: none yet */
};
/* Remembers a call that failed, with its file and line; true when this and everything before it went well. */
bool cuda_note(struct cuda_device *d, cudaError_t rc, const char *call, const char *file, int line);
#define CUDA_TRY(device, call) cuda_note(device, call, #call, __FILE__, __LINE__)
bool cuda_note_blas(struct cuda_device *d, cublasStatus_t rc, const char *call, const char *file, int line);
#define CUBLAS_TRY(device, call) cuda_note_blas(device, call, #call, __FILE__, __LINE__)
/* The failure as an error, 0 when there is none. */
int cuda_failure(const struct cuda_device *d, struct err *e);
/* Opens a stream on the device of a model ("cuda:N"); cuda_device_close() waits for it and closes it. */
int cuda_device_open(struct cuda_device *d, const struct model *m, struct err *e);
void cuda_device_close(struct cuda_device *d);
/* Device memory, NULL after a failure (which is noted, with the figures). n_bytes 0 gives NULL without one. */
void *cuda_take(struct cuda_device *d, size_t n_bytes, const char *what);
void cuda_release(struct cuda_device *d, void *p);

/* ---- weights ------------------------------------------------------------------------------------------------------- */

struct cuda_weights; /* of one model on its device */
/* Uploads what is not there yet; the result lives as long as the model. */
int cuda_weights_of(const struct cuda_weights **out, const struct model *m, struct cuda_device *d, struct err *e);
uint64_t cuda_weights_bytes(const struct model *m, bool *resident); /* what they take; resident: and have taken */
/* Device copy of what a model's pointer leads to: data of a weight, a bias, a gain, the frequencies. NULL for NULL. */
const void *cuda_weight_at(const struct cuda_weights *w, const void *host);

/* upload.c: pinned memory in two halves, one filled while the other is on its way. */
struct cuda_upload {
	struct cuda_device *device;
	uint8_t *pinned[2];
	cudaEvent_t sent[2];
	uint8_t *packed[2]; /* device: blocks on their way to be unpacked */
	int turn;
};
enum { UPLOAD_BYTES = 16 << 20 }; /* of a half */
bool cuda_upload_open(struct cuda_upload *u, struct cuda_device *d);
void cuda_upload_close(struct cuda_upload *u);
void cuda_upload_bytes(struct cuda_upload *u, void *to, const void *from, size_t n_bytes);
void cuda_upload_matrix(struct cuda_upload *u, void *to, bool half, const struct weight *w);

/* ---- a session ------------------------------------------------------------------------------------------------------ */

enum cuda_area { /* device memory of a session */
	CUDA_KEYS, /* (n_layer, n_kv_head, max_tokens, head_dim) */
	CUDA_VALUES,
	CUDA_HIDDEN,   /* (max_rows, n_embd) float32 */
	CUDA_NORMED,   /* (max_rows, n_embd) */
	CUDA_KVQ,      /* (max_rows, k, v and q side by side) float32 */
	CUDA_ATTENDED, /* (max_rows, n_head * head_dim) */
	CUDA_FEED,     /* (max_rows, gate and up side by side) */
	CUDA_ROPE,     /* (max_rows, head_dim / 2) cosine and sine */
	CUDA_LOGITS,   /* (n_vocab) float32 */
	CUDA_IDS,      /* (max_rows) */
	CUDA_PART,     /* attention in parts: maximum and sum */
	CUDA_PART_OUT,
	CUDA_STAT,     /* (max_rows, n_head) maximum and 1 / sum */
	CUDA_SCORE,    /* (n_head, max_tokens) of a decode step */
	CUDA_CAPTURED, /* (max_rows) rows that a capture wants */
	CUDA_CHECK,    /* sums of captured probabilities, part by part */
	CUDA_PLACE,    /* struct cuda_place */
	CUDA_CAPTURES, /* (MAX_CAPTURES) struct cuda_capture */
	CUDA_RESULT,   /* struct cuda_result */
	CUDA_WORKSPACE, /* of cuBLAS */
	N_CUDA_AREA
};

enum {
	MOST_HEAD_DIM = 256,
	PART_ROWS = 2048,     /* rows times parts of one attention at most */
	DECODE_PARTS = 64,    /* of a decode step at most */
	CAPTURE_SPANS = 64,   /* parts that the keys of a capture's pass are cut into at most */
	LOGIT_ROWS = 64,      /* rows of logits on the device at once */
	WORKSPACE_BYTES = 32 << 20,
};

struct cuda_result { /* what a step leaves behind, brought back by step_end() */
	unsigned long long argmax; /* of the last logits (argmax_index) */
	int bad; /* n_layer - first layer whose attention was not finite; 0: none */
	unsigned row_error[MAX_CAPTURES]; /* bits of floats */
};

struct cuda_pinned { /* host side of a step's transfers */
	struct cuda_place place;
	struct cuda_capture capture[MAX_CAPTURES];
	struct cuda_result result;
};

struct cuda_sums; /* sums.c */
struct cuda_queue; /* queue.c */
struct cuda_adapters; /* adapters.c */

struct cuda {
	struct backend_base base;
	const struct model *model;
	struct cuda_device device;
	const struct cuda_weights *weights;
	cublasHandle_t blas;
	struct cuda_upload upload;
	int max_rows, max_tokens;
	bool half; /* bf16 */
	void *area[N_CUDA_AREA];
	struct cuda_pinned *pinned;
	int32_t *ids;   /* pinned (max_rows) */
	int *captured;  /* pinned (max_rows): rows of the step that some capture wants, ascending */
	int n_captured;
	float *logits;  /* pinned (n_vocab) */
	bool logits_fetched;
	struct step step;
	uint8_t *kept; /* device (n_layer, n_head, n_evictable), or NULL: no eviction */
	int n_evictable;
	struct cuda_sums *sums;
	struct cuda_queue *queue;
	struct cuda_adapters *adapters;
};

struct cuda_rows cuda_rows_of(const struct backend *b, enum row_buffer buffer); /* of the step, on the device */
struct cuda_rows cuda_rows_from(const struct cuda *c, enum row_buffer buffer, int row);
void *cuda_layer_keys(const struct cuda *c, int layer); /* of the cache */
void *cuda_layer_values(const struct cuda *c, int layer);
static inline size_t cuda_element(const struct cuda *c) /* bytes of a weight or of what is cached */
{
	return c->half ? sizeof(uint16_t) : sizeof(float);
}

/* ---- memory.c ---- */
int cuda_rows_max(const struct backend_config *config);
void cuda_estimate(const struct backend_config *config, struct memory_estimate *out);
bool cuda_take_areas(struct cuda *c, const struct backend_config *config);

/* ---- operations: at once, on the stream ---- */
void cuda_do_embed(struct cuda *c, const float *embedding); /* NULL: the ids of the step */
void cuda_do_norm(struct cuda *c, const struct norm_op *op);
void cuda_do_rope(struct cuda *c, const struct rope_op *rope, const struct append_op *append); /* either may be NULL */
void cuda_do_swiglu(struct cuda *c, struct row_range rows);
void cuda_do_matmul(struct cuda *c, const struct matmul_op *op, bool swiglu);
void cuda_do_lora(struct cuda *c, const struct lora_op *op);
void cuda_do_logits(struct cuda *c, const struct logits_op *op);
void cuda_do_attention(struct cuda *c, const struct attention_op *op);

/* ---- adapters.c ---- */
bool cuda_adapters_open(struct cuda *c);
void cuda_adapters_close(struct cuda *c);
int cuda_adapt(struct backend *b, const struct adapter *adapter, struct err *e);

/* ---- queue.c ---- */
enum cuda_op_kind { OP_EMBED, OP_NORM, OP_MATMUL, OP_ROPE, OP_APPEND, OP_ATTENTION, OP_SWIGLU, OP_LOGITS };
struct cuda_op {
	enum cuda_op_kind kind;
	union {
		struct norm_op norm;
		struct matmul_op matmul; /* its parts are in `part` */
		struct rope_op rope;
		struct append_op append;
		struct attention_op attention;
		struct row_range swiglu;
		struct logits_op logits;
	};
	struct matmul_part part[3];
};
/* Does it now, or keeps it for the step's end when the step is one that repeats. */
void cuda_submit(struct cuda *c, const struct cuda_op *op);
bool cuda_queue_open(struct cuda *c);
void cuda_queue_close(struct cuda *c);
void cuda_queue_forget(struct cuda *c); /* what was recorded: something else than position and captures has changed */
void cuda_queue_begin(struct cuda *c); /* a step */
void cuda_queue_flush(struct cuda *c); /* does what was kept, one by one: something comes that cannot be part of a graph */
void cuda_queue_end(struct cuda *c);   /* launches the graph, recording it when the step is the second of its kind */

/* ---- sums.c ---- */
bool cuda_sums_open(struct cuda *c, int n_threads);
void cuda_sums_close(struct cuda *c);
void cuda_sums_begin(struct cuda *c);         /* the step's captures -> pinned.capture, captured rows */
void cuda_sums_layer(struct cuda *c, int layer); /* rows of captures that keep every row -> host */
void cuda_sums_end(struct cuda *c);           /* row errors */
int cuda_collect(struct backend *b, struct err *e);

/* ---- yardstick.c ---- */
struct machine_rates;
/* A product of this size cubed, and a copy of at least so many bytes. */
int cuda_measure_with(struct machine_rates *out, const struct model *m, int size, size_t n_copied, struct err *e);

/* ---- read.c ---- */
const float *cuda_last_logits(struct backend *b);
int32_t cuda_last_argmax(struct backend *b);
void cuda_read_cache(struct backend *b, const struct read_cache_op *op);
void cuda_key_norms(struct backend *b, int layer, int n, float *out);
void cuda_value_norms(struct backend *b, const struct value_norms_op *op);

#endif
