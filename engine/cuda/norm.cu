/* RMSNorm of rows (Zhang and Sennrich, arXiv 1910.07467), one block a row. CPU twin: simd_rows' rmsnorm. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { NORM_THREADS = 256 };

/* Four at once where rows allow it. */
template <class T, bool FOURS> static __global__ void __launch_bounds__(NORM_THREADS) norm_kernel(norm_args a)
{
	cuda_await_previous();
	CUDA_SHARED(float, part, NORM_THREADS / 32);
	int row = (int)blockIdx.x, thread = (int)threadIdx.x, n = FOURS ? a.n / 4 : a.n;
	const float *in = static_cast<const float *>(a.in.data) + (size_t)row * (size_t)a.in.ld;
	T *out = static_cast<T *>(a.out.data) + (size_t)row * (size_t)a.out.ld;
	float square = 0;
#pragma unroll 4
	for (int i = thread; i < n; i += NORM_THREADS) {
		if (FOURS) {
			float4 x = reinterpret_cast<const float4 *>(in)[i];
			square += x.x * x.x + x.y * x.y + x.z * x.z + x.w * x.w;
		} else {
			square += in[i] * in[i];
		}
	}
	square = warp_sum(square);
	if (thread % 32 == 0)
		part[thread / 32] = square;
	__syncthreads();
	float total = 0;
	for (int i = 0; i < NORM_THREADS / 32; i++)
		total += part[i];
	float factor = 1.0f / sqrtf(total / (float)a.n + a.eps);
#pragma unroll 4
	for (int i = thread; i < n; i += NORM_THREADS) {
		if (FOURS) {
			float4 x = reinterpret_cast<const float4 *>(in)[i], gain = reinterpret_cast<const float4 *>(a.gain)[i];
			store_four(out + 4 * i, make_float4(x.x * factor * gain.x, x.y * factor * gain.y, x.z * factor * gain.z, x.w * factor * gain.w));
		} else {
			out[i] = from_float<T>(in[i] * factor * a.gain[i]);
		}
	}
}

template <class T> static void launch(const norm_args &args, cudaStream_t stream)
{
	bool fours = args.n % 4 == 0 && args.in.ld % 4 == 0 && args.out.ld % 4 == 0;
	if (fours)
		CUDA_LAUNCH((norm_kernel<T, true>), dim3((unsigned)args.n_rows), dim3(NORM_THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((norm_kernel<T, false>), dim3((unsigned)args.n_rows), dim3(NORM_THREADS), 0, stream, args);
}

cudaError_t cuda_norm(const norm_args *a, cudaStream_t stream)
{
	if (a->out.half)
		launch<bf16>(*a, stream);
	else
		launch<float>(*a, stream);
	return cudaGetLastError();
}
