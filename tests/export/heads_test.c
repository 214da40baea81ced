/* Grids of heads: the evaluation's numbers, and what cannot be drawn. */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "export/figure.h"
#include "tests/support/evaluated.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

static double wanted(const struct evaluation *ev, enum figure_measure measure, int m, int layer, int head)
{
	struct scope s = {layer, head};
	if (measure == FIGURE_KL) /* of a query head; all others are of a KV head */
		return evaluation_kl(ev, m, layer, head);
	struct agreement a = evaluation_agreement(ev, m, s, 92);
	switch (measure) {
	case FIGURE_PICKS: return a.overlap;
	case FIGURE_GAIN: return a.mass_ratio - evaluation_agreement(ev, evaluation_find(ev, "snapkv"), s, 92).mass_ratio;
	case FIGURE_GAP: return evaluation_agreement(ev, evaluation_find(ev, "ceiling"), s, 92).overlap - a.overlap;
	default: return a.mass_ratio;
	}
}

static void check_panel(const struct evaluation *ev, enum figure_measure measure, const json_t *panel)
{
	int m = evaluation_find(ev, json_string_value(json_object_get(panel, "method")));
	const json_t *rows = json_object_get(panel, "value");
	size_t columns = (size_t)(measure == FIGURE_KL ? evaluation_capture(ev)->n_head : evaluation_n_unit(ev));
	CHECK_INT(json_array_size(rows), evaluation_capture(ev)->n_layer);
	for (size_t layer = 0; layer < json_array_size(rows); layer++) {
		const json_t *row = json_array_get(rows, layer);
		CHECK_INT(json_array_size(row), columns);
		for (size_t head = 0; head < columns; head++)
			CHECK_NEAR(json_number_value(json_array_get(row, head)), wanted(ev, measure, m, (int)layer, (int)head), 1e-8); /* 9 digits */
	}
}

TEST(heads_figure, numbers_are_those_of_the_evaluation)
{
	static const char *const method[] = {"snapkv", "lookahead", "recency"};
	struct evaluation *ev = evaluated(500, 40);
	for (int measure = FIGURE_MASS; measure <= FIGURE_KL; measure++) {
		struct figure_spec spec = figure_spec_default();
		struct err e = {0};
		spec.kind = FIGURE_GRID;
		spec.measure = (enum figure_measure)measure;
		spec.method = method;
		spec.n_method = measure == FIGURE_KL ? 2 : 3; /* recency has an order and no distribution */
		CHECK_INT(figure_write(ev, &spec, test_scratch("heads.json"), &e), 0);
		json_t *root = json_load_file(test_scratch("heads.json"), 0, NULL), *panels = json_object_get(root, "panels");
		CHECK_INT(json_array_size(panels), spec.n_method);
		for (size_t i = 0; i < json_array_size(panels); i++)
			check_panel(ev, spec.measure, json_array_get(panels, i));
		json_decref(root);
	}
	evaluation_close(ev);
}

TEST(heads_figure, what_cannot_be_drawn_is_refused)
{
	static const char *const truth[] = {"truth"};
	struct evaluation *ev = evaluated(300, 40), *silent = evaluated(300, 0), *whole = evaluated(36, 10);
	struct figure_spec spec = figure_spec_default();
	struct err e = {0};
	spec.kind = FIGURE_GRID;
	CHECK_INT(figure_write(silent, &spec, test_scratch("heads.png"), &e), ERR_USE);
	CHECK(strstr(e.text, "need truth"));
	CHECK_INT(figure_write(whole, &spec, test_scratch("heads.png"), &e), ERR_USE);
	CHECK(strstr(e.text, "need candidates"));
	spec.width_in = 0.5;
	CHECK_INT(figure_write(ev, &spec, test_scratch("heads.png"), &e), ERR_USE);
	CHECK(strstr(e.text, "need at least"));
	spec.width_in = 6;
	spec.method = truth;
	spec.n_method = 1;
	CHECK_INT(figure_write(ev, &spec, test_scratch("heads.png"), &e), ERR_USE);
	CHECK(strstr(e.text, "name one with --method"));
	CHECK(access(test_scratch("heads.png"), F_OK) != 0);
	evaluation_close(ev);
	evaluation_close(silent);
	evaluation_close(whole);
}
