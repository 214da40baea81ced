#include "tui/draw/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Four maxima side by side: one alone waits for itself at every token. */
static float largest_of(const float *value, int n)
{
	float most[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
	int j = 0;
	for (; j + 4 <= n; j += 4)
		for (int lane = 0; lane < 4; lane++)
			most[lane] = value[j + lane] > most[lane] ? value[j + lane] : most[lane];
	for (; j < n; j++)
		most[0] = value[j] > most[0] ? value[j] : most[0];
	for (int lane = 1; lane < 4; lane++)
		most[0] = most[lane] > most[0] ? most[lane] : most[0];
	return most[0] == -INFINITY ? NAN : most[0];
}

void columns_largest(const float *value, int first, struct look_window w, int cols, float *out)
{
	for (int col = 0; col < cols; col++) {
		int begin, end;
		look_column(w, cols, col, &begin, &end);
		out[col] = largest_of(value + first + begin, end - begin);
	}
}

void columns_mean(const float *value, int first, struct look_window w, int cols, float *out)
{
	for (int col = 0; col < cols; col++) {
		int begin, end, n = 0;
		double sum = 0;
		look_column(w, cols, col, &begin, &end);
		for (int j = first + begin; j < first + end; j++) {
			bool known = !isnan(value[j]);
			sum += known ? (double)value[j] : 0;
			n += known;
		}
		out[col] = n ? (float)(sum / n) : NAN;
	}
}

void columns_free(struct columns *c)
{
	for (int i = 0; i < N_COLUMN_VALUE; i++) {
		free(c->of[i].value);
		free(c->of[i].largest);
		free(c->of[i].ready);
	}
	free(c->level);
	free(c->drawn);
	free(c->scratch);
	*c = (struct columns){0};
}

static bool prepare(struct columns *c, const struct columns_key *key, int n_prompt)
{
	if (!memcmp(key, &c->key, sizeof *key) && c->level)
		return true;
	size_t n_row = (size_t)key->n_row, n = n_row * (size_t)key->cols;
	columns_free(c);
	c->level = malloc(n * sizeof *c->level);
	c->drawn = calloc(n_row, sizeof *c->drawn);
	c->scratch = malloc((size_t)n_prompt * sizeof *c->scratch);
	bool ok = c->level && c->drawn && c->scratch;
	for (int i = 0; i < N_COLUMN_VALUE; i++) {
		struct column_values *v = &c->of[i];
		*v = (struct column_values){malloc(n * sizeof *v->value), malloc(n_row * sizeof *v->largest),
			calloc(n_row, sizeof *v->ready)};
		ok = ok && v->value && v->largest && v->ready;
	}
	if (!ok) {
		columns_free(c);
		return false;
	}
	c->key = *key;
	return true;
}

/* Lift of the row, attention where there is none; its largest value for the raw scale. */
static const float *row_lift(float *scratch, const struct look *l, int series, int layer, int row, float *largest)
{
	const struct snapshot *s = l->snap;
	int from = layer < 0 ? row : layer, head = layer < 0 ? -1 : row;
	if (layer < 0 && s->n_candidate > 0)
		return look_layer_lift(l, series, row, largest);
	bool known = s->n_candidate > 0 ? look_head_lift(l, series, layer, row, scratch)
	                                : snapshot_attention(s, series, from, head, scratch);
	if (!known)
		return NULL;
	*largest = largest_of(scratch + s->shown_first, s->n_shown);
	return scratch;
}

/* Share of candidates ranked lower: by the head's unit, or the mean over a layer's. */
static const float *row_percentile(float *scratch, const struct look *l, int series, int layer, int row)
{
	const struct snapshot *s = l->snap;
	int method = s->series[series].method;
	if (layer < 0 || method < 0) {
		const float *mean = snapshot_layer_percentile(s, series, layer < 0 ? row : layer);
		if (!mean || !l->no_sinks)
			return mean;
		memcpy(scratch, mean, (size_t)s->capture->n_prompt * sizeof *scratch);
	} else {
		const uint32_t *rank = evaluation_ranks(s->evaluation, method, layer, row / look_group(l));
		for (int j = 0; j < s->n_candidate; j++)
			scratch[s->first + j] = (float)((uint32_t)s->n_candidate - rank[j]) / (float)s->n_candidate;
	}
	for (int j = s->first; j < s->first + s->n_candidate; j++)
		if (look_hides(l, layer < 0 ? row : layer, j))
			scratch[j] = NAN;
	return scratch;
}

/* Values of a row's columns, from the cache or made now; NULL: not measured. */
static const float *row_values(struct columns *c, const struct look *l, enum column_value what, int row)
{
	struct column_values *v = &c->of[what];
	int cols = c->key.cols, first = l->snap->shown_first, series = what == COLUMN_TRUTH ? 0 : c->key.series;
	float *out = v->value + (size_t)row * (size_t)cols;
	struct look_window w = look_visible(l);
	if (v->ready[row])
		return out;
	v->largest[row] = 0;
	const float *value = what == COLUMN_PERCENTILE ? row_percentile(c->scratch, l, series, c->key.layer, row)
	                                               : row_lift(c->scratch, l, series, c->key.layer, row, &v->largest[row]);
	if (!value)
		return NULL;
	(what == COLUMN_PERCENTILE ? columns_mean : columns_largest)(value, first, w, cols, out);
	v->ready[row] = true;
	return out;
}

/* Ratio of the column's lifts, both no lower than the 1x below which a map is blank anyway. NaN stays: a column of sinks
 * that are left out. */
static float ratio_of(float value, float truth)
{
	return isnan(value) ? NAN : log10f(fmaxf(value, 1)) - log10f(fmaxf(truth, 1));
}

static bool make_row(struct columns *c, const struct look *l, int row, float *out)
{
	enum ramp_scale scale = look_scale(l);
	bool compares = scale == RAMP_DIFFERENCE && c->key.series > 0;
	enum column_value what = scale == RAMP_PERCENTILE ? COLUMN_PERCENTILE : COLUMN_LIFT;
	const float *value = row_values(c, l, what, row), *truth = compares ? row_values(c, l, COLUMN_TRUTH, row) : NULL;
	if (!value || (compares && !truth))
		return false;
	if (scale == RAMP_DIFFERENCE && !compares)
		scale = RAMP_LIFT; /* truth itself, to compare with */
	for (int i = 0; i < c->key.cols; i++)
		out[i] = ramp_level(scale, compares ? ratio_of(value[i], truth[i]) : value[i], c->of[what].largest[row]);
	return true;
}

const float *columns_row(struct columns *c, const struct look *l, int series, int layer, int row, int cols)
{
	struct look_window w = look_visible(l);
	const struct capture *capture = l->snap->capture;
	struct columns_key key = {.serial = l->snap->serial, .series = series, .no_sinks = l->no_sinks, .from = w.from,
		.span = w.span, .cols = cols, .layer = layer, .n_row = layer < 0 ? capture->n_layer : capture->n_head};
	if (cols < 1 || w.span < 1 || !prepare(c, &key, capture->n_prompt))
		return NULL;
	if (c->scale != look_scale(l))
		memset(c->drawn, 0, (size_t)key.n_row * sizeof *c->drawn);
	c->scale = look_scale(l);
	float *out = c->level + (size_t)row * (size_t)cols;
	if (!c->drawn[row])
		c->drawn[row] = make_row(c, l, row, out);
	return c->drawn[row] ? out : NULL;
}
