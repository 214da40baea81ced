#include "tui/look.h"
#include "tests/support/scene.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <math.h>
#include <string.h>

#include "tui/view/kept.h"

TEST(look, budgets_walk_a_ladder_of_two_notches_a_doubling)
{
	CHECK_INT(look_notch(128, 1), 181);
	CHECK_INT(look_notch(181, 1), 256);
	CHECK_INT(look_notch(128, -1), 91);
	CHECK_INT(look_notch(128, -2), 64);
	CHECK_INT(look_notch(200, 1), 256);
	CHECK_INT(look_notch(200, -1), 181);
	CHECK_INT(look_notch(129, -1), 128);
	for (int b = 40; b < 5000; b++) {
		CHECK(look_notch(b, 1) > b);
		CHECK(look_notch(b, -1) < b);
	}
	for (int b = 128, i = 0; i < 16; i++) { /* up and down again is where one was */
		int up = look_notch(b, 1);
		CHECK_INT(look_notch(up, -1), b);
		b = up;
	}
}

TEST(look, budget_is_spelled_out_and_stays_possible)
{
	struct look l = {0};
	char text[200];
	look_take(&l, scene_snapshot(6, 1990, 40, NULL));
	look_say_budget(&l, text, sizeof text);
	CHECK_STR(text, "KEEP 128 per KV head = 4 first + 32 last + 92 chosen of 1,954");
	for (int i = 0; i < 40; i++)
		look_step_budget(&l, -1);
	CHECK_INT(look_k(&l), 1);
	CHECK_INT(l.budget, 37);
	for (int i = 0; i < 40; i++)
		look_step_budget(&l, 1);
	CHECK_INT(l.budget, 1990);
	CHECK_INT(look_k(&l), 1954);
	look_step_budget(&l, -1);
	CHECK_INT(l.budget, 1448);
	look_free(&l);
}

TEST(look, short_prompts)
{
	struct look l = {0};
	char text[200];
	look_take(&l, scene_snapshot(6, 100, 40, NULL));
	CHECK_INT(l.budget, 50); /* half the prompt */
	look_free(&l);
	l = (struct look){0};
	look_take(&l, scene_snapshot(6, 60, 40, NULL));
	CHECK_INT(l.budget, 37); /* half would keep nothing beside first and last */
	look_free(&l);
	l = (struct look){0};
	look_take(&l, scene_snapshot(6, 30, 40, NULL));
	CHECK_INT(look_k(&l), -1);
	look_say_budget(&l, text, sizeof text);
	CHECK_STR(text, "KEEP all 30: the prompt is within 4 first + 32 last, nothing to choose");
	look_zoom(&l, 1, 20);
	look_move_token(&l, 5);
	look_step_budget(&l, 1);
	CHECK_INT(kept_verdict(&l, 0, 3).kept, KEPT_SINK);
	CHECK_INT(kept_verdict(&l, 0, 20).kept, KEPT_WINDOW);
	look_free(&l);
}

TEST(look, opens_on_a_token_that_snapkv_drops)
{
	struct look l = {0};
	look_take(&l, scene_snapshot(6, 1200, 60, NULL));
	CHECK_INT(kept_verdict(&l, snapshot_find(l.snap, "truth"), l.token).kept, KEPT_ALL);
	CHECK_INT(kept_verdict(&l, snapshot_find(l.snap, "lookahead"), l.token).kept, KEPT_ALL);
	CHECK_INT(kept_verdict(&l, snapshot_find(l.snap, "snapkv"), l.token).kept, KEPT_NONE);
	int layer = l.layer, token = l.token;
	look_take(&l, scene_snapshot(6, 1200, 61, NULL)); /* made of the same prompt when all was known: the place stays */
	CHECK(l.layer == layer && l.token == token);
	look_set_head(&l, 2, 4);
	look_take(&l, scene_snapshot(6, 1200, 62, NULL));
	CHECK_INT(l.layer, 2);
	CHECK_INT(l.head, 4);
	CHECK_INT(l.token, token);
	look_take(&l, scene_snapshot(6, 900, 61, NULL)); /* another one opens where it is interesting itself */
	CHECK_INT(kept_verdict(&l, snapshot_find(l.snap, "lookahead"), l.token).kept, KEPT_ALL);
	CHECK_INT(kept_verdict(&l, snapshot_find(l.snap, "snapkv"), l.token).kept, KEPT_NONE);
	look_free(&l);
}

TEST(look, columns_part_the_tokens)
{
	struct look l = {0};
	look_take(&l, scene_snapshot(6, 700, 40, NULL));
	for (int cols = 1; cols < 900; cols += 13) {
		struct look_window w = look_visible(&l);
		int last = w.from, begin, end;
		for (int col = 0; col < cols; col++) {
			look_column(w, cols, col, &begin, &end);
			CHECK(begin < end && end <= w.from + w.span);
			CHECK(cols > w.span ? begin <= last : begin == last); /* wide screens show a token in several columns */
			last = end;
		}
		CHECK_INT(last, w.from + w.span);
		for (int token = 0; token < 700; token += 3) {
			look_set_token(&l, token);
			int col = look_column_of(&l, cols);
			if (col < 0 || col >= cols) {
				CHECK(token < l.snap->first || token >= l.snap->first + l.snap->n_candidate);
				continue;
			}
			look_column(w, cols, col, &begin, &end);
			CHECK(token - l.snap->first >= begin && token - l.snap->first < end);
		}
	}
	look_free(&l);
}

