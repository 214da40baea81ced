#include "tui/worker/snapshot.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Lift and rank of every layer in one map. Shared by snapshots as long as the map's data is the same memory, which
 * the capture inside keeps alive. */
struct lift_block {
	atomic_int n_ref;
	const float *source;
	const struct capture *capture;
	int n_layer, n_prompt;
	float *row;     /* (n_layer, n_prompt) */
	float *largest; /* (n_layer) */
	float *all;     /* (n_prompt) mean over layers */
	float *percentile; /* (n_layer, n_prompt) mean over units of the share of candidates ranked lower */

	/* without in-prompt sinks; layers that have none share what is above */
	float **bare;      /* (n_layer) */
	float *bare_largest, *bare_all;
};

struct text_block {
	atomic_int n_ref;
	struct token_text text;
};

struct judged_block { /* one evaluation, counted */
	atomic_int n_ref;
	struct evaluation *evaluation;
};

struct whole { /* what a snapshot is made of */
	struct snapshot public;
	atomic_int n_ref;
	struct judged_block *own, *common; /* common: NULL when it is the same */
	struct text_block *text;
	uint8_t *sink;
};

static struct whole *whole_of(const struct snapshot *s)
{
	return (struct whole *)(void *)s; /* public is its first member */
}

/* ---- lift of layers ---- */

static void lift_unref(struct lift_block *b)
{
	if (!b || atomic_fetch_sub(&b->n_ref, 1) > 1)
		return;
	capture_unref(b->capture);
	free(b->row);
	free(b->largest);
	free(b->all);
	free(b->percentile);
	for (int layer = 0; b->bare && layer < b->n_layer; layer++)
		if (b->bare[layer] != b->row + (size_t)layer * (size_t)b->n_prompt)
			free(b->bare[layer]);
	free(b->bare);
	free(b->bare_largest);
	free(b->bare_all);
	free(b);
}

static void note_largest(struct lift_block *b, int layer, int first, int n)
{
	const float *row = b->row + (size_t)layer * (size_t)b->n_prompt;
	float most = 0;
	for (int j = first; j < first + n; j++)
		most = row[j] > most ? row[j] : most;
	b->largest[layer] = most;
	for (int j = 0; j < b->n_prompt; j++)
		b->all[j] += row[j] / (float)b->n_layer;
}

static void note_percentile(struct lift_block *b, const struct snapshot *s, int method, int layer)
{
	float *row = b->percentile + (size_t)layer * (size_t)b->n_prompt + s->first;
	int units = evaluation_n_unit(s->evaluation);
	for (int unit = 0; unit < units; unit++) {
		const uint32_t *rank = evaluation_ranks(s->evaluation, method, layer, unit);
		for (int j = 0; j < s->n_candidate; j++)
			row[j] += (float)((uint32_t)s->n_candidate - rank[j]);
	}
	for (int j = 0; j < s->n_candidate; j++)
		row[j] /= (float)units * (float)s->n_candidate;
}

void snapshot_leave_sinks_out(const struct snapshot *s, int layer, float *lift)
{
	const uint8_t *sink = s->prompt_sink + (size_t)layer * (size_t)s->capture->n_prompt;
	double gone = 0;
	int n_gone = 0;
	for (int j = s->first; j < s->first + s->n_candidate; j++) {
		if (!sink[j])
			continue;
		gone += (double)lift[j];
		lift[j] = NAN;
		n_gone++;
	}
	/* a lift is a share times the number of candidates: both are smaller now */
	double left = 1 - gone / s->n_candidate, share = (double)(s->n_candidate - n_gone) / s->n_candidate;
	float factor = left > 0 ? (float)(share / left) : NAN;
	for (int j = s->first; n_gone && j < s->first + s->n_candidate; j++)
		lift[j] *= factor;
}

static bool has_sinks(const struct snapshot *s, int layer)
{
	return memchr(s->prompt_sink + (size_t)layer * (size_t)s->capture->n_prompt, 1, (size_t)s->capture->n_prompt) != NULL;
}

/* Mean over the heads, each without the layer's sinks. head (n_prompt) is scratch. */
static int bare_layer(float *out, float *head, const struct snapshot *s, int method, int layer, struct err *e)
{
	const struct capture *c = s->capture;
	for (int j = 0; j < c->n_prompt; j++)
		out[j] = 0;
	for (int h = 0; h < c->n_head; h++) {
		int rc = evaluation_lift(s->evaluation, method, layer, h, head, e);
		if (rc)
			return rc;
		snapshot_leave_sinks_out(s, layer, head);
		for (int j = 0; j < c->n_prompt; j++)
			out[j] += head[j] / (float)c->n_head;
	}
	return 0;
}

