/* One training step: forward and backward of the lookahead rows of several prompts at once.
 *
 *     loss = mean over prompts, layers and query heads of KL(truth || s)      (LookaheadKV, methods.md C.3)
 *
 * The prompt's keys and values are constants (prompt rows never see lookahead rows), so the T rows of all P prompts form one matrix of
 * P * T rows that passes through every weight once forward and once backward: a small multiple of a forward of P * T tokens.
 */
#ifndef KVGLASS_ENGINE_TRAIN_STEP_H
#define KVGLASS_ENGINE_TRAIN_STEP_H

#include "engine/train/parameters.h"

struct step_prompt { /* constants of one prompt */
	int n;              /* tokens */
	const float *truth; /* (n_layer, n_head, n): means over the response rows; need not be normalised */
	/* (n_layer, n_kv_head, n, head_dim), keys after RoPE, the model's own row order; float32, or else half precision */
	const float *key, *value;
	const uint16_t *half_key, *half_value;
};

struct step_limits {
	int max_prompts, max_tokens; /* of one step, of one prompt */
	int n_threads;
};

struct step_request {
	const struct step_prompt *prompt;
	int n_prompt;
	int n_share;     /* prompts that the gradient is the mean over, when several runs accumulate it; 0: n_prompt */
	float *gradient; /* (parameters' n) added to, or NULL: forward only */
};
struct step_result {
	double loss;         /* mean over prompts */
	double *prompt_loss; /* (n_prompt) or NULL */
	double *head_kl;     /* (n_prompt, n_layer, n_head) or NULL */
	float *const *mean;  /* per prompt (n_layer, n_head, n): s itself, forward only; or NULL */
};

struct train_step; /* buffers, kept between steps */
/* parameters: their shape; the values may change between runs. */
int step_open(struct train_step **out, const struct model *m, const struct parameters *p, const struct step_limits *limits, struct err *e);
void step_close(struct train_step *s); /* NULL is allowed */
uint64_t step_bytes(const struct model *m, int n_lookahead, int r, const struct step_limits *limits); /* what step_open() will take */

/* ERR_NUMBER names prompt and layer where a loss is not finite; the gradient is untouched then. */
int step_run(struct train_step *s, const struct parameters *p, const struct step_request *request, struct step_result *result,
	struct err *e);

#endif
