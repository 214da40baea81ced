/* The private table of operations that a training step is written over, as the forward pass is over engine/forward/backend.h.
 *
 * A step device is where a step computes: the CPU (step_cpu.c) or a CUDA device (engine/cuda/train.c). Rules that let one step serve both:
 *
 *   - Arrays are float32, row-major, and lie in the device's memory: pieces of what take() gave. The host sees them through put() and
 *     get() alone. What belongs to the model (weights, gains, biases) and to prompts is named by its host pointer; the device has its
 *     own copy or reads it where it is. Such arrays stay as they are while the device is open.
 *   - Operations are queued in order and return nothing. The first failure sticks; finish() waits, reports it and forgets it.
 *   - Sums are float32 where nothing else is said; "added" means onto what is there. Results do not depend on the number of threads, and
 *     the same step gives the same bits on the same device.
 */
#ifndef KVGLASS_ENGINE_TRAIN_STEP_OPS_H
#define KVGLASS_ENGINE_TRAIN_STEP_OPS_H

#include "engine/cpu/gemm.h"
#include "engine/model/model.h"
#include "engine/train/optimizer.h"
#include "engine/train/step.h"

struct step_shape {
	const struct model *model;
	int n_lookahead, r; /* T, rank of the adapters */
	struct step_limits limits;
};

struct row_product { /* out (n_row, n_out) = in (n_row, n_in) W^T + bias */
	const struct weight *weight; /* of the model */
	const float *bias;           /* of the model, or NULL */
	int n_row;
	const float *in;
	float *out;
};
struct row_product_back { /* d_in (n_row, n_in) += d_out (n_row, n_out) W */
	const struct weight *weight;
	int n_row;
	const float *d_out;
	float *d_in;
};

struct norm_rows { /* y = x / rms(x) * gain, rms = sqrt(mean x^2 + eps), over rows of n */
	int n_row, n;
	float eps;
	const float *x, *gain; /* (n_row, n), (n) of the model */
};

struct swiglu_rows { /* act = silu(gate) * up over n elements */
	const float *gate, *up;
	size_t n;
};

/* RoPE of rows x (n_row, n_head * head_dim) in place, row i at position offset[i / period] + i % period: the lookahead rows of several
 * prompts. inverse rotates back, which is the backward pass. */
struct rope_rows {
	const struct model *model;
	int n_row, n_head, period;
	const int32_t *offset; /* (n_row / period) in the device's memory */
	bool inverse;
	float *x;
};

/* Attention of the lookahead rows of one layer over their prompts and themselves, and the objective (attention_grad.h has the formulas):
 * lookahead row i of a prompt sees its n keys and lookahead keys 0 .. i. R = n_prompt * n_row rows. */
struct attend_rows {
	int layer, n_prompt, n_row; /* T */
	const struct step_prompt *prompt;
	const float *q, *k, *v; /* (R, n_head * d), (R, n_kv_head * d) twice, after RoPE; v NULL in the last layer */
	float *attended;        /* (R, n_head * d), or NULL in the last layer, where outputs lead nowhere */
	float *lse;             /* (n_prompt, n_head, T) log-sum-exp of the scaled logits */
	float *const *mean;     /* per prompt (n_layer, n_head, n): the layer's part receives s, or with a weight dLoss/ds in its place */
	double *head_kl;        /* (n_prompt, n_layer, n_head): the layer's part receives KL(truth || s) */
	double weight;          /* of every head's KL in the loss; 0: forward only */
};
struct attend_rows_back { /* after the forward pass with the same arrays */
	const struct attend_rows *forward;
	const float *d_attended; /* (R, n_head * d), or NULL in the last layer */
	float *d_q, *d_k, *d_v;  /* as q, k and v; d_v is left alone without d_attended */
};

struct step_device; /* begins with its table: struct step_device_base */

struct step_ops {
	const char *name;

	/* Bytes of scratch that open() will take, beside what is taken later; on a device that has no copy of the weights yet, theirs too. */
	uint64_t (*bytes)(const struct step_shape *shape);
	int (*open)(struct step_device **out, const struct step_shape *shape, struct err *e);
	void (*close)(struct step_device *d); /* frees what was taken; NULL is allowed */

	void *(*take)(struct step_device *d, size_t n_bytes); /* aligned to 64 bytes; NULL: finish() says why */
	void (*put)(struct step_device *d, void *to, const void *host, size_t n_bytes); /* host may change at once */
	void (*get)(struct step_device *d, void *host, const void *from, size_t n_bytes); /* waits for what is queued */
	int (*finish)(struct step_device *d, struct err *e);

	void (*zero)(struct step_device *d, float *x, size_t n);
	void (*copy)(struct step_device *d, const float *from, size_t n, float *to);
	void (*scale)(struct step_device *d, float *x, float factor, size_t n);
	void (*add)(struct step_device *d, const float *a, const float *b, size_t n, float *out); /* out may be a or b */

	void (*product)(struct step_device *d, const struct row_product *op);
	void (*product_back)(struct step_device *d, const struct row_product_back *op);
	void (*gemm)(struct step_device *d, const struct gemm *g); /* of narrow matrices: adapters */
	void (*norm)(struct step_device *d, const struct norm_rows *op, float *y);
	void (*norm_back)(struct step_device *d, const struct norm_rows *op, const float *dy, float *dx); /* dx added */
	void (*swiglu)(struct step_device *d, const struct swiglu_rows *op, float *act);
	void (*swiglu_back)(struct step_device *d, const struct swiglu_rows *op, float *d_act, float *d_up); /* d_act becomes d_gate; d_up written */
	void (*rope)(struct step_device *d, const struct rope_rows *op);
	void (*attend)(struct step_device *d, const struct attend_rows *op);
	void (*attend_back)(struct step_device *d, const struct attend_rows_back *op);

	double (*square_sum)(struct step_device *d, const float *x, size_t n); /* in double; waits */
	void (*adamw)(struct step_device *d, const struct adamw *op);
};

struct step_device_base {
	const struct step_ops *ops;
};

static inline const struct step_ops *step_ops(const struct step_device *d)
{
	return ((const struct step_device_base *)d)->ops;
}

extern const struct step_ops step_cpu; /* engine/cuda has the other: cuda_step_ops() */

#endif
