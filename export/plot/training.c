#include "export/plot/training.h"

#include <math.h>
#include <stdlib.h>

#include "export/plot/look.h"
#include "export/table.h"

#define LEGEND_ROW 10.5
#define SAMPLE 22.0 /* length of a line in the legend */
#define LEAST_PANEL 60.0
#define LOSS_COLOUR 0x555555u

static const char *const panel_name[TRAINING_MAX_PANEL] = {"KL(truth \xe2\x80\x96 prediction)", "truth's picks found, %", "best mass, %"};
static const char loss_label[] = "loss of the steps";
static const char *const method_label[N_TRAINING_METHOD] = {"modules, held-out prompts", "SnapKV", "untrained"};

/* ---- data ---- */

/* A step is one batch: the curve that an eye looks for is the mean over a window of a fiftieth of the training. */
static void smoothen(struct training *t)
{
	int n = t->log->n_step, reach = n / 100 > 1 ? n / 100 : 1;
	for (int i = 0; i < n; i++) {
		int from = i - reach > 0 ? i - reach : 0, to = i + reach < n - 1 ? i + reach : n - 1;
		double sum = 0;
		for (int k = from; k <= to; k++)
			sum += t->log->loss[k];
		t->smooth[i] = sum / (to - from + 1);
	}
}

static void widen(struct training *t, double kl)
{
	if (!(kl > 0) || !isfinite(kl))
		return;
	t->low = fmin(t->low, kl);
	t->high = fmax(t->high, kl);
}

static void find_ranges(struct training *t)
{
	const struct training_log *l = t->log;
	t->low = INFINITY;
	t->high = 0;
	for (int i = 0; i < l->n_step; i++)
		widen(t, l->loss[i]);
	for (int i = 0; i < l->n_held; i++)
		for (int k = 0; k < N_TRAINING_METHOD; k++)
			widen(t, l->held[k][i].kl);
	t->low /= 1.08;
	t->high *= 1.08;
	t->first = l->n_step ? l->step[0] : l->held_step[0];
	t->last = l->n_step ? l->step[l->n_step - 1] : t->first;
	if (l->n_held) {
		t->first = l->held_step[0] < t->first ? l->held_step[0] : t->first;
		t->last = l->held_step[l->n_held - 1] > t->last ? l->held_step[l->n_held - 1] : t->last;
	}
}

int training_make(struct training *out, const struct training_log *log, const struct figure_spec *spec, struct err *e)
{
	*out = (struct training){.log = log, .spec = spec};
	out->smooth = malloc(((size_t)log->n_step + 1) * sizeof *out->smooth);
	if (!out->smooth)
		return err_set(e, ERR_MEMORY, "figure: out of memory for %d steps", log->n_step);
	smoothen(out);
	find_ranges(out);
	return out->high > 0 ? 0 : (int)err_set(e, ERR_USE, "figure: the log has no loss above 0");
}

static void free_plot(void *plot)
{
	free(((struct training *)plot)->smooth);
	*(struct training *)plot = (struct training){0};
}

/* ---- layout ---- */

static double entry_width(struct text_engine *text, const char *label)
{
	return SAMPLE + 4 + text_width(text, &plot_label, label) + 12;
}

/* Entries follow each other and break where the paper ends, here and when they are drawn. */
static int legend_rows(const struct training *t, struct text_engine *text)
{
	const struct training_layout *l = &t->layout;
	double x = l->left + entry_width(text, loss_label);
	int rows = 1;
	for (int method = 0; t->log->n_held && method < N_TRAINING_METHOD; method++) {
		double w = entry_width(text, method_label[method]);
		if (x + w - 12 > l->width - PLOT_MARGIN) {
			x = l->left;
			rows++;
		}
		x += w;
	}
	return rows;
}

/* Four to five, and no less than the panels' names need beside it. */
static double usual_height(const struct training *t, struct text_engine *text)
{
	double widest = 0;
	for (int i = 0; i < t->layout.n_panel; i++)
		widest = fmax(widest, plot_panel_name_width(text, panel_name[i]));
	return fmax(widest, fmin(t->layout.panel_w * 0.8, 150));
}

