/* Numbers that Python and C make alike: value i of a named array is a function of the name, the seed and i alone
 * (tests/golden/counter.py is the same in Python). splitmix64's finaliser over a counter; its upper 24 bits, centred, are exact
 * in float32, and one float32 product scales them. */
#ifndef KVGLASS_TESTS_COUNTER_H
#define KVGLASS_TESTS_COUNTER_H

#include <stddef.h>
#include <stdint.h>

/* n values, uniform in [-amplitude, amplitude). */
void counter_fill(float *out, size_t n, uint64_t seed, const char *name, float amplitude);

#endif
