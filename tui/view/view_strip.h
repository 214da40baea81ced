/* The strip under the maps: the text around the cursor, and under it one line a method that marks what it keeps. */
#ifndef KVGLASS_TUI_VIEW_VIEW_STRIP_H
#define KVGLASS_TUI_VIEW_VIEW_STRIP_H

#include "tui/app.h"
#include "tui/draw/layout.h"

enum { STRIP_MAX_CELLS = 1024 };

struct strip {
	int first; /* token of the first column; stays until the cursor comes near an edge */
	/* of the last frame, for clicks: places where tokens start */
	int n_cell;
	struct strip_cell {
		int row, col, token;
	} cell[STRIP_MAX_CELLS];
};

void strip_draw(struct strip *s, struct app *app, struct grid *g, const struct rect *r, int n_rect,
	const int *series, int n_series);
int strip_token_at(const struct strip *s, int row, int col); /* -1: none there */

#endif
