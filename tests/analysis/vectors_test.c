/* Methods on a fixture in closed form: ten prompt tokens, two response rows, two query heads on one KV head, no RoPE. Expected values
 * were computed in float64 by other code (NumPy) and have six decimals. */
#include "analysis/evaluation.h"
#include "analysis/ranking.h"
#include "analysis/scoring.h"
#include "analysis/selection.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <string.h>

enum { N = 10, M = 2, H = 2 };

static double attention[H][N + M][N + M]; /* (head, row, key) */

static void fill_attention(void)
{
	for (int h = 0; h < H; h++)
		for (int i = 0; i < N + M; i++) {
			double sum = 0;
			for (int j = 0; j <= i; j++) {
				double dot = 0;
				for (int c = 0; c < 4; c++)
					dot += 2 * cos(0.5 * i + 0.8 * c + 0.6 * h) * sin(1.1 * j + 0.7 * c);
				attention[h][i][j] = exp(dot / sqrt(4));
				sum += attention[h][i][j];
			}
			for (int j = 0; j <= i; j++)
				attention[h][i][j] /= sum;
		}
}

static void mean_rows(int first, int count, float *out)
{
	for (int h = 0; h < H; h++)
		for (int j = 0; j < N; j++) {
			double sum = 0;
			for (int i = first; i < first + count; i++)
				sum += attention[h][i][j];
			out[h * N + j] = (float)(sum / count);
		}
}

