/* A training step on a CUDA device: its state, and what its files share out between them. Host code, C; train_kernels.h is the way to
 * the device, engine/train/step_ops.h the table that is filled here.
 *
 *   train.c           the table, life, memory; operations that are one kernel
 *   train_products.c  products with weights, products of adapters
 *   train_attend.c    attention of the lookahead rows, the objective, and the way back
 *   train_prompts.c   keys, values and truth of prompts on the device
 *
 * Activations, gradients and parameters are float32. In bf16 the weights are bfloat16 and what is multiplied with them is rounded to it on
 * the way, forward and back, as the forward backend does; adapters and attention are multiplied in float32 (no TF32) in both precisions.
 */
#ifndef KVGLASS_ENGINE_CUDA_TRAIN_H
#define KVGLASS_ENGINE_CUDA_TRAIN_H

#include "engine/cuda/cuda.h"
#include "engine/cuda/train_kernels.h"
#include "engine/train/step_ops.h"

enum train_area { /* device memory of every step; W = n + T columns of the longest prompt */
	TRAIN_WORKSPACE, /* of cuBLAS */
	TRAIN_NARROW,    /* (R, widest) bfloat16: what is multiplied with weights */
	TRAIN_KEYS,      /* (n_kv_head, W, head_dim): a prompt's and behind them the lookahead rows' own */
	TRAIN_VALUES,    /* the same */
	TRAIN_QUERY,     /* (n_head, T, head_dim) times 1 / sqrt(head_dim) */
	TRAIN_OUT,       /* (n_head, T, head_dim) weighted values, or their gradient */
	TRAIN_D_QUERY,   /* (n_head, T, head_dim) */
	TRAIN_D_OWN,     /* (n_kv_head, T, head_dim): gradient of the rows' own keys or values */
	TRAIN_P,         /* (n_head, T, W) logits, probabilities */
	TRAIN_DP,        /* (n_head, T, W) their gradients */
	TRAIN_PARTS,     /* (SQUARE_PARTS + 1) double */
	N_TRAIN_AREA
};

struct prompt_copy;
struct cuda_prompts { /* least recently used goes when there is no room */
	struct prompt_copy *copy; /* (n) */
	int n;
	uint64_t bytes, limit; /* limit: set when the first one comes */
	uint64_t clock;
};

struct cuda_train {
	struct step_device_base base;
	struct step_shape shape;
	struct cuda_device device;
	const struct cuda_weights *weights;
	cublasHandle_t blas;
	struct cuda_upload upload;
	bool half; /* bf16 */
	void *area[N_TRAIN_AREA];
	void **taken; /* (n_taken) */
	int n_taken;
	struct cuda_prompts prompts;
};

/* ---- train_products.c ---- */
void cuda_train_product(struct step_device *d, const struct row_product *op);
void cuda_train_product_back(struct step_device *d, const struct row_product_back *op);
void cuda_train_gemm(struct step_device *d, const struct gemm *g);
struct train_batch { /* n products of float32 matrices, `stride_*` elements from one to the next */
	struct gemm one;
	long long stride_a, stride_b, stride_c;
	int n;
};
void cuda_train_multiply(struct cuda_train *t, const struct train_batch *b);

/* ---- train_attend.c ---- */
void cuda_train_attend(struct step_device *d, const struct attend_rows *op);
void cuda_train_attend_back(struct step_device *d, const struct attend_rows_back *op);

/* ---- train_prompts.c ---- */
struct prompt_layer { /* of one prompt, on the device */
	const float *truth;      /* (n_head, n) */
	const void *key, *value; /* (n_kv_head, n, head_dim) */
	bool half;               /* IEEE half precision, else float32 */
};
/* Uploads what is not there yet, layer by layer, so that the next layer's is copied while the device works on this one. False after a
 * failure. */
bool cuda_prompt_layer(struct cuda_train *t, const struct step_prompt *p, int layer, struct prompt_layer *out);
void cuda_prompts_free(struct cuda_train *t);
uint64_t cuda_prompt_bytes(const struct model_info *info, int n_token, bool half);

#endif
