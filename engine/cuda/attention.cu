/* Causal attention of many rows on tensor cores, after Dao (FlashAttention-2, arXiv 2307.08691). CPU twin: engine/cpu/attention.c.
 *
 * A block has 64 or 128 stacked rows (rows.h) of one KV head and goes over the keys in tiles of 64 with a running maximum and sum a row;
 * nothing of size rows x keys is stored. Each of its four warps has whole rows, so scores stay in registers: a row lies in four lanes.
 * While scores are computed the values are on their way, while they are softened and multiplied the next tile of keys.
 *
 * Queries, keys, values and exponentials are bfloat16 in the products; maxima, sums and weighted values are float32.
 */
#include "engine/cuda/tile_rows.h"

/* D: head_dim rounded up, the rest is zeros. M: tiles of 16 rows that a warp has. */
template <int D, int M> struct shape {
	enum { ROWS = TILE_WARPS * M * 16, LD = D + TILE_PAD };
	static unsigned shared_bytes()
	{
		return (unsigned)((ROWS + 2 * TILE_KEYS) * LD * (int)sizeof(bf16));
	}
};

/* What a warp keeps of its M x 16 rows; lane 4 g + t has rows g and g + 8 of each 16, [m][0] and [m][1]. */
template <int D, int M> struct state {
	float score[M][TILE_SCORES][4];
	float out[M][D / 8][4];
	float most[M][2], sum[M][2];
};

/* Scores of keys that a row does not see become -infinity. first: the warp's first row, key: the tile's first. Only the last tiles come
 * here, so what a row sees is found again and not kept in a register. */
template <int D, int M> __device__ static void mask(state<D, M> &w, const stack &rows, int first, int key)
{
	int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int r = 0; r < 2; r++) {
			int seen = rows.visible(first + 16 * m + 8 * r + g) - key - 2 * t;
#pragma unroll
			for (int j = 0; j < TILE_SCORES; j++)
#pragma unroll
				for (int i = 0; i < 2; i++)
					if (8 * j + i >= seen)
						w.score[m][j][2 * r + i] = -INFINITY;
		}
}

