/* Ranking against the definition, done slowly: sort by comparison, count by looking. */
#include "analysis/ranking.h"
#include "engine/random.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <stdlib.h>
#include <string.h>

static const float *compared;

static int best_first(const void *a, const void *b)
{
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	float x = compared[i], y = compared[j];
	if (isnan(x) != isnan(y))
		return isnan(x) ? 1 : -1;
	if (!isnan(x) && x != y)
		return x > y ? -1 : 1;
	return i < j ? -1 : i > j;
}

static void check_sorted(const float *score, int n)
{
	uint32_t *order = malloc((size_t)(n + 1) * sizeof *order), *rank = malloc((size_t)(n + 1) * sizeof *rank);
	uint32_t *want = malloc((size_t)(n + 1) * sizeof *want);
	order[n] = rank[n] = 0xdeadbeef;
	ranking_sort(score, n, order, rank);
	for (int i = 0; i < n; i++)
		want[i] = (uint32_t)i;
	compared = score;
	qsort(want, (size_t)n, sizeof *want, best_first);
	CHECK(!memcmp(order, want, (size_t)n * sizeof *order));
	for (int i = 0; i < n; i++)
		CHECK_INT(rank[order[i]], i);
	CHECK(order[n] == 0xdeadbeef && rank[n] == 0xdeadbeef);
	free(order);
	free(rank);
	free(want);
}

TEST(ranking, sorts_every_kind_of_number)
{
	float odd[] = {0.0f, -0.0f, 1, -1, INFINITY, -INFINITY, NAN, -NAN, 1e-45f, -1e-45f, 3.4e38f, -3.4e38f, 1, 0.0f,
		NAN, 1.0000001f};
	check_sorted(odd, sizeof odd / sizeof *odd);
	check_sorted(odd, 1);
	check_sorted(odd, 0);
	struct rng r;
	rng_seed(&r, test_seed());
	enum { N = 5000 };
	float *x = malloc(N * sizeof *x);
	for (int i = 0; i < N; i++) {
		uint32_t bits = (uint32_t)rng_next(&r);
		memcpy(&x[i], &bits, sizeof bits);
	}
	check_sorted(x, N);
	for (int i = 0; i < N; i++)
		x[i] = (float)rng_below(&r, 50) / 50; /* many ties */
	check_sorted(x, N);
	for (int i = 0; i < N; i++)
		x[i] = 0.25f;
	check_sorted(x, N);
	free(x);
}

TEST(ranking, ramps_and_one_hot)
{
	float up[100], down[100], hot[100] = {[37] = 1};
	uint32_t order[100], rank[100];
	for (int i = 0; i < 100; i++) {
		up[i] = (float)i;
		down[i] = (float)-i;
	}
	ranking_sort(up, 100, order, rank);
	for (int i = 0; i < 100; i++)
		CHECK_INT(order[i], 99 - i);
	ranking_sort(down, 100, order, rank);
	for (int i = 0; i < 100; i++)
		CHECK_INT(order[i], i);
	ranking_sort(hot, 100, order, rank);
	CHECK_INT(order[0], 37);
	CHECK_INT(order[1], 0); /* equals: lower position first */
	CHECK_INT(rank[99], 99);
	CHECK_INT(rank[36], 37);
}

TEST(ranking, hits_and_mass_at_every_k)
{
	enum { N = 60 };
	float a[N], b[N], p[N], mass[N + 1];
	uint32_t order_a[N], rank_a[N], order_b[N], rank_b[N], hits[N + 1];
	struct rng r;
	rng_seed(&r, test_seed());
	for (int i = 0; i < N; i++) {
		a[i] = (float)rng_below(&r, 20);
		b[i] = a[i] + (float)rng_below(&r, 10);
		p[i] = (float)rng_uniform(&r);
	}
	ranking_sort(a, N, order_a, rank_a);
	ranking_sort(b, N, order_b, rank_b);
	ranking_hits(rank_a, rank_b, N, hits);
	ranking_mass(order_a, p, N, mass);
	for (int k = 0; k <= N; k++) {
		uint32_t both = 0;
		double sum = 0;
		for (int i = 0; i < k; i++) {
			sum += (double)p[order_a[i]];
			for (int j = 0; j < k; j++)
				both += order_a[i] == order_b[j];
		}
		CHECK_INT(hits[k], both);
		CHECK_NEAR(mass[k], sum, TOL_CURVE * N);
	}
	ranking_hits(rank_a, rank_a, N, hits);
	for (int k = 0; k <= N; k++)
		CHECK_INT(hits[k], k);
}
