#include "tui/draw/flow.h"

#include <stdlib.h>
#include <string.h>

#include "tui/draw/glyph.h"

struct pen {
	int line, col;
};

/* Moves over one glyph; the pen stands where the glyph was put, *after where the next may go. */
static struct pen place(struct pen *after, int cols, const struct glyph *g)
{
	int width = g->kind == GLYPH_TEXT ? g->width : 1;
	if (after->col + width > cols)
		*after = (struct pen){after->line + 1, 0};
	struct pen here = *after;
	if (g->kind == GLYPH_NEWLINE)
		*after = (struct pen){here.line + 1, 0};
	else
		after->col += width;
	return here;
}

static struct pen walk(const char *s, size_t n, struct pen at, int cols, flow_put *put, void *user)
{
	for (size_t i = 0; i < n;) {
		struct glyph g;
		i += glyph_next(s + i, n - i, &g);
		if (g.kind == GLYPH_HIDDEN)
			continue;
		struct pen here = place(&at, cols, &g);
		if (put)
			put(user, here.line, here.col, g.bytes, (size_t)g.n_bytes);
	}
	return at;
}

/* Columns from token i to where the next word starts, its blanks behind not counted; at most limit. */
static int word_width(const struct token_text *t, int i, int end, int limit)
{
	int width = 0;
	for (int k = i; k < end && width <= limit && (k == i || !t->starts_word[k]); k++) {
		const char *s = t->text + t->offset[k];
		const char *stop = memchr(s, '\n', t->offset[k + 1] - t->offset[k]);
		width += stop ? glyph_width(s, (size_t)(stop - s)) : t->width[k];
		if (stop)
			break;
	}
	return width;
}

struct lines {
	int32_t *first;
	int n, room;
};

static int note_lines(struct lines *l, int upto, int token, struct err *e)
{
	if (upto >= l->room) {
		int room = 2 * l->room + upto + 64;
		int32_t *more = realloc(l->first, (size_t)room * sizeof *more);
		if (!more)
			return err_set(e, ERR_MEMORY, "laying out text: out of memory");
		l->first = more;
		l->room = room;
	}
	while (l->n <= upto)
		l->first[l->n++] = token;
	return 0;
}

static int lay_out(struct flow *f, const struct token_text *t, struct lines *l, struct err *e)
{
	struct pen at = {0, 0};
	for (int i = 0; i < t->n; i++) {
		int end = i < t->n_prompt ? t->n_prompt : t->n;
		if (i == t->n_prompt) {
			at = (struct pen){at.line + (at.col > 0 || i == 0) + 1, 0};
			f->response_line = at.line;
		} else if (at.col > 0 && t->starts_word[i] && at.col + word_width(t, i, end, f->cols) > f->cols) {
			at = (struct pen){at.line + 1, 0};
		}
		size_t n;
		const char *s = token_text_of(t, i, &n);
		if (at.col >= f->cols)
			at = (struct pen){at.line + 1, 0};
		f->line[i] = at.line;
		f->col[i] = (uint16_t)at.col;
		int rc = note_lines(l, at.line, i, e);
		at = walk(s, n, at, f->cols, NULL, NULL);
		if (!rc && at.line > l->n - 1)
			rc = note_lines(l, at.col > 0 ? at.line : at.line - 1, i, e);
		if (rc)
			return rc;
	}
	f->n_lines = l->n;
	return 0;
}

int flow_build(struct flow *out, const struct token_text *t, int cols, struct err *e)
{
	struct flow f = {.cols = cols < 2 ? 2 : cols > UINT16_MAX ? UINT16_MAX : cols, .response_line = -1};
	struct lines l = {0};
	f.line = malloc(((size_t)t->n + 1) * sizeof *f.line);
	f.col = malloc(((size_t)t->n + 1) * sizeof *f.col);
	int rc = ERR_MEMORY;
	if (f.line && f.col)
		rc = lay_out(&f, t, &l, e);
	else
		err_set(e, ERR_MEMORY, "laying out %d tokens: out of memory", t->n);
	f.first = l.first;
	if (rc) {
		flow_free(&f);
		return rc;
	}
	*out = f;
	return 0;
}

void flow_free(struct flow *f)
{
	free(f->line);
	free(f->col);
	free(f->first);
	*f = (struct flow){0};
}

void flow_token(const struct flow *f, const struct token_text *t, int i, flow_put *put, void *user)
{
	size_t n;
	const char *s = token_text_of(t, i, &n);
	walk(s, n, (struct pen){f->line[i], f->col[i]}, f->cols, put, user);
}

int flow_find(const struct flow *f, const struct token_text *t, int line, int col)
{
	if (f->n_lines == 0)
		return 0;
	line = line < 0 ? 0 : line >= f->n_lines ? f->n_lines - 1 : line;
	int i = f->first[line];
	while (i + 1 < t->n && (f->line[i + 1] < line || (f->line[i + 1] == line && f->col[i + 1] <= col)))
		i++;
	return i;
}
