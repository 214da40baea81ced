/* Text: the prompt as text, every token coloured by one method in the present scope, kept and evicted ones told
 * apart by more than colour; the response below. The lines never move when a budget or a method changes. */
#include "tui/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/app.h"
#include "tui/draw/columns.h"
#include "tui/draw/flow.h"
#include "tui/view/frame.h"
#include "tui/view/kept.h"
#include "tui/draw/layout.h"
#include "tui/draw/number.h"
#include "tui/draw/glyph.h"

enum { NUMBER_COLS = 8, N_INFO = 2 };

struct text {
	struct flow flow;
	int flow_serial;  /* snapshot it belongs to */
	int first_line;   /* on the screen's first line */
	/* that the last frame followed; the text may be scrolled away from the cursor until it moves again */
	int shown_token;
	float *level;     /* (n_prompt) ramp levels of the method in the scope */
	struct level_key {
		int serial, series, scope, scale, layer, unit, no_sinks;
	} level_key;
	struct rect lines; /* of the last frame: where the text stands, for clicks */
};

static int text_open(struct app *app, void **state, struct err *e)
{
	(void)app;
	*state = calloc(1, sizeof(struct text));
	return *state ? 0 : (int)err_set(e, ERR_MEMORY, "Text: out of memory");
}

static void text_close(void *state)
{
	struct text *t = state;
	flow_free(&t->flow);
	free(t->level);
	free(t);
}

/* ---- levels ---- */

static bool lift_of(const struct look *l, int series, float *out, float *largest)
{
	const float *shared = NULL;
	*largest = 0;
	if (l->scope == LOOK_HEAD) {
		if (!look_unit_lift(l, series, l->layer, look_unit(l), out))
			return false;
	} else {
		shared = l->scope == LOOK_LAYER ? look_layer_lift(l, series, l->layer, NULL) : look_all_lift(l, series);
		if (!shared)
			return false;
		memcpy(out, shared, (size_t)l->snap->capture->n_prompt * sizeof *out);
	}
	for (int j = l->snap->first; j < l->snap->first + l->snap->n_candidate; j++)
		*largest = out[j] > *largest ? out[j] : *largest;
	return true;
}

/* Mean share of candidates that the scope's heads rank lower. */
static bool percentile_of(const struct look *l, int series, float *out)
{
	int method = l->snap->series[series].method, n = l->snap->n_candidate, units = look_n_unit(l);
	int from_layer = l->scope == LOOK_ALL ? 0 : l->layer,
		to_layer = l->scope == LOOK_ALL ? l->snap->capture->n_layer - 1 : l->layer;
	int from = l->scope == LOOK_HEAD ? look_unit(l) : 0, to = l->scope == LOOK_HEAD ? from : units - 1;
	if (method < 0)
		return false;
	for (int j = 0; j < l->snap->capture->n_prompt; j++)
		out[j] = j >= l->snap->first && j < l->snap->first + n ? 0 : NAN;
	for (int layer = from_layer; layer <= to_layer; layer++) {
		for (int unit = from; unit <= to; unit++) {
			const uint32_t *rank = evaluation_ranks(l->snap->evaluation, method, layer, unit);
			for (int j = 0; j < n; j++)
				out[l->snap->first + j] += (float)((uint32_t)n - rank[j]) / (float)n;
		}
	}
	for (int j = 0; j < n; j++)
		out[l->snap->first + j] /= (float)((to_layer - from_layer + 1) * (to - from + 1));
	return true;
}

static void to_levels(const struct look *l, int series, float *value, float *scratch, float largest)
{
	enum ramp_scale scale = look_scale(l);
	float unused;
	bool signed_ = scale == RAMP_DIFFERENCE && series > 0 && scratch && lift_of(l, 0, scratch, &unused);
	if (scale == RAMP_DIFFERENCE && !signed_)
		scale = RAMP_LIFT;
	for (int j = 0; j < l->snap->capture->n_prompt; j++) {
		bool shown = j >= l->snap->first && j < l->snap->first + l->snap->n_candidate && !isnan(value[j]) &&
			(l->scope == LOOK_ALL || !look_hides(l, l->layer, j));
		if (signed_)
			value[j] = log10f(fmaxf(value[j], 1)) - log10f(fmaxf(scratch[j], 1));
		value[j] = shown ? ramp_level(scale, value[j], largest) : NAN;
	}
}

