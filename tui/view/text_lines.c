/* What the Text screen says above and below the text, and the signs under it. */
#include "tui/view/text.h"

#include <math.h>
#include <stdio.h>

#include "tui/draw/glyph.h"
#include "tui/draw/number.h"
#include "tui/swap.h"
#include "tui/view/kept.h"
#include "tui/view/marks.h"

static int say_method(struct look *l, int series, char *out, size_t out_bytes)
{
	const struct series *s = &l->snap->series[series];
	struct verdict v = kept_verdict(l, series, l->token);
	const char *label = series == 0 ? "truth" : s->label;
	char budget[32];
	if (v.kept == KEPT_UNKNOWN)
		return snprintf(out, out_bytes, "%s \xe2\x80\x93", label);
	if (v.of > 1)
		return snprintf(out, out_bytes, "%s %d of %d", label, v.votes, v.of);
	int survival = evaluation_survival(l->snap->evaluation, s->method, l->layer, look_unit(l), l->token);
	return snprintf(out, out_bytes, "%s %s, from %s", label, v.votes ? "keeps it" : "evicts it",
		number_grouped(budget, survival));
}

static void draw_choice(const struct app *app, struct grid *g, struct rect r)
{
	int n = words_count(app);
	char line[160];
	snprintf(line, sizeof line, "%d of the answer's %d tokens chosen \xc2\xb7 Space this word \xc2\xb7 Enter %s", n, app->words.n,
		n ? "truth is what they read" : "truth from all");
	grid_text_cut(g, r, 0, 1, r.cols - 2, theme_style(&app->theme, ROLE_STRONG), line);
}

void text_draw_token(struct app *app, struct grid *g, struct rect r)
{
	struct look *l = &app->look;
	if (app->words.choosing) {
		draw_choice(app, g, r);
		return;
	}
	struct verdict own = kept_verdict(l, l->focus, l->token);
	char line[640], each[160], index[32];
	int at = snprintf(line, sizeof line, "  #%s", number_grouped(index, l->token));
	int col = 1 + token_text_draw(l->snap->text, l->token, g, r, 1, theme_style(&app->theme, ROLE_CURSOR));
	if (own.kept == KEPT_SINK || own.kept == KEPT_WINDOW) {
		snprintf(line + at, sizeof line - (size_t)at, "  %s: every method keeps it",
			own.kept == KEPT_SINK ? "one of the first tokens" : "in the window at the end");
	} else {
		for (int i = 0; i < l->snap->n_series && (i < 3 || i == l->focus); i++) {
			say_method(l, i, each, sizeof each);
			at += snprintf(line + at, sizeof line - (size_t)at, " \xc2\xb7 %s", each);
		}
	}
	grid_text_cut(g, r, 0, col, r.cols - col - 1, style_plain, line);
}

/* ---- heading ---- */

static void draw_method(struct app *app, struct grid *g, struct rect r, int col)
{
	struct look *l = &app->look;
	const struct series *s = &l->snap->series[l->focus];
	int k = look_k(l);
	char count[32], mass[32];
	col += grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_PANE_FOCUS), l->focus == 0 ? "TRUTH" : s->label);
	if (s->method < 0) {
		grid_text(g, r, 0, col + 1, theme_style(&app->theme, ROLE_WARN),
			app->work.running ? "not measured yet" : "not measured");
		return;
	}
	struct agreement a = look_agreement(l, s->method, look_scope(l));
	if (l->focus == 0 || k < 1 || isnan(a.hits))
		grid_text_cut(g, r, 0, col + 1, r.cols - col - 2, style_plain, l->focus == 0 ? "what the answer read" : "");
	else
		grid_printf(g, r, 0, col + 1, style_plain, "finds %s of truth's %d picks, %s of the best possible mass",
			number_count(count, a.hits), k, number_percent(mass, a.mass_ratio));
}

/* What a token of a side is called, its sign and its colour. */
struct side_look {
	const char *sign, *word;
	enum role role;
};
static struct side_look look_of(enum difference kind, enum side side)
{
	static const struct side_look truth[N_SIDE] = {
		[SIDE_BOTH] = {"=", "hit", ROLE_HIGH}, [SIDE_THEIRS] = {"!", "missed", ROLE_LOW}, [SIDE_OURS] = {"~", "wasted", ROLE_WASTED},
	};
	static const struct side_look snapkv[N_SIDE] = {
		[SIDE_BOTH] = {"=", "both", ROLE_HIGH}, [SIDE_OURS] = {"+", "saved", ROLE_GOOD}, [SIDE_THEIRS] = {"-", "lost", ROLE_LOW},
	};
	return difference_is_against_truth(kind) ? truth[side] : snapkv[side];
}

