#include "tui/pair.h"

#include <stdio.h>
#include <string.h>

#include "tui/app.h"
#include "tui/pair_common.h"
#include "tui/view/kept.h"

void pair_free(struct two_captures *p)
{
	look_free(&p->look);
	pair_common_free(p->common);
	*p = (struct two_captures){0};
}

bool pair_exists(const struct app *app)
{
	return app->look.snap && app->pair.look.snap;
}

static bool are_alike(const struct snapshot *here, const struct snapshot *there)
{
	const struct capture *a = here->capture, *b = there->capture;
	return a->n_layer == b->n_layer && a->n_head == b->n_head && a->n_kv_head == b->n_kv_head &&
		evaluation_n_unit(here->evaluation) == evaluation_n_unit(there->evaluation) && capture_same_prompt(a, b);
}

bool pair_is_linked(struct app *app)
{
	struct pair_link *l = &app->pair.link;
	if (!pair_exists(app))
		return false;
	const struct snapshot *here = app->look.snap, *there = app->pair.look.snap;
	if (l->here != here->serial || l->there != there->serial)
		*l = (struct pair_link){here->serial, there->serial, are_alike(here, there)};
	return l->linked;
}

const char *pair_letter(const struct app *app, bool other)
{
	return app->pair.swapped != other ? "B" : "A";
}

/* ---- taking and exchanging ---- */

static void exchange_text(char *a, char *b, size_t n)
{
	char kept[4096];
	memcpy(kept, a, n);
	memcpy(a, b, n);
	memcpy(b, kept, n);
}

void pair_take(struct app *app, const struct snapshot *s)
{
	struct two_captures *p = &app->pair;
	look_free(&p->look);
	p->look = (struct look){.asked_budget = app->look.asked_budget};
	look_take(&p->look, s);
	snprintf(p->path, sizeof p->path, "%s", p->asked);
	*p->prompt_name = '\0';
	p->from_run = p->unsaved = p->swapped = false;
	if (!pair_exists(app))
		return;
	if (pair_is_linked(app))
		app_say(app, ROLE_GOOD, "A and B hold the same prompt \xc2\xb7 x shows B \xc2\xb7 X marks what differs \xc2\xb7 8 numbers");
	else
		app_say(app, ROLE_WARN, "A and B hold different prompts: only numbers compare \xc2\xb7 x shows B \xc2\xb7 8 numbers");
}

static int clamp(int x, int low, int high)
{
	return x > high ? high : x < low ? low : x;
}

static int same_series(const struct snapshot *to, const struct snapshot *from, int series)
{
	int same = series < from->n_series ? snapshot_find(to, from->series[series].name) : 0;
	return same < 0 ? 0 : same;
}

/* What both share whatever they hold. */
static void carry_question(struct look *to, const struct look *from)
{
	to->scope = from->scope;
	to->scale = from->scale;
	to->no_sinks = from->no_sinks;
	to->budget = clamp(from->budget, look_least_budget(to), to->snap->capture->n_prompt);
	to->focus = same_series(to->snap, from->snap, from->focus);
}

struct look *pair_look(struct app *app)
{
	struct look *other = &app->pair.look;
	carry_question(other, &app->look);
	if (pair_is_linked(app)) {
		other->layer = app->look.layer;
		other->head = app->look.head;
		other->token = app->look.token;
	}
	return other;
}

/* Linked captures change under one cursor, with its zoom, marks and search: all but the snapshot and what was counted of it stays. */
static void exchange_snapshots(struct look *a, struct look *b)
{
	struct look shown = *a;
	a->snap = b->snap;
	memcpy(a->deal, b->deal, sizeof a->deal);
	memcpy(a->votes, b->votes, sizeof a->votes);
	b->snap = shown.snap;
	memcpy(b->deal, shown.deal, sizeof b->deal);
	memcpy(b->votes, shown.votes, sizeof b->votes);
	a->focus = same_series(a->snap, b->snap, a->focus);
}

static void exchange_looks(struct look *a, struct look *b)
{
	struct look kept = *a;
	*a = *b;
	*b = kept;
	carry_question(a, b);
}

