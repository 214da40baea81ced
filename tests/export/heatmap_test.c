/* Heatmaps: what is drawn is what the evaluation says, to the pixel. */
#include "export/plot/heatmap.h"

#include "tests/support/evaluated.h"
#include "tests/support/picture.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

struct drawn { /* a heatmap with its layout and its picture */
	struct evaluation *ev;
	struct figure_spec spec;
	struct text_engine *t;
	struct heatmap h;
	struct picture p;
};

static void draw(struct drawn *d)
{
	struct err e = {0};
	const char *path = test_scratch("heatmap.png");
	CHECK_INT(text_engine_open(&d->t, &e), 0);
	CHECK_INT(heatmap_make(&d->h, d->ev, &d->spec, &e), 0);
	CHECK_INT(heatmap_lay_out(&d->h, d->t, &e), 0);
	CHECK_INT(figure_write(d->ev, &d->spec, path, &e), 0);
	CHECK(picture_read(&d->p, path));
}

static void release(struct drawn *d)
{
	picture_free(&d->p);
	heatmap_free(&d->h);
	text_engine_close(d->t);
	evaluation_close(d->ev);
}

/* The pixel in the middle of a cell. */
static uint32_t pixel_of(const struct drawn *d, int panel, int row, double position)
{
	const struct heatmap_layout *l = &d->h.layout;
	double scale = d->spec.dpi / 72.0;
	double x = l->panel_x[panel] + heatmap_x(&d->h, position + 0.5);
	double y = l->top + panel / l->columns * l->step_y + l->panel_h * (row + 0.5) / d->h.n_row;
	return picture_pixel(&d->p, (int)(x * scale), (int)(y * scale));
}

TEST(heatmap, every_cell_has_the_colour_of_its_lift)
{
	struct drawn d = {.ev = evaluated(150, 40), .spec = figure_spec_default()};
	draw(&d);
	int first, n_cand = evaluation_n_candidate(d.ev, &first), wrong = 0;
	static const char *const names[] = {"oracle", "snapkv", "lookahead"};
	float lift[150];
	CHECK_INT(d.h.n_panel, 3);
	CHECK_INT(d.h.layout.n_cell, n_cand); /* room for every token */
	for (int panel = 0; panel < 3; panel++)
		for (int layer = 0; layer < 4; layer++) {
			CHECK_INT(evaluation_lift(d.ev, evaluation_find(d.ev, names[panel]), layer, -1, lift, NULL), 0);
			for (int j = first; j < first + n_cand; j++)
				wrong += pixel_of(&d, panel, layer, j) != ramp_rgb(RAMP_VIRIDIS, ramp_level(RAMP_LIFT, lift[j], 0));
		}
	CHECK_INT(wrong, 0);
	release(&d);
}

TEST(heatmap, heads_of_a_layer_one_head_and_other_colours)
{
	struct drawn d = {.ev = evaluated(120, 40), .spec = figure_spec_default()};
	d.spec.rows = FIGURE_HEADS;
	d.spec.layer = 2;
	d.spec.colour = RAMP_CIVIDIS;
	draw(&d);
	float lift[120];
	for (int head = 0; head < 6; head++) {
		CHECK_INT(evaluation_lift(d.ev, evaluation_find(d.ev, "snapkv"), 2, head, lift, NULL), 0);
		CHECK_INT(pixel_of(&d, 1, head, 50), ramp_rgb(RAMP_CIVIDIS, ramp_level(RAMP_LIFT, lift[50], 0)));
	}
	picture_free(&d.p);
	heatmap_free(&d.h);
	text_engine_close(d.t);
	d.spec.rows = FIGURE_ONE;
	d.spec.head = 5;
	draw(&d);
	CHECK_INT(d.h.n_row, 1);
	CHECK_INT(evaluation_lift(d.ev, evaluation_find(d.ev, "lookahead"), 2, 5, lift, NULL), 0);
	for (int j = 10; j < 60; j++) {
		CHECK_INT(pixel_of(&d, 2, 0, j), ramp_rgb(RAMP_CIVIDIS, ramp_level(RAMP_LIFT, lift[j], 0)));
		bool kept = evaluation_votes(d.ev, evaluation_find(d.ev, "lookahead"), (struct scope){2, 1},
						evaluation_k(d.ev, 128, NULL), j)
			> 0;
		CHECK_INT(d.h.panel[2].kept[j], kept);
	}
	release(&d);
}