/* Mean over the layers in which a token is no sink. */
static void mean_of_bare(struct lift_block *b, const struct snapshot *s)
{
	for (int j = 0; j < b->n_prompt; j++) {
		double sum = 0;
		int n = 0;
		for (int layer = 0; layer < b->n_layer; layer++)
			if (!isnan(b->bare[layer][j])) {
				sum += (double)b->bare[layer][j];
				n++;
			}
		b->bare_all[j] = n ? (float)(sum / n) : NAN;
	}
	for (int layer = 0; layer < b->n_layer; layer++) {
		b->bare_largest[layer] = 0;
		for (int j = s->first; j < s->first + s->n_candidate; j++)
			if (b->bare[layer][j] > b->bare_largest[layer])
				b->bare_largest[layer] = b->bare[layer][j];
	}
}

static int make_bare(struct lift_block *b, const struct snapshot *s, int method, struct err *e)
{
	size_t n = (size_t)b->n_prompt;
	float *head = malloc(n * sizeof *head);
	int rc = 0;
	b->bare = calloc((size_t)b->n_layer, sizeof *b->bare);
	b->bare_largest = malloc((size_t)b->n_layer * sizeof *b->bare_largest);
	b->bare_all = malloc(n * sizeof *b->bare_all);
	if (!head || !b->bare || !b->bare_largest || !b->bare_all)
		rc = err_set(e, ERR_MEMORY, "maps of %d layers x %zu tokens: out of memory", b->n_layer, n);
	for (int layer = 0; !rc && layer < b->n_layer; layer++) {
		bool sinks = has_sinks(s, layer);
		b->bare[layer] = sinks ? malloc(n * sizeof **b->bare) : b->row + (size_t)layer * n;
		if (!b->bare[layer])
			rc = err_set(e, ERR_MEMORY, "maps of %d layers x %zu tokens: out of memory", b->n_layer, n);
		else if (sinks)
			rc = bare_layer(b->bare[layer], head, s, method, layer, e);
	}
	free(head);
	if (!rc)
		mean_of_bare(b, s);
	return rc;
}

static int lift_make(struct lift_block **out, const struct snapshot *s, int method, const float *source, struct err *e)
{
	const struct capture *c = s->capture;
	size_t n_row = (size_t)c->n_prompt;
	struct lift_block *b = calloc(1, sizeof *b);
	if (!b)
		return err_set(e, ERR_MEMORY, "maps of %d layers x %d tokens: out of memory", c->n_layer, c->n_prompt);
	*b = (struct lift_block){.n_ref = 1, .source = source, .n_layer = c->n_layer, .n_prompt = c->n_prompt,
		.row = malloc((size_t)c->n_layer * n_row * sizeof *b->row),
		.largest = malloc((size_t)c->n_layer * sizeof *b->largest),
		.all = calloc(n_row, sizeof *b->all), .percentile = calloc((size_t)c->n_layer * n_row, sizeof *b->percentile),
		.capture = capture_ref(c)};
	int rc = 0;
	if (!b->row || !b->largest || !b->all || !b->percentile)
		rc = err_set(e, ERR_MEMORY, "maps of %d layers x %d tokens: out of memory", c->n_layer, c->n_prompt);
	for (int layer = 0; !rc && layer < c->n_layer; layer++) {
		rc = evaluation_lift(s->evaluation, method, layer, -1, b->row + (size_t)layer * n_row, e);
		if (rc)
			break;
		note_largest(b, layer, s->first, s->n_candidate);
		note_percentile(b, s, method, layer);
	}
	if (!rc)
		rc = make_bare(b, s, method, e);
	if (rc)
		lift_unref(b);
	else
		*out = b;
	return rc;
}

static bool is_same_protocol(const struct protocol *a, const struct protocol *b)
{
	char switches[2][400];
	protocol_describe(a, switches[0], sizeof switches[0]);
	protocol_describe(b, switches[1], sizeof switches[1]);
	return !strcmp(switches[0], switches[1]);
}

static bool has_same_sinks(const struct snapshot *a, const struct snapshot *b)
{
	return a->capture->n_prompt == b->capture->n_prompt && a->capture->n_layer == b->capture->n_layer &&
		!memcmp(a->prompt_sink, b->prompt_sink, (size_t)a->capture->n_layer * (size_t)a->capture->n_prompt);
}

