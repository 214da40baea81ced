/* Dossier: what one token is worth, everywhere, and whether another way of scoring would keep it.
 *
 * A variant is the protocol with one switch of its scoring turned: how a group's query heads are reduced, or how
 * scores are pooled. "Would max pooling have kept it?" is a question about one rank, so it costs one head's scores
 * and no sorting.
 */
#ifndef KVGLASS_ANALYSIS_DOSSIER_H
#define KVGLASS_ANALYSIS_DOSSIER_H

#include "analysis/evaluation.h"

enum { VARIANT_MAX = 10 };

struct variant {
	char label[16]; /* "mean", "max", "sum", "no pool", "avg 7", "max 7" */
	bool pools;     /* it is pooling that differs, not the reduction */
	struct scoring score;
};
/* Reductions with the protocol's pooling, then poolings with its reduction. When every query head chooses for itself
 * there is nothing to reduce: poolings only. */
int variants_list(const struct protocol *p, struct variant out[VARIANT_MAX]);

/* Is a method scored from attention rows, so that variants mean something? Orders and scores of their own are never
 * reduced or pooled. */
bool variants_apply(const struct evaluation *ev, int method);

struct variants_question {
	int method; /* one that variants_apply to */
	struct scope scope;
	int position; /* a candidate's */
	const struct variant *list; /* (n) */
	int n;
};
/* The candidate's rank in every head of the scope (layer by layer, unit by unit) under each variant: rank (heads, n).
 * Stage "token": heads. */
int variants_ranks(const struct evaluation *ev, const struct variants_question *q, const struct progress *progress, int *rank,
	struct err *e);

/* The candidate's lift in every row of a method's map: out (n_layer, n_head). NaN where a row has no mass on the
 * candidates. `method` has rows. */
int dossier_lifts(const struct evaluation *ev, int method, int position, float *out, struct err *e);

#endif
