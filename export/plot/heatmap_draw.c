#include <math.h>
#include <stdlib.h>

#include "export/draw/pieces.h"
#include "export/plot/heatmap.h"

#define GROUND 0xf0f0f0u /* of masked cells */
#define BARS 0x7d7d7du
#define HATCH 0x9a9a9au

struct drawing {
	const struct heatmap *h;
	struct text_engine *t;
	struct canvas *c;
};

static struct rect panel_rect(const struct drawing *d, int i)
{
	const struct heatmap_layout *l = &d->h->layout;
	return (struct rect){l->panel_x[i], l->top + i / l->columns * l->step_y, l->panel_w, l->panel_h};
}

/* ---- cells ---- */

static void draw_masked(const struct drawing *d, struct rect r)
{
	static const struct stroke hatch = {.width = 0.4, .rgb = HATCH};
	if (r.w <= 0)
		return;
	canvas_fill(d->c, r, GROUND);
	canvas_hatch(d->c, r, 3, &hatch);
}

static void cell_bounds(const struct drawing *d, int cell, int *first, int *last)
{
	int n = d->h->last - d->h->first - d->h->n_sink - d->h->n_window;
	*first = d->h->n_sink + (int)((int64_t)cell * n / d->h->layout.n_cell);
	*last = d->h->n_sink + (int)((int64_t)(cell + 1) * n / d->h->layout.n_cell);
}

static void draw_cells(const struct drawing *d, const struct heatmap_panel *p, struct rect r)
{
	const struct heatmap *h = d->h;
	int n_cell = d->h->layout.n_cell, n_shown = h->last - h->first, first, last;
	uint32_t *rgb = malloc(sizeof *rgb * (size_t)n_cell * (size_t)h->n_row);
	if (!rgb) {
		canvas_fail(d->c);
		return;
	}
	for (int row = 0; row < h->n_row; row++)
		for (int i = 0; i < n_cell; i++) {
			cell_bounds(d, i, &first, &last);
			float value = heatmap_cell(h, p->value + (size_t)row * (size_t)n_shown, first, last);
			rgb[(size_t)row * (size_t)n_cell + (size_t)i] = isnan(value) ? GROUND : heatmap_rgb(h, value);
		}
	struct rect data = {r.x + d->h->layout.sink_w, r.y, r.w - d->h->layout.sink_w - d->h->layout.window_w, r.h};
	canvas_cells(d->c, data, rgb, n_cell, h->n_row);
	free(rgb);
}

/* Grey: the share of the cell's tokens that is kept. */
static void draw_kept(const struct drawing *d, const struct heatmap_panel *p, struct rect r)
{
	int n_cell = d->h->layout.n_cell, first, last;
	uint32_t *rgb = malloc(sizeof *rgb * (size_t)n_cell);
	if (!rgb) {
		canvas_fail(d->c);
		return;
	}
	for (int i = 0; i < n_cell; i++) {
		int kept = 0;
		cell_bounds(d, i, &first, &last);
		for (int j = first; j < last; j++)
			kept += p->kept[j];
		uint32_t grey = (uint32_t)lround(255 - 235.0 * kept / (last - first));
		rgb[i] = grey << 16 | grey << 8 | grey;
	}
	struct rect strip = {
		r.x + d->h->layout.sink_w, r.y + r.h + 1.5, r.w - d->h->layout.sink_w - d->h->layout.window_w, HEATMAP_KEPT};
	canvas_cells(d->c, strip, rgb, n_cell, 1);
	free(rgb);
	canvas_frame(d->c, strip, &(struct stroke){.width = 0.4, .rgb = PLOT_PALE});
}

/* How much of the best possible mass the row's choice keeps, beside the row. */
static void draw_best(const struct drawing *d, const struct heatmap_panel *p, struct rect r)
{
	struct rect strip = {r.x + r.w + HEATMAP_BEST_GAP, r.y, HEATMAP_BEST, r.h};
	double pitch = r.h / d->h->n_row;
	for (int row = 0; row < d->h->n_row; row++) {
		/* One bar for the query heads that choose together. */
		bool goes_on = d->h->spec->rows == FIGURE_HEADS && row + 1 < d->h->n_row
			&& plot_unit(d->h->ev, row) == plot_unit(d->h->ev, row + 1);
		if (isfinite(p->best[row]))
			canvas_fill(d->c,
				(struct rect){
					strip.x, r.y + row * pitch, fmin(p->best[row], 1) * strip.w, goes_on ? pitch : pitch * 0.82},
				BARS);
	}
	canvas_line(d->c, strip.x + strip.w / 2, strip.y, strip.x + strip.w / 2, strip.y + strip.h,
		&(struct stroke){.width = 0.4, .rgb = 0xffffff});
	canvas_frame(d->c, strip, &(struct stroke){.width = 0.4, .rgb = PLOT_PALE});
}

