#include "tui/draw/columns.h"
#include "tests/support/scene.h"
#include "tests/support/test.h"

#include <math.h>

#include "analysis/synthetic.h"

TEST(columns, largest_of_the_tokens)
{
	float value[12] = {NAN, NAN, 1, 2, 3, 4, 5, 7, 6, 5, 4, NAN}, out[9];
	columns_largest(value, 2, (struct look_window){0, 9}, 3, out);
	CHECK_NEAR(out[0], 3, 0);
	CHECK_NEAR(out[1], 7, 0);
	CHECK_NEAR(out[2], 6, 0);
	columns_largest(value, 2, (struct look_window){0, 9}, 1, out); /* more than four side by side */
	CHECK_NEAR(out[0], 7, 0);
	columns_largest(value, 2, (struct look_window){4, 2}, 7, out); /* a token in several columns */
	CHECK_NEAR(out[0], 5, 0);
	CHECK_NEAR(out[6], 7, 0);
	value[3] = NAN;
	columns_largest(value, 2, (struct look_window){1, 1}, 1, out);
	CHECK(isnan(out[0]));
	columns_largest(value, 2, (struct look_window){0, 9}, 1, out); /* a missing one hides no other */
	CHECK_NEAR(out[0], 7, 0);
}

TEST(columns, mean_of_the_tokens)
{
	float value[8] = {NAN, 1, 2, 3, 4, 5, 6, NAN}, out[7];
	columns_mean(value, 1, (struct look_window){0, 6}, 2, out);
	CHECK_NEAR(out[0], 2, 0);
	CHECK_NEAR(out[1], 5, 0);
	columns_mean(value, 1, (struct look_window){1, 2}, 4, out);
	CHECK_NEAR(out[0], 2, 0);
	CHECK_NEAR(out[3], 3, 0);
}

static void open_synthetic(struct look *l)
{
	*l = (struct look){0};
	look_take(l, scene_snapshot(4, 600, synthetic_default().n_response, NULL));
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

TEST(columns, percentile_of_a_layer_is_the_mean_of_its_heads)
{
	struct look l;
	open_synthetic(&l);
	int units = look_n_unit(&l), n = l.snap->n_candidate;
	for (int series = 0; series < 3; series++) {
		const float *row = snapshot_layer_percentile(l.snap, series, 2);
		for (int j = 0; j < n; j += 37) {
			double sum = 0;
			for (int unit = 0; unit < units; unit++)
				sum += 1 - (double)evaluation_ranks(l.snap->evaluation, l.snap->series[series].method, 2, unit)[j] / n;
			CHECK_NEAR(row[l.snap->first + j], sum / units, 1e-6);
		}
	}
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
