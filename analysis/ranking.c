#include "analysis/ranking.h"

#include <math.h>
#include <string.h>

/* Best first as an ascending key: the float's bits made monotone and turned over; -0 equals 0, NaN comes last. */
static inline uint32_t sort_key(float x)
{
	if (isnan(x))
		return UINT32_MAX;
	x += 0.0f;
	uint32_t bits;
	memcpy(&bits, &x, sizeof bits);
	return bits & 0x80000000u ? bits : ~(bits | 0x80000000u);
}

enum { DIGIT_BITS = 11, N_BUCKET = 1 << DIGIT_BITS, N_PASS = 3 };

static inline uint32_t digit(uint32_t key, int pass)
{
	return key >> (pass * DIGIT_BITS) & (N_BUCKET - 1);
}

/* One pass: where each bucket begins, then positions moved there in order. from NULL: 0 .. n-1. */
static void sort_pass(const float *score, int n, int pass, uint32_t *begin, const uint32_t *from, uint32_t *to)
{
	uint32_t sum = 0;
	for (int b = 0; b < N_BUCKET; b++) {
		uint32_t count = begin[b];
		begin[b] = sum;
		sum += count;
	}
	for (int i = 0; i < n; i++) {
		uint32_t at = from ? from[i] : (uint32_t)i;
		to[begin[digit(sort_key(score[at]), pass)]++] = at;
	}
}

void ranking_sort(const float *score, int n, uint32_t *order, uint32_t *rank)
{
	uint32_t bucket[N_PASS][N_BUCKET] = {0};
	for (int i = 0; i < n; i++) {
		uint32_t key = sort_key(score[i]);
		for (int pass = 0; pass < N_PASS; pass++)
			bucket[pass][digit(key, pass)]++;
	}
	/* rank serves as the second buffer until the order is known */
	sort_pass(score, n, 0, bucket[0], NULL, order);
	sort_pass(score, n, 1, bucket[1], order, rank);
	sort_pass(score, n, 2, bucket[2], rank, order);
	for (int i = 0; i < n; i++)
		rank[order[i]] = (uint32_t)i;
}

void ranking_hits(const uint32_t *rank_a, const uint32_t *rank_b, int n, uint32_t *hits)
{
	/* a position is in both first k from k = the worse of its two ranks + 1 on */
	memset(hits, 0, ((size_t)n + 1) * sizeof *hits);
	for (int i = 0; i < n; i++)
		hits[(rank_a[i] > rank_b[i] ? rank_a[i] : rank_b[i]) + 1]++;
	for (int k = 1; k <= n; k++)
		hits[k] += hits[k - 1];
}

void ranking_mass(const uint32_t *order, const float *p, int n, float *mass)
{
	double sum = 0;
	mass[0] = 0;
	for (int k = 0; k < n; k++) {
		sum += (double)p[order[k]];
		mass[k + 1] = (float)sum;
	}
}
