/* Curves: mass kept and overlap with truth's picks against the budget, every method with its controls. */
#ifndef KVGLASS_EXPORT_PLOT_CURVES_H
#define KVGLASS_EXPORT_PLOT_CURVES_H

#include "export/plot/plot.h"

struct curves_line {
	int method; /* index in the evaluation; -1: chance */
	const char *name, *label;
	double *mass, *overlap, *mass_ratio; /* (n_point) means over the scope; NaN: not defined */
};

struct curves_layout {
	double width, height;
	int columns;             /* panels side by side, or 1 */
	double left, top, panel_w, panel_h, step_x, step_y;
	double legend_y, legend_w; /* top; width of a column */
	int legend_columns;
	double note_y;
	struct text_block *note;
};

struct curves {
	const struct evaluation *ev;
	const struct figure_spec *spec;
	struct scope scope;
	int n_cand;
	int n_point;
	int *budget, *k; /* (n_point), rising */
	int n_line;
	struct curves_line line[PLOT_MAX_PANEL + 1];
	struct curves_layout layout; /* after lay_out */
};

int curves_make(struct curves *out, const struct evaluation *ev, const struct figure_spec *spec, struct err *e);
void curves_free(struct curves *c); /* safe on a zeroed struct */
int curves_lay_out(struct curves *c, struct text_engine *t, struct err *e);
void curves_draw(const struct curves *c, struct text_engine *t, struct canvas *canvas);

#endif
