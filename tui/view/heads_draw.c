/* The Heads screen drawn. */
#include "tui/view/heads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/draw/glyph.h"
#include "tui/draw/number.h"

static const char *number_name(enum head_number number)
{
	static const char *const name[N_HEAD_NUMBER] = {
		[HEAD_MASS] = "best mass", [HEAD_PICKS] = "truth's picks found", [HEAD_GAIN] = "gain in best mass over SnapKV",
		[HEAD_GAP] = "gap to the ceiling", [HEAD_KL] = "KL all tokens",
	};
	return name[number];
}

static bool is_signed(enum head_number number)
{
	return number == HEAD_GAIN || number == HEAD_GAP;
}

static enum ramp_colour ramp_of(enum head_number number)
{
	return is_signed(number) ? RAMP_DIVERGING : RAMP_VIRIDIS;
}

/* Shares from 0 to 1, differences from -50 to 50 points, KL from 0 to its largest. */
static float level_of(const struct heads *h, double value)
{
	double level = is_signed(h->number) ? 0.5 + value : h->number == HEAD_KL ? (h->largest > 0 ? value / h->largest : 0) : value;
	return isnan(level) ? NAN : (float)fmin(1, fmax(0, level));
}

enum { SHORT_COLS = 3 };

/* In at most three columns: 79, +12, .05, 1.2. */
static void say_short(enum head_number number, double value, char out[32])
{
	if (isnan(value))
		strcpy(out, "\xe2\x80\x93");
	else if (number != HEAD_KL)
		snprintf(out, 32, is_signed(number) ? "%+.0f" : "%.0f", 100 * value);
	else if (value < 0.995)
		snprintf(out, 32, ".%02.0f", 100 * value);
	else
		snprintf(out, 32, value < 9.95 ? "%.1f" : "%.0f", value);
}

static void say_long(enum head_number number, double value, char out[32])
{
	if (isnan(value))
		strcpy(out, "\xe2\x80\x93");
	else if (number == HEAD_KL)
		snprintf(out, 32, "%.3f", value);
	else
		snprintf(out, 32, is_signed(number) ? "%+.0f points" : "%.0f %%", 100 * value);
}

static const char *column_letters(const struct app *app, const struct heads *h)
{
	return heads_of_query(h->number) || look_n_unit(&app->look) != app->look.snap->capture->n_kv_head ? "Q" : "KV";
}

/* ---- heading ---- */

/* The map that the number would need. */
static const char *missing_map(const struct app *app, const struct heads *h)
{
	const struct snapshot *s = app->look.snap;
	const struct series *focus = &s->series[app->look.focus];
	if (h->number == HEAD_GAIN)
		return snapshot_method(s, "snapkv") < 0 ? "snapkv" : "lookahead";
	return app->look.focus > 0 && focus->method < 0 ? focus->map : "truth_even";
}

/* NULL: the capture lacks a map. */
static const char *why_not(const struct app *app)
{
	const struct look *l = &app->look;
	if (look_k(l) < 0)
		return "not defined: nothing to choose from in so short a prompt";
	if (l->snap->series[0].method < 0)
		return app->work.running ? "comes with the answer" : "not defined: no answer was measured";
	return app->work.running ? "not measured yet" : NULL;
}

static void say_subject(const struct app *app, const struct heads *h, char *out, size_t out_bytes)
{
	const struct look *l = &app->look;
	int ours, theirs;
	difference_sides(l, DIFFERENCE_SAVED, &ours, &theirs);
	if (h->number == HEAD_GAIN)
		snprintf(out, out_bytes, "%s", ours < 0 ? "LookaheadKV" : l->snap->series[ours].label);
	else if (l->focus > 0)
		snprintf(out, out_bytes, "%s", l->snap->series[l->focus].label);
	else
		snprintf(out, out_bytes, h->number == HEAD_GAP ? "TRUTH" : "TRUTH, odd answer rows by even");
}

