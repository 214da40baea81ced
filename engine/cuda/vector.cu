/* Vectors of any length, element by element. CPU twins: scale and add of engine/train/step_cpu.c. */
#include "engine/cuda/number.h"
#include "engine/cuda/train_kernels.h"

enum { THREADS = 256 };

__device__ static size_t element_index()
{
	return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static dim3 blocks_for(size_t n)
{
	return dim3((unsigned)((n + THREADS - 1) / THREADS));
}

static __global__ void add_kernel(add_args a)
{
	cuda_await_previous();
	size_t i = element_index();
	if (i < a.n)
		a.out[i] = a.a[i] + a.b[i];
}

cudaError_t cuda_add(const add_args *a, cudaStream_t stream)
{
	add_args args = *a;
	CUDA_LAUNCH(add_kernel, blocks_for(args.n), dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}

static __global__ void scale_kernel(scale_args a)
{
	cuda_await_previous();
	size_t i = element_index();
	if (i < a.n)
		a.x[i] *= a.factor;
}

cudaError_t cuda_scale(const scale_args *a, cudaStream_t stream)
{
	scale_args args = *a;
	CUDA_LAUNCH(scale_kernel, blocks_for(args.n), dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}

static __global__ void narrow_kernel(narrow_args a)
{
	cuda_await_previous();
	size_t i = element_index();
	if (i < a.n)
		static_cast<bf16 *>(a.to)[i] = from_float<bf16>(a.from[i]);
}

cudaError_t cuda_narrow(const narrow_args *a, cudaStream_t stream)
{
	narrow_args args = *a;
	CUDA_LAUNCH(narrow_kernel, blocks_for(args.n), dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
