#include "analysis/compare/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "engine/random.h"

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* q in 0 .. 1 of sorted values. */
static double quantile(const double *sorted, int n, double q)
{
	double at = q * (n - 1);
	int below = (int)at, above = below + 1 < n ? below + 1 : below;
	return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

struct interval bootstrap_mean(double *value, int n, uint64_t seed, double *scratch)
{
	int kept = 0;
	double sum = 0;
	for (int i = 0; i < n; i++)
		if (!isnan(value[i])) {
			sum += value[i];
			value[kept++] = value[i];
		}
	struct interval out = {kept ? sum / kept : NAN, NAN, NAN};
	if (kept < 2)
		return out;
	struct rng r;
	rng_seed(&r, seed);
	for (int round = 0; round < BOOTSTRAP_ROUNDS; round++) {
		double drawn = 0;
		for (int i = 0; i < kept; i++)
			drawn += value[rng_below(&r, (uint32_t)kept)];
		scratch[round] = drawn / kept;
	}
	qsort(scratch, BOOTSTRAP_ROUNDS, sizeof *scratch, ascending);
	out.low = quantile(scratch, BOOTSTRAP_ROUNDS, 0.025);
	out.high = quantile(scratch, BOOTSTRAP_ROUNDS, 0.975);
	return out;
}
