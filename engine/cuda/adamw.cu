/* AdamW over the parameters as one vector, and the norm that clips its gradient. CPU twins: vector_square_sum and adamw_update in
 * engine/train/optimizer.c. */
#include "engine/cuda/reduce.h"
#include "engine/cuda/train_kernels.h"

/* Elements at, at + apart, ... of a block's threads: the same for every run, whatever the device. */
static __global__ void square_parts_kernel(square_sum_args a)
{
	cuda_await_previous();
	CUDA_SHARED(double, part, REDUCE_WARPS);
	double sum = 0;
	for (size_t i = (size_t)blockIdx.x * REDUCE_THREADS + threadIdx.x; i < a.n; i += (size_t)SQUARE_PARTS * REDUCE_THREADS)
		sum += (double)a.x[i] * (double)a.x[i];
	sum = block_reduce<reduce_sum, double>(sum, part);
	if (threadIdx.x == 0)
		a.part[blockIdx.x] = sum;
}

static __global__ void square_join_kernel(square_sum_args a)
{
	cuda_await_previous();
	CUDA_SHARED(double, part, REDUCE_WARPS);
	static_assert((int)SQUARE_PARTS == (int)REDUCE_THREADS, "one part a thread");
	double sum = block_reduce<reduce_sum, double>(a.part[threadIdx.x], part);
	if (threadIdx.x == 0)
		*a.out = sum;
}

cudaError_t cuda_square_sum(const square_sum_args *a, cudaStream_t stream)
{
	square_sum_args args = *a;
	CUDA_LAUNCH(square_parts_kernel, dim3(SQUARE_PARTS), dim3(REDUCE_THREADS), 0, stream, args);
	cudaError_t rc = cudaGetLastError();
	if (rc)
		return rc;
	CUDA_LAUNCH(square_join_kernel, dim3(1), dim3(REDUCE_THREADS), 0, stream, args);
	return cudaGetLastError();
}

static __global__ void adamw_kernel(adamw a)
{
	cuda_await_previous();
	size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= a.n)
		return;
	float g = a.gradient[i] * a.shrink;
	float first = a.first[i] + (1.0f - a.beta1) * (g - a.first[i]), second = a.second[i] + (1.0f - a.beta2) * (g * g - a.second[i]);
	a.first[i] = first;
	a.second[i] = second;
	float move = first * a.by1 / (sqrtf(second * a.by2) + a.eps);
	a.value[i] -= a.rate * (move + a.weight_decay * a.value[i]);
}

cudaError_t cuda_adamw(const adamw *a, cudaStream_t stream)
{
	adamw args = *a;
	dim3 grid((unsigned)((args.n + REDUCE_THREADS - 1) / REDUCE_THREADS));
	CUDA_LAUNCH(adamw_kernel, grid, dim3(REDUCE_THREADS), 0, stream, args);
	return cudaGetLastError();
}
