/* One training step: forward and backward of the lookahead rows of several prompts at once, and the update.
 *
 *     loss = mean over prompts, layers and query heads of KL(truth || s)      (LookaheadKV, arXiv 2603.10899)
 *
 * The prompt's keys and values are constants (prompt rows never see lookahead rows), so the T rows of all P prompts form one matrix of
 * P * T rows that passes through every weight once forward and once backward: a small multiple of a forward of P * T tokens.
 *
 * It runs where the model does (step_ops.h). Parameters, gradient and moments lie there from step_open() on; losses come back.
 */
#ifndef KVGLASS_ENGINE_TRAIN_STEP_H
#define KVGLASS_ENGINE_TRAIN_STEP_H

#include "engine/train/optimizer.h"
#include "engine/train/parameters.h"

struct step_prompt { /* constants of one prompt, which stay as they are while the step is open */
	int n;              /* tokens */
	const float *truth; /* (n_layer, n_head, n): means over the response rows; need not be normalised */
	/* (n_layer, n_kv_head, n, head_dim), keys after RoPE, the model's own row order; float32, or else half precision */
	const float *key, *value;
	const uint16_t *half_key, *half_value;
};

struct step_limits {
	int max_prompts, max_tokens; /* of one step, of one prompt */
	int n_threads;               /* of a CPU */
};

struct step_request {
	const struct step_prompt *prompt;
	int n_prompt;
	int n_share;   /* prompts that the gradient is the mean over, when several runs accumulate it; 0: n_prompt */
	bool backward; /* adds to the gradient; else forward only */
};
struct step_result {
	double loss;         /* mean over prompts */
	double *prompt_loss; /* (n_prompt) or NULL */
	double *head_kl;     /* (n_prompt, n_layer, n_head) or NULL */
	float *const *mean;  /* per prompt (n_layer, n_head, n): s itself, forward only; or NULL */
};

struct train_step; /* buffers, kept between steps */
/* Begins at p's values, with nothing in gradient and moments. p stays where it is while the step is open: its shape is read there. */
int step_open(struct train_step **out, const struct model *m, const struct parameters *p, const struct step_limits *limits, struct err *e);
void step_close(struct train_step *s); /* NULL is allowed */
/* What step_open() will take, on the model's device; parameters as when every projection is trained. */
uint64_t step_bytes(const struct model *m, int n_lookahead, int r, const struct step_limits *limits);

/* ERR_NUMBER names prompt and layer where a loss is not finite; the gradient is untouched then. */
int step_run(struct train_step *s, const struct step_request *request, struct step_result *result, struct err *e);

/* The vectors of a training, (parameters' n) each. */
enum step_vector { STEP_VALUE, STEP_GRADIENT, STEP_FIRST, STEP_SECOND, N_STEP_VECTOR };
void step_clear(struct train_step *s, enum step_vector which); /* to zero; a failure is reported by what waits next */
void step_put(struct train_step *s, enum step_vector which, const float *from); /* the same */
int step_get(struct train_step *s, enum step_vector which, float *to, struct err *e);

/* Update number `update` (from 0) of the values by the gradient. norm: the gradient's, before clipping; when it is not finite, everything
 * stays untouched. */
int step_update(struct train_step *s, const struct optimizer_options *o, int64_t update, double *norm, struct err *e);

#endif
