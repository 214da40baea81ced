/* Judging modules while they are trained, by prompts they never saw: loss, overlap and mass beside SnapKV and untrained lookahead tokens. */
#ifndef KVGLASS_TUI_COMMAND_TRAIN_JUDGE_H
#define KVGLASS_TUI_COMMAND_TRAIN_JUDGE_H

#include "analysis/capture.h"
#include "engine/train.h"
#include "tui/command/train_prompts.h"

struct judge; /* the held-out prompts, measured once */

struct judge_score { /* means over prompts; overlap and mass ratio at budget 128 (half the prompt where it is shorter) */
	double kl, overlap, mass_ratio;
};
enum { JUDGE_SNAPKV, JUDGE_UNTRAINED, JUDGE_MODULES, N_JUDGE };

/* Measures truth, SnapKV and the untrained control of every prompt and makes it a target of the store. */
int judge_open(struct judge **out, const struct model *m, struct target_store *store, const struct train_prompts *prompts,
	const struct options *o, const struct progress *progress, struct err *e);
void judge_close(struct judge *j); /* NULL is allowed */
int judge_run(struct judge *j, struct trainer *t, struct judge_score out[N_JUDGE], struct err *e);
int judge_n_prompt(const struct judge *j);

#endif
