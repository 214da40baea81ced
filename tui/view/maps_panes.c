/* The panes of the Maps screen: maps, agreement, labels, legend. */
#include "tui/view/maps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/draw/glyph.h"

/* ---- drawing maps ---- */

struct block { /* layers or heads of one pane */
	const struct app *app;
	struct grid *g;
	struct columns *columns;
	int series, layer; /* layer -1: rows are layers */
	bool half;
	struct rect map;
};

/* What lies beyond the map's first and last column: protected tokens, or more of the same. */
static void draw_edges(const struct block *b, int line)
{
	static const char more[] = "\xe2\x80\xa6";
	const struct look *l = &b->app->look;
	const struct selection *select = &evaluation_protocol(l->snap->evaluation)->select;
	struct look_window w = look_visible(l);
	struct style s = theme_style(&b->app->theme, ROLE_PROTECTED);
	bool masked = l->snap->n_candidate > 0; /* else the whole prompt is on the map */
	const char *first = masked && select->sink > 0 ? "S" : " ", *last = masked && select->window > 0 ? "W" : " ";
	grid_text(b->g, b->map, line, 0, s, w.from > 0 ? more : first);
	grid_text(b->g, b->map, line, b->map.cols - 1, s, w.from + w.span < l->snap->n_shown ? more : last);
}

static void draw_map_line(const struct block *b, int line, struct pair rows)
{
	const struct look *l = &b->app->look;
	const struct theme *t = &b->app->theme;
	enum ramp_colour ramp = look_ramp(l, b->series);
	int cols = b->map.cols - 2;
	const float *top = rows.top >= 0 ? columns_row(b->columns, l, b->series, b->layer, rows.top, cols) : NULL;
	const float *bottom = rows.bottom >= 0 ? columns_row(b->columns, l, b->series, b->layer, rows.bottom, cols) : NULL;
	if (!top)
		return;
	draw_edges(b, line);
	for (int col = 0; col < cols; col++) {
		char glyph[8];
		struct style s = b->half ? theme_half_cell(t, ramp, top[col], bottom ? bottom[col] : NAN, glyph)
		                         : theme_cell(t, ramp, top[col], glyph);
		grid_text(b->g, b->map, line, col + 1, s, glyph);
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

static void draw_agreement(struct app *app, struct grid *g, struct rect r, int line, int col, int series,
	struct scope scope)
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
		struct pair rows = maps_layers_on_line(m, app->look.snap->capture, line);
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
	struct block b = {.app = app, .g = g, .columns = &m->heads[pane], .series = m->series[pane],
		.layer = app->look.layer, .half = m->layout.heads_half, .map = p->heads};
	if (app->look.snap->series[b.series].method < 0)
		return;
	for (int line = 0; line < p->heads.rows; line++) {
		struct pair rows = maps_heads_on_line(m, c, line);
		draw_map_line(&b, line, rows);
		if (m->in_heads)
			draw_cursor(&b, line, rows, app->look.head);
		/* one set of tokens for the group */
		if (rows.top >= 0 && rows.top % group == 0 && b.series > 0 && p->heads_agree.cols > 0)
			draw_agreement(app, g, p->heads_agree, line, 0, b.series, (struct scope){b.layer, rows.top / group});
		if (rows.bottom >= 0 && group == 1 && b.series > 0 && p->heads_agree.cols > 4)
			draw_agreement(app, g, p->heads_agree, line, 4, b.series, (struct scope){b.layer, rows.bottom});
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
		struct pair rows = maps_layers_on_line(m, app->look.snap->capture, line);
		bool at = rows.top == here || rows.bottom == here;
		if (rows.top >= 0)
			grid_printf(g, m->layout.layer_label, line, 0, theme_style(&app->theme, label_role(at)), "L%3d%s",
				at ? here : rows.top, label_mark(at, !m->in_heads));
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
		struct pair rows = maps_heads_on_line(m, c, line);
		bool at = rows.top == here || rows.bottom == here;
		if (rows.top < 0)
			continue;
		grid_text(g, m->layout.head_label, line, 0, theme_style(&app->theme, ROLE_RULE), bracket(rows, group));
		grid_printf(g, m->layout.head_label, line, 1, theme_style(&app->theme, label_role(at)), "Q%-2d%s",
			at ? here : rows.top, label_mark(at, m->in_heads));
	}
}

/* How maps become scores: pooling, and how query heads are reduced where it is not the mean. */
static void say_scoring(const struct app *app, char *out, size_t out_bytes)
{
	static const char *const group[] = {[REDUCE_MEAN] = "", [REDUCE_MAX] = ", group max", [REDUCE_SUM] = ", group sum",
		[REDUCE_NONE] = ", per query head"};
	const struct scoring *score = &evaluation_protocol(app->look.snap->evaluation)->score;
	if (score->pool == POOL_NONE)
		snprintf(out, out_bytes, "no pool%s", group[score->group]);
	else
		snprintf(out, out_bytes, "%s pool %d%s", pool_name(score->pool), score->kernel, group[score->group]);
}

/* What a pane shows, in at most `room` columns: details go first where there is no room for them. */
static void say_series(const struct app *app, int i, int room, char *out, size_t out_bytes)
{
	const struct capture *c = app->look.snap->capture;
	const struct series *s = &app->look.snap->series[i];
	const char *module = !strcmp(s->name, "lookahead") ? capture_meta(c, "module_name") : NULL;
	char pool[64], detail[160] = "", window[16] = "";
	say_scoring(app, pool, sizeof pool);
	if (!strcmp(s->name, "snapkv") && c->window > 0)
		snprintf(window, sizeof window, " w%d", c->window);
	if (i == 0 && s->n_rows_due > s->n_rows)
		snprintf(out, out_bytes, room < 30 ? "TRUTH %d of %d" : "TRUTH from %d of %d answer rows", s->n_rows,
			s->n_rows_due);
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
		enum role role = m->series[i] == app->look.focus ? ROLE_PANE_FOCUS : ROLE_PANE;
		grid_text_cut(g, r, 0, 0, room, theme_style(&app->theme, role), title);
		if (agrees)
			grid_text_right(g, r, 0, theme_style(&app->theme, ROLE_DIM), "best");
	}
}

