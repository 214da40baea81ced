/* Overlay: the prompt's text, a panel a method, retained tokens marked at a budget.
 *
 * In the scope of one KV head a token is kept or evicted; in a layer or in all layers the mark is the share of
 * (layer, KV head) pairs that keep it, in a few steps. Every step has its own shade and its own thickness of
 * underline, so that grey print keeps the difference; text that is not marked is paler. When the text does not
 * fit, the regions where the methods differ most are shown, with ellipses that count.
 */
#ifndef KVGLASS_EXPORT_PLOT_OVERLAY_H
#define KVGLASS_EXPORT_PLOT_OVERLAY_H

#include "export/draw/pieces.h"
#include "export/plot/plot.h"

#define OVERLAY_MAX_STEP 4

struct overlay_panel {
	int method; /* index in the evaluation */
	const char *name, *label;
	int *votes;    /* (n_shown) pairs that keep the token */
	uint8_t *step; /* (n_shown) 0: not marked .. n_step */
	struct text_block *block; /* of the whole range; after lay_out */
};

struct overlay_region { /* lines of the text that are shown together */
	int first, last; /* last exclusive */
	int n_skipped;   /* tokens left out before it */
};

struct overlay_layout {
	double width, height;
	int columns, grid_rows;
	double left, top, panel_w, panel_h, step_x, step_y;
	int n_region;
	struct overlay_region *region;
	int n_after; /* tokens left out after the last region */
	double legend_y, note_y;
	int legend_rows;
	struct text_block *note;
};

struct overlay {
	const struct evaluation *ev;
	const struct figure_spec *spec;
	struct scope scope;
	int n_pair, k;   /* (layer, KV head) pairs of the scope; tokens chosen in each */
	int first, last; /* positions shown, last exclusive */
	int cand_first, cand_last;
	int n_step;
	int threshold[OVERLAY_MAX_STEP]; /* votes that reach step i + 1 */
	int n_panel;
	struct overlay_panel panel[PLOT_MAX_PANEL];
	struct pieces pieces;
	struct overlay_layout layout;
};

int overlay_make(struct overlay *out, const struct evaluation *ev, const struct figure_spec *spec, struct err *e);
void overlay_free(struct overlay *o); /* safe on a zeroed struct */

/* Sinks and window: kept by every method, not chosen. */
bool overlay_is_always_kept(const struct overlay *o, int position);
/* One KV head: truth keeps the token and the panel's method does not. */
bool overlay_is_missed(const struct overlay *o, int panel, int position);
/* How much the methods differ about a token, 0 .. 1. */
double overlay_difference(const struct overlay *o, int position);
uint32_t overlay_tint(const struct overlay *o, int step);
double overlay_underline(const struct overlay *o, int step); /* points */
/* "kept", or "10 % and more", or "2 of 3". */
void overlay_step_text(const struct overlay *o, int step, char *out, size_t n_out);
/* What the marks mean, and the budget spelled out. */
void overlay_note_text(const struct overlay *o, char *out, size_t n_out);

int overlay_lay_out(struct overlay *o, struct text_engine *t, struct err *e);
void overlay_draw(const struct overlay *o, struct text_engine *t, struct canvas *c);
void overlay_tex(const void *plot, FILE *f);

/* ---- choosing what to show ---- */

struct overlay_choice {
	const double *worth; /* (n_line) */
	int n_line, most;    /* lines of the text; lines there is room for, ellipses counted */
	int context;         /* lines a region has at least, where the text has them */
};
/* Writes regions in order (first, last), at most n_line of them; returns how many. Everything when it fits. */
int overlay_choose(const struct overlay_choice *choice, struct overlay_region *region);

#endif
