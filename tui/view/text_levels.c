/* How important every token of the Text screen is, as levels of colour. */
#include "tui/view/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool lift_of(const struct look *l, int series, float *out, float *largest)
{
	const float *shared = NULL;
	*largest = 0;
	if (l->scope == LOOK_HEAD) {
		if (!look_unit_lift(l, series, l->layer, look_unit(l), out))
			return false;
	} else {
		shared = l->scope == LOOK_LAYER ? look_layer_lift(l, series, l->layer, NULL) : look_all_lift(l, series);
		if (!shared)
			return false;
		memcpy(out, shared, (size_t)l->snap->capture->n_prompt * sizeof *out);
	}
	for (int j = l->snap->first; j < l->snap->first + l->snap->n_candidate; j++)
		*largest = out[j] > *largest ? out[j] : *largest;
	return true;
}

/* Mean share of candidates that the scope's heads rank lower. */
static bool percentile_of(const struct look *l, int series, float *out)
{
	int method = l->snap->series[series].method, n = l->snap->n_candidate, units = look_n_unit(l);
	int from_layer = l->scope == LOOK_ALL ? 0 : l->layer,
		to_layer = l->scope == LOOK_ALL ? l->snap->capture->n_layer - 1 : l->layer;
	int from = l->scope == LOOK_HEAD ? look_unit(l) : 0, to = l->scope == LOOK_HEAD ? from : units - 1;
	if (method < 0)
		return false;
	for (int j = 0; j < l->snap->capture->n_prompt; j++)
		out[j] = j >= l->snap->first && j < l->snap->first + n ? 0 : NAN;
	for (int layer = from_layer; layer <= to_layer; layer++) {
		for (int unit = from; unit <= to; unit++) {
			const uint32_t *rank = evaluation_ranks(l->snap->evaluation, method, layer, unit);
			for (int j = 0; j < n; j++)
				out[l->snap->first + j] += (float)((uint32_t)n - rank[j]) / (float)n;
		}
	}
	for (int j = 0; j < n; j++)
		out[l->snap->first + j] /= (float)((to_layer - from_layer + 1) * (to - from + 1));
	return true;
}

static void to_levels(const struct look *l, int series, float *value, float *scratch, float largest)
{
	enum ramp_scale scale = look_scale(l);
	float unused;
	bool signed_ = scale == RAMP_DIFFERENCE && series > 0 && scratch && lift_of(l, 0, scratch, &unused);
	if (scale == RAMP_DIFFERENCE && !signed_)
		scale = RAMP_LIFT;
	for (int j = 0; j < l->snap->capture->n_prompt; j++) {
		bool shown = j >= l->snap->first && j < l->snap->first + l->snap->n_candidate && !isnan(value[j]) &&
			(l->scope == LOOK_ALL || !look_hides(l, l->layer, j));
		if (signed_)
			value[j] = log10f(fmaxf(value[j], 1)) - log10f(fmaxf(scratch[j], 1));
		value[j] = shown ? ramp_level(scale, value[j], largest) : NAN;
	}
}

const float *text_levels(struct text *t, const struct look *l)
{
	struct text_level_key key = {l->snap->serial, l->focus, (int)l->scope, (int)look_scale(l),
		l->scope == LOOK_ALL ? -1 : l->layer,
		l->scope == LOOK_HEAD ? look_unit(l) : -1, l->no_sinks};
	if (t->level && !memcmp(&key, &t->level_key, sizeof key))
		return t->level;
	size_t n = (size_t)l->snap->capture->n_prompt;
	float *made = malloc(n * sizeof *made), *scratch = malloc(n * sizeof *scratch), largest = 0;
	bool ok = made && scratch &&
		(look_scale(l) == RAMP_PERCENTILE ? percentile_of(l, l->focus, made) : lift_of(l, l->focus, made, &largest));
	if (ok)
		to_levels(l, l->focus, made, scratch, largest);
	else {
		free(made);
		made = NULL;
	}
	free(scratch);
	free(t->level);
	t->level = made;
	t->level_key = key;
	return made;
}
