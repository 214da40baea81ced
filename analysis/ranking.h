/* Ranking: what a score vector means for every budget at once.
 *
 * Candidates are positions sink <= j < n - window. Sorting a score once (highest first, lower position first among
 * equals) gives each candidate its rank; at budget B the kept ones are those with rank < k, k = min(B - sink -
 * window, n_candidates). So budgets are never swept: overlap at every k comes from a histogram of max(rank,
 * truth's rank), mass from a prefix sum along the order, and a token's survival budget is sink + window + rank +
 * 1.
 */
#ifndef KVGLASS_ANALYSIS_RANKING_H
#define KVGLASS_ANALYSIS_RANKING_H

#include <stdint.h>

/* order (n): positions 0..n-1 of score, best first; rank (n): the inverse. NaN ranks last. Scratch-free for the caller;
 * O(n) radix sort on the float's bits, stable, so ties keep the lower position first. */
void ranking_sort(const float *score, int n, uint32_t *order, uint32_t *rank);

/* hits (n+1): hits[k] = how many of the first k in one ranking are among the first k of the other. */
void ranking_hits(const uint32_t *rank_a, const uint32_t *rank_b, int n, uint32_t *hits);

/* mass (n+1): mass[k] = sum of p over the first k of order, accumulated in double. */
void ranking_mass(const uint32_t *order, const float *p, int n, float *mass);

#endif