TEST(heatmap, cells_of_several_tokens_show_the_largest_lift_or_the_mean_percentile)
{
	struct drawn d = {.ev = evaluated(2000, 40), .spec = figure_spec_default()};
	d.spec.width_in = 3.25;
	draw(&d);
	const struct heatmap_layout *l = &d.h.layout;
	CHECK(l->per_cell > 1 && l->n_cell < 2000);
	float lift[2000];
	CHECK_INT(evaluation_lift(d.ev, evaluation_find(d.ev, "oracle"), 1, -1, lift, NULL), 0);
	int first, n_cand = evaluation_n_candidate(d.ev, &first);
	float most = 0;
	for (int cell = 0, j = 0; cell < l->n_cell; cell++, most = 0) {
		int end = (int)((int64_t)(cell + 1) * n_cand / l->n_cell), begin = j;
		for (; j < end; j++)
			most = lift[first + j] > most ? lift[first + j] : most;
		float got = heatmap_cell(&d.h, d.h.panel[0].value + 2000, first + begin, first + end);
		CHECK_NEAR(got, most, TOL_EXACT);
	}
	d.spec.scale = RAMP_PERCENTILE;
	const float row[4] = {0.5f, NAN, 1.0f, 0.0f};
	CHECK_NEAR(heatmap_cell(&d.h, row, 0, 4), 0.5, TOL_EXACT); /* the spec is read when a cell is asked for */
	CHECK(isnan(heatmap_cell(&d.h, row, 1, 2)));
	release(&d);
}

TEST(heatmap, percentiles_are_ranks_in_the_row)
{
	struct drawn d = {.ev = evaluated(100, 40), .spec = figure_spec_default()};
	d.spec.scale = RAMP_PERCENTILE;
	draw(&d);
	float lift[100];
	CHECK_INT(evaluation_lift(d.ev, evaluation_find(d.ev, "oracle"), 0, -1, lift, NULL), 0);
	int first, n_cand = evaluation_n_candidate(d.ev, &first);
	for (int j = first; j < first + n_cand; j++) {
		int better = 0;
		for (int i = first; i < first + n_cand; i++)
			better += lift[i] > lift[j] || (lift[i] == lift[j] && i < j);
		CHECK_NEAR(d.h.panel[0].value[j], 1 - (double)better / (n_cand - 1), TOL_CURVE);
	}
	release(&d);
}

TEST(heatmap, differences_are_ratios_to_truth_on_a_diverging_scale)
{
	struct drawn d = {.ev = evaluated(100, 40), .spec = figure_spec_default()};
	d.spec.scale = RAMP_DIFFERENCE;
	draw(&d);
	CHECK_INT(d.h.n_panel, 2); /* truth itself is not a difference */
	CHECK_INT(plot_colour(&d.spec), RAMP_DIVERGING);
	float lift[100], truth[100];
	CHECK_INT(evaluation_lift(d.ev, evaluation_find(d.ev, "snapkv"), 3, -1, lift, NULL), 0);
	CHECK_INT(evaluation_lift(d.ev, evaluation_find(d.ev, "oracle"), 3, -1, truth, NULL), 0);
	for (int j = 10; j < 60; j++)
		if (lift[j] > 0.01f && truth[j] > 0.01f)
			CHECK_NEAR(d.h.panel[0].value[3 * 100 + j], log10((double)lift[j] / (double)truth[j]), 1e-6);
	release(&d);
}

