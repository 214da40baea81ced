/* What can be said about lookahead modules by looking at their numbers alone: norms per layer and projection, and faults.
 *
 * ||BA||_F^2 = sum over i, j of (B^T B)[i,j] (A A^T)[i,j]: two r x r products of doubles, never the n_out x n_in matrix.
 */
#ifndef KVGLASS_ENGINE_LOOKAHEAD_REPORT_H
#define KVGLASS_ENGINE_LOOKAHEAD_REPORT_H

#include "engine/lookahead.h"

struct lora_norms { /* Frobenius norms; NaN where a factor is not finite */
	bool present;
	double a, b;
	double ba;    /* ||BA||, without the scale */
	double delta; /* scale * ||BA||: what is added to ||W|| */
};

enum lookahead_fault_kind {
	LOOKAHEAD_FAULT_NOT_FINITE, /* NaN or infinity in a factor or a soft token */
	LOOKAHEAD_FAULT_ZERO,       /* A or B all zero where other layers are not: the adapter does nothing; or a soft token all zero */
	LOOKAHEAD_FAULT_UNTRAINED,  /* every B is zero (a control, or training never started) */
	LOOKAHEAD_FAULT_TINY,       /* ||BA|| below 1/1000 of the median over layers of the same projection; soft tokens likewise */
	LOOKAHEAD_FAULT_EXPLODING,  /* ||BA|| above 100 times that median; soft tokens likewise */
	LOOKAHEAD_FAULT_SCALE,      /* this adapter's alpha / r is not the module's */
	LOOKAHEAD_FAULT_BASE,       /* trained for another model file */
	LOOKAHEAD_FAULT_MISSING,    /* most layers have this projection, this one has not (v, o, gate, up, down of the last layer are not needed) */
};

struct lookahead_fault {
	enum lookahead_fault_kind kind;
	int layer, proj; /* -1: no adapter is meant */
	int row;         /* soft token, or -1 */
	double value;    /* what was found: a norm, a count of bad numbers */
	char text[160];  /* one line for people, module's name left out */
};

struct lookahead_report {
	int n_layer, n_lookahead;
	struct lora_norms *lora; /* (n_layer, N_PROJ) */
	double *row_norm;        /* (n_lookahead) L2 norms of the soft tokens */
	int n_fault;             /* all of them are counted, ... */
	int n_listed;            /* ... the first so many are in the list */
	struct lookahead_fault *fault;
};

/* "not finite", "zero", "untrained", ... */
const char *lookahead_fault_name(enum lookahead_fault_kind kind);
/* m: the model that they are to serve, whose hash is compared with the one in the modules; NULL: unknown. */
int lookahead_report_make(struct lookahead_report **out, const struct lookahead *l, const struct model *m, struct err *e);
void lookahead_report_free(struct lookahead_report *r); /* NULL is allowed */

#endif