/* White lines between the query heads of different KV heads. */
static void draw_groups(const struct drawing *d, struct rect r)
{
	static const struct stroke line = {.width = 0.8, .rgb = 0xffffff};
	const struct capture *c = evaluation_capture(d->h->ev);
	int size = c->n_head / c->n_kv_head;
	for (int head = size; d->h->spec->rows == FIGURE_HEADS && size > 1 && head < c->n_head; head += size) {
		double y = r.y + r.h * head / c->n_head;
		canvas_line(d->c, r.x, y, r.x + r.w, y, &line);
	}
}

/* ---- axes ---- */

static void draw_prompt_sinks(const struct drawing *d, struct rect r)
{
	double before = -INFINITY;
	for (int j = d->h->first; j < d->h->last; j++) {
		double x = r.x + heatmap_x(d->h, j + 0.5);
		if (!d->h->prompt_sink[j - d->h->first] || x < before + 1.2)
			continue;
		const struct point mark[] = {{x - 1.5, r.y - 3.6}, {x + 1.5, r.y - 3.6}, {x, r.y - 1}};
		canvas_polygon(d->c, mark, 3, PLOT_INK);
		before = x;
	}
}

static void draw_rows_axis(const struct drawing *d, struct rect r)
{
	double pitch = r.h / d->h->n_row;
	int step = plot_tick_step(d->h->n_row, (int)fmax(2, r.h / (PLOT_TICK_SIZE + 1.5)));
	for (int row = 0; row < d->h->n_row; row += step) {
		char text[16];
		double y = r.y + (row + 0.5) * pitch;
		snprintf(text, sizeof text, "%d", row);
		canvas_line(d->c, r.x - PLOT_TICK, y, r.x, y, &plot_frame);
		struct point at = {r.x - PLOT_TICK - PLOT_GAP, y + PLOT_TICK_SIZE * TEXT_ASCENT / 2};
		canvas_text(d->c, d->t, &plot_tick, at, ALIGN_RIGHT, TURN_NONE, text);
	}
}

static void draw_position(const struct drawing *d, double x, double y, const char *text)
{
	canvas_line(d->c, x, y, x, y + PLOT_TICK, &plot_frame);
	struct point at = {x, y + PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE * TEXT_ASCENT};
	canvas_text(d->c, d->t, &plot_tick, at, ALIGN_CENTRE, TURN_NONE, text);
}

/* Numbers that would run into S, W or each other are left out. */
static void draw_numbers(const struct drawing *d, struct rect r, double y)
{
	const struct heatmap *h = d->h;
	char text[16];
	snprintf(text, sizeof text, "%d", h->last);
	double number_w = text_width(d->t, &plot_tick, text);
	int first = h->first + h->n_sink, last = h->last - h->n_window;
	double left = r.x + (d->h->layout.sink_w > 0 ? d->h->layout.sink_w + 1 : -number_w);
	double right = r.x + r.w + (d->h->layout.window_w > 0 ? -d->h->layout.window_w - 1 : number_w);
	int step = plot_tick_step(last - first, (int)fmax(2, r.w / (number_w + 7)));
	for (int j = (first + step - 1) / step * step; j < last; j += step) {
		double x = r.x + heatmap_x(h, j + 0.5);
		snprintf(text, sizeof text, "%d", j);
		double half = text_width(d->t, &plot_tick, text) / 2;
		if (x - half >= left && x + half <= right)
			draw_position(d, x, y, text);
	}
}

static void draw_token_labels(const struct drawing *d, struct rect r, double y)
{
	for (int j = d->h->first + d->h->n_sink; j < d->h->last - d->h->n_window; j++) {
		char *label = pieces_label(evaluation_capture(d->h->ev), j, HEATMAP_LABEL_CHARACTERS);
		if (!label) {
			canvas_fail(d->c);
			return;
		}
		double x = r.x + heatmap_x(d->h, j + 0.5);
		canvas_line(d->c, x, y, x, y + PLOT_TICK, &plot_frame);
		struct point at = {x + PLOT_TICK_SIZE * TEXT_ASCENT / 2, y + PLOT_TICK + PLOT_GAP};
		canvas_text(d->c, d->t, &plot_tick, at, ALIGN_RIGHT, TURN_LEFT, label);
		free(label);
	}
}

