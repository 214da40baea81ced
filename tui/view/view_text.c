/* Text: the prompt as text, every token coloured by one method in the present scope, kept and evicted ones told
 * apart by more than colour; the response below. The lines never move when a budget or a method changes. */
#include "tui/view/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tui/draw/glyph.h"
#include "tui/draw/layout.h"
#include "tui/draw/number.h"
#include "tui/view/frame.h"
#include "tui/view/kept.h"
#include "tui/view/marks.h"

enum { NUMBER_COLS = 8, NEAR_LINES = 2 };

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

/* ---- drawing ---- */

struct canvas {
	struct app *app;
	struct grid *g;
	struct text *text;
	struct rect r; /* lines of text */
	int stride;    /* lines of the screen from one line of text to the next */
	struct style style;
	const char *sign; /* of the token, under every column of it; "": none */
	struct style sign_style;
};

static void put_glyph(void *user, int line, int col, const char *glyph, size_t n)
{
	struct canvas *c = user;
	int row = (line - c->text->first_line) * c->stride;
	if (row < 0 || row >= c->r.rows)
		return;
	int cols = *glyph == '\n' ? grid_text(c->g, c->r, row, col, c->style, "\xe2\x86\xb5")
	                          : grid_bytes(c->g, c->r, row, col, c->style, glyph, n);
	for (int i = 0; *c->sign && i < cols; i++)
		grid_text(c->g, c->r, row + 1, col + i, c->sign_style, c->sign);
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

/* Colour says how important a token is; bold and underline, plain, or dim say whether it is kept. */
static struct style token_style(const struct canvas *c, const float *level, int token)
{
	struct look *l = &c->app->look;
	const struct theme *t = &c->app->theme;
	enum ramp_colour ramp = look_ramp(l, l->focus);
	if (token == l->token)
		return theme_style(t, ROLE_CURSOR);
	enum kept kept = kept_verdict(l, l->focus, token).kept;
	struct style s = theme_style(t, kept_role(kept));
	bool blank = !level || isnan(level[token]) || (ramp == RAMP_VIRIDIS && level[token] <= 0);
	if (blank || marks_marked(l, token) || spans_find(&l->search.match, token) >= 0)
		return marks_style(c->app, token, s);
	struct style on = theme_on_level(t, ramp, level[token], s);
	if (kept == KEPT_NONE && t->depth != DEPTH_MONO)
		on.attr |= ATTR_DIM;
	return on;
}

/* Chosen words are marked as spans are; the cursor stands here while words are chosen. */
static struct style response_style(const struct canvas *c, int at)
{
	const struct word_choice *w = &c->app->words;
	if (w->choosing && at == w->at)
		return theme_style(&c->app->theme, ROLE_CURSOR);
	return theme_style(&c->app->theme, words_is_chosen(c->app, at) ? ROLE_SPAN : ROLE_RESPONSE);
}

static void draw_tokens(struct canvas *c, const float *level)
{
	const struct token_text *t = c->app->look.snap->text;
	const struct flow *f = &c->text->flow;
	int last = c->text->first_line + c->text->n_shown;
	bool signs = c->stride > 1;
	int begin = c->text->first_line < f->n_lines ? f->first[c->text->first_line] : t->n;
	for (int i = begin; i < t->n && f->line[i] < last; i++) {
		c->style = i < t->n_prompt ? token_style(c, level, i) : response_style(c, i - t->n_prompt);
		c->sign = signs && i < t->n_prompt ? text_sign(c->app, i, &c->sign_style) : "";
		flow_token(f, t, i, put_glyph, c);
	}
}

static void draw_margin(const struct canvas *c, struct rect margin)
{
	const struct flow *f = &c->text->flow;
	const struct token_text *t = c->app->look.snap->text;
	struct style s = theme_style(&c->app->theme, ROLE_RULE), dim = theme_style(&c->app->theme, ROLE_DIM);
	for (int i = 0; i < c->text->n_shown; i++) {
		int line = c->text->first_line + i, row = i * c->stride;
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
		for (int k = 0; k < c->stride; k++)
			grid_text(c->g, margin, row + k, NUMBER_COLS - 1, s, "\xe2\x94\x82");
	}
}

/* ---- frame ---- */

static void scroll(struct text *t, int by)
{
	int last = t->flow.n_lines - t->n_shown;
	t->first_line += by;
	t->first_line = t->first_line > last ? last : t->first_line;
	t->first_line = t->first_line < 0 ? 0 : t->first_line;
}

/* Scrolls to a line: by as little as it takes from one line to the next, else so that as much is seen before it as behind it. */
static void follow(struct text *t, int line)
{
	int away = line < t->first_line ? t->first_line - line : line - (t->first_line + t->n_shown - 1);
	if (away > NEAR_LINES)
		t->first_line = line - t->n_shown / 2;
	else
		t->first_line = layout_scroll(t->first_line, line, 1, t->n_shown, t->flow.n_lines);
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
	layout_page(&page, app->rows, app->cols, TEXT_INFO_LINES);
	frame_title(app, g, page.title);
	frame_status(app, g, page.status);
	struct rect margin = rect_sub(page.body, 1, 0, page.body.rows - 1, NUMBER_COLS);
	t->lines = rect_sub(page.body, 1, NUMBER_COLS, page.body.rows - 1, page.body.cols - NUMBER_COLS - 1);
	struct canvas c = {.app = app, .g = g, .text = t, .r = t->lines, .stride = text_has_signs(app) ? 2 : 1};
	t->n_shown = t->lines.rows / c.stride;
	text_draw_heading(app, g, page.body);
	if (!update_flow(app, t, t->lines.cols))
		return;
	int token = app->words.choosing ? app->look.snap->capture->n_prompt + app->words.at : app->look.token;
	if (t->shown_token != token)
		follow(t, t->flow.line[token]);
	t->shown_token = token;
	scroll(t, 0);
	draw_margin(&c, margin);
	draw_tokens(&c, text_levels(t, &app->look));
	text_draw_token(app, g, page.info);
	text_draw_legend(app, g, rect_sub(page.info, 1, 0, 1, page.info.cols));
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

/* Text and cursor together, so that nothing is skipped. */
static void turn_page(struct app *app, struct text *t, int by)
{
	int token = app->look.token;
	if (!t->flow.first)
		return;
	scroll(t, by);
	go_to_line(app, t, t->flow.line[token] + by, t->flow.col[token]);
}

/* Up and down go through the answer's lines. */
static void move_in_answer(struct app *app, const struct text *t, int by)
{
	const struct token_text *text = app->look.snap->text;
	int here = text->n_prompt + app->words.at;
	if (t->flow.first)
		words_go(app, flow_find(&t->flow, text, t->flow.line[here] + by, t->flow.col[here]) - text->n_prompt);
}

static bool act_in_answer(struct app *app, const struct text *t, enum action_id action)
{
	switch ((int)action) {
	case ACTION_CELL_LEFT:
	case ACTION_TOKEN_PREV: words_move(app, -1); break;
	case ACTION_CELL_RIGHT:
	case ACTION_TOKEN_NEXT: words_move(app, 1); break;
	case ACTION_ROW_UP: move_in_answer(app, t, -1); break;
	case ACTION_ROW_DOWN: move_in_answer(app, t, 1); break;
	case ACTION_PAGE_UP: move_in_answer(app, t, -t->n_shown); break;
	case ACTION_PAGE_DOWN: move_in_answer(app, t, t->n_shown); break;
	case ACTION_FIRST: words_go(app, 0); break;
	case ACTION_LAST: words_go(app, app->words.n - 1); break;
	case ACTION_TOGGLE_WORD: words_toggle(app); break;
	case ACTION_ENTER: words_apply(app); break;
	case ACTION_BACK: words_leave(app); break;
	default: return false;
	}
	return true;
}

static bool text_act(struct app *app, void *state, enum action_id action)
{
	struct text *t = state;
	struct look *l = &app->look;
	int page = t->n_shown > 2 ? t->n_shown - 1 : 1;
	if (app->words.choosing && act_in_answer(app, t, action))
		return true;
	switch ((int)action) {
	case ACTION_CELL_LEFT: look_move_token(l, -1); break;
	case ACTION_CELL_RIGHT: look_move_token(l, 1); break;
	case ACTION_ROW_UP: move_lines(app, t, -1); break;
	case ACTION_ROW_DOWN: move_lines(app, t, 1); break;
	case ACTION_PAGE_UP: turn_page(app, t, -page); break;
	case ACTION_PAGE_DOWN: turn_page(app, t, page); break;
	case ACTION_HALF_UP: turn_page(app, t, -(page + 1) / 2); break;
	case ACTION_HALF_DOWN: turn_page(app, t, (page + 1) / 2); break;
	case ACTION_LINE_START: go_to_line(app, t, t->flow.first ? t->flow.line[l->token] : 0, 0); break;
	case ACTION_LINE_END: go_to_line(app, t, t->flow.first ? t->flow.line[l->token] : 0, t->flow.cols); break;
	case ACTION_FIRST: look_set_token(l, 0); break;
	case ACTION_LAST: look_set_token(l, l->snap->capture->n_prompt - 1); break;
	case ACTION_ENTER: app_show(app, VIEW_TOKEN); break;
	case ACTION_WORDS: words_enter(app); break;
	case ACTION_TOGGLE_WORD: app_say(app, ROLE_DIM, "v goes into the answer, whose words can be chosen"); break;
	case ACTION_BACK: app_show(app, VIEW_MAPS); break;
	default: return false;
	}
	return true;
}

/* In the prompt the cursor goes there; a word of the answer is chosen, or no longer. */
static void point_at_line(struct app *app, struct text *t, int line, int col)
{
	const struct token_text *text = app->look.snap->text;
	bool in_answer = t->flow.response_line >= 0 && line >= t->flow.response_line && line < t->flow.n_lines;
	if (!in_answer) {
		words_leave(app);
		go_to_line(app, t, line, col);
		return;
	}
	if (!app->words.choosing)
		words_enter(app);
	words_go(app, flow_find(&t->flow, text, line, col) - text->n_prompt);
	words_toggle(app);
}

static void text_point(struct app *app, void *state, const struct event *at)
{
	struct text *t = state;
	if (at->kind == EVENT_WHEEL)
		scroll(t, 3 * at->wheel);
	else if (rect_holds(t->lines, at->row, at->col))
		point_at_line(app, t, t->first_line + (at->row - t->lines.row) / (text_has_signs(app) ? 2 : 1), at->col - t->lines.col);
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

static const char *const reading[] = {
	"The prompt, coloured by one method (Tab) in the scope (a): one KV head, a layer, or everything. Bold "
	"and underlined tokens are kept, dim ones evicted; with many heads in the scope: kept by half of them or "
	"more, by some, by none. The answer stands below.",
	"Under every line: = what the method finds of truth's picks, ! what it misses, ~ what it chooses and truth does not; d "
	"turns to + what LookaheadKV saves and SnapKV drops, - the other way round, and to no signs at all (under other options: + what "
	"they bring in, - what they drop). With many heads "
	"their number, as a digit or a bar that is full for the most. n and N go from one to the next; with many heads, to "
	"those with at least half of the most.",
	"/ searches, and n and N then go from one place found to the next until d is pressed. m marks where a span begins and "
	"ends, M marks all that was found: spans are shown in every view and counted as regions.",
	"v goes into the answer: Space chooses words of it, Enter makes truth what THOSE words read (a rerun of their rows "
	"over the prompt, which needs the model), V takes the whole answer again.",
	NULL,
};

const struct view view_text = {
	.bit = AT_TEXT,
	.title = "Text",
	.reading = reading,
	.open = text_open,
	.close = text_close,
	.draw = text_draw,
	.act = text_act,
	.point = text_point,
	.figure = text_figure,
};
