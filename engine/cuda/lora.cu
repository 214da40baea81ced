/* LoRA of a few rows (Hu et al., arXiv 2106.09685) on up to three outputs of the same rows: low = in A^T, out += low B. CPU twin: cpu_lora in
 * engine/cpu/matmul.c. A pass of lookahead rows has four of these a layer, and is over in milliseconds: hence two launches for all parts. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { WARPS = 8 };

struct lora_part { /* of the arguments */
	const float *a, *b;
	void *out;
	int ld_out, r, n_out, low_at;
};

__device__ static lora_part part_at(const lora_args &a, int index)
{
	lora_part out = {};
#pragma unroll
	for (int i = 0; i < MOST_LORA_PARTS; i++)
		if (i == index)
			out = {a.a[i], a.b[i], a.out[i], a.ld_out[i], a.r[i], a.n_out[i], a.low_at[i]};
	return out;
}

/* One warp an element of low. */
template <class T> static __global__ void down_kernel(lora_args a)
{
	cuda_await_previous();
	lora_part part = part_at(a, (int)blockIdx.z);
	int lane = (int)threadIdx.x % 32, k = (int)blockIdx.x * WARPS + (int)threadIdx.x / 32, row = (int)blockIdx.y;
	const T *in = static_cast<const T *>(a.in.data) + (size_t)row * (size_t)a.in.ld;
	float sum = 0;
	for (int i = lane; k < part.r && i < a.n_in; i += 32)
		sum += to_float(in[i]) * part.a[(size_t)k * (size_t)a.n_in + (size_t)i];
	sum = warp_sum(sum);
	if (lane == 0 && k < part.r)
		a.low[(size_t)row * (size_t)a.ld_low + (size_t)(part.low_at + k)] = sum;
}

template <class T> static __global__ void up_kernel(lora_args a)
{
	cuda_await_previous();
	lora_part part = part_at(a, (int)blockIdx.z);
	int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
	size_t row = blockIdx.y;
	if (column >= part.n_out)
		return;
	const float *low = a.low + row * (size_t)a.ld_low + part.low_at;
	float sum = 0;
	for (int k = 0; k < part.r; k++)
		sum += low[k] * part.b[(size_t)k * (size_t)part.n_out + (size_t)column];
	T *out = static_cast<T *>(part.out) + row * (size_t)part.ld_out + column;
	*out = from_float<T>(to_float(*out) + sum);
}

cudaError_t cuda_lora_rows(const lora_args *a, cudaStream_t stream)
{
	enum { THREADS = 128 };
	lora_args args = *a;
	int r = 0, n_out = 0;
	for (int i = 0; i < args.n_part; i++) {
		r = args.r[i] > r ? args.r[i] : r;
		n_out = args.n_out[i] > n_out ? args.n_out[i] : n_out;
	}
	dim3 down((unsigned)(r + WARPS - 1) / WARPS, (unsigned)args.n_rows, (unsigned)args.n_part);
	dim3 up((unsigned)(n_out + THREADS - 1) / THREADS, (unsigned)args.n_rows, (unsigned)args.n_part);
	if (args.in.half)
		CUDA_LAUNCH((down_kernel<bf16>), down, dim3(32 * WARPS), 0, stream, args);
	else
		CUDA_LAUNCH((down_kernel<float>), down, dim3(32 * WARPS), 0, stream, args);
	if (args.out_half)
		CUDA_LAUNCH((up_kernel<bf16>), up, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((up_kernel<float>), up, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
