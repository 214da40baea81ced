/* A training step on the CPU: what the files of its operations share out between them, and the plain functions that their names lead to.
 *
 *   step_cpu.c       the table, memory, products with stored weights
 *   row_ops.c        operations row by row, shared out among threads
 *   row_attention.c  attention of the rows, one task for every (prompt, KV head); attention_grad.c the arithmetic of a task
 */
#ifndef KVGLASS_ENGINE_TRAIN_STEP_CPU_H
#define KVGLASS_ENGINE_TRAIN_STEP_CPU_H

#include "engine/cpu/cpu.h"
#include "engine/train/step_ops.h"

struct step_on_cpu {
	struct step_device_base base;
	struct cpu *cpu; /* threads, kernels and panels of a CPU backend; its cache is not used */
	struct step_shape shape;
	float *task; /* (threads, task_floats) scratch of attention */
	size_t task_floats;
	void **taken; /* (n_taken) */
	int n_taken;
};

static inline struct cpu *cpu_of(struct step_device *d)
{
	return ((struct step_on_cpu *)d)->cpu;
}

/* ---- row_ops.c ---- */
void row_gemm(struct step_device *d, const struct gemm *g);
void row_norm(struct step_device *d, const struct norm_rows *op, float *y);
void row_norm_back(struct step_device *d, const struct norm_rows *op, const float *dy, float *dx);
void row_swiglu(struct step_device *d, const struct swiglu_rows *op, float *act);
void row_swiglu_back(struct step_device *d, const struct swiglu_rows *op, float *d_act, float *d_up);
void row_rope(struct step_device *d, const struct rope_rows *op);

/* ---- row_attention.c ---- */
size_t row_attention_floats(const struct step_shape *shape); /* scratch of a task */
void row_attend(struct step_device *d, const struct attend_rows *op);
void row_attend_back(struct step_device *d, const struct attend_rows_back *op);

#endif
