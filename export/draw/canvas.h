/* Canvas: what a figure is drawn on. One small interface, three sheets of paper: pixels (PNG), PDF and SVG.
 *
 * Lengths are points (1/72 inch) from the top left corner, colours 0xRRGGBB, the ground is white. Drawing never
 * fails on the spot: the first error is kept and reported by canvas_finish(), so figures are written without a
 * check a line. The pixel canvas moves upright edges to whole pixels, so that cells, frames and ticks are sharp
 * at any resolution.
 */
#ifndef KVGLASS_EXPORT_DRAW_CANVAS_H
#define KVGLASS_EXPORT_DRAW_CANVAS_H

#include <stddef.h>
#include <stdint.h>

#include "export/draw/provenance.h"
#include "export/draw/text.h"

enum canvas_kind { CANVAS_PNG, CANVAS_PDF, CANVAS_SVG };

#define CANVAS_PT_PER_INCH 72.0
#define CANVAS_MAX_PIXEL 32000 /* a side; Cairo's pixel surfaces end at 32767 */

struct canvas_options {
	enum canvas_kind kind;
	double width, height; /* points */
	int dpi;              /* pixels of a PNG; resolution of cell images in PDF and SVG */
	const struct provenance *provenance; /* kept inside the file; must outlive the canvas */
};

struct rect {
	double x, y, w, h;
};
struct point {
	double x, y;
};
struct stroke {
	double width;
	uint32_t rgb;
	double dash[6]; /* on, off, ... */
	int n_dash;     /* 0: solid */
};
enum turn { TURN_NONE, TURN_LEFT /* reads upwards */ };
enum align { ALIGN_LEFT, ALIGN_CENTRE, ALIGN_RIGHT };

struct canvas;
int canvas_open(struct canvas **out, const struct canvas_options *o, struct err *e);
/* The file's bytes, owned by the caller (free). Ends drawing. */
int canvas_finish(struct canvas *c, uint8_t **bytes, size_t *n_bytes, struct err *e);
void canvas_close(struct canvas *c); /* NULL is allowed */
void canvas_fail(struct canvas *c);  /* out of memory while drawing; canvas_finish() will say so */

void canvas_fill(struct canvas *c, struct rect r, uint32_t rgb);
void canvas_line(struct canvas *c, double x0, double y0, double x1, double y1, const struct stroke *s);
/* A path that ends where it began (exactly) is closed: its corner is joined like the others. */
void canvas_path(struct canvas *c, const struct point *p, int n, const struct stroke *s);
void canvas_polygon(struct canvas *c, const struct point *p, int n, uint32_t rgb); /* closed and filled */
void canvas_frame(struct canvas *c, struct rect r, const struct stroke *s);
/* Cells (rows x columns, row-major, 0xRRGGBB) that fill r, each a rectangle of exactly its colour; never
 * interpolated. */
void canvas_cells(struct canvas *c, struct rect r, const uint32_t *cell, int columns, int rows);
/* Lines at 45 degrees through r, `pitch` apart. */
void canvas_hatch(struct canvas *c, struct rect r, double pitch, const struct stroke *s);

/* One line of a shaped block, its left edge and baseline at (x, y). */
void canvas_block_line(struct canvas *c, const struct text_block *b, int line, double x, double y, enum turn turn);
/* One short text, aligned at (x, y) on its baseline; with TURN_LEFT x is the baseline and y the point it is
 * aligned at. Returns its width. */
double canvas_text(struct canvas *c, struct text_engine *t, const struct text_style *style, struct point at,
	enum align align, enum turn turn, const char *utf8);

/* Named groups (SVG <g id>); no effect elsewhere. They nest. */
void canvas_begin(struct canvas *c, const char *name);
void canvas_end(struct canvas *c);

#endif
