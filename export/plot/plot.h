/* What every kind of figure shares: sizes of type and line, the choice of methods, scope and range, axes and
 * colour bars. */
#ifndef KVGLASS_EXPORT_PLOT_PLOT_H
#define KVGLASS_EXPORT_PLOT_PLOT_H

#include <jansson.h>
#include <stdio.h>

#include "analysis/evaluation.h"
#include "export/draw/canvas.h"
#include "export/draw/text.h"
#include "export/figure.h"

#define PLOT_MAX_PANEL 24
#define PLOT_MAX_HEIGHT (9 * CANVAS_PT_PER_INCH)

/* Type, points at printed size: DejaVu's small letters are as tall at 7.5 as those of most text faces at 9. */
#define PLOT_LABEL_SIZE 8.0
#define PLOT_TICK_SIZE 7.2
#define PLOT_LINE 0.6 /* frames and ticks */
#define PLOT_TICK 2.5 /* length */
#define PLOT_GAP 2.5  /* between a tick and its number */
#define PLOT_MARGIN 2.0
#define PLOT_INK 0x222222u
#define PLOT_PALE 0x777777u

#define PLOT_LINE_ROOM 10.5                      /* a line of label type */
#define PLOT_WIDE (4.8 * CANVAS_PT_PER_INCH)     /* panels stand side by side from here on */
#define PLOT_BAR 8.0                             /* thickness of a colour bar */

/* One kind of figure. A plot is its data, made from an evaluation, and then also where everything stands; data
 * alone can be written as tables, a plot that is laid out can be drawn. The evaluation and the spec must
 * outlive it. */
struct plot_ops {
	const char *name; /* "heatmap" */
	size_t bytes;     /* of a plot, which starts as zeros */
	/* NULL: not made from an evaluation */
	int (*make)(void *plot, const struct evaluation *ev, const struct figure_spec *spec, struct err *e);
	void (*free)(void *plot); /* safe on zeros and after a failed make or lay_out */
	int (*lay_out)(void *plot, struct text_engine *t, double *width, double *height, struct err *e); /* points */
	void (*draw)(const void *plot, struct text_engine *t, struct canvas *c);
	void (*csv)(const void *plot, FILE *f);
	int (*json)(const void *plot, json_t *root); /* adds its keys; -1: out of memory */
	void (*tex)(const void *plot, FILE *f);      /* NULL: there is no such form */
};
extern const struct plot_ops plot_heatmap, plot_overlay, plot_curves, plot_training, plot_heads;

extern const struct text_style plot_label, plot_tick;
extern const struct stroke plot_frame;

/* Chosen methods as indices of the evaluation: the spec's, or truth, SnapKV and LookaheadKV as available.
 * "truth" is the oracle. */
int plot_methods(const struct evaluation *ev, const struct figure_spec *spec, int method[PLOT_MAX_PANEL], int *n,
	struct err *e);
/* A method's name on paper: truth for the oracle. */
const char *plot_method_name(const struct evaluation *ev, int m);
const char *plot_method_label(const struct evaluation *ev, int m);

/* Checks layer and head against the capture and turns them into a scope (KV head of the query head). */
int plot_scope(const struct evaluation *ev, const struct figure_spec *spec, struct scope *out, struct err *e);
/* The unit of the evaluation that a query head belongs to: its KV head, or itself where the protocol does not
 * reduce groups. */
int plot_unit(const struct evaluation *ev, int head);
/* "all 30 x 3 KV heads", "layer 12, 3 KV heads", "layer 12, KV head 1". */
void plot_scope_text(const struct evaluation *ev, struct scope s, char *out, size_t n_out);

/* How many candidates method m keeps in each unit at a budget: *k (n_layer, n_unit) is owned by the caller. */
int plot_allocate(int **k, const struct evaluation *ev, int m, int budget, struct err *e);
/* How many (layer, unit) pairs of the scope keep each position at a budget: *votes (n_prompt) is owned by the
 * caller. Sinks and window are kept by all. */
struct plot_question {
	int method;
	struct scope scope;
	int budget;
};
int plot_votes(int **votes, const struct evaluation *ev, const struct plot_question *q, struct err *e);
int plot_scope_pairs(const struct evaluation *ev, struct scope s); /* (layer, KV head) pairs in it */

/* The spec's range, all of the prompt by default; ERR_USE for one that is empty or leaves the prompt. */
int plot_range(const struct evaluation *ev, const struct figure_spec *spec, int *first, int *last, struct err *e);

/* "(a) truth" with the letter in bold, which names panel i in its axis label. Turned text is centred at its own
 * middle. */
void plot_panel_name(struct canvas *c, struct text_engine *t, int i, const char *label, struct point at,
	enum align align, enum turn turn);
double plot_panel_name_width(struct text_engine *t, const char *label);
void plot_begin_panel(struct canvas *c, int i); /* a group of its own */
/* The lines of a wrapped note, each centred at `middle` as far as `left` and `right` allow; y is its top. */
void plot_note(struct canvas *c, const struct text_block *note, double middle, double left, double right, double y);

/* The step 1, 2 or 5 times a power of ten that puts at most max_ticks into a range of whole numbers; at least 1. */
int plot_tick_step(int range, int max_ticks);

struct colour_tick {
	float level; /* 0 .. 1 along the bar */
	const char *text;
};
/* Colour bar of a scale: a gradient in `colour`, ticks with units, and what it measures. With ticks of its own it is no scale of maps. */
struct colour_bar {
	const struct colour_tick *tick; /* (n_tick) or NULL: those of the scale */
	int n_tick;
	const char *label;              /* with them */
	enum ramp_scale scale;
	enum ramp_colour colour;
	float max; /* of RAMP_RAW */
	struct rect at;
	bool upright;
};
void plot_colour_bar(struct canvas *c, struct text_engine *t, const struct colour_bar *bar);
double plot_colour_bar_room(struct text_engine *t,
	const struct colour_bar *bar); /* points its ticks and label need beside it */
const char *plot_scale_name(enum ramp_scale scale);   /* "lift", as on the command line */
enum ramp_colour plot_colour(const struct figure_spec *spec); /* diverging for differences, and only for them */

/* One figure's data as it goes into a file of another program. */
int plot_json_set(json_t *object, const char *key, json_t *value); /* takes value over; -1 also when it is NULL */
json_t *plot_json_method(const char *name, const char *label, int *failed); /* an object that begins with these; *failed is or-ed */
json_t *plot_json_unless(int failed, json_t *object);                      /* the object, or NULL and it is freed */
void plot_csv_text(FILE *f, const char *bytes, size_t n); /* a quoted field; half characters become U+FFFD */
void plot_csv_number(FILE *f, double x);                  /* empty when not finite */

#endif
