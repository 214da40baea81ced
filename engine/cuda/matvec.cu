/* Products of a few rows with stored matrices: every weight is read once, at full width, and that is the whole cost of decoding. CPU
 * twin: the sweeps of engine/cpu/matmul.c.
 *
 * A warp has two outputs, neighbours or a pair of gate and up; its lanes take eight inputs each, 256 apart. UNROLL times that many weights
 * are always under way, 128 bytes of bfloat16 a lane: as soon as eight of them are used the eight that come UNROLL steps later are asked
 * for. The first are asked for before the kernel that makes the inputs has ended.
 */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { WARPS = 4, OUTPUTS = 2, UNROLL = 4, STEP = 32 * 8 };

template <class T, int ROWS> struct sums {
	float at[OUTPUTS][ROWS];
};

/* Weights of a warp's outputs from input `at` on, on their way. */
template <class T> struct stretch {
	eight<T> w[OUTPUTS];
};

template <class T, bool WHOLE> __device__ static void ask(stretch<T> &out, const matvec_args &a, const T *const weight[OUTPUTS], int at)
{
	if (WHOLE && at < a.n_in)
		for (int o = 0; o < OUTPUTS; o++)
			out.w[o] = stream_eight(weight[o] + at);
}

template <class T, int ROWS, bool WHOLE>
__device__ static void add_products(sums<T, ROWS> &sum, const matvec_args &a, const stretch<T> &from, const T *const weight[OUTPUTS], int at)
{
	float w[OUTPUTS][8], x[8];
	int n = a.n_in - at;
	for (int o = 0; o < OUTPUTS; o++)
		if (WHOLE)
			unpack_eight(from.w[o], w[o]);
		else
			load_some(weight[o] + at, n, w[o]);
#pragma unroll
	for (int row = 0; row < ROWS; row++) {
		if (row >= a.n_rows)
			continue;
		const T *in = static_cast<const T *>(a.in.data) + (size_t)row * (size_t)a.in.ld + at;
		if (WHOLE)
			load_eight(in, x);
		else
			load_some(in, n, x);
		for (int o = 0; o < OUTPUTS; o++)
			for (int i = 0; i < 8; i++)
				sum.at[o][row] += w[o][i] * x[i];
	}
}

__device__ static void store(const matvec_args &a, int row, int output, float value)
{
	size_t at = (size_t)row * (size_t)a.out.ld + (size_t)output;
	if (a.out.half) {
		bf16 *out = static_cast<bf16 *>(a.out.data) + at;
		*out = from_float<bf16>(a.add ? to_float(*out) + value : value);
	} else {
		float *out = static_cast<float *>(a.out.data) + at;
		*out = a.add ? *out + value : value;
	}
}

template <class T, int ROWS>
__device__ static void finish(const matvec_args &a, const int output[OUTPUTS], sums<T, ROWS> &sum)
{
	int lane = (int)threadIdx.x % 32;
#pragma unroll
	for (int row = 0; row < ROWS; row++) {
		float value[OUTPUTS];
		for (int o = 0; o < OUTPUTS; o++) {
			value[o] = warp_sum(sum.at[o][row]);
			if (a.bias && output[o] < a.n_out)
				value[o] += a.bias[output[o]];
		}
		if (lane || row >= a.n_rows || output[0] >= a.n_out)
			continue;
		if (a.swiglu) {
			store(a, row, output[0], silu(value[0]) * value[1]);
			continue;
		}
		for (int o = 0; o < OUTPUTS; o++)
			if (output[o] < a.n_out)
				store(a, row, output[o], value[o]);
	}
}

template <class T, int ROWS, bool WHOLE> static __global__ void __launch_bounds__(32 * WARPS) matvec_kernel(matvec_args a)
{
	int warp = (int)blockIdx.x * WARPS + (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, pairs = a.n_out / 2;
	int output[OUTPUTS] = {warp * OUTPUTS, warp * OUTPUTS + 1};
	if (a.swiglu) {
		output[0] = warp < pairs ? warp : a.n_out;
		output[1] = warp + pairs;
	}
	const T *weight[OUTPUTS];
	for (int o = 0; o < OUTPUTS; o++) /* the spare outputs of the last warp do the first one's work and throw it away */
		weight[o] = static_cast<const T *>(a.weight) + (size_t)(output[o] < a.n_out ? output[o] : 0) * (size_t)a.n_in;
	sums<T, ROWS> sum = {};
	stretch<T> under_way[UNROLL];
	int begin = lane * 8;
#pragma unroll
	for (int u = 0; u < UNROLL; u++)
		ask<T, WHOLE>(under_way[u], a, weight, begin + u * STEP);
	cuda_await_previous();
	for (; begin < a.n_in; begin += UNROLL * STEP) {
#pragma unroll
		for (int u = 0; u < UNROLL; u++) {
			int at = begin + u * STEP;
			if (at < a.n_in)
				add_products<T, ROWS, WHOLE>(sum, a, under_way[u], weight, at);
			ask<T, WHOLE>(under_way[u], a, weight, at + UNROLL * STEP);
		}
	}
	finish<T, ROWS>(a, output, sum);
}

template <class T, int ROWS, bool WHOLE> static void launch(const matvec_args &args, cudaStream_t stream)
{
	int outputs = WARPS * (args.swiglu ? 1 : OUTPUTS), n = args.swiglu ? args.n_out / 2 : args.n_out;
	dim3 grid((unsigned)((n + outputs - 1) / outputs)), block(32 * WARPS);
	CUDA_LAUNCH((matvec_kernel<T, ROWS, WHOLE>), grid, block, 0, stream, args);
}

/* Rows that are no whole eights are nobody's model: one kernel serves them. */
template <class T> static void launch_rows(const matvec_args &args, cudaStream_t stream)
{
	if (args.n_in % 8 || args.in.ld % 8)
		launch<T, MATVEC_ROWS, false>(args, stream);
	else if (args.n_rows == 1)
		launch<T, 1, true>(args, stream);
	else if (args.n_rows <= 4)
		launch<T, 4, true>(args, stream);
	else
		launch<T, MATVEC_ROWS, true>(args, stream);
}

cudaError_t cuda_matvec(const matvec_args *a, cudaStream_t stream)
{
	if (a->half)
		launch_rows<bf16>(*a, stream);
	else
		launch_rows<float>(*a, stream);
	return cudaGetLastError();
}
