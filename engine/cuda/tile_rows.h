/* Stacked rows and keys as tiles for the tensor cores: what attention.cu and capture.cu both do, so that a score is the same to the bit in
 * both. Device code.
 *
 * D is head_dim rounded up, the rest zeros; a block has TILE_WARPS warps with M tiles of 16 rows each, and meets TILE_KEYS keys at once.
 * WHOLE: rows are whole eights, and aligned. Nobody's model is otherwise: one kernel, the widest, serves all that are.
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
template <int D, bool WHOLE>
__device__ inline void tile_load_cache(shared_bf16 tile, const void *cache, const attention_args &a, int kv_head, int first, int end)
{
	enum { LD = D + TILE_PAD, WORDS = D / 8, LANES = WORDS < 8 ? WORDS : 8 /* of a row: a line of memory */, STEP = TILE_THREADS / LANES };
	const bf16 *base = cache_row<bf16>(cache, a, kv_head, first);
	if (WHOLE) {
		shared_uint4 words = CUDA_SHARED_AS(uint4, tile);
		int at = (int)threadIdx.x / LANES, lane = (int)threadIdx.x % LANES;
		base += (first + at < end ? at : 0) * a.head_dim + lane * 8; /* what is not there is not read, but its address is one of the cache's */
#pragma unroll
		for (int i = 0; i < TILE_KEYS / STEP; i++) {
			int row = at + i * STEP;
			bool there = first + row < end;
			const bf16 *from = base + (there ? i * STEP * a.head_dim : 0);
#pragma unroll
			for (int k = 0; k < (WORDS + LANES - 1) / LANES; k++) {
				int word = lane + k * LANES;
				bool valid = there && word * 8 < a.head_dim;
				if (WORDS % LANES == 0 || word < WORDS)
					tile_copy(words, row * (LD / 8) + word, reinterpret_cast<const uint4 *>(from + k * LANES * 8), valid);
			}
		}
	} else {
		for (int i = (int)threadIdx.x; i < TILE_KEYS * D; i += TILE_THREADS) {
			int row = i / D, column = i % D;
			bool valid = first + row < end && column < a.head_dim;
			tile[row * LD + column] = valid ? base[row * a.head_dim + column] : from_float<bf16>(0);
		}
	}
	tile_copy_commit();
}

/* Eight elements at a time: a row's place is found for eight of them, and they go into the tile as one word. */
template <int D, int ROWS, bool WHOLE>
__device__ inline void tile_load_queries(shared_bf16 tile, const stack &rows, int first)
{
	enum { LD = D + TILE_PAD, WORDS = D / 8 };
	shared_uint4 words = CUDA_SHARED_AS(uint4, tile);
	int d = rows.a.head_dim;
	float factor = query_factor(d);
	for (int i = (int)threadIdx.x; i < ROWS * WORDS; i += TILE_THREADS) {
		int s = first + i / WORDS, column = i % WORDS * 8;
		float x[8] = {};
		if (s < rows.n && column < d) {
			const float *from = rows.query(s) + column;
			if (WHOLE)
				load_eight(from, x);
			else
				load_some(from, d - column, x);
		}
		for (int k = 0; k < 8; k++)
			x[k] *= factor;
		words[i / WORDS * (LD / 8) + i % WORDS] = pack_eight(x);
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
