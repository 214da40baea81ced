/* The common protocol (analysis/evaluation.h) over budgets, and over several captures. */
#ifndef KVGLASS_ANALYSIS_COMPARE_H
#define KVGLASS_ANALYSIS_COMPARE_H

#include "analysis/evaluation.h"
#include "analysis/regions.h"

struct interval {
	double mean, low, high; /* 95 % percentile bootstrap over prompts, seeded; low = high = NaN for one capture */
};
struct compare_cell { /* one budget, one method */
	bool defined; /* some prompt has numbers here */
	struct interval overlap, mass, mass_ratio;
	float *overlap_head, *mass_head, *mass_ratio_head; /* (n_layer, n_unit), means over the prompts; NULL without per_head */
};
struct compare_options {
	struct evaluation_options eval;
	/* NULL: those of 64, 128, 256, 512, 1024, 2048 below n (of the shortest prompt) and above sink + window */
	const int *budget;
	int n_budget;
	bool per_head;
	bool regions; /* where the budget goes, by part of the prompt and class of token */
	const struct progress *progress; /* stage "compare": prompts; or NULL */
};
struct compare_prompt { /* one capture's own row */
	const char *label; /* path or name */
	int n_prompt, n_response;
	int n_candidate;
	double *overlap, *mass, *mass_ratio; /* (n_budget, n_method) */
	double *kl, *spearman, *area;        /* (n_method) */
};
struct comparison {
	int n_budget, n_method, n_prompt;
	int *budget;
	const struct method **method;          /* owned copies, in display order; names that some capture can serve */
	struct compare_cell *cell;             /* (n_budget, n_method) */
	struct interval *kl, *spearman, *area; /* (n_method) */
	float **kl_head;                       /* (n_method) -> (n_layer, n_head) or NULL */
	struct region_numbers *region;         /* (n_budget, n_method, REGION_SPAN), means over the prompts; NULL when not asked for */
	struct compare_prompt *prompt;
	struct protocol protocol;
	int n_layer, n_head, n_kv_head; /* of the first capture */
	int n_unit;                     /* heads that choose, per layer: n_kv_head, or n_head when the group is not reduced */
	int n_check;
	struct self_check check[16];    /* of the first capture that fails one, else of the first */
	int n_warning;
	char warning[8][200]; /* "no response: ...", "truth from 18 response tokens: ...", ...; the last counts what did not fit */
};
/* Captures of different models may be compared; per-head arrays need one shape (ERR_USE). A listed budget <= sink
 * + window is ERR_USE. A number without candidates or response is NaN, with a warning that says why. label may be
 * NULL. */
int compare_captures(struct comparison **out, const struct capture *const *c, const char *const *label, int n,
	const struct compare_options *o, struct err *e);
void comparison_free(struct comparison *cmp);

#endif
