#include "analysis/dossier.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "analysis/scoring.h"

static const int kernel[] = {5, 7, 13}; /* those of the published settings */
enum { N_KERNEL = sizeof kernel / sizeof *kernel };

/* ---- the list ---- */

static void add(struct variant *list, int *n, const struct scoring *score, bool pools)
{
	struct variant *v = &list[(*n)++];
	*v = (struct variant){.pools = pools, .score = *score};
	if (!pools)
		snprintf(v->label, sizeof v->label, "%s", score->group == REDUCE_MAX ? "max" : score->group == REDUCE_SUM ? "sum" : "mean");
	else if (score->pool == POOL_NONE)
		snprintf(v->label, sizeof v->label, "no pool");
	else
		snprintf(v->label, sizeof v->label, "%s %d", pool_name(score->pool), score->kernel);
}

int variants_list(const struct protocol *p, struct variant out[VARIANT_MAX])
{
	static const enum reduce group[] = {REDUCE_MEAN, REDUCE_MAX, REDUCE_SUM};
	static const enum pool pool[] = {POOL_AVG, POOL_MAX};
	int n = 0;
	for (int i = 0; i < 3 && p->score.group != REDUCE_NONE; i++) {
		struct scoring s = p->score;
		s.group = group[i];
		add(out, &n, &s, false);
	}
	if (p->score.pool != POOL_NONE || p->score.group == REDUCE_NONE) {
		struct scoring s = p->score;
		s.pool = POOL_NONE;
		add(out, &n, &s, true);
	}
	for (int i = 0; i < 2 * N_KERNEL; i++) {
		struct scoring s = p->score;
		s.pool = pool[i / N_KERNEL];
		s.kernel = kernel[i % N_KERNEL];
		add(out, &n, &s, true);
	}
	return n;
}

bool variants_apply(const struct evaluation *ev, int method)
{
	const struct eval_method *m = evaluation_method(ev, method);
	const struct capture_map *map = m->available && m->method->kind == METHOD_MAP
		? capture_find(evaluation_capture(ev), m->method->map) : NULL;
	return map && map->kind == MAP_ROWS;
}

/* ---- ranks ---- */

/* As evaluation_open() describes it, but for the scoring. */
static int describe(struct score_job *job, const struct evaluation *ev, int method, const struct scoring *how, struct err *e)
{
	const struct method *m = evaluation_method(ev, method)->method;
	const struct selection *s = &evaluation_protocol(ev)->select;
	*job = (struct score_job){.capture = evaluation_capture(ev), .map = capture_find(evaluation_capture(ev), m->map),
		.how = *how, .window = s->window, .shared = m->shared || s->shared};
	job->how.per_visible_rows |= m->per_visible_rows;
	return scoring_prepare(job, e);
}

/* Highest first, lower position first among equals, NaN last: as ranking_sort() orders them. */
static int rank_of(const float *score, int first, int n, int position)
{
	float here = score[position];
	int before = 0;
	for (int j = first; j < first + n; j++)
		if (isnan(here))
			before += !isnan(score[j]) || j < position;
		else
			before += score[j] > here || (score[j] == here && j < position);
	return before;
}

int variants_ranks(const struct evaluation *ev, const struct variants_question *q, const struct progress *progress, int *rank,
	struct err *e)
{
	const struct capture *c = evaluation_capture(ev);
	const struct scope s = q->scope;
	int first, n_candidate = evaluation_n_candidate(ev, &first), units = evaluation_n_unit(ev), rc = 0;
	bool one = s.layer >= 0 && s.kv_head >= 0;
	int layer = s.layer < 0 ? 0 : s.layer, last = s.layer < 0 ? c->n_layer : s.layer + 1;
	int per_layer = one ? 1 : units, done = 0, total = (last - layer) * per_layer;
	double *scratch = malloc(3 * (size_t)c->n_prompt * sizeof *scratch);
	float *score = malloc((size_t)c->n_prompt * sizeof *score);
	if (!scratch || !score)
		rc = err_set(e, ERR_MEMORY, "scores of %d tokens: out of memory", c->n_prompt);
	for (; !rc && layer < last; layer++)
		for (int unit = one ? s.kv_head : 0; !rc && unit < (one ? s.kv_head + 1 : units); unit++, done++) {
			for (int v = 0; !rc && v < q->n; v++) {
				struct score_job job;
				rc = describe(&job, ev, q->method, &q->list[v].score, e);
				if (rc)
					break;
				scoring_unit(&job, layer, unit, scratch, score);
				rank[done * q->n + v] = rank_of(score, first, n_candidate, q->position);
			}
			if (!rc && progress_report(progress, "token", done, total))
				rc = err_set(e, ERR_CANCELLED, "stopped after %d of %d heads", done, total);
		}
	free(scratch);
	free(score);
	return rc;
}

/* ---- lift ---- */

int dossier_lifts(const struct evaluation *ev, int method, int position, float *out, struct err *e)
{
	const struct capture *c = evaluation_capture(ev);
	float *lift = malloc((size_t)c->n_prompt * sizeof *lift);
	int rc = lift ? 0 : err_set(e, ERR_MEMORY, "lift of %d tokens: out of memory", c->n_prompt);
	for (int row = 0; !rc && row < c->n_layer * c->n_head; row++) {
		rc = evaluation_lift(ev, method, row / c->n_head, row % c->n_head, lift, e);
		out[row] = lift[position];
	}
	free(lift);
	return rc;
}
