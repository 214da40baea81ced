/* Heads: one number for every layer and head, a strip of cells a method: layers run to the right, heads down. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/plot/plot.h"
#include "export/table.h"

#define CELL_TALL 9.0   /* most a cell measures upwards */
#define CELL_LEAST 2.0
#define BAR_LEAST 66.0  /* of the colour bar, for its ticks and its label */
#define PANEL_GAP 5.0
#define NAME_ROOM 11.0  /* of a panel's name above it */
#define BAR_GAP 9.0
#define LAYER_TICKS 12  /* at most */

static const double kl_low = 0.01, kl_high = 1; /* ends of the scale, as on the screen */

struct panel {
	int method; /* of the evaluation */
	const char *name, *label;
	double *value; /* (n_layer, n_column); NaN: not defined */
	double mean;
	int worst;     /* index of the worst value, -1: none is defined */
};

struct heads_plot {
	const struct evaluation *ev;
	const struct figure_spec *spec;
	int n_layer, n_column; /* columns of a layer: KV heads, or query heads for KL */
	int snapkv, ceiling;   /* methods, -1: not there */
	int n_panel;
	struct panel panel[PLOT_MAX_PANEL];
	double left, top, cell_w, cell_h, step_y, note_y; /* points, after lay_out */
	struct text_block *note;
};

static const struct measure_text {
	const char *name, *what, *label;
	bool is_signed; /* about 0, else from 0 */
	bool less_is_better;
} texts[] = {
	[FIGURE_MASS] = {"mass", "best mass: share of the best possible mass that is kept", "best mass", false, false},
	[FIGURE_PICKS] = {"picks", "share of truth's picks that are found", "picks found", false, false},
	[FIGURE_GAIN] = {"gain", "best mass above SnapKV's, percentage points", "gain, points", true, false},
	[FIGURE_GAP] = {"gap", "truth's picks that the ceiling finds and the method misses, percentage points", "gap, points", true, true},
	[FIGURE_KL] = {"kl", "KL(truth || method) over all prompt tokens, by query head", "KL, nats (log)", false, true},
};

static const struct measure_text *text_of(const struct heads_plot *h)
{
	return &texts[h->spec->measure];
}

/* ---- numbers ---- */

