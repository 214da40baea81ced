/* Percentile bootstrap over prompts: private to analysis/compare*. */
#ifndef KVGLASS_ANALYSIS_COMPARE_BOOTSTRAP_H
#define KVGLASS_ANALYSIS_COMPARE_BOOTSTRAP_H

#include "analysis/compare.h"

/* Mean of the n values that are not NaN, and the central 95 % of the means of 2,000 resamples of the same size
 * (linear between order statistics). The seed decides the draws, so numbers over the same prompts are resampled
 * alike. value is reordered; scratch: 2,000 doubles. */
#define BOOTSTRAP_ROUNDS 2000
struct interval bootstrap_mean(double *value, int n, uint64_t seed, double *scratch);

#endif
