#include "engine/random.h"

#include "tests/support/test.h"

/* First outputs of the authors' xoshiro256** seeded with four splitmix64 outputs of the seed (as in their reference C files;
 * numbers from a Python transcription of them). */
TEST(random, published_algorithm)
{
	struct rng r;
	rng_seed(&r, 0);
	CHECK(r.state[0] == 0xe220a8397b1dcdafu); /* splitmix64's first output for seed 0, a published test value */
	CHECK(r.state[1] == 0x6e789e6aa1b965f4u);
	CHECK(rng_next(&r) == 0x99ec5f36cb75f2b4u);
	CHECK(rng_next(&r) == 0xbf6e1f784956452au);
}

TEST(random, streams_differ_and_repeat)
{
	struct rng a, b, c;
	rng_seed_stream(&a, 7, 1);
	rng_seed_stream(&b, 7, 2);
	rng_seed_stream(&c, 8, 1);
	uint64_t first = rng_next(&a);
	CHECK(first != rng_next(&b));
	CHECK(first != rng_next(&c));
	rng_seed_stream(&a, 7, 1);
	CHECK(first == rng_next(&a));
}

TEST(random, below_is_uniform)
{
	enum { N = 3, DRAWS = 30000 };
	struct rng r;
	rng_seed(&r, test_seed());
	int count[N] = {0};
	for (int i = 0; i < DRAWS; i++) {
		uint32_t x = rng_below(&r, N);
		CHECK(x < N);
		count[x < N ? x : 0]++;
	}
	for (int i = 0; i < N; i++) /* 6 standard deviations of a binomial */
		CHECK_NEAR(count[i], DRAWS / N, 6 * sqrt(DRAWS * (1. / N) * (1 - 1. / N)));
	CHECK_INT(rng_below(&r, 1), 0);
}

TEST(random, normal_moments)
{
	enum { DRAWS = 40000 };
	struct rng r;
	rng_seed(&r, test_seed());
	double sum = 0, square = 0;
	for (int i = 0; i < DRAWS; i++) {
		double u = rng_uniform(&r), x = rng_normal(&r);
		CHECK(u >= 0 && u < 1);
		sum += x;
		square += x * x;
	}
	CHECK_NEAR(sum / DRAWS, 0, 6 / sqrt(DRAWS));
	CHECK_NEAR(square / DRAWS, 1, 6 * sqrt(2. / DRAWS));
}
