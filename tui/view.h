/* Views: what fills the screen. Each is one table of callbacks; the program around it (tui/app.c) knows no view by
 * name.
 *
 * To add one: a file in tui/view/ with such a table, a bit in tui/action.h, its keys in tui/actions.def, a line in
 * app.c's list.
 */
#ifndef KVGLASS_TUI_VIEW_H
#define KVGLASS_TUI_VIEW_H

#include <stdbool.h>

#include "engine/err.h"
#include "tui/action.h"
#include "tui/terminal/event.h"
#include "tui/draw/grid.h"

struct app;
struct figure_spec;
enum { VIEW_MAX_FIGURE_METHOD = 8 };

struct view {
	unsigned bit;      /* AT_MAPS, ... */
	const char *title; /* for help */
	const char *const *reading; /* how to read it: paragraphs for help, NULL behind the last */
	/* The view's own state, kept in app->state[index of the view]; NULL when it has none. */
	int (*open)(struct app *app, void **state, struct err *e);
	void (*close)(void *state);
	void (*draw)(struct app *app, void *state, struct grid *g);
	/* An action of this view's part of the table; false: not handled here. */
	bool (*act)(struct app *app, void *state, enum action_id action);
	void (*point)(struct app *app, void *state, const struct event *click); /* click or wheel; NULL: ignored */
	/* Text goes into a field now, so printable keys are no commands; NULL: never. */
	bool (*typing)(const struct app *app, const void *state);
	void (*type)(struct app *app, void *state, int key);
	/* What is on the screen as a figure: kind, rows, range, and methods, whose names go into method. Returns a word
	 * for the file's name; NULL: there is no such figure. The callback may be NULL too. */
	const char *(*figure)(const struct app *app, const void *state, struct figure_spec *spec,
		const char *method[VIEW_MAX_FIGURE_METHOD]);
};

extern const struct view view_start, view_maps, view_text, view_heads, view_curves, view_eviction, view_modules, view_token,
	view_regions, view_pair, view_help;

#endif
