#include "tui/view/token_grid.h"

#include <math.h>
#include <stdio.h>

#include "tui/draw/layout.h"
#include "tui/draw/number.h"

enum { LABEL_COLS = 5, GAP = 2, BUDGET_COLS = 7 };

/* ---- what is where ---- */

static int layers_on(const struct token_grid *t)
{
	return t->half ? 2 : 1;
}

static void choose_heads(struct token_grid *t, const struct look *l, int room)
{
	int n = l->snap->capture->n_head, units = look_n_unit(l);
	t->n_head = n + 1 + units <= room ? n : room - 1 - units < 4 ? 4 : room - 1 - units;
	t->n_head = t->n_head > n ? n : t->n_head;
	t->first_head = layout_scroll(t->first_head, l->head, 1, t->n_head, n);
	t->width = t->numbers ? units * BUDGET_COLS : t->n_head + 1 + units;
}

/* Where there is room left beside lifts: the budgets of the method in focus. */
static void add_budgets(struct token_grid *t, const struct look *l, int cols)
{
	int col = LABEL_COLS + t->n_block * (t->width + GAP) + GAP;
	bool fits = t->n_block > 0 && t->n_block < TOKEN_MAX_BLOCK && col + look_n_unit(l) * BUDGET_COLS <= cols;
	if (!t->numbers && !t->half && fits && l->snap->series[l->focus].method >= 0)
		t->block[t->n_block++] = (struct token_block){l->focus, col, true};
}

/* The first methods that fit; the one in focus is among them. */
static void choose_blocks(struct token_grid *t, const struct look *l, int cols)
{
	bool focus = false;
	t->n_block = 0;
	for (int i = 0; i < l->snap->n_series; i++) {
		int col = LABEL_COLS + t->n_block * (t->width + GAP);
		if (l->snap->series[i].method < 0)
			continue;
		if (t->n_block > 0 && col + t->width > cols)
			break;
		t->block[t->n_block++] = (struct token_block){i, col, t->numbers};
		focus |= i == l->focus;
	}
	if (!focus && t->n_block > 0 && l->snap->series[l->focus].method >= 0)
		t->block[t->n_block - 1].series = l->focus;
	add_budgets(t, l, cols);
}

static void arrange(struct token_grid *t, const struct app *app, struct rect r)
{
	const struct look *l = &app->look;
	int layers = l->snap->capture->n_layer;
	t->lines = rect_sub(r, 2, 0, r.rows - 2, r.cols);
	t->half = !t->numbers && theme_half_blocks(&app->theme) && layers > t->lines.rows;
	int n_line = (layers + layers_on(t) - 1) / layers_on(t);
	choose_heads(t, l, r.cols - LABEL_COLS - 1);
	choose_blocks(t, l, r.cols - 1);
	t->first_line = layout_scroll(t->first_line, l->layer / layers_on(t), 1, t->lines.rows, n_line);
	t->n_shown = layers_on(t) * (n_line < t->lines.rows ? n_line : t->lines.rows);
}

/* ---- cells ---- */

static float level_of(const struct facts *f, const struct look *l, int series, int layer, int head)
{
	const struct capture *c = l->snap->capture;
	if (!f || !f->lift[series] || layer >= c->n_layer)
		return NAN;
	return ramp_level(RAMP_LIFT, f->lift[series][(size_t)layer * (size_t)c->n_head + (size_t)head], 0);
}

