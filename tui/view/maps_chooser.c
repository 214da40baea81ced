/* The list of methods over the maps, to choose panes from. Every change shows at once in the panes behind it. */
#include "tui/view/frame.h"
#include "tui/view/maps.h"

#include <stdio.h>
#include <string.h>

#include "tui/draw/glyph.h"

enum { LIST_COLS = 40, FRAME = 2 };

/* Those that are on the screen, while nobody has chosen any. */
static int present_panes(const struct look *l, const struct maps *m, int pane[LOOK_MAX_PANE])
{
	if (l->n_pane > 0)
		return look_panes(l, pane);
	memcpy(pane, m->series, (size_t)m->layout.n_pane * sizeof *pane);
	return m->layout.n_pane;
}

static int order_of(const int *pane, int n, int series)
{
	for (int i = 0; i < n; i++)
		if (pane[i] == series)
			return i + 1;
	return 0;
}

static void say_state(const struct app *app, int series, char *out, size_t out_bytes)
{
	const struct series *s = &app->look.snap->series[series];
	if (s->method < 0)
		snprintf(out, out_bytes, "%s", app->work.running ? "not measured yet" : "not measured");
	else if (s->n_rows > 0)
		snprintf(out, out_bytes, "%d row%s", s->n_rows, s->n_rows == 1 ? "" : "s");
	else
		*out = '\0';
}

void maps_draw_chooser(const struct app *app, const struct maps *m, struct grid *g)
{
	const struct look *l = &app->look;
	int pane[LOOK_MAX_PANE], n_pane = present_panes(l, m, pane), n = l->snap->n_series;
	int room = app->rows - 6 - FRAME - 1, shown = n < room ? n : room;
	int first = layout_scroll(0, m->choice, 1, shown, n);
	struct rect box = {3, (app->cols - LIST_COLS) / 2, shown + FRAME + 1, LIST_COLS};
	struct rect in = rect_sub(box, 1, 2, box.rows - 2, box.cols - 4);
	frame_box(app, g, box, " Panes, in the order they are chosen ");
	for (int row = 0; row < shown; row++) {
		int series = first + row, order = order_of(pane, n_pane, series);
		bool here = series == m->choice;
		struct style s = theme_style(&app->theme, here ? ROLE_CURSOR : ROLE_PLAIN);
		char mark[8], state[32];
		snprintf(mark, sizeof mark, order ? "[%d]" : "[ ]", order);
		say_state(app, series, state, sizeof state);
		grid_fill(g, rect_sub(in, row, 0, 1, in.cols), s);
		grid_text(g, in, row, 0, s, mark);
		grid_text_cut(g, in, row, 4, 16, s, series == 0 ? "truth" : l->snap->series[series].label);
		grid_text_right(g, rect_sub(in, row, 0, 1, in.cols), 0, s, state);
	}
	grid_text_cut(g, in, shown, 0, in.cols, theme_style(&app->theme, ROLE_DIM), "Space in or out   Enter done");
}

static void toggle(struct app *app, const struct maps *m)
{
	struct look *l = &app->look;
	int pane[LOOK_MAX_PANE], n = present_panes(l, m, pane);
	look_choose_panes(l, pane, n);
	if (!look_toggle_pane(l, m->choice))
		app_say(app, ROLE_WARN, "four panes are chosen already: take one out first");
}

bool maps_choose(struct app *app, struct maps *m, enum action_id action)
{
	struct look *l = &app->look;
	int n = l->snap->n_series;
	if (action == ACTION_PANES) {
		m->choosing = !m->choosing;
		m->choice = l->focus;
		m->full = false;
		return true;
	}
	if (!m->choosing)
		return action == ACTION_TOGGLE_PANE;
	switch ((int)action) {
	case ACTION_ROW_UP: m->choice = (m->choice + n - 1) % n; break;
	case ACTION_ROW_DOWN: m->choice = (m->choice + 1) % n; break;
	case ACTION_FIRST: m->choice = 0; break;
	case ACTION_LAST: m->choice = n - 1; break;
	case ACTION_TOGGLE_PANE: toggle(app, m); break;
	case ACTION_ENTER:
	case ACTION_BACK: m->choosing = false; break;
	default: return false;
	}
	return true;
}