void heads_draw_heading(const struct app *app, const struct heads *h, struct grid *g, struct rect body)
{
	char subject[80], mean[32], least[32];
	int col = 1 + grid_text(g, body, 0, 1, theme_style(&app->theme, ROLE_STRONG), "HEADS ");
	col += grid_text(g, body, 0, col, theme_style(&app->theme, ROLE_PANE), number_name(h->number));
	say_subject(app, h, subject, sizeof subject);
	col += grid_text(g, body, 0, col, style_plain, h->number == HEAD_GAIN || h->number == HEAD_GAP ? " \xc2\xb7 " : " of ");
	col += grid_text(g, body, 0, col, theme_style(&app->theme, ROLE_PANE_FOCUS), subject);
	if (h->n_list == 0) {
		const char *why = app->look.focus == 0 && h->number == HEAD_GAP ? "Tab chooses a method" : why_not(app);
		char lacks[80];
		snprintf(lacks, sizeof lacks, "not measured: this capture has no rows.%s", missing_map(app, h));
		grid_text_cut(g, body, 2, 3, body.cols - 4, theme_style(&app->theme, ROLE_WARN), why ? why : lacks);
		return;
	}
	say_long(h->number, h->mean, mean);
	say_long(h->number, h->value[h->list[0].index], least);
	char rest[120];
	snprintf(rest, sizeof rest, " \xc2\xb7 mean %s, worst %s", mean, least);
	grid_text_cut(g, body, 0, col, body.cols - col - 1, style_plain, rest);
}

/* ---- grid ---- */

static void draw_columns(const struct app *app, const struct heads *h, struct grid *g, struct rect body)
{
	const char *letters = column_letters(app, h);
	int here = heads_column(h, &app->look), shown = h->grid.cols / h->width;
	char name[16];
	snprintf(name, sizeof name, "%s%d", letters, h->n_col - 1);
	int every = ((int)strlen(name) + h->width) / h->width; /* columns a name and a blank take */
	for (int i = 0; i < shown; i++) {
		int column = h->first_col + i;
		if (column % every)
			continue;
		snprintf(name, sizeof name, "%s%d", letters, column);
		bool at = here >= column && here < column + every;
		grid_text(g, body, 1, HEADS_LABEL_COLS + i * h->width, theme_style(&app->theme, at ? ROLE_LABEL_HERE : ROLE_LABEL), name);
	}
	if (!h->half)
		grid_text(g, body, 1, HEADS_LABEL_COLS + h->grid.cols + 2, theme_style(&app->theme, ROLE_DIM), "mean");
}

static void draw_number_cell(const struct app *app, const struct heads *h, struct grid *g, int line, int i, int layer)
{
	int column = h->first_col + i;
	double value = h->value[layer * h->n_col + column];
	char text[32] = "", glyph[8];
	struct style s = theme_on_level(&app->theme, ramp_of(h->number), level_of(h, value), style_plain);
	bool here = layer == app->look.layer && column == heads_column(h, &app->look);
	if (here)
		s = theme_style(&app->theme, ROLE_CURSOR);
	grid_fill(g, rect_sub(h->grid, line, i * h->width, 1, h->width), s);
	if (h->width >= 3) {
		say_short(h->number, value, text);
		int right = (h->width - SHORT_COLS + 1) / 2 + SHORT_COLS; /* units stand under units */
		grid_text(g, h->grid, line, i * h->width + right - glyph_width(text, strlen(text)), s, text);
	} else if (app->theme.depth == DEPTH_MONO || !app->theme.utf8) {
		theme_cell(&app->theme, ramp_of(h->number), level_of(h, value), glyph);
		grid_text(g, h->grid, line, i * h->width, s, glyph);
	}
}

static void draw_half_cell(const struct app *app, const struct heads *h, struct grid *g, int line, int i, int layer)
{
	int column = h->first_col + i, here = heads_column(h, &app->look);
	bool two = layer + 1 < h->n_layer;
	float top = level_of(h, h->value[layer * h->n_col + column]);
	float bottom = two ? level_of(h, h->value[(layer + 1) * h->n_col + column]) : NAN;
	char glyph[8];
	struct style s = theme_half_cell(&app->theme, ramp_of(h->number), top, bottom, glyph);
	bool at = column == here && (app->look.layer == layer || (two && app->look.layer == layer + 1));
	for (int k = 0; k < h->width; k++) {
		bool gap = h->width > 2 && k == h->width - 1; /* cells stand apart */
		if (gap)
			continue;
		grid_text(g, h->grid, line, i * h->width + k, s, glyph);
		struct cell *cell = grid_at(g, h->grid.row + line, h->grid.col + i * h->width + k);
		if (at && cell)
			theme_mark_half(&app->theme, cell, app->look.layer == layer + 1);
	}
}

