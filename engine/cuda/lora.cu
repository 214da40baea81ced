/* LoRA of a few rows (Hu et al., arXiv 2106.09685): low = in A^T, out += low B. CPU twin: cpu_lora in engine/cpu/matmul.c. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { WARPS = 8 };

/* One warp an element of low. */
template <class T> static __global__ void down_kernel(lora_args a)
{
	int lane = (int)threadIdx.x % 32, k = (int)blockIdx.x * WARPS + (int)threadIdx.x / 32, row = (int)blockIdx.y;
	const T *in = static_cast<const T *>(a.in.data) + (size_t)row * (size_t)a.in.ld;
	float sum = 0;
	for (int i = lane; k < a.r && i < a.n_in; i += 32)
		sum += to_float(in[i]) * a.a[(size_t)k * (size_t)a.n_in + (size_t)i];
	sum = warp_sum(sum);
	if (lane == 0 && k < a.r)
		a.low[(size_t)row * (size_t)a.r + (size_t)k] = sum;
}

template <class T> static __global__ void up_kernel(lora_args a)
{
	int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
	size_t row = blockIdx.y;
	if (column >= a.n_out)
		return;
	float sum = 0;
	for (int k = 0; k < a.r; k++)
		sum += a.low[row * (size_t)a.r + (size_t)k] * a.b[(size_t)k * (size_t)a.n_out + (size_t)column];
	T *out = static_cast<T *>(a.out.data) + row * (size_t)a.out.ld + column;
	*out = from_float<T>(to_float(*out) + sum);
}

cudaError_t cuda_lora_rows(const lora_args *a, cudaStream_t stream)
{
	enum { THREADS = 128 };
	lora_args args = *a;
	dim3 down((unsigned)(args.r + WARPS - 1) / WARPS, (unsigned)args.n_rows);
	dim3 up((unsigned)(args.n_out + THREADS - 1) / THREADS, (unsigned)args.n_rows);
	if (args.in.half)
		CUDA_LAUNCH((down_kernel<bf16>), down, dim3(32 * WARPS), 0, stream, args);
	else
		CUDA_LAUNCH((down_kernel<float>), down, dim3(32 * WARPS), 0, stream, args);
	if (args.out.half)
		CUDA_LAUNCH((up_kernel<bf16>), up, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((up_kernel<float>), up, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