static void draw_lift(const struct token_grid *t, const struct app *app, struct grid *g, int line, const struct token_block *b,
	const struct facts *f)
{
	const struct look *l = &app->look;
	int layer = (t->first_line + line) * layers_on(t);
	for (int i = 0; i < t->n_head; i++) {
		char glyph[8];
		int head = t->first_head + i, row = t->lines.row + line, col = t->lines.col + b->col + i;
		bool here = head == l->head && l->layer >= layer && l->layer < layer + layers_on(t);
		struct style s;
		if (t->half)
			s = theme_half_cell(&app->theme, RAMP_VIRIDIS, level_of(f, l, b->series, layer, head),
				level_of(f, l, b->series, layer + 1, head), glyph);
		else
			s = theme_cell(&app->theme, RAMP_VIRIDIS, level_of(f, l, b->series, layer, head), glyph);
		if (here && !t->half)
			s = theme_style(&app->theme, ROLE_CURSOR);
		grid_text(g, t->lines, line, b->col + i, s, glyph);
		struct cell *cell = grid_at(g, row, col);
		if (here && t->half && cell && line < t->lines.rows)
			theme_mark_half(&app->theme, cell, l->layer > layer);
	}
}

static bool keeps(struct look *l, int series, int layer, int unit)
{
	int method = l->snap->series[series].method;
	return layer < l->snap->capture->n_layer && look_votes(l, method, (struct scope){layer, unit}, l->token) > 0;
}

/* Who keeps it, a column a unit: a block, or its upper or lower half where a line stands for two layers. */
static void draw_kept(const struct token_grid *t, struct app *app, struct grid *g, int line, const struct token_block *b)
{
	static const char *const half[] = {"\xc2\xb7", "\xe2\x96\x80", "\xe2\x96\x84", "\xe2\x96\x88"};
	struct look *l = &app->look;
	int layer = (t->first_line + line) * layers_on(t);
	for (int unit = 0; unit < look_n_unit(l); unit++) {
		bool top = keeps(l, b->series, layer, unit), bottom = t->half && keeps(l, b->series, layer + 1, unit);
		const char *glyph = t->half ? half[top + 2 * bottom] : top ? "\xe2\x96\xa0" : "\xc2\xb7";
		bool here = unit == look_unit(l) && l->layer >= layer && l->layer < layer + layers_on(t);
		struct style s = theme_style(&app->theme, top || bottom ? ROLE_HIGH : ROLE_DIM);
		if (here)
			s.attr |= ATTR_UNDERLINE | ATTR_BOLD;
		grid_text(g, t->lines, line, b->col + t->n_head + 1 + unit, s, glyph);
	}
}

/* The budget from which every head that chooses keeps it. */
static void draw_budgets(const struct token_grid *t, struct app *app, struct grid *g, int line, const struct token_block *b)
{
	struct look *l = &app->look;
	int layer = t->first_line + line, method = l->snap->series[b->series].method;
	for (int unit = 0; unit < look_n_unit(l); unit++) {
		bool kept = keeps(l, b->series, layer, unit);
		char text[48], number[32];
		struct style s = theme_style(&app->theme, kept ? ROLE_HIGH : ROLE_DIM);
		if (unit == look_unit(l) && layer == l->layer)
			s.attr |= ATTR_UNDERLINE | ATTR_BOLD;
		snprintf(text, sizeof text, "%s%s", kept ? "\xe2\x96\xa0" : "",
			number_grouped(number, evaluation_survival(l->snap->evaluation, method, layer, unit, l->token)));
		grid_text_before(g, t->lines, line, b->col + (unit + 1) * BUDGET_COLS, s, text);
	}
}

static void draw_label(const struct token_grid *t, const struct app *app, struct grid *g, int line)
{
	int layer = (t->first_line + line) * layers_on(t), shown = layer;
	bool here = app->look.layer >= layer && app->look.layer < layer + layers_on(t);
	if (here)
		shown = app->look.layer;
	grid_printf(g, t->lines, line, 0, theme_style(&app->theme, here ? ROLE_LABEL_HERE : ROLE_LABEL), "L%2d%s", shown,
		here ? "\xe2\x96\xb8" : "");
}

/* ---- the whole ---- */

