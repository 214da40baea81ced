/* Column sums of captured rows (engine/engine.h) on tensor cores, a second time over the keys for these rows alone: scores again, to the bit
 * as attention.cu had them, and with the row's maximum and sum they are probabilities. CPU twin: engine/cpu/capture.c.
 *
 * A block has one KV head and one part of the keys; it takes the captured rows a tile after the other. */
#include "engine/cuda/capture.h"
#include "engine/cuda/tile_rows.h"

enum { LD_P = TILE_KEYS + 1 };

template <int D, int M> struct shape {
	enum { ROWS = TILE_WARPS * M * 16, LD = D + TILE_PAD };
	static unsigned shared_bytes()
	{
		return (unsigned)((ROWS + TILE_KEYS) * LD * (int)sizeof(bf16) + ROWS * LD_P * (int)sizeof(float));
	}
};

/* Probabilities of a warp's rows against the tile, into shared memory. */
template <int D, int M>
__device__ static void find_probabilities(const capture_args &a, const stack &rows, int first, int key, shared_bf16 queries, shared_bf16 keys,
	CUDA_SHARED_OF(float) p)
{
	int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4, warp_row = (int)threadIdx.x / 32 * M * 16;
	float score[M][TILE_SCORES][4];
	tile_scores<D, M>(score, queries, keys, warp_row);
#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int r = 0; r < 2; r++) {
			int own = warp_row + 16 * m + 8 * r + g, seen = rows.visible(first + own) - key;
			float2 stat = stat_of(a, rows, first + own);
#pragma unroll
			for (int j = 0; j < TILE_SCORES; j++)
				for (int i = 0; i < 2; i++) {
					int column = 8 * j + 2 * t + i;
					p[own * LD_P + column] = column < seen ? exp2f(score[m][j][2 * r + i] - stat.x) * stat.y : 0.0f;
				}
		}
}

template <int D, int M> static __global__ void __launch_bounds__(TILE_THREADS) capture_kernel(capture_args a)
{
	enum { ROWS = shape<D, M>::ROWS, LD = shape<D, M>::LD };
	CUDA_SHARED_DYNAMIC(uint4, pool);
	shared_bf16 queries = CUDA_SHARED_AS(bf16, pool), keys = queries + ROWS * LD;
	CUDA_SHARED_OF(float) p = CUDA_SHARED_AS(float, pool) + (ROWS + TILE_KEYS) * LD / 2;
	stack rows(a.attention, (int)blockIdx.y, a.row, a.n_captured);
	key_range range = part_of(rows.visible(rows.n - 1), (int)blockIdx.x, (int)gridDim.x);
	int thread = (int)threadIdx.x;
	for (int first = 0; first < rows.n; first += ROWS) {
		float sum = 0;
		int n = rows.n - first < ROWS ? rows.n - first : ROWS;
		__syncthreads();
		tile_load_queries<D, ROWS>(queries, rows, first);
		for (int key = range.first; key < range.end; key += TILE_KEYS) {
			int n_key = range.end - key < TILE_KEYS ? range.end - key : TILE_KEYS;
			tile_load_cache<D>(keys, a.attention.keys, a.attention, rows.kv_head, key, range.end);
			tile_copy_wait<0>();
			__syncthreads();
			find_probabilities<D, M>(a, rows, first, key, queries, keys, p);
			__syncthreads();
			for (int j = 0; thread < n && j < n_key; j++)
				sum += p[thread * LD_P + j];
			add_columns(a, rows, {first, n, key, n_key}, p, LD_P);
		}
		if (thread < n)
			*check_at(a, rows, first + thread) = sum;
	}
}

template <int D, int M> static cudaError_t launch(const capture_args *a, cudaStream_t stream)
{
	capture_args args = *a;
	unsigned bytes = shape<D, M>::shared_bytes();
	cudaError_t rc = cudaFuncSetAttribute((const void *)capture_kernel<D, M>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
	if (rc)
		return rc;
	CUDA_LAUNCH((capture_kernel<D, M>), dim3((unsigned)args.n_span, (unsigned)args.attention.n_kv_head), dim3(TILE_THREADS), bytes, stream, args);
	return cudaGetLastError();
}

cudaError_t cuda_capture_half(const capture_args *a, cudaStream_t stream)
{
	if (a->attention.head_dim <= 32)
		return launch<32, 2>(a, stream);
	if (a->attention.head_dim <= 64)
		return launch<64, 2>(a, stream);
	if (a->attention.head_dim <= 96)
		return launch<96, 2>(a, stream);
	if (a->attention.head_dim <= 128)
		return launch<128, 2>(a, stream);
	return a->attention.head_dim <= 256 ? launch<256, 1>(a, stream) : cudaErrorInvalidValue;
}
