/* Modules taken apart: the spectrum of what they add, how large it is beside the weights it is added to, which words the soft tokens
 * are near, and what separates two modules.
 */
#ifndef KVGLASS_ENGINE_LOOKAHEAD_WEIGHTS_H
#define KVGLASS_ENGINE_LOOKAHEAD_WEIGHTS_H

#include "engine/lookahead.h"

/* Frobenius norms of the matrices that adapters act on: out (n_layer, N_PROJ). Unpacks every weight once: a second for each few
 * hundred million of them and core. Stage "weights". */
int model_weight_norms(const struct model *m, int n_threads, double *out, const struct progress *progress, struct err *e);

/* Singular values of B A, largest first: out (r). They are the roots of the eigenvalues of the r x r matrix (A A^T)^(1/2) B^T B
 * (A A^T)^(1/2), so those below a hundred-millionth of the largest are rounding. NaN where a factor is not finite. ERR_LIMIT above
 * LORA_MAX_SPECTRUM. */
enum { LORA_MAX_SPECTRUM = 256 };
int lora_spectrum(const struct lora *l, double *out, struct err *e);
/* <B A, B' A'> = sum over all elements of the product; both of one shape (r may differ). With itself: ||BA||^2. */
double lora_inner(const struct lora *x, const struct lora *y);

/* Cosines of two sets of soft tokens: out (x->n_lookahead, y->n_lookahead); y may be x. NaN with a row that is zero or not finite. */
void lookahead_cosines(const struct lookahead *x, const struct lookahead *y, float *out);

struct near_token {
	int32_t id;   /* -1: none */
	float cosine;
};
struct nearest_request {
	int n_near;             /* rows of the vocabulary for each soft token */
	int n_threads;          /* 0: as many as this process may use */
	struct near_token *out; /* (n_lookahead, n_near) */
	double *mean_norm;      /* or NULL: receives the vocabulary's mean row norm, to hold the soft tokens' norms against */
	const struct progress *progress; /* stage "vocabulary" */
};
/* For every soft token the rows of the model's embedding with the largest cosine, best first. */
int lookahead_nearest(const struct lookahead *l, const struct model *m, const struct nearest_request *r, struct err *e);

#endif
