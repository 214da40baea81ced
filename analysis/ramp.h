/* Ramp: from a value to a level of colour, the same for screens and figures.
 *
 * A level is 0 .. 1 on a scale; screens turn it into 24-bit, 256, 16 colours or a glyph, figures into RGB.
 */
#ifndef KVGLASS_ANALYSIS_RAMP_H
#define KVGLASS_ANALYSIS_RAMP_H

#include <stdint.h>

enum ramp_scale {
	RAMP_LIFT,       /* log scale, fixed from 1x to 100x */
	RAMP_PERCENTILE, /* 0 .. 1 */
	RAMP_RAW,        /* 0 .. the row's maximum */
	RAMP_DIFFERENCE, /* log10 of the ratio of lifts, -2 .. 2; level 0.5 is equal */
};
enum ramp_colour { RAMP_VIRIDIS, RAMP_CIVIDIS, RAMP_MAGMA, RAMP_GREY, RAMP_DIVERGING };

/* NaN gives NaN: "no value here", drawn with a glyph of its own. max is used by RAMP_RAW only. */
float ramp_level(enum ramp_scale scale, float value, float max);
/* 0xRRGGBB. Perceptually uniform, monotonic lightness (the diverging one: symmetric). */
uint32_t ramp_rgb(enum ramp_colour colour, float level);
/* Is text on this background easier to read in black? (WCAG relative luminance) */
int ramp_wants_black(uint32_t rgb);

#endif
