#include "tui/draw/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool plot_begin(struct plot *p, int rows, int cols)
{
	rows = rows < 1 ? 1 : rows;
	cols = cols < 1 ? 1 : cols;
	size_t n = (size_t)rows * (size_t)cols;
	struct plot_cell *cell = realloc(p->cell, n * sizeof *cell);
	if (!cell)
		return false;
	memset(cell, 0, n * sizeof *cell);
	*p = (struct plot){rows, cols, cell};
	return true;
}

void plot_free(struct plot *p)
{
	free(p->cell);
	*p = (struct plot){0};
}

/* The curve's value at step x of n_x along the axis. */
static float value_at(const struct plot_curve *c, int x, int n_x)
{
	float at = n_x > 1 ? (float)x * (float)(c->n - 1) / (float)(n_x - 1) : 0;
	int i = (int)at, next = i + 1 < c->n ? i + 1 : i;
	float share = at - (float)i;
	return share > 0 ? c->y[i] * (1 - share) + c->y[next] * share : c->y[i];
}

/* Rows are counted from the top. */
static int row_of(float y, int n_row)
{
	y = y < 0 ? 0 : y > 1 ? 1 : y;
	return (int)lroundf((1 - y) * (float)(n_row - 1));
}

static struct plot_cell *cell_at(struct plot *p, int row, int col)
{
	return &p->cell[(size_t)row * (size_t)p->cols + (size_t)col];
}

static void set_dot(struct plot *p, int row, int col, struct style s)
{
	static const uint8_t bit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
	struct plot_cell *cell = cell_at(p, row / 4, col / 2);
	cell->dots |= bit[row % 4][col % 2];
	cell->style = s;
}

/* Steep parts are joined: half of the way belongs to each of the two columns. */
static void add_dots(struct plot *p, const struct plot_curve *c)
{
	int n_x = 2 * p->cols, n_y = 4 * p->rows, before = -1;
	for (int x = 0; x < n_x; x++) {
		float y = value_at(c, x, n_x);
		if (isnan(y)) {
			before = -1;
			continue;
		}
		int row = row_of(y, n_y), from = before < 0 ? row : before;
		int step = row > from ? 1 : -1;
		bool on = c->dash >> (x % 8) & 1;
		for (int middle = from + (row - from) / 2, r = middle; on && r != row; r += step)
			set_dot(p, r, x, c->style);
		if (on)
			set_dot(p, row, x, c->style);
		if (x > 0 && (c->dash >> ((x - 1) % 8) & 1))
			for (int r = from, middle = from + (row - from) / 2; r != middle; r += step)
				set_dot(p, r, x - 1, c->style);
		before = row;
	}
}

static void add_letters(struct plot *p, const struct plot_curve *c, int first, int last)
{
	for (int col = first; col <= last; col++) {
		float y = value_at(c, 2 * col + (col == p->cols - 1), 2 * p->cols);
		if (isnan(y))
			continue;
		struct plot_cell *cell = cell_at(p, row_of(y, p->rows), col);
		cell->letter = c->letter;
		cell->style = c->style;
	}
}

void plot_add(struct plot *p, const struct plot_curve *c, bool ascii)
{
	int col = c->letter_col < 0 ? 0 : c->letter_col >= p->cols ? p->cols - 1 : c->letter_col;
	if (c->n < 1)
		return;
	if (ascii) {
		add_letters(p, c, 0, p->cols - 1);
		return;
	}
	add_dots(p, c);
	add_letters(p, c, col, col);
}

void plot_draw(const struct plot *p, struct grid *g, struct rect r)
{
	for (int row = 0; row < p->rows; row++)
		for (int col = 0; col < p->cols; col++) {
			const struct plot_cell *cell = &p->cell[(size_t)row * (size_t)p->cols + (size_t)col];
			/* U+2800 and the dots */
			char braille[4] = {(char)0xe2, (char)(0xa0 | cell->dots >> 6), (char)(0x80 | (cell->dots & 0x3f)), '\0'};
			char letter[2] = {cell->letter, '\0'};
			if (cell->letter || cell->dots)
				grid_text(g, r, row, col, cell->style, cell->letter ? letter : braille);
		}
}
