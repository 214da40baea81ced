#include "export/plot/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/utf8.h"
#include "export/table.h"

const struct text_style plot_label = {.size = PLOT_LABEL_SIZE, .rgb = PLOT_INK};
static const struct text_style letter_style = {.size = PLOT_LABEL_SIZE, .bold = true, .rgb = PLOT_INK};
const struct text_style plot_tick = {.size = PLOT_TICK_SIZE, .rgb = PLOT_INK};
const struct stroke plot_frame = {.width = PLOT_LINE, .rgb = PLOT_INK};

static const char *evaluation_name(const char *name)
{
	return strcmp(name, "truth") ? name : "oracle";
}

const char *plot_method_name(const struct evaluation *ev, int m)
{
	const char *name = evaluation_method(ev, m)->method->name;
	return strcmp(name, "oracle") ? name : "truth";
}

const char *plot_method_label(const struct evaluation *ev, int m)
{
	const struct method *method = evaluation_method(ev, m)->method;
	return method->kind == METHOD_ORACLE ? "truth" : method->label;
}

static int find_method(const struct evaluation *ev, const char *name, int *m, struct err *e)
{
	*m = evaluation_find(ev, evaluation_name(name));
	if (*m >= 0)
		return 0;
	for (int i = 0; i < evaluation_n_method(ev); i++) {
		const struct eval_method *method = evaluation_method(ev, i);
		if (!strcmp(method->method->name, evaluation_name(name)))
			return err_set(e, ERR_USE, "figure: method %s needs %s, which the capture does not have", name,
				method->missing ? method->missing : "a map");
	}
	return err_set(e, ERR_USE, "figure: no method \"%s\" in this capture", name);
}

int plot_methods(const struct evaluation *ev, const struct figure_spec *spec, int method[PLOT_MAX_PANEL], int *n,
	struct err *e)
{
	static const char *const usual[] = {"oracle", "snapkv", "lookahead"};
	*n = 0;
	if (spec->method && spec->n_method > PLOT_MAX_PANEL)
		return err_set(e, ERR_LIMIT, "figure: %d methods, the limit is %d panels", spec->n_method, PLOT_MAX_PANEL);
	for (int i = 0; spec->method && i < spec->n_method; i++) {
		int rc = find_method(ev, spec->method[i], &method[*n], e);
		if (rc)
			return rc;
		++*n;
	}
	for (int i = 0; !spec->method && i < 3; i++)
		if (evaluation_find(ev, usual[i]) >= 0)
			method[(*n)++] = evaluation_find(ev, usual[i]);
	if (*n == 0)
		return err_set(e, ERR_USE,
			"figure: the capture has neither truth nor snapkv nor lookahead; name its methods");
	return 0;
}

int plot_unit(const struct evaluation *ev, int head)
{
	return head / (evaluation_capture(ev)->n_head / evaluation_n_unit(ev));
}

int plot_scope(const struct evaluation *ev, const struct figure_spec *spec, struct scope *out, struct err *e)
{
	const struct capture *c = evaluation_capture(ev);
	*out = (struct scope){.layer = spec->layer, .kv_head = -1};
	if (spec->layer < -1 || spec->layer >= c->n_layer)
		return err_set(e, ERR_USE, "figure: layer %d, the model has 0 to %d", spec->layer, c->n_layer - 1);
	if (spec->head < -1 || spec->head >= c->n_head)
		return err_set(e, ERR_USE, "figure: head %d, the model has query heads 0 to %d", spec->head, c->n_head - 1);
	if (spec->head < 0)
		return 0;
	if (spec->layer < 0)
		return err_set(e, ERR_USE, "figure: head %d of which layer?", spec->head);
	out->kv_head = plot_unit(ev, spec->head);
	return 0;
}

int plot_allocate(int **k, const struct evaluation *ev, int m, int budget, struct err *e)
{
	*k = malloc((size_t)evaluation_capture(ev)->n_layer * (size_t)evaluation_n_unit(ev) * sizeof **k);
	int rc = *k ? evaluation_allocate(ev, m, budget, *k, e) : (int)err_set(e, ERR_MEMORY, "figure: out of memory");
	if (rc) {
		free(*k);
		*k = NULL;
	}
	return rc;
}

static void count_votes(const struct evaluation *ev, int m, struct scope s, const int *k, int *out)
{
	const struct capture *c = evaluation_capture(ev);
	int first, n_cand = evaluation_n_candidate(ev, &first), n_unit = evaluation_n_unit(ev),
			   pairs = plot_scope_pairs(ev, s);
	int layer = s.layer < 0 ? 0 : s.layer, end = s.layer < 0 ? c->n_layer : s.layer + 1;
	for (int j = 0; j < c->n_prompt; j++)
		out[j] = j >= first && j < first + n_cand ? 0 : pairs;
	for (; layer < end; layer++)
		for (int unit = s.kv_head < 0 ? 0 : s.kv_head; unit < (s.kv_head < 0 ? n_unit : s.kv_head + 1); unit++) {
			const uint32_t *rank = evaluation_ranks(ev, m, layer, unit);
			for (int i = 0; i < n_cand; i++)
				out[first + i] += rank[i] < (uint32_t)k[layer * n_unit + unit];
		}
}

int plot_votes(int **votes, const struct evaluation *ev, const struct plot_question *q, struct err *e)
{
	int *k, rc = plot_allocate(&k, ev, q->method, q->budget, e);
	if (rc)
		return rc;
	*votes = malloc(sizeof **votes * (size_t)evaluation_capture(ev)->n_prompt);
	if (*votes)
		count_votes(ev, q->method, q->scope, k, *votes);
	else
		rc = err_set(e, ERR_MEMORY, "figure: out of memory");
	free(k);
	return rc;
}

