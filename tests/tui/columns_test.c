#include "tui/columns.h"
#include "tests/support/test.h"

#include <math.h>

#include "analysis/synthetic.h"

TEST(columns, largest_or_mean_of_the_tokens)
{
	float value[10] = {NAN, NAN, 1, 2, 3, 4, 5, 6, 7, NAN}, out[7];
	struct look_window w = {0, 7};
	columns_aggregate(value, 2, w, 3, AGGREGATE_MAX, out);
	CHECK_NEAR(out[0], 2, 0);
	CHECK_NEAR(out[1], 4, 0);
	CHECK_NEAR(out[2], 7, 0);
	columns_aggregate(value, 2, w, 3, AGGREGATE_MEAN, out);
	CHECK_NEAR(out[0], 1.5, 0);
	CHECK_NEAR(out[1], 3.5, 0);
	CHECK_NEAR(out[2], 6, 0);
	columns_aggregate(value, 2, (struct look_window){4, 2}, 7, AGGREGATE_MAX, out); /* a token in several columns */
	CHECK_NEAR(out[0], 5, 0);
	CHECK_NEAR(out[6], 6, 0);
	value[3] = NAN;
	columns_aggregate(value, 2, (struct look_window){1, 1}, 1, AGGREGATE_MAX, out);
	CHECK(isnan(out[0]));
}

static void open_synthetic(struct look *l)
{
	struct synthetic_spec spec = synthetic_default();
	struct evaluation_options o = {.protocol = protocol_default(), .seed = 1};
	const struct capture *c;
	const struct snapshot *s;
	struct err e;
	spec.n_layer = 4;
	spec.n_prompt = 600;
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(snapshot_make(&s, c, NULL, &o, NULL, &e), 0);
	capture_unref(c);
	*l = (struct look){0};
	look_take(l, s);
}

TEST(columns, rows_are_made_once)
{
	struct look l;
	struct columns c = {0};
	open_synthetic(&l);
	const float *row = columns_row(&c, &l, 1, -1, 2, 50);
	CHECK(row != NULL);
	float first = row[7];
	((float *)(void *)row)[7] = 0.123f; /* a mark that a second making would wipe out */
	look_move_token(&l, 9);
	look_step_budget(&l, 1);
	look_next_scope(&l);
	CHECK(columns_row(&c, &l, 1, -1, 2, 50) == row);
	CHECK_NEAR(row[7], 0.123f, 0);
	look_zoom(&l, 1, 50);
	CHECK(columns_row(&c, &l, 1, -1, 2, 50) != NULL);
	look_zoom(&l, -1, 50);
	CHECK_NEAR(columns_row(&c, &l, 1, -1, 2, 50)[7], first, 0);
	columns_free(&c);
	look_free(&l);
}

TEST(columns, every_scale_gives_levels)
{
	struct look l;
	struct columns c = {0};
	open_synthetic(&l);
	for (int scale = RAMP_LIFT; scale <= RAMP_DIFFERENCE; scale++) {
		l.scale = (enum ramp_scale)scale;
		for (int series = 0; series < 3; series++) {
			for (int layer = -1; layer < 2; layer += 2) {
				float low = 2, high = -1;
				const float *row = columns_row(&c, &l, series, layer, 2, 40);
				CHECK(row != NULL);
				for (int i = 0; row && i < 40; i++) {
					CHECK(row[i] >= 0 && row[i] <= 1);
					low = fminf(low, row[i]);
					high = fmaxf(high, row[i]);
				}
				CHECK(high > low);
				if (scale == RAMP_RAW)
					CHECK_NEAR(high, 1, 1e-6);
			}
		}
	}
	l.scale = RAMP_DIFFERENCE; /* truth itself is drawn as lift, not as a difference to itself */
	const float *truth = columns_row(&c, &l, 0, -1, 2, 40);
	l.scale = RAMP_LIFT;
	struct columns d = {0};
	const float *lift = columns_row(&d, &l, 0, -1, 2, 40);
	for (int i = 0; i < 40; i++)
		CHECK_NEAR(truth[i], lift[i], 0);
	columns_free(&c);
	columns_free(&d);
	look_free(&l);
}
