#include "tui/view/view_strip.h"

#include "tui/view/kept.h"
#include "tui/view/marks.h"
#include "tui/draw/glyph.h"
#include "tui/swap.h"

enum { NAME_COLS = 13 };

/* Columns from token `from` to token `to`, at most limit. */
static int distance(const struct token_text *t, int from, int to, int limit)
{
	int width = 0;
	for (int i = from; i < to && width <= limit; i++)
		width += t->width[i];
	return width;
}

/* Keeps the cursor's token off the edges; jumps to its middle when it left. */
static void follow(struct strip *s, const struct token_text *t, int token, int room)
{
	int margin = room / 8, at = s->first <= token ? distance(t, s->first, token, room) : -1;
	bool at_start = s->first == 0 && at >= 0;
	if (at >= 0 && (at >= margin || at_start) && at + t->width[token] <= room - margin && s->first < t->n_prompt)
		return;
	int back = 0;
	s->first = token;
	while (s->first > 0 && back + t->width[s->first - 1] <= room / 2)
		back += t->width[--s->first];
}

static enum role kept_role(enum kept kept)
{
	switch (kept) {
	case KEPT_SINK:
	case KEPT_WINDOW: return ROLE_PROTECTED;
	case KEPT_SOME: return ROLE_LOW;
	case KEPT_MOST:
	case KEPT_ALL: return ROLE_HIGH;
	default: return ROLE_DIM;
	}
}

/* A mark as wide as the token: a block in one head, a count in a layer, a bar of the share in all heads. */
static const char *kept_glyph(struct verdict v)
{
	static const char *const bar[] = {" ", "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
		"\xe2\x96\x85", "\xe2\x96\x86",
		"\xe2\x96\x87", "\xe2\x96\x88"};
	static const char *const digit[] = {" ", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
	if (v.kept == KEPT_SINK)
		return "S";
	if (v.kept == KEPT_WINDOW)
		return "W";
	if (v.kept == KEPT_UNKNOWN || v.votes == 0)
		return " ";
	if (v.of == 1)
		return "\xe2\x96\xa0";
	if (v.of <= 9)
		return digit[v.votes];
	return bar[(8 * v.votes + v.of - 1) / v.of];
}

struct pen {
	struct strip *strip;
	struct app *app;
	struct grid *g;
	const struct rect *r;
	int n_rect, width, rect, col;
	const int *series;
	int n_series;
};

static struct rect text_part(const struct pen *p, int rect)
{
	return rect_sub(p->r[rect], 0, NAME_COLS, p->r[rect].rows, p->width);
}

/* swapped: 1 kept, -1 not kept, against the second capture or the common protocol; said in place of the block where one head is
 * looked at, or two captures are. */
static void put_marks(const struct pen *p, const struct verdict *v, const int *swapped, int width)
{
	bool pair = pair_differs(p->app);
	for (int i = 0; i < p->n_series; i++) {
		enum role role = swapped[i] > 0 ? ROLE_GOOD : swapped[i] < 0 ? ROLE_WARN : kept_role(v[i].kept);
		const char *glyph = swapped[i] && (v[i].of == 1 || pair) ? (swapped[i] > 0 ? "+" : "-") : kept_glyph(v[i]);
		for (int k = 0; k < width; k++)
			grid_text(p->g, text_part(p, p->rect), 1 + i, p->col + k, theme_style(&p->app->theme, role), glyph);
	}
}

static struct style text_style(const struct pen *p, int token)
{
	const struct capture *c = p->app->look.snap->capture;
	if (token == p->app->look.token)
		return theme_style(&p->app->theme, ROLE_CURSOR);
	bool template = c->part && (c->part[token] == PART_TEMPLATE || c->part[token] == PART_SYSTEM);
	return marks_style(p->app, token, template ? theme_style(&p->app->theme, ROLE_TEMPLATE) : style_plain);
}

static void note_cell(struct strip *s, const struct pen *p, int token)
{
	struct rect r = text_part(p, p->rect);
	if (s->n_cell < STRIP_MAX_CELLS)
		s->cell[s->n_cell++] = (struct strip_cell){r.row, r.col + p->col, token};
}

/* Against the second capture while it is compared with, else against the common protocol. */
static int swapped_in(struct app *app, int series, int token)
{
	if (!pair_differs(app)) /* in all heads nearly every token is swapped somewhere: the panel's count says more */
		return app->look.scope == LOOK_ALL ? 0 : swap_of(&app->look, series, token);
	enum pair_side side = pair_side(app, series, token);
	return side == PAIR_HERE ? 1 : side == PAIR_THERE ? -1 : 0;
}

/* Returns false when the last line is full. */
static bool put_token(struct pen *p, int token)
{
	struct verdict v[LAYOUT_MAX_PANE];
	int swapped[LAYOUT_MAX_PANE];
	size_t n;
	const char *text = token_text_of(p->app->look.snap->text, token, &n);
	for (int i = 0; i < p->n_series; i++) {
		v[i] = kept_verdict(&p->app->look, p->series[i], token);
		swapped[i] = swapped_in(p->app, p->series[i], token);
	}
	bool noted = false;
	for (size_t i = 0; i < n;) {
		struct glyph glyph;
		size_t used = glyph_next(text + i, n - i, &glyph);
		int width = glyph.width < 1 ? 1 : glyph.width;
		if (p->col + width > p->width) {
			p->rect++;
			p->col = 0;
			noted = false;
		}
		if (p->rect >= p->n_rect)
			return false;
		if (!noted)
			note_cell(p->strip, p, token);
		noted = true;
		bool line_end = glyph.kind == GLYPH_NEWLINE;
		grid_bytes(p->g, text_part(p, p->rect), 0, p->col, text_style(p, token),
			line_end ? "\xe2\x86\xb5" : text + i, line_end ? 3 : used);
		put_marks(p, v, swapped, width);
		p->col += width;
		i += used;
	}
	return true;
}

static void draw_names(const struct pen *p, int rect)
{
	struct style plain = theme_style(&p->app->theme, ROLE_PLAIN);
	grid_text(p->g, p->r[rect], 0, 1, theme_style(&p->app->theme, ROLE_STRONG), rect == 0 ? "TEXT" : "");
	for (int i = 0; i < p->n_series; i++) {
		bool focus = p->series[i] == p->app->look.focus;
		const char *label = p->series[i] == 0 ? "truth" : p->app->look.snap->series[p->series[i]].label;
		grid_text_cut(p->g, p->r[rect], 1 + i, 1, NAME_COLS - 2,
			focus ? theme_style(&p->app->theme, ROLE_LABEL_HERE) : plain, label);
	}
}

void strip_draw(struct strip *s, struct app *app, struct grid *g, const struct rect *r, int n_rect,
	const int *series, int n_series)
{
	struct pen p = {.strip = s, .app = app, .g = g, .r = r, .n_rect = n_rect, .width = r[0].cols - NAME_COLS - 1,
		.series = series,
		.n_series = n_series};
	const struct token_text *t = app->look.snap->text;
	s->n_cell = 0;
	follow(s, t, app->look.token, p.width * n_rect);
	for (int i = 0; i < n_rect; i++)
		draw_names(&p, i);
	for (int token = s->first; token < t->n_prompt && put_token(&p, token); token++)
		;
}

int strip_token_at(const struct strip *s, int row, int col)
{
	int found = -1;
	for (int i = 0; i < s->n_cell; i++)
		if (s->cell[i].row == row && s->cell[i].col <= col)
			found = s->cell[i].token;
	return found;
}
