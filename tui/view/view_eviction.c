/* Eviction: the same prompt continued from the evicted cache, beside the whole cache's response. Left the whole one, coloured by how far
 * the next token's distribution has moved after each token; right what the evicted cache says by itself. */
#include "tui/view/eviction.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tui/draw/layout.h"
#include "tui/view/frame.h"

enum { GAP = 3, STRIP_ROWS = 3, TABLE_LEAST = 2 };

static const double kl_full = 2; /* nats at which the colour is full */

static int eviction_open(struct app *app, void **state, struct err *e)
{
	(void)app;
	*state = calloc(1, sizeof(struct eviction_view));
	return *state ? 0 : (int)err_set(e, ERR_MEMORY, "Eviction: out of memory");
}

static void eviction_close(void *state)
{
	eviction_clear(state);
	free(state);
}

/* ---- drawing: texts ---- */

struct column_text { /* one response in its half of the screen */
	struct app *app;
	struct grid *g;
	struct rect r;
	const struct flow *flow;
	int first_line;
	struct style style;
};

static void put_glyph(void *user, int line, int col, const char *glyph, size_t n)
{
	struct column_text *s = user;
	if (*glyph == '\n')
		grid_text(s->g, s->r, line - s->first_line, col, s->style, "\xe2\x86\xb5");
	else if (line >= s->first_line)
		grid_bytes(s->g, s->r, line - s->first_line, col, s->style, glyph, n);
}

static bool fit_flow(struct eviction_text *t, int cols)
{
	if (t->flow.cols == cols && t->flow.line)
		return true;
	flow_free(&t->flow);
	return !flow_build(&t->flow, &t->tokens, cols, NULL);
}

static float kl_level(double kl)
{
	double level = sqrt(kl / kl_full); /* small moves show, large ones do not drown them */
	return level < 1 ? (float)level : 1.0f;
}

static struct style whole_style(const struct eviction_view *v, const struct app *app, int token)
{
	const struct evicted_response *r = v->row[v->shown].response;
	struct style s = style_plain;
	if (token == v->at)
		return theme_style(&app->theme, ROLE_CURSOR);
	if (!r->same_top[token])
		s.attr |= ATTR_UNDERLINE | ATTR_BOLD;
	float level = kl_level(r->kl[token]);
	return level < 0.1f ? s : theme_on_level(&app->theme, RAMP_VIRIDIS, level, s);
}

static struct style evicted_style(const struct eviction_view *v, const struct app *app, int token)
{
	int parts = v->row[v->shown].response->first_different;
	if (parts < 0 || token < parts)
		return style_plain;
	struct style s = theme_style(&app->theme, ROLE_WASTED);
	s.attr |= token == parts ? ATTR_BOLD | ATTR_UNDERLINE : 0;
	return s;
}

static void draw_side(struct column_text *s, const struct eviction_view *v, const struct token_text *t,
	struct style (*style)(const struct eviction_view *v, const struct app *app, int token))
{
	for (int i = 0; i < t->n; i++) {
		s->style = style(v, s->app, i);
		if (s->flow->line[i] < s->first_line + s->r.rows)
			flow_token(s->flow, t, i, put_glyph, s);
	}
}

static void draw_heading(const struct app *app, struct grid *g, struct rect left, struct rect right, const struct eviction_view *v)
{
	const struct eviction_row *row = &v->row[v->shown];
	struct style strong = theme_style(&app->theme, ROLE_PANE), focus = theme_style(&app->theme, ROLE_PANE_FOCUS);
	char text[160];
	snprintf(text, sizeof text, "WHOLE CACHE  %d tokens%s", v->base->whole->n, v->base->whole->ended ? ", ended" : "");
	grid_text_cut(g, left, 0, 0, left.cols, strong, text);
	snprintf(text, sizeof text, "%s at %d  %d tokens%s", row->label, row->budget, row->response->n, row->response->ended ? ", ended" : "");
	grid_text_cut(g, right, 0, 0, right.cols, focus, text);
}

static void draw_texts(struct app *app, struct grid *g, struct rect r, struct eviction_view *v)
{
	int cols = (r.cols - GAP) / 2;
	struct rect left = rect_sub(r, 0, 1, r.rows, cols - 1), right = rect_sub(r, 0, cols + GAP - 1, r.rows, cols);
	struct eviction_row *row = &v->row[v->shown];
	draw_heading(app, g, left, right, v);
	for (int line = 0; line < r.rows; line++)
		grid_text(g, r, line, cols + 1, theme_style(&app->theme, ROLE_RULE), "\xe2\x94\x82");
	left = rect_sub(left, 1, 0, left.rows - 1, left.cols);
	right = rect_sub(right, 1, 0, right.rows - 1, right.cols);
	if (!fit_flow(&v->base->text, left.cols) || !fit_flow(&row->text, right.cols))
		return;
	int line = v->base->text.flow.line[v->at];
	int lines = v->base->text.flow.n_lines > row->text.flow.n_lines ? v->base->text.flow.n_lines : row->text.flow.n_lines;
	v->first_line = layout_scroll(v->first_line, line, 1, left.rows, lines);
	struct column_text side = {.app = app, .g = g, .r = left, .flow = &v->base->text.flow, .first_line = v->first_line};
	draw_side(&side, v, &v->base->text.tokens, whole_style);
	side.r = right;
	side.flow = &row->text.flow;
	draw_side(&side, v, &row->text.tokens, evicted_style);
}

