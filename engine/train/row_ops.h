/* Operations over the rows of a training step, forward and backward, shared out among threads.
 *
 * Matrices are float32, row-major, their rows as wide as said. Gradients marked "added" accumulate.
 */
#ifndef KVGLASS_ENGINE_TRAIN_ROW_OPS_H
#define KVGLASS_ENGINE_TRAIN_ROW_OPS_H

#include "engine/cpu/cpu.h"

/* A product of small matrices (gemm.h), cut along the longer side of its result. */
void row_gemm(struct cpu *c, const struct gemm *g);

/* y = x / rms(x) * gain, rms = sqrt(mean x^2 + eps), over rows of n floats. */
struct norm_rows {
	int n_row, n;
	float eps;
	const float *x, *gain; /* (n_row, n), (n) */
};
void norm_forward(struct cpu *c, const struct norm_rows *norm, float *y);
void norm_backward(struct cpu *c, const struct norm_rows *norm, const float *dy, float *dx); /* dx added */

/* act = silu(gate) * up over n elements. Backward: d_act becomes d_gate in place, d_up is written. */
void swiglu_forward(struct cpu *c, const float *gate, const float *up, size_t n, float *act);
void swiglu_backward(struct cpu *c, const float *gate, const float *up, size_t n, float *d_act, float *d_up);

/* RoPE of rows (n_row, n_head * head_dim) in place, row i at position first + i % period + offset[i / period]: the lookahead rows of
 * several prompts. inverse rotates back, which is the backward pass. */
struct rope_rows {
	const struct model *model;
	int n_row, n_head, period;
	const int *offset; /* (n_row / period) first position of each prompt's rows */
	bool inverse;
};
void rope_rows(struct cpu *c, const struct rope_rows *r, float *x);

#endif