/* Maps of the fixture; swapped: truth with its heads exchanged, uniform: 1 / 10 everywhere. */
static const struct capture *fixture(void)
{
	static float truth[H * N], even[H * N], snapkv[H * N], h2o[H * N], tova[H * N], swapped[H * N], uniform[H * N], norm[N];
	fill_attention();
	mean_rows(N, 2, truth);
	mean_rows(N, 1, even);
	mean_rows(N - 3, 3, snapkv);
	mean_rows(0, N, h2o);
	mean_rows(N - 1, 1, tova);
	for (int j = 0; j < N; j++) {
		double sum = 0;
		for (int c = 0; c < 4; c++)
			sum += pow(sin(1.1 * j + 0.7 * c), 2);
		norm[j] = (float)-sqrt(sum);
		swapped[j] = truth[N + j];
		swapped[N + j] = truth[j];
		uniform[j] = uniform[N + j] = 0.1f;
	}
	const struct capture_map map[] = {
		{"truth", MAP_ROWS, truth, 2, 2, NAN},
		{"truth_even", MAP_ROWS, even, 1, 1, NAN},
		{"snapkv", MAP_ROWS, snapkv, 3, 3, NAN},
		{"h2o", MAP_ROWS, h2o, N, N, NAN},
		{"tova", MAP_ROWS, tova, 1, 1, NAN},
		{"swapped", MAP_ROWS, swapped, 0, 0, NAN},
		{"uniform", MAP_ROWS, uniform, 0, 0, NAN},
		{"keynorm", MAP_SCORE, norm, 0, 0, NAN},
	};
	const struct capture parts = {.n_layer = 1, .n_head = H, .n_kv_head = 1, .head_dim = 4, .n_prompt = N,
		.n_response = M, .window = 3, .n_map = sizeof map / sizeof *map, .map = map, .complete = true};
	const struct capture *c = NULL;
	struct err e = {0};
	if (capture_build(&c, &parts, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

/* Scores of a unit, times the number of rows where the expected values are sums. */
static void check_scores(const char *map, struct scoring how, int window, int unit, double scale, const double *want, int n)
{
	const struct capture *c = fixture();
	struct score_job job = {.capture = c, .map = capture_find(c, map), .how = how, .window = window,
		.shared = !strcmp(map, "tova")};
	double scratch[3 * N];
	float out[N];
	CHECK_INT(scoring_prepare(&job, NULL), 0);
	scoring_unit(&job, 0, unit, scratch, out);
	for (int j = 0; j < n; j++)
		CHECK_NEAR(scale * (double)out[j], want[j], TOL_VECTOR);
	for (int j = n; j < N; j++)
		CHECK_NEAR(out[j], 0, 0);
	capture_unref(c);
}

/* The k best of n scores, in ascending order of position. */
static void check_best(const double *score, int n, int k, const int *want)
{
	float x[N];
	uint32_t order[N], rank[N];
	for (int j = 0; j < n; j++)
		x[j] = (float)score[j];
	ranking_sort(x, n, order, rank);
	for (int i = 0; i < k; i++)
		CHECK(rank[want[i]] < (uint32_t)k);
}

static const struct scoring heads_alone = {.group = REDUCE_NONE, .cut_window = true, .kernel = 3};
static const struct scoring group_mean = {.group = REDUCE_MEAN, .cut_window = true, .kernel = 3};

TEST(vectors, snapkv_row_sums)
{
	const double h0[] = {0.770129, 0.174113, 0.031811, 0.052647, 0.344338, 0.931914, 0.575106};
	const double h1[] = {0.842478, 0.394397, 0.054142, 0.020486, 0.088197, 0.530081, 0.803195};
	check_scores("snapkv", heads_alone, 3, 0, 3, h0, 7);
	check_scores("snapkv", heads_alone, 3, 1, 3, h1, 7);
}

TEST(vectors, snapkv_pooled)
{
	const double avg0[] = {0.314747, 0.325351, 0.086190, 0.142932, 0.442966, 0.617119, 0.502340};
	const double max0[] = {0.770129, 0.770129, 0.174113, 0.344338, 0.931914, 0.931914, 0.931914};
	const double avg1[] = {0.412292, 0.430339, 0.156342, 0.054275, 0.212921, 0.473824, 0.444425};
	const double max1[] = {0.842478, 0.842478, 0.394397, 0.088197, 0.530081, 0.803195, 0.803195};
	struct scoring avg = heads_alone, max = heads_alone;
	avg.pool = POOL_AVG;
	max.pool = POOL_MAX;
	check_scores("snapkv", avg, 3, 0, 3, avg0, 7);
	check_scores("snapkv", max, 3, 0, 3, max0, 7);
	check_scores("snapkv", avg, 3, 1, 3, avg1, 7);
	check_scores("snapkv", max, 3, 1, 3, max1, 7);
	check_best(avg0, 7, 3, (const int[]){4, 5, 6});
	check_best(max0, 7, 3, (const int[]){4, 5, 6});
	check_best(avg1, 7, 3, (const int[]){1, 5, 6});
	check_best(max1, 7, 3, (const int[]){0, 1, 5}); /* 5 and 6 tie: the lower position */
}

TEST(vectors, kv_head_variants)
{
	const double kvpress[] = {0.121173, 0.125948, 0.040422, 0.032868, 0.109315, 0.181824, 0.157794};
	const double mean_max[] = {0.806304, 0.806304, 0.284255, 0.216268, 0.730997, 0.730997, 0.730997};
	const double max_mean[] = {0.806304, 0.806304, 0.284255, 0.216268, 0.730997, 0.867554, 0.867554};
	const double max_avg[] = {0.412292, 0.430339, 0.167062, 0.150376, 0.442966, 0.693149, 0.578370};
	struct scoring s = group_mean;
	s.pool = POOL_AVG;
	s.pool_before_group = true;
	check_scores("snapkv", s, 3, 0, 1, kvpress, 7);
	check_best(kvpress, 7, 3, (const int[]){1, 5, 6});
	s.pool_before_group = false; /* the same for averages */
	check_scores("snapkv", s, 3, 0, 1, kvpress, 7);
	s.pool = POOL_MAX;
	check_scores("snapkv", s, 3, 0, 3, mean_max, 7);
	check_best(mean_max, 7, 3, (const int[]){0, 1, 4});
	s.pool_before_group = true;
	check_scores("snapkv", s, 3, 0, 3, max_mean, 7);
	check_best(max_mean, 7, 3, (const int[]){0, 5, 6});
	s = group_mean;
	s.group = REDUCE_MAX;
	s.pool = POOL_AVG;
	check_scores("snapkv", s, 3, 0, 3, max_avg, 7);
	s.group = REDUCE_SUM; /* rank-equivalent to the mean */
	double sum[7];
	for (int j = 0; j < 7; j++)
		sum[j] = 2 * kvpress[j];
	check_scores("snapkv", s, 3, 0, 1, sum, 7);
}

TEST(vectors, tova_h2o_observed)
{
	const double tova[] = {0.272347, 0.160460, 0.021551, 0.005510, 0.015465, 0.121787, 0.286610, 0.098383, 0.012075,
		0.005813};
	const double h2o0[] = {2.039730, 1.247759, 1.255640, 1.653420, 1.740696, 1.329717, 0.613097, 0.097260, 0.015687,
		0.006995};
	const double h2o1[] = {2.418963, 1.387512, 1.088615, 1.243334, 1.396638, 1.279876, 0.918039, 0.237600, 0.024793,
		0.004630};
	const double observed[] = {0.222935, 0.146404, 0.146516, 0.206911, 0.261444, 0.260959, 0.191392, 0.055810,
		0.010120, 0.005813};
	check_scores("tova", group_mean, 0, 0, 1, tova, N);
	check_scores("tova", heads_alone, 0, 1, 1, tova, N); /* one set for all heads, whoever chooses */
	check_best(tova, N, 6, (const int[]){0, 1, 2, 5, 6, 7});
	check_scores("h2o", heads_alone, 0, 0, 10, h2o0, N);
	check_scores("h2o", heads_alone, 0, 1, 10, h2o1, N);
	check_best(h2o0, 7, 3, (const int[]){0, 3, 4});
	check_best(h2o1, 7, 3, (const int[]){0, 1, 4});
	struct scoring s = group_mean;
	s.per_visible_rows = true;
	check_scores("h2o", s, 0, 0, 1, observed, N);
}

TEST(vectors, key_norms)
{
	const double norm[] = {-1.459883, -1.450588, -1.321397, -1.481433, -1.422959, -1.332724, -1.496215, -1.393896,
		-1.352218, -1.502969};
	struct scoring s = group_mean;
	s.pool = POOL_AVG; /* a score map is never pooled */
	check_scores("keynorm", s, 0, 0, 1, norm, N);
	check_scores("keynorm", heads_alone, 0, 1, 1, norm, N);
	check_best(norm, N, 6, (const int[]){1, 2, 4, 5, 7, 8});
}

TEST(vectors, truth_and_kl)
{
	const double raw0[] = {0.185361, 0.229835, 0.043257, 0.006363, 0.006965, 0.051288, 0.245340, 0.165862, 0.022851,
		0.004997};
	const double raw1[] = {0.080263, 0.261959, 0.124815, 0.017184, 0.005584, 0.017972, 0.134081, 0.257689, 0.074499,
		0.010240};
	const double shares[] = {0.136469, 0.252668, 0.086350, 0.012098, 0.006447, 0.035583, 0.194935, 0.217607,
		0.050015, 0.007828};
	const struct capture *c = fixture();
	struct evaluation *ev = NULL;
	struct evaluation_options o = {.protocol = protocol_default(), .n_threads = 1};
	o.protocol.select.sink = o.protocol.select.window = 0;
	CHECK_INT(evaluation_open(&ev, c, &o, NULL, NULL), 0);
	check_scores("truth", heads_alone, 0, 0, 1, raw0, N);
	check_scores("truth", heads_alone, 0, 1, 1, raw1, N);
	int oracle = evaluation_find(ev, "oracle");
	const float *mass = evaluation_mass_curve(ev, oracle, 0, 0);
	const uint32_t *order = evaluation_order(ev, oracle, 0, 0);
	for (int k = 0; k < N; k++)
		CHECK_NEAR((double)mass[k + 1] - (double)mass[k], shares[order[k]], TOL_VECTOR);
	check_best(shares, N, 6, (const int[]){0, 1, 2, 6, 7, 8});
	CHECK_NEAR(evaluation_kl(ev, evaluation_find(ev, "uniform"), 0, 0), 0.510998, TOL_VECTOR);
	CHECK_NEAR(evaluation_kl(ev, evaluation_find(ev, "swapped"), 0, 0), 0.202391, TOL_VECTOR);
	CHECK_NEAR(evaluation_kl(ev, oracle, 0, 0), 0, 0);
	CHECK(isnan(evaluation_kl(ev, evaluation_find(ev, "keynorm"), 0, 0)));
	CHECK(isnan(evaluation_kl(ev, evaluation_find(ev, "random"), 0, 0)));
	evaluation_close(ev);
	capture_unref(c);
}

TEST(vectors, pyramid_capacities)
{
	const struct {
		int budget, window, n, layers, first, step, last;
	} integer[] = {{128, 8, 1000, 32, 234, 7, 17}, {64, 8, 1000, 16, 110, 7, 5}, {512, 32, 700, 32, 480, 0, 480},
		{512, 32, 970, 32, 936, 29, 37}};
	int total = 0;
	for (size_t i = 0; i < sizeof integer / sizeof *integer; i++) {
		struct selection s = {.window = integer[i].window, .window_in_budget = true, .layer = LAYER_PYRAMID_INT,
			.pyramid_beta = 20};
		for (int l = 0; l < integer[i].layers; l++) {
			int k = selection_layer_k(&s, integer[i].n, integer[i].layers, l, integer[i].budget);
			CHECK_INT(k, integer[i].first - l * integer[i].step);
			total += i == 0 ? k : 0;
		}
		CHECK_INT(selection_layer_k(&s, integer[i].n, integer[i].layers, integer[i].layers - 1, integer[i].budget),
			integer[i].last);
	}
	CHECK_INT(total, 4016);
	/* kvpress: capacities with the window inside, budgets n (1 - r) */
	struct selection s = {.window = 64, .window_in_budget = true, .layer = LAYER_PYRAMID_FLOAT, .pyramid_beta = 20};
	const int want[][2] = {{0, 3994}, {1, 3868}, {2, 3743}, {29, 353}, {30, 228}, {31, 102}};
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		CHECK_INT(selection_layer_k(&s, 4096, 32, want[i][0], 2048) + 64, want[i][1]);
	total = 0;
	for (int l = 0; l < 32; l++) {
		total += selection_layer_k(&s, 4096, 32, l, 2048) + 64;
		CHECK_INT(selection_layer_k(&s, 4096, 32, l, 1024) + 64, 1024);
		CHECK_INT(selection_layer_k(&s, 1024, 32, l, 102) + 64, 102);
	}
	CHECK_NEAR(total / 32.0, 2048, 0.5);
}

TEST(vectors, ada_capacities)
{
	static const float a[] = {.50f, .20f, .10f, .05f, .05f, .04f, .03f, .03f};
	static const float b[] = {.13f, .13f, .13f, .13f, .12f, .12f, .12f, .12f};
	static const float c[] = {.90f, .04f, .02f, .01f, .01f, .01f, .005f, .005f};
	const float *const unit[] = {a, b, c};
	double weight[3];
	struct sorted_scores scores = {unit, 3, 8, weight};
	const struct {
		double floor;
		bool normalize;
		int want[3];
	} blend[] = {{0, false, {3, 8, 1}}, {0.2, false, {2, 6, 1}}, {0.5, false, {4, 6, 2}}};
	int k[3];
	for (size_t i = 0; i < sizeof blend / sizeof *blend; i++) {
		struct selection s = {.head = HEAD_ADA_BLEND, .ada_floor = blend[i].floor, .ada_normalize = blend[i].normalize};
		selection_share(&s, &scores, 4, 0, k);
		for (int u = 0; u < 3; u++)
			CHECK_INT(k[u], blend[i].want[u]);
	}
}
