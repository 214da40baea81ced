#include "tests/support/counter.h"

static uint64_t fnv1a64(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3u;
	return h;
}

void counter_fill(float *out, size_t n, uint64_t seed, const char *name, float amplitude)
{
	uint64_t counter = seed ^ fnv1a64(name);
	for (size_t i = 0; i < n; i++) {
		uint64_t x = counter += 0x9e3779b97f4a7c15u;
		x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
		x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
		x ^= x >> 31;
		out[i] = (float)((int64_t)(x >> 40) - (1 << 23)) * 0x1p-23f * amplitude;
	}
}
