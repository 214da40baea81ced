/* Maps: every layer, and the heads of one, for several methods side by side; under them the text around the cursor and the numbers. */
#include "tui/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/app.h"
#include "tui/columns.h"
#include "tui/frame.h"
#include "tui/layout.h"
#include "tui/number.h"
#include "tui/glyph.h"
#include "tui/view/view_strip.h"
#include "tui/view/view_numbers.h"

struct maps {
	bool in_heads; /* up and down go through heads, not layers */
	bool full;     /* one pane */
	int first_layer_line, first_head_line; /* scrolled off */
	struct layout layout;                  /* of the last frame: clicks refer to it */
	int series[LAYOUT_MAX_PANE];           /* shown in each pane */
	int mark[LAYOUT_MAX_PANE], n_mark;     /* marked under the text */
	struct columns layers[LAYOUT_MAX_PANE], heads[LAYOUT_MAX_PANE];
	struct strip strip;
};

static int maps_open(struct app *app, void **state, struct err *e)
{
	(void)app;
	*state = calloc(1, sizeof(struct maps));
	return *state ? 0 : (int)err_set(e, ERR_MEMORY, "Maps: out of memory");
}

static void maps_close(void *state)
{
	struct maps *m = state;
	for (int i = 0; i < LAYOUT_MAX_PANE; i++) {
		columns_free(&m->layers[i]);
		columns_free(&m->heads[i]);
	}
	free(m);
}

/* ---- what is where ---- */

static int map_cols(const struct maps *m)
{
	return m->layout.pane[0].layers.cols - 2; /* without the columns of sinks and window */
}

/* The first panes show the first series; the one that has the focus is always among them. */
static void choose_series(struct maps *m, const struct look *l)
{
	int n = m->layout.n_pane;
	bool shown = false;
	for (int i = 0; i < n; i++) {
		m->series[i] = m->full ? l->focus : i;
		shown |= m->series[i] == l->focus;
	}
	if (!shown)
		m->series[n - 1] = l->focus;
}

/* Truth and the two that are compared, and the one in focus: also when one pane is alone on the screen. */
static int choose_marks(struct maps *m, const struct look *l)
{
	int n = 0;
	for (; n < l->snap->n_series && n < 3; n++)
		m->mark[n] = n;
	if (l->focus >= n)
		m->mark[n++] = l->focus;
	return n;
}

static void make_layout(const struct app *app, struct maps *m)
{
	const struct look *l = &app->look;
	const struct capture *c = l->snap->capture;
	struct layout_request r = {
		.rows = app->rows, .cols = app->cols, .n_pane = l->snap->n_series, .truth_first = !m->full || l->focus == 0, .full = m->full,
		.n_layer = c->n_layer, .n_head = c->n_head, .n_kv_head = c->n_kv_head, .half_blocks = theme_half_blocks(&app->theme),
		.n_number = numbers_lines(app),
	};
	m->n_mark = choose_marks(m, l);
	r.n_mark = m->n_mark;
	layout_maps(&m->layout, &r);
	if (!m->layout.fits)
		return;
	choose_series(m, l);
	int line = m->layout.layers_half ? l->layer / 2 : l->layer;
	m->first_layer_line = layout_scroll(m->first_layer_line, line, 1, m->layout.layer_label.rows,
		m->layout.layers_half ? (c->n_layer + 1) / 2 : c->n_layer);
	int lines = layout_head_lines(c->n_head, c->n_kv_head, m->layout.heads_half), group = lines / c->n_kv_head;
	line = layout_head_line(l->head, c->n_head, c->n_kv_head, m->layout.heads_half);
	if (group <= m->layout.head_label.rows) /* the whole group of the cursor's head, when there is room for it */
		line -= line % group;
	m->first_head_line = layout_scroll(m->first_head_line, line, group <= m->layout.head_label.rows ? group : 1,
		m->layout.head_label.rows, lines);
}

