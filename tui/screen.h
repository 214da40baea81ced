/* The interactive program: what `kvglass` and `kvglass view` start. */
#ifndef KVGLASS_TUI_SCREEN_H
#define KVGLASS_TUI_SCREEN_H

#include "analysis/measure.h"
#include "analysis/protocol.h"

struct options; /* a parsed command line */

struct screen_options {
	const struct options *words; /* what the rest came from, for settings that change later; NULL: defaults */
	const char *capture;  /* .kvg to open, or NULL */
	const char *other;    /* with it: a second one to compare with, or NULL */
	const char *model;    /* path, or NULL: the start screen asks */
	const char *prompt;   /* text or NULL */
	size_t prompt_bytes;
	const char *prompt_file; /* where it came from, for the title; NULL when typed */
	const char *modules;  /* path, "untrained" or NULL */
	struct lookahead_load_options load; /* --alpha, --any-base: for lookahead_load() of that path */
	struct model_options device;
	struct measure_options measure; /* .modules is loaded by the screen's worker from `modules` */
	struct protocol protocol;
	const struct preset *preset; /* with that protocol: its own map is one more method, under its name; or NULL */
	int budget;           /* 0: 128, or half the prompt when that is shorter */
	const char *color;    /* "auto", "24bit", "256", "16", "mono"; order: flag, config, NO_COLOR, guess */
	const char *charset;  /* "auto", "utf8", "ascii" */
	const char *background; /* "auto", "dark", "light" */
	const char *notice;   /* to be said on the first screen, or NULL */
	const char *config;   /* file that settings are kept in, or NULL */
	const char *copied;   /* file that what is copied goes to as well, or NULL */
	const char *history;  /* file that typed lines are kept in, or NULL */
	const char *script;   /* actions to feed, one a line, or NULL (regression tests, batch) */
	const char *dump;     /* with script: write the last screen there, glyph and colour of each cell */
	int rows, columns;    /* with script and no terminal: the size to draw; 0: 24 x 80 */
};
/* Runs until the user leaves. The terminal is restored whatever happens. Returns 0, or an error to be printed after
 * it. */
int screen_run(const struct screen_options *o, struct err *e);

#endif
