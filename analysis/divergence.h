/* KL(p || q), as everywhere in kvglass: both L1-normalised, natural log, 1e-12 added inside both logarithms. */
#ifndef KVGLASS_ANALYSIS_DIVERGENCE_H
#define KVGLASS_ANALYSIS_DIVERGENCE_H

/* sum of x (n) */
double divergence_sum(const double *x, int n);
/* sum over j of p log(q + 1e-12), p = a / sum_a, q = b / sum_b: KL is this of (a, a) minus this of (a, b) */
double divergence_cross(const double *a, double sum_a, const double *b, double sum_b, int n);
/* given self = divergence_cross(a, a); NaN when one of them sums to nothing */
double divergence_kl(const double *a, double sum_a, double self, const double *b, int n);

#endif