static void put_ruler_sign(const struct app *app, struct grid *g, struct rect r, int col, int begin, int end)
{
	const struct look *l = &app->look;
	const uint8_t *sink = l->snap->prompt_sink + (size_t)l->layer * (size_t)l->snap->capture->n_prompt;
	if (memchr(sink + begin, 1, (size_t)(end - begin)))
		grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_MARK), "\xe2\x96\xb2");
	else if (spans_hold_any(&l->search.match, begin, end))
		grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_FOUND), "/");
	else if (spans_hold_any(&l->marked, begin, end))
		grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_SPAN), "m");
}

/* In-prompt sinks of the current layer, what was found and marked, and the cursor's column. */
static void draw_ruler(const struct app *app, const struct maps *m, struct grid *g, int pane)
{
	const struct look *l = &app->look;
	struct rect r = m->layout.pane[pane].ruler;
	struct look_window w = look_visible(l);
	int cols = r.cols - 2;
	for (int col = 0; col < cols; col++) {
		int begin, end;
		look_column(w, cols, col, &begin, &end);
		put_ruler_sign(app, g, r, col + 1, l->snap->shown_first + begin, l->snap->shown_first + end);
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
	int cols = maps_cols(m), col = 1, begin, end;
	struct look_window w = look_visible(l);
	char each[64];
	col += grid_text(g, r, 0, col, dim, words[look_scale(l)][0]);
	col += draw_ramp(app, g, r, col, look_scale(l) == RAMP_DIFFERENCE ? RAMP_DIVERGING : RAMP_VIRIDIS);
	col += grid_text(g, r, 0, col, dim, words[look_scale(l)][1]);
	look_column(w, cols, 0, &begin, &end);
	double tokens = (double)w.span / cols;
	snprintf(each, sizeof each, tokens < 1.5 ? "column = 1 token" : "column = %.0f tokens, %s", tokens,
		words[look_scale(l)][2]);
	col += 3 + grid_text(g, r, 0, col + 3, dim, each);
	col += 3 + grid_text(g, r, 0, col + 3, theme_style(&app->theme, ROLE_MARK), "\xe2\x96\xb2");
	col += grid_text(g, r, 0, col, dim, l->no_sinks ? " in-prompt sinks, left out" : " in-prompt sinks");
	if (l->search.match.n > 0)
		col += 3 + grid_text(g, r, 0, col + 3, theme_style(&app->theme, ROLE_FOUND), "/ found");
	if (l->marked.n > 0)
		col += 3 + grid_text(g, r, 0, col + 3, theme_style(&app->theme, ROLE_SPAN), "m marked");
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

void maps_draw_panes(struct app *app, struct maps *m, struct grid *g)
{
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
}
