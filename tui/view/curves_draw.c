/* The Curves screen drawn. */
#include "tui/view/curves.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/draw/glyph.h"
#include "tui/draw/number.h"

enum { MARGIN = 5 /* numbers of the upright axis, and the axis */, GAP = 2 };

/* ---- what a line looks like ---- */

static const struct method *method_of(const struct look *l, const struct curve_line *line)
{
	return evaluation_method(l->snap->evaluation, line->method)->method;
}

static bool is_focus(const struct look *l, const struct curve_line *line)
{
	return l->snap->series[l->focus].method == line->method;
}

/* Methods that use nothing of the prompt's content, or no training: broken lines. */
static bool is_control(const struct method *m)
{
	return m->kind == METHOD_RANDOM || m->kind == METHOD_RECENCY || !strcmp(m->name, "untrained") || !strcmp(m->name, "keynorm");
}

static uint8_t dash_of(const struct method *m)
{
	return m->kind == METHOD_CEILING || m->kind == METHOD_ORACLE ? 0x11 : is_control(m) ? 0x33 : 0xff;
}

static struct style style_of(const struct app *app, const struct curve_set *set, int i)
{
	const struct method *m = method_of(&app->look, &set->line[i]);
	bool bound = m->kind == METHOD_CEILING || m->kind == METHOD_ORACLE;
	struct style s = bound ? style_plain : theme_line(&app->theme, i + 9); /* truth itself is the first line: the first hue is the second's */
	if (is_focus(&app->look, &set->line[i]))
		s.attr |= ATTR_BOLD;
	return s;
}

static const char *name_of(const struct app *app, const struct curve_line *line)
{
	const struct method *m = method_of(&app->look, line);
	return m->kind == METHOD_ORACLE ? "truth itself" : m->label;
}

/* Truth finds all of itself: a line only where shares of all mass are drawn. */
static bool is_drawn(const struct app *app, const struct curve_line *line, enum curve_number number)
{
	return number == CURVE_MASS || method_of(&app->look, line)->kind != METHOD_ORACLE;
}

/* ---- plots ---- */

static void draw_axes(const struct app *app, struct grid *g, struct rect r, struct rect area)
{
	static const int part[] = {100, 75, 50, 25, 0};
	struct style rule = theme_style(&app->theme, ROLE_RULE), dim = theme_style(&app->theme, ROLE_DIM);
	for (int row = 0; row < area.rows; row++)
		grid_text(g, r, 1 + row, MARGIN - 1, rule, "\xe2\x94\x82");
	for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
		int row = (int)lround((1 - part[i] / 100.0) * (area.rows - 1));
		if (area.rows >= 9 || part[i] % 50 == 0)
			grid_printf(g, r, 1 + row, 0, dim, "%4d", part[i]);
	}
}

/* The present budget in bold; powers of two where there is room beside it and one another. */
static void draw_budgets(const struct app *app, struct grid *g, struct rect r, struct rect area)
{
	const struct look *l = &app->look;
	char now[32], text[32];
	int row = area.row + area.rows - r.row, here = curves_column(l, l->budget, area.cols);
	number_grouped(now, l->budget);
	int width = (int)strlen(now), begin = here - width / 2;
	begin = begin + width > area.cols ? area.cols - width : begin < 0 ? 0 : begin;
	int free_from = 0;
	for (int budget = 1; budget <= curves_most(l) / 2 + curves_most(l) % 2; budget *= 2) {
		int next = budget * 2, col = curves_column(l, next, area.cols), n = (int)strlen(number_grouped(text, next));
		int from = col - n / 2;
		bool beside = from + n < begin || from > begin + width;
		if (next < curves_least(l) || from < free_from || from + n > area.cols || !beside)
			continue;
		grid_text(g, r, row, MARGIN + from, theme_style(&app->theme, ROLE_DIM), text);
		free_from = from + n + 2;
	}
	grid_text(g, r, row, MARGIN + begin, theme_style(&app->theme, ROLE_STRONG), now);
	for (int i = 0; i < area.rows; i++)
		grid_text(g, area, i, here, theme_style(&app->theme, ROLE_RULE), "\xe2\x94\x82");
}

/* Ceiling and controls first: what people look for lies over them, the method in focus on top. */
static int depth_of(const struct app *app, const struct curve_line *line)
{
	const struct method *m = method_of(&app->look, line);
	if (is_focus(&app->look, line))
		return 4;
	if (!strcmp(m->name, "lookahead") || !strcmp(m->name, "snapkv"))
		return 3;
	return m->kind == METHOD_CEILING || m->kind == METHOD_ORACLE ? 2 : is_control(m) ? 0 : 1;
}

