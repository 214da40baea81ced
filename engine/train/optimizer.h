/* AdamW (Loshchilov and Hutter, arXiv 1711.05101) with global-norm clipping and a warm-up / cosine schedule. */
#ifndef KVGLASS_ENGINE_TRAIN_OPTIMIZER_H
#define KVGLASS_ENGINE_TRAIN_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

struct optimizer_options {
	float lr, beta1, beta2, eps, weight_decay;
	float clip;      /* largest global norm of the gradient; 0: none */
	int warmup;      /* steps of linear rise */
	int steps;       /* length of the schedule: cosine from lr to lr * floor */
	float floor;
};
/* Learning rate of update number `update`, from 0. */
float optimizer_rate(const struct optimizer_options *options, int64_t update);

/* One update of n values:  g = shrink * gradient;  first and second move towards g and g^2;
 *     value -= rate * (first * by1 / (sqrt(second * by2) + eps) + weight_decay * value) */
struct adamw {
	float shrink, rate, beta1, beta2, by1, by2, eps, weight_decay;
	size_t n;
	const float *gradient;
	float *first, *second, *value;
};
/* Its numbers for update `update` of a gradient of this norm; the arrays are the caller's to fill in. */
struct adamw optimizer_move(const struct optimizer_options *options, int64_t update, double norm);

double vector_square_sum(const float *x, size_t n); /* in double and in order */
void adamw_update(const struct adamw *a);

#endif
