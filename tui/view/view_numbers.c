#include "tui/view/view_numbers.h"

#include <math.h>
#include <stdio.h>

#include "tui/view/kept.h"
#include "tui/draw/number.h"
#include "tui/swap.h"
#include "tui/draw/glyph.h"

enum { WIDE = 158 }; /* room for everything beside the table */

enum { MAX_ROW = 8 };

static int add_row(int *series, int n, int one)
{
	for (int i = 0; i < n; i++)
		if (series[i] == one)
			return n;
	series[n] = one;
	return n + 1;
}

/* Methods in the table: truth, the two that are compared or the panes that were chosen, the untrained control, and
 * the one in focus. */
static int list_rows(const struct app *app, int series[MAX_ROW])
{
	const struct look *l = &app->look;
	int pane[LOOK_MAX_PANE], n_pane = look_panes(l, pane), untrained = snapshot_find(l->snap, "untrained");
	int most = l->n_pane > 0 ? LOOK_MAX_PANE : 3, n = add_row(series, 0, 0);
	for (int i = 0; i < n_pane && i < most; i++)
		n = add_row(series, n, pane[i]);
	if (untrained >= 0)
		n = add_row(series, n, untrained);
	return add_row(series, n, l->focus);
}

int numbers_lines(const struct app *app)
{
	int series[MAX_ROW];
	return 1 + list_rows(app, series) + (app->cols < WIDE);
}

struct columns_at { /* right edges */
	int picks, mass, lift, token, all;
};

static struct columns_at place(int cols)
{
	return cols < WIDE ? (struct columns_at){29, 40, 48, 63, 78} : (struct columns_at){34, 48, 58, 84, 102};
}

static void draw_head(const struct app *app, struct grid *g, struct rect r, struct columns_at at)
{
	const struct look *l = &app->look;
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	char here[40];
	if (l->scope == LOOK_HEAD)
		snprintf(here, sizeof here, "HERE L%d\xc2\xb7%s%d", l->layer,
			look_n_unit(l) == l->snap->capture->n_kv_head ? "KV" : "Q", look_unit(l));
	else if (l->scope == LOOK_LAYER)
		snprintf(here, sizeof here, "HERE L%d", l->layer);
	else
		snprintf(here, sizeof here, "EVERYWHERE");
	grid_text(g, r, 0, 1, theme_style(&app->theme, ROLE_STRONG), here);
	grid_text_before(g, r, 0, at.picks, dim, "truth's picks");
	grid_text_before(g, r, 0, at.mass, dim, "best mass");
	grid_text_before(g, r, 0, at.lift, dim, "lift");
	const char *survival = r.cols < WIDE ? "survives from" : "this token survives from";
	grid_text_before(g, r, 0, at.token, dim, l->scope == LOOK_HEAD ? survival : "heads keep it");
	grid_text_before(g, r, 0, at.all, dim, "ALL best mass");
}

static void say_survival(struct look *l, int series, char *out, size_t out_bytes)
{
	struct verdict v = kept_verdict(l, series, l->token);
	char budget[32];
	if (v.kept == KEPT_SINK || v.kept == KEPT_WINDOW)
		snprintf(out, out_bytes, "always kept");
	else if (v.kept == KEPT_UNKNOWN)
		snprintf(out, out_bytes, "\xe2\x80\x93");
	else if (l->scope == LOOK_HEAD)
		snprintf(out, out_bytes, "%s", number_grouped(budget, evaluation_survival(l->snap->evaluation,
			l->snap->series[series].method, l->layer, look_unit(l), l->token)));
	else
		snprintf(out, out_bytes, "%d of %d", v.votes, v.of);
}

static void draw_row(struct app *app, struct grid *g, struct rect r, struct columns_at at, int row, int series)
{
	struct look *l = &app->look;
	const struct series *s = &l->snap->series[series];
	int k = look_k(l);
	struct style plain = theme_style(&app->theme, series == l->focus ? ROLE_STRONG : ROLE_PLAIN);
	struct agreement here = look_agreement(l, s->method, look_scope(l)),
		all = look_agreement(l, s->method, (struct scope){-1, -1});
	char text[64], count[32];
	grid_text_cut(g, r, row, 1, at.picks - 13, plain, series == 0 ? "truth" : s->label);
	if (isnan(here.hits))
		snprintf(text, sizeof text, "\xe2\x80\x93");
	else
		snprintf(text, sizeof text, "%s of %d", number_count(count, here.hits), k);
	grid_text_before(g, r, row, at.picks, plain, text);
	grid_text_before(g, r, row, at.mass, plain, number_percent(text, here.mass_ratio));
	grid_text_before(g, r, row, at.lift, plain, number_lift(text,
		snapshot_token_lift(l->snap, series, look_scope(l), l->token)));
	say_survival(l, series, text, sizeof text);
	grid_text_before(g, r, row, at.token, plain, text);
	grid_text_before(g, r, row, at.all, plain, number_percent(text, all.mass_ratio));
}