/* Rows on a line of a block: the upper one and, in half blocks, the one below it; -1: none. */
struct pair {
	int top, bottom;
};

static struct pair layers_on_line(const struct maps *m, const struct capture *c, int line)
{
	line += m->first_layer_line;
	if (!m->layout.layers_half)
		return (struct pair){line < c->n_layer ? line : -1, -1};
	return (struct pair){2 * line < c->n_layer ? 2 * line : -1, 2 * line + 1 < c->n_layer ? 2 * line + 1 : -1};
}

static struct pair heads_on_line(const struct maps *m, const struct capture *c, int line)
{
	int group = c->n_head / c->n_kv_head;
	int lines = layout_head_lines(c->n_head, c->n_kv_head, m->layout.heads_half) / c->n_kv_head;
	line += m->first_head_line;
	int kv = line / lines, at = line % lines;
	if (kv >= c->n_kv_head)
		return (struct pair){-1, -1};
	if (!m->layout.heads_half)
		return (struct pair){kv * group + at, -1};
	return (struct pair){kv * group + 2 * at, 2 * at + 1 < group ? kv * group + 2 * at + 1 : -1};
}

/* ---- drawing maps ---- */

struct block { /* layers or heads of one pane */
	const struct app *app;
	struct grid *g;
	struct columns *columns;
	int series, layer; /* layer -1: rows are layers */
	bool half;
	struct rect map;
};

static enum ramp_colour ramp_of(const struct look *l, int series)
{
	return look_scale(l) == RAMP_DIFFERENCE && series > 0 ? RAMP_DIVERGING : RAMP_VIRIDIS;
}

static void put_styled(struct grid *g, struct rect r, int row, int col, struct style s, const char *glyph)
{
	grid_text(g, r, row, col, s, glyph);
}

static void draw_edges(const struct block *b, int line)
{
	const struct look *l = &b->app->look;
	const struct selection *select = &evaluation_protocol(l->snap->evaluation)->select;
	struct look_window w = look_visible(l);
	struct style s = theme_style(&b->app->theme, ROLE_PROTECTED);
	grid_text(b->g, b->map, line, 0, s, w.from > 0 ? "\xe2\x80\xa6" : l->snap->n_candidate > 0 && select->sink > 0 ? "S" : " ");
	grid_text(b->g, b->map, line, b->map.cols - 1, s,
		w.from + w.span < l->snap->n_shown ? "\xe2\x80\xa6" : l->snap->n_candidate > 0 && select->window > 0 ? "W" : " ");
}

static void draw_map_line(const struct block *b, int line, struct pair rows)
{
	const struct look *l = &b->app->look;
	const struct theme *t = &b->app->theme;
	int cols = b->map.cols - 2;
	const float *top = rows.top >= 0 ? columns_row(b->columns, l, b->series, b->layer, rows.top, cols) : NULL;
	const float *bottom = rows.bottom >= 0 ? columns_row(b->columns, l, b->series, b->layer, rows.bottom, cols) : NULL;
	if (!top)
		return;
	draw_edges(b, line);
	for (int col = 0; col < cols; col++) {
		char glyph[8];
		struct style s = b->half ? theme_half_cell(t, ramp_of(l, b->series), top[col], bottom ? bottom[col] : NAN, glyph)
		                         : theme_cell(t, ramp_of(l, b->series), top[col], glyph);
		put_styled(b->g, b->map, line, col + 1, s, glyph);
	}
}

/* The cell of the cursor, in every pane: the same token in the same row. */
static void draw_cursor(const struct block *b, int line, struct pair rows, int here)
{
	const struct look *l = &b->app->look;
	int cols = b->map.cols - 2, col = look_column_of(l, cols) + 1;
	if (l->snap->series[b->series].method < 0 || (rows.top != here && rows.bottom != here))
		return;
	struct cell *cell = grid_at(b->g, b->map.row + line, b->map.col + col);
	if (!cell)
		return;
	if (b->half && col > 0 && col <= cols)
		theme_mark_half(&b->app->theme, cell, rows.bottom == here);
	else
		cell->style = theme_style(&b->app->theme, ROLE_CURSOR);
}

