/* Figures: heatmaps, retained-token overlays, curves and grids of heads, from a capture to PNG, PDF, SVG (and TeX for
 * overlays).
 *
 * No title inside; axes, ticks, colour bar with units, panel letters; legible in grey; the same input gives the
 * same bytes. Every file carries how it was made (program, model's sha256, capture's sha256, command) and can
 * be drawn again.
 */
#ifndef KVGLASS_EXPORT_FIGURE_H
#define KVGLASS_EXPORT_FIGURE_H

#include <stdbool.h>

#include "analysis/evaluation.h"
#include "analysis/ramp.h"
#include "analysis/training_log.h"

enum figure_kind { FIGURE_HEATMAP, FIGURE_OVERLAY, FIGURE_CURVES, FIGURE_TRAINING, FIGURE_GRID };
enum figure_measure { /* what FIGURE_GRID tells of every head */
	FIGURE_MASS,  /* share of the best possible mass */
	FIGURE_PICKS, /* share of truth's picks */
	FIGURE_GAIN,  /* best mass above SnapKV's */
	FIGURE_GAP,   /* truth's picks that the ceiling finds and the method does not */
	FIGURE_KL,    /* over all tokens, by query head; no budget */
};
enum figure_rows {
	FIGURE_LAYERS, /* layer x token, heads averaged */
	FIGURE_HEADS,  /* query head x token of one layer */
	FIGURE_ONE,    /* one head: a strip per method */
};

struct figure_spec {
	enum figure_kind kind;
	enum figure_rows rows;
	enum figure_measure measure;
	int layer, head;           /* query head; -1: not chosen */
	const char *const *method; /* panels in this order; NULL: truth, snapkv, lookahead as available, all in curves */
	int n_method;
	int budget;                /* default 128 */
	double width_in;           /* 0: 6.75; see figure_venue_width() */
	double height_in;          /* 0: what the content needs, at most 9 */
	int dpi;                   /* PNG, default 300 */
	int first, last;           /* token range shown, last exclusive; 0, 0: all */
	enum ramp_scale scale;
	enum ramp_colour colour;   /* RAMP_DIFFERENCE with a colour that is not diverging is drawn in RAMP_DIVERGING */
	bool anonymous;            /* no user, host or path inside: commands and names keep the last part of a path */
	const char *command;       /* equivalent command line, kept inside the file (without -o); NULL: none */
	char *remark;              /* (FIGURE_REMARK) or NULL: receives what the figure could not show, "" when nothing */
};
enum { FIGURE_REMARK = 200 };
struct figure_spec figure_spec_default(void);
/* "icml", "icml-full", "neurips", "neurips-half", "iclr", "acl", "acl-full" -> inches; 0: unknown. */
double figure_venue_width(const char *venue);
const char *const *figure_venues(int *n);

/* Format by the ending of path: .png .pdf .svg, .tex (overlay), .csv .json (the data that is drawn). Written
 * atomically.
 *   heatmap  panels of layer x token, head x token (rows HEADS, layer chosen) or a strip a method (rows ONE, layer
 *            and head chosen)
 *   overlay  the prompt's text with what each method keeps at the budget: in one KV head (layer and head chosen: the
 *            head's group), in a layer, or in all; the shade is the share of (layer, KV head) pairs that keep a token
 *   curves   mass and overlap over all budgets, in the same scopes
 *   grid     one number for every layer and head (measure), a strip a method
 * "truth" and "oracle" name the same method. ERR_USE names what is wrong in the spec, ERR_SYSTEM what the
 * machine refused. */
int figure_write(const struct evaluation *ev, const struct figure_spec *spec, const char *path, struct err *e);

/* A training's losses, and its held-out prompts' scores where they were judged (kind FIGURE_TRAINING): from the log alone. */
int figure_write_training(const struct training_log *log, const struct figure_spec *spec, const char *path, struct err *e);

/* The command kept inside a PNG, PDF or SVG figure (owned by the caller, free) and the hash of what it was drawn from: the
 * capture's ("" when it was never saved), or the log's. */
int figure_provenance(const char *path, char **command, char source_sha256[65], struct err *e);

#endif
