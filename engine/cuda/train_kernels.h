/* What a training step runs on the device beside what kernels.h has; the same rules hold. All arrays are float32 where nothing else is said.
 *
 * Twins on the CPU: engine/train/row_ops.c, attention_grad.c and optimizer.c, whose names the comments below give.
 */
#ifndef KVGLASS_ENGINE_CUDA_TRAIN_KERNELS_H
#define KVGLASS_ENGINE_CUDA_TRAIN_KERNELS_H

#include "engine/cuda/kernels.h"
#include "engine/train/optimizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- vector.cu: n elements, one thread each ---- */
struct add_args { /* out = a + b; out may be one of them */
	const float *a, *b;
	float *out;
	size_t n;
};
cudaError_t cuda_add(const struct add_args *a, cudaStream_t stream);
struct scale_args { /* x *= factor */
	float *x, factor;
	size_t n;
};
cudaError_t cuda_scale(const struct scale_args *a, cudaStream_t stream);
struct narrow_args { /* float32 -> bfloat16, to nearest even */
	const float *from;
	void *to;
	size_t n;
};
cudaError_t cuda_narrow(const struct narrow_args *a, cudaStream_t stream);

/* ---- norm_back.cu: norm_backward_row ---- */
struct norm_back_args { /* dx += the gradient of y = x / rms(x) * gain along dy */
	const float *x, *gain, *dy; /* (n_row, n), (n), (n_row, n) */
	float *dx;
	float eps;
	int n_row, n;
};
cudaError_t cuda_norm_back(const struct norm_back_args *a, cudaStream_t stream);

/* ---- swiglu_back.cu: swiglu_forward_piece, swiglu_backward_piece ---- */
struct swiglu_back_args {
	const float *gate, *up; /* (n) */
	float *act;             /* forward: silu(gate) * up, written; backward: its gradient, which becomes that of gate */
	float *d_up;            /* backward: written; NULL: forward */
	size_t n;
};
cudaError_t cuda_swiglu_train(const struct swiglu_back_args *a, cudaStream_t stream);

/* ---- rope_rows.cu: row_rope ---- */
struct rope_rows_args { /* row i is at position offset[i / period] + i % period */
	float *x;               /* (n_row, n_head * head_dim) in place */
	const int32_t *offset;
	const float *inv_freq;  /* (head_dim / 2) */
	int n_row, n_head, head_dim, period;
	bool adjacent, inverse; /* pairs as in rope_args; the rotation back */
};
cudaError_t cuda_rope_rows(const struct rope_rows_args *a, cudaStream_t stream);

/* ---- heads.cu: gather, scatter, load_constants ---- */
struct heads_args { /* rows (n_row, n_head * head_dim) <-> heads (n_head, n_row, head_dim), `stride` elements from head to head */
	float *rows, *heads;
	size_t stride;
	int n_row, n_head, head_dim;
	float factor;
};
cudaError_t cuda_rows_to_heads(const struct heads_args *a, cudaStream_t stream); /* heads = factor * rows */
cudaError_t cuda_heads_to_rows(const struct heads_args *a, cudaStream_t stream); /* rows = factor * heads */
struct widen_heads_args { /* a prompt's keys or values (n_head, n) as they are kept -> float32, `stride` from head to head */
	const void *from;
	bool half; /* IEEE half precision, else float32 */
	float *to;
	size_t n, stride;
	int n_head;
};
cudaError_t cuda_widen_heads(const struct widen_heads_args *a, cudaStream_t stream);

/* ---- row_softmax.cu: attention_forward, softmax_backward_row ---- */
struct row_softmax_args { /* one block a row; row i of a head sees columns 0 .. n + i of n + n_row */
	float *logit; /* (n_head, n_row, n + n_row) scaled; become probabilities, 0 where a row does not see */
	float *lse;   /* (n_head, n_row) log-sum-exp: written by the forward pass, read by the way back */
	int n_head, n_row, n;
};
cudaError_t cuda_row_softmax(const struct row_softmax_args *a, cudaStream_t stream);
struct row_softmax_back_args {
	struct row_softmax_args softmax; /* logits computed again */
	const float *d_mean; /* (n_head, n): dLoss/ds, which every row has 1 / n_row of */
	float *dp;           /* as logit: dLoss/dP through the outputs, becomes dLoss/dlogit */
	bool outputs;        /* false: they lead nowhere, dp is only written */
};
cudaError_t cuda_row_softmax_back(const struct row_softmax_back_args *a, cudaStream_t stream);

/* ---- objective.cu: the means of attention_forward, objective_kl ---- */
struct column_mean_args { /* mean[h, j] = mean over rows of p[h, row, j], j < n */
	const float *p; /* (n_head, n_row, n + n_row) */
	float *mean;    /* (n_head, n) */
	int n_head, n_row, n;
};
cudaError_t cuda_column_mean(const struct column_mean_args *a, cudaStream_t stream);
struct objective_args { /* one block a head */
	const float *truth; /* (n_head, n) */
	float *s;           /* (n_head, n): with a weight becomes weight * dKL/ds */
	double *kl;         /* (n_head) KL(truth || s), sums in double */
	double weight;
	int n_head, n;
};
cudaError_t cuda_objective(const struct objective_args *a, cudaStream_t stream);

/* ---- adamw.cu: vector_square_sum, adamw_update ---- */
enum { SQUARE_PARTS = 256 };
struct square_sum_args {
	const float *x;
	size_t n;
	double *part; /* scratch (SQUARE_PARTS) */
	double *out;
};
cudaError_t cuda_square_sum(const struct square_sum_args *a, cudaStream_t stream);
cudaError_t cuda_adamw(const struct adamw *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
