/* Regions of several prompts, averaged: private to analysis/compare/. */
#ifndef KVGLASS_ANALYSIS_COMPARE_REGION_SUMS_H
#define KVGLASS_ANALYSIS_COMPARE_REGION_SUMS_H

#include "analysis/regions.h"

enum { N_REGION_NUMBER = 5 };

struct region_sum { /* of one region: its numbers over the prompts in which they are defined */
	double sum[N_REGION_NUMBER];
	int n[N_REGION_NUMBER];
};

/* Adds a method's numbers over everything at k (n_layer, n_unit) to sums (REGION_SPAN). r has no spans. */
void region_sums_add(struct region_sum *sums, const struct regions *r, int method, const int *k);
struct region_numbers region_sums_mean(const struct region_sum *sum);

#endif
