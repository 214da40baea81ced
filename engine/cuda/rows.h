/* Query rows as attention and captures take them, stacked: the query heads that share a KV head, position by position, so that stacked row
 * s is head s % group of row s / group and the rows of a tile see nearly the same keys. Device code. */
#ifndef KVGLASS_ENGINE_CUDA_ROWS_H
#define KVGLASS_ENGINE_CUDA_ROWS_H

#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

#define LOG2_E 1.4426950408889634

struct stack { /* of one KV head */
	const attention_args &a;
	const int *row; /* the stack's rows of the step; NULL: first_row, first_row + 1, ... */
	int kv_head, group, n;

	__device__ stack(const attention_args &args, int kv, const int *rows, int n_row)
		: a(args), row(rows), kv_head(kv), group(args.n_head / args.n_kv_head), n(n_row * (args.n_head / args.n_kv_head))
	{
	}
	__device__ int row_of(int s) const /* of the step */
	{
		return row ? row[s / group] : a.first_row + s / group;
	}
	__device__ int head_of(int s) const
	{
		return kv_head * group + s % group;
	}
	__device__ int visible(int s) const /* keys that stacked row s sees; none behind the stack */
	{
		return s < n ? a.position + row_of(s) + 1 : 0;
	}
	__device__ const float *query(int s) const
	{
		return static_cast<const float *>(a.q.data) + (size_t)row_of(s) * (size_t)a.q.ld + (size_t)head_of(s) * (size_t)a.head_dim;
	}
};

/* Queries carry log2(e) / sqrt(head_dim): scores are then exponents of two. */
__device__ inline float query_factor(int head_dim)
{
	return (float)(LOG2_E / sqrt((double)head_dim));
}

template <class T> __device__ inline const T *cache_row(const void *cache, const attention_args &a, int kv_head, int key)
{
	return static_cast<const T *>(cache) + ((size_t)kv_head * (size_t)a.max_tokens + (size_t)key) * (size_t)a.head_dim;
}

/* Keys first .. end - 1 of part `index` of n: whole tiles, shared out evenly. */
struct key_range {
	int first, end;
};

__device__ inline key_range part_of(int n_key, int index, int n)
{
	int tiles = (n_key + ATTENTION_KEYS - 1) / ATTENTION_KEYS, each = (tiles + n - 1) / n;
	int first = index * each * ATTENTION_KEYS, end = first + each * ATTENTION_KEYS;
	return {first, end < n_key ? end : n_key};
}

#endif
