/* The token dossier: one token in its surroundings, what every method thinks of it, whether another reduction or
 * pooling would keep it, and its lift in every layer and head. */
#include "tui/view.h"

#include <stdio.h>
#include <stdlib.h>

#include "tui/draw/glyph.h"
#include "tui/draw/layout.h"
#include "tui/draw/number.h"
#include "tui/view/frame.h"
#include "tui/view/kept.h"
#include "tui/view/token_facts.h"
#include "tui/view/token_grid.h"
#include "tui/view/view_strip.h"

enum { WIDE = 136, MAX_ROW = 24, NAME_COLS = 13, CONTEXT_LINES = 2, VARIANT_COLS = 7 };

struct row { /* a method in the table */
	int method, series; /* series -1: it has an order but no map */
	const char *label;
};

struct token {
	struct strip strip;
	struct facts *facts;
	struct facts_key asked;
	struct token_grid grid;
	/* of the last frame, for clicks */
	struct rect table;
	int n_row;
	struct row row[MAX_ROW];
};

static int token_open(struct app *app, void **state, struct err *e)
{
	(void)app;
	*state = calloc(1, sizeof(struct token));
	return *state ? 0 : (int)err_set(e, ERR_MEMORY, "Token: out of memory");
}

static void token_close(void *state)
{
	struct token *t = state;
	facts_free(t->facts);
	free(t);
}

void token_known(struct app *app, struct facts *f)
{
	struct token *t = app->state[VIEW_TOKEN];
	facts_free(t->facts);
	t->facts = f;
}

static bool is_candidate(const struct look *l)
{
	return l->token >= l->snap->first && l->token < l->snap->first + l->snap->n_candidate;
}

/* Those of the present place, asked for when they are not here yet; NULL: not yet. */
static const struct facts *facts_here(struct app *app, struct token *t)
{
	struct facts_key key = facts_key_of(&app->look);
	if (!is_candidate(&app->look))
		return NULL;
	if (t->facts && facts_same(&t->facts->key, &key))
		return t->facts;
	if (!facts_same(&t->asked, &key)) {
		t->asked = key;
		facts_ask(app);
	}
	return NULL;
}

/* ---- which methods ---- */

/* Those with maps in the order of every screen, then those that only rank; no controls of chance and no ceiling. */
static int list_rows(const struct snapshot *s, struct row *row)
{
	int n = 0;
	for (int i = 0; i < s->n_series; i++)
		if (s->series[i].method >= 0)
			row[n++] = (struct row){s->series[i].method, i, i == 0 ? "truth" : s->series[i].label};
	for (int m = 0; m < evaluation_n_method(s->evaluation) && n < MAX_ROW; m++) {
		const struct eval_method *each = evaluation_method(s->evaluation, m);
		bool listed = !each->available || each->method->kind == METHOD_ORACLE || each->method->kind == METHOD_CEILING ||
			each->method->kind == METHOD_RANDOM;
		for (int i = 0; i < n; i++)
			listed |= row[i].method == m;
		if (!listed)
			row[n++] = (struct row){m, -1, each->method->label};
	}
	return n;
}

/* The first ones that there is room for; the one in focus is among them. */
static void choose_rows(struct token *t, const struct look *l, int room)
{
	t->n_row = list_rows(l->snap, t->row);
	if (t->n_row <= room)
		return;
	for (int i = room; i < t->n_row; i++)
		if (t->row[i].series == l->focus)
			t->row[room - 1] = t->row[i];
	t->n_row = room;
}

/* ---- the token ---- */

