/* Heatmap: rows (layers, heads or one head) by tokens, a panel a method, one scale for all. The data is made
 * first, then drawn or written. */
#ifndef KVGLASS_EXPORT_PLOT_HEATMAP_H
#define KVGLASS_EXPORT_PLOT_HEATMAP_H

#include "export/draw/pieces.h"
#include "export/plot/plot.h"

#define HEATMAP_LABEL_CHARACTERS 14 /* of a token under its cell */

#define HEATMAP_KEPT 4.0           /* height of the strip of kept tokens */
#define HEATMAP_BEST 14.0          /* width of the bars of agreement beside the rows */
#define HEATMAP_BEST_GAP 2.0

struct heatmap_panel {
	int method; /* index in the evaluation */
	const char *name, *label;
	float *value;    /* (n_row, n_shown) on the spec's scale; NaN: not a candidate */
	uint8_t *kept;   /* (n_shown) at the budget; FIGURE_ONE only, else NULL */
	double *best;    /* (n_row) mass kept at the budget, share of the best possible; NULL: truth, or nothing to compare */
};

/* Where it stands, points. */
struct heatmap_layout {
	double width, height;
	int columns, grid_rows;   /* of panels */
	double left, top;         /* of the first panel's cells */
	double panel_w, panel_h;  /* of the cells with their masked ends */
	double panel_x[PLOT_MAX_PANEL]; /* left edges */
	double right;             /* of the last column, its agreement bars included */
	double step_y;            /* from panel to panel */
	double kept_h;            /* of the strip of kept tokens under FIGURE_ONE, with its gap; else 0 */
	double sink_w, window_w;  /* masked ends */
	int per_cell, n_cell;     /* tokens a cell at most, cells a row (candidates only) */
	double tick_h;            /* of ticks and their numbers or tokens under a panel */
	bool token_labels;        /* tokens stand as text under their cells */
	bool bar_below;           /* the colour bar lies under the panels */
	double bar_at;            /* its left edge, or its top when below */
	double note_y;            /* top of the axis label with its notes */
	struct text_block *note;
};
struct heatmap {
	const struct evaluation *ev;
	const struct figure_spec *spec;
	int n_row, first, last; /* positions shown, last exclusive */
	int n_sink, n_window;   /* masked positions at either end of what is shown */
	int n_panel;
	struct heatmap_panel panel[PLOT_MAX_PANEL];
	uint8_t *prompt_sink; /* (n_shown) 1: an in-prompt sink of a layer that is shown */
	int n_prompt_sink;
	struct heatmap_layout layout; /* after heatmap_lay_out() */
	float max; /* largest value of RAMP_RAW, all panels; the end of the scale */
};

int heatmap_make(struct heatmap *out, const struct evaluation *ev, const struct figure_spec *spec, struct err *e);
void heatmap_free(struct heatmap *h); /* safe on a zeroed struct */
/* Layer and query head of a row; head -1: the mean over the layer's heads. */
void heatmap_row(const struct heatmap *h, int row, int *layer, int *head);

/* Values of tokens first .. last-1 (indices into a row) make a cell: their largest, or their mean for
 * percentiles and differences. NaN when no token has a value. */
float heatmap_cell(const struct heatmap *h, const float *row, int first, int last);
bool heatmap_cell_is_mean(enum ramp_scale scale);
/* The colour of a value on the figure's scale. */
uint32_t heatmap_rgb(const struct heatmap *h, float value);

int heatmap_lay_out(struct heatmap *h, struct text_engine *t, struct err *e);
/* Left edge of a candidate's cell within a panel, from the panel's left edge. */
double heatmap_x(const struct heatmap *h, double position);
void heatmap_draw(const struct heatmap *h, struct text_engine *t, struct canvas *c);

/* Every value, token by token: cells of a drawing that hold several tokens show heatmap_cell() of these. */
void heatmap_csv(const void *plot, FILE *f);
int heatmap_json(const void *plot, json_t *root);

#endif
