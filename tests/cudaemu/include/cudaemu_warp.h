/* Warp collectives: lanes of a mask bring a record each, the last to arrive works on all of them, then all go on.
 *
 * A collective is complete when every lane of the mask waits at the same line with the same mask. A lane that has exited, does not
 * exist or waits elsewhere can never complete it: a fault, though some GPUs would let it pass.
 */
#ifndef KVGLASS_CUDAEMU_WARP_H
#define KVGLASS_CUDAEMU_WARP_H

#include "cudaemu_device.h"

typedef void cudaemu_resolve(void *const record[32], unsigned mask);
void cudaemu_collective(unsigned mask, void *record, cudaemu_resolve *resolve, cudaemu_site site);
void cudaemu_warp_barrier(unsigned mask, cudaemu_site site);
int cudaemu_lane(void);

inline void __syncwarp(unsigned mask = 0xffffffffu, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	cudaemu_warp_barrier(mask, {file, line});
}

/* ---- shuffles ---- */

template <class T> struct cudaemu_shuffle {
	T value, result;
	int from; /* lane */

	static void resolve(void *const record[32], unsigned mask)
	{
		for (int lane = 0; lane < 32; lane++) {
			if (!(mask >> lane & 1))
				continue;
			cudaemu_shuffle *s = (cudaemu_shuffle *)record[lane];
			if (!(mask >> s->from & 1))
				cudaemu_fault("shuffle-lane", "lane %d reads lane %d, which is not in mask 0x%08x", lane, s->from, mask);
			s->result = ((cudaemu_shuffle *)record[s->from])->value;
		}
	}
};

template <class T> T cudaemu_shuffle_from(unsigned mask, T value, int from, cudaemu_site site)
{
	cudaemu_shuffle<T> s = {value, value, from};
	cudaemu_collective(mask, &s, cudaemu_shuffle<T>::resolve, site);
	return s.result;
}

template <class T> T __shfl_sync(unsigned mask, T value, int lane, int width = 32, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	int base = cudaemu_lane() / width * width;
	return cudaemu_shuffle_from(mask, value, base + (lane & (width - 1)), {file, line});
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	int lane = cudaemu_lane(), from = lane ^ bits;
	return cudaemu_shuffle_from(mask, value, from < lane / width * width + width ? from : lane, {file, line});
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	int lane = cudaemu_lane(), from = lane + (int)by;
	return cudaemu_shuffle_from(mask, value, from < lane / width * width + width ? from : lane, {file, line});
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	int lane = cudaemu_lane(), from = lane - (int)by;
	return cudaemu_shuffle_from(mask, value, from >= lane / width * width ? from : lane, {file, line});
}

/* ---- votes and reductions ---- */

struct cudaemu_ballot {
	bool value;
	unsigned result;

	static void resolve(void *const record[32], unsigned mask)
	{
		unsigned set = 0;
		for (int lane = 0; lane < 32; lane++)
			if (mask >> lane & 1 && ((cudaemu_ballot *)record[lane])->value)
				set |= 1u << lane;
		for (int lane = 0; lane < 32; lane++)
			if (mask >> lane & 1)
				((cudaemu_ballot *)record[lane])->result = set;
	}
};

inline unsigned __ballot_sync(unsigned mask, int value, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	cudaemu_ballot b = {value != 0, 0};
	cudaemu_collective(mask, &b, cudaemu_ballot::resolve, {file, line});
	return b.result;
}
inline int __any_sync(unsigned mask, int value, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	return __ballot_sync(mask, value, file, line) != 0;
}
inline int __all_sync(unsigned mask, int value, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	return __ballot_sync(mask, value, file, line) == mask;
}

/* ---- matrices ---- */

/* d (16 x 8) += a (16 x 16) b (16 x 8) of bfloat16 pairs, spread over the lanes as PTX's mma.m16n8k16 documents. */
void cudaemu_mma_bf16(float d[4], const unsigned a[4], const unsigned b[2], const char *file = __builtin_FILE(), int line = __builtin_LINE());

#endif