static void say_place(struct app *app, char *out, size_t n_bytes)
{
	const struct look *l = &app->look;
	const struct capture *c = l->snap->capture;
	static const char *const part[] = {[PART_TEMPLATE] = "template", [PART_SYSTEM] = "system prompt",
		[PART_USER] = "user text", [PART_RESPONSE] = "response"};
	char index[32], count[32];
	int sinks = 0, at;
	for (int layer = 0; layer < c->n_layer; layer++)
		sinks += l->snap->prompt_sink[(size_t)layer * (size_t)c->n_prompt + (size_t)l->token];
	at = snprintf(out, n_bytes, "#%s of %s", number_grouped(index, l->token), number_grouped(count, c->n_prompt));
	if (c->part && (size_t)at < n_bytes)
		at += snprintf(out + at, n_bytes - (size_t)at, " \xc2\xb7 %s", part[c->part[l->token]]);
	if (spans_find(&l->marked, l->token) >= 0 && (size_t)at < n_bytes)
		at += snprintf(out + at, n_bytes - (size_t)at, " \xc2\xb7 in a marked span");
	if (sinks > 0 && (size_t)at < n_bytes)
		at += snprintf(out + at, n_bytes - (size_t)at, " \xc2\xb7 in-prompt sink in %d of %d layers", sinks, c->n_layer);
	if (!is_candidate(l) && (size_t)at < n_bytes)
		snprintf(out + at, n_bytes - (size_t)at, l->snap->n_candidate == 0 ? " \xc2\xb7 the whole prompt is kept"
			: l->token < l->snap->first ? " \xc2\xb7 among the first: every method keeps it"
			                            : " \xc2\xb7 in the window: every method keeps it");
}

static void draw_head(struct app *app, struct grid *g, struct rect r)
{
	char place[256];
	say_place(app, place, sizeof place);
	int col = 1 + grid_text(g, r, 0, 1, theme_style(&app->theme, ROLE_STRONG), "TOKEN");
	col += 1 + token_text_draw(app->look.snap->text, app->look.token, g, r, col + 1,
		theme_style(&app->theme, ROLE_CURSOR));
	grid_text_cut(g, r, 0, col + 2, r.cols - col - 3, style_plain, place);
}

/* ---- the table ---- */

enum { RANK_AT = 26, SURVIVES_AT = 40, KEPT_AT = 53, LIFT_AT = 63, VARIANTS_AT = 66 }; /* right edges; the last: where it begins */

static void draw_table_head(const struct app *app, struct grid *g, struct rect r)
{
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	bool head = app->look.scope == LOOK_HEAD;
	char of[32];
	snprintf(of, sizeof of, "kept, of %d", look_n_heads(&app->look));
	grid_text_before(g, r, 0, RANK_AT, dim, head ? "rank" : "median rank");
	grid_text_before(g, r, 0, SURVIVES_AT, dim, "survives from");
	grid_text_before(g, r, 0, KEPT_AT, dim, head ? "here" : of);
	grid_text_before(g, r, 0, LIFT_AT, dim, "lift");
}

