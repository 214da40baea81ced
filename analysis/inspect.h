/* Inspection: why lookahead modules are good or bad on a prompt.
 *
 *   objective   what training minimises, KL(truth || prediction) over the whole prompt, per layer and query head, beside the controls
 *   rows        every lookahead row's own attention over the prompt, and what each row is worth
 *   anatomy     the modules' numbers beside the model's: norms, spectra, what the soft tokens are near
 *
 * A prediction is the mean of its rows, and a row does not see those after it. So leaving one out of the mean, or taking only the first
 * few, is arithmetic on the rows' maps: nothing runs again. (Leaving a row out says what it adds to the mean; the rows after it have
 * still read it.)
 */
#ifndef KVGLASS_ANALYSIS_INSPECT_H
#define KVGLASS_ANALYSIS_INSPECT_H

#include "analysis/evaluation.h"
#include "analysis/live.h"
#include "engine/lookahead_report.h"
#include "engine/lookahead_weights.h"

/* ---- the objective --------------------------------------------------------------------------------------------- */

enum objective_of { OBJECTIVE_LOOKAHEAD, OBJECTIVE_SNAPKV, OBJECTIVE_UNTRAINED, N_OBJECTIVE };
const char *objective_name(enum objective_of which); /* the method: "lookahead", ... */

struct objective {
	int n_layer, n_head;
	double *kl[N_OBJECTIVE];  /* (n_layer, n_head); NULL: not measured, or there is no truth */
	double mean[N_OBJECTIVE]; /* over heads in which it is defined; NaN: in none */
	int *worst;               /* (n_layer * n_head) layer * n_head + head, the modules' worst first; NULL without them */
};
int objective_make(struct objective *out, const struct evaluation *ev, struct err *e);
double objective_layer(const struct objective *o, enum objective_of which, int layer); /* mean over its heads */
void objective_free(struct objective *o); /* safe on a zeroed struct */

/* ---- rows ------------------------------------------------------------------------------------------------------ */

struct inspect_rows {
	int n_layer, n_head, n_rows, n_prompt;
	float *data; /* (n_layer, n_head, n_rows, n_prompt) attention of each row on each prompt token */
};
const float *inspect_row(const struct inspect_rows *rows, int layer, int head, int row);
uint64_t inspect_rows_bytes(const struct capture *c, int n_rows);
void inspect_rows_free(struct inspect_rows *rows); /* NULL is allowed */

struct inspect_request {
	const struct lookahead *modules;
	const struct lookahead_switches *switches; /* or NULL */
	const struct capture *base;                /* whose maps are kept beside the prediction; NULL: the live capture */
	bool rows;                                 /* keep every row's own map */
	const struct progress *progress;           /* stage "lookahead" */
};
/* The modules' rows once more over the live prompt: *out is r->base with rows.lookahead, module_name and module_sha256
 * replaced, `module_switches` saying what was not as trained. *rows (may be NULL when not asked for) is the caller's. Modules of another
 * shape are ERR_USE; more rows than live_room() ERR_LIMIT. */
int inspect_run(const struct capture **out, struct inspect_rows **rows, struct live *live, const struct inspect_request *r, struct err *e);
/* "LoRA off: q k, layers 3 7-9; alpha x 0.5; 16 of 32 rows", "" when all is as trained. */
void inspect_say_switches(const struct lookahead *modules, const struct lookahead_switches *sw, char *out, size_t out_bytes);

/* One head's rows (n_rows, n) against its truth (n): gain (n_rows), how much KL would grow without the row; first (n_rows), KL with
 * the first 1, 2, ... rows. Either may be NULL. scratch: (4 n) doubles. Returns KL with all rows. */
double inspect_head(const float *row, int n_rows, const float *truth, int n, double *scratch, double *gain, double *first);

struct inspect_worth {
	int n_rows;
	float *gain; /* (n_layer, n_head, n_rows) as above */
	/* means over all heads */
	double *row_gain; /* (n_rows) */
	double *row_share; /* (n_rows) share of the row's attention that is on the prompt */
	double *kl;       /* (n_rows) with the first 1, 2, ... rows */
	/* the same for the protocol's numbers at one budget; NaN where not defined */
	double *overlap, *mass_ratio;
};
/* c has truth, of the run the rows are of; under the options' protocol at a budget (0: without the last two). Stages "rows" and
 * "rows used". */
int inspect_worth_make(struct inspect_worth **out, const struct inspect_rows *rows, const struct capture *c,
	const struct evaluation_options *options, int budget, const struct progress *progress, struct err *e);
void inspect_worth_free(struct inspect_worth *w); /* NULL is allowed */

/* ---- anatomy --------------------------------------------------------------------------------------------------- */

enum { ANATOMY_NEAR = 5 };

struct anatomy {
	struct lookahead_report *report;
	int r;                    /* largest rank */
	double *weight_norm;      /* (n_layer, N_PROJ) ||W|| */
	double *spectrum;         /* (n_layer, N_PROJ, r) singular values of scale * BA; NaN: no adapter, or above LORA_MAX_SPECTRUM */
	float *cosine;            /* (n_lookahead, n_lookahead) of the soft tokens among themselves */
	struct near_token *near;  /* (n_lookahead, ANATOMY_NEAR) */
	double word_norm;         /* mean norm of the vocabulary's rows */
};
/* Stages "weights" and "vocabulary". */
int anatomy_make(struct anatomy **out, const struct lookahead *l, const struct model *m, int n_threads, const struct progress *progress,
	struct err *e);
void anatomy_free(struct anatomy *a); /* NULL is allowed */
/* Ranks that carry an adapter: (sum of s)^2 / sum of s^2 of its singular values. NaN without an adapter. */
double anatomy_effective_rank(const struct anatomy *a, int layer, int proj);

/* What separates two modules: cosine of the two BA of a place (1: the same direction), NaN where one has none or shapes differ. */
double anatomy_alike(const struct lookahead *x, const struct lookahead *y, int layer, int proj);

#endif
