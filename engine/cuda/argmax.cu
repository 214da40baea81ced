/* Index of the largest, the lowest among equals; -1 when an element is NaN or infinite. CPU twin: cpu_argmax in engine/cpu/backend.c. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

#include <limits.h>

enum { THREADS = 1024 };

struct best {
	float value;
	int index; /* -1: not finite */
};

__device__ static best better(best a, best b)
{
	if (a.index < 0 || b.index < 0)
		return a.index < 0 ? a : b;
	bool second = b.value > a.value || (b.value == a.value && b.index < a.index);
	return second ? b : a;
}

__device__ static best warp_best(best x)
{
	for (int apart = 16; apart > 0; apart /= 2) {
		best other;
		other.value = __shfl_xor_sync(0xffffffffu, x.value, apart);
		other.index = __shfl_xor_sync(0xffffffffu, x.index, apart);
		x = better(x, other);
	}
	return x;
}

static __global__ void argmax_kernel(argmax_args a)
{
	CUDA_SHARED(float, value, THREADS / 32);
	CUDA_SHARED(int, index, THREADS / 32);
	int thread = (int)threadIdx.x;
	best x = {-INFINITY, INT_MAX};
	for (int i = thread; i < a.n; i += THREADS) {
		best next = {a.x[i], isfinite(a.x[i]) ? i : -1};
		x = better(x, next);
	}
	x = warp_best(x);
	if (thread % 32 == 0) {
		value[thread / 32] = x.value;
		index[thread / 32] = x.index;
	}
	__syncthreads();
	if (thread >= 32)
		return;
	x.value = value[thread];
	x.index = index[thread];
	x = warp_best(x);
	if (thread == 0)
		*a.out = x.index;
}

cudaError_t cuda_argmax(const argmax_args *a, cudaStream_t stream)
{
	argmax_args args = *a;
	CUDA_LAUNCH(argmax_kernel, dim3(1), dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