static void draw_waiting(const struct block *b)
{
	grid_text_cut(b->g, b->map, b->map.rows / 2, 1, b->map.cols - 2, theme_style(&b->app->theme, ROLE_DIM),
		b->app->work.running ? "not measured yet" : "not measured");
}

/* ---- agreement ---- */

static enum role agreement_role(double share)
{
	return isnan(share) ? ROLE_DIM : share < 0.5 ? ROLE_LOW : share < 0.8 ? ROLE_MIDDLE : ROLE_HIGH;
}

static void draw_agreement(struct app *app, struct grid *g, struct rect r, int line, int col, int series, struct scope scope)
{
	double share = look_agreement(&app->look, app->look.snap->series[series].method, scope).mass_ratio;
	struct style s = theme_style(&app->theme, agreement_role(share));
	if (isnan(share))
		grid_text(g, r, line, col + 3, s, "\xe2\x80\x93");
	else
		grid_printf(g, r, line, col, s, "%4.0f", 100 * share);
}

static void draw_layers(struct app *app, struct maps *m, struct grid *g, int pane)
{
	const struct layout_pane *p = &m->layout.pane[pane];
	struct block b = {.app = app, .g = g, .columns = &m->layers[pane], .series = m->series[pane], .layer = -1,
		.half = m->layout.layers_half, .map = p->layers};
	if (app->look.snap->series[b.series].method < 0) {
		draw_waiting(&b);
		return;
	}
	for (int line = 0; line < p->layers.rows; line++) {
		struct pair rows = layers_on_line(m, app->look.snap->capture, line);
		draw_map_line(&b, line, rows);
		if (!m->in_heads)
			draw_cursor(&b, line, rows, app->look.layer);
		if (b.series == 0 || p->layers_agree.cols == 0)
			continue;
		if (rows.top >= 0)
			draw_agreement(app, g, p->layers_agree, line, 0, b.series, (struct scope){rows.top, -1});
		if (rows.bottom >= 0)
			draw_agreement(app, g, p->layers_agree, line, 4, b.series, (struct scope){rows.bottom, -1});
	}
}

static void draw_heads(struct app *app, struct maps *m, struct grid *g, int pane)
{
	const struct layout_pane *p = &m->layout.pane[pane];
	const struct capture *c = app->look.snap->capture;
	int group = look_group(&app->look);
	struct block b = {.app = app, .g = g, .columns = &m->heads[pane], .series = m->series[pane], .layer = app->look.layer,
		.half = m->layout.heads_half, .map = p->heads};
	if (app->look.snap->series[b.series].method < 0)
		return;
	for (int line = 0; line < p->heads.rows; line++) {
		struct pair rows = heads_on_line(m, c, line);
		draw_map_line(&b, line, rows);
		if (m->in_heads)
			draw_cursor(&b, line, rows, app->look.head);
		if (rows.top >= 0 && rows.top % group == 0 && b.series > 0 && p->heads_agree.cols > 0) /* one set of tokens for the group */
			draw_agreement(app, g, p->heads_agree, line, 0, b.series, (struct scope){b.layer, rows.top / group});
	}
}

/* ---- labels, titles, legend ---- */

static enum role label_role(bool here)
{
	return here ? ROLE_LABEL_HERE : ROLE_LABEL;
}

static const char *label_mark(bool here, bool focus)
{
	return !here ? " " : focus ? "\xe2\x96\xb8" : "\xc2\xb7";
}

