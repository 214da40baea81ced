#include "engine/train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int optimizer_new(struct optimizer *o, size_t n)
{
	*o = (struct optimizer){.n = n, .first = calloc(n, sizeof *o->first), .second = calloc(n, sizeof *o->second)};
	if (o->first && o->second)
		return 0;
	optimizer_free(o);
	return -1;
}

void optimizer_free(struct optimizer *o)
{
	free(o->first);
	free(o->second);
	*o = (struct optimizer){0};
}

void optimizer_forget(struct optimizer *o)
{
	memset(o->first, 0, o->n * sizeof *o->first);
	memset(o->second, 0, o->n * sizeof *o->second);
	o->step = 0;
}

float optimizer_rate(const struct optimizer_options *options, int64_t step)
{
	if (step < options->warmup)
		return options->lr * (float)(step + 1) / (float)options->warmup;
	int64_t span = options->steps - options->warmup;
	double t = span > 0 ? (double)(step - options->warmup) / (double)span : 1;
	double fall = 0.5 * (1 + cos(M_PI * (t < 1 ? t : 1)));
	return (float)((double)options->lr * ((double)options->floor + (1 - (double)options->floor) * fall));
}

static double norm_of(const float *x, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	return sqrt(sum);
}

double optimizer_update(struct optimizer *o, const struct optimizer_options *options, const float *gradient, float *value)
{
	double norm = norm_of(gradient, o->n);
	if (!isfinite(norm))
		return norm;
	float shrink = options->clip > 0 && norm > (double)options->clip ? (float)((double)options->clip / norm) : 1;
	float rate = optimizer_rate(options, o->step);
	o->step++;
	double correct1 = 1 - pow((double)options->beta1, (double)o->step), correct2 = 1 - pow((double)options->beta2, (double)o->step);
	float by1 = (float)(1 / correct1), by2 = (float)(1 / correct2);
	for (size_t i = 0; i < o->n; i++) {
		float g = gradient[i] * shrink;
		o->first[i] += (1 - options->beta1) * (g - o->first[i]);
		o->second[i] += (1 - options->beta2) * (g * g - o->second[i]);
		float move = o->first[i] * by1 / (sqrtf(o->second[i] * by2) + options->eps);
		value[i] -= rate * (move + options->weight_decay * value[i]);
	}
	return norm;
}