static void draw_differences(struct app *app, struct grid *g, struct rect r, int col)
{
	static const enum side order[][N_SIDE] = {{SIDE_BOTH, SIDE_OURS, SIDE_THEIRS}, {SIDE_BOTH, SIDE_THEIRS, SIDE_OURS}};
	struct look *l = &app->look;
	const struct differences *d = &app->differences;
	bool truth = difference_is_against_truth(d->kind);
	int ours, theirs;
	difference_sides(l, d->kind, &ours, &theirs);
	col += grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_PANE_FOCUS), ours < 0 ? "LookaheadKV" : l->snap->series[ours].label);
	col += grid_text(g, r, 0, col, style_plain, truth ? " against truth"
		: r.cols < 100 ? " against SnapKV" : " against SnapKV, of truth's picks");
	if (!d->known) {
		grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_WARN), look_k(l) < 0 ? "  nothing to choose from"
			: app->work.running ? "  not measured yet" : "  not measured");
		return;
	}
	for (int i = 0; i < N_SIDE; i++) {
		enum side side = order[truth][i];
		struct side_look look = look_of(d->kind, side);
		struct style s = theme_style(&app->theme, look.role);
		char count[32];
		if (difference_side(d->kind) == side)
			s.attr |= ATTR_BOLD | ATTR_UNDERLINE;
		col += 2 + grid_printf(g, r, 0, col + 2, s, "%s %s %s", look.sign, look.word, number_count(count, d->mean[side]));
	}
	if (l->scope != LOOK_HEAD && col + 8 < r.cols)
		col += grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_DIM), " a head");
	if (ours != l->focus && col + 20 < r.cols)
		col += grid_printf(g, r, 0, col, theme_style(&app->theme, ROLE_DIM), "  coloured by %s",
			l->focus == 0 ? "truth" : l->snap->series[l->focus].label);
}

/* What only one of two captures keeps. */
static void draw_swapped(struct app *app, struct grid *g, struct rect r, int col)
{
	const struct look *l = &app->look;
	struct pair_swap swap = pair_swapped(app, l->focus);
	char here[32], there[32];
	col += grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_PANE_FOCUS), l->focus == 0 ? "truth" : l->snap->series[l->focus].label);
	col += grid_printf(g, r, 0, col, style_plain, " of %s against %s", pair_letter(app, false), pair_letter(app, true));
	if (!swap.known) {
		grid_text(g, r, 0, col + 2, theme_style(&app->theme, ROLE_WARN), "not measured in both");
		return;
	}
	col += 2 + grid_printf(g, r, 0, col + 2, theme_style(&app->theme, ROLE_GOOD), "+ only %s %s", pair_letter(app, false),
		number_count(here, swap.here));
	col += 2 + grid_printf(g, r, 0, col + 2, theme_style(&app->theme, ROLE_LOW), "- only %s %s", pair_letter(app, true),
		number_count(there, swap.there));
	grid_printf(g, r, 0, col, theme_style(&app->theme, ROLE_DIM), " of %d%s", look_k(l), l->scope == LOOK_HEAD ? "" : " a head");
}

/* Without differences the line of signs is free for what an option has changed. In all heads nearly every token is swapped somewhere. */
static bool shows_swaps(const struct app *app)
{
	const struct look *l = &app->look;
	return app->differences.kind == DIFFERENCE_NONE && l->scope != LOOK_ALL && swap_method(l->snap, l->focus) >= 0;
}

/* What the present protocol keeps and the common one does not, and the other way round. */
static void draw_option(struct app *app, struct grid *g, struct rect r, int col)
{
	struct look *l = &app->look;
	struct swap swap;
	char in[32], out[32];
	col += grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_PANE_FOCUS), l->snap->series[l->focus].label);
	col += grid_text(g, r, 0, col, style_plain, " against the common protocol");
	if (!swap_count(l, l->focus, look_scope(l), &swap))
		return;
	col += 2 + grid_printf(g, r, 0, col + 2, theme_style(&app->theme, ROLE_GOOD), "+ in %s", number_count(in, swap.in));
	col += 2 + grid_printf(g, r, 0, col + 2, theme_style(&app->theme, ROLE_LOW), "- out %s", number_count(out, swap.out));
	grid_printf(g, r, 0, col, theme_style(&app->theme, ROLE_DIM), " of %s%s", number_count(in, swap.kept),
		l->scope == LOOK_HEAD ? "" : " a head");
}