static struct agreement agreement_at(const struct heads_plot *h, int method, int layer, int column, const int *k)
{
	if (method < 0)
		return (struct agreement){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
	return evaluation_agreement_at(h->ev, method, (struct scope){layer, column}, k);
}

struct question { /* one cell */
	int method, layer, column;
	const int *k, *k_other; /* of the method, and of the one it is held against */
};

static double number_of(const struct heads_plot *h, const struct question *q)
{
	if (h->spec->measure == FIGURE_KL)
		return evaluation_kl(h->ev, q->method, q->layer, q->column);
	struct agreement a = agreement_at(h, q->method, q->layer, q->column, q->k);
	switch (h->spec->measure) {
	case FIGURE_GAIN: return a.mass_ratio - agreement_at(h, h->snapkv, q->layer, q->column, q->k_other).mass_ratio;
	case FIGURE_GAP: return agreement_at(h, h->ceiling, q->layer, q->column, q->k_other).overlap - a.overlap;
	case FIGURE_PICKS: return a.overlap;
	default: return a.mass_ratio;
	}
}

static void sum_up(const struct heads_plot *h, struct panel *p)
{
	double sum = 0;
	int n = 0;
	p->worst = -1;
	for (int i = 0; i < h->n_layer * h->n_column; i++) {
		if (isnan(p->value[i]))
			continue;
		sum += p->value[i];
		n++;
		bool worse = p->worst < 0 || (text_of(h)->less_is_better ? p->value[i] > p->value[p->worst] : p->value[i] < p->value[p->worst]);
		p->worst = worse ? i : p->worst;
	}
	p->mean = n ? sum / n : NAN;
}

static int fill_panel(const struct heads_plot *h, struct panel *p, struct err *e)
{
	int other = h->spec->measure == FIGURE_GAIN ? h->snapkv : h->spec->measure == FIGURE_GAP ? h->ceiling : p->method;
	int *k, *k_other = NULL, rc = plot_allocate(&k, h->ev, p->method, h->spec->budget, e);
	if (rc || (rc = plot_allocate(&k_other, h->ev, other, h->spec->budget, e))) {
		free(k);
		return rc;
	}
	p->value = malloc((size_t)h->n_layer * (size_t)h->n_column * sizeof *p->value);
	for (int i = 0; p->value && i < h->n_layer * h->n_column; i++)
		p->value[i] = number_of(h, &(struct question){p->method, i / h->n_column, i % h->n_column, k, k_other});
	free(k);
	free(k_other);
	if (!p->value)
		return err_set(e, ERR_MEMORY, "figure: out of memory for %d layers", h->n_layer);
	sum_up(h, p);
	return 0;
}

/* ---- making ---- */

static int check(const struct heads_plot *h, struct err *e)
{
	const struct selection *s = &evaluation_protocol(h->ev)->select;
	int first;
	if (!evaluation_has_truth(h->ev))
		return err_set(e, ERR_USE, "figure: heads need truth, which the capture does not have (no response was measured)");
	if (evaluation_n_candidate(h->ev, &first) == 0)
		return err_set(e, ERR_USE, "figure: heads need candidates; %d prompt tokens are all among the first %d and last %d",
			evaluation_capture(h->ev)->n_prompt, s->sink, s->window);
	if (h->spec->measure == FIGURE_GAIN && h->snapkv < 0)
		return err_set(e, ERR_USE, "figure: a gain is over SnapKV, which the capture does not have");
	if (h->spec->measure == FIGURE_GAP && h->ceiling < 0)
		return err_set(e, ERR_USE, "figure: a gap is to the ceiling, which needs truth's even rows; the capture does not have them");
	return 0;
}

/* Truth is what the others are judged by: by itself it is no panel. */
static int choose_methods(struct heads_plot *h, struct err *e)
{
	int method[PLOT_MAX_PANEL], n, rc = plot_methods(h->ev, h->spec, method, &n, e);
	for (int i = 0; !rc && i < n; i++) {
		bool truth = evaluation_method(h->ev, method[i])->method->kind == METHOD_ORACLE;
		bool itself = h->spec->measure == FIGURE_GAIN && method[i] == h->snapkv && !h->spec->method;
		if (!truth && !itself)
			h->panel[h->n_panel++] = (struct panel){.method = method[i], .name = plot_method_name(h->ev, method[i]),
				.label = plot_method_label(h->ev, method[i])};
	}
	if (!rc && h->n_panel == 0)
		rc = err_set(e, ERR_USE, "figure: heads are of methods that truth judges; name one with --method");
	return rc;
}

static void release(void *plot)
{
	struct heads_plot *h = plot;
	for (int i = 0; i < h->n_panel; i++)
		free(h->panel[i].value);
	text_block_free(h->note);
	*h = (struct heads_plot){0};
}

static int make(void *plot, const struct evaluation *ev, const struct figure_spec *spec, struct err *e)
{
	struct heads_plot *h = plot;
	const struct capture *c = evaluation_capture(ev);
	*h = (struct heads_plot){.ev = ev, .spec = spec, .n_layer = c->n_layer, .snapkv = evaluation_find(ev, "snapkv"),
		.ceiling = evaluation_find(ev, "ceiling")};
	h->n_column = spec->measure == FIGURE_KL ? c->n_head : evaluation_n_unit(ev);
	int rc = check(h, e);
	rc = rc ? rc : choose_methods(h, e);
	for (int i = 0; !rc && i < h->n_panel; i++)
		rc = fill_panel(h, &h->panel[i], e);
	if (rc)
		release(h);
	return rc;
}

/* ---- layout ---- */

static enum ramp_colour colour_of(const struct heads_plot *h)
{
	enum ramp_colour chosen = h->spec->colour;
	if (text_of(h)->is_signed)
		return RAMP_DIVERGING;
	return chosen == RAMP_DIVERGING ? RAMP_VIRIDIS : chosen;
}

static float level_of(const struct heads_plot *h, double value)
{
	double level = h->spec->measure == FIGURE_KL ? (log10(value) - log10(kl_low)) / (log10(kl_high) - log10(kl_low))
		: text_of(h)->is_signed                  ? 0.5 + value / 2
												 : value;
	return (float)(level < 0 ? 0 : level > 1 ? 1 : level);
}

static struct colour_bar bar_of(const struct heads_plot *h)
{
	static const struct colour_tick share[] = {{0, "0"}, {0.25f, "25"}, {0.5f, "50"}, {0.75f, "75"}, {1, "100 %"}};
	static const struct colour_tick points[] = {{0, "\xe2\x88\x92" "100"}, {0.25f, "\xe2\x88\x92" "50"}, {0.5f, "0"}, {0.75f, "+50"},
		{1, "+100"}};
	static const struct colour_tick kl[] = {{0, "\xe2\x89\xa4" ".01"}, {0.5f, ".1"}, {1, "\xe2\x89\xa5" "1"}};
	bool is_signed = text_of(h)->is_signed, is_kl = h->spec->measure == FIGURE_KL;
	return (struct colour_bar){.colour = colour_of(h), .upright = true, .tick = is_kl ? kl : is_signed ? points : share,
		.n_tick = is_kl ? 3 : 5, .label = text_of(h)->label};
}

static int lay_out_note(struct heads_plot *h, struct text_engine *t, double width, struct err *e)
{
	const struct selection *s = &evaluation_protocol(h->ev)->select;
	char text[300];
	if (h->spec->measure == FIGURE_KL)
		snprintf(text, sizeof text, "layer (%s)", text_of(h)->what);
	else
		snprintf(text, sizeof text, "layer (%s; %d tokens kept per %s, first %d and last %d counted)", text_of(h)->what, h->spec->budget,
			h->n_column == evaluation_capture(h->ev)->n_kv_head ? "KV head" : "query head", s->sink, s->window);
	struct text_request r = {.utf8 = text, .n_bytes = strlen(text), .style = plot_label, .wrap = width - 2 * PLOT_MARGIN};
	return text_block_make(&h->note, t, &r, e);
}

static int lay_out(void *plot, struct text_engine *t, double *width, double *height, struct err *e)
{
	struct heads_plot *h = plot;
	struct colour_bar bar = bar_of(h);
	double most = h->spec->height_in > 0 ? h->spec->height_in * CANVAS_PT_PER_INCH : PLOT_MAX_HEIGHT;
	*width = h->spec->width_in * CANVAS_PT_PER_INCH;
	int rc = lay_out_note(h, t, *width, e);
	if (rc)
		return rc;
	h->left = PLOT_MARGIN + PLOT_LINE_ROOM + 2 + text_width(t, &plot_tick, "00") + PLOT_GAP + PLOT_TICK;
	double right = BAR_GAP + PLOT_BAR + plot_colour_bar_room(t, &bar) + PLOT_MARGIN;
	h->cell_w = (*width - h->left - right) / h->n_layer;
	double below = PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE + 2 + text_block_n_line(h->note) * PLOT_LINE_ROOM + PLOT_MARGIN;
	double fixed = PLOT_MARGIN + h->n_panel * NAME_ROOM + (h->n_panel - 1) * PANEL_GAP + below;
	int rows = h->n_panel * h->n_column;
	h->cell_h = h->spec->height_in > 0 ? (most - fixed) / rows : fmin(fmax(fmin(CELL_TALL, fmax(h->cell_w, 4)), BAR_LEAST / rows), (most - fixed) / rows);
	if (h->cell_w < CELL_LEAST || h->cell_h < CELL_LEAST)
		return err_set(e, ERR_USE, "figure: %d layers of %d heads, %d panels, need at least %.2f x %.2f in", h->n_layer, h->n_column,
			h->n_panel, (h->left + right + CELL_LEAST * h->n_layer) / CANVAS_PT_PER_INCH,
			(fixed + CELL_LEAST * rows) / CANVAS_PT_PER_INCH);
	h->top = PLOT_MARGIN + NAME_ROOM;
	h->step_y = h->n_column * h->cell_h + PANEL_GAP + NAME_ROOM;
	*height = fixed + rows * h->cell_h;
	h->note_y = *height - PLOT_MARGIN - text_block_n_line(h->note) * PLOT_LINE_ROOM;
	return 0;
}

/* ---- drawing ---- */

static struct rect panel_rect(const struct heads_plot *h, int i)
{
	return (struct rect){h->left, h->top + i * h->step_y, h->n_layer * h->cell_w, h->n_column * h->cell_h};
}

static void say_value(const struct heads_plot *h, double value, char *out, size_t n)
{
	if (h->spec->measure == FIGURE_KL)
		snprintf(out, n, "%.3f", value);
	else
		snprintf(out, n, text_of(h)->is_signed ? "%+.0f" : "%.0f %%", 100 * value);
}

/* "(a) SnapKV" above the strip; its mean and its worst head at the right end. */
static void draw_name(const struct heads_plot *h, int i, struct text_engine *t, struct canvas *c)
{
	const struct panel *p = &h->panel[i];
	struct rect r = panel_rect(h, i);
	double base = r.y - 3;
	char text[96], mean[24], worst[24];
	plot_panel_name(c, t, i, p->label, (struct point){r.x, base}, ALIGN_LEFT, TURN_NONE);
	if (p->worst < 0)
		return;
	say_value(h, p->mean, mean, sizeof mean);
	say_value(h, p->value[p->worst], worst, sizeof worst);
	snprintf(text, sizeof text, "mean %s, worst %s (layer %d, head %d)", mean, worst, p->worst / h->n_column, p->worst % h->n_column);
	if (plot_panel_name_width(t, p->label) + 8 + text_width(t, &plot_tick, text) <= r.w)
		canvas_text(c, t, &plot_tick, (struct point){r.x + r.w, base}, ALIGN_RIGHT, TURN_NONE, text);
}

static void draw_cells(const struct heads_plot *h, int i, struct canvas *c)
{
	struct rect r = panel_rect(h, i);
	static const struct stroke hatch = {.width = 0.4, .rgb = PLOT_PALE};
	uint32_t *cell = malloc((size_t)h->n_layer * (size_t)h->n_column * sizeof *cell);
	if (!cell) {
		canvas_fail(c);
		return;
	}
	for (int column = 0; column < h->n_column; column++)
		for (int layer = 0; layer < h->n_layer; layer++) {
			double value = h->panel[i].value[layer * h->n_column + column];
			cell[column * h->n_layer + layer] = isnan(value) ? 0xffffff : ramp_rgb(colour_of(h), level_of(h, value));
		}
	canvas_cells(c, r, cell, h->n_layer, h->n_column);
	free(cell);
	for (int k = 0; k < h->n_layer * h->n_column; k++) /* not defined */
		if (isnan(h->panel[i].value[k]))
			canvas_hatch(c, (struct rect){r.x + k / h->n_column * h->cell_w, r.y + k % h->n_column * h->cell_h, h->cell_w, h->cell_h}, 3,
				&hatch);
	canvas_frame(c, r, &plot_frame);
}

static void draw_heads_axis(const struct heads_plot *h, int i, struct text_engine *t, struct canvas *c)
{
	struct rect r = panel_rect(h, i);
	int step = plot_tick_step(h->n_column - 1, (int)fmax(1, r.h / (PLOT_TICK_SIZE + 1)));
	char text[16];
	for (int column = 0; column < h->n_column; column += step) {
		double y = r.y + (column + 0.5) * h->cell_h;
		snprintf(text, sizeof text, "%d", column);
		canvas_line(c, r.x - PLOT_TICK, y, r.x, y, &plot_frame);
		canvas_text(c, t, &plot_tick, (struct point){r.x - PLOT_TICK - PLOT_GAP, y + PLOT_TICK_SIZE * TEXT_ASCENT / 2}, ALIGN_RIGHT,
			TURN_NONE, text);
	}
}

static void draw_layers_axis(const struct heads_plot *h, struct text_engine *t, struct canvas *c)
{
	struct rect r = panel_rect(h, h->n_panel - 1);
	int step = plot_tick_step(h->n_layer - 1, LAYER_TICKS);
	char text[16];
	for (int layer = 0; layer < h->n_layer; layer += step) {
		double x = r.x + (layer + 0.5) * h->cell_w, y = r.y + r.h;
		snprintf(text, sizeof text, "%d", layer);
		canvas_line(c, x, y, x, y + PLOT_TICK, &plot_frame);
		canvas_text(c, t, &plot_tick, (struct point){x, y + PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE * TEXT_ASCENT}, ALIGN_CENTRE, TURN_NONE,
			text);
	}
}

static void draw(const void *plot, struct text_engine *t, struct canvas *c)
{
	const struct heads_plot *h = plot;
	const char *heads = h->n_column == evaluation_capture(h->ev)->n_kv_head ? "KV head" : "query head";
	struct rect first = panel_rect(h, 0), last = panel_rect(h, h->n_panel - 1);
	double height = last.y + last.h - first.y;
	for (int i = 0; i < h->n_panel; i++) {
		plot_begin_panel(c, i);
		draw_cells(h, i, c);
		draw_heads_axis(h, i, t, c);
		draw_name(h, i, t, c);
		canvas_end(c);
	}
	draw_layers_axis(h, t, c);
	if (text_width(t, &plot_label, heads) <= height + 2 * NAME_ROOM)
		canvas_text(c, t, &plot_label, (struct point){PLOT_MARGIN + PLOT_LINE_ROOM * TEXT_ASCENT, first.y + height / 2}, ALIGN_CENTRE,
			TURN_LEFT, heads);
	struct colour_bar bar = bar_of(h);
	bar.at = (struct rect){first.x + first.w + BAR_GAP, first.y, PLOT_BAR, height};
	plot_colour_bar(c, t, &bar);
	plot_note(c, h->note, first.x + first.w / 2, PLOT_MARGIN, h->spec->width_in * CANVAS_PT_PER_INCH - PLOT_MARGIN, h->note_y);
}

/* ---- tables ---- */

static void write_csv(const void *plot, FILE *f)
{
	const struct heads_plot *h = plot;
	fprintf(f, "method,layer,head,%s\n", text_of(h)->name);
	for (int i = 0; i < h->n_panel; i++)
		for (int k = 0; k < h->n_layer * h->n_column; k++) {
			fprintf(f, "%s,%d,%d,", h->panel[i].name, k / h->n_column, k % h->n_column);
			plot_csv_number(f, h->panel[i].value[k]);
			fputc('\n', f);
		}
}

static json_t *json_panel(const struct heads_plot *h, const struct panel *p)
{
	int failed = 0;
	json_t *object = plot_json_method(p->name, p->label, &failed), *rows = json_array();
	for (int layer = 0; layer < h->n_layer; layer++) {
		json_t *row = json_array();
		for (int column = 0; column < h->n_column; column++)
			failed |= json_array_append_new(row, table_json_number(p->value[layer * h->n_column + column]));
		failed |= json_array_append_new(rows, row);
	}
	failed |= plot_json_set(object, "value", rows);
	return plot_json_unless(failed, object);
}

static int write_json(const void *plot, json_t *root)
{
	const struct heads_plot *h = plot;
	json_t *panels = json_array();
	int failed = 0;
	for (int i = 0; i < h->n_panel; i++)
		failed |= json_array_append_new(panels, json_panel(h, &h->panel[i]));
	failed |= plot_json_set(root, "measure", json_string(text_of(h)->name));
	failed |= plot_json_set(root, "budget", json_integer(h->spec->budget));
	failed |= plot_json_set(root, "panels", panels);
	return failed ? -1 : 0;
}

const struct plot_ops plot_heads = {
	.name = "heads",
	.bytes = sizeof(struct heads_plot),
	.make = make,
	.free = release,
	.lay_out = lay_out,
	.draw = draw,
	.csv = write_csv,
	.json = write_json,
};