static double layer_mean(const struct heads *h, int layer)
{
	double sum = 0;
	int n = 0;
	for (int i = 0; i < h->n_col; i++) {
		double value = h->value[layer * h->n_col + i];
		sum += isnan(value) ? 0 : value;
		n += !isnan(value);
	}
	return n ? sum / n : NAN;
}

static void draw_mean(const struct app *app, const struct heads *h, struct grid *g, int line, int layer)
{
	char text[32];
	struct rect r = {h->grid.row, h->grid.col + h->grid.cols, h->grid.rows, 6};
	say_short(h->number, layer_mean(h, layer), text);
	grid_text(g, r, line, 5 - glyph_width(text, strlen(text)), theme_style(&app->theme, ROLE_DIM), text);
}

void heads_draw_grid(const struct app *app, const struct heads *h, struct grid *g, struct rect body)
{
	int shown = h->grid.cols / h->width;
	draw_columns(app, h, g, body);
	for (int line = 0; line < h->grid.rows; line++) {
		int layer = (h->first_line + line) * (h->half ? 2 : 1);
		bool at = app->look.layer == layer || (h->half && app->look.layer == layer + 1);
		if (layer >= h->n_layer)
			break;
		grid_printf(g, body, 2 + line, 0, theme_style(&app->theme, at ? ROLE_LABEL_HERE : ROLE_LABEL), "L%3d%s",
			at ? app->look.layer : layer, at ? "\xe2\x96\xb8" : " ");
		for (int i = 0; i < shown; i++)
			(h->half ? draw_half_cell : draw_number_cell)(app, h, g, line, i, layer);
		if (!h->half)
			draw_mean(app, h, g, line, layer);
	}
}

/* ---- list ---- */

enum { NAME_COLS = 19, BAR_MOST = 26, OTHER_COLS = 13 };

static void draw_bar(const struct app *app, const struct heads *h, struct grid *g, struct rect r, int row, int col, double value)
{
	int room = r.cols - col - 1 < BAR_MOST ? r.cols - col - 1 : BAR_MOST;
	double scale = h->number == HEAD_KL || is_signed(h->number) ? h->largest : 1;
	int length = scale > 0 ? (int)lround(fabs(value) / scale * room) : 0;
	struct style s = theme_style(&app->theme, is_signed(h->number) && value < 0 ? ROLE_LOW : ROLE_HIGH);
	for (int i = 0; i < length && i < room; i++)
		grid_text(g, r, row, col + i, s, "\xe2\x96\xa0");
}

/* Where there is room: the same of every method that has a map, and of the ceiling. */
static void draw_others(struct app *app, const struct heads *h, struct grid *g, struct rect r, int row, int index)
{
	struct look *l = &app->look;
	enum head_number number = h->number == HEAD_GAIN ? HEAD_MASS : h->number == HEAD_GAP ? HEAD_PICKS : h->number;
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	int col = NAME_COLS + 1 + BAR_MOST + 2;
	if (row < 0 && is_signed(h->number) && col + OTHER_COLS <= r.cols)
		grid_text_right(g, (struct rect){r.row - 1, r.col, 1, col}, 0, dim, number == HEAD_MASS ? "best mass:" : "picks found:");
	for (int i = 1; i <= l->snap->n_series; i++, col += OTHER_COLS) {
		bool ceiling = i == l->snap->n_series;
		int method = ceiling ? snapshot_method(l->snap, "ceiling") : l->snap->series[i].method;
		char text[32];
		if (col + OTHER_COLS > r.cols)
			return;
		if (row < 0)
			snprintf(text, sizeof text, "%s", ceiling ? "ceiling" : l->snap->series[i].label);
		else
			say_long(number, heads_of_method(l, number, method, index / h->n_col, index % h->n_col), text);
		struct rect cell = {r.row + row, r.col + col, 1, OTHER_COLS - 1};
		grid_text_right(g, cell, 0, row < 0 ? dim : style_plain, text);
	}
}

