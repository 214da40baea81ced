/* The Heads screen: what its two files share. */
#ifndef KVGLASS_TUI_VIEW_HEADS_H
#define KVGLASS_TUI_VIEW_HEADS_H

#include "tui/app.h"
#include "tui/draw/layout.h"

enum head_number {
	HEAD_MASS,  /* share of the best possible mass; of a unit */
	HEAD_PICKS, /* share of truth's picks that are found; of a unit */
	HEAD_GAIN,  /* best mass of LookaheadKV (or the look's method) above SnapKV's; of a unit */
	HEAD_GAP,   /* what the ceiling finds of truth's picks above what the method finds, as a share; of a unit */
	HEAD_KL,    /* KL over all tokens; of a query head */
	N_HEAD_NUMBER,
};

enum { HEADS_LABEL_COLS = 6 };

struct heads {
	enum head_number number;

	struct heads_key {
		int serial, focus, budget, number;
	} key;
	int n_layer, n_col;
	double *value;       /* (n_layer, n_col), NaN: not defined */
	double mean, largest; /* of all; of their magnitudes */
	int n_list;
	struct head_place {
		double badness;
		int index; /* layer * n_col + column */
	} *list; /* worst first; those that are defined */

	/* of the last frame */
	struct rect grid, list_rect;
	int width;  /* of a cell */
	bool half;  /* two layers a line */
	int first_line, first_col, first_listed;
};

bool heads_of_query(enum head_number number); /* columns are query heads, not units */
int heads_column(const struct heads *h, const struct look *l); /* of the cursor */
int heads_method(const struct look *l); /* of the evaluation, that is judged; -1: none */
double heads_number(struct look *l, enum head_number number, int layer, int column);
/* Best mass, picks or KL of one method; for the other two numbers its best mass. */
double heads_of_method(struct look *l, enum head_number number, int method, int layer, int column);

void heads_draw_heading(const struct app *app, const struct heads *h, struct grid *g, struct rect body);
void heads_draw_grid(const struct app *app, const struct heads *h, struct grid *g, struct rect body);
void heads_draw_list(struct app *app, const struct heads *h, struct grid *g, struct rect body);
/* Every number of the head under the cursor, and what colours mean. */
void heads_draw_place(struct app *app, const struct heads *h, struct grid *g, struct rect info);

#endif
