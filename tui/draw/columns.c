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
	free(c->level);
	free(c->ready);
	free(c->scratch);
	free(c->other);
	*c = (struct columns){0};
}

static bool prepare(struct columns *c, const struct columns_key *key, int n_prompt)
{
	if (!memcmp(key, &c->key, sizeof *key) && c->level)
		return true;
	columns_free(c);
	c->level = malloc((size_t)key->n_row * (size_t)key->cols * sizeof *c->level);
	c->ready = calloc((size_t)key->n_row, sizeof *c->ready);
	c->scratch = malloc((size_t)n_prompt * sizeof *c->scratch);
	c->other = malloc((size_t)key->cols * sizeof *c->other);
	if (!c->level || !c->ready || !c->scratch || !c->other) {
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

/* Ratio of the column's lifts, both no lower than the 1x below which a map is blank anyway. */
static void subtract(float *level, const float *truth, int cols)
{
	for (int i = 0; i < cols; i++) /* NaN stays: a column of sinks that are left out */
		level[i] = isnan(level[i]) ? NAN : log10f(fmaxf(level[i], 1)) - log10f(fmaxf(truth[i], 1));
}

static bool make_row(struct columns *c, const struct look *l, int series, int layer, int row, float *out)
{
	const struct look_window w = look_visible(l);
	int cols = c->key.cols, first = l->snap->shown_first;
	enum ramp_scale scale = look_scale(l);
	float largest = 0, unused;
	if (scale == RAMP_PERCENTILE) {
		const float *value = row_percentile(c->scratch, l, series, layer, row);
		if (!value)
			return false;
		columns_mean(value, first, w, cols, out);
	} else {
		const float *value = row_lift(c->scratch, l, series, layer, row, &largest);
		if (!value)
			return false;
		columns_largest(value, first, w, cols, out);
	}
	if (scale == RAMP_DIFFERENCE && series > 0) {
		const float *truth = row_lift(c->scratch, l, 0, layer, row, &unused);
		if (!truth)
			return false;
		columns_largest(truth, first, w, cols, c->other);
		subtract(out, c->other, cols);
	} else if (scale == RAMP_DIFFERENCE) {
		scale = RAMP_LIFT; /* truth itself, to compare with */
	}
	for (int i = 0; i < cols; i++)
		out[i] = ramp_level(scale, out[i], largest);
	return true;
}

const float *columns_row(struct columns *c, const struct look *l, int series, int layer, int row, int cols)
{
	struct look_window w = look_visible(l);
	const struct capture *capture = l->snap->capture;
	struct columns_key key = {.serial = l->snap->serial, .series = series, .scale = (int)look_scale(l),
		.no_sinks = l->no_sinks, .from = w.from, .span = w.span, .cols = cols, .layer = layer, .n_row = layer < 0 ? capture->n_layer : capture->n_head};
	if (cols < 1 || w.span < 1 || !prepare(c, &key, capture->n_prompt))
		return NULL;
	float *out = c->level + (size_t)row * (size_t)cols;
	if (!c->ready[row])
		c->ready[row] = make_row(c, l, series, layer, row, out);
	return c->ready[row] ? out : NULL;
}
