/* Selection: how many tokens each head may choose, from a budget.
 *
 * Within one head the chosen ones are always the first k of its ranking, so a selection is fully described by k
 * per (layer, unit). k counts tokens beyond the protected ones (sink + window), which every head keeps.
 *
 *   uniform          k = budget - protected (when the window counts), at most the number of candidates
 *   pyramid int      PyramidKV as released (KVCache-Factory): floor division, uniform below n < 2 k
 *   pyramid float    kvpress: the window inside the capacity, uniform when the ends do not fit, rounds half to even
 *   Ada blend        AdaKV repository: scores (re-weighted) compete within the layer, then a share `ada_floor` is dealt out evenly
 *   Ada safeguard    kvpress: each head's own best are safe, the rest of the layer's budget goes to the best of all heads
 */
#ifndef KVGLASS_ANALYSIS_SELECTION_H
#define KVGLASS_ANALYSIS_SELECTION_H

#include "analysis/protocol.h"

/* Tokens protected in a prompt of n: sink + window, at most n. */
int selection_protected(const struct selection *s, int n_prompt);
/* Uniform k; -1 with ERR_USE when the budget leaves nothing to choose (budget <= sink + window). */
int selection_k(const struct selection *s, int n_prompt, int budget, struct err *e);
/* k of one layer before its heads share it. budget must have passed selection_k(). */
int selection_layer_k(const struct selection *s, int n_prompt, int n_layer, int layer, int budget);

/* Scores of one layer's units, each in descending order. */
struct sorted_scores {
	const float *const *unit; /* n_unit pointers to n_cand scores */
	int n_unit, n_cand;
	double *weight; /* (n_unit) scratch */
};
/* Splits a layer's k among its units: out (n_unit), each 0 .. n_cand. n_protected as above. Uniform: k everywhere. */
void selection_share(const struct selection *s, const struct sorted_scores *scores, int k, int n_protected, int *out);

#endif