static void draw_token_axis(const struct drawing *d, struct rect r)
{
	double y = r.y + r.h + d->h->layout.kept_h;
	struct point at = {r.x + d->h->layout.sink_w / 2, y + PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE * TEXT_ASCENT};
	if (d->h->layout.sink_w > 0)
		canvas_text(d->c, d->t, &plot_tick, at, ALIGN_CENTRE, TURN_NONE, "S");
	at.x = r.x + r.w - d->h->layout.window_w / 2;
	if (d->h->layout.window_w > 0)
		canvas_text(d->c, d->t, &plot_tick, at, ALIGN_CENTRE, TURN_NONE, "W");
	if (d->h->layout.token_labels)
		draw_token_labels(d, r, y);
	else
		draw_numbers(d, r, y);
}

static void rows_label(const struct drawing *d, char *out, size_t n_out)
{
	if (d->h->spec->rows == FIGURE_HEADS)
		snprintf(
			out, n_out, d->h->layout.panel_h < 90 ? "head, layer %d" : "query head, layer %d", d->h->spec->layer);
	else
		snprintf(out, n_out, "layer");
}

static void draw_labels(const struct drawing *d, int i, struct rect r)
{
	bool stacked = d->h->layout.columns == 1;
	double base = PLOT_LINE_ROOM * TEXT_ASCENT;
	char text[48];
	if (d->h->spec->rows == FIGURE_ONE) {
		plot_panel_name(d->c, d->t, i, d->h->panel[i].label,
			(struct point){PLOT_MARGIN, r.y + r.h / 2 + PLOT_LABEL_SIZE * TEXT_ASCENT / 2}, ALIGN_LEFT, TURN_NONE);
		return;
	}
	if (stacked)
		plot_panel_name(d->c, d->t, i, d->h->panel[i].label, (struct point){PLOT_MARGIN + base, r.y + r.h / 2},
			ALIGN_CENTRE, TURN_LEFT);
	else
		plot_panel_name(d->c, d->t, i, d->h->panel[i].label,
			(struct point){r.x + r.w / 2, r.y + r.h + d->h->layout.tick_h + base}, ALIGN_CENTRE, TURN_NONE);
	rows_label(d, text, sizeof text);
	if (i % d->h->layout.columns == 0)
		canvas_text(d->c, d->t, &plot_label,
			(struct point){PLOT_MARGIN + base + (stacked ? PLOT_LINE_ROOM : 0), r.y + r.h / 2}, ALIGN_CENTRE,
			TURN_LEFT, text);
}

static void draw_panel(const struct drawing *d, int i)
{
	const struct heatmap_panel *p = &d->h->panel[i];
	struct rect r = panel_rect(d, i);
	bool stacked = d->h->layout.columns == 1, last_row = i + d->h->layout.columns >= d->h->n_panel;
	plot_begin_panel(d->c, i);
	if (d->h->layout.n_cell)
		draw_cells(d, p, r);
	draw_masked(d, (struct rect){r.x, r.y, d->h->layout.sink_w, r.h});
	draw_masked(d, (struct rect){r.x + r.w - d->h->layout.window_w, r.y, d->h->layout.window_w, r.h});
	draw_groups(d, r);
	canvas_frame(d->c, r, &plot_frame);
	if (p->kept && d->h->layout.n_cell)
		draw_kept(d, p, r);
	if (p->best)
		draw_best(d, p, r);
	if (!stacked || i == 0)
		draw_prompt_sinks(d, r);
	if (i % d->h->layout.columns == 0 && d->h->spec->rows != FIGURE_ONE)
		draw_rows_axis(d, r);
	if (!stacked || last_row)
		draw_token_axis(d, r);
	draw_labels(d, i, r);
	canvas_end(d->c);
}

void heatmap_draw(const struct heatmap *h, struct text_engine *t, struct canvas *c)
{
	const struct heatmap_layout *l = &h->layout;
	struct drawing d = {h, t, c};
	for (int i = 0; i < h->n_panel; i++)
		draw_panel(&d, i);
	double all_h = (l->grid_rows - 1) * l->step_y + l->panel_h + l->kept_h, all_w = l->right - l->left;
	plot_note(c, l->note, text_block_n_line(l->note) > 1 ? l->width / 2 : l->left + all_w / 2, PLOT_MARGIN,
		l->width - PLOT_MARGIN, l->note_y);
	struct colour_bar bar = {
		.scale = h->spec->scale, .colour = plot_colour(h->spec), .max = h->max, .upright = !l->bar_below};
	if (l->bar_below)
		bar.at = (struct rect){l->left, l->bar_at, all_w, PLOT_BAR};
	else
		bar.at = (struct rect){l->bar_at, l->top, PLOT_BAR, fmin(all_h, 190)};
	plot_colour_bar(c, t, &bar);
}