static int by_value(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

/* Of one method over the scope. */
struct standing {
	int rank, survival; /* medians */
	int votes, of;
};

static struct standing standing_of(struct look *l, int method)
{
	const struct selection *select = &evaluation_protocol(l->snap->evaluation)->select;
	struct scope s = look_scope(l);
	int n = look_n_heads(l), units = look_n_unit(l), i = 0, *rank = malloc((size_t)n * sizeof *rank);
	struct standing out = {-1, -1, look_votes(l, method, s, l->token), n};
	if (!rank)
		return out;
	for (int layer = s.layer < 0 ? 0 : s.layer; i < n; layer++)
		for (int unit = s.kv_head < 0 ? 0 : s.kv_head; i < n && unit < (s.kv_head < 0 ? units : s.kv_head + 1); unit++)
			rank[i++] = evaluation_rank(l->snap->evaluation, method, layer, unit, l->token);
	qsort(rank, (size_t)n, sizeof *rank, by_value);
	out.rank = rank[n / 2];
	out.survival = out.rank + 1 + (select->window_in_budget ? select->sink + select->window : 0);
	free(rank);
	return out;
}

static void draw_standing(struct app *app, struct grid *g, struct rect r, int line, const struct row *row)
{
	struct look *l = &app->look;
	struct style s = theme_style(&app->theme, row->series == l->focus ? ROLE_STRONG : ROLE_PLAIN);
	char text[64], number[32];
	grid_text_cut(g, r, line, 1, NAME_COLS, row->series == l->focus ? theme_style(&app->theme, ROLE_LABEL_HERE) : s,
		row->label);
	if (!is_candidate(l)) {
		grid_text_before(g, r, line, KEPT_AT, theme_style(&app->theme, ROLE_PROTECTED), "always");
		return;
	}
	struct standing x = standing_of(l, row->method);
	grid_text_before(g, r, line, RANK_AT, s, number_grouped(number, x.rank + 1));
	grid_text_before(g, r, line, SURVIVES_AT, s, number_grouped(number, x.survival));
	struct style kept = theme_style(&app->theme, x.votes == 0 ? ROLE_DIM : 2 * x.votes >= x.of ? ROLE_HIGH : ROLE_LOW);
	if (x.votes < 0)
		snprintf(text, sizeof text, "\xe2\x80\x93");
	else if (x.of == 1)
		snprintf(text, sizeof text, x.votes ? "\xe2\x96\xa0 kept" : "evicted");
	else
		snprintf(text, sizeof text, "%s%d", 2 * x.votes >= x.of ? "\xe2\x96\xa0 " : "", x.votes);
	grid_text_before(g, r, line, KEPT_AT, kept, text);
	if (row->series >= 0)
		grid_text_before(g, r, line, LIFT_AT, s, number_lift(number, snapshot_token_lift(l->snap, row->series, look_scope(l), l->token)));
}

/* ---- other reductions and poolings ---- */

static void draw_variants_head(const struct app *app, struct grid *g, struct rect r)
{
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	struct variant list[VARIANT_MAX];
	int n = variants_list(evaluation_protocol(app->look.snap->evaluation), list);
	for (int v = 0; v < n; v++)
		grid_text_before(g, r, 0, VARIANT_COLS * (v + 1), dim, list[v].label);
}

/* "■ 55": kept at this budget, by half of the heads or more; the number is the budget from which the head keeps it,
 * in a wider scope the heads that keep it. */
static void draw_variants(struct app *app, struct grid *g, struct rect r, const struct facts *f, const struct row *row)
{
	struct look *l = &app->look;
	bool one = l->scope == LOOK_HEAD;
	char text[48], number[32];
	if (!f || row->series < 0 || !f->rank[row->series])
		return;
	for (int v = 0; v < f->n_variant; v++) {
		int votes = facts_votes(f, l, row->series, v);
		bool kept = 2 * votes >= f->n_row;
		snprintf(text, sizeof text, "%s%s", kept ? "\xe2\x96\xa0" : "",
			number_grouped(number, one ? facts_survival(f, row->series, v) : votes));
		grid_text_before(g, r, 0, VARIANT_COLS * (v + 1), theme_style(&app->theme, kept ? ROLE_HIGH : ROLE_DIM), text);
	}
}

static struct rect part_from(struct rect r, int line, int col)
{
	return rect_sub(r, line, col, 1, r.cols - col);
}

/* Above the variants, where they stand beside the table. */
static void draw_variants_title(const struct app *app, struct grid *g, struct rect r)
{
	grid_text(g, r, 0, VARIANTS_AT + 3, theme_style(&app->theme, ROLE_DIM), app->look.scope == LOOK_HEAD
		? "survives from, if scored by another group or pooling" : "heads that keep it, if scored by another group or pooling");
}

/* Returns the lines used. */
static int draw_tables(struct app *app, struct token *t, struct grid *g, struct rect r, const struct facts *f)
{
	struct style strong = theme_style(&app->theme, ROLE_STRONG);
	bool wide = r.cols >= WIDE;
	if (wide) {
		draw_variants_title(app, g, r);
		r = rect_sub(r, 1, 0, r.rows - 1, r.cols);
		draw_variants_head(app, g, part_from(r, 0, VARIANTS_AT));
	}
	int line = 1;
	draw_table_head(app, g, r);
	grid_text(g, r, 0, 1, strong, "METHOD");
	t->table = rect_sub(r, 1, 0, t->n_row, wide ? r.cols : LIFT_AT);
	for (int i = 0; i < t->n_row; i++, line++) {
		draw_standing(app, g, r, line, &t->row[i]);
		if (wide)
			draw_variants(app, g, part_from(r, line, VARIANTS_AT), f, &t->row[i]);
	}
	if (wide)
		return line + 1;
	grid_text(g, r, line, 1, strong, "IF SCORED BY");
	draw_variants_head(app, g, part_from(r, line++, NAME_COLS + 1));
	for (int i = 0; i < t->n_row; i++) {
		if (t->row[i].series <= 0)
			continue;
		grid_text_cut(g, r, line, 1, NAME_COLS,
			theme_style(&app->theme, t->row[i].series == app->look.focus ? ROLE_LABEL_HERE : ROLE_PLAIN), t->row[i].label);
		draw_variants(app, g, part_from(r, line++, NAME_COLS + 1), f, &t->row[i]);
	}
	return line;
}

/* ---- frame ---- */

/* Lines for methods: as many as there are, but the grids below want their share. */
static int table_room(const struct app *app, int lines)
{
	const struct capture *c = app->look.snap->capture;
	bool wide = app->cols >= WIDE, half = theme_half_blocks(&app->theme);
	int grid = 3 + (half ? (c->n_layer + 1) / 2 : c->n_layer), left = lines - (grid < lines / 2 ? grid : lines / 2);
	int room = wide ? left - 2 : (left - 1) / 2;
	return room < 3 ? 3 : room;
}

static void token_draw(struct app *app, void *state, struct grid *g)
{
	struct token *t = state;
	struct layout_page page;
	layout_page(&page, app->rows, app->cols, 0);
	frame_title(app, g, page.title);
	frame_status(app, g, page.status);
	const struct facts *f = facts_here(app, t);
	struct rect body = page.body, context[CONTEXT_LINES];
	draw_head(app, g, body);
	for (int i = 0; i < CONTEXT_LINES; i++)
		context[i] = rect_sub(body, 1 + i, 0, 1, body.cols);
	strip_draw(&t->strip, app, g, context, CONTEXT_LINES, NULL, 0);
	body = rect_sub(body, 1 + CONTEXT_LINES, 0, body.rows, body.cols);
	choose_rows(t, &app->look, table_room(app, body.rows));
	int used = draw_tables(app, t, g, body, f);
	token_grid_draw(&t->grid, app, g, rect_sub(body, used, 0, body.rows - used, body.cols), f);
}

/* ---- keys and mouse ---- */

static bool token_act(struct app *app, void *state, enum action_id action)
{
	struct token *t = state;
	struct look *l = &app->look;
	const struct capture *c = l->snap->capture;
	int page = t->grid.n_shown > 1 ? t->grid.n_shown - 1 : 1;
	switch ((int)action) {
	case ACTION_ROW_UP: look_move_layer(l, -1); break;
	case ACTION_ROW_DOWN: look_move_layer(l, 1); break;
	case ACTION_CELL_LEFT: look_move_head(l, -1); break;
	case ACTION_CELL_RIGHT: look_move_head(l, 1); break;
	case ACTION_PAGE_UP: look_move_layer(l, -page); break;
	case ACTION_PAGE_DOWN: look_move_layer(l, page); break;
	case ACTION_HALF_UP: look_move_layer(l, -(page + 1) / 2); break;
	case ACTION_HALF_DOWN: look_move_layer(l, (page + 1) / 2); break;
	case ACTION_FIRST: look_move_layer(l, -c->n_layer); break;
	case ACTION_LAST: look_move_layer(l, c->n_layer); break;
	case ACTION_LINE_START: look_move_head(l, -c->n_head); break;
	case ACTION_LINE_END: look_move_head(l, c->n_head); break;
	case ACTION_SCALE: t->grid.numbers = !t->grid.numbers; break;
	case ACTION_BACK: app_show(app, app->under_detail); break;
	default: return false;
	}
	return true;
}

static void token_point(struct app *app, void *state, const struct event *at)
{
	struct token *t = state;
	if (at->kind == EVENT_WHEEL) {
		look_move_layer(&app->look, at->wheel);
		return;
	}
	int token = strip_token_at(&t->strip, at->row, at->col);
	if (token >= 0)
		look_set_token(&app->look, token);
	else if (rect_holds(t->table, at->row, at->col) && t->row[at->row - t->table.row].series >= 0)
		app->look.focus = t->row[at->row - t->table.row].series;
	else
		token_grid_point(&t->grid, app, at->row, at->col);
}

static const char *const reading[] = {
	"Everything about the token under the cursor. survives from: the smallest budget at which the method keeps it, in "
	"this KV head, or the median over the heads of the scope (a).",
	"if scored by: the same budget if a group's query heads were reduced by their mean, maximum or sum, or scores "
	"pooled over neighbouring tokens (average or maximum of 5, 7, 13) before choosing; in a wider scope, how many "
	"heads would keep it. \xe2\x96\xa0: kept at the present budget.",
	"Below: the token's lift in every layer and query head, and beside it the KV heads that keep it; c: budgets.",
	NULL,
};

const struct view view_token = {
	.reading = reading,
	.bit = AT_TOKEN,
	.title = "Token",
	.open = token_open,
	.close = token_close,
	.draw = token_draw,
	.act = token_act,
	.point = token_point,
};