static void say_controls(struct app *app, bool wide, char *chance, char *ceiling, size_t bytes)
{
	struct look *l = &app->look;
	const struct series *truth = &l->snap->series[0];
	int k = look_k(l), method = snapshot_method(l->snap, "ceiling");
	char count[32];
	*chance = *ceiling = '\0';
	if (k <= 0)
		return;
	snprintf(chance, bytes, "chance %s of %d", number_count(count, (double)k * k / l->snap->n_candidate), k);
	if (truth->method >= 0 && method >= 0) {
		struct agreement a = look_agreement(l, method, look_scope(l));
		snprintf(ceiling, bytes, "ceiling%s %s of %d", wide ? " (odd/even answer rows)" : "", number_count(count, a.hits), k);
	}
}

/* What must be known beside the numbers that rest on it; "" when there is nothing. */
static void say_warning(const struct app *app, char *out, size_t bytes)
{
	const struct snapshot *s = app->look.snap;
	const struct self_check *failed = snapshot_failed_check(s);
	*out = '\0';
	if (look_k(&app->look) < 0)
		snprintf(out, bytes, "agreement is not defined: nothing to choose from");
	else if (s->series[0].method < 0)
		snprintf(out, bytes, "%s", app->work.running ? "agreement comes with the answer"
		                                             : "no answer was measured: agreement is not defined");
	else if (failed)
		snprintf(out, bytes, "%s: %s", failed->name, failed->detail);
}

static void say_checks(const struct snapshot *s, char *out, size_t bytes)
{
	int hold = 0, known = 0;
	for (int i = 0; i < s->n_check; i++) {
		known += s->check[i].known;
		hold += s->check[i].known && s->check[i].ok;
	}
	snprintf(out, bytes, "self-checks: %d of %d hold, ? and G list them", hold, known);
}

/* Of the method in focus (LookaheadKV while truth is): tokens that only one of two captures keeps, else those that an option swaps; "" when there is neither. */
static void say_swaps(struct app *app, char *out, size_t bytes)
{
	struct look *l = &app->look;
	int lookahead = snapshot_find(l->snap, "lookahead"), series = l->focus == 0 && lookahead > 0 ? lookahead : l->focus;
	const char *label = series == 0 ? "truth" : l->snap->series[series].label;
	struct swap swap;
	char a[32], b[32];
	*out = '\0';
	if (pair_is_linked(app)) {
		struct pair_swap pair = pair_swapped(app, series);
		if (pair.known)
			snprintf(out, bytes, "%s: only %s keeps %s, only %s %s", label, pair_letter(app, false), number_count(a, pair.here),
				pair_letter(app, true), number_count(b, pair.there));
	} else if (l->scope != LOOK_ALL && swap_count(l, series, look_scope(l), &swap)) {
		snprintf(out, bytes, "%s: options swap %s in, %s out", label, number_count(a, swap.in), number_count(b, swap.out));
	}
}

static void draw_beside(const struct app *app, struct grid *g, struct rect r, const char *const line[4])
{
	for (int i = 0; i < 4 && i + 1 < r.rows; i++)
		grid_text_cut(g, r, i + 1, 0, r.cols - 1, theme_style(&app->theme, i == 3 ? ROLE_WARN : ROLE_DIM), line[i]);
}

void numbers_draw(struct app *app, struct grid *g, struct rect r)
{
	int series[MAX_ROW], n = list_rows(app, series);
	struct columns_at at = place(r.cols);
	struct style dim = theme_style(&app->theme, ROLE_DIM), warn = theme_style(&app->theme, ROLE_WARN);
	char chance[80], ceiling[80], checks[80], warned[240];
	draw_head(app, g, r, at);
	for (int i = 0; i < n; i++)
		draw_row(app, g, r, at, 1 + i, series[i]);
	say_controls(app, r.cols >= WIDE, chance, ceiling, sizeof chance);
	say_warning(app, warned, sizeof warned);
	say_checks(app->look.snap, checks, sizeof checks);
	if (!*warned)
		say_swaps(app, warned, sizeof warned);
	if (r.cols >= WIDE) {
		const char *const line[4] = {chance, ceiling, checks, warned};
		draw_beside(app, g, rect_sub(r, 0, at.all + 4, r.rows, r.cols), line);
		return;
	}
	int col = 1 + grid_text(g, r, n + 1, 1, dim, chance);
	if (*ceiling)
		col += 3 + grid_text(g, r, n + 1, col + 3, dim, ceiling);
	grid_text_cut(g, r, n + 1, col + (col > 1 ? 3 : 0), r.cols - col - 4, warn, warned);
}
