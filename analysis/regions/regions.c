#include "analysis/regions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/regions/classes.h"
#include "engine/engine.h"

struct regions {
	const struct evaluation *ev;
	const struct capture *capture;
	const struct capture_map *truth; /* NULL: none */
	int n_unit, first, n_candidate, n_region;
	uint8_t *class;  /* (n_layer, n_prompt) */
	uint8_t *part;   /* (n_prompt) */
	struct region_span *span;
	int n_span;
	int *tokens;     /* (n_layer, n_region) */
	double *mass;    /* (n_layer, n_unit, n_region) share of the unit's truth on the prompt; NULL without truth */
	double *total;   /* (n_layer, n_unit) truth's mass on the prompt; NULL without truth */
	struct steps {   /* of a prepared method: what protected positions and its first 0, STEP, ... all candidates come to; NULL: not prepared */
		double *kept, *covered; /* (n_layer, n_unit, n_step, n_region); covered NULL without truth */
	} *steps;        /* (n_method) */
	int n_method, n_step;
};

enum { STEP = 128 };

const char *token_class_name(enum token_class c)
{
	static const char *const name[N_TOKEN_CLASS] = {"sink", "window", "in-prompt sink", "control", "word", "number",
		"punctuation", "space", "other"};
	return name[c];
}

const char *prompt_part_name(enum prompt_part p)
{
	static const char *const name[N_PROMPT_PART] = {"template", "system", "user", "unknown"};
	return name[p];
}

/* ---- which position is what ---- */

static void fill_parts(struct regions *r)
{
	static const enum prompt_part part[] = {[PART_TEMPLATE] = PROMPT_TEMPLATE, [PART_SYSTEM] = PROMPT_SYSTEM,
		[PART_USER] = PROMPT_USER, [PART_RESPONSE] = PROMPT_UNKNOWN};
	for (int j = 0; j < r->capture->n_prompt; j++)
		r->part[j] = r->capture->part ? part[r->capture->part[j]] : PROMPT_UNKNOWN;
}

static int fill_classes(struct regions *r, struct err *e)
{
	const struct capture *c = r->capture;
	const struct selection *s = &evaluation_protocol(r->ev)->select;
	size_t n = (size_t)c->n_prompt;
	uint8_t *text = malloc(n + 1), *sink = malloc(n + 1);
	bool ok = text && sink && classes_of_text(c, text);
	for (int layer = 0; ok && layer < c->n_layer; layer++) {
		uint8_t *class = r->class + (size_t)layer * n;
		evaluation_prompt_sinks(r->ev, layer, sink);
		for (int j = 0; j < c->n_prompt; j++)
			class[j] = j < s->sink ? CLASS_SINK : c->n_prompt - j <= s->window ? CLASS_WINDOW
				: sink[j] ? CLASS_PROMPT_SINK : text[j];
	}
	free(text);
	free(sink);
	return ok ? 0 : err_set(e, ERR_MEMORY, "regions of %d tokens: out of memory", c->n_prompt);
}

/* Adds x to the sums (n_region) of the regions that position j of a layer lies in. */
static inline void add_position(const struct regions *r, int layer, int j, double x, double *sum)
{
	sum[REGION_PART + r->part[j]] += x;
	sum[REGION_CLASS + r->class[(size_t)layer * (size_t)r->capture->n_prompt + (size_t)j]] += x;
	for (int i = 0; i < r->n_span; i++)
		if (j >= r->span[i].first && j < r->span[i].end)
			sum[REGION_SPAN + i] += x;
}

static void count_tokens(struct regions *r, double *sum)
{
	for (int layer = 0; layer < r->capture->n_layer; layer++) {
		memset(sum, 0, (size_t)r->n_region * sizeof *sum);
		for (int j = 0; j < r->capture->n_prompt; j++)
			add_position(r, layer, j, 1, sum);
		for (int i = 0; i < r->n_region; i++)
			r->tokens[(size_t)layer * (size_t)r->n_region + (size_t)i] = (int)sum[i];
	}
}

/* ---- truth ---- */

static double truth_at(const struct regions *r, int layer, int unit, int j)
{
	int group = r->capture->n_head / r->n_unit;
	double sum = 0;
	for (int h = unit * group; h < (unit + 1) * group; h++)
		sum += (double)capture_row(r->capture, r->truth, layer, h)[j];
	return sum;
}

static void weigh_unit(struct regions *r, int layer, int unit)
{
	size_t row = (size_t)layer * (size_t)r->n_unit + (size_t)unit;
	double *mass = r->mass + row * (size_t)r->n_region;
	for (int j = 0; j < r->capture->n_prompt; j++) {
		double x = truth_at(r, layer, unit, j);
		add_position(r, layer, j, x, mass);
		r->total[row] += x;
	}
}

/* ---- opening ---- */

static int check_spans(const struct region_span *span, int n_span, int n_prompt, struct err *e)
{
	for (int i = 0; i < n_span; i++)
		if (span[i].first < 0 || span[i].end <= span[i].first || span[i].end > n_prompt)
			return err_set(e, ERR_USE, "span %d:%d is no part of a prompt of %d tokens", span[i].first, span[i].end,
				n_prompt);
	return 0;
}

