#include "export/plot/overlay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/table.h"

bool overlay_is_always_kept(const struct overlay *o, int position)
{
	return position < o->cand_first || position >= o->cand_last;
}

/* Steps of the share that begin clearly above what blind picking gives, so that most of the text stays unmarked. */
static void choose_steps(struct overlay *o)
{
	static const int percent[][OVERLAY_MAX_STEP] = {
		{5, 10, 25, 50}, {10, 25, 50, 75}, {25, 50, 75, 90}, {50, 75, 90, 100}};
	o->n_step = o->n_pair < OVERLAY_MAX_STEP ? o->n_pair : OVERLAY_MAX_STEP;
	for (int i = 0; i < o->n_step; i++)
		o->threshold[i] = i + 1;
	if (o->n_pair <= OVERLAY_MAX_STEP)
		return;
	int n_cand = o->cand_last - o->cand_first;
	double chance = n_cand ? 100.0 * o->k / n_cand : 0;
	int row = 0;
	while (row < 3 && percent[row][0] < 1.3 * chance)
		row++;
	for (int i = 0; i < o->n_step; i++) {
		int least = (o->n_pair * percent[row][i] + 99) / 100;
		o->threshold[i] = i && least <= o->threshold[i - 1] ? o->threshold[i - 1] + 1 : least;
	}
}

static int fill_panel(struct overlay *o, int method, struct err *e)
{
	struct overlay_panel *p = &o->panel[o->n_panel++];
	size_t n = (size_t)(o->last - o->first);
	p->method = method;
	p->name = plot_method_name(o->ev, method);
	p->label = plot_method_label(o->ev, method);
	p->votes = calloc(n, sizeof *p->votes);
	p->step = calloc(n, 1);
	struct plot_question q = {.method = method, .scope = o->scope, .budget = o->spec->budget};
	int *all, rc = plot_votes(&all, o->ev, &q, e);
	if (rc)
		return rc;
	if (!p->votes || !p->step) {
		free(all);
		return err_set(e, ERR_MEMORY, "figure: out of memory for %zu tokens", n);
	}
	for (int j = o->first; j < o->last; j++) {
		int step = 0;
		while (step < o->n_step && all[j] >= o->threshold[step])
			step++;
		p->votes[j - o->first] = all[j];
		p->step[j - o->first] = (uint8_t)(overlay_is_always_kept(o, j) ? 0 : step);
	}
	free(all);
	return 0;
}

static int fill(struct overlay *o, struct err *e)
{
	int method[PLOT_MAX_PANEL], n_method;
	int rc = plot_methods(o->ev, o->spec, method, &n_method, e);
	if (rc)
		return rc;
	int n_cand = evaluation_n_candidate(o->ev, &o->cand_first);
	o->cand_last = o->cand_first + n_cand;
	o->n_pair = plot_scope_pairs(o->ev, o->scope);
	o->k = evaluation_k(o->ev, o->spec->budget, e);
	if (o->k < 0)
		return ERR_USE;
	choose_steps(o);
	for (int i = 0; !rc && i < n_method; i++)
		rc = fill_panel(o, method[i], e);
	return rc ? rc : pieces_make(&o->pieces, evaluation_capture(o->ev), o->first, o->last, e);
}

int overlay_make(struct overlay *out, const struct evaluation *ev, const struct figure_spec *spec, struct err *e)
{
	*out = (struct overlay){.ev = ev, .spec = spec};
	int rc = plot_scope(ev, spec, &out->scope, e);
	if (!rc)
		rc = plot_range(ev, spec, &out->first, &out->last, e);
	if (!rc)
		rc = fill(out, e);
	if (rc)
		overlay_free(out);
	return rc;
}

void overlay_free(struct overlay *o)
{
	for (int i = 0; i < o->n_panel; i++) {
		free(o->panel[i].votes);
		free(o->panel[i].step);
		text_block_free(o->panel[i].block);
	}
	pieces_free(&o->pieces);
	free(o->layout.region);
	text_block_free(o->layout.note);
	*o = (struct overlay){0};
}

bool overlay_is_missed(const struct overlay *o, int panel, int position)
{
	int i = position - o->first;
	if (o->n_pair > 1 || overlay_is_always_kept(o, position) || o->panel[panel].step[i])
		return false;
	for (int p = 0; p < o->n_panel; p++)
		if (!strcmp(o->panel[p].name, "truth"))
			return o->panel[p].step[i] > 0;
	return false;
}

double overlay_difference(const struct overlay *o, int position)
{
	int i = position - o->first, low = o->n_pair, high = 0;
	for (int p = 0; p < o->n_panel; p++) {
		int votes = o->panel[p].votes[i];
		low = votes < low ? votes : low;
		high = votes > high ? votes : high;
	}
	if (o->n_panel == 1)
		low = overlay_is_always_kept(o, position) ? high : 0; /* one method alone: where it keeps most */
	return (double)(high - low) / o->n_pair;
}

/* A tint of the scale's middle colour, light enough for black text on it (contrast 4.5 and more, checked by a
 * test). */
