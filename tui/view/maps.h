/* The Maps screen: what its two files share. */
#ifndef KVGLASS_TUI_VIEW_MAPS_H
#define KVGLASS_TUI_VIEW_MAPS_H

#include "tui/app.h"
#include "tui/draw/columns.h"
#include "tui/draw/layout.h"
#include "tui/view/view_strip.h"

struct maps {
	bool in_heads; /* up and down go through heads, not layers */
	bool full;     /* one pane */
	bool choosing; /* the list of methods is open, to choose panes from */
	int choice;    /* in it */
	int first_layer_line, first_head_line; /* scrolled off */
	struct layout layout;                  /* of the last frame: clicks refer to it */
	int series[LAYOUT_MAX_PANE];           /* shown in each pane */
	int mark[LAYOUT_MAX_PANE], n_mark;     /* marked under the text */
	struct columns layers[LAYOUT_MAX_PANE], heads[LAYOUT_MAX_PANE];
	struct strip strip;
};

/* Rows on a line of a block: the upper one and, in half blocks, the one below it; -1: none. */
struct pair {
	int top, bottom;
};

struct pair maps_layers_on_line(const struct maps *m, const struct capture *c, int line);
struct pair maps_heads_on_line(const struct maps *m, const struct capture *c, int line);
int maps_cols(const struct maps *m); /* columns of tokens: without those of sinks and window */

/* Everything between the status line and the strip, where m->layout says. */
void maps_draw_panes(struct app *app, struct maps *m, struct grid *g);

/* The list of methods that panes are chosen from, over the maps. */
void maps_draw_chooser(const struct app *app, const struct maps *m, struct grid *g);
bool maps_choose(struct app *app, struct maps *m, enum action_id action); /* false: none of the list's keys */

#endif