static bool make_room(struct regions *r)
{
	const struct capture *c = r->capture;
	size_t layers = (size_t)c->n_layer, rows = layers * (size_t)r->n_unit, regions = (size_t)r->n_region;
	r->class = malloc(layers * (size_t)c->n_prompt);
	r->part = malloc((size_t)c->n_prompt);
	r->span = malloc((size_t)r->n_span * sizeof *r->span + 1);
	r->tokens = malloc(layers * regions * sizeof *r->tokens);
	r->steps = calloc((size_t)r->n_method + 1, sizeof *r->steps);
	if (r->truth) {
		r->mass = calloc(rows * regions, sizeof *r->mass);
		r->total = calloc(rows, sizeof *r->total);
	}
	return r->class && r->part && r->span && r->tokens && r->steps && (!r->truth || (r->mass && r->total));
}

int regions_open(struct regions **out, const struct evaluation *ev, const struct region_span *span, int n_span,
	struct err *e)
{
	const struct capture *c = evaluation_capture(ev);
	*out = NULL;
	int rc = check_spans(span, n_span, c->n_prompt, e);
	if (rc)
		return rc;
	struct regions *r = calloc(1, sizeof *r);
	double *scratch = malloc((size_t)(REGION_SPAN + n_span) * sizeof *scratch);
	if (r) {
		*r = (struct regions){.ev = ev, .capture = c, .n_unit = evaluation_n_unit(ev), .n_span = n_span,
			.n_region = REGION_SPAN + n_span, .n_method = evaluation_n_method(ev), .truth = evaluation_has_truth(ev) ? capture_find(c, "truth") : NULL};
		r->n_candidate = evaluation_n_candidate(ev, &r->first);
		r->n_step = (r->n_candidate + STEP - 1) / STEP + 1;
	}
	if (!r || !scratch || !make_room(r))
		rc = err_set(e, ERR_MEMORY, "regions of %d tokens: out of memory", c->n_prompt);
	if (!rc) {
		for (int i = 0; i < n_span; i++)
			r->span[i] = span[i];
		fill_parts(r);
		rc = fill_classes(r, e);
	}
	if (!rc)
		count_tokens(r, scratch);
	for (int layer = 0; !rc && r->truth && layer < c->n_layer; layer++)
		for (int unit = 0; unit < r->n_unit; unit++)
			weigh_unit(r, layer, unit);
	free(scratch);
	if (rc)
		regions_close(r);
	else
		*out = r;
	return rc;
}

void regions_close(struct regions *r)
{
	if (!r)
		return;
	free(r->class);
	free(r->part);
	free(r->span);
	free(r->tokens);
	free(r->mass);
	free(r->total);
	for (int i = 0; r->steps && i < r->n_method; i++) {
		free(r->steps[i].kept);
		free(r->steps[i].covered);
	}
	free(r->steps);
	free(r);
}

/* ---- asking ---- */

int regions_count(const struct regions *r)
{
	return r->n_region;
}

enum token_class regions_class(const struct regions *r, int layer, int position)
{
	return (enum token_class)r->class[(size_t)layer * (size_t)r->capture->n_prompt + (size_t)position];
}

enum prompt_part regions_part(const struct regions *r, int position)
{
	return (enum prompt_part)r->part[position];
}

struct tally { /* (n_region) each */
	double *kept, *covered, *truth, *tokens;
	double n_kept;
	int n_head, n_truth, n_layer; /* n_truth: heads in which truth reads anything */
};

/* sign -1 takes a position out again. covered may be NULL. */
static void keep_position(const struct regions *r, int layer, int unit, int j, double sign, double *kept, double *covered)
{
	double total = r->truth ? r->total[(size_t)layer * (size_t)r->n_unit + (size_t)unit] : 0;
	add_position(r, layer, j, sign, kept);
	if (total > 0)
		add_position(r, layer, j, sign * truth_at(r, layer, unit, j) / total, covered);
}

static void add_all(double *to, const double *from, int n)
{
	for (int i = 0; i < n; i++)
		to[i] += from[i];
}

/* Those that are kept whatever the budget is. */
static void keep_protected(const struct regions *r, int layer, int unit, double *kept, double *covered)
{
	int n = r->capture->n_prompt;
	for (int j = 0; j < r->first && j < n; j++)
		keep_position(r, layer, unit, j, 1, kept, covered);
	for (int j = r->first + r->n_candidate; j < n; j++)
		keep_position(r, layer, unit, j, 1, kept, covered);
}

static int candidates_at(const struct regions *r, int step)
{
	return step * STEP < r->n_candidate ? step * STEP : r->n_candidate;
}

