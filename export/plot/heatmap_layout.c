/* Where everything of a heatmap stands.
 *
 * Wide figures set panels side by side with a shared row axis, the panel's name under its ticks and the colour
 * bar at the right; narrow ones and strips stack them with a shared token axis. Masked ends (sinks, window)
 * have a fixed width: to scale, four sinks of 2,000 tokens could not be seen.
 */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "export/plot/heatmap.h"

#define LEAST_PANEL 84.0                /* width */
#define MASK 7.0                        /* width of a masked end */
#define GAP_X 9.0
#define GAP_Y 6.0
#define STRIP 15.0 /* height of a strip of FIGURE_ONE */

static double clamp(double x, double low, double high)
{
	return fmin(fmax(x, low), high);
}

static double natural_height(const struct heatmap *h, bool stacked)
{
	if (h->spec->rows == FIGURE_ONE)
		return STRIP;
	if (h->spec->rows == FIGURE_HEADS)
		return clamp(h->n_row * 10.2, 50, stacked ? 110 : 190);
	return clamp(h->n_row * (stacked ? 3.0 : 4.4), 50, stacked ? 130 : 190);
}

static double widest_number(const struct heatmap *h, struct text_engine *t)
{
	char text[24];
	snprintf(text, sizeof text, "%d", h->n_row - 1);
	return text_width(t, &plot_tick, text);
}

static double widest_name(const struct heatmap *h, struct text_engine *t)
{
	double width = 0;
	for (int i = 0; i < h->n_panel; i++)
		width = fmax(width, plot_panel_name_width(t, h->panel[i].label));
	return width;
}

static double left_room(const struct heatmap *h, struct text_engine *t, bool stacked)
{
	if (h->spec->rows == FIGURE_ONE)
		return PLOT_MARGIN + widest_name(h, t) + 5;
	double lines = stacked ? 2 * PLOT_LINE_ROOM : PLOT_LINE_ROOM;
	return PLOT_MARGIN + lines + widest_number(h, t) + PLOT_TICK + PLOT_GAP;
}

/* Room that the bars of agreement beside a column of panels take. */
static double best_room(const struct heatmap *h, int columns, int column)
{
	for (int i = column; i < h->n_panel; i += columns)
		if (h->panel[i].best)
			return HEATMAP_BEST_GAP + HEATMAP_BEST;
	return 0;
}

static void divide(struct heatmap_layout *l, const struct heatmap *h, double room)
{
	bool stacked = l->width < PLOT_WIDE || h->spec->rows == FIGURE_ONE;
	int most = stacked ? 1 : (int)fmax(1, floor((room + GAP_X) / (LEAST_PANEL + GAP_X)));
	int columns = h->n_panel < most ? h->n_panel : most;
	l->grid_rows = (h->n_panel + columns - 1) / columns;
	l->columns = (h->n_panel + l->grid_rows - 1) / l->grid_rows; /* even rows */
	double between = GAP_X * (l->columns - 1);
	for (int i = 0; i < l->columns; i++)
		between += best_room(h, l->columns, i);
	l->panel_w = (room - between) / l->columns;
	for (int i = 0; i < h->n_panel; i++) {
		int column = i % l->columns;
		l->panel_x[i] = column ? l->panel_x[i - 1] + l->panel_w + best_room(h, l->columns, column - 1) + GAP_X
							   : l->left;
	}
	l->right = l->left + room;
}

static void divide_tokens(struct heatmap_layout *l, const struct heatmap *h)
{
	int n_shown = h->last - h->first, n = n_shown - h->n_sink - h->n_window;
	l->sink_w = h->n_sink == 0 ? 0 : n == 0 && h->n_window == 0 ? l->panel_w : MASK;
	l->window_w = h->n_window == 0 ? 0 : n == 0 ? l->panel_w - l->sink_w : MASK;
	double pixels = floor((l->panel_w - l->sink_w - l->window_w) / CANVAS_PT_PER_INCH * h->spec->dpi);
	l->n_cell = n < pixels ? n : (int)fmax(1, pixels);
	if (n == 0)
		l->n_cell = 0;
	l->per_cell = n ? (n + l->n_cell - 1) / l->n_cell : 1;
}

