/* Training: the loss of every step and, where held-out prompts were judged, their KL divergence, truth's picks found and best mass beside
 * SnapKV and the untrained control. */
#ifndef KVGLASS_EXPORT_PLOT_TRAINING_H
#define KVGLASS_EXPORT_PLOT_TRAINING_H

#include "analysis/training_log.h"
#include "export/plot/plot.h"

enum { TRAINING_MAX_PANEL = 3 }; /* loss and KL; picks found; best mass */

struct training_layout {
	double width, height;
	int n_panel, columns;
	double left, top, panel_w, panel_h, step_x, step_y;
	double axis_y, legend_y; /* name of the step axis; top of the legend */
};
struct training {
	const struct training_log *log;
	const struct figure_spec *spec;
	double *smooth;      /* (n_step) mean of the losses of the steps around */
	double low, high;    /* of the KL axis, logarithmic */
	int first, last;     /* of the step axis */
	struct training_layout layout; /* after lay_out */
};

/* out: zeroed. log and spec must outlive it. */
int training_make(struct training *out, const struct training_log *log, const struct figure_spec *spec, struct err *e);

#endif