/* Levels of every token, made when method, scope or scale change; the budget does not matter. NULL: not measured. */
static const float *levels(struct text *t, const struct look *l)
{
	struct level_key key = {l->snap->serial, l->focus, (int)l->scope, (int)look_scale(l),
		l->scope == LOOK_ALL ? -1 : l->layer,
		l->scope == LOOK_HEAD ? look_unit(l) : -1, l->no_sinks};
	if (t->level && !memcmp(&key, &t->level_key, sizeof key))
		return t->level;
	size_t n = (size_t)l->snap->capture->n_prompt;
	float *made = malloc(n * sizeof *made), *scratch = malloc(n * sizeof *scratch), largest = 0;
	bool ok = made && scratch &&
		(look_scale(l) == RAMP_PERCENTILE ? percentile_of(l, l->focus, made) : lift_of(l, l->focus, made, &largest));
	if (ok)
		to_levels(l, l->focus, made, scratch, largest);
	else {
		free(made);
		made = NULL;
	}
	free(scratch);
	free(t->level);
	t->level = made;
	t->level_key = key;
	return made;
}

/* ---- drawing ---- */

struct canvas {
	struct app *app;
	struct grid *g;
	struct text *text;
	struct rect r; /* lines of text */
	struct style style;
};

static void put_glyph(void *user, int line, int col, const char *glyph, size_t n)
{
	struct canvas *c = user;
	int row = line - c->text->first_line;
	if (row < 0 || row >= c->r.rows)
		return;
	if (*glyph == '\n')
		grid_text(c->g, c->r, row, col, c->style, "\xe2\x86\xb5");
	else
		grid_bytes(c->g, c->r, row, col, c->style, glyph, n);
}

static enum role kept_role(enum kept kept)
{
	switch (kept) {
	case KEPT_NONE: return ROLE_EVICTED;
	case KEPT_SOME: return ROLE_SOME;
	case KEPT_MOST:
	case KEPT_ALL: return ROLE_KEPT;
	case KEPT_SINK:
	case KEPT_WINDOW: return ROLE_ALWAYS;
	default: return ROLE_PLAIN;
	}
}

static enum ramp_colour ramp_of(const struct look *l)
{
	return look_scale(l) == RAMP_DIFFERENCE && l->focus > 0 ? RAMP_DIVERGING : RAMP_VIRIDIS;
}

/* Colour says how important a token is; bold and underline, plain, or dim say whether it is kept. */
static struct style token_style(const struct canvas *c, const float *level, int token)
{
	struct look *l = &c->app->look;
	const struct theme *t = &c->app->theme;
	enum ramp_colour ramp = ramp_of(l);
	if (token == l->token)
		return theme_style(t, ROLE_CURSOR);
	enum kept kept = kept_verdict(l, l->focus, token).kept;
	struct style s = theme_style(t, kept_role(kept));
	if (!level || isnan(level[token]) || (ramp == RAMP_VIRIDIS && level[token] <= 0))
		return s;
	struct style on = theme_on_level(t, ramp, level[token], s);
	if (kept == KEPT_NONE && t->depth != DEPTH_MONO)
		on.attr |= ATTR_DIM;
	return on;
}

static void draw_tokens(struct canvas *c, const float *level)
{
	const struct token_text *t = c->app->look.snap->text;
	const struct flow *f = &c->text->flow;
	int last = c->text->first_line + c->r.rows;
	int begin = c->text->first_line < f->n_lines ? f->first[c->text->first_line] : t->n;
	for (int i = begin; i < t->n && f->line[i] < last; i++) {
		c->style = i < t->n_prompt ? token_style(c, level, i) : theme_style(&c->app->theme, ROLE_RESPONSE);
		flow_token(f, t, i, put_glyph, c);
	}
}