/* ---- drawing: KL along the response ---- */

static const char *bar(const struct app *app, double share)
{
	static const char *const blocks[] = {" ", "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
		"\xe2\x96\x87", "\xe2\x96\x88"};
	static const char *const signs[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
	int i = (int)ceil(8 * share);
	i = i < 0 ? 0 : i > 8 ? 8 : i;
	return app->theme.utf8 ? blocks[i] : signs[i];
}

static void draw_strip(const struct app *app, struct grid *g, struct rect r, const struct eviction_view *v)
{
	const struct evicted_response *e = v->row[v->shown].response;
	int label = 4, cols = r.cols - label - 1 < e->n_step ? r.cols - label - 1 : e->n_step;
	char piece[64];
	size_t n;
	grid_text(g, r, 0, 1, theme_style(&app->theme, ROLE_DIM), "KL");
	for (int col = 0; col < cols; col++) {
		int begin = (int)((int64_t)col * e->n_step / cols), end = (int)((int64_t)(col + 1) * e->n_step / cols);
		double most = 0;
		for (int i = begin; i < end; i++)
			most = fmax(most, e->kl[i]);
		bool here = v->at >= begin && v->at < end;
		grid_text(g, r, 0, label + col, theme_style(&app->theme, here ? ROLE_CURSOR : ROLE_PLAIN), bar(app, kl_level(most)));
	}
	const char *text = token_text_of(&v->base->text.tokens, v->at, &n);
	snprintf(piece, sizeof piece, "%.*s", (int)(n < sizeof piece ? n : sizeof piece - 1), *text == '\n' ? "new line" : text);
	grid_printf(g, r, 1, 1, style_plain, "after token %d \xe2\x80\x9c%s\xe2\x80\x9d  KL %.4f  likeliest next token %s", v->at, piece,
		e->kl[v->at], e->same_top[v->at] ? "is the same" : "is another");
}

/* ---- drawing: the table ---- */

static void draw_table(const struct app *app, struct grid *g, struct rect r, const struct eviction_view *v)
{
	static const char head[] = "  evicted by          keep    cache   response            same likeliest   KL mean   largest";
	grid_text_cut(g, r, 0, 0, r.cols, theme_style(&app->theme, ROLE_DIM), head);
	int shown = r.rows - 1, first = layout_scroll(0, v->shown, 1, shown, v->n_row);
	for (int i = 0; i < shown && first + i < v->n_row; i++) {
		const struct eviction_row *row = &v->row[first + i];
		const struct evicted_response *e = row->response;
		char where[32] = "the same", line[160];
		if (e->first_different >= 0)
			snprintf(where, sizeof where, "parts at token %d", e->first_different);
		bool here = first + i == v->shown;
		snprintf(line, sizeof line, "%s %-18s %5d  %5.1f %%   %-18s        %5.1f %%   %7.4f   %7.3f", here ? "\xe2\x96\xb8" : " ", row->label,
			row->budget, 100 * row->share, where, 100 * e->top_share, e->mean_kl, row->largest);
		grid_text_cut(g, r, 1 + i, 0, r.cols, theme_style(&app->theme, here ? ROLE_LABEL_HERE : ROLE_LABEL), line);
	}
}

/* Before anything was evicted: what this is, and what it needs. */
static void draw_nothing(const struct app *app, struct grid *g, struct rect r)
{
	const struct look *l = &app->look;
	static const char *const what[] = {
		"Continue this prompt from the evicted cache: every head sees only what",
		"its KV head keeps of the prompt, and the response is written again.",
	};
	struct rect in = rect_sub(r, 1, 4, r.rows - 1, r.cols - 8);
	for (int i = 0; i < 2; i++)
		grid_text(g, in, i, 0, style_plain, what[i]);
	if (app->work.errand)
		grid_text(g, in, 3, 0, theme_style(&app->theme, ROLE_STRONG), "Running; ^C stops it.");
	else if (app->work.live)
		grid_printf(g, in, 3, 0, theme_style(&app->theme, ROLE_STRONG), "Enter evicts by %s at %d, e by every method.",
			l->focus ? l->snap->series[l->focus].label : "truth", l->budget);
	else
		grid_text(g, in, 3, 0, theme_style(&app->theme, ROLE_WARN),
			"This needs the model, and only a capture is here: r runs the prompt.");
}

static void eviction_draw(struct app *app, void *state, struct grid *g)
{
	struct eviction_view *v = state;
	struct layout_page page;
	eviction_keep_if(v, app->look.snap->capture);
	int table = v->n_row < 6 ? v->n_row + 1 : 7;
	layout_page(&page, app->rows, app->cols, v->base ? (table < TABLE_LEAST ? TABLE_LEAST : table) + STRIP_ROWS : 0);
	frame_title(app, g, page.title);
	frame_status(app, g, page.status);
	if (!v->n_row) {
		draw_nothing(app, g, page.body);
		return;
	}
	draw_texts(app, g, page.body, v);
	draw_strip(app, g, rect_sub(page.info, 0, 0, STRIP_ROWS, page.info.cols), v);
	draw_table(app, g, rect_sub(page.info, STRIP_ROWS, 0, page.info.rows - STRIP_ROWS, page.info.cols), v);
}

/* ---- actions ---- */

static void order_focus(struct app *app, struct eviction_view *v)
{
	int method = app->look.snap->series[app->look.focus].method;
	if (method < 0)
		app_say(app, ROLE_WARN, "%s is not measured yet", app->look.snap->series[app->look.focus].label);
	else
		eviction_order(app, v, &method, 1);
}

static void order_all(struct app *app, struct eviction_view *v)
{
	static const char *const control[] = {"random", "recency"};
	const struct snapshot *s = app->look.snap;
	int method[SNAPSHOT_MAX_SERIES + 2], n = 0;
	for (int i = 0; i < s->n_series; i++)
		if (s->series[i].method >= 0)
			method[n++] = s->series[i].method;
	for (int i = 0; i < 2; i++) {
		int m = snapshot_method(s, control[i]);
		if (m >= 0)
			method[n++] = m;
	}
	eviction_order(app, v, method, n);
}

static void move_to(struct eviction_view *v, int token)
{
	int last = v->base->whole->n - 1;
	v->at = token < 0 ? 0 : token > last ? last : token;
}

static void choose_row(struct eviction_view *v, int row)
{
	v->shown = row < 0 ? 0 : row >= v->n_row ? v->n_row - 1 : row;
}

/* The next token after which another one is likeliest. */
static void next_change(struct app *app, struct eviction_view *v, int by)
{
	const struct evicted_response *r = v->row[v->shown].response;
	for (int i = v->at + by; i >= 0 && i < r->n_step; i += by)
		if (!r->same_top[i]) {
			v->at = i;
			return;
		}
	app_say(app, ROLE_PLAIN, "no token %s this one whose likeliest follower changed", by > 0 ? "after" : "before");
}

static bool act_on_result(struct app *app, struct eviction_view *v, enum action_id action)
{
	switch ((int)action) {
	case ACTION_CELL_LEFT:
	case ACTION_TOKEN_PREV: move_to(v, v->at - 1); break;
	case ACTION_CELL_RIGHT:
	case ACTION_TOKEN_NEXT: move_to(v, v->at + 1); break;
	case ACTION_LINE_START: move_to(v, 0); break;
	case ACTION_LINE_END: move_to(v, v->base->whole->n - 1); break;
	case ACTION_ROW_UP: choose_row(v, v->shown - 1); break;
	case ACTION_ROW_DOWN: choose_row(v, v->shown + 1); break;
	case ACTION_FIRST: choose_row(v, 0); break;
	case ACTION_LAST: choose_row(v, v->n_row - 1); break;
	case ACTION_NEXT: next_change(app, v, 1); break;
	case ACTION_PREV: next_change(app, v, -1); break;
	default: return false;
	}
	return true;
}

static bool eviction_act(struct app *app, void *state, enum action_id action)
{
	struct eviction_view *v = state;
	if (action == ACTION_ENTER)
		order_focus(app, v);
	else if (action == ACTION_EVICT_ALL)
		order_all(app, v);
	else
		return v->n_row && act_on_result(app, v, action);
	return true;
}

static const char *const reading[] = {
	"The same prompt continued from the evicted cache (e), beside the whole cache's answer. Left: what the whole cache says, each word coloured by "
	"how far the distribution of the next token has moved where the evicted cache reads the same words; full colour is 2 nats (KL).",
	"Right: what the evicted cache says when it goes on by itself. The first word that differs is where the answers part; what follows it "
	"is another text and no measure of loss by itself.",
	NULL,
};

const struct view view_eviction = {
	.reading = reading,
	.bit = AT_EVICTION,
	.title = "Eviction",
	.open = eviction_open,
	.close = eviction_close,
	.draw = eviction_draw,
	.act = eviction_act,
};
