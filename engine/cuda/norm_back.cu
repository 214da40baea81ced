/* The way back through RMSNorm, one block a row. With u = x / rms: dx += (gain dy - u mean(u gain dy)) / rms.
 * CPU twin: norm_backward_row in engine/train/row_ops.c. */
#include "engine/cuda/reduce.h"
#include "engine/cuda/train_kernels.h"

static __global__ void norm_back_kernel(norm_back_args a)
{
	cuda_await_previous();
	CUDA_SHARED(float, part, REDUCE_WARPS);
	size_t row = (size_t)blockIdx.x * (size_t)a.n;
	const float *x = a.x + row, *dy = a.dy + row;
	float *dx = a.dx + row, square = 0, along = 0;
	for (int i = (int)threadIdx.x; i < a.n; i += REDUCE_THREADS) {
		square += x[i] * x[i];
		along += x[i] * a.gain[i] * dy[i];
	}
	square = block_reduce<reduce_sum, float>(square, part);
	along = block_reduce<reduce_sum, float>(along, part);
	float inverse = 1.0f / sqrtf(square / (float)a.n + a.eps), back = along / (float)a.n * inverse * inverse * inverse;
	for (int i = (int)threadIdx.x; i < a.n; i += REDUCE_THREADS)
		dx[i] += inverse * a.gain[i] * dy[i] - back * x[i];
}

cudaError_t cuda_norm_back(const norm_back_args *a, cudaStream_t stream)
{
	norm_back_args args = *a;
	CUDA_LAUNCH(norm_back_kernel, dim3((unsigned)args.n_row), dim3(REDUCE_THREADS), 0, stream, args);
	return cudaGetLastError();
}
