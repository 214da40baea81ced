/* Plot: curves in cells. In UTF-8 a cell is 2 x 4 dots of braille, in ASCII every column shows the curve's letter; the
 * letter stands once on the curve in UTF-8 too, so that curves can be told apart without colours.
 */
#ifndef KVGLASS_TUI_PLOT_H
#define KVGLASS_TUI_PLOT_H

#include "tui/draw/grid.h"

struct plot { /* zeroed before the first use */
	int rows, cols;
	struct plot_cell {
		uint8_t dots; /* braille: bit i is dot i + 1 */
		char letter;  /* over the dots; '\0': none */
		struct style style;
	} *cell;
};

struct plot_curve {
	const float *y; /* (n) from 0 (bottom) to 1 (top), evenly spaced from the left edge to the right one; NaN: a gap */
	int n;
	struct style style;
	uint8_t dash;   /* which of eight dots along the way are drawn */
	char letter;
	int letter_col; /* in UTF-8 */
};

bool plot_begin(struct plot *p, int rows, int cols); /* nothing drawn; false: memory is short */
void plot_free(struct plot *p);
/* Over what is there: a cell that two curves share takes the style of the later one. */
void plot_add(struct plot *p, const struct plot_curve *c, bool ascii);
/* Into r's upper left corner; cells that no curve touches are left alone. */
void plot_draw(const struct plot *p, struct grid *g, struct rect r);

#endif
