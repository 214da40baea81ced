/* Several sessions of the CPU written token by token at once, for training targets.
 *
 * A single row reads every weight for one token. Here the rows of all sessions share each product with the weights, on one backend
 * that leads; rotation, cache and attention stay each session's own and are shared out among the leader's threads. The numbers are those
 * of session_generate() up to the rounding of differently shaped products.
 */
#ifndef KVGLASS_ENGINE_TRAIN_TOGETHER_H
#define KVGLASS_ENGINE_TRAIN_TOGETHER_H

#include "engine/forward/session.h"

struct together_voice { /* one session's part */
	struct session *session; /* of one thread, with the prompt run and its last logits there */
	struct capture capture;  /* truth: rows of the response as they are written */
	int n_max;               /* greedy, until an end token */
	int32_t *ids;            /* (n_max) receives the response */
	int n;                   /* tokens of it */
	bool ended;              /* all of it is written and captured */
};

/* Stage "responses" counts tokens. */
int together_generate(const struct model *m, struct together_voice *voice, int n_voice, int n_threads, const struct progress *progress,
	struct err *e);
/* Calls work for every i < n, each in one of n_threads threads (sessions of one thread, side by side). First error wins. */
typedef int together_work(void *context, int i, struct err *e);
int together_each(int n, int n_threads, together_work *work, void *context, struct err *e);

#endif