static void draw_layer_labels(const struct app *app, const struct maps *m, struct grid *g)
{
	int here = app->look.layer;
	for (int line = 0; line < m->layout.layer_label.rows; line++) {
		struct pair rows = layers_on_line(m, app->look.snap->capture, line);
		bool at = rows.top == here || rows.bottom == here;
		if (rows.top >= 0)
			grid_printf(g, m->layout.layer_label, line, 0, theme_style(&app->theme, label_role(at)), "L%3d%s", at ? here : rows.top,
				label_mark(at, !m->in_heads));
	}
}

/* Brackets tie the query heads of one KV head together. */
static const char *bracket(struct pair rows, int group)
{
	int at = rows.top % group, last = (rows.bottom >= 0 ? rows.bottom : rows.top) % group;
	bool begins = at == 0, ends = last == group - 1;
	return begins && ends ? " " : begins ? "\xe2\x94\x8c" : ends ? "\xe2\x94\x94" : "\xe2\x94\x82";
}

static void draw_head_labels(const struct app *app, const struct maps *m, struct grid *g)
{
	const struct capture *c = app->look.snap->capture;
	int here = app->look.head, group = c->n_head / c->n_kv_head;
	for (int line = 0; line < m->layout.head_label.rows; line++) {
		struct pair rows = heads_on_line(m, c, line);
		bool at = rows.top == here || rows.bottom == here;
		if (rows.top < 0)
			continue;
		grid_text(g, m->layout.head_label, line, 0, theme_style(&app->theme, ROLE_RULE), bracket(rows, group));
		grid_printf(g, m->layout.head_label, line, 1, theme_style(&app->theme, label_role(at)), "Q%-2d%s", at ? here : rows.top,
			label_mark(at, m->in_heads));
	}
}

static void say_scoring(const struct app *app, char *out, size_t out_bytes)
{
	const struct scoring *score = &evaluation_protocol(app->look.snap->evaluation)->score;
	if (score->pool == POOL_NONE)
		snprintf(out, out_bytes, "no pool");
	else
		snprintf(out, out_bytes, "%s pool %d", pool_name(score->pool), score->kernel);
}

/* What a pane shows, in at most `room` columns: details go first where there is no room for them. */
static void say_series(const struct app *app, int i, int room, char *out, size_t out_bytes)
{
	const struct capture *c = app->look.snap->capture;
	const struct series *s = &app->look.snap->series[i];
	const char *module = !strcmp(s->name, "lookahead") ? capture_meta(c, "module_name") : NULL;
	char pool[32], detail[160] = "", window[16] = "";
	say_scoring(app, pool, sizeof pool);
	if (!strcmp(s->name, "snapkv") && c->window > 0)
		snprintf(window, sizeof window, " w%d", c->window);
	if (i == 0 && s->n_rows_due > s->n_rows)
		snprintf(out, out_bytes, room < 30 ? "TRUTH %d of %d" : "TRUTH from %d of %d answer rows", s->n_rows, s->n_rows_due);
	else if (i == 0)
		snprintf(out, out_bytes, room < 26 ? "TRUTH" : "TRUTH what the answer read");
	if (i == 0)
		return;
	snprintf(detail, sizeof detail, "%s%s%s", window, module ? " " : "", module ? module : "");
	snprintf(out, out_bytes, "%s%s, %s", s->label, detail, pool);
	if (glyph_width(out, strlen(out)) > room)
		snprintf(out, out_bytes, "%s%s", s->label, detail);
}

static void draw_titles(const struct app *app, const struct maps *m, struct grid *g)
{
	for (int i = 0; i < m->layout.n_pane; i++) {
		struct rect r = m->layout.pane[i].title;
		bool agrees = m->layout.pane[i].layers_agree.cols > 0 && m->series[i] > 0;
		int room = r.cols - (agrees ? 6 : 1);
		char title[200];
		say_series(app, m->series[i], room, title, sizeof title);
		grid_text_cut(g, r, 0, 0, room, theme_style(&app->theme, m->series[i] == app->look.focus ? ROLE_PANE_FOCUS : ROLE_PANE), title);
		if (agrees)
			grid_text_right(g, r, 0, theme_style(&app->theme, ROLE_DIM), "best");
	}
}

