/* Column sums of captured rows (engine/engine.h) on tensor cores, a second time over the keys for these rows alone: scores again, to the bit
 * as attention.cu had them, and with the row's maximum and sum they are probabilities. CPU twin: engine/cpu/capture.c.
 *
 * A block has one KV head and one part of the keys; it takes the captured rows a tile after the other. */
#include "engine/cuda/capture.h"
#include "engine/cuda/tile_rows.h"

enum { LD_P = TILE_KEYS + 8 }; /* pairs of neighbours of four rows then lie in different banks */

template <int D, int M> struct shape {
	enum { ROWS = TILE_WARPS * M * 16, LD = D + TILE_PAD };
	static unsigned shared_bytes()
	{
		return (unsigned)((ROWS + TILE_KEYS) * LD * (int)sizeof(bf16) + ROWS * LD_P * (int)sizeof(float));
	}
};

/* Probabilities of a warp's rows against the tile, into shared memory; their sums grow by this lane's. */
template <int D, int M>
__device__ static void find_probabilities(const capture_args &a, const stack &rows, int first, int key, shared_bf16 queries, shared_bf16 keys,
	CUDA_SHARED_OF(float) p, float sum[M][2])
{
	int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4, warp_row = (int)threadIdx.x / 32 * M * 16;
	float score[M][TILE_SCORES][4];
	CUDA_SHARED_OF(float2) pairs = CUDA_SHARED_AS(float2, p);
	tile_scores<D, M>(score, queries, keys, warp_row);
#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int r = 0; r < 2; r++) {
			int own = warp_row + 16 * m + 8 * r + g, seen = rows.visible(first + own) - key - 2 * t;
			float2 stat = stat_of(a, rows, first + own);
#pragma unroll
			for (int j = 0; j < TILE_SCORES; j++) {
				float one = 8 * j < seen ? power_of_two(score[m][j][2 * r] - stat.x) * stat.y : 0.0f;
				float other = 8 * j + 1 < seen ? power_of_two(score[m][j][2 * r + 1] - stat.x) * stat.y : 0.0f;
				sum[m][r] += one + other;
				pairs[(own * LD_P + 8 * j + 2 * t) / 2] = make_float2(one, other);
			}
		}
}

/* Sums of the rows in this block's part of the keys: a row lies in four lanes. */
template <int M> __device__ static void store_checks(const capture_args &a, const stack &rows, int first, const float sum[M][2])
{
	int lane = (int)threadIdx.x % 32, warp_row = (int)threadIdx.x / 32 * M * 16;
	for (int m = 0; m < M; m++)
		for (int r = 0; r < 2; r++) {
			int s = first + warp_row + 16 * m + 8 * r + lane / 4;
			float all = sum[m][r] + __shfl_xor_sync(0xffffffffu, sum[m][r], 1);
			all += __shfl_xor_sync(0xffffffffu, all, 2);
			if (s < rows.n && lane % 4 == 0)
				*check_at(a, rows, s) = all;
		}
}

template <int D, int M, bool WHOLE> static __global__ void __launch_bounds__(TILE_THREADS, 2) capture_kernel(capture_args a)
{
	cuda_await_previous();
	enum { ROWS = shape<D, M>::ROWS, LD = shape<D, M>::LD };
	CUDA_SHARED_DYNAMIC(uint4, pool);
	CUDA_SHARED(unsigned, wanted, ROWS);
	shared_bf16 queries = CUDA_SHARED_AS(bf16, pool), keys = queries + ROWS * LD;
	CUDA_SHARED_OF(float) p = CUDA_SHARED_AS(float, pool) + (ROWS + TILE_KEYS) * LD / 2;
	stack rows(a.attention, (int)blockIdx.y, a.row, a.n_captured);
	key_range range = part_of(rows.visible(rows.n - 1), (int)blockIdx.x, (int)gridDim.x);
	for (int first = 0; first < rows.n; first += ROWS) {
		float sum[M][2] = {};
		int n = rows.n - first < ROWS ? rows.n - first : ROWS;
		if (range.first < range.end)
			tile_load_cache<D, WHOLE>(keys, a.attention.keys, a.attention, rows.kv_head, range.first, range.end);
		tile_load_queries<D, ROWS, WHOLE>(queries, rows, first);
		find_wanted(a, rows, first, n, wanted);
		for (int key = range.first; key < range.end; key += TILE_KEYS) {
			int n_key = range.end - key < TILE_KEYS ? range.end - key : TILE_KEYS;
			tile_copy_wait<0>();
			__syncthreads(); /* the keys are here, and nobody reads the last tile's probabilities any more */
			find_probabilities<D, M>(a, rows, first, key, queries, keys, p, sum);
			__syncthreads(); /* the probabilities are here, and nobody reads the keys any more */
			if (key + TILE_KEYS < range.end)
				tile_load_cache<D, WHOLE>(keys, a.attention.keys, a.attention, rows.kv_head, key + TILE_KEYS, range.end);
			add_columns(a, rows, {first, n, key, n_key}, p, LD_P, wanted);
		}
		store_checks<M>(a, rows, first, sum);
		__syncthreads(); /* nobody reads this tile's captures any more */
	}
}

template <int D, int M, bool WHOLE> static cudaError_t launch(const capture_args *a, cudaStream_t stream)
{
	capture_args args = *a;
	unsigned bytes = shape<D, M>::shared_bytes();
	cudaError_t rc = cudaFuncSetAttribute((const void *)capture_kernel<D, M, WHOLE>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
	if (rc)
		return rc;
	CUDA_LAUNCH((capture_kernel<D, M, WHOLE>), dim3((unsigned)args.n_span, (unsigned)args.attention.n_kv_head), dim3(TILE_THREADS), bytes, stream, args);
	return cudaGetLastError();
}

cudaError_t cuda_capture_half(const capture_args *a, cudaStream_t stream)
{
	if (a->attention.head_dim > 256)
		return cudaErrorInvalidValue;
	if (a->attention.head_dim % 8)
		return launch<256, 1, false>(a, stream);
	if (a->attention.head_dim <= 32)
		return launch<32, 2, true>(a, stream);
	if (a->attention.head_dim <= 64)
		return launch<64, 2, true>(a, stream);
	if (a->attention.head_dim <= 96)
		return launch<96, 2, true>(a, stream);
	if (a->attention.head_dim <= 128)
		return launch<128, 2, true>(a, stream);
	return launch<256, 1, true>(a, stream);
}