void text_draw_heading(struct app *app, struct grid *g, struct rect r)
{
	int col = 2 + grid_text(g, r, 0, 1, theme_style(&app->theme, ROLE_STRONG), "TEXT");
	if (pair_differs(app)) {
		draw_swapped(app, g, r, col);
		return;
	}
	if (app->differences.kind == DIFFERENCE_NONE) {
		(shows_swaps(app) ? draw_option : draw_method)(app, g, r, col);
		return;
	}
	differences_update(&app->differences, &app->look);
	draw_differences(app, g, r, col);
}

/* ---- signs ---- */

bool text_has_signs(struct app *app)
{
	return app->differences.kind != DIFFERENCE_NONE || pair_differs(app) || shows_swaps(app);
}

/* A number of heads: a digit, or a bar where it may be larger, full for the largest one of the prompt. */
static const char *votes_sign(int votes, int most, int of)
{
	static const char *const digit[] = {"", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
	static const char *const bar[] = {"", "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
		"\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
	return of <= 9 ? digit[votes] : bar[(8 * votes + most - 1) / most];
}

/* "+" and "-": what only the shown one, only the other one of two captures keeps. */
static const char *pair_sign(struct app *app, int token, struct style *style)
{
	enum pair_side side = pair_side(app, app->look.focus, token);
	*style = theme_style(&app->theme, side == PAIR_HERE ? ROLE_GOOD : ROLE_LOW);
	return side == PAIR_HERE ? "+" : side == PAIR_THERE ? "-" : "";
}

/* "+" and "-": what comes in and goes out under the present protocol. */
static const char *option_sign(struct app *app, int token, struct style *style)
{
	int swapped = swap_of(&app->look, app->look.focus, token);
	*style = theme_style(&app->theme, swapped > 0 ? ROLE_GOOD : ROLE_LOW);
	return swapped > 0 ? "+" : swapped < 0 ? "-" : "";
}

/* The kind that is looked for comes first: with many heads most tokens are a little of everything. */
const char *text_sign(struct app *app, int token, struct style *style)
{
	const struct look *l = &app->look;
	if (pair_differs(app))
		return pair_sign(app, token, style);
	if (shows_swaps(app))
		return option_sign(app, token, style);
	const struct differences *d = &app->differences;
	enum side asked = difference_side(d->kind), other = asked == SIDE_OURS ? SIDE_THEIRS : SIDE_OURS;
	const enum side order[N_SIDE] = {asked, SIDE_BOTH, other};
	for (int i = 0; d->known && i < N_SIDE; i++) {
		int count = d->count[order[i]][token];
		if (count == 0)
			continue;
		struct side_look look = look_of(d->kind, order[i]);
		*style = theme_style(&app->theme, look.role);
		if (i == 0)
			style->attr |= ATTR_BOLD;
		int heads = look_n_heads(l);
		return i == 0 && heads > 1 ? votes_sign(count, d->most[asked], heads) : look.sign;
	}
	*style = theme_style(&app->theme, ROLE_SPAN);
	return app->theme.depth == DEPTH_MONO && marks_marked(l, token) ? "_" : ""; /* else its background says so */
}

/* ---- legend ---- */

void text_draw_legend(struct app *app, struct grid *g, struct rect r)
{
	static const char *const scale[] = {
		[RAMP_LIFT] = ("lift 1\xc3\x97\xe2\x80\x93" "100\xc3\x97"), [RAMP_PERCENTILE] = "rank percentile",
		[RAMP_RAW] = "share of the largest", [RAMP_DIFFERENCE] = "lift against truth's",
	};
	const struct look *l = &app->look;
	const struct theme *t = &app->theme;
	struct style dim = theme_style(t, ROLE_DIM);
	int col = 1;
	col += grid_text(g, r, 0, col, theme_style(t, ROLE_KEPT), l->scope == LOOK_HEAD ? "kept" : "kept by half or more");
	if (l->scope != LOOK_HEAD)
		col += 2 + grid_text(g, r, 0, col + 2, theme_style(t, ROLE_SOME), "by some");
	col += 2 + grid_text(g, r, 0, col + 2, theme_style(t, ROLE_EVICTED), l->scope == LOOK_HEAD ? "evicted" : "by none");
	col += 2 + grid_text(g, r, 0, col + 2, theme_style(t, ROLE_ALWAYS), "first and last: always");
	if (t->depth == DEPTH_MONO)
		return;
	col += 3 + grid_text(g, r, 0, col + 3, dim, scale[look_scale(l)]);
	for (int i = 0; i < 12; i++) {
		char glyph[8];
		struct style s = theme_cell(t, look_ramp(l, l->focus), ((float)i + 0.5f) / 12, glyph);
		grid_text(g, r, 0, col + 1 + i, s, glyph);
	}
}

