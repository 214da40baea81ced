#include "tui/pair_common.h"

#include <stdlib.h>

#include "tui/app.h"

enum { STEP = 64 };

struct pair_common {
	const struct snapshot *a, *b; /* counted */
	int n_row, n_step;            /* (layer, unit) pairs; steps of each */
	uint32_t *at[SNAPSHOT_MAX_SERIES]; /* by a's series (n_row, n_step): picks in common at rank 0, STEP, ...; NULL: not in both */
};

void pair_common_free(struct pair_common *c)
{
	if (!c)
		return;
	for (int i = 0; i < SNAPSHOT_MAX_SERIES; i++)
		free(c->at[i]);
	snapshot_unref(c->a);
	snapshot_unref(c->b);
	free(c);
}

/* ---- counting ---- */

struct rankings { /* of one (layer, unit) in both */
	const uint32_t *order_a, *order_b, *rank_a, *rank_b;
};

static struct rankings rankings_of(const struct pair_common *c, int series, int row)
{
	int units = evaluation_n_unit(c->a->evaluation), layer = row / units, unit = row % units;
	int a = c->a->series[series].method, b = c->b->series[snapshot_find(c->b, c->a->series[series].name)].method;
	return (struct rankings){evaluation_order(c->a->evaluation, a, layer, unit), evaluation_order(c->b->evaluation, b, layer, unit),
		evaluation_ranks(c->a->evaluation, a, layer, unit), evaluation_ranks(c->b->evaluation, b, layer, unit)};
}

/* What ranks from .. to - 1 add: a candidate is in common from the later of its two ranks on. */
static uint32_t count_between(const struct rankings *r, uint32_t from, uint32_t to)
{
	uint32_t n = 0;
	for (uint32_t i = from; i < to; i++)
		n += (r->rank_b[r->order_a[i]] <= i) + (r->rank_a[r->order_b[i]] < i);
	return n;
}

static int count_series(struct pair_common *c, int series, struct err *e)
{
	uint32_t *at = c->at[series] = malloc((size_t)c->n_row * (size_t)c->n_step * sizeof *at);
	if (!at)
		return err_set(e, ERR_MEMORY, "two captures of %d tokens: out of memory", c->a->capture->n_prompt);
	for (int row = 0; row < c->n_row; row++, at += c->n_step) {
		struct rankings r = rankings_of(c, series, row);
		at[0] = 0;
		for (int step = 1; step < c->n_step; step++)
			at[step] = at[step - 1] + count_between(&r, (uint32_t)(step - 1) * STEP, (uint32_t)step * STEP);
	}
	return 0;
}

static bool is_in_both(const struct pair_common *c, int series)
{
	int other = snapshot_find(c->b, c->a->series[series].name);
	return c->a->series[series].method >= 0 && other >= 0 && c->b->series[other].method >= 0;
}

static int run(void *state, const struct errand_site *site, struct err *e)
{
	struct pair_common *c = state;
	int rc = 0;
	for (int i = 0; !rc && i < c->a->n_series; i++) {
		if (progress_report(site->progress, "two captures", i, c->a->n_series))
			rc = ERR_CANCELLED;
		else if (is_in_both(c, i))
			rc = count_series(c, i, e);
	}
	return rc;
}

static void done(struct app *app, void *state, int rc, const char *why)
{
	if (rc) {
		pair_common_free(state);
		if (rc != ERR_CANCELLED)
			app_say(app, ROLE_ERROR, "%s", why);
		return;
	}
	pair_common_free(app->pair.common);
	app->pair.common = state;
}

static void drop(void *state)
{
	pair_common_free(state);
}

void pair_common_ask(struct app *app)
{
	const struct snapshot *a = app->look.snap, *b = app->pair.look.snap;
	int serials[2] = {a->serial < b->serial ? a->serial : b->serial, a->serial < b->serial ? b->serial : a->serial};
	struct err e;
	if (app->pair.common_asked[0] == serials[0] && app->pair.common_asked[1] == serials[1])
		return;
	app->pair.common_asked[0] = serials[0];
	app->pair.common_asked[1] = serials[1];
	struct pair_common *c = a->n_candidate == b->n_candidate && a->first == b->first ? calloc(1, sizeof *c) : NULL;
	if (!c)
		return; /* counted one by one */
	*c = (struct pair_common){.a = snapshot_ref(a), .b = snapshot_ref(b), .n_step = a->n_candidate / STEP + 1,
		.n_row = a->capture->n_layer * evaluation_n_unit(a->evaluation)};
	if (worker_errand_at_desk(app->worker, &(struct errand){"two captures", c, run, done, drop}, &e))
		app_say(app, ROLE_ERROR, "%s", e.text);
	app->work.busy = true;
}

/* ---- asking ---- */

int pair_common_picks(const struct pair_common *c, const struct snapshot *a, const struct snapshot *b, int series, int row, int k)
{
	if (!c || !((c->a == a && c->b == b) || (c->a == b && c->b == a)))
		return -1;
	int of_a = c->a == a ? series : snapshot_find(c->a, a->series[series].name);
	if (of_a < 0 || !c->at[of_a] || k < 0 || k > a->n_candidate)
		return -1;
	struct rankings r = rankings_of(c, of_a, row);
	int step = k / STEP;
	return (int)(c->at[of_a][row * c->n_step + step] + count_between(&r, (uint32_t)(step * STEP), (uint32_t)k));
}
