/* The layers of a training step, forward with what the backward pass needs kept, and backward. Private to engine/train. */
#ifndef KVGLASS_ENGINE_TRAIN_LAYER_H
#define KVGLASS_ENGINE_TRAIN_LAYER_H

#include "engine/train/step_ops.h"

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
	struct step_shape shape;
	const struct parameters *p; /* their shape; the values are vector[STEP_VALUE] */
	const struct step_ops *ops;
	struct step_device *device;
	float *vector[N_STEP_VECTOR];
	struct tape *tape; /* (n_layer) */
	float **mean;      /* (max_prompts) -> (n_layer, n_head, n): s, in a backward step dLoss/ds */
	/* of the layer at hand, (R, ...) */
	float *normed, *act, *out;          /* inputs of products, recomputed; output of o and down */
	float *d_out;                       /* (R, n_embd) gradient of the residual stream */
	float *d_normed, *d_wide, *d_wide2; /* (R, n_embd), (R, widest) twice */
	float *d_q, *d_k, *d_v, *d_low;     /* (R, ...), (R, r) */
	double *head_kl;                    /* (max_prompts, n_layer, n_head) */
	int32_t *offset;                    /* (max_prompts) tokens of each prompt: first position of its rows */
	double *host_kl;                    /* host: what head_kl came to, */
	int32_t *host_offset;               /* and where offset comes from */
};

struct pass { /* one step_run() */
	struct train_step *s;
	const struct step_prompt *prompt;
	int n_prompt, n_row; /* n_row: R */
	double weight;       /* of a head's KL in the loss; 0: forward only */
};

void layer_forward(const struct pass *pass, int layer);  /* tape[layer].x -> tape[layer + 1].x, but for the last */
void layer_backward(const struct pass *pass, int layer); /* d_out: gradient of the layer's output -> of its input */

#endif
