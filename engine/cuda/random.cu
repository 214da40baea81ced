/* Normal numbers (Box and Muller, 1958) from a hash of their place (splitmix64's finaliser), so that a matrix of random weights is made where it
 * is used and is the same every time. What the CPU has for this: engine/random_model.c. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { THREADS = 256 };

__device__ static uint64_t hash(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* One thread two neighbours. */
template <class T> static __global__ void random_kernel(random_args a)
{
	cuda_await_previous();
	size_t pair = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
	if (2 * pair >= a.n)
		return;
	uint64_t bits = hash(hash(a.seed) + pair + 1);
	float first = ((float)(bits >> 41) + 0.5f) * 0x1p-23f, second = (float)(bits & 0xffffff) * 0x1p-24f;
	float radius = a.deviation * sqrtf(-2.0f * logf(first)), angle = 6.2831853f * second;
	T *to = static_cast<T *>(a.to);
	to[2 * pair] = from_float<T>(radius * cosf(angle));
	if (2 * pair + 1 < a.n)
		to[2 * pair + 1] = from_float<T>(radius * sinf(angle));
}

cudaError_t cuda_random(const random_args *a, cudaStream_t stream)
{
	random_args args = *a;
	dim3 grid((unsigned)((args.n + 2 * THREADS - 1) / (2 * THREADS)));
	if (args.half)
		CUDA_LAUNCH((random_kernel<bf16>), grid, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((random_kernel<float>), grid, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
