/* Curves on paper: two panels over one logarithmic budget axis. Lines differ in colour, dash and marker, so
 * that grey print and colour-blind readers tell them apart (colours after Okabe and Ito). */
#include <math.h>
#include <string.h>

#include "export/plot/curves.h"
#include "export/plot/look.h"

#define N_PANEL 2
#define SAMPLE 22.0 /* length of a line in the legend */
#define LEGEND_ROW 10.5
#define LEAST_PANEL 60.0

static const struct plot_look *look_of(const struct curves *c, int line)
{
	int n_other = 0;
	const struct plot_look *look = NULL;
	for (int i = 0; i <= line; i++) {
		look = plot_look_of(c->line[i].name);
		n_other += look == NULL;
	}
	return look ? look : plot_look_other(n_other - 1);
}

static const double *values(const struct curves_line *l, int panel)
{
	return panel == 0 ? l->mass : l->overlap;
}

/* Truth agrees with itself: as a curve of overlap it would only be the frame. */
static bool is_shown(const struct curves_line *l, int panel)
{
	return panel == 0 || strcmp(l->name, "truth");
}

/* ---- layout ---- */

static int lay_out_note(struct curves *c, struct text_engine *t, struct err *e)
{
	char text[240], scope[80];
	const struct selection *s = &evaluation_protocol(c->ev)->select;
	plot_scope_text(c->ev, c->scope, scope, sizeof scope);
	snprintf(text, sizeof text, "budget: tokens kept per KV head, first %d and last %d counted (%s)", s->sink,
		s->window, scope);
	struct text_request r = {
		.utf8 = text, .n_bytes = strlen(text), .style = plot_label, .wrap = c->layout.width - 2 * PLOT_MARGIN};
	return text_block_make(&c->layout.note, t, &r, e);
}

static void lay_out_legend(struct curves *c, struct text_engine *t)
{
	struct curves_layout *l = &c->layout;
	double widest = 0, room = l->width - l->left - PLOT_MARGIN;
	for (int i = 0; i < c->n_line; i++)
		widest = fmax(widest, text_width(t, &plot_label, c->line[i].label));
	l->legend_w = SAMPLE + 4 + widest + 10;
	int most = (int)fmax(1, floor((room + 10) / l->legend_w));
	int rows = (c->n_line + most - 1) / most;
	l->legend_columns = (c->n_line + rows - 1) / rows;
}

int curves_lay_out(struct curves *c, struct text_engine *t, struct err *e)
{
	struct curves_layout *l = &c->layout;
	*l = (struct curves_layout){.width = c->spec->width_in * CANVAS_PT_PER_INCH};
	l->columns = l->width >= PLOT_WIDE ? 2 : 1;
	l->left = PLOT_MARGIN + PLOT_LINE_ROOM + 2 + text_width(t, &plot_tick, "100") + PLOT_GAP + PLOT_TICK;
	double gap = l->left + 6, right = PLOT_MARGIN + 6;
	l->panel_w = (l->width - l->left - right - (l->columns - 1) * gap) / l->columns;
	if (l->panel_w < LEAST_PANEL)
		return err_set(e, ERR_USE, "figure: a width of %.2f in leaves no room for curves; %.2f is the least here",
			c->spec->width_in, (l->left + right + LEAST_PANEL) / CANVAS_PT_PER_INCH);
	l->step_x = l->panel_w + gap;
	int rc = lay_out_note(c, t, e);
	if (rc)
		return rc;
	lay_out_legend(c, t);
	int grid_rows = N_PANEL / l->columns, legend_rows = (c->n_line + l->legend_columns - 1) / l->legend_columns;
	double ticks = PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE, note = text_block_n_line(l->note) * PLOT_LINE_ROOM;
	double between = 9, fixed = PLOT_MARGIN + PLOT_TICK_SIZE / 2 + (grid_rows - 1) * between + ticks + 2 + note + 4
		+ legend_rows * LEGEND_ROW + PLOT_MARGIN;
	l->top = PLOT_MARGIN + PLOT_TICK_SIZE / 2;
	l->panel_h = c->spec->height_in > 0 ? (c->spec->height_in * CANVAS_PT_PER_INCH - fixed) / grid_rows
	                                    : fmin(l->panel_w * 0.72, 150);
	if (l->panel_h < 30)
		return err_set(e, ERR_USE, "figure: curves need at least %.2f in of height",
			(fixed + 30 * grid_rows) / CANVAS_PT_PER_INCH);
	l->step_y = l->panel_h + between;
	l->height = fixed + grid_rows * l->panel_h;
	l->legend_y = l->height - PLOT_MARGIN - legend_rows * LEGEND_ROW;
	l->note_y = l->legend_y - 4 - note;
	return 0;
}

/* ---- drawing ---- */

struct drawing {
	const struct curves *c;
	struct text_engine *t;
	struct canvas *canvas;
};

static struct rect panel_rect(const struct curves *c, int i)
{
	const struct curves_layout *l = &c->layout;
	return (struct rect){
		l->left + i % l->columns * l->step_x, l->top + i / l->columns * l->step_y, l->panel_w, l->panel_h};
}