/* The block of the same data in the previous snapshot, or a new one. */
static int lift_get(struct lift_block **out, const struct snapshot *s, const struct series *series,
	const struct snapshot *previous,
	struct err *e)
{
	const struct capture_map *map = capture_find(s->capture, series->map);
	const float *source = map ? map->data : NULL;
	for (int i = 0; previous && source && i < previous->n_series; i++) {
		struct lift_block *b = previous->series[i].lift;
		if (b && b->source == source && previous->first == s->first && previous->n_candidate == s->n_candidate &&
			has_same_sinks(previous, s) &&
			is_same_protocol(evaluation_protocol(previous->evaluation), evaluation_protocol(s->evaluation))) {
			atomic_fetch_add(&b->n_ref, 1);
			*out = b;
			return 0;
		}
	}
	return lift_make(out, s, series->method, source, e);
}

/* ---- series ---- */

static bool is_drawn(const struct method *m, const struct capture *c)
{
	const struct capture_map *map = m->map ? capture_find(c, m->map) : NULL;
	return m->kind == METHOD_MAP && map && map->kind == MAP_ROWS;
}

static void describe(struct series *out, const struct snapshot *s, int method, const char *name, const char *label,
	const char *map)
{
	const struct capture_map *data = capture_find(s->capture, map);
	*out = (struct series){.method = method, .name = name, .label = label, .map = map};
	if (data) {
		out->n_rows = data->n_rows;
		out->n_rows_due = data->n_rows_due;
	}
}

/* Methods that have a map and are not there already. */
static void add_series(struct snapshot *s, int method)
{
	const struct method *m = method < 0 ? NULL : evaluation_method(s->evaluation, method)->method;
	if (!m || !evaluation_method(s->evaluation, method)->available || s->n_series == SNAPSHOT_MAX_SERIES)
		return;
	if (is_drawn(m, s->capture) && snapshot_find(s, m->name) < 0)
		describe(&s->series[s->n_series++], s, method, m->name, m->label, m->map);
}

/* Truth, then the two that the program is about, then whatever else was measured. */
static void list_series(struct snapshot *s, bool awaits_lookahead)
{
	const struct method *lookahead = method_find("lookahead");
	describe(&s->series[0], s, snapshot_method(s, "oracle"), "truth", "TRUTH", "truth");
	s->n_series = 1;
	add_series(s, snapshot_method(s, "snapkv"));
	if (snapshot_method(s, "lookahead") >= 0)
		add_series(s, snapshot_method(s, "lookahead"));
	else if (awaits_lookahead && lookahead)
		describe(&s->series[s->n_series++], s, -1, lookahead->name, lookahead->label, lookahead->map);
	for (int i = 0; i < evaluation_n_method(s->evaluation); i++)
		add_series(s, i);
}

/* ---- making ---- */

static int make_text(struct whole *w, const struct snapshot *previous, struct err *e)
{
	const struct capture *c = w->public.capture;
	struct text_block *old = previous ? whole_of(previous)->text : NULL;
	if (old && old->text.n == c->n_prompt + c->n_response && previous->capture->text == c->text) {
		atomic_fetch_add(&old->n_ref, 1);
		w->text = old;
	} else {
		w->text = calloc(1, sizeof *w->text);
		if (!w->text)
			return err_set(e, ERR_MEMORY, "text of %d tokens: out of memory", c->n_prompt + c->n_response);
		w->text->n_ref = 1;
		int rc = token_text_build(&w->text->text, c, e);
		if (rc)
			return rc;
	}
	w->public.text = &w->text->text;
	return 0;
}

static int make_sinks(struct whole *w, struct err *e)
{
	const struct snapshot *s = &w->public;
	w->sink = calloc((size_t)s->capture->n_layer, (size_t)s->capture->n_prompt);
	if (!w->sink)
		return err_set(e, ERR_MEMORY, "maps of %d layers x %d tokens: out of memory", s->capture->n_layer,
			s->capture->n_prompt);
	for (int layer = 0; layer < s->capture->n_layer; layer++)
		evaluation_prompt_sinks(s->evaluation, layer, w->sink + (size_t)layer * (size_t)s->capture->n_prompt);
	w->public.prompt_sink = w->sink;
	return 0;
}

static void judged_unref(struct judged_block *b)
{
	if (!b || atomic_fetch_sub(&b->n_ref, 1) > 1)
		return;
	evaluation_close(b->evaluation);
	free(b);
}

