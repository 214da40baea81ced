/* out += bias, every row. CPU twin: add_bias in engine/cpu/matmul.c. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

template <class T> static __global__ void bias_kernel(bias_args a)
{
	cuda_await_previous();
	int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
	T *out = static_cast<T *>(a.out.data) + (size_t)blockIdx.y * (size_t)a.out.ld;
	if (column < a.n)
		out[column] = from_float<T>(to_float(out[column]) + a.bias[column]);
}

cudaError_t cuda_add_bias(const bias_args *a, cudaStream_t stream)
{
	enum { THREADS = 128 };
	bias_args args = *a;
	dim3 grid((unsigned)(args.n + THREADS - 1) / THREADS, (unsigned)args.n_rows);
	if (args.out.half)
		CUDA_LAUNCH((bias_kernel<bf16>), grid, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((bias_kernel<float>), grid, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
