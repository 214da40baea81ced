/* Tiles of scores in float32, for the verification mode: 32 stacked rows against 32 keys by 128 threads. Device code.
 *
 * Thread 4 r + q has row r: columns q, q + 4, ... of its scores and of its weighted values, so a row lies in four lanes.
 */
#ifndef KVGLASS_ENGINE_CUDA_TILE_F32_H
#define KVGLASS_ENGINE_CUDA_TILE_F32_H

#include "engine/cuda/rows.h"

enum { F32_THREADS = 128, F32_ROWS = 32, F32_KEYS = 32, F32_PER_LANE = F32_KEYS / 4, F32_LD_SCORE = F32_KEYS + 1 };

typedef CUDA_SHARED_OF(float) shared_float;

/* Rows are head_dim + 1 apart, so that lanes of different rows meet different banks. */
__device__ inline int f32_ld(const attention_args &a)
{
	return a.head_dim + 1;
}

__device__ inline void f32_load_queries(shared_float tile, const stack &rows, int first)
{
	int d = rows.a.head_dim;
	float factor = query_factor(d);
	for (int i = (int)threadIdx.x; i < F32_ROWS * d; i += F32_THREADS) {
		int s = first + i / d;
		tile[i / d * f32_ld(rows.a) + i % d] = s < rows.n ? rows.query(s)[i % d] * factor : 0.0f;
	}
}

__device__ inline void f32_load_keys(shared_float tile, const void *cache, const attention_args &a, int kv_head, int first, int end)
{
	int d = a.head_dim;
	for (int i = (int)threadIdx.x; i < F32_KEYS * d; i += F32_THREADS) {
		int key = first + i / d;
		tile[i / d * f32_ld(a) + i % d] = key < end ? cache_row<float>(cache, a, kv_head, key)[i % d] : 0.0f;
	}
}

/* Scores of the thread's row, -infinity where it does not see the key. */
__device__ inline void f32_scores(float score[F32_PER_LANE], shared_float queries, shared_float keys, const attention_args &a, int n_seen)
{
	int row = (int)threadIdx.x / 4, quarter = (int)threadIdx.x % 4, ld = f32_ld(a);
	for (int c = 0; c < F32_PER_LANE; c++)
		score[c] = 0;
	for (int k = 0; k < a.head_dim; k++) {
		float q = queries[row * ld + k];
		for (int c = 0; c < F32_PER_LANE; c++)
			score[c] += q * keys[(quarter + 4 * c) * ld + k];
	}
	for (int c = 0; c < F32_PER_LANE; c++)
		if (quarter + 4 * c >= n_seen)
			score[c] = -INFINITY;
}

inline unsigned f32_shared_bytes(int head_dim)
{
	return (unsigned)(((F32_ROWS + F32_KEYS) * (head_dim + 1) + F32_ROWS * F32_LD_SCORE) * (int)sizeof(float));
}

#endif
