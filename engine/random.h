/* One seeded generator for everything that is random (controls, sampling, module initialisation, tests):
 * xoshiro256** seeded by splitmix64 (Blackman and Vigna, public domain algorithms). The same seed gives the
 * same numbers on every machine. */
#ifndef KVGLASS_ENGINE_RANDOM_H
#define KVGLASS_ENGINE_RANDOM_H

#include <stdint.h>

struct rng {
	uint64_t state[4];
};

void rng_seed(struct rng *r, uint64_t seed);
/* An independent stream of the same seed, e.g. one per (layer, head): stream is mixed into the state. */
void rng_seed_stream(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n); /* uniform in [0, n), n > 0, no modulo bias */
double rng_uniform(struct rng *r);             /* [0, 1), 53 bits */
double rng_normal(struct rng *r);              /* mean 0, variance 1 (Box-Muller, cosine branch only) */

#endif
