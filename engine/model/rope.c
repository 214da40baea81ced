/* Rotary frequencies in float32, step by step as the reference implementations round them: a difference of one unit in the
 * last place turns into 5e-4 rad at position 8192. And the order of rows that comes of what is rotated with what. */
#include "engine/model/build.h"

#include <math.h>

/* Llama 3.1's rule: wavelengths that fit the original context high_freq_factor times stay, those that fit it less
 * than low_freq_factor times are stretched by factor, in between the two are blended. */
static float scale_llama3(const struct rope_config *c, float frequency)
{
	float factor = (float)c->factor, low = (float)c->low_freq_factor;
	float context = (float)c->original_context;
	float wavelength = (float)(2 * M_PI) / frequency;
	if (wavelength < (float)(c->original_context / c->high_freq_factor))
		return frequency;
	if (wavelength > (float)(c->original_context / c->low_freq_factor))
		return frequency / factor;
	float smooth = (context / wavelength - low) / (float)(c->high_freq_factor - c->low_freq_factor);
	return (1 - smooth) * frequency / factor + smooth * frequency;
}

void rope_frequencies(const struct rope_config *c, int head_dim, float *out)
{
	for (int i = 0; i < head_dim / 2; i++) {
		float exponent = (float)(2 * i) / (float)head_dim;
		/* float32 power, correctly rounded: through double */
		float frequency = 1.0f / (float)pow((double)(float)c->base, (double)exponent);
		if (c->llama3)
			frequency = scale_llama3(c, frequency);
		out[i] = c->divisor ? frequency / c->divisor[i] : frequency;
	}
}

int model_stored_row(const struct model *m, int proj, int row)
{
	int d = m->info.head_dim, in_head = row % d;
	if (m->rope_pairs != ROPE_ADJACENT || (proj != PROJ_Q && proj != PROJ_K))
		return row;
	return row - in_head + (in_head < d / 2 ? 2 * in_head : 2 * (in_head - d / 2) + 1);
}
