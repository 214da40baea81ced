#include "tui/draw/plot.h"
#include "tests/support/test.h"

#include <math.h>

static int dots_of(const struct plot *p)
{
	int n = 0;
	for (int i = 0; i < p->rows * p->cols; i++)
		for (int bit = 0; bit < 8; bit++)
			n += p->cell[i].dots >> bit & 1;
	return n;
}

TEST(plot, a_level_curve_is_one_row_of_dots)
{
	const float y[] = {0.5f, 0.5f};
	struct plot p = {0};
	CHECK(plot_begin(&p, 5, 20));
	plot_add(&p, &(struct plot_curve){.y = y, .n = 2, .dash = 0xff}, false);
	CHECK_INT(dots_of(&p), 40);
	for (int col = 0; col < 20; col++) /* row 9 or 10 of 20 */
		CHECK(p.cell[2 * 20 + col].dots != 0);
	CHECK(plot_begin(&p, 5, 20));
	plot_add(&p, &(struct plot_curve){.y = y, .n = 2, .dash = 0x33}, false);
	CHECK_INT(dots_of(&p), 20);
	plot_free(&p);
}

/* From corner to corner, without a hole however steep. */
TEST(plot, steep_curves_are_joined)
{
	const float y[] = {0, 0, 1, 1};
	for (int cols = 1; cols < 30; cols++) {
		struct plot p = {0};
		CHECK(plot_begin(&p, 8, cols));
		plot_add(&p, &(struct plot_curve){.y = y, .n = 4, .dash = 0xff}, false);
		for (int row = 0; row < 8; row++) {
			int any = 0;
			for (int col = 0; col < cols; col++)
				any |= p.cell[row * cols + col].dots;
			CHECK(any != 0);
		}
		CHECK(p.cell[0 * cols + cols - 1].dots != 0 && p.cell[7 * cols].dots != 0);
		plot_free(&p);
	}
}

TEST(plot, gaps_stay_empty_and_values_outside_are_at_the_edge)
{
	const float y[] = {2, 2, NAN, NAN, NAN, -1, -1};
	struct plot p = {0};
	CHECK(plot_begin(&p, 4, 24));
	plot_add(&p, &(struct plot_curve){.y = y, .n = 7, .dash = 0xff}, false);
	for (int row = 0; row < 4; row++)
		for (int col = 0; col < 24; col++) {
			bool top = row == 0 && col < 5, bottom = row == 3 && col > 18;
			CHECK((p.cell[row * 24 + col].dots != 0) <= (top || bottom));
		}
	CHECK(p.cell[0].dots && p.cell[3 * 24 + 23].dots);
	plot_free(&p);
}

TEST(plot, is_drawn_in_braille_or_in_letters)
{
	const float y[] = {1, 1};
	struct plot p = {0};
	struct grid g = {0};
	CHECK(grid_resize(&g, 2, 4));
	grid_clear(&g, style_plain);
	CHECK(plot_begin(&p, 2, 4));
	plot_add(&p, &(struct plot_curve){.y = y, .n = 2, .dash = 0xff, .letter = 'x', .letter_col = 2}, false);
	plot_draw(&p, &g, grid_whole(&g));
	CHECK_STR(grid_at(&g, 0, 0)->glyph, "\xe2\xa0\x89"); /* dots 1 and 4: the top row */
	CHECK_STR(grid_at(&g, 0, 2)->glyph, "x");
	CHECK_STR(grid_at(&g, 1, 0)->glyph, " ");
	g.ascii = true;
	CHECK(plot_begin(&p, 2, 4));
	plot_add(&p, &(struct plot_curve){.y = y, .n = 2, .dash = 0x01, .letter = 'x'}, true);
	plot_draw(&p, &g, grid_whole(&g));
	for (int col = 0; col < 4; col++)
		CHECK_STR(grid_at(&g, 0, col)->glyph, "x");
	plot_free(&p);
	grid_free(&g);
}