static int judge(struct judged_block **out, const struct capture *c, const struct evaluation_options *o, struct err *e)
{
	struct judged_block *b = calloc(1, sizeof *b);
	if (!b)
		return err_set(e, ERR_MEMORY, "a snapshot: out of memory");
	b->n_ref = 1;
	int rc = evaluation_open(&b->evaluation, c, o, NULL, e);
	if (rc)
		free(b);
	else
		*out = b;
	return rc;
}

/* The same capture's evaluation under the common protocol is in the snapshot before, one way or the other, once the protocol has
 * changed; else it is made. */
static int judge_common(struct judged_block **out, const struct capture *c, const struct snapshot *previous,
	const struct evaluation_options *o, struct err *e)
{
	struct evaluation_options common = *o;
	struct judged_block *b = NULL;
	if (previous && previous->capture == c)
		b = whole_of(previous)->common ? whole_of(previous)->common : whole_of(previous)->own;
	if (b && evaluation_seed(b->evaluation) == o->seed) {
		const struct protocol usual = protocol_default();
		if (is_same_protocol(evaluation_protocol(b->evaluation), &usual)) {
			atomic_fetch_add(&b->n_ref, 1);
			*out = b;
			return 0;
		}
	}
	common.protocol = protocol_default();
	common.preset = NULL;
	return judge(out, c, &common, e);
}

static int judge_both(struct whole *w, const struct snapshot *previous, const struct evaluation_options *o, struct err *e)
{
	const struct protocol usual = protocol_default();
	bool is_common = !o->preset && is_same_protocol(&o->protocol, &usual);
	int rc = is_common ? judge_common(&w->own, w->public.capture, previous, o, e) : judge(&w->own, w->public.capture, o, e);
	if (!rc && !is_common)
		rc = judge_common(&w->common, w->public.capture, previous, o, e);
	w->public.evaluation = w->own ? w->own->evaluation : NULL;
	w->public.common = w->common ? w->common->evaluation : NULL;
	return rc;
}

int snapshot_make(const struct snapshot **out, const struct capture *c, const struct snapshot *previous,
	const struct evaluation_options *o, bool awaits_lookahead, struct err *e)
{
	struct whole *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(e, ERR_MEMORY, "a snapshot: out of memory");
	struct snapshot *s = &w->public;
	w->n_ref = 1;
	s->capture = capture_ref(c);
	s->serial = previous ? previous->serial + 1 : 1;
	int rc = judge_both(w, previous, o, e);
	if (!rc) {
		s->n_candidate = evaluation_n_candidate(s->evaluation, &s->first);
		s->shown_first = s->n_candidate > 0 ? s->first : 0;
		s->n_shown = s->n_candidate > 0 ? s->n_candidate : c->n_prompt;
		list_series(s, awaits_lookahead);
		s->n_check = evaluation_self_checks(s->evaluation, SNAPSHOT_CHECK_BUDGET, s->check, SELF_CHECK_MAX);
		rc = make_text(w, previous, e);
	}
	if (!rc)
		rc = make_sinks(w, e);
	for (int i = 0; !rc && i < s->n_series; i++)
		if (s->series[i].method >= 0)
			rc = lift_get(&s->series[i].lift, s, &s->series[i], previous, e);
	if (rc)
		snapshot_unref(s);
	else
		*out = s;
	return rc;
}

const struct snapshot *snapshot_ref(const struct snapshot *s)
{
	atomic_fetch_add(&whole_of(s)->n_ref, 1);
	return s;
}

void snapshot_unref(const struct snapshot *s)
{
	if (!s || atomic_fetch_sub(&whole_of(s)->n_ref, 1) > 1)
		return;
	struct whole *w = whole_of(s);
	for (int i = 0; i < s->n_series; i++)
		lift_unref(s->series[i].lift);
	if (w->text && atomic_fetch_sub(&w->text->n_ref, 1) == 1) {
		token_text_free(&w->text->text);
		free(w->text);
	}
	judged_unref(w->own);
	judged_unref(w->common);
	capture_unref(s->capture);
	free(w->sink);
	free(w);
}

/* ---- asking ---- */

const struct self_check *snapshot_failed_check(const struct snapshot *s)
{
	for (int i = 0; i < s->n_check; i++)
		if (s->check[i].known && !s->check[i].ok)
			return &s->check[i];
	return NULL;
}