void pair_exchange(struct app *app)
{
	struct two_captures *p = &app->pair;
	bool from_run = app->from_run, unsaved = app->unsaved;
	if (!pair_exists(app)) {
		app_say(app, ROLE_PLAIN, "one capture is open; kvglass view A.kvg B.kvg opens two");
		return;
	}
	(pair_is_linked(app) ? exchange_snapshots : exchange_looks)(&app->look, &p->look);
	exchange_text(app->capture_path, p->path, sizeof p->path);
	exchange_text(app->prompt_name, p->prompt_name, sizeof p->prompt_name);
	app->from_run = p->from_run;
	app->unsaved = p->unsaved;
	p->from_run = from_run;
	p->unsaved = unsaved;
	p->swapped = !p->swapped;
	words_free(&app->words); /* of the other answer */
}

void pair_toggle_differ(struct app *app)
{
	if (!pair_exists(app))
		app_say(app, ROLE_PLAIN, "one capture is open; kvglass view A.kvg B.kvg opens two");
	else if (!pair_is_linked(app))
		app_say(app, ROLE_WARN, "A and B hold different prompts: their tokens do not compare, their numbers do (8)");
	else
		app->pair.differ = !app->pair.differ;
}

bool pair_differs(struct app *app)
{
	return app->pair.differ && pair_is_linked(app);
}

/* ---- who keeps what ---- */

int pair_series(const struct app *app, int series)
{
	const struct snapshot *other = app->pair.look.snap;
	int same = snapshot_find(other, app->look.snap->series[series].name);
	return same < 0 || other->series[same].method < 0 ? -1 : same;
}

static bool keeps(struct look *l, int series, int token)
{
	return kept_verdict(l, series, token).kept >= KEPT_MOST;
}

enum pair_side pair_side(struct app *app, int series, int token)
{
	int same = pair_series(app, series);
	enum kept here = kept_verdict(&app->look, series, token).kept;
	if (same < 0 || here < KEPT_NONE) /* not known, or protected in both */
		return PAIR_NEITHER;
	bool there = keeps(pair_look(app), same, token);
	if (here >= KEPT_MOST)
		return there ? PAIR_BOTH : PAIR_HERE;
	return there ? PAIR_THERE : PAIR_NEITHER;
}

/* Candidates among the first k of one ranking that are not among the first of the other. */
static int count_only(const struct look *a, const struct look *b, const int method[2], const int place[2], const int k[2])
{
	const uint32_t *order = evaluation_order(a->snap->evaluation, method[0], place[0], place[1]);
	const uint32_t *rank = evaluation_ranks(b->snap->evaluation, method[1], place[0], place[1]);
	int n = 0;
	for (int i = 0; i < k[0] && i < a->snap->n_candidate; i++)
		n += (int)rank[order[i]] >= k[1];
	return n;
}

struct pair_swap pair_swapped(struct app *app, int series)
{
	struct look *here = &app->look, *there = pair_look(app);
	int same = pair_series(app, series), heads = 0, units = look_n_unit(here);
	struct scope s = look_scope(here);
	struct pair_swap out = {.known = pair_is_linked(app) && same >= 0 && here->snap->series[series].method >= 0 && look_k(here) >= 0 &&
		look_k(there) >= 0};
	if (!out.known)
		return out;
	if (s.kv_head < 0)
		pair_common_ask(app);
	const int forth[2] = {here->snap->series[series].method, there->snap->series[same].method}, back[2] = {forth[1], forth[0]};
	for (int layer = s.layer < 0 ? 0 : s.layer; layer <= (s.layer < 0 ? here->snap->capture->n_layer - 1 : s.layer); layer++)
		for (int unit = s.kv_head < 0 ? 0 : s.kv_head; unit <= (s.kv_head < 0 ? units - 1 : s.kv_head); unit++, heads++) {
			const int place[2] = {layer, unit};
			const int k[2] = {look_k_of(here, forth[0], layer, unit), look_k_of(there, forth[1], layer, unit)}, k_back[2] = {k[1], k[0]};
			int common = k[0] == k[1] ? pair_common_picks(app->pair.common, here->snap, there->snap, series, layer * units + unit, k[0]) : -1;
			out.here += common >= 0 ? k[0] - common : count_only(here, there, forth, place, k);
			out.there += common >= 0 ? k[0] - common : count_only(there, here, back, place, k_back);
		}
	out.here /= heads;
	out.there /= heads;
	return out;
}
