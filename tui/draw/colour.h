/* How many colours a terminal has, and what to ask of it. Pure functions: the environment comes in as strings. */
#ifndef KVGLASS_TUI_COLOUR_H
#define KVGLASS_TUI_COLOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/err.h"

enum depth { DEPTH_MONO, DEPTH_16, DEPTH_256, DEPTH_RGB };

struct colour_world { /* strings as in the environment, NULL where unset */
	const char *flag;      /* --color: "auto", "24bit", "256", "16", "mono", or NULL */
	const char *no_color;  /* NO_COLOR: any text but "" means none */
	const char *colorterm;
	const char *term;
	const char *tmux;      /* TMUX: inside tmux, whatever TERM says */
	int terminfo_colors;   /* "colors" of the TERM's entry; -1: none or unknown */
};

/* Order: flag, NO_COLOR, guess. A guess is 24-bit when COLORTERM says truecolor or 24bit and TERM is no console of
 * few colours. */
enum depth colour_depth(const struct colour_world *w);

/* What a number of colours allows. */
enum depth colour_depth_of(int n_colours);

/* Entries of the terminal database to try for 24-bit colours, best first; NULL-terminated, out owns the strings.
 * They differ from TERM's own entry in how colours are asked for, so the nearest relative of TERM comes first. */
struct colour_entries {
	char name[4][64];
	int n;
};
void colour_direct_entries(const char *term, const char *tmux, struct colour_entries *out);

/* A flag's value; false when it is none of the five. */
bool colour_flag_known(const char *flag);

/* Is the background light? flag "dark" / "light" / "auto" or NULL; COLORFGBG ("15;0", "0;default;15") is the guess,
 * dark without it. */
bool colour_background_is_light(const char *flag, const char *colorfgbg);

/* The nearest of the 256 colours: 6 x 6 x 6 cube and grey ramp, 16 .. 255 (the first 16 are the user's own). */
int colour_nearest_256(uint32_t rgb);
uint32_t colour_of_256(int entry); /* 16 .. 255 */

#endif
