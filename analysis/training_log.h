/* The log that kvglass train writes beside its modules: a JSON object a line, one for each step ({"step", "loss", ...}), one for each
 * judgement of held-out prompts ({"step", "held_out": {"lookahead": {"kl", "overlap", "mass_ratio"}, ...}}).
 *
 * A training that was killed and resumed repeats the steps after its checkpoint: the later line counts, and what stood behind it is
 * forgotten. */
#ifndef KVGLASS_ANALYSIS_TRAINING_LOG_H
#define KVGLASS_ANALYSIS_TRAINING_LOG_H

#include "engine/err.h"

enum { TRAINING_MODULES, TRAINING_SNAPKV, TRAINING_UNTRAINED, N_TRAINING_METHOD };
extern const char *const training_method_name[N_TRAINING_METHOD]; /* "lookahead", "snapkv", "untrained" */

struct training_score { /* means over the held-out prompts; NaN where a line gives none */
	double kl, overlap, mass_ratio;
};
struct training_log {
	int n_step;
	int *step;    /* (n_step), rising */
	double *loss; /* (n_step); NaN where a line gives none */
	int n_held;
	int *held_step;                                /* (n_held), rising: updates made */
	struct training_score *held[N_TRAINING_METHOD]; /* (n_held) each */
	char sha256[65];                               /* of the file */
};
/* Lines of other kinds are passed over; a file without a single step is ERR_FORMAT, and so is a line that is no JSON, unless it is
 * the last, which a killed training may have left half written. */
int training_log_open(struct training_log **out, const char *path, struct err *e);
void training_log_free(struct training_log *l); /* NULL is allowed */

#endif
