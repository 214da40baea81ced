/* kvglass inspect: what was found out about modules on one prompt, gathered once and then printed for people or as JSON. */
#ifndef KVGLASS_TUI_COMMAND_INSPECT_H
#define KVGLASS_TUI_COMMAND_INSPECT_H

#include <jansson.h>

#include "analysis/inspect.h"
#include "analysis/measure.h"
#include "tui/command/options.h"
#include "tui/command/prompt.h"

struct inspected { /* one set of modules on the prompt */
	struct lookahead *modules;
	char switches[400]; /* "": as trained */
	const struct capture *capture;
	struct inspect_rows *rows;
	struct evaluation *evaluation;
	struct objective objective;
	struct inspect_worth *worth; /* NULL without a response */
	struct anatomy *anatomy;
};

struct inspection {
	const struct options *o;
	struct prompt prompt;
	struct model *model;
	struct live *live;
	const struct capture *measured; /* SnapKV, the control, truth */
	struct inspected own, other;    /* other: --against, modules NULL without it */
	int layer, head;                /* whose rows are shown; -1: the mean over all heads */
	int n_worst;
};

/* Attention of one lookahead row on each prompt token, of the head that was chosen or the mean over all: out (n_prompt). */
void inspection_row(const struct inspection *in, int row, double *out);
/* How much the loss would grow without the row, likewise. NaN without a response. */
double inspection_gain(const struct inspection *in, int row);

/* The candidate that a row reads most: the first and the last tokens are left out, which every method keeps. -1: none. */
int inspection_read_most(const struct inspection *in, double *attention);

json_t *inspection_json(const struct inspection *in);
void inspection_print(const struct inspection *in);

#endif
