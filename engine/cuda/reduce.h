/* Sums and maxima over the threads of a block, in an order that is always the same. Device code. */
#ifndef KVGLASS_ENGINE_CUDA_REDUCE_H
#define KVGLASS_ENGINE_CUDA_REDUCE_H

#include "engine/cuda/number.h"

enum { REDUCE_THREADS = 256, REDUCE_WARPS = REDUCE_THREADS / 32 };

struct reduce_sum {
	template <class T> __device__ static T join(T a, T b)
	{
		return a + b;
	}
};

struct reduce_max {
	template <class T> __device__ static T join(T a, T b)
	{
		return b > a ? b : a;
	}
};

/* Every thread of a block of REDUCE_THREADS comes with an x and goes with all of them joined. part (REDUCE_WARPS) is free again then. */
template <class JOIN, class T> __device__ inline T block_reduce(T x, CUDA_SHARED_OF(T) part)
{
	for (int apart = 16; apart > 0; apart /= 2)
		x = JOIN::join(x, __shfl_xor_sync(0xffffffffu, x, apart));
	if (threadIdx.x % 32 == 0)
		part[(int)threadIdx.x / 32] = x;
	__syncthreads();
	T all = part[0];
	for (int i = 1; i < REDUCE_WARPS; i++) {
		T next = part[i];
		all = JOIN::join(all, next);
	}
	__syncthreads();
	return all;
}

#endif
