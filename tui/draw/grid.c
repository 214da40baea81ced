#include "tui/draw/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/draw/glyph.h"

const struct style style_plain = {COLOUR_DEFAULT, COLOUR_DEFAULT, 0};

/* Our own signs where only ASCII can be shown. One column each, so no layout depends on the charset. */
static const struct {
	uint32_t code;
	char ascii;
} look_alike[] = {
	{0xb7, '.'},    {0xd7, 'x'},    {0x2013, '-'},  {0x2014, '-'},  {0x2018, '\''}, {0x2019, '\''}, {0x201c, '"'},
	{0x201d, '"'},  {0x2022, '*'},  {0x2026, '~'},  {0x2190, '<'},  {0x2191, '^'},  {0x2192, '>'},  {0x2193, 'v'},
	{0x21b5, '$'},  {0x2500, '-'},  {0x2502, '|'},  {0x250c, '+'},  {0x2510, '+'},  {0x2514, '+'},  {0x2518, '+'},
	{0x251c, '+'},  {0x2524, '+'},  {0x252c, '+'},  {0x2534, '+'},  {0x2581, '1'},  {0x2582, '2'},  {0x2583, '3'},
	{0x2584, '4'},  {0x2585, '5'},  {0x2586, '6'},  {0x2587, '7'},  {0x2588, '8'},  {0x2591, '.'},  {0x25a0, '#'},
	{0x25a1, '.'},  {0x25b2, '^'},  {0x25b8, '>'},  {0x25bc, 'v'},  {0x25c2, '<'},  {0x25cc, 'o'},  {0x25cf, '*'},
	{0x25cb, 'o'},
};

static char ascii_for(uint32_t code)
{
	for (size_t i = 0; i < sizeof look_alike / sizeof *look_alike; i++)
		if (look_alike[i].code == code)
			return look_alike[i].ascii;
	return '?';
}

bool grid_resize(struct grid *g, int rows, int cols)
{
	rows = rows < 1 ? 1 : rows;
	cols = cols < 1 ? 1 : cols;
	if (g->cell && rows == g->rows && cols == g->cols)
		return true;
	struct cell *cell = calloc((size_t)rows * (size_t)cols, sizeof *cell);
	if (!cell)
		return false;
	free(g->cell);
	g->cell = cell;
	g->rows = rows;
	g->cols = cols;
	grid_clear(g, style_plain);
	return true;
}

void grid_free(struct grid *g)
{
	free(g->cell);
	*g = (struct grid){0};
}

struct cell *grid_at(const struct grid *g, int row, int col)
{
	if (row < 0 || col < 0 || row >= g->rows || col >= g->cols)
		return NULL;
	return &g->cell[(size_t)row * (size_t)g->cols + (size_t)col];
}

static void set_cell(struct cell *c, struct style s, const char *glyph, size_t n, int width)
{
	if (!c)
		return;
	if (n >= CELL_BYTES) /* cannot be: glyph_next() ends a glyph before; a cell stays a string all the same */
		n = 0;
	memset(c->glyph, 0, CELL_BYTES); /* cells are compared as bytes: no padding in them either */
	memcpy(c->glyph, glyph, n);
	c->style = s;
	c->width = (uint32_t)width;
}

/* A glyph is about to be drawn over columns of this row: what it leaves of a wide one is blanked. */
static void split_wide(struct grid *g, int row, int col)
{
	struct cell *c = grid_at(g, row, col);
	if (!c)
		return;
	if (c->width == 0 && col > 0)
		set_cell(c - 1, c[-1].style, " ", 1, 1);
	if (c->width == 2 && col + 1 < g->cols)
		set_cell(c + 1, c->style, " ", 1, 1);
	set_cell(c, c->style, " ", 1, 1);
}

void grid_clear(struct grid *g, struct style s)
{
	for (size_t i = 0; i < (size_t)g->rows * (size_t)g->cols; i++)
		set_cell(&g->cell[i], s, " ", 1, 1);
	g->cursor_row = -1;
}

void grid_fill(struct grid *g, struct rect r, struct style s)
{
	r = rect_sub(grid_whole(g), r.row, r.col, r.rows, r.cols);
	for (int row = r.row; row < r.row + r.rows; row++) {
		for (int col = r.col; col < r.col + r.cols; col++) {
			split_wide(g, row, col);
			set_cell(grid_at(g, row, col), s, " ", 1, 1);
		}
	}
}