static int lay_out(void *plot, struct text_engine *text, double *width, double *height, struct err *e)
{
	struct training *t = plot;
	struct training_layout *l = &t->layout;
	*l = (struct training_layout){.width = t->spec->width_in * CANVAS_PT_PER_INCH, .n_panel = t->log->n_held ? TRAINING_MAX_PANEL : 1};
	l->columns = l->width >= PLOT_WIDE ? l->n_panel : 1;
	l->left = PLOT_MARGIN + PLOT_LINE_ROOM + 2 + text_width(text, &plot_tick, "0.05") + PLOT_GAP + PLOT_TICK;
	double gap = l->left + 4, right = PLOT_MARGIN + text_width(text, &plot_tick, "100000") / 2;
	l->panel_w = (l->width - l->left - right - (l->columns - 1) * gap) / l->columns;
	if (l->panel_w < LEAST_PANEL)
		return err_set(e, ERR_USE, "figure: a width of %.2f in leaves no room for a training; %.2f is the least here", t->spec->width_in,
			(l->left + right + LEAST_PANEL + (l->columns - 1) * (gap + LEAST_PANEL)) / CANVAS_PT_PER_INCH);
	l->step_x = l->panel_w + gap;
	int rows = l->n_panel / l->columns;
	double ticks = PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE, between = 9;
	l->top = PLOT_MARGIN + PLOT_TICK_SIZE / 2;
	double legend = legend_rows(t, text) * LEGEND_ROW;
	double fixed = l->top + (rows - 1) * between + ticks + 2 + PLOT_LINE_ROOM + 4 + legend + PLOT_MARGIN;
	l->panel_h = t->spec->height_in > 0 ? (t->spec->height_in * CANVAS_PT_PER_INCH - fixed) / rows : usual_height(t, text);
	if (l->panel_h < 30)
		return err_set(e, ERR_USE, "figure: a training needs at least %.2f in of height", (fixed + 30 * rows) / CANVAS_PT_PER_INCH);
	l->step_y = l->panel_h + between;
	l->height = fixed + rows * l->panel_h;
	l->legend_y = l->height - PLOT_MARGIN - legend;
	l->axis_y = l->legend_y - 4 - PLOT_LINE_ROOM;
	*width = l->width;
	*height = l->height;
	return 0;
}

/* ---- drawing ---- */

struct drawing {
	const struct training *t;
	struct text_engine *text;
	struct canvas *canvas;
};

static struct rect panel_rect(const struct training *t, int i)
{
	const struct training_layout *l = &t->layout;
	return (struct rect){l->left + i % l->columns * l->step_x, l->top + i / l->columns * l->step_y, l->panel_w, l->panel_h};
}

static double x_of(const struct training *t, struct rect r, int step)
{
	return t->last > t->first ? r.x + r.w * ((double)step - t->first) / ((double)t->last - t->first) : r.x + r.w / 2;
}

/* Panel 0 is logarithmic in KL, the others are shares. */
static double y_of(const struct training *t, struct rect r, int panel, double value)
{
	double share = panel ? value : log(value / t->low) / log(t->high / t->low);
	return r.y + r.h * (1 - share);
}

static double value_of(const struct training_score *s, int panel)
{
	return panel == 0 ? s->kl : panel == 1 ? s->overlap : s->mass_ratio;
}

static void tick(const struct drawing *d, struct rect r, double y, const char *label)
{
	static const struct stroke grid = {.width = 0.4, .rgb = 0xe0e0e0};
	canvas_line(d->canvas, r.x, y, r.x + r.w, y, &grid);
	canvas_line(d->canvas, r.x - PLOT_TICK, y, r.x, y, &plot_frame);
	canvas_text(d->canvas, d->text, &plot_tick, (struct point){r.x - PLOT_TICK - PLOT_GAP, y + PLOT_TICK_SIZE * TEXT_ASCENT / 2}, ALIGN_RIGHT,
		TURN_NONE, label);
}

static void draw_value_ticks(const struct drawing *d, int panel, struct rect r)
{
	static const double digits[] = {1, 2, 5};
	char label[24];
	for (int percent = 0; panel && percent <= 100; percent += 25) {
		snprintf(label, sizeof label, "%d", percent);
		tick(d, r, y_of(d->t, r, panel, percent / 100.0), label);
	}
	for (int power = -9; !panel && power <= 4; power++)
		for (int i = 0; i < 3; i++) {
			double value = digits[i] * pow(10, power);
			snprintf(label, sizeof label, "%.*f", power < 0 ? -power : 0, value);
			if (value >= d->t->low && value <= d->t->high)
				tick(d, r, y_of(d->t, r, panel, value), label);
		}
}

