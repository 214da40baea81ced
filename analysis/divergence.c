#include "analysis/divergence.h"

#include <math.h>

#define KL_EPSILON 1e-12

double divergence_sum(const double *x, int n)
{
	double sum = 0;
	for (int j = 0; j < n; j++)
		sum += x[j];
	return sum;
}

double divergence_cross(const double *a, double sum_a, const double *b, double sum_b, int n)
{
	double sum = 0;
	for (int j = 0; j < n; j++)
		if (a[j] > 0)
			sum += a[j] / sum_a * log(b[j] / sum_b + KL_EPSILON);
	return sum;
}

double divergence_kl(const double *a, double sum_a, double self, const double *b, int n)
{
	double sum_b = divergence_sum(b, n);
	return sum_a > 0 && sum_b > 0 ? self - divergence_cross(a, sum_a, b, sum_b, n) : NAN;
}
