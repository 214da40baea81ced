#include "analysis/compare/region_sums.h"

#include <math.h>

void region_sums_add(struct region_sum *sums, const struct regions *r, int method, const int *k)
{
	struct region_numbers number[REGION_SPAN];
	regions_numbers(r, method, (struct scope){-1, -1}, k, number);
	for (int i = 0; i < REGION_SPAN; i++) {
		const double value[N_REGION_NUMBER] = {number[i].tokens, number[i].kept, number[i].share, number[i].truth,
			number[i].covered};
		for (int v = 0; v < N_REGION_NUMBER; v++) {
			if (isnan(value[v]))
				continue;
			sums[i].sum[v] += value[v];
			sums[i].n[v]++;
		}
	}
}

struct region_numbers region_sums_mean(const struct region_sum *sum)
{
	double mean[N_REGION_NUMBER];
	for (int v = 0; v < N_REGION_NUMBER; v++)
		mean[v] = sum->n[v] ? sum->sum[v] / sum->n[v] : NAN;
	return (struct region_numbers){mean[0], mean[1], mean[2], mean[3], mean[4]};
}