static void draw_margin(const struct canvas *c, struct rect margin)
{
	const struct flow *f = &c->text->flow;
	const struct token_text *t = c->app->look.snap->text;
	struct style s = theme_style(&c->app->theme, ROLE_RULE), dim = theme_style(&c->app->theme, ROLE_DIM);
	for (int row = 0; row < margin.rows; row++) {
		int line = c->text->first_line + row;
		char number[32] = "";
		if (line >= f->n_lines)
			break;
		if (f->response_line >= 0 && line == f->response_line - 1) {
			for (int col = 0; col < c->r.cols; col++)
				grid_text(c->g, c->r, row, col, s, "\xe2\x94\x80");
			grid_printf(c->g, c->r, row, 0, theme_style(&c->app->theme, ROLE_STRONG), "RESPONSE of %d tokens ",
				t->n - t->n_prompt);
		} else {
			number_grouped(number, f->first[line]);
		}
		grid_text(c->g, margin, row, NUMBER_COLS - 2 - glyph_width(number, strlen(number)), dim, number);
		grid_text(c->g, margin, row, NUMBER_COLS - 1, s, "\xe2\x94\x82");
	}
}

/* ---- what is said about the token under the cursor ---- */

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

/* The token under the cursor, new lines as signs; a long one is cut. Returns its columns. */
static int draw_token(const struct app *app, struct grid *g, struct rect r, int col)
{
	struct style s = theme_style(&app->theme, ROLE_CURSOR);
	int begin = col;
	size_t n;
	const char *text = token_text_of(app->look.snap->text, app->look.token, &n);
	for (size_t i = 0; i < n;) {
		struct glyph glyph;
		size_t used = glyph_next(text + i, n - i, &glyph);
		if (col - begin > 20)
			return col - begin + grid_text(g, r, 0, col, s, "\xe2\x80\xa6");
		if (glyph.kind == GLYPH_NEWLINE)
			col += grid_text(g, r, 0, col, s, "\xe2\x86\xb5");
		else
			col += grid_bytes(g, r, 0, col, s, text + i, used);
		i += used;
	}
	return col - begin;
}

static void draw_token_line(struct app *app, struct grid *g, struct rect r)
{
	struct look *l = &app->look;
	struct verdict own = kept_verdict(l, l->focus, l->token);
	char line[640], each[160], index[32];
	int col = 1 + draw_token(app, g, r, 1), at = snprintf(line, sizeof line, "  #%s", number_grouped(index, l->token));
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

static void draw_method_line(struct app *app, struct grid *g, struct rect r)
{
	struct look *l = &app->look;
	const struct series *s = &l->snap->series[l->focus];
	int k = look_k(l), col = 1;
	char count[32], mass[32];
	col += 1 + grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_STRONG), "TEXT");
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

static void draw_legend(struct app *app, struct grid *g, struct rect r)
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
		struct style s = theme_cell(t, ramp_of(l), ((float)i + 0.5f) / 12, glyph);
		grid_text(g, r, 0, col + 1 + i, s, glyph);
	}
}

/* ---- frame ---- */

static void scroll(struct text *t, int by)
{
	int last = t->flow.n_lines - t->lines.rows;
	t->first_line += by;
	t->first_line = t->first_line > last ? last : t->first_line;
	t->first_line = t->first_line < 0 ? 0 : t->first_line;
}

static bool update_flow(struct app *app, struct text *t, int cols)
{
	struct err e;
	const struct snapshot *s = app->look.snap;
	if (t->flow.first && t->flow.cols == cols && t->flow_serial == s->serial)
		return true;
	struct flow made;
	if (flow_build(&made, s->text, cols, &e)) {
		app_say(app, ROLE_ERROR, "%s", e.text);
		return false;
	}
	flow_free(&t->flow);
	t->flow = made;
	t->flow_serial = s->serial;
	t->shown_token = -1;
	return true;
}

