/* What an evaluation holds: private to analysis/evaluation/.
 *
 * Tables are indexed by row = layer * n_unit + unit (query heads: layer * n_head + head). A stride of 0 means that
 * all rows are alike and stored once: the order by age, the identity of the oracle's hits.
 */
#ifndef KVGLASS_ANALYSIS_EVALUATION_TABLES_H
#define KVGLASS_ANALYSIS_EVALUATION_TABLES_H

#include "analysis/evaluation.h"
#include "analysis/scoring.h"
#include "analysis/selection.h"

struct method_tables {
	struct score_job job;        /* METHOD_MAP: what is scored; METHOD_ORACLE: truth without pooling */
	uint32_t *order, *rank;      /* (rows, n_cand) */
	size_t rank_stride;
	uint32_t *hits;              /* (rows, n_cand + 1); NULL without truth, as all below */
	size_t hits_stride;
	float *mass;                 /* (rows, n_cand + 1) share of the candidates' truth */
	const float *best;           /* the same for the best choice: the oracle's, for the ceiling that of the even rows */
	float *own_best;             /* the ceiling's */
	float *sorted;               /* (rows, n_cand) scores in order; only when heads compete for a layer's budget */
	double *spearman, *area;     /* (rows) */
	double *kl;                  /* (n_layer, n_head) */
	float *row_sum;              /* (n_layer, n_head) sum of the map's row; rows maps only */
};

struct evaluation {
	const struct capture *capture;
	struct protocol protocol;
	uint64_t seed;
	int n_unit, first, n_cand;
	const struct capture_map *truth, *even; /* NULL: none */
	int n_even, n_odd;                      /* response rows behind truth */
	int n_method;
	struct eval_method *method; /* (n_method) */
	struct method_tables *table; /* (n_method) */
	struct method *made;        /* descriptions of maps that the table of methods does not know */
	struct method_tables oracle; /* truth's own ranking, whether or not the oracle was asked for */
	uint32_t *identity;          /* (n_cand + 1) */
};

static inline size_t unit_row(const struct evaluation *ev, int layer, int unit)
{
	return (size_t)layer * (size_t)ev->n_unit + (size_t)unit;
}
static inline bool uneven(const struct selection *s)
{
	return s->layer != LAYER_UNIFORM || s->head != HEAD_UNIFORM || s->full_layers > 0;
}

/* Fills every table; layers are spread over threads. */
int evaluation_fill(struct evaluation *ev, int n_threads, const struct progress *progress, struct err *e);

#endif
