#include "tui/difference.h"
#include "tests/support/scene.h"
#include "tests/support/test.h"

#include <math.h>

#include "tests/support/tolerance.h"

/* One token in one (layer, unit), by definition. */
static bool picks(struct look *l, int series, int judged, int layer, int unit, int token)
{
	return evaluation_rank(l->snap->evaluation, l->snap->series[series].method, layer, unit, token) <
		look_k_of(l, l->snap->series[judged].method, layer, unit);
}

static void check_counts(struct look *l, const struct differences *d)
{
	struct scope scope = look_scope(l);
	int ours, theirs;
	bool truth = difference_is_against_truth(d->kind);
	difference_sides(l, d->kind, &ours, &theirs);
	for (int token = l->snap->first; token < l->snap->first + l->snap->n_candidate; token += 3) {
		int count[N_SIDE] = {0};
		for (int layer = 0; layer < l->snap->capture->n_layer; layer++)
			for (int unit = 0; unit < look_n_unit(l); unit++) {
				if ((scope.layer >= 0 && layer != scope.layer) || (scope.kv_head >= 0 && unit != scope.kv_head))
					continue;
				bool a = picks(l, ours, ours, layer, unit, token), b = picks(l, theirs, truth ? ours : theirs, layer, unit, token);
				a = a && (truth || picks(l, 0, ours, layer, unit, token));
				b = b && (truth || picks(l, 0, theirs, layer, unit, token));
				count[SIDE_BOTH] += a && b;
				count[SIDE_OURS] += a && !b;
				count[SIDE_THEIRS] += b && !a;
			}
		for (int side = 0; side < N_SIDE; side++)
			CHECK_INT(d->count[side][token], count[side]);
	}
}

TEST(difference, counts_are_those_of_the_definition)
{
	struct look l = {0};
	struct differences d = {0};
	look_take(&l, scene_snapshot(4, 500, 40, NULL));
	for (int focus = 0; focus < 4; focus++) {
		l.focus = focus;
		for (int kind = 0; kind < DIFFERENCE_NONE; kind++) {
			d.kind = (enum difference)kind;
			for (int scope = 0; scope < 3; scope++) {
				l.scope = (enum look_scope)scope;
				CHECK(differences_update(&d, &l));
				check_counts(&l, &d);
			}
		}
	}
	differences_free(&d);
	look_free(&l);
}

TEST(difference, counts_follow_an_uneven_deal)
{
	struct look l = {0};
	struct differences d = {.kind = DIFFERENCE_MISSED};
	look_take(&l, scene_snapshot(4, 500, 40, "adakv"));
	l.scope = LOOK_ALL;
	CHECK(differences_update(&d, &l));
	check_counts(&l, &d);
	differences_free(&d);
	look_free(&l);
}

TEST(difference, found_and_missed_make_up_truths_picks)
{
	struct look l = {0};
	struct differences d = {0};
	look_take(&l, scene_snapshot(4, 500, 40, NULL));
	for (int i = 0; i < 6; i++) {
		look_step_budget(&l, 1);
		l.scope = (enum look_scope)(i % 3);
		CHECK(differences_update(&d, &l));
		CHECK(fabs(d.mean[SIDE_BOTH] + d.mean[SIDE_THEIRS] - look_k(&l)) <= TOL_CURVE * look_k(&l));
		int ours, theirs;
		difference_sides(&l, d.kind, &ours, &theirs);
		struct agreement a = look_agreement(&l, l.snap->series[ours].method, look_scope(&l));
		CHECK(fabs(d.mean[SIDE_BOTH] - a.hits) <= TOL_CURVE * look_k(&l));
	}
	differences_free(&d);
	look_free(&l);
}

/* Going round by next visits every token of the kind, and previous the same ones back. */
TEST(difference, next_visits_all_of_them)
{
	struct look l = {0};
	struct differences d = {.kind = DIFFERENCE_WASTED};
	look_take(&l, scene_snapshot(4, 500, 40, NULL));
	l.focus = snapshot_find(l.snap, "snapkv");
	CHECK(differences_update(&d, &l));
	int n = (int)d.mean[SIDE_OURS], first = differences_next(&d, &l, 1);
	CHECK(n > 5);
	l.token = first;
	for (int i = 1; i <= n; i++) {
		int next = differences_next(&d, &l, 1);
		CHECK_INT(d.count[SIDE_OURS][next], 1);
		CHECK((next == first) == (i == n));
		int from = l.token;
		l.token = next;
		CHECK_INT(differences_next(&d, &l, -1), from);
	}
	l.token = l.snap->capture->n_prompt - 1; /* in the window */
	CHECK(differences_next(&d, &l, 1) >= l.snap->first && differences_next(&d, &l, -1) >= l.snap->first);
	differences_free(&d);
	look_free(&l);
}

TEST(difference, without_truth_nothing_is_known)
{
	struct look l = {0};
	struct differences d = {0};
	look_take(&l, scene_snapshot(4, 500, 0, NULL));
	CHECK(!differences_update(&d, &l));
	CHECK_INT(differences_next(&d, &l, 1), -1);
	differences_free(&d);
	look_free(&l);
}
