/* Causal attention of many rows in float32, without tensor cores: the verification mode. The same going over keys, maxima and parts as
 * attention.cu. CPU twin: engine/cpu/attention.c. */
#include "engine/cuda/tile_f32.h"

/* Weighted values of the thread's row: columns quarter, quarter + 4, ... */
template <int D> struct state {
	float out[D / 4];
	float most, sum;
};

/* Scores of the tile become exponentials in shared memory. */
template <int D> __device__ static void soften(state<D> &w, float score[F32_PER_LANE], shared_float exponentials)
{
	int row = (int)threadIdx.x / 4, quarter = (int)threadIdx.x % 4;
	float most = w.most;
	for (int c = 0; c < F32_PER_LANE; c++)
		most = fmaxf(most, score[c]);
	most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
	most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
	float base = most == -INFINITY ? 0.0f : most, factor = power_of_two(w.most - base), sum = 0;
	w.most = most;
	for (int c = 0; c < F32_PER_LANE; c++) {
		float p = power_of_two(score[c] - base);
		sum += p;
		exponentials[row * F32_LD_SCORE + quarter + 4 * c] = p;
	}
	w.sum = w.sum * factor + sum;
#pragma unroll
	for (int i = 0; i < D / 4; i++)
		w.out[i] *= factor;
}

template <int D> __device__ static void multiply_values(state<D> &w, shared_float exponentials, shared_float values, const attention_args &a)
{
	int row = (int)threadIdx.x / 4, quarter = (int)threadIdx.x % 4, ld = f32_ld(a);
	for (int key = 0; key < F32_KEYS; key++) {
		float p = exponentials[row * F32_LD_SCORE + key];
#pragma unroll
		for (int i = 0; i < D / 4; i++)
			if (quarter + 4 * i < a.head_dim)
				w.out[i] += p * values[key * ld + quarter + 4 * i];
	}
}

template <int D> __device__ static void store_row(const state<D> &w, const stack &rows, int s, float sum)
{
	const attention_args &a = rows.a;
	int quarter = (int)threadIdx.x % 4, head = rows.head_of(s), row = rows.row_of(s);
	bool parts = a.n_split > 1;
	size_t part = ((size_t)blockIdx.z * (size_t)a.n_row + (size_t)(s / rows.group)) * (size_t)a.n_head + (size_t)head;
	if (quarter == 0) {
		if (parts)
			a.part[part] = make_float2(w.most, sum);
		else
			a.stat[(size_t)row * (size_t)a.n_head + (size_t)head] = make_float2(w.most, 1.0f / sum);
		if (!parts && !isfinite(sum))
			atomicMax(a.bad, a.layers_left);
	}
	if (!a.out.data)
		return;
	float *out = parts ? a.part_out + part * (size_t)a.head_dim
		: static_cast<float *>(a.out.data) + (size_t)row * (size_t)a.out.ld + (size_t)head * (size_t)a.head_dim;
	float divisor = parts ? 1.0f : sum;
#pragma unroll
	for (int i = 0; i < D / 4; i++)
		if (quarter + 4 * i < a.head_dim)
			out[quarter + 4 * i] = w.out[i] / divisor;
}

template <int D> static __global__ void __launch_bounds__(F32_THREADS) attention_kernel(attention_args a)
{
	cuda_await_previous();
	CUDA_SHARED_DYNAMIC(uint4, pool);
	shared_float queries = CUDA_SHARED_AS(float, pool), keys = queries + F32_ROWS * f32_ld(a), exponentials = keys + F32_KEYS * f32_ld(a);
	stack rows(a, (int)blockIdx.y, nullptr, a.n_row);
	int first = ((int)gridDim.x - 1 - (int)blockIdx.x) * F32_ROWS, own = first + (int)threadIdx.x / 4;
	int last = (first + F32_ROWS < rows.n ? first + F32_ROWS : rows.n) - 1;
	key_range range = part_of(rows.visible(last), (int)blockIdx.z, a.n_split);
	state<D> w = {};
	w.most = -INFINITY;
	f32_load_queries(queries, rows, first);
	for (int key = range.first; key < range.end; key += F32_KEYS) {
		float score[F32_PER_LANE];
		f32_load_keys(keys, a.keys, a, rows.kv_head, key, range.end);
		__syncthreads();
		f32_scores(score, queries, keys, a, rows.visible(own) - key);
		soften<D>(w, score, exponentials);
		__syncthreads();
		if (a.out.data) {
			f32_load_keys(keys, a.values, a, rows.kv_head, key, range.end);
			__syncthreads();
			multiply_values<D>(w, exponentials, keys, a);
			__syncthreads();
		}
	}
	float sum = w.sum + __shfl_xor_sync(0xffffffffu, w.sum, 1);
	sum += __shfl_xor_sync(0xffffffffu, sum, 2);
	if (own < rows.n)
		store_row<D>(w, rows, own, sum);
}

template <int D> static cudaError_t launch(const attention_args *a, cudaStream_t stream)
{
	attention_args args = *a;
	int n = args.n_row * (args.n_head / args.n_kv_head);
	unsigned bytes = f32_shared_bytes(args.head_dim);
	dim3 grid((unsigned)((n + F32_ROWS - 1) / F32_ROWS), (unsigned)args.n_kv_head, (unsigned)args.n_split);
	cudaError_t rc = cudaFuncSetAttribute((const void *)attention_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
	if (rc)
		return rc;
	CUDA_LAUNCH((attention_kernel<D>), grid, dim3(F32_THREADS), bytes, stream, args);
	return cudaGetLastError();
}

cudaError_t cuda_attention_f32(const attention_args *a, cudaStream_t stream)
{
	if (a->head_dim <= 64)
		return launch<64>(a, stream);
	if (a->head_dim <= 128)
		return launch<128>(a, stream);
	return a->head_dim <= 256 ? launch<256>(a, stream) : cudaErrorInvalidValue;
}
