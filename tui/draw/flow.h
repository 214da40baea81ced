/* Flow: tokens laid out as lines of text for one width. Pure; depends on nothing but the tokens and the width, so
 * the text never moves when a budget or a method changes.
 *
 * Lines break at new lines, and between words where one does not fit; a word longer than a line breaks anywhere.
 * The response starts on a line of its own, after one line left free for a heading.
 */
#ifndef KVGLASS_TUI_FLOW_H
#define KVGLASS_TUI_FLOW_H

#include "tui/draw/token_text.h"

struct flow {
	int cols, n_lines;
	int response_line;   /* first line of the response; the heading is the line before. -1: no response */
	int32_t *line;       /* (n) line where a token starts */
	uint16_t *col;       /* (n) */
	int32_t *first;      /* (n_lines) the token that holds a line's first column */
};

int flow_build(struct flow *out, const struct token_text *t, int cols, struct err *e);
void flow_free(struct flow *f); /* safe on a zeroed struct */

/* Calls put for every glyph of token i, with the line and column where it stands. A new line is the glyph "\n" at
 * the end of its line. */
typedef void flow_put(void *user, int line, int col, const char *glyph, size_t n_bytes);
void flow_token(const struct flow *f, const struct token_text *t, int i, flow_put *put, void *user);
/* The token at a place: the last one that starts at or before it. */
int flow_find(const struct flow *f, const struct token_text *t, int line, int col);

#endif