/* In-prompt sinks of the current layer, and the cursor's column. */
static void draw_ruler(const struct app *app, const struct maps *m, struct grid *g, int pane)
{
	const struct look *l = &app->look;
	struct rect r = m->layout.pane[pane].ruler;
	struct look_window w = look_visible(l);
	const uint8_t *sink = l->snap->prompt_sink + (size_t)l->layer * (size_t)l->snap->capture->n_prompt + l->snap->shown_first;
	int cols = r.cols - 2;
	for (int col = 0; col < cols; col++) {
		int begin, end;
		bool any = false;
		look_column(w, cols, col, &begin, &end);
		for (int j = begin; j < end; j++)
			any |= sink[j] != 0;
		if (any)
			grid_text(g, r, 0, col + 1, theme_style(&app->theme, ROLE_MARK), "\xe2\x96\xb2");
	}
	int cursor = look_column_of(l, cols);
	grid_text(g, r, 0, cursor + 1, theme_style(&app->theme, ROLE_LABEL_HERE), "\xe2\x94\x82");
}

static int draw_ramp(const struct app *app, struct grid *g, struct rect r, int col, enum ramp_colour ramp)
{
	enum { N = 16 };
	for (int i = 0; i < N; i++) {
		char glyph[8];
		struct style s = theme_cell(&app->theme, ramp, ((float)i + 0.5f) / N, glyph);
		grid_text(g, r, 0, col + i, s, glyph);
	}
	return N;
}

static void draw_legend(const struct app *app, const struct maps *m, struct grid *g)
{
	static const char *const words[][3] = {
		[RAMP_LIFT] = {"lift 1\xc3\x97 ", " 100\xc3\x97", "max"},
		[RAMP_PERCENTILE] = {"rank 0 % ", " 100 %", "mean"},
		[RAMP_RAW] = {"raw 0 ", " row's largest", "max"},
		[RAMP_DIFFERENCE] = {"lift / truth's 0.01\xc3\x97 ", " 100\xc3\x97", "max"},
	};
	const struct look *l = &app->look;
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	struct rect r = m->layout.legend;
	int cols = map_cols(m), col = 1, begin, end;
	struct look_window w = look_visible(l);
	char each[64];
	col += grid_text(g, r, 0, col, dim, words[look_scale(l)][0]);
	col += draw_ramp(app, g, r, col, look_scale(l) == RAMP_DIFFERENCE ? RAMP_DIVERGING : RAMP_VIRIDIS);
	col += grid_text(g, r, 0, col, dim, words[look_scale(l)][1]);
	look_column(w, cols, 0, &begin, &end);
	double tokens = (double)w.span / cols;
	snprintf(each, sizeof each, tokens < 1.5 ? "column = 1 token" : "column = %.0f tokens, %s", tokens, words[look_scale(l)][2]);
	col += 3 + grid_text(g, r, 0, col + 3, dim, each);
	col += 3 + grid_text(g, r, 0, col + 3, theme_style(&app->theme, ROLE_MARK), "\xe2\x96\xb2");
	col += grid_text(g, r, 0, col, dim, " in-prompt sinks");
	if (col + 30 < r.cols)
		grid_text(g, r, 0, col + 3, dim, "S first  W last: always kept");
}

static void draw_heads_title(const struct app *app, const struct maps *m, struct grid *g)
{
	const struct capture *c = app->look.snap->capture;
	if (m->layout.heads_title.rows)
		grid_printf(g, m->layout.heads_title, 0, 0, theme_style(&app->theme, ROLE_STRONG),
			c->n_head == c->n_kv_head ? "HEADS OF L%d" : "HEADS OF L%d, grouped under their KV head", app->look.layer);
}

