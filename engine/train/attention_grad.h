/* Attention of the lookahead rows of one prompt in one KV group: forward, and backward through the training loss.
 *
 * With P[h,i,j] the softmax of lookahead row i of query head h over the prompt's n keys and the lookahead keys 0..i, and
 *     s[h,j] = mean over i of P[h,i,j],  j < n          (LookaheadKV, arXiv 2603.10899)
 * the loss reaches P through s (the objective) and through the rows' outputs (what later layers do with them). The prompt's keys and
 * values are constants: prompt rows never see lookahead rows.
 */
#ifndef KVGLASS_ENGINE_TRAIN_ATTENTION_GRAD_H
#define KVGLASS_ENGINE_TRAIN_ATTENTION_GRAD_H

#include <stddef.h>

#include "engine/cpu/simd/simd.h"

struct attention_block {
	const struct simd_rows *simd;
	int n;        /* prompt keys */
	int n_row;    /* lookahead rows T */
	int n_rep;    /* query heads of the group */
	int head_dim; /* d */
	const float *key, *value;           /* (n, d): the prompt's */
	const float *look_key, *look_value; /* (T, d): the lookahead rows' own */
	const float *query;                 /* (n_rep, T, d), after RoPE, times 1 / sqrt(d) */
};

/* Floats of scratch that one call of either function needs. */
size_t attention_scratch(const struct attention_block *b);

/* out (n_rep, T, d), or NULL in the last layer; lse (n_rep, T): log-sum-exp of the scaled logits, kept for the backward pass; mean (n_rep, n): s. */
void attention_forward(const struct attention_block *b, float *scratch, float *out, float *lse, float *mean);

struct attention_gradient {
	const float *lse;       /* from the forward pass */
	const float *d_mean;    /* (n_rep, n): dLoss/ds */
	const float *d_out;     /* (n_rep, T, d), or NULL: the outputs lead nowhere (last layer) */
	float *d_query;         /* (n_rep, T, d) of the scaled query, written */
	float *d_key, *d_value; /* (T, d) of the lookahead keys and values, written; d_value may be NULL with d_out */
};
void attention_backward(const struct attention_block *b, const struct attention_gradient *g, float *scratch);

/* The objective of one query head: KL(truth || s), both L1-normalised over n, natural log, 1e-12 inside both logarithms (the `kl` of
 * the comparison protocol). d_s (n), or NULL, receives weight * dKL/ds. Double sums. */
double objective_kl(const float *truth, const float *s, int n, double weight, float *d_s);

#endif
