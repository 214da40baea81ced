#include "tui/view/panel_options.h"

#include <stdio.h>
#include <string.h>

#include "tui/app.h"
#include "tui/draw/glyph.h"
#include "tui/draw/layout.h"
#include "tui/draw/number.h"
#include "tui/settings_act.h"
#include "tui/view/frame.h"

enum { BOX_COLS = 68, LABEL_COLS = 10, VALUE_COLS = 24, MAX_SWAPPED = 12 };

static const struct {
	enum option_id id;
	const char *about;
	const int *steps; /* of a number, ends with -1 */
} row_table[PANEL_ROWS] = {
	{OPT_preset, "a published setting", NULL},
	{OPT_group, "query heads of a KV head", NULL},
	{OPT_pool, "scores of neighbours", NULL},
	{OPT_kernel, "width of the pooling", (const int[]){1, 3, 5, 7, 9, 11, 13, 21, 31, 63, -1}},
	{OPT_sink, "first tokens, always kept", (const int[]){0, 1, 2, 4, 8, 16, 32, 64, -1}},
	{OPT_window, "last tokens, always kept", (const int[]){0, 1, 8, 16, 32, 64, 128, 256, -1}},
};

/* ---- changing ---- */

static int switch_value(const struct protocol *p, enum option_id id)
{
	switch ((int)id) {
	case OPT_group: return (int)p->score.group;
	case OPT_pool: return (int)p->score.pool;
	case OPT_kernel: return p->score.kernel;
	case OPT_sink: return p->select.sink;
	default: return p->select.window;
	}
}

/* Before the first preset stands none. */
static int preset_index(const struct app *app)
{
	int n;
	const struct preset *list = preset_list(&n);
	for (int i = 0; i < n; i++)
		if (app->in_force.preset && !strcmp(list[i].name, app->in_force.preset->name))
			return i;
	return -1;
}

static void turn_preset(struct app *app, int by)
{
	int n, at = preset_index(app);
	const struct preset *list = preset_list(&n);
	at = (at + 1 + by + n + 1) % (n + 1) - 1;
	settings_change(app, OPT_preset, at < 0 ? NULL : list[at].name);
}

static void turn_choice(struct app *app, enum option_id id, int by)
{
	char word[24];
	int n = 0, at = switch_value(&app->in_force.protocol, id);
	do
		option_choice_word(id, n, word);
	while (*word && ++n);
	option_choice_word(id, (at + by + n) % n, word);
	settings_change(app, id, word);
}

/* To the next step in that direction; beyond the last one nothing changes. */
static void turn_number(struct app *app, int row, int by)
{
	const int *steps = row_table[row].steps;
	int at = switch_value(&app->in_force.protocol, row_table[row].id), to = -1;
	char text[16];
	for (int i = 0; steps[i] >= 0; i++) {
		if (by > 0 && steps[i] > at && to < 0)
			to = steps[i];
		if (by < 0 && steps[i] < at)
			to = steps[i];
	}
	if (to < 0)
		return;
	snprintf(text, sizeof text, "%d", to);
	settings_change(app, row_table[row].id, text);
}

static void turn(struct app *app, int by)
{
	int row = app->panel.row;
	if (row_table[row].id == OPT_preset)
		turn_preset(app, by);
	else if (row_table[row].steps)
		turn_number(app, row, by);
	else
		turn_choice(app, row_table[row].id, by);
}

bool panel_act(struct app *app, enum action_id action)
{
	struct panel *p = &app->panel;
	switch ((int)action) {
	case ACTION_ROW_UP: p->row = (p->row + PANEL_ROWS - 1) % PANEL_ROWS; break;
	case ACTION_ROW_DOWN: p->row = (p->row + 1) % PANEL_ROWS; break;
	case ACTION_OPTION_PREV: turn(app, -1); break;
	case ACTION_OPTION_NEXT: turn(app, 1); break;
	case ACTION_OPTION_DEFAULTS: settings_reset_protocol(app); break;
	case ACTION_OPTIONS:
	case ACTION_BACK: p->open = false; break;
	default: return false;
	}
	return true;
}