void heads_draw_list(struct app *app, const struct heads *h, struct grid *g, struct rect body)
{
	const char *letters = column_letters(app, h);
	int here = app->look.layer * h->n_col + heads_column(h, &app->look);
	struct rect r = h->list_rect;
	if (r.rows == 0)
		return;
	int col = r.col - body.col + grid_text(g, body, 1, r.col - body.col, theme_style(&app->theme, ROLE_STRONG), "WORST FIRST");
	if (h->first_listed > 0)
		grid_printf(g, body, 1, col, theme_style(&app->theme, ROLE_DIM), ", from number %d of %d", h->first_listed + 1, h->n_list);
	draw_others(app, h, g, r, -1, 0);
	for (int row = 0; row < r.rows && h->first_listed + row < h->n_list; row++) {
		const struct head_place *p = &h->list[h->first_listed + row];
		bool at = p->index == here;
		struct style s = theme_style(&app->theme, at ? ROLE_CURSOR : ROLE_PLAIN);
		char value[32];
		say_long(h->number, h->value[p->index], value);
		int width = glyph_width(value, strlen(value));
		grid_fill(g, rect_sub(r, row, 0, 1, NAME_COLS), s);
		grid_printf(g, r, row, 0, s, "L%d\xc2\xb7%s%d", p->index / h->n_col, letters, p->index % h->n_col);
		grid_text(g, r, row, NAME_COLS - width, s, value);
		draw_bar(app, h, g, r, row, NAME_COLS + 1, h->value[p->index]);
		draw_others(app, h, g, r, row, p->index);
	}
}

/* ---- below ---- */

static int draw_ramp(const struct app *app, const struct heads *h, struct grid *g, struct rect r, int row, int col)
{
	enum { N = 16 };
	for (int i = 0; i < N; i++) {
		char glyph[8];
		struct style s = theme_cell(&app->theme, ramp_of(h->number), ((float)i + 0.5f) / N, glyph);
		grid_text(g, r, row, col + i, s, glyph);
	}
	return N;
}

static void draw_legend(const struct app *app, const struct heads *h, struct grid *g, struct rect r)
{
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	char high[32] = "100 %";
	if (h->number == HEAD_KL)
		say_long(h->number, h->largest, high);
	else if (is_signed(h->number))
		strcpy(high, "+50 points");
	int col = 1 + grid_text(g, r, 1, 1, dim, h->number == HEAD_KL ? "0 " : is_signed(h->number) ? "-50 " : "0 % ");
	col += draw_ramp(app, h, g, r, 1, col);
	col += 1 + grid_text(g, r, 1, col + 1, dim, high);
	grid_text_cut(g, r, 1, col + 3, r.cols - col - 4, dim, "c another number   n N next worse   Enter maps");
}

void heads_draw_place(struct app *app, const struct heads *h, struct grid *g, struct rect info)
{
	struct look *l = &app->look;
	struct scope s = {l->layer, look_unit(l)};
	int method = heads_method(l), ceiling = snapshot_method(l->snap, "ceiling"), k = look_k(l);
	struct agreement a = look_agreement(l, method, s), best = look_agreement(l, ceiling, s);
	double kl = method < 0 ? NAN : evaluation_kl(l->snap->evaluation, method, l->layer, l->head);
	char text[400], picks[32], mass[32], top[32], kl_text[32] = "\xe2\x80\x93", gain[32];
	if (!isnan(kl))
		snprintf(kl_text, sizeof kl_text, "%.3f", kl);
	say_short(HEAD_GAIN, heads_number(l, HEAD_GAIN, l->layer, look_unit(l)), gain);
	snprintf(text, sizeof text, "best mass %s \xc2\xb7 picks %s of %d, ceiling %s \xc2\xb7 over SnapKV %s points \xc2\xb7 KL of Q%d %s",
		number_percent(mass, a.mass_ratio), number_count(picks, a.hits), k, number_count(top, best.hits), gain, l->head, kl_text);
	int col = 1 + grid_printf(g, info, 0, 1, theme_style(&app->theme, ROLE_STRONG), "L%d\xc2\xb7%s%d ", l->layer,
		look_n_unit(l) == l->snap->capture->n_kv_head ? "KV" : "Q", look_unit(l));
	grid_text_cut(g, info, 0, col, info.cols - col - 1, style_plain, text);
	draw_legend(app, h, g, info);
}