TEST(look, zoom_keeps_the_cursor_on_the_screen)
{
	struct look l = {0};
	uint64_t x = test_seed();
	look_take(&l, scene_snapshot(6, 1500, 40, NULL));
	int n = l.snap->n_candidate;
	for (int i = 0; i < 4000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		int by = (int)(x >> 33) % 3 - 1;
		if (by)
			look_zoom(&l, by, 60);
		look_move_token(&l, (int)(x >> 40) % 301 - 150);
		struct look_window w = look_visible(&l);
		int index = l.token - l.snap->first;
		CHECK(w.from >= 0 && w.span >= 60 && w.from + w.span <= n);
		if (index >= 0 && index < n)
			CHECK(index >= w.from && index < w.from + w.span);
	}
	for (int i = 0; i < 12; i++)
		look_zoom(&l, -1, 60);
	CHECK_INT(look_visible(&l).span, n);
	look_free(&l);
}

TEST(look, votes_are_counted_in_the_scope)
{
	struct look l = {0};
	look_take(&l, scene_snapshot(6, 800, 40, NULL));
	int kv = l.snap->capture->n_kv_head, series = snapshot_find(l.snap, "snapkv"), sum = 0, all = 0;
	int method = l.snap->series[series].method, token = l.token;
	for (int layer = 0; layer < l.snap->capture->n_layer; layer++)
		for (int unit = 0; unit < kv; unit++)
			all += look_votes(&l, method, (struct scope){layer, unit}, token);
	for (int unit = 0; unit < kv; unit++)
		sum += look_votes(&l, method, (struct scope){l.layer, unit}, token);
	l.scope = LOOK_LAYER;
	CHECK_INT(kept_verdict(&l, series, token).votes, sum);
	CHECK_INT(kept_verdict(&l, series, token).of, kv);
	l.scope = LOOK_ALL;
	CHECK_INT(kept_verdict(&l, series, token).votes, all);
	CHECK_INT(kept_verdict(&l, series, token).of, kv * l.snap->capture->n_layer);
	look_free(&l);
}

TEST(look, panes_are_chosen_by_name)
{
	struct look l = {0};
	struct err e;
	int pane[LOOK_MAX_PANE];
	look_take(&l, scene_snapshot(6, 400, 40, NULL));
	CHECK_INT(look_panes(&l, pane), 4); /* the first ones */
	CHECK_INT(look_set_panes(&l, "tova, truth", &e), 0);
	CHECK_INT(look_panes(&l, pane), 2);
	CHECK_STR(l.snap->series[pane[0]].name, "tova");
	CHECK_INT(pane[1], 0);
	CHECK_INT(look_set_panes(&l, "truth,nothing", &e), ERR_USE);
	CHECK(strstr(e.text, "\"nothing\"") && strstr(e.text, "snapkv") && strstr(e.text, "tova"));
	CHECK_INT(look_set_panes(&l, "truth,snapkv,truth", &e), ERR_USE);
	CHECK_INT(look_set_panes(&l, "truth,snapkv,lookahead,tova,h2o", &e), ERR_USE);
	CHECK_INT(look_panes(&l, pane), 2); /* as before */
	CHECK(look_toggle_pane(&l, 1) && look_toggle_pane(&l, 2));
	CHECK_INT(look_panes(&l, pane), 4);
	CHECK_INT(pane[3], 2);
	CHECK(!look_toggle_pane(&l, 3));
	for (int i = 0; i < 4; i++)
		CHECK(look_toggle_pane(&l, pane[i]));
	CHECK_INT(look_panes(&l, pane), 1); /* the last one stays */
	CHECK_INT(look_set_panes(&l, "", &e), 0);
	CHECK_INT(look_panes(&l, pane), 4);
	look_free(&l);
}

/* Without the sinks the rest of a row is a share of what is left: its mean is 1x again. */
TEST(look, lift_without_sinks_is_of_the_others)
{
	struct look l = {0};
	const float *lift;
	int sinks = 0;
	look_take(&l, scene_snapshot(6, 700, 40, NULL));
	l.no_sinks = true;
	for (int layer = 0; layer < l.snap->capture->n_layer; layer++) {
		double sum = 0;
		int n = 0;
		float largest;
		lift = look_layer_lift(&l, 1, layer, &largest);
		for (int j = l.snap->first; j < l.snap->first + l.snap->n_candidate; j++) {
			CHECK(isnan(lift[j]) == look_hides(&l, layer, j));
			sinks += look_hides(&l, layer, j);
			if (!isnan(lift[j])) {
				sum += (double)lift[j];
				n++;
				CHECK(lift[j] <= largest);
			}
		}
		CHECK(fabs(sum / n - 1) <= TOL_LIFT);
	}
	CHECK(sinks > 0);
	l.no_sinks = false;
	for (int j = 0; j < l.snap->n_candidate; j++)
		CHECK(!isnan(look_layer_lift(&l, 1, 2, NULL)[l.snap->first + j]));
	look_free(&l);
}
