#include "engine/train/optimizer.h"

#include <math.h>

float optimizer_rate(const struct optimizer_options *options, int64_t update)
{
	if (update < options->warmup)
		return options->lr * (float)(update + 1) / (float)options->warmup;
	int64_t span = options->steps - options->warmup;
	double t = span > 0 ? (double)(update - options->warmup) / (double)span : 1;
	double fall = 0.5 * (1 + cos(M_PI * (t < 1 ? t : 1)));
	return (float)((double)options->lr * ((double)options->floor + (1 - (double)options->floor) * fall));
}

struct adamw optimizer_move(const struct optimizer_options *o, int64_t update, double norm)
{
	double made = (double)(update + 1);
	return (struct adamw){.shrink = o->clip > 0 && norm > (double)o->clip ? (float)((double)o->clip / norm) : 1,
		.rate = optimizer_rate(o, update), .beta1 = o->beta1, .beta2 = o->beta2, .by1 = (float)(1 / (1 - pow((double)o->beta1, made))),
		.by2 = (float)(1 / (1 - pow((double)o->beta2, made))), .eps = o->eps, .weight_decay = o->weight_decay};
}

double vector_square_sum(const float *x, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	return sum;
}

void adamw_update(const struct adamw *a)
{
	for (size_t i = 0; i < a->n; i++) {
		float g = a->gradient[i] * a->shrink;
		a->first[i] += (1 - a->beta1) * (g - a->first[i]);
		a->second[i] += (1 - a->beta2) * (g * g - a->second[i]);
		float move = a->first[i] * a->by1 / (sqrtf(a->second[i] * a->by2) + a->eps);
		a->value[i] -= a->rate * (move + a->weight_decay * a->value[i]);
	}
}