/* Puts one glyph at an absolute place, inside r. */
static void put(struct grid *g, struct rect r, int row, int col, struct style s, const struct glyph *glyph)
{
	int width = glyph->width < 1 ? 1 : glyph->width;
	if (row < r.row || row >= r.row + r.rows || col + width <= r.col || col >= r.col + r.cols)
		return;
	if (!rect_holds(r, row, col) || !rect_holds(r, row, col + width - 1)) { /* half of a wide glyph: blank */
		int at = rect_holds(r, row, col) ? col : col + width - 1;
		split_wide(g, row, at);
		set_cell(grid_at(g, row, at), s, " ", 1, 1);
		return;
	}
	for (int i = 0; i < width; i++)
		split_wide(g, row, col + i);
	struct cell *c = grid_at(g, row, col);
	if (g->ascii && (glyph->n_bytes > 1 || glyph->kind != GLYPH_TEXT)) {
		char sign = glyph->kind == GLYPH_TEXT ? ascii_for(glyph->code) : '?';
		for (int i = 0; i < width; i++)
			set_cell(c + i, s, &sign, 1, 1);
	} else if (glyph->kind == GLYPH_MARK) {
		char based[CELL_BYTES] = "\xe2\x97\x8c";
		memcpy(based + 3, glyph->bytes, (size_t)glyph->n_bytes);
		set_cell(c, s, based, (size_t)glyph->n_bytes + 3, 1);
	} else if (glyph->kind == GLYPH_TEXT) {
		set_cell(c, s, glyph->bytes, (size_t)glyph->n_bytes, width);
		if (width == 2)
			set_cell(c + 1, s, "", 0, 0);
	} else {
		set_cell(c, s, "?", 1, 1);
	}
}

int grid_bytes(struct grid *g, struct rect r, int row, int col, struct style s, const char *text, size_t n)
{
	struct rect clip = rect_sub(grid_whole(g), r.row, r.col, r.rows, r.cols);
	int at = col;
	for (size_t i = 0; i < n;) {
		struct glyph glyph;
		i += glyph_next(text + i, n - i, &glyph);
		if (glyph.kind == GLYPH_HIDDEN)
			continue;
		put(g, clip, r.row + row, r.col + at, s, &glyph);
		at += glyph.width < 1 ? 1 : glyph.width;
	}
	return at - col;
}

int grid_text(struct grid *g, struct rect r, int row, int col, struct style s, const char *text)
{
	return grid_bytes(g, r, row, col, s, text, strlen(text));
}

int grid_printf(struct grid *g, struct rect r, int row, int col, struct style s, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return grid_text(g, r, row, col, s, text);
}

void grid_text_right(struct grid *g, struct rect r, int row, struct style s, const char *text)
{
	int width = glyph_width(text, strlen(text));
	grid_text(g, r, row, width < r.cols ? r.cols - width : 0, s, text);
}

void grid_text_before(struct grid *g, struct rect r, int row, int end, struct style s, const char *text)
{
	grid_text(g, r, row, end - glyph_width(text, strlen(text)), s, text);
}

int grid_text_cut(struct grid *g, struct rect r, int row, int col, int columns, struct style s, const char *text)
{
	size_t n = strlen(text);
	if (columns <= 0)
		return 0;
	if (glyph_width(text, n) <= columns)
		return grid_bytes(g, r, row, col, s, text, n);
	int used = grid_bytes(g, r, row, col, s, text, glyph_fit(text, n, columns - 1));
	return used + grid_text(g, r, row, col + used, s, "\xe2\x80\xa6");
}

struct rect grid_whole(const struct grid *g)
{
	return (struct rect){0, 0, g->rows, g->cols};
}

static int clamp(int x, int low, int high)
{
	return x < low ? low : x > high ? high : x;
}

struct rect rect_sub(struct rect r, int row, int col, int rows, int cols)
{
	int top = clamp(row, 0, r.rows), left = clamp(col, 0, r.cols);
	int bottom = clamp(row + rows, top, r.rows), right = clamp(col + cols, left, r.cols);
	return (struct rect){r.row + top, r.col + left, bottom - top, right - left};
}

bool rect_holds(struct rect r, int row, int col)
{
	return row >= r.row && row < r.row + r.rows && col >= r.col && col < r.col + r.cols;
}