static void maps_draw(struct app *app, void *state, struct grid *g)
{
	struct maps *m = state;
	make_layout(app, m);
	frame_title(app, g, m->layout.title);
	frame_status(app, g, m->layout.status);
	draw_titles(app, m, g);
	draw_layer_labels(app, m, g);
	draw_head_labels(app, m, g);
	for (int i = 0; i < m->layout.n_pane; i++) {
		draw_layers(app, m, g, i);
		draw_ruler(app, m, g, i);
		draw_heads(app, m, g, i);
	}
	draw_legend(app, m, g);
	draw_heads_title(app, m, g);
	strip_draw(&m->strip, app, g, m->layout.strip, m->layout.n_strip, m->mark, m->n_mark);
	numbers_draw(app, g, m->layout.numbers);
}

/* ---- keys ---- */

/* To the hottest token of a column in the focused map: the one that its colour shows. */
static void go_to_column(struct app *app, struct maps *m, int col)
{
	struct look *l = &app->look;
	struct look_window w = look_visible(l);
	int cols = map_cols(m), begin, end, best;
	float largest;
	look_column(w, cols, col, &begin, &end);
	const float *lift = snapshot_layer_lift(l->snap, l->focus, l->layer, &largest);
	float *own = m->in_heads ? malloc((size_t)l->snap->capture->n_prompt * sizeof *own) : NULL;
	if (own && snapshot_head_lift(l->snap, l->focus, l->layer, l->head, own))
		lift = own;
	best = begin;
	for (int j = begin; lift && j < end; j++)
		if (lift[l->snap->shown_first + j] > lift[l->snap->shown_first + best])
			best = j;
	free(own);
	look_set_token(l, l->snap->shown_first + best);
}

static void move_cell(struct app *app, struct maps *m, int by)
{
	struct look *l = &app->look;
	struct look_window w = look_visible(l);
	int cols = map_cols(m), col = look_column_of(l, cols) + by, begin, end;
	if (w.span <= cols) { /* a token or less a column: cells are tokens */
		look_move_token(l, by);
		return;
	}
	if (col >= 0 && col < cols) {
		go_to_column(app, m, col);
		return;
	}
	look_column(w, cols, 0, &begin, &end); /* beyond the edge: scroll by a column, then into protected tokens */
	look_move_token(l, by * (end - begin));
}

static void move_row(struct app *app, struct maps *m, int by)
{
	if (m->in_heads)
		look_move_head(&app->look, by);
	else
		look_move_layer(&app->look, by);
}

static int page_rows(const struct maps *m)
{
	if (m->in_heads)
		return m->layout.head_label.rows * (m->layout.heads_half ? 2 : 1);
	return m->layout.layer_label.rows * (m->layout.layers_half ? 2 : 1);
}

static bool maps_act(struct app *app, void *state, enum action_id action)
{
	struct maps *m = state;
	struct look *l = &app->look;
	const struct capture *c = l->snap->capture;
	switch ((int)action) {
	case ACTION_CELL_LEFT: move_cell(app, m, -1); break;
	case ACTION_CELL_RIGHT: move_cell(app, m, 1); break;
	case ACTION_ROW_UP: move_row(app, m, -1); break;
	case ACTION_ROW_DOWN: move_row(app, m, 1); break;
	case ACTION_PAGE_UP: move_row(app, m, -page_rows(m)); break;
	case ACTION_PAGE_DOWN: move_row(app, m, page_rows(m)); break;
	case ACTION_HALF_UP: move_row(app, m, -(page_rows(m) + 1) / 2); break;
	case ACTION_HALF_DOWN: move_row(app, m, (page_rows(m) + 1) / 2); break;
	case ACTION_LINE_START: look_set_token(l, 0); break;
	case ACTION_LINE_END: look_set_token(l, c->n_prompt - 1); break;
	case ACTION_FIRST: move_row(app, m, m->in_heads ? -c->n_head : -c->n_layer); break;
	case ACTION_LAST: move_row(app, m, m->in_heads ? c->n_head : c->n_layer); break;
	case ACTION_ZOOM_IN: look_zoom(l, 1, map_cols(m)); break;
	case ACTION_ZOOM_OUT: look_zoom(l, -1, map_cols(m)); break;
	case ACTION_FULL: m->full = !m->full; break;
	case ACTION_HEAD_PREV:
	case ACTION_HEAD_NEXT:
		look_move_head(l, action == ACTION_HEAD_NEXT ? 1 : -1);
		m->in_heads = true;
		break;
	case ACTION_ENTER:
		if (m->in_heads)
			app_show(app, VIEW_TEXT);
		m->in_heads = true;
		break;
	case ACTION_BACK:
		if (!m->in_heads)
			return false;
		m->in_heads = false;
		break;
	default: return false;
	}
	return true;
}