__device__ static float quad_max(float x)
{
	x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
	return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

__device__ static float quad_sum(float x)
{
	x += __shfl_xor_sync(0xffffffffu, x, 1);
	return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

/* Scores of one row become exponentials against its new maximum; what was summed before is to be scaled by the factor that is returned. */
template <int D, int M> __device__ static float soften_row(state<D, M> &w, int m, int r)
{
	float most = w.most[m][r], sum = 0;
#pragma unroll
	for (int j = 0; j < TILE_SCORES; j++)
		most = fmaxf(most, fmaxf(w.score[m][j][2 * r], w.score[m][j][2 * r + 1]));
	most = quad_max(most);
	float base = most == -INFINITY ? 0.0f : most, factor = power_of_two(w.most[m][r] - base);
	w.most[m][r] = most;
#pragma unroll
	for (int j = 0; j < TILE_SCORES; j++)
#pragma unroll
		for (int i = 2 * r; i < 2 * r + 2; i++) {
			w.score[m][j][i] = power_of_two(w.score[m][j][i] - base);
			sum += w.score[m][j][i];
		}
	w.sum[m][r] = w.sum[m][r] * factor + sum;
	return factor;
}

/* The longer the prompt, the more seldom a tile has a row's largest score: then there is nothing to scale. */
template <int D, int M> __device__ static void soften(state<D, M> &w)
{
#pragma unroll
	for (int m = 0; m < M; m++) {
		float upper = soften_row<D, M>(w, m, 0), lower = soften_row<D, M>(w, m, 1);
		if (!__any_sync(0xffffffffu, upper != 1 || lower != 1))
			continue;
#pragma unroll
		for (int k = 0; k < D / 8; k++)
#pragma unroll
			for (int i = 0; i < 4; i++)
				w.out[m][k][i] *= i < 2 ? upper : lower;
	}
}

/* The exponentials of two neighbouring tiles, packed, are a fragment of 16 keys. */
template <int D, int M> __device__ static void multiply_values(state<D, M> &w, shared_bf16 values)
{
	enum { LD = D + TILE_PAD };
#pragma unroll
	for (int j = 0; j < TILE_SCORES; j += 2) {
		unsigned a[M][4], b[4];
#pragma unroll
		for (int m = 0; m < M; m++)
#pragma unroll
			for (int i = 0; i < 4; i++)
				a[m][i] = pack_bf16(w.score[m][j + i / 2][i % 2 * 2], w.score[m][j + i / 2][i % 2 * 2 + 1]);
#pragma unroll
		for (int k = 0; k < D / 8; k += 2) {
			tile_load_b_transposed(b, values, LD, 8 * j, 8 * k);
			for (int m = 0; m < M; m++) {
				tile_multiply(w.out[m][k], a[m], b);
				tile_multiply(w.out[m][k + 1], a[m], b + 2);
			}
		}
	}
}

/* A row's weighted values, or its part of them with maximum and sum. */
template <int D, int M> __device__ static void store_row(const state<D, M> &w, const stack &rows, int s, int m, int r, float sum)
{
	const attention_args &a = rows.a;
	int t = (int)threadIdx.x % 4, head = rows.head_of(s), row = rows.row_of(s);
	bool parts = a.n_split > 1;
	size_t part = ((size_t)blockIdx.z * (size_t)a.n_row + (size_t)(s / rows.group)) * (size_t)a.n_head + (size_t)head;
	if (t == 0) {
		if (parts)
			a.part[part] = make_float2(w.most[m][r], sum);
		else
			a.stat[(size_t)row * (size_t)a.n_head + (size_t)head] = make_float2(w.most[m][r], 1.0f / sum);
		if (!parts && !isfinite(sum))
			atomicMax(a.bad, a.layers_left);
	}
	if (!a.out.data)
		return;
	bf16 *out = static_cast<bf16 *>(a.out.data) + (size_t)row * (size_t)a.out.ld + (size_t)head * (size_t)a.head_dim;
	float *part_out = a.part_out + part * (size_t)a.head_dim;
#pragma unroll
	for (int k = 0; k < D / 8; k++) {
		int column = 8 * k + 2 * t;
		if (column >= a.head_dim)
			continue;
		float first = w.out[m][k][2 * r], second = w.out[m][k][2 * r + 1];
		if (parts)
			*reinterpret_cast<float2 *>(part_out + column) = make_float2(first, second);
		else
			*reinterpret_cast<unsigned *>(out + column) = pack_bf16(first / sum, second / sum);
	}
}

template <int D, int M> __device__ static void begin_rows(state<D, M> &w)
{
	for (int m = 0; m < M; m++) {
		for (int r = 0; r < 2; r++) {
			w.most[m][r] = -INFINITY;
			w.sum[m][r] = 0;
		}
		for (int k = 0; k < D / 8; k++)
			for (int i = 0; i < 4; i++)
				w.out[m][k][i] = 0;
	}
}

template <int D, int M> __device__ static void finish_rows(state<D, M> &w, const stack &rows, int first)
{
	int g = (int)threadIdx.x % 32 / 4;
#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int r = 0; r < 2; r++) {
			int s = first + 16 * m + 8 * r + g;
			float sum = quad_sum(w.sum[m][r]);
			if (s < rows.n)
				store_row<D, M>(w, rows, s, m, r, sum);
		}
}

template <int D, int M, bool WHOLE> static __global__ void __launch_bounds__(32 * TILE_WARPS) attention_kernel(attention_args a)
{
	cuda_await_previous();
	enum { ROWS = shape<D, M>::ROWS, LD = shape<D, M>::LD };
	CUDA_SHARED_DYNAMIC(uint4, pool);
	shared_bf16 queries = CUDA_SHARED_AS(bf16, pool), keys = queries + ROWS * LD, values = keys + TILE_KEYS * LD;
	stack rows(a, (int)blockIdx.y, nullptr, a.n_row);
	int first = ((int)gridDim.x - 1 - (int)blockIdx.x) * ROWS; /* the longest first */
	int last = (first + ROWS < rows.n ? first + ROWS : rows.n) - 1, warp_row = (int)threadIdx.x / 32 * M * 16;
	key_range range = part_of(rows.visible(last), (int)blockIdx.z, a.n_split);
	int seen_by_all = rows.visible(first) < range.end ? rows.visible(first) : range.end;
	bool wants_values = a.out.data != nullptr;
	state<D, M> w;
	begin_rows<D, M>(w);
	if (range.first < range.end)
		tile_load_cache<D, WHOLE>(keys, a.keys, a, rows.kv_head, range.first, range.end);
	tile_load_queries<D, shape<D, M>::ROWS, WHOLE>(queries, rows, first);
	for (int key = range.first; key < range.end; key += TILE_KEYS) {
		tile_copy_wait<0>();
		__syncthreads(); /* the keys are here, and nobody reads the last tile's values any more */
		if (wants_values)
			tile_load_cache<D, WHOLE>(values, a.values, a, rows.kv_head, key, range.end);
		tile_scores<D, M>(w.score, queries, keys, warp_row);
		if (key + TILE_KEYS > seen_by_all)
			mask<D, M>(w, rows, first + warp_row, key);
		tile_copy_wait<0>();
		__syncthreads(); /* the values are here, and nobody reads the keys any more */
		if (key + TILE_KEYS < range.end)
			tile_load_cache<D, WHOLE>(keys, a.keys, a, rows.kv_head, key + TILE_KEYS, range.end);
		soften<D, M>(w);
		if (wants_values)
			multiply_values<D, M>(w, values);
	}
	finish_rows<D, M>(w, rows, first + warp_row);
}

template <int D, int M, bool WHOLE> static cudaError_t launch(const attention_args *a, cudaStream_t stream)
{
	attention_args args = *a;
	int n = args.n_row * (args.n_head / args.n_kv_head), rows = shape<D, M>::ROWS;
	unsigned bytes = shape<D, M>::shared_bytes();
	dim3 grid((unsigned)((n + rows - 1) / rows), (unsigned)args.n_kv_head, (unsigned)args.n_split);
	cudaError_t rc = cudaFuncSetAttribute((const void *)attention_kernel<D, M, WHOLE>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
	if (rc)
		return rc;
	CUDA_LAUNCH((attention_kernel<D, M, WHOLE>), grid, dim3(32 * TILE_WARPS), bytes, stream, args);
	return cudaGetLastError();
}

cudaError_t cuda_attention_half(const attention_args *a, cudaStream_t stream)
{
	if (a->head_dim > 256)
		return cudaErrorInvalidValue;
	if (a->head_dim % 8)
		return launch<256, 1, false>(a, stream);
	if (a->head_dim <= 32)
		return launch<32, 2, true>(a, stream);
	if (a->head_dim <= 64)
		return launch<64, 2, true>(a, stream);
	if (a->head_dim <= 96)
		return launch<96, 2, true>(a, stream);
	if (a->head_dim <= 128)
		return launch<128, 2, true>(a, stream);
	return launch<256, 1, true>(a, stream);
}
