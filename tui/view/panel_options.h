/* The options panel: how maps become scores and scores a choice, over the screen that it changes; with what each choice swaps. */
#ifndef KVGLASS_TUI_VIEW_PANEL_OPTIONS_H
#define KVGLASS_TUI_VIEW_PANEL_OPTIONS_H

#include "tui/draw/grid.h"
#include "tui/action.h"
#include "tui/swap.h"
#include "tui/terminal/event.h"

enum { PANEL_ROWS = 6 };

struct panel {
	bool open;
	int row;
	struct rect box, place[PANEL_ROWS]; /* of the last frame */
	struct panel_swap {                 /* counted once for a place and a budget */
		int serial, budget, series;
		struct scope scope;
		bool known;
		struct swap swap;
	} swap[LOOK_MAX_PANE];
};

struct app;
void panel_draw(struct app *app, struct grid *g);
bool panel_act(struct app *app, enum action_id action); /* false: not the panel's */
void panel_point(struct app *app, const struct event *at);

#endif
