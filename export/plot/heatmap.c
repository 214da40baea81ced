#include "export/plot/heatmap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/ranking.h"

/* A difference is a ratio of lifts; below this both count as nothing, so that a zero is not infinitely smaller
 * than a crumb. */
#define LEAST_LIFT 0.01f

void heatmap_row(const struct heatmap *h, int row, int *layer, int *head)
{
	*layer = h->spec->rows == FIGURE_LAYERS ? row : h->spec->layer;
	*head = h->spec->rows == FIGURE_LAYERS ? -1 : h->spec->rows == FIGURE_HEADS ? row : h->spec->head;
}

struct maker { /* while a heatmap is made */
	struct heatmap *h;
	int first, n_cand; /* candidates */
	float *row, *truth; /* (n_prompt) */
	uint32_t *order, *rank; /* (n_cand) */
};

static int check_rows(const struct heatmap *h, struct err *e)
{
	const struct figure_spec *s = h->spec;
	struct scope scope;
	if (s->rows != FIGURE_LAYERS && s->layer < 0)
		return err_set(e, ERR_USE, "figure: a heatmap of %s needs a layer",
			s->rows == FIGURE_HEADS ? "heads" : "one head");
	if (s->rows == FIGURE_ONE && s->head < 0)
		return err_set(e, ERR_USE, "figure: a heatmap of one head needs a head");
	return plot_scope(h->ev, s, &scope, e);
}

static const struct capture_map *map_of(const struct heatmap *h, int m)
{
	const struct method *method = evaluation_method(h->ev, m)->method;
	const char *name = method->kind == METHOD_ORACLE ? "truth" : method->kind == METHOD_MAP ? method->map : NULL;
	return name ? capture_find(evaluation_capture(h->ev), name) : NULL;
}

/* Mean attention as it was measured. */
static void raw_row(const struct maker *k, const struct capture_map *map, int layer, int head)
{
	const struct capture *c = evaluation_capture(k->h->ev);
	int from = head < 0 ? 0 : head, to = head < 0 ? c->n_head : head + 1;
	for (int j = 0; j < c->n_prompt; j++)
		k->row[j] = NAN;
	for (int j = k->first; j < k->first + k->n_cand; j++) {
		double sum = 0;
		for (int i = from; i < to; i++)
			sum += (double)capture_row(c, map, layer, i)[j];
		k->row[j] = (float)(sum / (to - from));
	}
}

static void lift_to_percentile(const struct maker *k)
{
	ranking_sort(k->row + k->first, k->n_cand, k->order, k->rank);
	for (int i = 0; i < k->n_cand; i++)
		k->row[k->first + i] = k->n_cand > 1 ? 1 - (float)k->rank[i] / (float)(k->n_cand - 1) : 1;
}

static int fill_row(const struct maker *k, int m, int layer, int head, struct err *e)
{
	const struct heatmap *h = k->h;
	if (h->spec->scale == RAMP_RAW) {
		raw_row(k, map_of(h, m), layer, head);
		return 0;
	}
	int rc = evaluation_lift(h->ev, m, layer, head, k->row, e);
	if (!rc && h->spec->scale == RAMP_PERCENTILE)
		lift_to_percentile(k);
	if (!rc && h->spec->scale == RAMP_DIFFERENCE) {
		rc = evaluation_lift(h->ev, evaluation_find(h->ev, "oracle"), layer, head, k->truth, e);
		for (int j = k->first; !rc && j < k->first + k->n_cand; j++)
			k->row[j] = log10f(fmaxf(k->row[j], LEAST_LIFT) / fmaxf(k->truth[j], LEAST_LIFT));
	}
	return rc;
}

static int fill_panel(const struct maker *k, struct heatmap_panel *p, struct err *e)
{
	struct heatmap *h = k->h;
	const struct capture_map *map = map_of(h, p->method);
	if (!map || map->kind != MAP_ROWS)
		return err_set(
			e, ERR_USE, "figure: %s is no map of attention and has no heatmap", plot_method_name(h->ev, p->method));
	int n = h->last - h->first;
	for (int r = 0; r < h->n_row; r++) {
		int layer, head;
		heatmap_row(h, r, &layer, &head);
		int rc = fill_row(k, p->method, layer, head, e);
		if (rc)
			return rc;
		memcpy(p->value + (size_t)r * (size_t)n, k->row + h->first, (size_t)n * sizeof *p->value);
		for (int j = h->first; j < h->last; j++)
			if (k->row[j] > h->max)
				h->max = k->row[j];
	}
	return 0;
}

