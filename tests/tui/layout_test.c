#include "tui/draw/layout.h"
#include "tests/support/test.h"

enum { MAX_RECT = 64 };

struct named {
	const char *name;
	struct rect r;
};

static int collect(const struct layout *l, struct named *out)
{
	int n = 0;
	out[n++] = (struct named){"title", l->title};
	out[n++] = (struct named){"status", l->status};
	out[n++] = (struct named){"layer_label", l->layer_label};
	out[n++] = (struct named){"head_label", l->head_label};
	out[n++] = (struct named){"legend", l->legend};
	out[n++] = (struct named){"heads_title", l->heads_title};
	out[n++] = (struct named){"numbers", l->numbers};
	out[n++] = (struct named){"hint", l->hint};
	for (int i = 0; i < l->n_strip; i++)
		out[n++] = (struct named){"strip", l->strip[i]};
	for (int i = 0; i < l->n_pane; i++) {
		out[n++] = (struct named){"pane title", l->pane[i].title};
		out[n++] = (struct named){"layers", l->pane[i].layers};
		out[n++] = (struct named){"layers_agree", l->pane[i].layers_agree};
		out[n++] = (struct named){"ruler", l->pane[i].ruler};
		out[n++] = (struct named){"heads", l->pane[i].heads};
		out[n++] = (struct named){"heads_agree", l->pane[i].heads_agree};
	}
	return n;
}

static bool overlap(struct rect a, struct rect b)
{
	return a.row < b.row + b.rows && b.row < a.row + a.rows && a.col < b.col + b.cols && b.col < a.col + a.cols;
}

static void check_layout(const struct layout_request *r)
{
	struct layout l;
	struct named list[MAX_RECT];
	layout_maps(&l, r);
	if (r->rows < LAYOUT_MIN_ROWS || r->cols < LAYOUT_MIN_COLS) {
		CHECK(!l.fits);
		return;
	}
	CHECK(l.fits);
	int n = collect(&l, list);
	for (int i = 0; i < n; i++) {
		struct rect a = list[i].r;
		bool inside = a.row >= 0 && a.col >= 0 && a.rows >= 0 && a.cols >= 0 && a.row + a.rows <= r->rows &&
			a.col + a.cols <= r->cols;
		if (!inside)
			test_fail(__FILE__, __LINE__, "%d x %d: %s is %d,%d %d x %d", r->rows, r->cols, list[i].name, a.row,
				a.col, a.rows, a.cols);
		for (int j = 0; j < i; j++)
			if (overlap(a, list[j].r))
				test_fail(__FILE__, __LINE__, "%d x %d: %s and %s overlap", r->rows, r->cols, list[i].name,
					list[j].name);
	}
	CHECK(l.n_pane >= 1 && l.n_pane <= LAYOUT_MAX_PANE);
	CHECK(l.n_pane <= (r->full ? 1 : r->n_pane));
	CHECK(l.layer_label.rows >= 1 && l.head_label.rows >= 1);
	CHECK_INT(l.numbers.rows, r->n_number);
	CHECK_INT(l.hint.row, r->rows - 1);
	for (int i = 0; i < l.n_pane; i++) {
		CHECK_INT(l.pane[i].layers.cols, l.pane[0].layers.cols); /* one column is the same tokens in every pane */
		CHECK_INT(l.pane[i].heads.cols, l.pane[0].layers.cols);
		CHECK_INT(l.pane[i].ruler.cols, l.pane[0].layers.cols);
		CHECK_INT(l.pane[i].layers.rows, l.layer_label.rows);
		CHECK_INT(l.pane[i].heads.rows, l.head_label.rows);
		CHECK(l.pane[i].layers.cols >= (r->chosen ? 10 : 18));
	}
	CHECK(l.layer_label.rows <= (l.layers_half ? (r->n_layer + 1) / 2 : r->n_layer));
	if (!r->half_blocks)
		CHECK(!l.layers_half && !l.heads_half);
}

TEST(layout, every_size_is_sound)
{
	static const int shape[][3] = {{30, 9, 3}, {32, 32, 8}, {32, 32, 32}, {1, 1, 1}, {80, 64, 8}, {28, 12, 2},
		{16, 128, 1}};
	for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
		for (int rows = 1; rows <= 200; rows += s == 0 ? 1 : 7) {
			for (int cols = 1; cols <= 300; cols += s == 0 ? 1 : 11) {
				struct layout_request r = {.rows = rows, .cols = cols, .n_pane = 1 + (rows + cols) % 6,
					.truth_first = rows % 3 != 0,
					.full = cols % 5 == 0, .n_layer = shape[s][0], .n_head = shape[s][1], .n_kv_head = shape[s][2],
					.half_blocks = rows % 2 == 0, .n_mark = 1 + cols % 4, .n_number = 3 + rows % 7, .chosen = cols % 7 == 0};
				if (r.full)
					r.truth_first = false;
				check_layout(&r);
			}
		}
	}
}

TEST(layout, smallest_screen_shows_three_methods)
{
	struct layout l;
	struct layout_request r = {.rows = 24, .cols = 80, .n_pane = 4, .truth_first = true, .n_layer = 30, .n_head = 9,
		.n_kv_head = 3,
		.half_blocks = true, .n_mark = 3, .n_number = 6};
	layout_maps(&l, &r);
	CHECK_INT(l.n_pane, 3);
	CHECK(l.layer_label.rows >= 5);
	CHECK_INT(l.head_label.rows, 2); /* one group of three query heads, two a line */
	r.chosen = true; /* who chooses four sees four */
	layout_maps(&l, &r);
	CHECK_INT(l.n_pane, 4);
	r.chosen = false;
	r.cols = 240;
	layout_maps(&l, &r);
	CHECK_INT(l.n_pane, 4);
}

TEST(layout, tall_screens_show_every_row_on_a_line_of_its_own)
{
	struct layout l;
	struct layout_request r = {.rows = 70, .cols = 160, .n_pane = 3, .truth_first = true, .n_layer = 30,
		.n_head = 9, .n_kv_head = 3,
		.half_blocks = true, .n_mark = 3, .n_number = 5};
	layout_maps(&l, &r);
	CHECK(!l.layers_half && !l.heads_half);
	CHECK_INT(l.layer_label.rows, 30);
	CHECK_INT(l.head_label.rows, 9);
	CHECK(l.n_strip > 1);
}

TEST(layout, scrolling_moves_as_little_as_possible)
{
	CHECK_INT(layout_scroll(0, 5, 1, 10, 30), 0);
	CHECK_INT(layout_scroll(0, 10, 1, 10, 30), 1);
	CHECK_INT(layout_scroll(7, 3, 1, 10, 30), 3);
	CHECK_INT(layout_scroll(25, 29, 1, 10, 30), 20);
	CHECK_INT(layout_scroll(4, 2, 1, 10, 5), 0);
	CHECK_INT(layout_scroll(0, 8, 4, 10, 30), 2);
	CHECK_INT(layout_scroll(0, 3, 20, 10, 30), 3);
}

TEST(layout, head_lines_keep_groups_apart)
{
	CHECK_INT(layout_head_lines(9, 3, true), 6);
	CHECK_INT(layout_head_lines(9, 3, false), 9);
	CHECK_INT(layout_head_lines(32, 32, true), 32);
	CHECK_INT(layout_head_line(2, 9, 3, true), 1);
	CHECK_INT(layout_head_line(3, 9, 3, true), 2);
	CHECK_INT(layout_head_line(8, 9, 3, true), 5);
	CHECK_INT(layout_head_line(8, 9, 3, false), 8);
}
