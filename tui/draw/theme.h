/* Theme: what things look like, in one table of roles, for 24-bit, 256, 16 colours and none, on dark and light
 * backgrounds.
 *
 * Colours never carry a meaning alone: whatever a role says is also said by bold, underline, reverse or a glyph.
 */
#ifndef KVGLASS_TUI_THEME_H
#define KVGLASS_TUI_THEME_H

#include "analysis/ramp.h"
#include "tui/draw/colour.h"
#include "tui/draw/grid.h"

enum role {
	ROLE_PLAIN,
	ROLE_DIM,
	ROLE_STRONG,
	ROLE_BAR,        /* title bar and hint bar */
	ROLE_BAR_STRONG, /* the program's name, keys in the hint bar */
	ROLE_LABEL,      /* names of rows */
	ROLE_LABEL_HERE, /* the row of the cursor */
	ROLE_PANE,       /* a pane's title */
	ROLE_PANE_FOCUS, /* the pane that keys refer to */
	ROLE_LOW,        /* agreement below half of the best, ... */
	ROLE_MIDDLE,
	ROLE_HIGH,       /* ... above 80 % */
	ROLE_WASTED,     /* chosen, but not by truth */
	ROLE_PROTECTED,  /* S and W: kept whatever the method says */
	ROLE_CURSOR,     /* the cell or token of the cursor */
	ROLE_ALWAYS,     /* first and last tokens in text: kept by every method */
	ROLE_KEPT,
	ROLE_SOME,       /* kept by a minority of the scope's heads */
	ROLE_EVICTED,
	ROLE_TEMPLATE,   /* tokens of the chat template */
	ROLE_RESPONSE,
	ROLE_RULE,       /* lines and brackets */
	ROLE_MARK,       /* in-prompt sinks */
	ROLE_FOUND,      /* what a search found: a background, whatever the text's colour means */
	ROLE_SPAN,       /* marked spans: likewise */
	ROLE_FIELD,
	ROLE_FIELD_FOCUS,
	ROLE_DONE,       /* progress */
	ROLE_GOOD,
	ROLE_WARN,
	ROLE_ERROR,
	N_ROLE,
};

struct theme {
	enum depth depth;
	bool utf8, light;
};

struct style theme_style(const struct theme *t, enum role role);
/* Curve i of several: ten hues, then again; one alike where there are no colours. */
struct style theme_line(const struct theme *t, int i);
/* Lines of two map rows each are possible: colours, and a charset with half blocks. */
bool theme_half_blocks(const struct theme *t);

/* A map's cell. level 0 .. 1, NaN: no value (drawn blank, unlike level 0). glyph holds at least 4 bytes. */
struct style theme_cell(const struct theme *t, enum ramp_colour ramp, float level, char *glyph);
struct style theme_half_cell(const struct theme *t, enum ramp_colour ramp, float top, float bottom, char *glyph);
/* Text on a level: its colour as background, black or white on it; base where there is no colour or no level. */
struct style theme_on_level(const struct theme *t, enum ramp_colour ramp, float level, struct style base);
/* The cursor's half of a cell that is drawn already. */
void theme_mark_half(const struct theme *t, struct cell *cell, bool bottom);

#endif