double heatmap_x(const struct heatmap *h, double position)
{
	const struct heatmap_layout *l = &h->layout;
	int first = h->first + h->n_sink, n = h->last - h->n_window - first;
	double w = l->panel_w - l->sink_w - l->window_w;
	return n > 0 ? l->sink_w + (position - first) / n * w : l->sink_w;
}

static __attribute__((format(printf, 3, 4))) void append(char *text, size_t n_bytes, const char *format, ...)
{
	size_t n = strlen(text);
	va_list args;
	va_start(args, format);
	vsnprintf(text + n, n_bytes - n, format, args);
	va_end(args);
}

static bool has_bars(const struct heatmap *h)
{
	for (int i = 0; i < h->n_panel; i++)
		if (h->panel[i].best)
			return true;
	return false;
}

/* No line ends behind a number or an abbreviation: U+00A0 holds them. */
static void describe_axis(const struct heatmap *h, const struct heatmap_layout *l, char *out, size_t n)
{
	const struct selection *select = &evaluation_protocol(h->ev)->select;
	const char *rule = heatmap_cell_is_mean(h->spec->scale) ? "mean" : "largest";
	out[0] = '\0';
	if (l->token_labels)
		append(out, n, "tokens %d to %d", h->first, h->last - 1);
	else
		append(out, n, "token position");
	if (l->per_cell > 1)
		append(out, n, " (a cell: the %s of up to %d tokens)", rule, l->per_cell);
	if (h->spec->rows == FIGURE_ONE)
		append(out, n, ", layer %d, query head %d", h->spec->layer, h->spec->head);
	if (h->n_sink && h->n_window)
		append(out, n, "; S,\xc2\xa0W: first %d and last %d, always kept", select->sink, select->window);
	else if (h->n_sink)
		append(out, n, "; S: first %d, always kept", select->sink);
	else if (h->n_window)
		append(out, n, "; W: last %d, always kept", select->window);
	if (h->n_prompt_sink)
		append(out, n, "; \xe2\x96\xbe\xc2\xa0sink inside the prompt");
	if (h->spec->rows == FIGURE_ONE)
		append(out, n, "; strips below: kept at budget %d", h->spec->budget);
	if (has_bars(h))
		append(out, n, "; bars: mass kept at budget %d, 0\xc2\xa0to\xc2\xa0""100\xc2\xa0%% of the best possible", h->spec->budget);
}

static int lay_out_note(struct heatmap_layout *l, const struct heatmap *h, struct text_engine *t, struct err *e)
{
	char text[480];
	describe_axis(h, l, text, sizeof text);
	struct text_request r = {
		.utf8 = text, .n_bytes = strlen(text), .style = plot_label, .wrap = l->width - 2 * PLOT_MARGIN};
	return text_block_make(&l->note, t, &r, e);
}

/* Tokens stand as text under their cells when there is room for a line of type each. */
static bool has_token_labels(const struct heatmap *h, const struct heatmap_layout *l)
{
	int n = h->last - h->first - h->n_sink - h->n_window;
	return n > 0 && (l->panel_w - l->sink_w - l->window_w) / n >= PLOT_TICK_SIZE;
}

static int lay_out_ticks(struct heatmap_layout *l, const struct heatmap *h, struct text_engine *t, struct err *e)
{
	l->token_labels = has_token_labels(h, l);
	double longest = PLOT_TICK_SIZE; /* S and W, and numbers, at least */
	for (int j = h->first + h->n_sink; l->token_labels && j < h->last - h->n_window; j++) {
		char *label = pieces_label(evaluation_capture(h->ev), j, HEATMAP_LABEL_CHARACTERS);
		if (!label)
			return err_set(e, ERR_MEMORY, "figure: out of memory");
		longest = fmax(longest, text_width(t, &plot_tick, label));
		free(label);
	}
	l->tick_h = PLOT_TICK + PLOT_GAP + longest + (l->token_labels ? PLOT_GAP : 0);
	return 0;
}

