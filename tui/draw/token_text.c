#include "tui/draw/token_text.h"

#include <stdlib.h>

#include "tui/draw/glyph.h"

/* Blanks between tokens: a word starts with one, or after one. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\n';
}

static void describe(struct token_text *t, int i)
{
	const char *s = t->text + t->offset[i];
	size_t n = t->offset[i + 1] - t->offset[i];
	int width = glyph_width(s, n);
	t->width[i] = (uint16_t)(width > UINT16_MAX ? UINT16_MAX : width);
	bool after_blank = t->offset[i] > 0 && is_blank(s[-1]);
	t->starts_word[i] = i == 0 || after_blank || (n && is_blank(*s));
}

int token_text_build(struct token_text *out, const struct capture *c, struct err *e)
{
	struct token_text t = {.n_prompt = c->n_prompt, .n = c->n_prompt + c->n_response};
	size_t n_bytes = (size_t)c->offset[t.n], at = 0;
	size_t room = GLYPH_SHOW_GROWTH * n_bytes + 1;
	t.text = malloc(room);
	t.offset = malloc(((size_t)t.n + 1) * sizeof *t.offset);
	t.width = malloc(((size_t)t.n + 1) * sizeof *t.width);
	t.starts_word = malloc((size_t)t.n + 1);
	if (!t.text || !t.offset || !t.width || !t.starts_word) {
		token_text_free(&t);
		return err_set(e, ERR_MEMORY, "text of %d tokens: out of memory", c->n_prompt + c->n_response);
	}
	t.offset[0] = 0;
	for (int i = 0; i < t.n; i++) {
		size_t n;
		const char *piece = capture_piece(c, i, &n);
		at += glyph_show(piece, n, t.text + at, room - at);
		t.offset[i + 1] = (uint32_t)at;
		describe(&t, i);
	}
	char *fitting = realloc(t.text, at + 1); /* most tokens do not grow at all */
	t.text = fitting ? fitting : t.text;
	*out = t;
	return 0;
}

void token_text_free(struct token_text *t)
{
	free(t->text);
	free(t->offset);
	free(t->width);
	free(t->starts_word);
	*t = (struct token_text){0};
}

const char *token_text_of(const struct token_text *t, int i, size_t *n_bytes)
{
	*n_bytes = t->offset[i + 1] - t->offset[i];
	return t->text + t->offset[i];
}

enum { LONGEST = 20 };

int token_text_draw(const struct token_text *t, int i, struct grid *g, struct rect r, int col, struct style s)
{
	int begin = col;
	size_t n;
	const char *text = token_text_of(t, i, &n);
	for (size_t at = 0; at < n;) {
		struct glyph glyph;
		size_t used = glyph_next(text + at, n - at, &glyph);
		if (col - begin > LONGEST)
			return col - begin + grid_text(g, r, 0, col, s, "\xe2\x80\xa6");
		if (glyph.kind == GLYPH_NEWLINE)
			col += grid_text(g, r, 0, col, s, "\xe2\x86\xb5");
		else
			col += grid_bytes(g, r, 0, col, s, text + at, used);
		at += used;
	}
	return col - begin;
}