static int fill_kept(struct heatmap *h, struct heatmap_panel *p, struct err *e)
{
	struct plot_question q = {.method = p->method, .budget = h->spec->budget};
	int *votes, rc = plot_scope(h->ev, h->spec, &q.scope, e);
	if (rc || (rc = plot_votes(&votes, h->ev, &q, e)))
		return rc;
	for (int j = h->first; j < h->last; j++)
		p->kept[j - h->first] = votes[j] > 0;
	free(votes);
	return 0;
}

/* The KV head's agreement beside each of its query heads. */
static int fill_best(struct heatmap *h, struct heatmap_panel *p, struct err *e)
{
	if (h->spec->rows == FIGURE_ONE || !strcmp(p->name, "truth") || evaluation_find(h->ev, "oracle") < 0
		|| evaluation_k(h->ev, h->spec->budget, NULL) <= 0)
		return 0;
	int *k, rc = plot_allocate(&k, h->ev, p->method, h->spec->budget, e);
	if (rc)
		return rc;
	p->best = malloc((size_t)h->n_row * sizeof *p->best);
	for (int row = 0; p->best && row < h->n_row; row++) {
		struct scope s;
		int head;
		heatmap_row(h, row, &s.layer, &head);
		s.kv_head = head < 0 ? -1 : plot_unit(h->ev, head);
		p->best[row] = evaluation_agreement_at(h->ev, p->method, s, k).mass_ratio;
	}
	free(k);
	return p->best ? 0 : (int)err_set(e, ERR_MEMORY, "figure: out of memory");
}

static void find_prompt_sinks(struct heatmap *h, uint8_t *scratch)
{
	const struct capture *c = evaluation_capture(h->ev);
	int from = h->spec->rows == FIGURE_LAYERS ? 0 : h->spec->layer,
		to = h->spec->rows == FIGURE_LAYERS ? c->n_layer : from + 1;
	for (int layer = from; layer < to; layer++) {
		evaluation_prompt_sinks(h->ev, layer, scratch);
		for (int j = h->first; j < h->last; j++)
			h->prompt_sink[j - h->first] |= scratch[j];
	}
	for (int j = 0; j < h->last - h->first; j++)
		h->n_prompt_sink += h->prompt_sink[j];
}

static int add_panel(struct maker *k, int method, struct err *e)
{
	struct heatmap *h = k->h;
	size_t n = (size_t)(h->last - h->first);
	struct heatmap_panel *p = &h->panel[h->n_panel++];
	p->method = method;
	p->name = plot_method_name(h->ev, method);
	p->label = plot_method_label(h->ev, method);
	p->value = malloc((size_t)h->n_row * n * sizeof *p->value);
	p->kept = h->spec->rows == FIGURE_ONE ? calloc(n, 1) : NULL;
	if (!p->value || (h->spec->rows == FIGURE_ONE && !p->kept))
		return err_set(e, ERR_MEMORY, "figure: out of memory for %d x %zu cells", h->n_row, n);
	int rc = fill_panel(k, p, e);
	if (!rc && p->kept)
		rc = fill_kept(h, p, e);
	return rc ? rc : fill_best(h, p, e);
}

static int fill(struct maker *k, const int *method, int n_method, struct err *e)
{
	struct heatmap *h = k->h;
	bool difference = h->spec->scale == RAMP_DIFFERENCE;
	if (difference && evaluation_find(h->ev, "oracle") < 0)
		return err_set(e, ERR_USE, "figure: differences to truth need truth, which the capture does not have");
	for (int i = 0; i < n_method; i++) {
		if (difference && !strcmp(plot_method_name(h->ev, method[i]), "truth"))
			continue;
		int rc = add_panel(k, method[i], e);
		if (rc)
			return rc;
	}
	if (h->n_panel == 0)
		return err_set(e, ERR_USE, "figure: differences to truth need another method");
	return 0;
}

