#include "engine/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

void rng_seed(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->state[i] = splitmix64(&seed); /* four consecutive outputs are never all zero */
}

void rng_seed_stream(struct rng *r, uint64_t seed, uint64_t stream)
{
	/* Both numbers pass the mixer on their own, so neighbouring (seed, stream) pairs share nothing: seed + stream would
	 * make stream 1 of seed 0 the same as stream 0 of seed 1. */
	uint64_t mixed = splitmix64(&seed);
	uint64_t other = stream ^ 0x6a09e667f3bcc909u;
	rng_seed(r, mixed ^ rotate_left(splitmix64(&other), 32));
}

uint64_t rng_next(struct rng *r)
{
	uint64_t *s = r->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	/* The high half of (32 random bits) * n is uniform once the first 2^32 mod n low halves are rejected (Lemire 2019). */
	uint32_t reject_below = -n % n;
	uint64_t product;
	do
		product = (rng_next(r) >> 32) * n;
	while ((uint32_t)product < reject_below);
	return (uint32_t)(product >> 32);
}

double rng_uniform(struct rng *r)
{
	return (double)(rng_next(r) >> 11) * 0x1p-53;
}

double rng_normal(struct rng *r)
{
	double radius = sqrt(-2 * log(1 - rng_uniform(r))); /* 1 - u is in (0, 1]: the logarithm is finite */
	return radius * cos(6.283185307179586477 * rng_uniform(r));
}