int plot_scope_pairs(const struct evaluation *ev, struct scope s)
{
	const struct capture *c = evaluation_capture(ev);
	return s.layer < 0 ? c->n_layer * evaluation_n_unit(ev) : s.kv_head < 0 ? evaluation_n_unit(ev) : 1;
}

void plot_scope_text(const struct evaluation *ev, struct scope s, char *out, size_t n_out)
{
	const struct capture *c = evaluation_capture(ev);
	int n_unit = evaluation_n_unit(ev);
	const char *unit = n_unit == c->n_kv_head ? "KV" : "query";
	if (s.layer < 0)
		snprintf(out, n_out, "all %d layers \xc3\x97 %d %s heads", c->n_layer, n_unit, unit);
	else if (s.kv_head < 0)
		snprintf(out, n_out, "layer %d, %d %s heads", s.layer, n_unit, unit);
	else
		snprintf(out, n_out, "layer %d, %s head %d", s.layer, unit, s.kv_head);
}

int plot_range(const struct evaluation *ev, const struct figure_spec *spec, int *first, int *last, struct err *e)
{
	int n = evaluation_capture(ev)->n_prompt;
	*first = spec->first;
	*last = spec->first == 0 && spec->last == 0 ? n : spec->last;
	if (*first < 0 || *last > n || *first >= *last)
		return err_set(e, ERR_USE, "figure: range %d:%d is empty or leaves the prompt's %d tokens", spec->first,
			spec->last, n);
	return 0;
}

static void panel_letter(int i, char out[16])
{
	snprintf(out, 16, "(%c) ", 'a' + i % 26);
}

double plot_panel_name_width(struct text_engine *t, const char *label)
{
	return text_width(t, &letter_style, "(m) ") + text_width(t, &plot_label, label);
}

void plot_panel_name(struct canvas *c, struct text_engine *t, int i, const char *label, struct point at,
	enum align align, enum turn turn)
{
	char letter[16];
	panel_letter(i, letter);
	double letter_w = text_width(t, &letter_style, letter), w = letter_w + text_width(t, &plot_label, label);
	double back = align == ALIGN_CENTRE ? w / 2 : align == ALIGN_RIGHT ? w : 0;
	struct point start = turn == TURN_NONE ? (struct point){at.x - back, at.y} : (struct point){at.x, at.y + back};
	struct point next = turn == TURN_NONE ? (struct point){start.x + letter_w, at.y}
										  : (struct point){at.x, start.y - letter_w};
	canvas_text(c, t, &letter_style, start, ALIGN_LEFT, turn, letter);
	canvas_text(c, t, &plot_label, next, ALIGN_LEFT, turn, label);
}

void plot_begin_panel(struct canvas *c, int i)
{
	char name[16];
	snprintf(name, sizeof name, "panel-%c", 'a' + i % 26);
	canvas_begin(c, name);
}

void plot_note(struct canvas *c, const struct text_block *note, double middle, double left, double right, double y)
{
	for (int i = 0; i < text_block_n_line(note); i++) {
		double w = text_block_line(note, i).width;
		double x = fmax(left, fmin(middle - w / 2, right - w));
		canvas_block_line(c, note, i, x, y + (i + TEXT_ASCENT) * PLOT_LINE_ROOM, TURN_NONE);
	}
}

int plot_tick_step(int range, int max_ticks)
{
	static const int digit[] = {1, 2, 5};
	for (int power = 1;; power *= 10)
		for (int i = 0; i < 3; i++)
			if (range / (digit[i] * power) < max_ticks || power >= 100000000)
				return digit[i] * power;
}

static const char *const scale_names[] = {
	[RAMP_LIFT] = "lift", [RAMP_PERCENTILE] = "percentile", [RAMP_RAW] = "raw", [RAMP_DIFFERENCE] = "difference"};

const char *plot_scale_name(enum ramp_scale scale)
{
	return scale_names[scale];
}

enum ramp_colour plot_colour(const struct figure_spec *spec)
{
	if (spec->scale == RAMP_DIFFERENCE)
		return RAMP_DIVERGING;
	return spec->colour == RAMP_DIVERGING ? RAMP_VIRIDIS : spec->colour;
}

int plot_json_set(json_t *object, const char *key, json_t *value)
{
	return value ? json_object_set_new(object, key, value) : -1;
}

json_t *plot_json_method(const char *name, const char *label, int *failed)
{
	json_t *object = json_object();
	*failed |= plot_json_set(object, "method", json_string(name));
	*failed |= plot_json_set(object, "label", table_json_text(label, strlen(label)));
	return object;
}

json_t *plot_json_unless(int failed, json_t *object)
{
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

void plot_csv_text(FILE *f, const char *bytes, size_t n)
{
	fputc('"', f);
	for (size_t i = 0; i < n;) {
		uint32_t code = 0xfffd;
		char out[4];
		size_t step = utf8_decode(bytes + i, n - i, &code);
		if (code == 0)
			code = 0xfffd;
		if (code == '"')
			fputc('"', f);
		fwrite(out, 1, utf8_encode(code, out), f);
		i += step ? step : 1;
	}
	fputc('"', f);
}

void plot_csv_number(FILE *f, double x)
{
	if (isfinite(x))
		fprintf(f, "%.9g", x);
}
