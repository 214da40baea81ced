#include "analysis/ramp.h"

#include <math.h>

#include "analysis/ramp/tables.h"

static float clamp01(float x)
{
	return x < 0 ? 0 : x > 1 ? 1 : x;
}

float ramp_level(enum ramp_scale scale, float value, float max)
{
	if (isnan(value))
		return NAN;
	switch (scale) {
	case RAMP_LIFT: /* two decades; whatever lies below a uniform row's share is the lowest level */
		return value <= 1 ? 0 : clamp01(log10f(value) / 2);
	case RAMP_PERCENTILE:
		return clamp01(value);
	case RAMP_RAW:
		return isnan(max) ? NAN : max > 0 ? clamp01(value / max) : 0;
	case RAMP_DIFFERENCE:
		return clamp01((value + 2) / 4);
	}
	return NAN;
}

uint32_t ramp_rgb(enum ramp_colour colour, float level)
{
	static const uint32_t *const table[] = {[RAMP_VIRIDIS] = ramp_viridis, [RAMP_CIVIDIS] = ramp_cividis,
		[RAMP_MAGMA] = ramp_magma, [RAMP_DIVERGING] = ramp_diverging};
	int at = isnan(level) ? 0 : (int)(clamp01(level) * RAMP_LEVELS);
	at = at < RAMP_LEVELS ? at : RAMP_LEVELS - 1;
	return colour == RAMP_GREY ? (uint32_t)at * 0x010101u : table[colour][at];
}

static double linear_light(uint32_t code)
{
	double c = code / 255.0;
	return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

int ramp_wants_black(uint32_t rgb)
{
	double luminance = 0.2126 * linear_light(rgb >> 16 & 255) + 0.7152 * linear_light(rgb >> 8 & 255)
		+ 0.0722 * linear_light(rgb & 255);
	/* contrast with black (Y + .05) / .05 against contrast with white 1.05 / (Y + .05) */
	return (luminance + 0.05) * (luminance + 0.05) > 0.05 * 1.05;
}