/* Panels on top of each other share the numbers under the last. */
static void draw_step_ticks(const struct drawing *d, int panel, struct rect r)
{
	bool last = panel + d->t->layout.columns >= d->t->layout.n_panel;
	int64_t by = plot_tick_step(d->t->last - d->t->first, 5);
	for (int64_t step = (d->t->first + by - 1) / by * by; step <= d->t->last; step += by) {
		char label[24];
		double x = x_of(d->t, r, (int)step), y = r.y + r.h;
		canvas_line(d->canvas, x, y, x, y + PLOT_TICK, &plot_frame);
		snprintf(label, sizeof label, "%lld", (long long)step);
		if (last)
			canvas_text(d->canvas, d->text, &plot_tick, (struct point){x, y + PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE * TEXT_ASCENT},
				ALIGN_CENTRE, TURN_NONE, label);
	}
}

/* Lines in pieces of a fixed length, each beginning where the last ended: a training may have any number of steps. */
struct pen {
	struct canvas *canvas;
	struct stroke stroke;
	struct point p[256];
	int n;
};

static void pen_lift(struct pen *pen)
{
	if (pen->n > 1)
		canvas_path(pen->canvas, pen->p, pen->n, &pen->stroke);
	pen->n = 0;
}

static void pen_to(struct pen *pen, struct point at)
{
	enum { ROOM = sizeof pen->p / sizeof *pen->p };
	pen->p[pen->n++] = at;
	if (pen->n < ROOM)
		return;
	pen_lift(pen);
	pen->p[pen->n++] = at;
}

static void draw_losses(const struct drawing *d, struct rect r)
{
	const struct training *t = d->t;
	struct pen pale = {.canvas = d->canvas, .stroke = {.width = 0.3, .rgb = 0xc8c8c8}}, dark = {.canvas = d->canvas, .stroke = {.width = 1.0, .rgb = LOSS_COLOUR}};
	for (int i = 0; i < t->log->n_step; i++) {
		double x = x_of(t, r, t->log->step[i]), loss = t->log->loss[i];
		if (!(loss > 0) || !(t->smooth[i] > 0))
			continue;
		pen_to(&pale, (struct point){x, y_of(t, r, 0, loss)});
		pen_to(&dark, (struct point){x, y_of(t, r, 0, t->smooth[i])});
	}
	pen_lift(&pale);
	pen_lift(&dark);
}

static void draw_method(const struct drawing *d, int panel, int method, struct rect r)
{
	const struct training *t = d->t;
	const struct plot_look *look = plot_look_of(training_method_name[method]);
	struct pen pen = {.canvas = d->canvas, .stroke = plot_look_stroke(look)};
	for (int i = 0; i < t->log->n_held; i++) {
		double value = value_of(&t->log->held[method][i], panel);
		if (!isfinite(value) || (panel == 0 && !(value > 0)))
			continue;
		struct point at = {x_of(t, r, t->log->held_step[i]), y_of(t, r, panel, value)};
		pen_to(&pen, at);
		plot_marker(d->canvas, look->marker, at, look->rgb);
	}
	pen_lift(&pen);
}

static void draw_panel(const struct drawing *d, int panel)
{
	struct rect r = panel_rect(d->t, panel);
	plot_begin_panel(d->canvas, panel);
	draw_value_ticks(d, panel, r);
	draw_step_ticks(d, panel, r);
	canvas_frame(d->canvas, r, &plot_frame);
	if (panel == 0)
		draw_losses(d, r);
	for (int method = N_TRAINING_METHOD - 1; method >= 0; method--) /* the modules on top */
		draw_method(d, panel, method, r);
	plot_panel_name(d->canvas, d->text, panel, panel_name[panel],
		(struct point){r.x - d->t->layout.left + PLOT_MARGIN + PLOT_LINE_ROOM * TEXT_ASCENT, r.y + r.h / 2}, ALIGN_CENTRE, TURN_LEFT);
	canvas_end(d->canvas);
}

static void legend_entry(const struct drawing *d, struct point at, const struct stroke *s, const struct plot_look *look, const char *label)
{
	canvas_line(d->canvas, at.x, at.y, at.x + SAMPLE, at.y, s);
	if (look)
		plot_marker(d->canvas, look->marker, (struct point){at.x + SAMPLE / 2, at.y}, look->rgb);
	canvas_text(d->canvas, d->text, &plot_label, (struct point){at.x + SAMPLE + 4, at.y + PLOT_LABEL_SIZE * TEXT_ASCENT / 2 - 0.3},
		ALIGN_LEFT, TURN_NONE, label);
}

