/* The Curves screen: what its two files share. */
#ifndef KVGLASS_TUI_VIEW_CURVES_H
#define KVGLASS_TUI_VIEW_CURVES_H

#include "tui/app.h"
#include "tui/draw/plot.h"

enum { CURVES_POINT = 96, CURVES_MAX_LINE = 24 };
enum curve_number { CURVE_RATIO, CURVE_MASS, CURVE_FOUND, N_CURVE };

/* Every method over the budgets, in one scope; as many chosen tokens in every head. */
struct curve_set {
	struct curves_key {
		int serial, layer, unit;
	} key;
	bool known; /* the rest is there */
	int k[CURVES_POINT];
	int n_line;
	struct curve_line {
		int method;
		char letter;
		float y[N_CURVE][CURVES_POINT];
	} line[CURVES_MAX_LINE];
};

struct curves {
	bool mass; /* shares of all mass on the left, not of the best choice's */
	struct curve_set set[LOOK_ALL + 1]; /* by scope: going back to one costs nothing */
	struct plot plot;
	/* of the last frame */
	struct rect area[2]; /* where curves are: a click is a budget */
};

int curves_least(const struct look *l); /* budgets at the ends of the axis */
int curves_most(const struct look *l);
/* Column of a budget on the axis: even steps of its logarithm. */
int curves_column(const struct look *l, int budget, int cols);

void curves_draw_plots(struct app *app, struct curves *c, struct grid *g, struct rect body, int rows);
/* Lines that the legend needs. */
int curves_legend_lines(const struct app *app, const struct curve_set *set);
void curves_draw_legend(struct app *app, const struct curves *c, struct grid *g, struct rect r);

#endif
