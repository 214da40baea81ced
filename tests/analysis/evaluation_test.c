/* Evaluations: against golden numbers of another implementation, against the definition done slowly, and at the edges. */
#include "analysis/evaluation.h"
#include "analysis/synthetic.h"
#include "engine/random.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const struct scope everything = {-1, -1};

static struct evaluation *open_with(const struct capture *c, struct protocol p)
{
	struct evaluation *ev = NULL;
	struct evaluation_options o = {.protocol = p, .seed = 7};
	struct err e = {0};
	if (evaluation_open(&ev, c, &o, NULL, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return ev;
}

static const struct capture *synthetic(int n_prompt, int n_response)
{
	struct synthetic_spec s = synthetic_default();
	s.n_layer = 3, s.n_head = 6, s.n_kv_head = 2, s.n_prompt = n_prompt, s.n_response = n_response;
	const struct capture *c = NULL;
	struct err e = {0};
	if (synthetic_capture(&c, &s, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

/* ---- golden ---- */

/* null stands for a number that is not defined. */
static void check_number(const json_t *want, double got)
{
	if (json_is_number(want))
		CHECK_NEAR(got, json_number_value(want), TOL_GOLDEN);
	else
		CHECK(isnan(got));
}

static void check_budget(const struct evaluation *ev, int m, const json_t *want, int budget)
{
	int k = evaluation_k(ev, budget, NULL);
	struct agreement a = evaluation_agreement(ev, m, everything, k);
	check_number(json_object_get(want, "overlap"), a.overlap);
	check_number(json_object_get(want, "mass"), a.mass);
	check_number(json_object_get(want, "mass_ratio"), a.mass_ratio);
	for (int layer = 0; layer < 3; layer++)
		for (int g = 0; g < 2; g++) {
			a = evaluation_agreement(ev, m, (struct scope){layer, g}, k);
			const size_t l = (size_t)layer, h = (size_t)g;
			check_number(json_array_get(json_array_get(json_object_get(want, "overlap_heads"), l), h), a.overlap);
			check_number(json_array_get(json_array_get(json_object_get(want, "mass_heads"), l), h), a.mass);
			check_number(json_array_get(json_array_get(json_object_get(want, "mass_ratio_heads"), l), h), a.mass_ratio);
		}
}

static void check_setting(const struct capture *c, const json_t *want)
{
	struct protocol p = protocol_default();
	p.select.sink = (int)json_integer_value(json_object_get(want, "sink"));
	p.select.window = (int)json_integer_value(json_object_get(want, "window"));
	p.score.kernel = (int)json_integer_value(json_object_get(want, "kernel"));
	while (p.score.pool < POOL_MAX && strcmp(pool_name(p.score.pool), json_string_value(json_object_get(want, "pool"))))
		p.score.pool++;
	CHECK_STR(pool_name(p.score.pool), json_string_value(json_object_get(want, "pool")));
	struct evaluation *ev = open_with(c, p);
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(want, "methods"), name, value) {
		int m = evaluation_find(ev, name);
		CHECK(m >= 0);
		struct agreement a = evaluation_agreement(ev, m, everything, 1);
		check_number(json_object_get(value, "kl"), a.kl);
		check_number(json_object_get(value, "spearman"), a.spearman);
		check_number(json_object_get(value, "area"), a.area);
		const json_t *kl = json_object_get(value, "kl_heads");
		for (size_t i = 0; json_is_array(kl) && i < 18; i++)
			check_number(json_array_get(json_array_get(kl, i / 6), i % 6),
				evaluation_kl(ev, m, (int)(i / 6), (int)(i % 6)));
		size_t b;
		json_t *budget;
		json_array_foreach(json_object_get(want, "budgets"), b, budget)
			check_budget(ev, m, json_object_get(json_object_get(budget, "methods"), name),
				(int)json_integer_value(json_object_get(budget, "budget")));
	}
	evaluation_close(ev);
}

TEST(evaluation, agrees_with_another_implementation)
{
	struct err e = {0};
	json_error_t je;
	const struct capture *c = NULL;
	json_t *golden = json_load_file(test_tree("tests/golden/compare.json"), 0, &je);
	CHECK_INT(capture_open(&c, test_tree("tests/golden/compare.kvg"), &e), 0);
	CHECK(json_array_size(golden) == 4);
	for (size_t i = 0; c && i < json_array_size(golden); i++)
		check_setting(c, json_array_get(golden, i));
	capture_unref(c);
	json_decref(golden);
}

/* ---- the definition, done slowly ---- */

struct naive {
	double overlap, mass, mass_ratio;
};

static bool before(const float *x, int i, int j)
{
	return x[i] > x[j] || (x[i] == x[j] && i < j);
}

/* Marks the k best by asking of each how many come before it. */
static void naive_best(const float *score, int n, int k, bool *chosen)
{
	for (int i = 0; i < n; i++) {
		int better = 0;
		for (int j = 0; j < n; j++)
			better += before(score, j, i);
		chosen[i] = better < k;
	}
}

static struct naive naive_agreement(const float *p, const float *score, int n, int k)
{
	bool *mine = calloc((size_t)n, sizeof *mine), *ideal = calloc((size_t)n, sizeof *ideal);
	naive_best(score, n, k, mine);
	naive_best(p, n, k, ideal);
	double both = 0, mass = 0, best = 0, all = 0;
	for (int i = 0; i < n; i++) {
		both += mine[i] && ideal[i];
		mass += mine[i] ? (double)p[i] : 0;
		best += ideal[i] ? (double)p[i] : 0;
		all += (double)p[i];
	}
	free(mine);
	free(ideal);
	return (struct naive){both / k, mass / all, mass / best};
}

static void group_mean(const struct capture *c, const char *map, int layer, int g, int first, int n, float *out)
{
	for (int i = 0; i < n; i++) {
		double sum = 0;
		for (int h = 3 * g; h < 3 * g + 3; h++)
			sum += (double)capture_row(c, capture_find(c, map), layer, h)[first + i];
		out[i] = (float)(sum / 3);
	}
}

TEST(evaluation, every_budget_as_sorted_anew)
{
	enum { N = 140, CAND = N - 36 };
	const struct capture *c = synthetic(N, 40);
	struct evaluation *ev = open_with(c, protocol_default());
	int m = evaluation_find(ev, "snapkv"), first;
	CHECK_INT(evaluation_n_candidate(ev, &first), CAND);
	CHECK_INT(first, 4);
	for (int budget = 37; budget <= N + 3; budget++) {
		int k = evaluation_k(ev, budget, NULL);
		CHECK_INT(k, budget - 36 < CAND ? budget - 36 : CAND);
		float p[CAND], score[CAND];
		for (int row = 0; row < 6; row++) {
			group_mean(c, "truth", row / 2, row % 2, 4, CAND, p);
			group_mean(c, "snapkv", row / 2, row % 2, 4, CAND, score);
			struct naive want = naive_agreement(p, score, CAND, k);
			struct agreement got = evaluation_agreement(ev, m, (struct scope){row / 2, row % 2}, k);
			CHECK_NEAR(got.overlap, want.overlap, 1e-12);
			CHECK_NEAR(got.mass, want.mass, TOL_CURVE);
			CHECK_NEAR(got.mass_ratio, want.mass_ratio, 4 * TOL_CURVE);
			CHECK_NEAR(got.hits, want.overlap * k, 1e-9);
		}
	}
	evaluation_close(ev);
	capture_unref(c);
}

TEST(evaluation, positions_survive_and_votes_count_them)
{
	const struct capture *c = synthetic(140, 40);
	struct evaluation *ev = open_with(c, protocol_default());
	uint16_t votes[140];
	for (int m = 0; m < evaluation_n_method(ev); m++)
		for (int budget = 40; budget < 150; budget += 17) {
			int k = evaluation_k(ev, budget, NULL);
			CHECK_INT(evaluation_votes_all(ev, m, everything, k, votes), 6);
			int kept = 0;
			for (int j = 0; j < 140; j++) {
				int survives = 0;
				for (int row = 0; row < 6; row++)
					survives += evaluation_survival(ev, m, row / 2, row % 2, j) <= budget;
				CHECK_INT(votes[j], survives);
				CHECK_INT(evaluation_votes(ev, m, everything, k, j), survives);
				kept += survives;
			}
			CHECK_INT(kept, 6 * (budget < 140 ? budget : 140));
			CHECK_INT(evaluation_votes_all(ev, m, (struct scope){1, -1}, k, votes), 2);
			CHECK_INT(votes[0], 2);
			CHECK_INT(votes[139], 2);
		}
	CHECK_INT(evaluation_rank(ev, 0, 0, 0, 3), -1);
	CHECK_INT(evaluation_rank(ev, 0, 0, 0, 108), -1);
	CHECK_INT(evaluation_survival(ev, 0, 0, 0, 139), 0);
	evaluation_close(ev);
	capture_unref(c);
}

/* ---- controls ---- */

TEST(evaluation, controls_are_what_they_say)
{
	const struct capture *c = synthetic(500, 64);
	struct evaluation *ev = open_with(c, protocol_default());
	int k = evaluation_k(ev, 128, NULL);
	struct agreement oracle = evaluation_agreement(ev, evaluation_find(ev, "oracle"), everything, k);
	CHECK_NEAR(oracle.overlap, 1, 0);
	CHECK_NEAR(oracle.mass_ratio, 1, 0);
	CHECK_NEAR(oracle.kl, 0, 0);
	CHECK_NEAR(oracle.spearman, 1, 1e-12);
	struct agreement random = evaluation_agreement(ev, evaluation_find(ev, "random"), everything, k);
	CHECK_NEAR(random.overlap, 92.0 / 464, 0.06); /* chance, six heads of 92 draws */
	CHECK_NEAR(random.spearman, 0, 0.06);
	CHECK(isnan(random.kl));
	int recency = evaluation_find(ev, "recency");
	for (int j = 4; j < 468; j++)
		CHECK_INT(evaluation_rank(ev, recency, 2, 1, j), 467 - j);
	/* every head draws for itself, and the seed decides */
	int m = evaluation_find(ev, "random");
	CHECK(memcmp(evaluation_order(ev, m, 0, 0), evaluation_order(ev, m, 0, 1), 464 * sizeof(uint32_t)));
	struct evaluation *again = open_with(c, protocol_default()), *other = NULL;
	struct evaluation_options o = {.protocol = protocol_default(), .seed = 8, .n_threads = 1};
	CHECK_INT(evaluation_open(&other, c, &o, NULL, NULL), 0);
	CHECK(!memcmp(evaluation_order(ev, m, 1, 0), evaluation_order(again, m, 1, 0), 464 * sizeof(uint32_t)));
	CHECK(memcmp(evaluation_order(ev, m, 1, 0), evaluation_order(other, m, 1, 0), 464 * sizeof(uint32_t)));
	evaluation_close(ev);
	evaluation_close(again);
	evaluation_close(other);
	capture_unref(c);
}

TEST(evaluation, ceiling_comes_from_odd_against_even)
{
	/* rows 0 .. 4 of one head and layer: truth their mean, even the mean of 0, 2, 4 */
	static const float even[] = {0.30f, 0.20f, 0.10f, 0.05f, 0.0f}, odd[] = {0.10f, 0.30f, 0.08f, 0.05f, 0.20f};
	float truth[5];
	for (int j = 0; j < 5; j++)
		truth[j] = (3 * even[j] + 2 * odd[j]) / 5;
	const struct capture_map map[] = {{"truth", MAP_ROWS, truth, 5, 5, NAN}, {"truth_even", MAP_ROWS, even, 3, 3, NAN}};
	const struct capture parts = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .n_prompt = 5, .n_response = 5,
		.n_map = 2, .map = map};
	const struct capture *c = NULL;
	CHECK_INT(capture_build(&c, &parts, NULL), 0);
	struct protocol p = protocol_default();
	p.select.sink = p.select.window = 0;
	p.score.pool = POOL_MAX; /* truth is never pooled */
	p.score.kernel = 3;
	struct evaluation *ev = open_with(c, p);
	int m = evaluation_find(ev, "ceiling");
	const uint32_t want[] = {1, 4, 0, 2, 3};
	CHECK(!memcmp(evaluation_order(ev, m, 0, 0), want, sizeof want));
	struct agreement a = evaluation_agreement(ev, m, everything, 2);
	CHECK_NEAR(a.overlap, 0.5, 0); /* {1, 4} against even's {0, 1} */
	CHECK_NEAR(a.mass, 0.2 / 0.65, TOL_CURVE);
	CHECK_NEAR(a.mass_ratio, 0.2 / 0.5, 4 * TOL_CURVE);
	evaluation_close(ev);
	capture_unref(c);
}

/* ---- edges ---- */

TEST(evaluation, short_prompts_are_not_defined)
{
	for (int n = 1; n <= 36; n += 7) {
		const struct capture *c = synthetic(n, 40);
		struct evaluation *ev = open_with(c, protocol_default());
		struct err e = {0};
		CHECK_INT(evaluation_n_candidate(ev, NULL), 0);
		CHECK_INT(evaluation_k(ev, 128, &e), 0);
		CHECK_INT(evaluation_k(ev, 36, &e), -1);
		CHECK_INT(e.code, ERR_USE);
		for (int m = 0; m < evaluation_n_method(ev); m++) {
			struct agreement a = evaluation_agreement(ev, m, everything, 0);
			CHECK(isnan(a.overlap) && isnan(a.mass) && isnan(a.mass_ratio) && isnan(a.kl) && isnan(a.spearman)
				&& isnan(a.area));
			CHECK_INT(evaluation_rank(ev, m, 0, 0, 0), -1);
			CHECK_INT(evaluation_votes(ev, m, everything, 0, n - 1), 6);
		}
		CHECK_INT(evaluation_prompt_sinks(ev, 1, (uint8_t[36]){0}), 0);
		struct self_check check[SELF_CHECK_MAX];
		int n_check = evaluation_self_checks(ev, 128, check, SELF_CHECK_MAX);
		for (int i = 0; i < n_check; i++)
			if (!strcmp(check[i].name, "window < prompt"))
				CHECK_INT(check[i].ok, n > 32);
		evaluation_close(ev);
		capture_unref(c);
	}
}

TEST(evaluation, without_a_response_orders_are_still_there)
{
	const struct capture *c = synthetic(100, 0);
	struct evaluation *ev = open_with(c, protocol_default());
	CHECK(!evaluation_has_truth(ev));
	CHECK_INT(evaluation_find(ev, "oracle"), -1);
	CHECK_INT(evaluation_find(ev, "ceiling"), -1);
	int m = evaluation_find(ev, "snapkv");
	CHECK(m >= 0 && !evaluation_mass_curve(ev, m, 0, 0) && !evaluation_hits_curve(ev, m, 0, 0));
	CHECK(isnan(evaluation_agreement(ev, m, everything, 10).overlap));
	CHECK(isnan(evaluation_kl(ev, m, 0, 0)));
	CHECK_INT(evaluation_rank(ev, m, 0, 0, (int)(4 + evaluation_order(ev, m, 0, 0)[5])), 5);
	struct self_check check[SELF_CHECK_MAX];
	CHECK_INT(evaluation_self_checks(ev, 50, check, 2), 2); /* no more than there is room for */
	evaluation_close(ev);
	capture_unref(c);
	c = synthetic(100, 1); /* one row has no odd ones */
	ev = open_with(c, protocol_default());
	CHECK_INT(evaluation_find(ev, "ceiling"), -1);
	CHECK(evaluation_find(ev, "oracle") >= 0);
	evaluation_close(ev);
	capture_unref(c);
}

TEST(evaluation, heads_without_truth_are_left_out)
{
	float truth[2 * 4] = {0.5f, 0, 0, 0, 0.1f, 0.2f, 0.3f, 0.4f};
	float snapkv[2 * 4] = {0.1f, 0.2f, 0.3f, 0.4f, 0.1f, 0.2f, 0.3f, 0.4f};
	const struct capture_map map[] = {{"truth", MAP_ROWS, truth, 40, 40, NAN}, {"snapkv", MAP_ROWS, snapkv, 1, 1, NAN}};
	const struct capture parts = {.n_layer = 2, .n_head = 1, .n_kv_head = 1, .n_prompt = 4, .n_response = 40,
		.n_map = 2, .map = map};
	const struct capture *c = NULL;
	CHECK_INT(capture_build(&c, &parts, NULL), 0);
	struct protocol p = protocol_default();
	p.select.sink = 1;
	p.select.window = 0;
	struct evaluation *ev = open_with(c, p);
	int m = evaluation_find(ev, "snapkv");
	CHECK(isnan(evaluation_agreement(ev, m, (struct scope){0, 0}, 1).mass)); /* the answer reads the sink alone */
	CHECK_NEAR(evaluation_agreement(ev, m, everything, 1).mass, 0.4 / 0.9, TOL_CURVE);
	CHECK_NEAR(evaluation_agreement(ev, m, everything, 1).mass_ratio, 1, 4 * TOL_CURVE);
	evaluation_close(ev);
	capture_unref(c);
}

TEST(evaluation, methods_by_name)
{
	const struct capture *c = synthetic(100, 40);
	const char *const names[] = {"lookahead", "h2o", "snapkv_w64", "lookahead"};
	struct evaluation_options o = {.protocol = protocol_default(), .method = names, .n_method = 4};
	struct evaluation *ev = NULL;
	struct err e = {0};
	CHECK_INT(evaluation_open(&ev, c, &o, NULL, &e), 0);
	CHECK_INT(evaluation_n_method(ev), 3);
	CHECK_INT(evaluation_find(ev, "snapkv_w64"), 2);
	CHECK_INT(evaluation_find(ev, "oracle"), -1);
	CHECK_INT(evaluation_method(ev, 0)->n_rows, 32);
	evaluation_close(ev);
	const char *const lacking[] = {"snapkv_w64"};
	const struct capture *small = synthetic(50, 40);
	o.method = lacking, o.n_method = 1;
	CHECK_INT(evaluation_open(&ev, small, &o, NULL, &e), 0);
	CHECK(!evaluation_method(ev, 0)->available);
	CHECK_STR(evaluation_method(ev, 0)->missing, "snapkv_w64");
	CHECK(isnan(evaluation_agreement(ev, 0, everything, 1).overlap));
	evaluation_close(ev);
	const char *const unknown[] = {"snap"};
	o.method = unknown;
	CHECK_INT(evaluation_open(&ev, small, &o, NULL, &e), ERR_USE);
	CHECK(!ev && strstr(e.text, "\"snap\" is no method"));
	o.method = NULL;
	o.protocol.score.pool = POOL_MAX;
	o.protocol.score.kernel = 4;
	CHECK_INT(evaluation_open(&ev, small, &o, NULL, &e), ERR_USE);
	CHECK(strstr(e.text, "kernel is 4"));
	o.protocol = protocol_default();
	o.protocol.score.value = WEIGHT_L2;
	CHECK_INT(evaluation_open(&ev, small, &o, NULL, &e), ERR_USE);
	CHECK(strstr(e.text, "score.value_l2 is not in this capture"));
	capture_unref(small);
	capture_unref(c);
}

TEST(evaluation, lift_is_one_on_average)
{
	const struct capture *c = synthetic(300, 40);
	struct evaluation *ev = open_with(c, protocol_default());
	float lift[300];
	struct err e = {0};
	const char *const names[] = {"oracle", "snapkv", "h2o"};
	for (int i = 0; i < 3; i++)
		for (int head = -1; head < 6; head++) {
			CHECK_INT(evaluation_lift(ev, evaluation_find(ev, names[i]), 2, head, lift, &e), 0);
			double sum = 0;
			for (int j = 4; j < 268; j++)
				sum += (double)lift[j];
			CHECK_NEAR(sum / 264, 1, 1e-5);
			CHECK(isnan(lift[3]) && isnan(lift[268]));
		}
	CHECK_INT(evaluation_lift(ev, evaluation_find(ev, "recency"), 0, 0, lift, &e), ERR_USE);
	CHECK_INT(evaluation_lift(ev, evaluation_find(ev, "keynorm"), 0, 0, lift, &e), ERR_USE);
	evaluation_close(ev);
	capture_unref(c);
}

TEST(evaluation, in_prompt_sinks)
{
	float truth[4 * 200];
	for (int i = 0; i < 4 * 200; i++)
		truth[i] = 0.001f;
	for (int h = 0; h < 4; h++) {
		truth[h * 200 + 0] = 0.5f;                /* a first token is no in-prompt sink */
		truth[h * 200 + 77] = h < 3 ? 0.1f : 0.0f; /* three heads of four */
		truth[h * 200 + 90] = h < 2 ? 0.1f : 0.0f; /* half is not most */
	}
	const struct capture_map map[] = {{"truth", MAP_ROWS, truth, 40, 40, NAN}};
	const struct capture parts = {.n_layer = 1, .n_head = 4, .n_kv_head = 2, .n_prompt = 200, .n_response = 40,
		.n_map = 1, .map = map};
	const struct capture *c = NULL;
	CHECK_INT(capture_build(&c, &parts, NULL), 0);
	struct evaluation *ev = open_with(c, protocol_default());
	uint8_t sink[200];
	CHECK_INT(evaluation_prompt_sinks(ev, 0, sink), 1);
	CHECK(sink[77] && !sink[90] && !sink[0]);
	evaluation_close(ev);
	capture_unref(c);
}

TEST(evaluation, self_checks_fail_when_they_should)
{
	float truth[100], wrong[100];
	for (int j = 0; j < 100; j++) {
		truth[j] = (float)j / 5000;
		wrong[j] = (float)(100 - j) / 4000; /* turned over, and more than there can be */
	}
	const struct capture_map map[] = {{"truth", MAP_ROWS, truth, 8, 8, 0.01}, {"mine", MAP_ROWS, wrong, 0, 0, NAN}};
	const struct capture parts = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .n_prompt = 100, .n_response = 8,
		.n_map = 2, .map = map};
	const struct capture *c = NULL;
	CHECK_INT(capture_build(&c, &parts, NULL), 0);
	struct evaluation *ev = open_with(c, protocol_default());
	struct self_check check[SELF_CHECK_MAX];
	int n = evaluation_self_checks(ev, 50, check, SELF_CHECK_MAX), bad = 0;
	for (int i = 0; i < n; i++) {
		bool fails = strcmp(check[i].name, "kept = budget") && strcmp(check[i].name, "window < prompt");
		CHECK_INT(check[i].known, 1);
		CHECK_INT(check[i].ok, !fails);
		bad += fails;
	}
	CHECK_INT(bad, 4);
	evaluation_close(ev);
	capture_unref(c);
}

static int stop_at(void *user, const char *stage, int64_t done, int64_t total)
{
	int *last = user;
	CHECK_STR(stage, "evaluate");
	CHECK(done >= 0 && done <= total);
	return done >= *last;
}

TEST(evaluation, can_be_stopped)
{
	const struct capture *c = synthetic(100, 40);
	struct evaluation *ev = NULL;
	for (int last = 1; last <= 3; last++) {
		struct progress p = {stop_at, &last};
		struct err e = {0};
		struct evaluation_options o = {.protocol = protocol_default(), .n_threads = last};
		CHECK_INT(evaluation_open(&ev, c, &o, &p, &e), ERR_CANCELLED);
		CHECK(!ev && e.code == ERR_CANCELLED);
	}
	int never = 99;
	struct progress p = {stop_at, &never};
	struct evaluation_options o = {.protocol = protocol_default()};
	CHECK_INT(evaluation_open(&ev, c, &o, &p, NULL), 0);
	evaluation_close(ev);
	capture_unref(c);
}

TEST(evaluation, threads_do_not_change_numbers)
{
	const struct capture *c = synthetic(200, 40);
	struct evaluation *one = NULL, *many = NULL;
	struct evaluation_options o = {.protocol = protocol_default(), .n_threads = 1};
	CHECK_INT(evaluation_open(&one, c, &o, NULL, NULL), 0);
	o.n_threads = 3;
	CHECK_INT(evaluation_open(&many, c, &o, NULL, NULL), 0);
	for (int m = 0; m < evaluation_n_method(one); m++) {
		struct agreement a = evaluation_agreement(one, m, everything, 50);
		struct agreement b = evaluation_agreement(many, m, everything, 50);
		CHECK(!memcmp(&a, &b, sizeof a));
	}
	evaluation_close(one);
	evaluation_close(many);
	capture_unref(c);
}

static void *ask_a_lot(void *user)
{
	const struct evaluation *ev = user;
	double sum = 0;
	for (int k = 1; k < 60; k++)
		for (int m = 0; m < evaluation_n_method(ev); m++)
			sum += evaluation_agreement(ev, m, everything, k).mass;
	return sum > 0 ? user : NULL;
}

/* The screen reads one evaluation while its worker builds the next. TSan judges. */
TEST(evaluation, read_while_another_is_built)
{
	const struct capture *c = synthetic(200, 40);
	struct evaluation *ev = open_with(c, protocol_default());
	pthread_t reader[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&reader[i], NULL, ask_a_lot, ev);
	struct evaluation *next = open_with(c, protocol_default());
	for (int i = 0; i < 2; i++) {
		void *result;
		pthread_join(reader[i], &result);
		CHECK(result == ev);
	}
	evaluation_close(next);
	evaluation_close(ev);
	capture_unref(c);
}
