/* RMSNorm of rows (Zhang and Sennrich, arXiv 1910.07467), one block a row. CPU twin: simd_rows' rmsnorm. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { NORM_THREADS = 256 };

template <class T> static __global__ void norm_kernel(norm_args a)
{
	CUDA_SHARED(float, part, NORM_THREADS / 32);
	int row = (int)blockIdx.x, thread = (int)threadIdx.x;
	const float *in = static_cast<const float *>(a.in.data) + (size_t)row * (size_t)a.in.ld;
	T *out = static_cast<T *>(a.out.data) + (size_t)row * (size_t)a.out.ld;
	float square = 0;
	for (int i = thread; i < a.n; i += NORM_THREADS)
		square += in[i] * in[i];
	square = warp_sum(square);
	if (thread % 32 == 0)
		part[thread / 32] = square;
	__syncthreads();
	float total = 0;
	for (int i = 0; i < NORM_THREADS / 32; i++)
		total += part[i];
	float factor = 1.0f / sqrtf(total / (float)a.n + a.eps);
	for (int i = thread; i < a.n; i += NORM_THREADS)
		out[i] = from_float<T>(in[i] * factor * a.gain[i]);
}

cudaError_t cuda_norm(const norm_args *a, cudaStream_t stream)
{
	norm_args args = *a;
	if (args.out.half)
		CUDA_LAUNCH((norm_kernel<bf16>), dim3((unsigned)args.n_rows), dim3(NORM_THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((norm_kernel<float>), dim3((unsigned)args.n_rows), dim3(NORM_THREADS), 0, stream, args);
	return cudaGetLastError();
}
