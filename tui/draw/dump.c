#include "tui/draw/dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/file.h"

static void write_colour(FILE *f, uint32_t colour)
{
	if (colour == COLOUR_DEFAULT)
		fputc('-', f);
	else if (colour & COLOUR_PALETTE)
		fprintf(f, "p%u", colour & 0xff);
	else
		fprintf(f, "#%06x", colour);
}

static void write_style(FILE *f, const struct style *s)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} attribute[] = {{ATTR_BOLD, "bold"}, {ATTR_DIM, "dim"}, {ATTR_UNDERLINE, "underline"},
		{ATTR_REVERSE, "reverse"}, {ATTR_ITALIC, "italic"}};
	write_colour(f, s->fg);
	if (s->fg != COLOUR_DEFAULT || s->bg != COLOUR_DEFAULT) {
		fputc('/', f);
		write_colour(f, s->bg);
	}
	for (size_t i = 0; i < sizeof attribute / sizeof *attribute; i++)
		if (s->attr & attribute[i].bit)
			fprintf(f, "+%s", attribute[i].name);
}

static bool same_style(const struct style *a, const struct style *b)
{
	return a->fg == b->fg && a->bg == b->bg && a->attr == b->attr;
}

static void write_row(FILE *f, const struct grid *g, int row)
{
	fprintf(f, "%02d |", row);
	for (int col = 0; col < g->cols; col++)
		fputs(grid_at(g, row, col)->glyph, f);
	fputs("|\n  ", f);
	for (int col = 0; col < g->cols;) {
		const struct style *s = &grid_at(g, row, col)->style;
		int end = col + 1;
		while (end < g->cols && same_style(s, &grid_at(g, row, end)->style))
			end++;
		fprintf(f, " %d:", end - col);
		write_style(f, s);
		col = end;
	}
	fputc('\n', f);
}

/* *out is owned by the caller (free). */
static int print_grid(char **out, size_t *n_bytes, const struct grid *g, const struct theme *t, struct err *e)
{
	static const char *const depth[] = {[DEPTH_MONO] = "mono", [DEPTH_16] = "16", [DEPTH_256] = "256",
		[DEPTH_RGB] = "24bit"};
	FILE *f = open_memstream(out, n_bytes);
	if (!f)
		return err_set(e, ERR_MEMORY, "dump of %d x %d cells: out of memory", g->rows, g->cols);
	fprintf(f, "kvglass screen %d x %d, %s, %s, %s\n", g->rows, g->cols, depth[t->depth],
		t->utf8 ? "utf8" : "ascii", t->light ? "light" : "dark");
	for (int row = 0; row < g->rows; row++)
		write_row(f, g, row);
	if (g->cursor_row >= 0)
		fprintf(f, "cursor %d %d\n", g->cursor_row, g->cursor_col);
	bool failed = ferror(f);
	if (fclose(f) || failed) {
		free(*out);
		return err_set(e, ERR_MEMORY, "dump of %d x %d cells: out of memory", g->rows, g->cols);
	}
	return 0;
}

int dump_write(const char *path, const struct grid *g, const struct theme *t, struct err *e)
{
	char *text;
	size_t n;
	struct file_writer *w;
	int rc = print_grid(&text, &n, g, t, e);
	if (rc)
		return rc;
	rc = file_create(&w, path, e);
	if (!rc) {
		file_write(w, text, n, e);
		rc = file_commit(w, e); /* a failed write is told here again */
	}
	free(text);
	return rc;
}