/* ---- mouse ---- */

static bool point_at_map(struct app *app, struct maps *m, const struct event *at)
{
	const struct capture *c = app->look.snap->capture;
	for (int i = 0; i < m->layout.n_pane; i++) {
		const struct layout_pane *p = &m->layout.pane[i];
		bool in_layers = rect_holds(p->layers, at->row, at->col), in_heads = rect_holds(p->heads, at->row, at->col);
		if (rect_holds(p->title, at->row, at->col))
			app->look.focus = m->series[i];
		if (!in_layers && !in_heads)
			continue;
		struct rect r = in_layers ? p->layers : p->heads;
		struct pair rows = in_layers ? layers_on_line(m, c, at->row - r.row) : heads_on_line(m, c, at->row - r.row);
		int col = at->col - r.col - 1;
		if (rows.top < 0)
			return true;
		app->look.focus = m->series[i];
		m->in_heads = in_heads;
		int here = in_layers ? app->look.layer : app->look.head;
		int row = here == rows.top && rows.bottom >= 0 ? rows.bottom : rows.top; /* a second click: the other row of the line */
		look_set_head(&app->look, in_layers ? row : app->look.layer, in_layers ? app->look.head : row);
		if (col >= 0 && col < map_cols(m))
			go_to_column(app, m, col);
		else
			look_set_token(&app->look, col < 0 ? 0 : c->n_prompt - 1);
		return true;
	}
	return false;
}

static void maps_point(struct app *app, void *state, const struct event *at)
{
	struct maps *m = state;
	if (at->kind == EVENT_WHEEL && at->control)
		look_zoom(&app->look, -at->wheel, map_cols(m));
	else if (at->kind == EVENT_WHEEL)
		move_row(app, m, at->wheel);
	else if (!point_at_map(app, m, at)) {
		int token = strip_token_at(&m->strip, at->row, at->col);
		if (token >= 0)
			look_set_token(&app->look, token);
	}
}

/* ---- figure ---- */

static const char *maps_figure(const struct app *app, const void *state, struct figure_spec *spec,
	const char *method[VIEW_MAX_FIGURE_METHOD])
{
	const struct maps *m = state;
	const struct look *l = &app->look;
	struct look_window w = look_visible(l);
	spec->kind = FIGURE_HEATMAP;
	spec->rows = m->in_heads ? FIGURE_HEADS : FIGURE_LAYERS;
	spec->layer = m->in_heads ? l->layer : -1;
	spec->head = -1;
	if (w.span < l->snap->n_shown) {
		spec->first = l->snap->shown_first + w.from;
		spec->last = spec->first + w.span;
	}
	for (int i = 0; i < m->layout.n_pane; i++)
		if (l->snap->series[m->series[i]].method >= 0)
			method[spec->n_method++] = l->snap->series[m->series[i]].name;
	spec->method = method;
	return spec->n_method == 0 ? NULL : m->in_heads ? "heads" : "layers";
}

const struct view view_maps = {
	.bit = AT_MAPS,
	.title = "Maps",
	.open = maps_open,
	.close = maps_close,
	.draw = maps_draw,
	.act = maps_act,
	.point = maps_point,
	.figure = maps_figure,
};
