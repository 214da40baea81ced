/* Text: fonts, shaping, wrapping and measuring, done by Pango for every kind of figure.
 *
 * All lengths are points (1/72 inch). Shaping is independent of the resolution (no hinting, no rounding of
 * glyph positions), so one layout is right for pixels, PDF and SVG alike. Each engine has its own font map over
 * its own fontconfig set-up: two figures may be drawn at once, and fonts that a PDF could only hold as Type 3
 * (colour bitmaps, fixed-size bitmaps) are not chosen as fallbacks.
 */
#ifndef KVGLASS_EXPORT_DRAW_TEXT_H
#define KVGLASS_EXPORT_DRAW_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

#define TEXT_FAMILY "DejaVu Sans"
#define TEXT_BLACK 0x000000u

struct text_engine;
/* ERR_SYSTEM when the machine has no scalable font at all. */
int text_engine_open(struct text_engine **out, struct err *e);
void text_engine_close(struct text_engine *t); /* NULL is allowed */

/* Different characters of the texts made so far that no font here has, which stand as boxes with their codes; *first is the first of
 * them that was met. */
int text_engine_missing(const struct text_engine *t, uint32_t *first);

struct text_style {
	double size; /* points */
	bool bold, italic;
	uint32_t rgb;
};

/* Part of a text that looks different. Spans are in order and do not overlap. */
struct text_span {
	size_t first, last; /* bytes, last exclusive */
	double scale;       /* of the size; 1 is the style's own */
	uint32_t rgb;
};

struct text_request {
	const char *utf8; /* valid UTF-8 without NUL; '\n' ends a paragraph */
	size_t n_bytes;
	struct text_style style;
	const struct text_span *span;
	int n_span;
	double wrap; /* width to wrap at; 0: one line per paragraph */
};

struct text_line {
	size_t first, last; /* bytes of the text; the break itself is not counted */
	double x;           /* where it starts: right-to-left paragraphs are set flush right when wrapped */
	double width;       /* advance, without white space that hangs over a wrapped end */
	bool right_to_left;
};

struct text_range {
	double first, last; /* x, from the block's left edge; first <= last */
};

struct text_block; /* shaped text; refers to the engine, which must outlive it */
int text_block_make(struct text_block **out, struct text_engine *t, const struct text_request *r, struct err *e);
void text_block_free(struct text_block *b); /* NULL is allowed */

int text_block_n_line(const struct text_block *b);
struct text_line text_block_line(const struct text_block *b, int line);
double text_block_width(const struct text_block *b); /* of the widest line */
/* Where bytes [first, last) of a line stand: one range, or more where scripts of both directions meet. Bounds
 * are moved to characters' borders. Writes at most n_max, returns how many. */
int text_block_ranges(const struct text_block *b, int line, size_t first, size_t last, struct text_range *out,
	int n_max);

/* Stretches of one direction of a line, in the order of the bytes. Writes at most n_max, returns how many. */
struct text_run {
	size_t first, last;
	bool right_to_left;
};
int text_block_runs(const struct text_block *b, int line, struct text_run *out, int n_max);

/* The request as it was copied, for drawing (text with its spans). */
const struct text_request *text_block_request(const struct text_block *b);
/* The shaped line for the Cairo canvas; a PangoLayoutLine. */
void *text_block_pango_line(const struct text_block *b, int line);

/* Ascent and descent of the default font as a share of the size, for placing; the same in every back end. */
#define TEXT_ASCENT 0.76  /* capital height of DejaVu Sans is 0.73 */
#define TEXT_DESCENT 0.24 /* its descent is 0.236 */

/* Width of one line of plain text; NaN when it cannot be shaped. */
double text_width(struct text_engine *t, const struct text_style *style, const char *utf8);

#endif