void panel_point(struct app *app, const struct event *at)
{
	struct panel *p = &app->panel;
	if (!rect_holds(p->box, at->row, at->col)) {
		p->open = at->kind == EVENT_WHEEL;
		return;
	}
	for (int row = 0; row < PANEL_ROWS; row++) {
		if (!rect_holds(p->place[row], at->row, at->col))
			continue;
		bool again = p->row == row;
		p->row = row;
		if (at->kind == EVENT_WHEEL)
			turn(app, at->wheel);
		else if (again)
			turn(app, 1);
	}
}

/* ---- drawing ---- */

static void say_value(const struct app *app, int row, char *out, size_t out_bytes)
{
	enum option_id id = row_table[row].id;
	char word[24];
	if (id == OPT_preset) {
		snprintf(out, out_bytes, "%s", app->in_force.preset ? app->in_force.preset->name : "none");
	} else if (row_table[row].steps) {
		snprintf(out, out_bytes, "%d", switch_value(&app->in_force.protocol, id));
	} else {
		option_choice_word(id, switch_value(&app->in_force.protocol, id), word);
		snprintf(out, out_bytes, "%s", word);
	}
}

/* Does the value differ from the common protocol's? Said by a mark, not by colour alone. */
static bool is_changed(const struct app *app, enum option_id id)
{
	const struct protocol usual = protocol_default();
	if (id == OPT_preset)
		return app->in_force.preset != NULL;
	if (id == OPT_kernel && app->in_force.protocol.score.pool == POOL_NONE)
		return false;
	return switch_value(&app->in_force.protocol, id) != switch_value(&usual, id);
}

static void draw_row(struct app *app, struct grid *g, struct rect in, int row)
{
	const struct theme *t = &app->theme;
	struct rect line = rect_sub(in, row, 0, 1, in.cols);
	enum option_id id = row_table[row].id;
	bool here = app->panel.row == row, idle = id == OPT_kernel && app->in_force.protocol.score.pool == POOL_NONE;
	char value[48];
	app->panel.place[row] = line;
	say_value(app, row, value, sizeof value);
	grid_text(g, line, 0, 0, theme_style(t, ROLE_MARK), is_changed(app, id) ? "*" : here ? "\xe2\x96\xb8" : " ");
	grid_text(g, line, 0, 2, theme_style(t, here ? ROLE_LABEL_HERE : ROLE_LABEL), option_table[id].name);
	grid_printf(g, rect_sub(line, 0, 2 + LABEL_COLS, 1, VALUE_COLS), 0, 0,
		theme_style(t, here ? ROLE_CURSOR : idle ? ROLE_DIM : ROLE_STRONG), here ? "\xe2\x86\x90 %s \xe2\x86\x92" : "  %s", value);
	grid_text_cut(g, line, 0, 2 + LABEL_COLS + VALUE_COLS, in.cols - 2 - LABEL_COLS - VALUE_COLS, theme_style(t, ROLE_DIM),
		idle ? "nothing without pooling" : row_table[row].about);
}

static const struct panel_swap *swap_at(struct app *app, int slot, int series)
{
	struct look *l = &app->look;
	struct panel_swap *s = &app->panel.swap[slot];
	struct scope scope = look_scope(l);
	if (s->serial != l->snap->serial || s->budget != l->budget || s->series != series || s->scope.layer != scope.layer ||
		s->scope.kv_head != scope.kv_head) {
		*s = (struct panel_swap){.serial = l->snap->serial, .budget = l->budget, .series = series, .scope = scope};
		s->known = swap_count(l, series, scope, &s->swap);
	}
	return s;
}

/* Tokens of a method that come in (+) or go out (-), nearest to the cursor first. */
static void list_swapped(struct app *app, struct grid *g, struct rect line, int series, int sign)
{
	struct look *l = &app->look;
	const struct token_text *text = l->snap->text;
	int col = grid_text(g, line, 0, 0, theme_style(&app->theme, sign > 0 ? ROLE_GOOD : ROLE_WARN), sign > 0 ? "+ " : "- "), n = 0;
	for (int away = 0; away < l->snap->capture->n_prompt && n < MAX_SWAPPED; away++) {
		for (int side = 0; side < (away ? 2 : 1); side++) {
			int token = side ? l->token - away : l->token + away;
			size_t bytes;
			if (token < 0 || token >= l->snap->capture->n_prompt || swap_of(l, series, token) != sign)
				continue;
			const char *shown = token_text_of(text, token, &bytes);
			if (col + text->width[token] + 2 > line.cols)
				return;
			grid_bytes(g, line, 0, col, style_plain, shown, bytes);
			col += text->width[token] + 2;
			n++;
		}
	}
	if (n == 0)
		grid_text(g, line, 0, col, theme_style(&app->theme, ROLE_DIM), "none here");
}

