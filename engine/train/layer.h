/* The layers of a training step, forward with what the backward pass needs kept, and backward. Private to engine/train. */
#ifndef KVGLASS_ENGINE_TRAIN_LAYER_H
#define KVGLASS_ENGINE_TRAIN_LAYER_H

#include "engine/cpu/cpu.h"
#include "engine/train/step.h"

/* What is kept of one layer; R = prompts * T rows. */
struct tape {
	float *x;             /* (R, n_embd) into the layer */
	float *q_raw, *k_raw; /* (R, ...) before q/k norm, only where the model has one */
	float *q, *k, *v;     /* (R, n_head * d), (R, n_kv_head * d) twice, after RoPE */
	float *lse;           /* (prompts, n_head, T) log-sum-exp of the attention rows */
	float *attended;      /* (R, n_head * d), input of o */
	float *middle;        /* (R, n_embd) after attention */
	float *gate, *up;     /* (R, n_ff) */
	float *low[N_PROJ];   /* (R, r): scale * x A^T of each adapter */
};

struct train_step {
	const struct model *model;
	struct cpu *cpu; /* threads, kernels and panels of a CPU backend; its cache is not used */
	struct step_limits limits;
	int n_row;          /* T */
	struct tape *tape;  /* (n_layer) */
	float **mean;       /* (max_prompts) -> (n_layer, n_head, n): s, in a backward step dLoss/ds */
	float *task;        /* (threads, task_floats) scratch of attention */
	size_t task_floats;
	/* of the layer at hand, (R, ...) */
	float *normed, *act, *out;               /* inputs of products, recomputed; output of o and down */
	float *d_out;                            /* (R, n_embd) gradient of the residual stream */
	float *d_normed, *d_wide, *d_wide2;      /* (R, n_embd), (R, widest) twice */
	float *d_q, *d_k, *d_v, *d_low;          /* (R, ...), (R, r) */
	double *head_kl;                         /* (max_prompts, n_layer, n_head) */
	int *offset;                             /* (max_prompts) tokens of each prompt: first position of its rows */
	float *arena;                            /* owns every float above */
};

struct pass { /* one step_run() */
	struct train_step *s;
	const struct parameters *p;
	const struct step_prompt *prompt;
	int n_prompt, n_row; /* n_row: R */
	int n_share;         /* prompts that the gradient is the mean over */
	float *gradient;     /* or NULL */
};

void layer_forward(const struct pass *pass, int layer);  /* tape[layer].x -> tape[layer + 1].x, but for the last */
void layer_backward(const struct pass *pass, int layer); /* d_out: gradient of the layer's output -> of its input */

/* ---- attention.c: attention of the rows, one task for every (prompt, KV head) ---- */
size_t row_attention_floats(const struct model *m, int n_row, int max_tokens); /* scratch of a task */
void row_attention_forward(const struct pass *pass, int layer); /* tape q, k, v -> attended, lse, mean, head_kl */
void row_attention_backward(const struct pass *pass, int layer); /* d_wide: gradient of attended -> d_q, d_k, d_v */

static inline bool is_last_layer(const struct pass *pass, int layer)
{
	return layer == pass->s->model->info.n_layer - 1;
}

#endif