TEST(heatmap, sinks_and_window_are_masked_not_coloured)
{
	struct drawn d = {.ev = evaluated(100, 40), .spec = figure_spec_default()};
	draw(&d);
	CHECK_INT(d.h.n_sink, 4);
	CHECK_INT(d.h.n_window, 32);
	const struct heatmap_layout *l = &d.h.layout;
	double scale = 300 / 72.0;
	int y = (int)((l->top + l->panel_h / 2) * scale);
	double ends[2] = {l->panel_x[0] + 0.5, l->panel_x[0] + l->panel_w - l->window_w + 0.5};
	for (int end = 0; end < 2; end++)
		for (int x = 2; x < (int)(l->sink_w * scale) - 4; x++) {
			uint32_t c = picture_pixel(&d.p, (int)(ends[end] * scale) + x, y);
			CHECK((c >> 16) - (c >> 8 & 255) + 2 < 5 && (c >> 8 & 255) - (c & 255) + 2 < 5
				&& (c & 255) > 0x80); /* light grey, hatched */
		}
	for (int i = 0; i < 4; i++)
		CHECK(isnan(d.h.panel[0].value[i]) && isnan(d.h.panel[0].value[99 - i]));
	release(&d);
}

TEST(heatmap, agreement_beside_the_rows)
{
	struct drawn d = {.ev = evaluated(400, 40), .spec = figure_spec_default()};
	draw(&d);
	CHECK(!d.h.panel[0].best);
	int k = evaluation_k(d.ev, 128, NULL);
	for (int layer = 0; layer < 4; layer++) {
		struct agreement a = evaluation_agreement(
			d.ev, evaluation_find(d.ev, "snapkv"), (struct scope){layer, -1}, k);
		CHECK_NEAR(d.h.panel[1].best[layer], a.mass_ratio, TOL_EXACT);
		/* The bar of that length is there: grey inside, white behind its end. */
		const struct heatmap_layout *l = &d.h.layout;
		double x = l->panel_x[1] + l->panel_w + HEATMAP_BEST_GAP, y = l->top + l->panel_h * (layer + 0.4) / 4,
			   scale = 300 / 72.0;
		double end = x + HEATMAP_BEST * a.mass_ratio;
		CHECK_INT(picture_pixel(&d.p, (int)((end - 0.6) * scale), (int)(y * scale)), 0x7d7d7d);
		if (a.mass_ratio < 0.9)
			CHECK_INT(picture_pixel(&d.p, (int)((end + 0.6) * scale), (int)(y * scale)), 0xffffff);
	}
	release(&d);
}

TEST(heatmap, a_prompt_within_sinks_and_window_is_drawn_masked)
{
	struct drawn d = {.ev = evaluated(20, 8), .spec = figure_spec_default()};
	draw(&d);
	CHECK_INT(d.h.layout.n_cell, 0);
	CHECK_INT(d.h.n_sink, 20);
	release(&d);
}

TEST(heatmap, parts_of_the_prompt)
{
	static const struct {
		int first, last, n_sink, n_window;
	} range[] = {{0, 3, 3, 0}, {2, 6, 2, 0}, {10, 11, 0, 0}, {60, 100, 0, 32}, {67, 69, 0, 1}, {80, 90, 0, 10},
		{0, 100, 4, 32}};
	for (size_t i = 0; i < sizeof range / sizeof *range; i++) {
		struct drawn d = {.ev = evaluated(100, 40), .spec = figure_spec_default()};
		d.spec.first = range[i].first;
		d.spec.last = range[i].last;
		draw(&d);
		CHECK_INT(d.h.n_sink, range[i].n_sink);
		CHECK_INT(d.h.n_window, range[i].n_window);
		CHECK_INT(d.h.layout.n_cell, range[i].last - range[i].first - range[i].n_sink - range[i].n_window);
		release(&d);
	}
}
