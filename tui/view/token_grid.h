/* The grids of the token dossier: layers x heads, the token's lift and who keeps it, one block a method. */
#ifndef KVGLASS_TUI_VIEW_TOKEN_GRID_H
#define KVGLASS_TUI_VIEW_TOKEN_GRID_H

#include "tui/view/token_facts.h"

enum { TOKEN_MAX_BLOCK = SNAPSHOT_MAX_SERIES };

struct token_grid {
	bool numbers;   /* survival budgets, a number a head that chooses, instead of lifts */
	int first_line; /* scrolled off */
	/* of the last frame */
	bool half;      /* two layers a line */
	int n_shown;    /* layers */
	int first_head, n_head; /* shown of every layer */
	struct rect lines;
	int n_block, width;
	struct token_block {
		int series, col;
		bool numbers;
	} block[TOKEN_MAX_BLOCK];
};

/* f NULL: lifts are not known yet. */
void token_grid_draw(struct token_grid *t, struct app *app, struct grid *g, struct rect r, const struct facts *f);
/* A click: goes to the layer and head, and gives the method the focus. */
void token_grid_point(const struct token_grid *t, struct app *app, int row, int col);

#endif
