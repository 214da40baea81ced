/* Reading what is cached: elements as float32, norms of rows. CPU twins: cpu_read_cache, cpu_key_norms, cpu_value_norms in
 * engine/cpu/cache.c. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

template <class T> static __global__ void widen_kernel(widen_args a)
{
	cuda_await_previous();
	size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
	if (i < a.n)
		a.to[i] = to_float(static_cast<const T *>(a.from)[i]);
}

cudaError_t cuda_widen(const widen_args *a, cudaStream_t stream)
{
	enum { THREADS = 256 };
	widen_args args = *a;
	dim3 grid((unsigned)((args.n + THREADS - 1) / THREADS));
	if (args.half)
		CUDA_LAUNCH((widen_kernel<bf16>), grid, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((widen_kernel<float>), grid, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}

enum { WARPS = 4 };

/* One warp a row. */
template <class T> static __global__ void norms_kernel(row_norms_args a)
{
	cuda_await_previous();
	int lane = (int)threadIdx.x % 32, row = (int)blockIdx.x * WARPS + (int)threadIdx.x / 32;
	const T *x = static_cast<const T *>(a.rows) + (size_t)row * (size_t)a.ld;
	float sum = 0;
	for (int i = lane; row < a.n_rows && i < a.n; i += 32) {
		float value = to_float(x[i]);
		sum += a.l1 ? fabsf(value) : value * value;
	}
	sum = warp_sum(sum);
	if (lane || row >= a.n_rows)
		return;
	float norm = a.factor * (a.l1 ? sum : sqrtf(sum));
	a.out[row] = a.add ? a.out[row] + norm : norm;
}

cudaError_t cuda_row_norms(const row_norms_args *a, cudaStream_t stream)
{
	row_norms_args args = *a;
	dim3 grid((unsigned)((args.n_rows + WARPS - 1) / WARPS)), block(32 * WARPS);
	if (args.half)
		CUDA_LAUNCH((norms_kernel<bf16>), grid, block, 0, stream, args);
	else
		CUDA_LAUNCH((norms_kernel<float>), grid, block, 0, stream, args);
	return cudaGetLastError();
}