static double x_of(const struct curves *c, struct rect r, double budget)
{
	double low = log2(c->budget[0]), high = log2(c->budget[c->n_point - 1]);
	return high > low ? r.x + (log2(budget) - low) / (high - low) * r.w : r.x + r.w / 2;
}

static bool is_power_of_two(int x)
{
	return (x & (x - 1)) == 0;
}

static void draw_line(const struct drawing *d, int i, int panel, struct rect r)
{
	const struct curves *c = d->c;
	const struct plot_look *look = look_of(c, i);
	const double *y = values(&c->line[i], panel);
	struct stroke s = plot_look_stroke(look);
	struct point p[160];
	int n = 0;
	for (int k = 0; k < c->n_point; k++) {
		struct point at = {x_of(c, r, c->budget[k]), r.y + r.h * (1 - y[k])};
		if (isfinite(y[k]) && n < (int)(sizeof p / sizeof *p))
			p[n++] = at;
		if (isfinite(y[k]) && is_power_of_two(c->budget[k]))
			plot_marker(d->canvas, look->marker, at, look->rgb);
	}
	canvas_path(d->canvas, p, n, &s);
}

static void draw_axes(const struct drawing *d, int panel, struct rect r)
{
	static const char *const names[N_PANEL] = {"mass kept, %", "truth's picks found, %"};
	const struct curves *c = d->c;
	static const struct stroke grid = {.width = 0.4, .rgb = 0xe0e0e0};
	bool bottom = panel + c->layout.columns >= N_PANEL;
	for (int percent = 0; percent <= 100; percent += 25) {
		char text[16];
		double y = r.y + r.h * (1 - percent / 100.0);
		snprintf(text, sizeof text, "%d", percent);
		canvas_line(d->canvas, r.x, y, r.x + r.w, y, &grid);
		canvas_line(d->canvas, r.x - PLOT_TICK, y, r.x, y, &plot_frame);
		canvas_text(d->canvas, d->t, &plot_tick,
			(struct point){r.x - PLOT_TICK - PLOT_GAP, y + PLOT_TICK_SIZE * TEXT_ASCENT / 2}, ALIGN_RIGHT, TURN_NONE,
			text);
	}
	double last = -INFINITY;
	for (int k = 0; k < c->n_point; k++) {
		char text[16];
		double x = x_of(c, r, c->budget[k]), y = r.y + r.h;
		if (!is_power_of_two(c->budget[k]))
			continue;
		canvas_line(d->canvas, x, r.y, x, y, &grid);
		canvas_line(d->canvas, x, y, x, y + PLOT_TICK, &plot_frame);
		snprintf(text, sizeof text, "%d", c->budget[k]);
		double half = text_width(d->t, &plot_tick, text) / 2;
		if (!bottom || x - half < last + 3)
			continue;
		canvas_text(d->canvas, d->t, &plot_tick,
			(struct point){x, y + PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE * TEXT_ASCENT}, ALIGN_CENTRE, TURN_NONE,
			text);
		last = x + half;
	}
	plot_panel_name(d->canvas, d->t, panel, names[panel],
		(struct point){r.x - d->c->layout.left + PLOT_MARGIN + PLOT_LINE_ROOM * TEXT_ASCENT, r.y + r.h / 2},
		ALIGN_CENTRE, TURN_LEFT);
}

static void draw_panel(const struct drawing *d, int panel)
{
	struct rect r = panel_rect(d->c, panel);
	plot_begin_panel(d->canvas, panel);
	draw_axes(d, panel, r);
	canvas_frame(d->canvas, r, &plot_frame);
	for (int i = d->c->n_line - 1; i >= 0; i--) /* the first methods on top */
		if (is_shown(&d->c->line[i], panel))
			draw_line(d, i, panel, r);
	canvas_end(d->canvas);
}

static void draw_legend(const struct drawing *d)
{
	const struct curves_layout *l = &d->c->layout;
	int rows = (d->c->n_line + l->legend_columns - 1) / l->legend_columns;
	canvas_begin(d->canvas, "legend");
	for (int i = 0; i < d->c->n_line; i++) {
		const struct plot_look *look = look_of(d->c, i);
		double x = l->left + i / rows * l->legend_w, y = l->legend_y + (i % rows + 0.5) * LEGEND_ROW;
		struct stroke s = plot_look_stroke(look);
		canvas_line(d->canvas, x, y, x + SAMPLE, y, &s);
		plot_marker(d->canvas, look->marker, (struct point){x + SAMPLE / 2, y}, look->rgb);
		canvas_text(d->canvas, d->t, &plot_label,
			(struct point){x + SAMPLE + 4, y + PLOT_LABEL_SIZE * TEXT_ASCENT / 2 - 0.3}, ALIGN_LEFT, TURN_NONE,
			d->c->line[i].label);
	}
	canvas_end(d->canvas);
}

void curves_draw(const struct curves *c, struct text_engine *t, struct canvas *canvas)
{
	const struct curves_layout *l = &c->layout;
	struct drawing d = {c, t, canvas};
	for (int i = 0; i < N_PANEL; i++)
		draw_panel(&d, i);
	double middle = l->left + ((l->columns - 1) * l->step_x + l->panel_w) / 2;
	plot_note(canvas, l->note, middle, PLOT_MARGIN, l->width - PLOT_MARGIN, l->note_y);
	draw_legend(&d);
}