static void draw_legend(const struct drawing *d)
{
	const struct training_layout *l = &d->t->layout;
	static const struct stroke loss = {.width = 1.0, .rgb = LOSS_COLOUR};
	struct point at = {l->left, l->legend_y + LEGEND_ROW / 2};
	canvas_begin(d->canvas, "legend");
	legend_entry(d, at, &loss, NULL, loss_label);
	at.x += entry_width(d->text, loss_label);
	for (int method = 0; d->t->log->n_held && method < N_TRAINING_METHOD; method++) {
		const struct plot_look *look = plot_look_of(training_method_name[method]);
		const struct stroke s = plot_look_stroke(look);
		double w = entry_width(d->text, method_label[method]);
		if (at.x + w - 12 > l->width - PLOT_MARGIN)
			at = (struct point){l->left, at.y + LEGEND_ROW};
		legend_entry(d, at, &s, look, method_label[method]);
		at.x += w;
	}
	canvas_end(d->canvas);
}

static void draw(const void *plot, struct text_engine *text, struct canvas *canvas)
{
	const struct training *t = plot;
	const struct training_layout *l = &t->layout;
	const struct drawing d = {t, text, canvas};
	for (int i = 0; i < l->n_panel; i++)
		draw_panel(&d, i);
	double middle = l->left + ((l->columns - 1) * l->step_x + l->panel_w) / 2;
	canvas_text(canvas, text, &plot_label, (struct point){middle, l->axis_y + PLOT_LINE_ROOM * TEXT_ASCENT}, ALIGN_CENTRE, TURN_NONE, "step");
	draw_legend(&d);
}

/* ---- tables ---- */

static void write_csv(const void *plot, FILE *f)
{
	const struct training_log *l = ((const struct training *)plot)->log;
	fputs("step,method,kl,overlap,mass_ratio\n", f);
	for (int i = 0; i < l->n_step; i++) {
		fprintf(f, "%d,loss,", l->step[i]);
		plot_csv_number(f, l->loss[i]);
		fputs(",,\n", f);
	}
	for (int i = 0; i < l->n_held; i++)
		for (int k = 0; k < N_TRAINING_METHOD; k++) {
			const struct training_score *s = &l->held[k][i];
			fprintf(f, "%d,%s,", l->held_step[i], training_method_name[k]);
			plot_csv_number(f, s->kl);
			fputc(',', f);
			plot_csv_number(f, s->overlap);
			fputc(',', f);
			plot_csv_number(f, s->mass_ratio);
			fputc('\n', f);
		}
}

static json_t *json_score(const struct training_score *s)
{
	json_t *object = json_object();
	int failed = plot_json_set(object, "kl", table_json_number(s->kl));
	failed |= plot_json_set(object, "overlap", table_json_number(s->overlap));
	failed |= plot_json_set(object, "mass_ratio", table_json_number(s->mass_ratio));
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *json_judgement(const struct training_log *l, int i)
{
	json_t *object = json_object();
	int failed = plot_json_set(object, "step", json_integer(l->held_step[i]));
	for (int k = 0; k < N_TRAINING_METHOD; k++)
		failed |= plot_json_set(object, training_method_name[k], json_score(&l->held[k][i]));
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

static int write_json(const void *plot, json_t *root)
{
	const struct training_log *l = ((const struct training *)plot)->log;
	json_t *step = json_array(), *loss = json_array(), *held_out = json_array();
	int failed = 0;
	for (int i = 0; i < l->n_step; i++) {
		failed |= json_array_append_new(step, json_integer(l->step[i]));
		failed |= json_array_append_new(loss, table_json_number(l->loss[i]));
	}
	for (int i = 0; i < l->n_held; i++)
		failed |= json_array_append_new(held_out, json_judgement(l, i));
	failed |= plot_json_set(root, "step", step);
	failed |= plot_json_set(root, "loss", loss);
	failed |= plot_json_set(root, "held_out", held_out);
	return failed ? -1 : 0;
}

const struct plot_ops plot_training = {
	.name = "training",
	.bytes = sizeof(struct training),
	.free = free_plot,
	.lay_out = lay_out,
	.draw = draw,
	.csv = write_csv,
	.json = write_json,
};
