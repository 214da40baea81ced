#include "analysis/selection.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static int least(int a, int b)
{
	return a < b ? a : b;
}

int selection_protected(const struct selection *s, int n_prompt)
{
	int64_t both = (int64_t)s->sink + s->window;
	return both < n_prompt ? (int)both : n_prompt;
}

int selection_k(const struct selection *s, int n_prompt, int budget, struct err *e)
{
	int64_t reserved = s->window_in_budget ? (int64_t)s->sink + s->window : 0;
	if (budget <= reserved) {
		err_set(e, ERR_USE, "a budget of %d leaves nothing to choose: the first %d and the last %d tokens are always kept",
			budget, s->sink, s->window);
		return -1;
	}
	int n_cand = n_prompt - selection_protected(s, n_prompt);
	return budget - reserved < n_cand ? (int)(budget - reserved) : n_cand;
}

/* ---- layers ---- */

static int pyramid_int(const struct selection *s, int n_prompt, int n_layer, int layer, int base)
{
	int n_cand = n_prompt - selection_protected(s, n_prompt);
	if (base > n_cand)
		return n_cand;
	if (n_prompt < 2 * (int64_t)base || n_layer < 2)
		return base;
	int low = base / s->pyramid_beta, high = 2 * base - low;
	if (high >= n_cand) {
		high = n_cand;
		low = 2 * base - high;
	}
	return high - layer * ((high - low) / (n_layer - 1));
}

/* Capacities here include what is protected, as kvpress gives the window the highest score instead of adding it. */
static int pyramid_float(const struct selection *s, int n_prompt, int n_layer, int layer, int budget)
{
	double kept = budget, low = kept / s->pyramid_beta, high = 2 * kept - low;
	int protected = selection_protected(s, n_prompt);
	if (high >= n_prompt - s->window) {
		high = n_prompt - s->window;
		low = 2 * kept - high;
	}
	double capacity = kept;
	if (n_layer > 1 && n_prompt >= high && high >= low && low >= s->window)
		capacity = high - layer * (high - low) / (n_layer - 1);
	int k = (int)rint(capacity) - protected;
	return k > 0 ? k : 0;
}

int selection_layer_k(const struct selection *s, int n_prompt, int n_layer, int layer, int budget)
{
	int protected = selection_protected(s, n_prompt), n_cand = n_prompt - protected;
	int base = s->window_in_budget ? budget - s->sink - s->window : budget;
	if (layer < s->full_layers)
		return n_cand;
	int k = base;
	if (s->layer == LAYER_PYRAMID_INT)
		k = pyramid_int(s, n_prompt, n_layer, layer, base);
	else if (s->layer == LAYER_PYRAMID_FLOAT)
		k = pyramid_float(s, n_prompt, n_layer, layer, s->window_in_budget ? budget : budget + protected);
	return k < 0 ? 0 : least(k, n_cand);
}

/* ---- heads ---- */

/* A score as an unsigned number of the same order. */
static uint32_t ordered(float x)
{
	x += 0.0f; /* -0 equals 0 */
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* How many of a unit's scores, times weight, are at or above key. */
static int count_from(const float *sorted, int n, double weight, uint32_t key)
{
	int low = 0, high = n;
	while (low < high) {
		int middle = low + (high - low) / 2;
		if (ordered((float)(weight * (double)sorted[middle])) >= key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int64_t count_layer(const struct sorted_scores *s, const double *weight, uint32_t key)
{
	int64_t sum = 0;
	for (int u = 0; u < s->n_unit; u++)
		sum += count_from(s->unit[u], s->n_cand, weight ? weight[u] : 1, key);
	return sum;
}

/* The best `total` entries of all units together: out receives how many fall in each; among equals the lower unit
 * comes first. total is at most n_unit * n_cand. */
static void count_best(const struct sorted_scores *s, const double *weight, int64_t total, int *out)
{
	uint32_t key = 0; /* the largest key that at least total entries reach */
	for (uint32_t bit = 0x80000000u; bit; bit >>= 1)
		if (count_layer(s, weight, key | bit) >= total)
			key |= bit;
	int64_t left = total;
	for (int u = 0; u < s->n_unit; u++) {
		out[u] = key == UINT32_MAX ? 0 : count_from(s->unit[u], s->n_cand, weight ? weight[u] : 1, key + 1);
		left -= out[u];
	}
	for (int u = 0; u < s->n_unit && left > 0; u++) {
		int64_t equal = count_from(s->unit[u], s->n_cand, weight ? weight[u] : 1, key) - out[u];
		int64_t taken = equal < left ? equal : left;
		out[u] += (int)taken;
		left -= taken;
	}
}

/* Share of a head's mass that its best k hold. */
static double best_share(const float *sorted, int n, int k)
{
	double best = 0, all = 0;
	for (int i = 0; i < n; i++) {
		all += (double)sorted[i];
		best += i < k ? (double)sorted[i] : 0;
	}
	return all > 0 ? best / all : 1;
}

static void share_blend(const struct selection *s, const struct sorted_scores *scores, int k, int *out)
{
	for (int u = 0; u < scores->n_unit; u++)
		scores->weight[u] = s->ada_normalize ? best_share(scores->unit[u], scores->n_cand, k) : 1;
	count_best(scores, scores->weight, (int64_t)k * scores->n_unit, out);
	int floor = (int)(k * s->ada_floor);
	for (int u = 0; u < scores->n_unit; u++)
		out[u] = least((int)rint(out[u] * (1 - s->ada_floor) + floor), scores->n_cand);
}

/* Every unit's own best `safe` count as infinitely good, so they are dealt out first; what remains competes. */
static void share_safeguard(const struct selection *s, const struct sorted_scores *scores, int k, int n_protected, int *out)
{
	int safe = (int)((k + n_protected) * s->ada_floor); /* counts the protected ones, which are each head's very best */
	safe = s->ada_floor > 0 && safe < 1 ? 1 : safe;
	safe = safe < n_protected ? 0 : least(safe - n_protected, k);
	int64_t total = (int64_t)k * scores->n_unit;
	/* Raising units to their safe share takes from the others' worst: find the total that leaves exactly enough
	 * for them. */
	int64_t low = 0, high = total;
	while (low < high) {
		int64_t middle = high - (high - low) / 2, sum = 0;
		count_best(scores, NULL, middle, out);
		for (int u = 0; u < scores->n_unit; u++)
			sum += out[u] > safe ? out[u] : safe;
		if (sum <= total)
			low = middle;
		else
			high = middle - 1;
	}
	count_best(scores, NULL, low, out);
	for (int u = 0; u < scores->n_unit; u++)
		out[u] = out[u] > safe ? out[u] : safe;
}

void selection_share(const struct selection *s, const struct sorted_scores *scores, int k, int n_protected, int *out)
{
	if (s->head == HEAD_ADA_BLEND)
		share_blend(s, scores, k, out);
	else if (s->head == HEAD_ADA_SAFEGUARD)
		share_safeguard(s, scores, k, n_protected, out);
	else
		for (int u = 0; u < scores->n_unit; u++)
			out[u] = k;
}