static void draw_plot(struct app *app, struct curves *c, struct grid *g, struct rect r, enum curve_number number, struct rect *area)
{
	static const char *const title[N_CURVE] = {
		[CURVE_RATIO] = "best mass: % of the best choice's", [CURVE_MASS] = "mass: % of all candidates'",
		[CURVE_FOUND] = "truth's picks found, %",
	};
	const struct curve_set *set = &c->set[app->look.scope];
	*area = rect_sub(r, 1, MARGIN, r.rows - 2, r.cols - MARGIN);
	grid_text_cut(g, r, 0, MARGIN, r.cols - MARGIN, theme_style(&app->theme, ROLE_STRONG), title[number]);
	if (area->rows < 1 || !plot_begin(&c->plot, area->rows, area->cols))
		return;
	draw_axes(app, g, r, *area);
	draw_budgets(app, g, r, *area);
	for (int depth = 0; depth <= 4; depth++)
		for (int i = 0; i < set->n_line; i++) {
			const struct curve_line *line = &set->line[i];
			if (depth_of(app, line) != depth || !is_drawn(app, line, number))
				continue;
			const struct plot_curve curve = {.y = line->y[number], .n = CURVES_POINT, .style = style_of(app, set, i),
				.dash = dash_of(method_of(&app->look, line)), .letter = line->letter,
				.letter_col = (i + 1) * area->cols / (set->n_line + 1)};
			plot_add(&c->plot, &curve, !app->theme.utf8);
		}
	plot_draw(&c->plot, g, *area);
}

void curves_draw_plots(struct app *app, struct curves *c, struct grid *g, struct rect body, int rows)
{
	int cols = (body.cols - 1 - GAP) / 2;
	draw_plot(app, c, g, rect_sub(body, 0, 0, rows, cols), c->mass ? CURVE_MASS : CURVE_RATIO, &c->area[0]);
	draw_plot(app, c, g, rect_sub(body, 0, cols + GAP, rows, cols), CURVE_FOUND, &c->area[1]);
}

/* ---- legend ---- */

enum { ENTRY_COLS = 39 };

static int entry_columns(const struct app *app)
{
	return app->cols / ENTRY_COLS < 1 ? 1 : app->cols / ENTRY_COLS;
}

int curves_legend_lines(const struct app *app, const struct curve_set *set)
{
	int columns = entry_columns(app);
	return 1 + (set->n_line + columns - 1) / columns;
}

static void draw_sample(const struct app *app, const struct curve_set *set, struct grid *g, struct rect r, int i)
{
	const struct curve_line *line = &set->line[i];
	uint8_t dash = dash_of(method_of(&app->look, line));
	const char *sample = dash == 0xff ? "\xe2\x94\x80\xe2\x94\x80" : dash == 0x33 ? "--" : "\xc2\xb7\xc2\xb7";
	char letter[2] = {line->letter, '\0'};
	struct style s = style_of(app, set, i);
	grid_text(g, r, 0, 1, s, letter);
	grid_text(g, r, 0, 2, s, sample);
}

static void draw_entry(struct app *app, const struct curves *c, struct grid *g, struct rect r, int i)
{
	const struct curve_set *set = &c->set[app->look.scope];
	struct look *l = &app->look;
	const struct curve_line *line = &set->line[i];
	struct agreement a = look_agreement(l, line->method, look_scope(l));
	struct style s = theme_style(&app->theme, is_focus(l, line) ? ROLE_STRONG : ROLE_PLAIN);
	char mass[32], count[32], picks[48];
	draw_sample(app, set, g, r, i);
	grid_text_cut(g, r, 0, 5, 13, s, name_of(app, line));
	number_percent(mass, c->mass ? a.mass : a.mass_ratio);
	grid_text(g, r, 0, 24 - glyph_width(mass, strlen(mass)), s, mass);
	snprintf(picks, sizeof picks, "%s of %d", number_count(count, a.hits), look_k(l));
	grid_text(g, r, 0, 37 - glyph_width(picks, strlen(picks)), s, picks);
}

void curves_draw_legend(struct app *app, const struct curves *c, struct grid *g, struct rect r)
{
	const struct curve_set *set = &c->set[app->look.scope];
	int columns = entry_columns(app), lines = r.rows - 1;
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	char budget[32];
	for (int column = 0; column < columns && column * lines < set->n_line; column++) {
		struct rect part = rect_sub(r, 0, column * ENTRY_COLS, r.rows, ENTRY_COLS);
		if (column == 0)
			grid_printf(g, part, 0, 1, theme_style(&app->theme, ROLE_STRONG), "AT %s", number_grouped(budget, app->look.budget));
		grid_text(g, part, 0, c->mass ? 20 : 15, dim, c->mass ? "mass" : "best mass");
		grid_text(g, part, 0, 27, dim, "picks found");
		for (int line = 0; line < lines && column * lines + line < set->n_line; line++)
			draw_entry(app, c, g, rect_sub(part, 1 + line, 0, 1, part.cols), column * lines + line);
	}
}