static int draw_lift_legend(const struct token_grid *t, const struct app *app, struct grid *g, struct rect r)
{
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	int col = 1 + grid_text(g, r, 0, 1, theme_style(&app->theme, ROLE_STRONG), "LIFT");
	col += grid_printf(g, r, 0, col, dim, ", layers \xc3\x97 heads%s: 1\xc3\x97 ",
		t->n_head < app->look.snap->capture->n_head ? " (some)" : "");
	for (int i = 0; i < 10; i++) {
		char glyph[8];
		struct style s = theme_cell(&app->theme, RAMP_VIRIDIS, ((float)i + 0.5f) / 10, glyph);
		grid_text(g, r, 0, col++, s, glyph);
	}
	return col + grid_text(g, r, 0, col, dim, " 100\xc3\x97   ");
}

static int draw_budget_legend(const struct app *app, struct grid *g, struct rect r)
{
	int col = 1 + grid_text(g, r, 0, 1, theme_style(&app->theme, ROLE_STRONG), "SURVIVES FROM");
	return col + grid_printf(g, r, 0, col, theme_style(&app->theme, ROLE_DIM), " which budget, layers \xc3\x97 %ss   ",
		look_unit_word(&app->look));
}

static void draw_titles(const struct token_grid *t, const struct app *app, struct grid *g, struct rect r)
{
	const struct look *l = &app->look;
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	int col = t->numbers ? draw_budget_legend(app, g, r) : draw_lift_legend(t, app, g, r);
	col += grid_text(g, r, 0, col, theme_style(&app->theme, ROLE_HIGH), "\xe2\x96\xa0");
	col += grid_printf(g, r, 0, col, dim, " kept by the %s", look_unit_word(l));
	grid_text_cut(g, r, 0, col + 3, r.cols - col - 4, dim, t->numbers ? "c lifts" : "c budgets");
	for (int i = 0; i < t->n_block; i++) {
		const struct token_block *b = &t->block[i];
		char title[80];
		struct style s = theme_style(&app->theme, b->series == l->focus ? ROLE_PANE_FOCUS : ROLE_PANE);
		snprintf(title, sizeof title, "%s%s", b->series == 0 ? "truth" : l->snap->series[b->series].label,
			b->numbers && !t->numbers ? " survives from" : "");
		grid_text_cut(g, r, 1, b->col + (b->numbers ? 2 : 0), b->numbers ? look_n_unit(l) * BUDGET_COLS : t->width, s, title);
	}
}

void token_grid_draw(struct token_grid *t, struct app *app, struct grid *g, struct rect r, const struct facts *f)
{
	const struct look *l = &app->look;
	t->n_block = t->n_shown = 0;
	if (r.rows < 3 || l->snap->n_candidate == 0)
		return;
	arrange(t, app, r);
	draw_titles(t, app, g, r);
	for (int line = 0; line < t->lines.rows; line++) {
		if ((t->first_line + line) * layers_on(t) >= l->snap->capture->n_layer)
			break;
		draw_label(t, app, g, line);
		for (int i = 0; i < t->n_block; i++) {
			if (t->block[i].numbers) {
				draw_budgets(t, app, g, line, &t->block[i]);
				continue;
			}
			draw_lift(t, app, g, line, &t->block[i], f);
			draw_kept(t, app, g, line, &t->block[i]);
		}
	}
}

void token_grid_point(const struct token_grid *t, struct app *app, int row, int col)
{
	struct look *l = &app->look;
	int line = row - t->lines.row, layer = (t->first_line + line) * layers_on(t);
	if (!rect_holds(t->lines, row, col) || layer >= l->snap->capture->n_layer)
		return;
	for (int i = 0; i < t->n_block; i++) {
		int at = col - t->lines.col - t->block[i].col;
		int width = t->block[i].numbers ? look_n_unit(l) * BUDGET_COLS : t->width;
		if (at < 0 || at >= width)
			continue;
		int head = t->block[i].numbers ? at / BUDGET_COLS * look_group(l)
			: at < t->n_head ? t->first_head + at : (at - t->n_head - 1) * look_group(l);
		/* a second click: the line's other layer */
		bool again = t->half && l->layer == layer && layer + 1 < l->snap->capture->n_layer;
		l->focus = t->block[i].series;
		look_set_head(l, layer + again, head < 0 ? l->head : head);
		return;
	}
}
