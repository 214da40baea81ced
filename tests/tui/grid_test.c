#include "tui/draw/grid.h"
#include "tests/support/test.h"

#include <string.h>

static void row_text(const struct grid *g, int row, char *out)
{
	*out = '\0';
	for (int col = 0; col < g->cols; col++)
		strcat(out, grid_at(g, row, col)->glyph);
}

/* Every cell is one glyph, and wide ones are whole. */
static void check_whole(const struct grid *g)
{
	for (int row = 0; row < g->rows; row++) {
		for (int col = 0; col < g->cols; col++) {
			const struct cell *c = grid_at(g, row, col);
			CHECK(c->width <= 2);
			if (c->width == 2)
				CHECK(col + 1 < g->cols && c[1].width == 0);
			if (c->width == 0)
				CHECK(col > 0 && c[-1].width == 2);
			CHECK((c->width == 0) == (c->glyph[0] == '\0'));
		}
	}
}

TEST(grid, text_is_clipped_to_its_rectangle)
{
	struct grid g = {0};
	char text[64];
	CHECK(grid_resize(&g, 3, 10));
	struct rect r = {1, 2, 1, 5};
	CHECK_INT(grid_text(&g, r, 0, 0, style_plain, "abcdefgh"), 8);
	row_text(&g, 1, text);
	CHECK_STR(text, "  abcde   ");
	grid_text(&g, r, 0, -2, style_plain, "xyz");
	row_text(&g, 1, text);
	CHECK_STR(text, "  zbcde   ");
	grid_text(&g, r, 1, 0, style_plain, "no");
	grid_text(&g, r, -1, 0, style_plain, "no");
	row_text(&g, 2, text);
	CHECK_STR(text, "          ");
	grid_text_right(&g, r, 0, style_plain, "12");
	row_text(&g, 1, text);
	CHECK_STR(text, "  zbc12   ");
	grid_free(&g);
}

TEST(grid, wide_glyphs_stay_whole_whatever_is_drawn_over_them)
{
	struct grid g = {0};
	char text[64];
	grid_resize(&g, 1, 6);
	struct rect whole = grid_whole(&g);
	grid_text(&g, whole, 0, 0, style_plain, "\xe4\xbd\xa0\xe5\xa5\xbd!");
	check_whole(&g);
	grid_text(&g, whole, 0, 1, style_plain, "x");
	check_whole(&g);
	row_text(&g, 0, text);
	CHECK_STR(text, " x\xe5\xa5\xbd! ");
	grid_text(&g, whole, 0, 2, style_plain, "y");
	check_whole(&g);
	row_text(&g, 0, text);
	CHECK_STR(text, " xy ! ");
	grid_text(&g, whole, 0, 5, style_plain, "\xe4\xbd\xa0"); /* half of it would fit */
	check_whole(&g);
	row_text(&g, 0, text);
	CHECK_STR(text, " xy ! ");
	grid_text(&g, (struct rect){0, 1, 1, 2}, 0, -1, style_plain, "\xe4\xbd\xa0z");
	check_whole(&g);
	row_text(&g, 0, text);
	CHECK_STR(text, "  z ! ");
	grid_free(&g);
}

TEST(grid, random_drawing_keeps_the_grid_whole)
{
	static const char *const word[] = {"a", "\xe4\xbd\xa0", "e\xcc\x81", "\xcc\x81", "\xf0\x9f\x98\x80z", "\x1b",
		"\xff", "\xe2\x80\x8d"};
	struct grid g = {0};
	uint64_t x = test_seed() | 1;
	grid_resize(&g, 4, 9);
	for (int i = 0; i < 20000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		unsigned r = (unsigned)(x >> 33);
		struct rect clip = {(int)(r % 6) - 1, (int)(r / 6 % 12) - 1, (int)(r / 72 % 5), (int)(r / 360 % 11)};
		if (r % 97 == 0)
			grid_fill(&g, clip, style_plain);
		else
			grid_text(&g, clip, (int)(r / 3960 % 5) - 1, (int)(r / 19800 % 12) - 2, style_plain, word[r / 5 % 8]);
	}
	check_whole(&g);
	grid_free(&g);
}

TEST(grid, ascii_grids_hold_only_ascii)
{
	struct grid g = {.ascii = true};
	char text[64];
	grid_resize(&g, 1, 16);
	grid_text(&g, grid_whole(&g), 0, 0, style_plain,
		"a\xc2\xb7\xe2\x96\xb2\xe4\xbd\xa0\xe2\x96\xa0\xc3\xa9\xcc\x81|e\xcc\x81\x80");
	row_text(&g, 0, text);
	CHECK_STR(text, "a.^??#?|??      ");
	grid_free(&g);
}

TEST(grid, cutting_shows_that_something_is_missing)
{
	struct grid g = {0};
	char text[64];
	grid_resize(&g, 1, 8);
	CHECK_INT(grid_text_cut(&g, grid_whole(&g), 0, 0, 5, style_plain, "abcdef"), 5);
	row_text(&g, 0, text);
	CHECK_STR(text, "abcd\xe2\x80\xa6   ");
	CHECK_INT(grid_text_cut(&g, grid_whole(&g), 0, 0, 6, style_plain, "abcdef"), 6);
	row_text(&g, 0, text);
	CHECK_STR(text, "abcdef  ");
	CHECK_INT(grid_text_cut(&g, grid_whole(&g), 0, 0, 0, style_plain, "abcdef"), 0);
	CHECK_INT(grid_text_cut(&g, grid_whole(&g), 0, 0, -3, style_plain, "abcdef"), 0);
	grid_free(&g);
}
