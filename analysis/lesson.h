/* A lesson: training modules on a live prompt, a step at a time, to be watched.
 *
 * Truth is the live capture's and the prompt's keys and values are in the session, so the first step begins at once. Or the prompts of
 * a file are trained on (their truth is measured first) and the live prompt, which they never see, is only watched.
 */
#ifndef KVGLASS_ANALYSIS_LESSON_H
#define KVGLASS_ANALYSIS_LESSON_H

#include "analysis/live.h"
#include "engine/train.h"

struct lesson_options {
	const struct lookahead *start; /* NULL, or without adapters: fresh ones of the published size, rank 8 */
	float lr;                      /* peak rate; 0: 1e-3 */
	int batch;                     /* prompts a step of those given; 0: 4 */
	int steps;                     /* over which the rate falls; 0: 200. More may be made, at the lowest rate */
	uint64_t seed;
	int n_threads;
	const struct target_request *prompt; /* to train on instead of the live one; NULL: the live one */
	int n_prompt;
	const char *folder; /* where their truth is kept, of at most limit_bytes */
	uint64_t limit_bytes;
	const char *note; /* kept in the modules' metadata */
};

struct lesson;
/* Stages of target_store_make(). ERR_USE when the live capture has no truth and is to be trained on. Leans on the model, not on live. */
int lesson_open(struct lesson **out, struct live *live, const struct lesson_options *o, const struct progress *progress, struct err *e);
void lesson_close(struct lesson *l); /* NULL is allowed */
/* One update. ERR_NUMBER: the loss is not finite; the modules are as they were before the step. */
int lesson_step(struct lesson *l, struct train_report *report, struct err *e);
void lesson_rewind(struct lesson *l); /* to the start */
int lesson_modules(struct lesson *l, struct lookahead **out, struct err *e); /* as they are now, the caller's; base hash set */

#endif
