/* Layout: where things go on a screen of a given size. Pure functions from sizes to rectangles, tested over all
 * sizes.
 *
 * The Maps screen, top to bottom (all columns of all panes show the same tokens, so panes have one width):
 *
 *     title
 *     status                                  the budget in words, the scope
 *     label  pane title  ...                  one pane a method
 *     label  layers      agreement  ...       rows: layers; two rows a line when they do not fit otherwise
 *     label  ruler                            in-prompt sinks, the cursor's column
 *     legend
 *     label  heads       agreement  ...       query heads of the current layer, a new line for every KV head's group
 *     strip                                   the text around the cursor, one marker line a method, perhaps several times
 *     numbers
 *     hint
 */
#ifndef KVGLASS_TUI_LAYOUT_H
#define KVGLASS_TUI_LAYOUT_H

#include <stdbool.h>

#include "tui/draw/grid.h"

enum { LAYOUT_MIN_ROWS = 24, LAYOUT_MIN_COLS = 80, LAYOUT_MAX_PANE = 4, LAYOUT_MAX_STRIP = 3 };

struct layout_request {
	int rows, cols;
	int n_pane;        /* panes that could be shown, in order of importance */
	bool truth_first;  /* the first pane is truth: nothing to agree with */
	bool full;         /* one pane only, whatever n_pane */
	bool chosen;       /* somebody wants these panes: they may be narrower than we would make them */
	int n_layer, n_head, n_kv_head;
	bool half_blocks;  /* two rows a line are possible */
	int n_mark;        /* marker lines under every line of text */
	int n_number;      /* lines of the table of numbers */
};

struct layout_pane {
	struct rect title, layers, layers_agree, ruler, heads, heads_agree;
};

struct layout {
	bool fits; /* false: nothing else is set */
	int n_pane;
	bool layers_half, heads_half;
	struct rect title, status, layer_label, head_label, legend, heads_title, hint;
	/* map rectangles hold one column for the sinks, then tokens, then one for the window */
	struct layout_pane pane[LAYOUT_MAX_PANE];
	int n_strip;
	struct rect strip[LAYOUT_MAX_STRIP]; /* 1 + n_mark lines each */
	struct rect numbers;
};
void layout_maps(struct layout *out, const struct layout_request *r);

/* Lines that the heads of one layer take: groups of n_head / n_kv_head, each starting on a line of its own. */
int layout_head_lines(int n_head, int n_kv_head, bool half);
/* Line of a head in that block. */
int layout_head_line(int head, int n_head, int n_kv_head, bool half);

/* First line shown so that `line` and the n - 1 behind it are among `shown` of `total`, moving the present one as
 * little as possible. */
int layout_scroll(int first, int line, int n, int shown, int total);

/* Title, status, body, some lines of information, hint: the Text screen, help and the start screen. */
struct layout_page {
	bool fits;
	struct rect title, status, body, info, hint;
};
void layout_page(struct layout_page *out, int rows, int cols, int n_info);

#endif
