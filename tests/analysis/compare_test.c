/* Comparisons: means, intervals, warnings; single numbers are checked in evaluation_test.c. */
#include "analysis/compare.h"
#include "analysis/compare/bootstrap.h"
#include "analysis/synthetic.h"
#include "engine/random.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <string.h>

static const struct capture *synthetic(int n_prompt, int n_response, uint64_t seed)
{
	struct synthetic_spec s = synthetic_default();
	s.n_layer = 3, s.n_head = 6, s.n_kv_head = 2, s.n_prompt = n_prompt, s.n_response = n_response, s.seed = seed;
	const struct capture *c = NULL;
	struct err e = {0};
	if (synthetic_capture(&c, &s, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

static struct compare_options usual(void)
{
	return (struct compare_options){.eval = {.protocol = protocol_default(), .seed = 3}};
}

static struct comparison *compare(const struct capture *const *c, int n, const struct compare_options *o)
{
	struct comparison *cmp = NULL;
	struct err e = {0};
	if (compare_captures(&cmp, c, NULL, n, o, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return cmp;
}

static int method_at(const struct comparison *cmp, const char *name)
{
	for (int m = 0; m < cmp->n_method; m++)
		if (!strcmp(cmp->method[m]->name, name))
			return m;
	test_fail(__FILE__, __LINE__, "%s is not compared", name);
	return 0;
}

TEST(compare, one_capture_is_its_evaluation)
{
	const struct capture *c = synthetic(300, 40, 1);
	struct compare_options o = usual();
	o.per_head = true;
	struct comparison *cmp = compare(&c, 1, &o);
	CHECK_INT(cmp->n_budget, 3);
	CHECK_INT(cmp->budget[2], 256);
	CHECK_INT(cmp->n_unit, 2);
	CHECK_INT(cmp->n_warning, 0);
	struct evaluation *ev;
	CHECK_INT(evaluation_open(&ev, c, &o.eval, NULL, NULL), 0);
	for (int i = 0; i < evaluation_n_method(ev); i++) {
		int m = method_at(cmp, evaluation_method(ev, i)->method->name);
		for (int b = 0; b < 3; b++) {
			const struct compare_cell *cell = &cmp->cell[b * cmp->n_method + m];
			struct agreement a = evaluation_agreement(ev, i, (struct scope){-1, -1}, cmp->budget[b] - 36);
			CHECK(cell->defined);
			CHECK_NEAR(cell->overlap.mean, a.overlap, 0);
			CHECK_NEAR(cell->mass.mean, a.mass, 0);
			CHECK_NEAR(cell->mass_ratio.mean, a.mass_ratio, 0);
			CHECK(isnan(cell->overlap.low) && isnan(cell->overlap.high));
			a = evaluation_agreement(ev, i, (struct scope){1, 1}, cmp->budget[b] - 36);
			CHECK_NEAR(cell->overlap_head[3], a.overlap, TOL_CURVE);
			CHECK_NEAR(cell->mass_head[3], a.mass, TOL_CURVE);
			CHECK_NEAR(cell->mass_ratio_head[3], a.mass_ratio, TOL_CURVE);
		}
		double kl = evaluation_kl(ev, i, 2, 5);
		CHECK(isnan(kl) ? isnan(cmp->kl_head[m][17]) : fabs((double)cmp->kl_head[m][17] - kl) <= 1e-6 * (1 + kl));
		CHECK_NEAR(cmp->prompt[0].area[m], cmp->area[m].mean, 0);
	}
	evaluation_close(ev);
	comparison_free(cmp);
	capture_unref(c);
}

TEST(compare, methods_come_in_display_order)
{
	/* the first has no snapkv_w64, both serve the rest */
	const struct capture *c[2] = {synthetic(50, 40, 1), synthetic(100, 40, 2)};
	struct compare_options o = usual();
	struct comparison *cmp = compare(c, 2, &o);
	const char *const want[] = {"oracle", "snapkv", "lookahead", "untrained", "random", "recency", "keynorm", "h2o",
		"observed", "tova", "ceiling"};
	CHECK_INT(cmp->n_method, sizeof want / sizeof *want);
	for (int m = 0; m < cmp->n_method; m++)
		CHECK_STR(cmp->method[m]->name, want[m]);
	comparison_free(cmp);
	const char *const named[] = {"ceiling", "snapkv_w64", "snapkv"};
	o.eval.method = named, o.eval.n_method = 3;
	const int budget = 48;
	o.budget = &budget, o.n_budget = 1;
	cmp = compare(c, 2, &o);
	for (int m = 0; m < 3; m++)
		CHECK_STR(cmp->method[m]->name, named[m]);
	CHECK(isnan(cmp->prompt[0].overlap[1]) && !isnan(cmp->prompt[1].overlap[1]));
	CHECK_NEAR(cmp->cell[1].overlap.mean, cmp->prompt[1].overlap[1], 0);
	CHECK(strstr(cmp->warning[0], "capture 1: SnapKV w64 cannot be had, the capture has no map snapkv_w64"));
	comparison_free(cmp);
	capture_unref(c[0]);
	capture_unref(c[1]);
}

TEST(compare, prompts_are_averaged)
{
	const struct capture *c[5];
	for (int i = 0; i < 5; i++)
		c[i] = synthetic(200 + 40 * i, 40, (uint64_t)i);
	struct compare_options o = usual();
	o.per_head = true;
	struct comparison *cmp = compare(c, 5, &o);
	CHECK_INT(cmp->n_budget, 2); /* below the shortest prompt */
	int m = method_at(cmp, "snapkv");
	double sum = 0, least = 2, most = -1, head = 0;
	for (int i = 0; i < 5; i++) {
		double x = cmp->prompt[i].overlap[cmp->n_method + m];
		sum += x;
		least = fmin(least, x);
		most = fmax(most, x);
		struct comparison *one = compare(&c[i], 1, &o);
		CHECK_NEAR(one->cell[one->n_method + m].overlap.mean, x, 0);
		head += (double)one->cell[one->n_method + m].overlap_head[4];
		comparison_free(one);
	}
	const struct compare_cell *cell = &cmp->cell[cmp->n_method + m];
	CHECK_NEAR(cell->overlap.mean, sum / 5, 1e-12);
	CHECK(cell->overlap.low >= least && cell->overlap.low < cell->overlap.mean);
	CHECK(cell->overlap.high <= most && cell->overlap.high > cell->overlap.mean);
	CHECK_NEAR(cell->overlap_head[4], head / 5, 4 * TOL_CURVE);
	struct comparison *again = compare(c, 5, &o);
	CHECK(!memcmp(&again->cell[cmp->n_method + m].overlap, &cell->overlap, sizeof cell->overlap)); /* seeded */
	comparison_free(again);
	comparison_free(cmp);
	for (int i = 0; i < 5; i++)
		capture_unref(c[i]);
}

/* For many values of a normal law the interval is the mean -+ 1.96 standard errors. */
TEST(compare, bootstrap_interval)
{
	enum { N = 400 };
	double value[N], scratch[BOOTSTRAP_ROUNDS], sum = 0, square = 0;
	struct rng r;
	rng_seed(&r, 11);
	for (int i = 0; i < N; i++) {
		value[i] = i % 8 == 7 ? NAN : rng_normal(&r);
		if (!isnan(value[i])) {
			sum += value[i];
			square += value[i] * value[i];
		}
	}
	int n = N - N / 8;
	double mean = sum / n, error = sqrt((square / n - mean * mean) / n);
	struct interval x = bootstrap_mean(value, N, 1, scratch);
	CHECK_NEAR(x.mean, mean, 1e-12);
	CHECK_NEAR(x.low, mean - 1.96 * error, 0.15 * error);
	CHECK_NEAR(x.high, mean + 1.96 * error, 0.15 * error);
	double same[] = {0.5, NAN, 0.5, 0.5};
	x = bootstrap_mean(same, 4, 1, scratch);
	CHECK(x.mean == 0.5 && x.low == 0.5 && x.high == 0.5);
	double one[] = {NAN, 0.25};
	x = bootstrap_mean(one, 2, 1, scratch);
	CHECK(x.mean == 0.25 && isnan(x.low) && isnan(x.high));
	double none[] = {NAN};
	CHECK(isnan(bootstrap_mean(none, 1, 1, scratch).mean));
}

static bool warned(const struct comparison *cmp, const char *text)
{
	for (int i = 0; i < cmp->n_warning; i++)
		if (strstr(cmp->warning[i], text))
			return true;
	return false;
}

TEST(compare, what_is_not_defined_is_said)
{
	const int budget = 64;
	struct compare_options o = usual();
	o.budget = &budget, o.n_budget = 1;
	const struct capture *c = synthetic(300, 0, 1);
	struct comparison *cmp = compare(&c, 1, &o);
	CHECK(warned(cmp, "capture 1: no response"));
	for (int m = 0; m < cmp->n_method; m++)
		CHECK(!cmp->cell[m].defined && isnan(cmp->cell[m].mass.mean) && isnan(cmp->kl[m].mean));
	comparison_free(cmp);
	capture_unref(c);
	c = synthetic(36, 40, 1);
	cmp = compare(&c, 1, &o);
	CHECK(warned(cmp, "all 36 prompt tokens lie within the first 4 and the last 32"));
	for (int m = 0; m < cmp->n_method; m++)
		CHECK(!cmp->cell[m].defined && isnan(cmp->cell[m].overlap.mean) && isnan(cmp->kl[m].mean)
			&& isnan(cmp->area[m].mean));
	comparison_free(cmp);
	o.budget = NULL;
	cmp = compare(&c, 1, &o); /* no usual budget lies below 36 */
	CHECK_INT(cmp->n_budget, 0);
	comparison_free(cmp);
	capture_unref(c);
	c = synthetic(300, 18, 1);
	cmp = compare(&c, 1, &o);
	CHECK(warned(cmp, "truth from 18 response tokens"));
	CHECK(cmp->cell[0].defined);
	comparison_free(cmp);
	capture_unref(c);
}

TEST(compare, warnings_beyond_the_last_are_counted)
{
	const struct capture *c[12];
	for (int i = 0; i < 12; i++)
		c[i] = synthetic(100, 5, (uint64_t)i);
	struct compare_options o = usual();
	struct comparison *cmp = compare(c, 12, &o);
	CHECK_INT(cmp->n_warning, 8);
	CHECK(strstr(cmp->warning[6], "capture 7"));
	CHECK_STR(cmp->warning[7], "5 more warnings");
	comparison_free(cmp);
	for (int i = 0; i < 12; i++)
		capture_unref(c[i]);
}

TEST(compare, refuses_what_cannot_be_compared)
{
	struct synthetic_spec s = synthetic_default();
	s.n_layer = 2, s.n_head = 2, s.n_kv_head = 2, s.n_prompt = 100;
	const struct capture *c[2] = {synthetic(100, 40, 1), NULL};
	CHECK_INT(synthetic_capture(&c[1], &s, NULL), 0);
	struct compare_options o = usual();
	struct comparison *cmp = compare(c, 2, &o); /* other shapes may be averaged */
	comparison_free(cmp);
	struct err e = {0};
	o.per_head = true;
	CHECK_INT(compare_captures(&cmp, c, NULL, 2, &o, &e), ERR_USE);
	CHECK(!cmp && strstr(e.text, "one shape"));
	const int budget[] = {128, 36};
	o = usual();
	o.budget = budget, o.n_budget = 2;
	CHECK_INT(compare_captures(&cmp, c, NULL, 2, &o, &e), ERR_USE);
	CHECK(!cmp && strstr(e.text, "a budget of 36"));
	CHECK_INT(compare_captures(&cmp, c, NULL, 0, &o, &e), ERR_USE);
	capture_unref(c[0]);
	capture_unref(c[1]);
}

/* A preset brings its own rules and is judged beside the others; uneven budgets keep their total. */
TEST(compare, presets)
{
	const struct capture *c = synthetic(400, 40, 1);
	const char *const name[] = {"snapkv-kvpress", "pyramidkv", "adakv", "adakv-kvpress", "streamingllm", "lookaheadkv"};
	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		struct compare_options o = usual();
		o.eval.preset = preset_find(name[i]);
		struct comparison *cmp = compare(&c, 1, &o);
		int m = method_at(cmp, name[i]);
		CHECK(cmp->cell[cmp->n_method + m].defined);
		CHECK_INT(cmp->protocol.select.window, o.eval.preset->protocol.select.window);
		CHECK_NEAR(cmp->cell[cmp->n_method].overlap.mean, 1, 0); /* the oracle */
		comparison_free(cmp);
	}
	struct compare_options o = usual();
	o.eval.preset = preset_find("adakv-kvpress");
	struct evaluation *ev;
	CHECK_INT(evaluation_open(&ev, c, &o.eval, NULL, NULL), 0);
	int k[6];
	CHECK_INT(evaluation_allocate(ev, evaluation_find(ev, "adakv-kvpress"), 128, k, NULL), 0);
	for (int layer = 0; layer < 3; layer++)
		CHECK_INT(k[2 * layer] + k[2 * layer + 1], 2 * (128 - 64));
	evaluation_close(ev);
	capture_unref(c);
}

TEST(compare, regions_are_means_over_prompts)
{
	const struct capture *c[] = {synthetic(300, 40, 1), synthetic(200, 40, 2)};
	struct compare_options o = usual();
	struct comparison *plain = compare(c, 2, &o);
	CHECK(!plain->region);
	comparison_free(plain);
	o.regions = true;
	struct comparison *cmp = compare(c, 2, &o);
	int m = method_at(cmp, "snapkv");
	struct region_numbers number[2][REGION_SPAN];
	for (int i = 0; i < 2; i++) {
		struct evaluation *ev;
		struct regions *r;
		int k[3 * 2];
		CHECK_INT(evaluation_open(&ev, c[i], &o.eval, NULL, NULL), 0);
		CHECK_INT(regions_open(&r, ev, NULL, 0, NULL), 0);
		int method = evaluation_find(ev, "snapkv");
		CHECK_INT(evaluation_allocate(ev, method, cmp->budget[1], k, NULL), 0);
		regions_numbers(r, method, (struct scope){-1, -1}, k, number[i]);
		regions_close(r);
		evaluation_close(ev);
	}
	for (int i = 0; i < REGION_SPAN; i++) {
		const struct region_numbers *got = &cmp->region[(1 * cmp->n_method + m) * REGION_SPAN + i];
		CHECK_NEAR(got->kept, (number[0][i].kept + number[1][i].kept) / 2, TOL_F64_SUM * 100);
		CHECK_NEAR(got->truth, (number[0][i].truth + number[1][i].truth) / 2, TOL_F64_SUM);
	}
	comparison_free(cmp);
	capture_unref(c[0]);
	capture_unref(c[1]);
}
