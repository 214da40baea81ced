/* The Text screen: what its files share. */
#ifndef KVGLASS_TUI_VIEW_TEXT_H
#define KVGLASS_TUI_VIEW_TEXT_H

#include "tui/app.h"
#include "tui/draw/flow.h"

enum { TEXT_INFO_LINES = 2 };

struct text {
	struct flow flow;
	int flow_serial;  /* snapshot it belongs to */
	int first_line;   /* on the screen's first line */
	int n_shown;      /* lines of text on the screen */
	/* that the last frame followed; the text may be scrolled away from the cursor until it moves again */
	int shown_token;
	float *level;     /* (n_prompt) ramp levels of the method in the scope */
	struct text_level_key {
		int serial, series, scope, scale, layer, unit, no_sinks;
	} level_key;
	struct rect lines; /* of the last frame: where the text stands, for clicks */
};

/* Levels of every token, made when method, scope or scale change; the budget does not matter. NULL: not measured. */
const float *text_levels(struct text *t, const struct look *l);

/* Differences are on the screen: a line of signs stands under every line of text. */
bool text_has_signs(struct app *app);
/* The sign of a token in that line, "" for none; as many as the token has columns. */
const char *text_sign(struct app *app, int token, struct style *style);

/* The line above the text: what is compared with what, and how it comes out. */
void text_draw_heading(struct app *app, struct grid *g, struct rect r);
/* Below it: the token under the cursor, and what colours mean. */
void text_draw_token(struct app *app, struct grid *g, struct rect r);
void text_draw_legend(struct app *app, struct grid *g, struct rect r);

#endif