/* Protected positions and the first k of a ranking: from the nearest step that is known, forwards or back. */
static void tally_kept(const struct regions *r, struct tally *t, int method, int layer, int unit, int k)
{
	const struct steps *s = &r->steps[method];
	const uint32_t *order = evaluation_order(r->ev, method, layer, unit);
	int step = s->kept ? (k + STEP / 2) / STEP : 0;
	step = k == r->n_candidate && s->kept ? r->n_step - 1 : step;
	if (s->kept) {
		size_t at = (((size_t)layer * (size_t)r->n_unit + (size_t)unit) * (size_t)r->n_step + (size_t)step) * (size_t)r->n_region;
		add_all(t->kept, s->kept + at, r->n_region);
		if (s->covered)
			add_all(t->covered, s->covered + at, r->n_region);
	} else {
		keep_protected(r, layer, unit, t->kept, t->covered);
	}
	int known = candidates_at(r, step);
	for (int i = known; i < k; i++)
		keep_position(r, layer, unit, r->first + (int)order[i], 1, t->kept, t->covered);
	for (int i = known - 1; i >= k; i--)
		keep_position(r, layer, unit, r->first + (int)order[i], -1, t->kept, t->covered);
}

static void tally_head(const struct regions *r, struct tally *t, int method, int layer, int unit, int k)
{
	size_t row = (size_t)layer * (size_t)r->n_unit + (size_t)unit;
	int after = r->first + r->n_candidate, n = r->capture->n_prompt;
	k = k < 0 ? 0 : k < r->n_candidate ? k : r->n_candidate;
	if (k > 0)
		tally_kept(r, t, method, layer, unit, k);
	else /* a method that has nothing to choose from need not be available */
		keep_protected(r, layer, unit, t->kept, t->covered);
	t->n_kept += k + (r->first < n ? r->first : n) + (after < n ? n - after : 0);
	t->n_head++;
	if (!r->truth || !(r->total[row] > 0))
		return;
	t->n_truth++;
	for (int i = 0; i < r->n_region; i++)
		t->truth[i] += r->mass[row * (size_t)r->n_region + (size_t)i] / r->total[row];
}

static void fill_steps(const struct regions *r, struct steps *s, int method, int layer, int unit)
{
	size_t n = (size_t)r->n_region, at = ((size_t)layer * (size_t)r->n_unit + (size_t)unit) * (size_t)r->n_step * n;
	const uint32_t *order = evaluation_order(r->ev, method, layer, unit);
	double *kept = s->kept + at, *covered = s->covered ? s->covered + at : NULL;
	keep_protected(r, layer, unit, kept, covered);
	for (int step = 1; step < r->n_step; step++) {
		memcpy(kept + n, kept, n * sizeof *kept);
		kept += n;
		if (covered) {
			memcpy(covered + n, covered, n * sizeof *covered);
			covered += n;
		}
		for (int i = (step - 1) * STEP; i < candidates_at(r, step); i++)
			keep_position(r, layer, unit, r->first + (int)order[i], 1, kept, covered);
	}
}

int regions_prepare(struct regions *r, int method, struct err *e)
{
	struct steps *s = &r->steps[method];
	size_t n = (size_t)r->capture->n_layer * (size_t)r->n_unit * (size_t)r->n_step * (size_t)r->n_region;
	if (s->kept || r->n_candidate == 0)
		return 0;
	s->kept = calloc(n, sizeof *s->kept);
	s->covered = r->truth ? calloc(n, sizeof *s->covered) : NULL;
	if (!s->kept || (r->truth && !s->covered)) {
		free(s->kept);
		free(s->covered);
		*s = (struct steps){0};
		return err_set(e, ERR_MEMORY, "regions of %d tokens: out of memory", r->capture->n_prompt);
	}
	for (int layer = 0; layer < r->capture->n_layer; layer++)
		for (int unit = 0; unit < r->n_unit; unit++)
			fill_steps(r, s, method, layer, unit);
	return 0;
}

void regions_numbers(const struct regions *r, int method, struct scope s, const int *k, struct region_numbers *out)
{
	size_t n = (size_t)r->n_region;
	double *room = calloc(4 * n, sizeof *room);
	for (size_t i = 0; i < n; i++)
		out[i] = (struct region_numbers){NAN, NAN, NAN, NAN, NAN};
	if (!room)
		return;
	struct tally t = {.kept = room, .covered = room + n, .truth = room + 2 * n, .tokens = room + 3 * n};
	int first = s.layer < 0 ? 0 : s.layer, last = s.layer < 0 ? r->capture->n_layer - 1 : s.layer;
	bool one = s.layer >= 0 && s.kv_head >= 0;
	for (int layer = first; layer <= last; layer++, t.n_layer++) {
		for (int unit = one ? s.kv_head : 0; unit < (one ? s.kv_head + 1 : r->n_unit); unit++)
			tally_head(r, &t, method, layer, unit, k ? k[layer * r->n_unit + unit] : 0);
		for (size_t i = 0; i < n; i++)
			t.tokens[i] += r->tokens[(size_t)layer * n + i];
	}
	for (size_t i = 0; i < n; i++) {
		out[i].tokens = t.tokens[i] / t.n_layer;
		out[i].kept = t.kept[i] / t.n_head;
		out[i].share = t.n_kept > 0 ? t.kept[i] / t.n_kept : NAN;
		out[i].truth = t.n_truth ? t.truth[i] / t.n_truth : NAN;
		out[i].covered = t.truth[i] > 0 ? t.covered[i] / t.truth[i] : NAN;
	}
	free(room);
}
