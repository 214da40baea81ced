/* A grid of cells: what a screen shows, without a terminal. Views draw only here; tui/terminal/term.c puts it on a terminal
 * and tui/draw/dump.c into a file, so both show the same.
 *
 * Everything is clipped, to the rectangle given and to the grid: no caller needs to check. Drawing over half of a
 * wide glyph blanks its other half.
 */
#ifndef KVGLASS_TUI_GRID_H
#define KVGLASS_TUI_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A colour: 0xRRGGBB, an entry of the terminal's palette, or what the terminal uses by itself. */
enum { COLOUR_PALETTE = 0x1000000, COLOUR_DEFAULT = 0x2000000 };

enum attribute {
	ATTR_BOLD = 1,
	ATTR_DIM = 2,
	ATTR_UNDERLINE = 4,
	ATTR_REVERSE = 8,
	ATTR_ITALIC = 16,
};

struct style {
	uint32_t fg, bg;
	uint32_t attr;
};

enum { CELL_BYTES = 24 };

struct cell {
	char glyph[CELL_BYTES]; /* one glyph as NUL-terminated UTF-8; "" in the second column of a wide one */
	struct style style;
	uint32_t width;         /* 1 or 2; 0: second column of a wide glyph */
};

struct rect {
	int row, col, rows, cols;
};

struct grid {
	int rows, cols;
	bool ascii;        /* only ASCII is drawn: our own signs are replaced by look-alikes, other characters by '?' */
	struct cell *cell; /* (rows, cols) */
	int cursor_row, cursor_col; /* text cursor of a field; row -1: hidden */
};

/* Zeroed struct to a blank grid of that size, at least 1 x 1; returns false when memory is short (the grid is then
 * as it was). */
bool grid_resize(struct grid *g, int rows, int cols);
void grid_free(struct grid *g);
struct cell *grid_at(const struct grid *g, int row, int col); /* NULL outside */

extern const struct style style_plain; /* default colours, no attribute */

void grid_clear(struct grid *g, struct style s);
void grid_fill(struct grid *g, struct rect r, struct style s);

/* Draws text at row, col of r; control characters become '?'. Returns the columns it moved on, clipped or not. */
int grid_text(struct grid *g, struct rect r, int row, int col, struct style s, const char *text);
int grid_bytes(struct grid *g, struct rect r, int row, int col, struct style s, const char *text, size_t n);
int grid_printf(struct grid *g, struct rect r, int row, int col, struct style s, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* The same ending at the right edge of r; when it does not fit, its end is cut. */
void grid_text_right(struct grid *g, struct rect r, int row, struct style s, const char *text);
/* The same ending before column `end` of r, for columns of numbers; nothing is cut. */
void grid_text_before(struct grid *g, struct rect r, int row, int end, struct style s, const char *text);
/* At most columns wide; a longer text ends in an ellipsis. Returns the columns used. */
int grid_text_cut(struct grid *g, struct rect r, int row, int col, int columns, struct style s, const char *text);

struct rect grid_whole(const struct grid *g);
/* A part of r, cut to it. */
struct rect rect_sub(struct rect r, int row, int col, int rows, int cols);
bool rect_holds(struct rect r, int row, int col); /* absolute row and column */

#endif
