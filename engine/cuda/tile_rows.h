/* Stacked rows and keys as tiles for the tensor cores: what attention.cu and capture.cu both do, so that a score is the same to the bit in
 * both. Device code.
 *
 * D is head_dim rounded up, the rest zeros; a block has TILE_WARPS warps with M tiles of 16 rows each, and meets TILE_KEYS keys at once.
 */
#ifndef KVGLASS_ENGINE_CUDA_TILE_ROWS_H
#define KVGLASS_ENGINE_CUDA_TILE_ROWS_H

#include "engine/cuda/rows.h"
#include "engine/cuda/tile.h"

enum {
	TILE_WARPS = 4,
	TILE_THREADS = 32 * TILE_WARPS,
	TILE_KEYS = ATTENTION_KEYS,
	TILE_SCORES = TILE_KEYS / 8, /* D fragments of a row of scores */
	TILE_PAD = 8,                /* elements behind every row in shared memory: eight rows then lie in different banks */
};

/* Rows first .. first + TILE_KEYS - 1 of the cache into a tile, zeros from `end` on. */
template <int D>
__device__ inline void tile_load_cache(shared_bf16 tile, const void *cache, const attention_args &a, int kv_head, int first, int end)
{
	enum { LD = D + TILE_PAD, WORDS = D / 8 };
	if (a.head_dim % 8 == 0) {
		shared_uint4 words = CUDA_SHARED_AS(uint4, tile);
		for (int i = (int)threadIdx.x; i < TILE_KEYS * WORDS; i += TILE_THREADS) {
			int row = i / WORDS, word = i % WORDS;
			bool valid = first + row < end && word * 8 < a.head_dim;
			const bf16 *from = cache_row<bf16>(cache, a, kv_head, valid ? first + row : first) + (valid ? word * 8 : 0);
			tile_copy(words, row * (LD / 8) + word, reinterpret_cast<const uint4 *>(from), valid);
		}
	} else {
		for (int i = (int)threadIdx.x; i < TILE_KEYS * D; i += TILE_THREADS) {
			int row = i / D, column = i % D;
			bool valid = first + row < end && column < a.head_dim;
			tile[row * LD + column] = valid ? cache_row<bf16>(cache, a, kv_head, first + row)[column] : from_float<bf16>(0);
		}
	}
	tile_copy_commit();
}

template <int D, int ROWS>
__device__ inline void tile_load_queries(shared_bf16 tile, const stack &rows, int first)
{
	enum { LD = D + TILE_PAD };
	float factor = query_factor(rows.a.head_dim);
	for (int i = (int)threadIdx.x; i < ROWS * D; i += TILE_THREADS) {
		int s = first + i / D, column = i % D;
		bool valid = s < rows.n && column < rows.a.head_dim;
		tile[i / D * LD + column] = from_float<bf16>(valid ? rows.query(s)[column] * factor : 0.0f);
	}
}

/* Scores of a warp's rows against a tile of keys. */
template <int D, int M>
__device__ inline void tile_scores(float score[M][TILE_SCORES][4], shared_bf16 queries, shared_bf16 keys, int warp_row)
{
	enum { LD = D + TILE_PAD };
#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int j = 0; j < TILE_SCORES; j++)
#pragma unroll
			for (int i = 0; i < 4; i++)
				score[m][j][i] = 0;
#pragma unroll
	for (int k = 0; k < D; k += 16) {
		unsigned a[M][4], b[4];
#pragma unroll
		for (int m = 0; m < M; m++)
			tile_load_a(a[m], queries, LD, warp_row + 16 * m, k);
#pragma unroll
		for (int j = 0; j < TILE_SCORES; j += 2) {
			tile_load_b(b, keys, LD, 8 * j, k);
#pragma unroll
			for (int m = 0; m < M; m++) {
				tile_multiply(score[m][j], a[m], b);
				tile_multiply(score[m][j + 1], a[m], b + 2);
			}
		}
	}
}

#endif
