#include "tui/view/token_facts.h"

#include <stdlib.h>

struct facts_key facts_key_of(const struct look *l)
{
	struct scope s = look_scope(l);
	return (struct facts_key){l->snap->serial, l->token, s.layer, s.kv_head};
}

bool facts_same(const struct facts_key *a, const struct facts_key *b)
{
	return a->serial == b->serial && a->token == b->token && a->layer == b->layer && a->unit == b->unit;
}

void facts_free(struct facts *f)
{
	if (!f)
		return;
	for (int i = 0; i < SNAPSHOT_MAX_SERIES; i++) {
		free(f->lift[i]);
		free(f->rank[i]);
	}
	snapshot_unref(f->snap);
	free(f);
}

/* ---- at the desk ---- */

static int find_lift(struct facts *f, int series, struct err *e)
{
	const struct capture *c = f->snap->capture;
	f->lift[series] = malloc((size_t)c->n_layer * (size_t)c->n_head * sizeof *f->lift[series]);
	if (!f->lift[series])
		return err_set(e, ERR_MEMORY, "a token's lift: out of memory");
	return dossier_lifts(f->snap->evaluation, f->snap->series[series].method, f->key.token, f->lift[series], e);
}

static int find_ranks(struct facts *f, int series, const struct progress *progress, struct err *e)
{
	int method = f->snap->series[series].method;
	if (!variants_apply(f->snap->evaluation, method))
		return 0;
	f->rank[series] = malloc((size_t)f->n_row * VARIANT_MAX * sizeof *f->rank[series]);
	if (!f->rank[series])
		return err_set(e, ERR_MEMORY, "a token's ranks: out of memory");
	const struct variants_question q = {.method = method, .scope = f->scope, .position = f->key.token, .list = f->variant,
		.n = f->n_variant};
	return variants_ranks(f->snap->evaluation, &q, progress, f->rank[series], e);
}

static int run(void *state, const struct errand_site *site, struct err *e)
{
	struct facts *f = state;
	int rc = 0;
	for (int i = 0; !rc && i < f->snap->n_series; i++)
		if (f->snap->series[i].method >= 0)
			rc = find_lift(f, i, e);
	for (int i = 0; !rc && i < f->snap->n_series; i++)
		if (f->snap->series[i].method >= 0)
			rc = find_ranks(f, i, site->progress, e);
	return rc;
}

/* ---- on the screen's thread ---- */

static void done(struct app *app, void *state, int rc, const char *why)
{
	if (!rc) {
		token_known(app, state);
		return;
	}
	facts_free(state);
	if (rc != ERR_CANCELLED) /* a newer place is asked about */
		app_say(app, ROLE_ERROR, "%s", why);
}

static void drop(void *state)
{
	facts_free(state);
}

void facts_ask(struct app *app)
{
	const struct look *l = &app->look;
	struct facts *f = calloc(1, sizeof *f);
	struct err e;
	if (!f) {
		app_say(app, ROLE_ERROR, "a token's dossier: out of memory");
		return;
	}
	f->key = facts_key_of(l);
	f->snap = snapshot_ref(l->snap);
	f->scope = look_scope(l);
	f->n_row = look_n_heads(l);
	f->n_variant = variants_list(evaluation_protocol(l->snap->evaluation), f->variant);
	const struct errand errand = {.name = "token", .state = f, .run = run, .done = done, .drop = drop};
	if (worker_errand_at_desk(app->worker, &errand, &e))
		app_say(app, ROLE_ERROR, "%s", e.text);
	app->work.busy = true;
}

/* ---- asking ---- */

static int by_value(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

int facts_survival(const struct facts *f, int series, int variant)
{
	const struct selection *s = &evaluation_protocol(f->snap->evaluation)->select;
	int *rank = malloc((size_t)f->n_row * sizeof *rank), middle = -1;
	for (int row = 0; rank && row < f->n_row; row++)
		rank[row] = f->rank[series][row * f->n_variant + variant];
	if (rank) {
		qsort(rank, (size_t)f->n_row, sizeof *rank, by_value);
		middle = rank[f->n_row / 2];
	}
	free(rank);
	return middle + 1 + (s->window_in_budget ? s->sink + s->window : 0);
}

int facts_votes(const struct facts *f, struct look *l, int series, int variant)
{
	int units = look_n_unit(l), per_layer = f->scope.layer >= 0 && f->scope.kv_head >= 0 ? 1 : units, votes = 0;
	int layer = f->scope.layer < 0 ? 0 : f->scope.layer, unit = per_layer == 1 ? f->scope.kv_head : 0;
	for (int row = 0; row < f->n_row; row++)
		votes += f->rank[series][row * f->n_variant + variant] < look_k_of(l, l->snap->series[series].method,
			layer + row / per_layer, unit + row % per_layer);
	return votes;
}
