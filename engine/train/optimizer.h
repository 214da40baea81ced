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
struct optimizer {
	size_t n;
	float *first, *second; /* (n) moments */
	int64_t step;          /* updates made */
};
int optimizer_new(struct optimizer *o, size_t n); /* 0, or -1 without memory */
void optimizer_free(struct optimizer *o);
void optimizer_forget(struct optimizer *o); /* as it was new */
/* Learning rate of update number `step`, from 0. */
float optimizer_rate(const struct optimizer_options *options, int64_t step);
/* One update in place. Returns the gradient's norm before clipping; NaN or infinity leaves everything untouched. */
double optimizer_update(struct optimizer *o, const struct optimizer_options *options, const float *gradient, float *value);

#endif