int heatmap_make(struct heatmap *out, const struct evaluation *ev, const struct figure_spec *spec, struct err *e)
{
	const struct capture *c = evaluation_capture(ev);
	*out = (struct heatmap){.ev = ev, .spec = spec};
	struct maker k = {.h = out};
	int method[PLOT_MAX_PANEL], n_method, rc;
	if ((rc = check_rows(out, e)) || (rc = plot_range(ev, spec, &out->first, &out->last, e))
		|| (rc = plot_methods(ev, spec, method, &n_method, e)))
		return rc;
	out->n_row = spec->rows == FIGURE_LAYERS ? c->n_layer : spec->rows == FIGURE_HEADS ? c->n_head : 1;
	k.n_cand = evaluation_n_candidate(ev, &k.first);
	int n_shown = out->last - out->first, end = k.first + k.n_cand;
	out->n_sink = k.n_cand == 0 ? n_shown
		: k.first <= out->first ? 0
		: k.first < out->last   ? k.first - out->first
								: n_shown;
	out->n_window = k.n_cand == 0 || end >= out->last ? 0 : end > out->first ? out->last - end : n_shown;
	k.row = malloc(sizeof(float) * (size_t)c->n_prompt);
	k.truth = malloc(sizeof(float) * (size_t)c->n_prompt);
	k.order = malloc(sizeof(uint32_t) * (size_t)c->n_prompt);
	k.rank = malloc(sizeof(uint32_t) * (size_t)c->n_prompt);
	uint8_t *scratch = calloc((size_t)c->n_prompt, 1);
	out->prompt_sink = calloc((size_t)n_shown, 1);
	if (!k.row || !k.truth || !k.order || !k.rank || !scratch || !out->prompt_sink)
		rc = err_set(e, ERR_MEMORY, "figure: out of memory for %d tokens", c->n_prompt);
	if (!rc)
		rc = fill(&k, method, n_method, e);
	if (!rc)
		find_prompt_sinks(out, scratch);
	free(k.row);
	free(k.truth);
	free(k.order);
	free(k.rank);
	free(scratch);
	if (rc)
		heatmap_free(out);
	return rc;
}

void heatmap_free(struct heatmap *h)
{
	for (int i = 0; i < h->n_panel; i++) {
		free(h->panel[i].value);
		free(h->panel[i].kept);
		free(h->panel[i].best);
	}
	free(h->prompt_sink);
	text_block_free(h->layout.note);
	*h = (struct heatmap){0};
}

bool heatmap_cell_is_mean(enum ramp_scale scale)
{
	return scale == RAMP_PERCENTILE || scale == RAMP_DIFFERENCE;
}

float heatmap_cell(const struct heatmap *h, const float *row, int first, int last)
{
	float most = NAN;
	double sum = 0;
	int n = 0;
	for (int i = first; i < last; i++) {
		if (isnan(row[i]))
			continue;
		most = n && most > row[i] ? most : row[i];
		sum += (double)row[i];
		n++;
	}
	return n && heatmap_cell_is_mean(h->spec->scale) ? (float)(sum / n) : most;
}

uint32_t heatmap_rgb(const struct heatmap *h, float value)
{
	return ramp_rgb(plot_colour(h->spec), ramp_level(h->spec->scale, value, h->max));
}

/* ---- as a plot ---- */

static int make(void *plot, const struct evaluation *ev, const struct figure_spec *spec, struct err *e)
{
	return heatmap_make(plot, ev, spec, e);
}

static void release(void *plot)
{
	heatmap_free(plot);
}

static int lay_out(void *plot, struct text_engine *t, double *width, double *height, struct err *e)
{
	struct heatmap *h = plot;
	int rc = heatmap_lay_out(h, t, e);
	*width = h->layout.width;
	*height = h->layout.height;
	return rc;
}

static void draw(const void *plot, struct text_engine *t, struct canvas *c)
{
	heatmap_draw(plot, t, c);
}

const struct plot_ops plot_heatmap = {
	.name = "heatmap",
	.bytes = sizeof(struct heatmap),
	.make = make,
	.free = release,
	.lay_out = lay_out,
	.draw = draw,
	.csv = heatmap_csv,
	.json = heatmap_json,
};
