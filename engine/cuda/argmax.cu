/* Index of the largest, the lowest among equals; -1 when an element is NaN or infinite. CPU twin: cpu_argmax in engine/cpu/backend.c.
 *
 * A number and its index are one word that is the larger the better: the number's bits in an order in which unsigned words compare as
 * numbers do, and behind them what the index lacks to the largest. So blocks need no order among them. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { THREADS = 256, MOST_BLOCKS = 128 };

__device__ static unsigned long long rank_of(float x, int index)
{
	if (!isfinite(x))
		return ARGMAX_NOT_FINITE;
	unsigned bits = __float_as_uint(x == 0 ? 0.0f : x); /* -0 is no less */
	unsigned ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
	return (unsigned long long)ordered << 32 | (0xffffffffu - (unsigned)index);
}

static __global__ void __launch_bounds__(THREADS) argmax_kernel(argmax_args a)
{
	cuda_await_previous();
	CUDA_SHARED(unsigned long long, best, 1);
	unsigned long long mine = 0;
#pragma unroll 4
	for (int i = (int)(blockIdx.x * THREADS + threadIdx.x); i < a.n; i += (int)gridDim.x * THREADS) {
		unsigned long long rank = rank_of(a.x[i], i);
		mine = rank > mine ? rank : mine;
	}
	if (threadIdx.x == 0)
		best[0] = 0;
	__syncthreads();
	atomicMax(&best[0], mine);
	__syncthreads();
	if (threadIdx.x == 0)
		atomicMax(a.out, (unsigned long long)best[0]);
}

cudaError_t cuda_argmax(const argmax_args *a, cudaStream_t stream)
{
	argmax_args args = *a;
	int blocks = (args.n + THREADS - 1) / THREADS;
	CUDA_LAUNCH(argmax_kernel, dim3((unsigned)(blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS)), dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