uint32_t overlay_tint(const struct overlay *o, int step)
{
	static const double strength[OVERLAY_MAX_STEP + 1] = {0, 0.2, 0.4, 0.6, 0.8};
	uint32_t full = ramp_rgb(plot_colour(o->spec), 0.5f), out = 0;
	double mix = step == 0 ? 0 : strength[OVERLAY_MAX_STEP - o->n_step + step] * (o->n_step == 1 ? 0.75 : 1);
	for (int shift = 0; shift <= 16; shift += 8) {
		double channel = 255 + ((full >> shift & 255) - 255.0) * mix;
		out |= (uint32_t)lround(channel) << shift;
	}
	return out;
}

double overlay_underline(const struct overlay *o, int step)
{
	static const double width[OVERLAY_MAX_STEP + 1] = {0, 0.3, 0.6, 1.0, 1.5};
	return o->n_step == 1 && step ? 1.0 : width[step];
}

void overlay_step_text(const struct overlay *o, int step, char *out, size_t n_out)
{
	if (o->n_pair == 1)
		snprintf(out, n_out, "kept");
	else if (o->n_pair <= OVERLAY_MAX_STEP)
		snprintf(out, n_out, "%d of %d", o->threshold[step - 1], o->n_pair);
	else
		snprintf(out, n_out, "\xe2\x89\xa5 %d of %d", o->threshold[step - 1], o->n_pair);
}

void overlay_note_text(const struct overlay *o, char *out, size_t n_out)
{
	char scope[80];
	const struct selection *s = &evaluation_protocol(o->ev)->select;
	plot_scope_text(o->ev, o->scope, scope, sizeof scope);
	snprintf(out, n_out, "%s%s; budget %d = %d first + %d last + %d chosen of %d",
		o->n_pair == 1 ? "" : "heads that keep the token, of ", scope, o->spec->budget, s->sink, s->window, o->k,
		o->cand_last - o->cand_first);
}

/* ---- tables ---- */

static void write_csv(const void *plot, FILE *f)
{
	const struct overlay *o = plot;
	fputs("method,position,token,votes,pairs,share,always_kept\n", f);
	for (int p = 0; p < o->n_panel; p++)
		for (int j = o->first; j < o->last; j++) {
			size_t n_bytes;
			const char *piece = capture_piece(evaluation_capture(o->ev), j, &n_bytes);
			int votes = o->panel[p].votes[j - o->first];
			fprintf(f, "%s,%d,", o->panel[p].name, j);
			plot_csv_text(f, piece, n_bytes);
			fprintf(f, ",%d,%d,", votes, o->n_pair);
			plot_csv_number(f, (double)votes / o->n_pair);
			fprintf(f, ",%d\n", overlay_is_always_kept(o, j));
		}
}

static json_t *json_panel(const struct overlay *o, const struct overlay_panel *p)
{
	int failed = 0;
	json_t *object = plot_json_method(p->name, p->label, &failed), *votes = json_array();
	for (int i = 0; i < o->last - o->first; i++)
		failed |= json_array_append_new(votes, json_integer(p->votes[i]));
	failed |= plot_json_set(object, "votes", votes);
	return plot_json_unless(failed, object);
}

static int write_json(const void *plot, json_t *root)
{
	const struct overlay *o = plot;
	const struct selection *s = &evaluation_protocol(o->ev)->select;
	json_t *tokens = json_array(), *panels = json_array();
	int failed = 0;
	for (int j = o->first; j < o->last; j++) {
		size_t n_bytes;
		const char *piece = capture_piece(evaluation_capture(o->ev), j, &n_bytes);
		failed |= json_array_append_new(tokens, table_json_text(piece, n_bytes));
	}
	for (int p = 0; p < o->n_panel; p++)
		failed |= json_array_append_new(panels, json_panel(o, &o->panel[p]));
	failed |= plot_json_set(root, "layer", o->scope.layer < 0 ? json_null() : json_integer(o->scope.layer));
	failed |= plot_json_set(root, "kv_head", o->scope.kv_head < 0 ? json_null() : json_integer(o->scope.kv_head));
	failed |= plot_json_set(root, "budget", json_integer(o->spec->budget));
	failed |= plot_json_set(root, "sink", json_integer(s->sink));
	failed |= plot_json_set(root, "window", json_integer(s->window));
	failed |= plot_json_set(root, "chosen", json_integer(o->k));
	failed |= plot_json_set(root, "pairs", json_integer(o->n_pair));
	failed |= plot_json_set(root, "first", json_integer(o->first));
	failed |= plot_json_set(root, "last", json_integer(o->last));
	failed |= plot_json_set(root, "tokens", tokens);
	failed |= plot_json_set(root, "panels", panels);
	return failed ? -1 : 0;
}

/* ---- as a plot ---- */

static int make(void *plot, const struct evaluation *ev, const struct figure_spec *spec, struct err *e)
{
	return overlay_make(plot, ev, spec, e);
}

static void release(void *plot)
{
	overlay_free(plot);
}

static int lay_out(void *plot, struct text_engine *t, double *width, double *height, struct err *e)
{
	struct overlay *o = plot;
	int rc = overlay_lay_out(o, t, e);
	*width = o->layout.width;
	*height = o->layout.height;
	return rc;
}

static void draw(const void *plot, struct text_engine *t, struct canvas *c)
{
	overlay_draw(plot, t, c);
}

const struct plot_ops plot_overlay = {
	.name = "overlay",
	.bytes = sizeof(struct overlay),
	.make = make,
	.free = release,
	.lay_out = lay_out,
	.draw = draw,
	.csv = write_csv,
	.json = write_json,
	.tex = overlay_tex,
};