/* What lies around the cells of one panel row and of the figure; the rest of the height is cells. */
static int lay_out_heights(struct heatmap_layout *l, const struct heatmap *h, struct text_engine *t, struct err *e)
{
	bool stacked = l->columns == 1;
	l->top = PLOT_MARGIN + 3 + (h->n_prompt_sink ? 2 : 0); /* half a number of the colour bar; marks of sinks */
	l->kept_h = h->spec->rows == FIGURE_ONE ? HEATMAP_KEPT + 1.5 : 0;
	double between = stacked ? GAP_Y + l->kept_h : l->tick_h + PLOT_LINE_ROOM + GAP_Y + (h->n_prompt_sink ? 4 : 0);
	double note = text_block_n_line(l->note) * PLOT_LINE_ROOM;
	struct colour_bar bar = {.scale = h->spec->scale, .max = h->max};
	double below = l->kept_h + l->tick_h + (stacked ? 0 : PLOT_LINE_ROOM) + note + 3;
	double bar_room = l->bar_below ? 4 + PLOT_BAR + plot_colour_bar_room(t, &bar) : 0;
	double fixed = l->top + (l->grid_rows - 1) * between + below + bar_room + PLOT_MARGIN;
	double most = PLOT_MAX_HEIGHT, wanted = natural_height(h, stacked);
	l->panel_h = h->spec->height_in > 0 ? (h->spec->height_in * CANVAS_PT_PER_INCH - fixed) / l->grid_rows
	                                    : fmin(wanted, (most - fixed) / l->grid_rows);
	if (l->panel_h < fmin(wanted, 12))
		return err_set(e, ERR_USE, "figure: %d panels need at least %.2f in of height%s", h->n_panel,
			(fixed + l->grid_rows * fmin(wanted, 12)) / CANVAS_PT_PER_INCH,
			h->spec->height_in > 0 ? "" : ", the limit is 9; choose fewer methods");
	l->height = fixed + l->grid_rows * l->panel_h;
	l->step_y = l->panel_h + between;
	l->note_y = l->height - PLOT_MARGIN - bar_room - note;
	if (l->bar_below)
		l->bar_at = l->height - PLOT_MARGIN - bar_room + 4;
	return 0;
}

int heatmap_lay_out(struct heatmap *h, struct text_engine *t, struct err *e)
{
	struct heatmap_layout *out = &h->layout;
	*out = (struct heatmap_layout){.width = h->spec->width_in * CANVAS_PT_PER_INCH};
	out->bar_below = out->width < PLOT_WIDE;
	bool stacked = out->width < PLOT_WIDE || h->spec->rows == FIGURE_ONE || h->n_panel == 1;
	out->left = left_room(h, t, stacked);
	struct colour_bar bar = {.scale = h->spec->scale, .max = h->max, .upright = true};
	double right = out->bar_below ? PLOT_MARGIN + 4 : 7 + PLOT_BAR + plot_colour_bar_room(t, &bar) + PLOT_MARGIN;
	double room = out->width - out->left - right;
	if (room < 40)
		return err_set(e, ERR_USE, "figure: a width of %.2f in leaves no room for cells; %.2f is the least here",
			h->spec->width_in, (out->width - room + 40) / CANVAS_PT_PER_INCH);
	divide(out, h, room);
	out->bar_at = out->left + room + 7;
	divide_tokens(out, h);
	int rc = lay_out_ticks(out, h, t, e);
	if (!rc)
		rc = lay_out_note(out, h, t, e);
	if (!rc)
		rc = lay_out_heights(out, h, t, e);
	return rc;
}
