/* The tokens of a capture as they are drawn: made once, so that drawing is looking up. Immutable afterwards. */
#ifndef KVGLASS_TUI_TOKEN_TEXT_H
#define KVGLASS_TUI_TOKEN_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/capture.h"
#include "tui/draw/grid.h"

struct token_text {
	int n_prompt, n; /* prompt, prompt + response */
	char *text;      /* drawable forms (tui/draw/glyph.h), concatenated; new lines are '\n' */
	uint32_t *offset; /* (n + 1) into text */
	uint16_t *width;  /* (n) columns; a new line counts one, for the sign that marks it */
	uint8_t *starts_word; /* (n) a line may be broken before it */
};

int token_text_build(struct token_text *out, const struct capture *c, struct err *e);
void token_text_free(struct token_text *t); /* safe on a zeroed struct */
const char *token_text_of(const struct token_text *t, int i, size_t *n_bytes);
/* One token in r's first line, new lines as signs; a long one is cut. Returns its columns. */
int token_text_draw(const struct token_text *t, int i, struct grid *g, struct rect r, int col, struct style s);

#endif