static void text_draw(struct app *app, void *state, struct grid *g)
{
	struct text *t = state;
	struct layout_page page;
	layout_page(&page, app->rows, app->cols, N_INFO);
	frame_title(app, g, page.title);
	frame_status(app, g, page.status);
	struct rect margin = rect_sub(page.body, 1, 0, page.body.rows - 1, NUMBER_COLS);
	t->lines = rect_sub(page.body, 1, NUMBER_COLS, page.body.rows - 1, page.body.cols - NUMBER_COLS - 1);
	draw_method_line(app, g, page.body);
	if (!update_flow(app, t, t->lines.cols))
		return;
	if (t->shown_token != app->look.token)
		t->first_line = layout_scroll(t->first_line, t->flow.line[app->look.token], 1, t->lines.rows, t->flow.n_lines);
	t->shown_token = app->look.token;
	scroll(t, 0);
	struct canvas c = {.app = app, .g = g, .text = t, .r = t->lines};
	draw_margin(&c, margin);
	draw_tokens(&c, levels(t, &app->look));
	draw_token_line(app, g, page.info);
	draw_legend(app, g, rect_sub(page.info, 1, 0, 1, page.info.cols));
}

/* ---- keys and mouse ---- */

static void go_to_line(struct app *app, struct text *t, int line, int col)
{
	const struct token_text *text = app->look.snap->text;
	if (t->flow.n_lines == 0)
		return;
	int token = flow_find(&t->flow, text, line, col);
	look_set_token(&app->look, token < text->n_prompt ? token : text->n_prompt - 1);
}

/* The cursor stays on the prompt; below its last line the text scrolls on to the response. */
static void move_lines(struct app *app, struct text *t, int by)
{
	int token = app->look.token;
	if (!t->flow.first)
		return;
	go_to_line(app, t, t->flow.line[token] + by, t->flow.col[token]);
	if (app->look.token == token)
		scroll(t, by);
}

static bool text_act(struct app *app, void *state, enum action_id action)
{
	struct text *t = state;
	struct look *l = &app->look;
	int page = t->lines.rows > 2 ? t->lines.rows - 1 : 1;
	switch ((int)action) {
	case ACTION_CELL_LEFT: look_move_token(l, -1); break;
	case ACTION_CELL_RIGHT: look_move_token(l, 1); break;
	case ACTION_ROW_UP: move_lines(app, t, -1); break;
	case ACTION_ROW_DOWN: move_lines(app, t, 1); break;
	case ACTION_PAGE_UP: move_lines(app, t, -page); break;
	case ACTION_PAGE_DOWN: move_lines(app, t, page); break;
	case ACTION_HALF_UP: move_lines(app, t, -(page + 1) / 2); break;
	case ACTION_HALF_DOWN: move_lines(app, t, (page + 1) / 2); break;
	case ACTION_LINE_START: go_to_line(app, t, t->flow.first ? t->flow.line[l->token] : 0, 0); break;
	case ACTION_LINE_END: go_to_line(app, t, t->flow.first ? t->flow.line[l->token] : 0, t->flow.cols); break;
	case ACTION_FIRST: look_set_token(l, 0); break;
	case ACTION_LAST: look_set_token(l, l->snap->capture->n_prompt - 1); break;
	case ACTION_BACK: app_show(app, VIEW_MAPS); break;
	default: return false;
	}
	return true;
}

static void text_point(struct app *app, void *state, const struct event *at)
{
	struct text *t = state;
	if (at->kind == EVENT_WHEEL)
		scroll(t, 3 * at->wheel);
	else if (rect_holds(t->lines, at->row, at->col))
		go_to_line(app, t, t->first_line + at->row - t->lines.row, at->col - t->lines.col);
}

/* ---- figure ---- */

static const char *text_figure(const struct app *app, const void *state, struct figure_spec *spec,
	const char *method[VIEW_MAX_FIGURE_METHOD])
{
	const struct look *l = &app->look;
	(void)state;
	spec->kind = FIGURE_OVERLAY;
	spec->layer = l->scope == LOOK_ALL ? -1 : l->layer;
	spec->head = l->scope == LOOK_HEAD ? l->head : -1;
	method[0] = l->snap->series[l->focus].name;
	spec->method = method;
	spec->n_method = 1;
	return l->snap->series[l->focus].method < 0 ? NULL : "text";
}

const struct view view_text = {
	.bit = AT_TEXT,
	.title = "Text",
	.open = text_open,
	.close = text_close,
	.draw = text_draw,
	.act = text_act,
	.point = text_point,
	.figure = text_figure,
};