const float *snapshot_layer_lift(const struct snapshot *s, int series, int layer, float *largest)
{
	const struct lift_block *b = s->series[series].lift;
	if (!b)
		return NULL;
	if (largest)
		*largest = b->largest[layer];
	return b->row + (size_t)layer * (size_t)b->n_prompt;
}

const float *snapshot_layer_bare_lift(const struct snapshot *s, int series, int layer, float *largest)
{
	const struct lift_block *b = s->series[series].lift;
	if (b && largest)
		*largest = b->bare_largest[layer];
	return b ? b->bare[layer] : NULL;
}

const float *snapshot_all_bare_lift(const struct snapshot *s, int series)
{
	return s->series[series].lift ? s->series[series].lift->bare_all : NULL;
}

const float *snapshot_layer_percentile(const struct snapshot *s, int series, int layer)
{
	const struct lift_block *b = s->series[series].lift;
	return b ? b->percentile + (size_t)layer * (size_t)b->n_prompt : NULL;
}

const float *snapshot_all_lift(const struct snapshot *s, int series)
{
	return s->series[series].lift ? s->series[series].lift->all : NULL;
}

bool snapshot_head_lift(const struct snapshot *s, int series, int layer, int head, float *out)
{
	struct err e;
	return s->series[series].method >= 0 && !evaluation_lift(s->evaluation, s->series[series].method, layer, head,
		out, &e);
}

static const struct capture_map *map_of(const struct snapshot *s, int series)
{
	return s->series[series].method < 0 ? NULL : capture_find(s->capture, s->series[series].map);
}

/* Query heads of a unit. */
struct heads {
	int first, end;
};

static struct heads heads_of(const struct snapshot *s, int unit)
{
	int group = s->capture->n_head / evaluation_n_unit(s->evaluation);
	return (struct heads){unit * group, unit * group + group};
}

bool snapshot_unit_lift(const struct snapshot *s, int series, int layer, int unit, float *out)
{
	const struct capture_map *map = map_of(s, series);
	struct heads heads = heads_of(s, unit);
	double mass = 0;
	if (!map)
		return false;
	for (int j = 0; j < s->capture->n_prompt; j++)
		out[j] = j >= s->first && j < s->first + s->n_candidate ? 0 : NAN;
	for (int h = heads.first; h < heads.end; h++) {
		const float *row = capture_row(s->capture, map, layer, h);
		for (int j = s->first; j < s->first + s->n_candidate; j++) {
			out[j] += row[j];
			mass += (double)row[j];
		}
	}
	for (int j = s->first; j < s->first + s->n_candidate; j++)
		out[j] = mass > 0 ? (float)((double)out[j] / mass * s->n_candidate) : NAN;
	return true;
}

bool snapshot_attention(const struct snapshot *s, int series, int layer, int head, float *out)
{
	const struct capture_map *map = map_of(s, series);
	int from = head < 0 ? 0 : head, to = head < 0 ? s->capture->n_head : head + 1;
	if (!map)
		return false;
	for (int j = 0; j < s->capture->n_prompt; j++)
		out[j] = 0;
	for (int h = from; h < to; h++) {
		const float *row = capture_row(s->capture, map, layer, h);
		for (int j = 0; j < s->capture->n_prompt; j++)
			out[j] += row[j] / (float)(to - from);
	}
	return true;
}

double snapshot_token_lift(const struct snapshot *s, int series, struct scope scope, int token)
{
	const struct capture_map *map = map_of(s, series);
	double mass = 0, here = 0;
	if (!map || token < s->first || token >= s->first + s->n_candidate)
		return NAN;
	if (scope.layer < 0)
		return (double)snapshot_all_lift(s, series)[token];
	if (scope.kv_head < 0)
		return (double)snapshot_layer_lift(s, series, scope.layer, NULL)[token];
	struct heads heads = heads_of(s, scope.kv_head);
	for (int h = heads.first; h < heads.end; h++) {
		const float *row = capture_row(s->capture, map, scope.layer, h);
		here += (double)row[token];
		for (int j = s->first; j < s->first + s->n_candidate; j++)
			mass += (double)row[j];
	}
	return mass > 0 ? here / mass * s->n_candidate : NAN;
}

int snapshot_find(const struct snapshot *s, const char *name)
{
	for (int i = 0; i < s->n_series; i++)
		if (!strcmp(s->series[i].name, name))
			return i;
	return -1;
}

int snapshot_method(const struct snapshot *s, const char *name)
{
	return evaluation_find(s->evaluation, name);
}
