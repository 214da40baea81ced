/* Maps: every layer, and the heads of one, for several methods side by side; under them the text around the cursor
 * and the numbers. */
#include "tui/view/maps.h"

#include <math.h>
#include <stdlib.h>

#include "tui/view/frame.h"
#include "tui/view/view_numbers.h"

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

int maps_cols(const struct maps *m)
{
	return m->layout.pane[0].layers.cols - 2; /* without the columns of sinks and window */
}

/* The chosen panes as far as there is room for them; the one that has the focus is always among them. */
static void choose_series(struct maps *m, const struct look *l, const int *wanted)
{
	int n = m->layout.n_pane;
	bool shown = false;
	for (int i = 0; i < n; i++) {
		m->series[i] = m->full ? l->focus : wanted[i];
		shown |= m->series[i] == l->focus;
	}
	if (!shown)
		m->series[n - 1] = l->focus;
}

/* Truth and the two that are compared, or those that were chosen, and the one in focus: also when one pane is alone
 * on the screen. */
static int choose_marks(struct maps *m, const struct look *l)
{
	int pane[LOOK_MAX_PANE], n_pane = look_panes(l, pane), most = l->n_pane > 0 ? LOOK_MAX_PANE : 3, n = 0;
	bool has_focus = l->focus == 0;
	m->mark[n++] = 0;
	for (int i = 0; i < n_pane && n < most; i++)
		if (pane[i] != 0) {
			has_focus |= pane[i] == l->focus;
			m->mark[n++] = pane[i];
		}
	if (!has_focus)
		m->mark[n == LAYOUT_MAX_PANE ? n - 1 : n++] = l->focus;
	return n;
}

static void make_layout(const struct app *app, struct maps *m)
{
	const struct look *l = &app->look;
	const struct capture *c = l->snap->capture;
	int wanted[LOOK_MAX_PANE], n_wanted = look_panes(l, wanted);
	struct layout_request r = {
		.rows = app->rows, .cols = app->cols, .n_pane = n_wanted, .full = m->full, .chosen = l->n_pane > 0,
		.truth_first = m->full ? l->focus == 0 : wanted[0] == 0 && (n_wanted > 1 || l->focus == 0),
		.n_layer = c->n_layer, .n_head = c->n_head, .n_kv_head = c->n_kv_head,
		.half_blocks = theme_half_blocks(&app->theme),
		.n_number = numbers_lines(app),
	};
	m->n_mark = choose_marks(m, l);
	r.n_mark = m->n_mark;
	layout_maps(&m->layout, &r);
	if (!m->layout.fits)
		return;
	choose_series(m, l, wanted);
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

struct pair maps_layers_on_line(const struct maps *m, const struct capture *c, int line)
{
	line += m->first_layer_line;
	if (!m->layout.layers_half)
		return (struct pair){line < c->n_layer ? line : -1, -1};
	return (struct pair){2 * line < c->n_layer ? 2 * line : -1, 2 * line + 1 < c->n_layer ? 2 * line + 1 : -1};
}

struct pair maps_heads_on_line(const struct maps *m, const struct capture *c, int line)
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

static void maps_draw(struct app *app, void *state, struct grid *g)
{
	struct maps *m = state;
	make_layout(app, m);
	frame_title(app, g, m->layout.title);
	frame_status(app, g, m->layout.status);
	maps_draw_panes(app, m, g);
	strip_draw(&m->strip, app, g, m->layout.strip, m->layout.n_strip, m->mark, m->n_mark);
	numbers_draw(app, g, m->layout.numbers);
	if (m->choosing)
		maps_draw_chooser(app, m, g);
}

/* ---- keys ---- */

/* To the hottest token of a column in the focused map: the one that its colour shows. */
static void go_to_column(struct app *app, struct maps *m, int col)
{
	struct look *l = &app->look;
	struct look_window w = look_visible(l);
	int cols = maps_cols(m), begin, end, best;
	float largest;
	look_column(w, cols, col, &begin, &end);
	const float *lift = look_layer_lift(l, l->focus, l->layer, &largest);
	float *own = m->in_heads ? malloc((size_t)l->snap->capture->n_prompt * sizeof *own) : NULL;
	if (own && look_head_lift(l, l->focus, l->layer, l->head, own))
		lift = own;
	lift = lift ? lift + l->snap->shown_first : NULL;
	best = begin;
	for (int j = begin; lift && j < end; j++)
		if (lift[j] > lift[best] || (isnan(lift[best]) && !isnan(lift[j]))) /* NaN: a sink that is left out */
			best = j;
	free(own);
	look_set_token(l, l->snap->shown_first + best);
}

static void move_cell(struct app *app, struct maps *m, int by)
{
	struct look *l = &app->look;
	struct look_window w = look_visible(l);
	int cols = maps_cols(m), col = look_column_of(l, cols) + by, begin, end;
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
	if (maps_choose(app, m, action))
		return true;
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
	case ACTION_ZOOM_IN: look_zoom(l, 1, maps_cols(m)); break;
	case ACTION_ZOOM_OUT: look_zoom(l, -1, maps_cols(m)); break;
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
		int line = at->row - r.row;
		struct pair rows = in_layers ? maps_layers_on_line(m, c, line) : maps_heads_on_line(m, c, line);
		int col = at->col - r.col - 1;
		if (rows.top < 0)
			return true;
		app->look.focus = m->series[i];
		m->in_heads = in_heads;
		int here = in_layers ? app->look.layer : app->look.head;
		/* a second click: the other row of the line */
		int row = here == rows.top && rows.bottom >= 0 ? rows.bottom : rows.top;
		look_set_head(&app->look, in_layers ? row : app->look.layer, in_layers ? app->look.head : row);
		if (col >= 0 && col < maps_cols(m))
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
		look_zoom(&app->look, -at->wheel, maps_cols(m));
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

static const char *const reading[] = {
	"One pane a method, TRUTH first: what the model's own answer read. A row is a layer, its heads averaged, "
	"or one query head; a column is a stretch of the prompt. Colour is lift: 1\xc3\x97 is the share of "
	"attention that a uniform map would give a token, 100\xc3\x97 a hundred times that.",
	"S and W are the first and last tokens, which every method keeps. \xe2\x96\xb2 marks in-prompt sinks: "
	"tokens that most heads of the layer read whatever is asked; i leaves them out of colours and scale. Under the "
	"columns too: / what the search found, m marked spans.",
	"p chooses the methods that are shown, two to four beside one another. n goes to the next token that truth picks and "
	"the method does not; d chooses another kind: saved, wasted, lost.",
	"best, beside every row: truth's mass on what the method keeps at this budget, as a share of the best "
	"choice of as many tokens.",
	"truth's picks: how many of the tokens that truth would choose are chosen. survives from: the smallest "
	"budget that keeps the token.",
	"chance: what a random choice finds. untrained: lookahead rows that were never trained. ceiling: truth "
	"of the odd answer rows against truth of the even ones; no method can be expected to do better.",
	NULL,
};

const struct view view_maps = {
	.bit = AT_MAPS,
	.title = "Maps",
	.reading = reading,
	.open = maps_open,
	.close = maps_close,
	.draw = maps_draw,
	.act = maps_act,
	.point = maps_point,
	.figure = maps_figure,
};