static void draw_swap(struct app *app, struct grid *g, struct rect line, int slot, int series)
{
	const struct series *s = &app->look.snap->series[series];
	const struct panel_swap *swap = swap_at(app, slot, series);
	bool focus = series == app->look.focus;
	grid_text_cut(g, line, 0, 2, 20, theme_style(&app->theme, focus ? ROLE_LABEL_HERE : ROLE_LABEL), s->label);
	if (!swap->known)
		grid_text(g, line, 0, 23, theme_style(&app->theme, ROLE_DIM), "not measured");
	else
		grid_printf(g, line, 0, 23, theme_style(&app->theme, ROLE_STRONG), "%.4g in, %.4g out of %.4g%s", swap->swap.in,
			swap->swap.out, swap->swap.kept, app->look.scope == LOOK_HEAD ? "" : " a head");
}

/* Series that swaps are told of: the first methods, and the focused one among them. Returns their number. */
static int choose_series(const struct look *l, int most, int *series)
{
	int n = 0;
	for (int i = 1; i < l->snap->n_series && n < most; i++)
		series[n++] = i;
	bool shown = l->focus == 0;
	for (int i = 0; i < n; i++)
		shown |= series[i] == l->focus;
	if (!shown && n > 0)
		series[n - 1] = l->focus;
	return n;
}

static void draw_swaps(struct app *app, struct grid *g, struct rect in)
{
	struct look *l = &app->look;
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	int series[3], n = choose_series(l, 3, series), row = 1;
	char budget[32];
	if (!l->snap->common) {
		grid_text(g, in, 0, 0, dim, "This is the protocol that all methods are compared under.");
		return;
	}
	grid_printf(g, in, 0, 0, theme_style(&app->theme, ROLE_STRONG), "SWAPS against the common protocol, budget %s",
		number_grouped(budget, l->budget));
	int told = l->focus > 0 ? l->focus : n > 0 ? series[0] : 0;
	for (int i = 0; i < n; i++) {
		draw_swap(app, g, rect_sub(in, row++, 0, 1, in.cols), i, series[i]);
		if (l->scope != LOOK_HEAD || series[i] != told)
			continue;
		list_swapped(app, g, rect_sub(in, row++, 4, 1, in.cols - 4), told, 1);
		list_swapped(app, g, rect_sub(in, row++, 4, 1, in.cols - 4), told, -1);
	}
}

static void draw_note(const struct app *app, struct grid *g, struct rect line)
{
	const struct theme *t = &app->theme;
	const char *map = app->in_force.preset ? preset_map(app->in_force.preset, app->look.snap->capture) : NULL;
	if (app->in_force.preset && app->in_force.preset->map && !map)
		grid_printf(g, line, 0, 0, theme_style(t, ROLE_WARN), "this capture has no map %s, which the preset scores from",
			app->in_force.preset->map);
	else if (app->in_force.preset)
		grid_text_cut(g, line, 0, 0, line.cols, theme_style(t, ROLE_DIM), app->in_force.preset->note);
	else if (app->in_force.protocol.select.window != app->look.snap->capture->window && app->look.snap->capture->window > 0)
		grid_printf(g, line, 0, 0, theme_style(t, ROLE_DIM), "SnapKV's rows stay the capture's last %d",
			app->look.snap->capture->window);
}

void panel_draw(struct app *app, struct grid *g)
{
	enum { SWAP_ROWS = 6 };
	struct rect box = {2, app->cols - BOX_COLS - 1, PANEL_ROWS + 1 + SWAP_ROWS + 2, BOX_COLS};
	struct rect in = rect_sub(box, 1, 2, box.rows - 2, box.cols - 4);
	app->panel.box = box;
	frame_box(app, g, box, app->work.busy ? " OPTIONS \xc2\xb7 evaluating " : " OPTIONS ");
	for (int row = 0; row < PANEL_ROWS; row++)
		draw_row(app, g, in, row);
	draw_note(app, g, rect_sub(in, PANEL_ROWS, 2, 1, in.cols - 2));
	draw_swaps(app, g, rect_sub(in, PANEL_ROWS + 1, 0, SWAP_ROWS, in.cols));
}
