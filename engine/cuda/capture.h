/* What the kernels of captures share: probabilities of a tile, in shared memory, go to the column sums that want them. A column belongs to
 * one block and rows are added in ascending order, so sums do not depend on the order of blocks and nothing is locked. Device code. */
#ifndef KVGLASS_ENGINE_CUDA_CAPTURE_H
#define KVGLASS_ENGINE_CUDA_CAPTURE_H

#include "engine/cuda/rows.h"

/* capture_row() of backend.h. */
__device__ inline int capture_row_of(const cuda_capture &c, int position)
{
	int distance = position - c.first;
	if (distance < 0 || distance % c.step || distance / c.step >= c.count)
		return -1;
	return distance / c.step;
}

struct tile_place { /* rows first .. first + n - 1 of a stack, keys key .. key + n_key - 1 */
	int first, n, key, n_key;
};

/* Which captures have the rows first .. of a stack, a bit each: found once for all keys. */
__device__ inline void find_wanted(const capture_args &a, const stack &rows, int first, int n, CUDA_SHARED_OF(unsigned) wanted)
{
	static_assert(MAX_CAPTURES <= 32, "a bit a capture");
	for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
		int position = a.attention.position + rows.row_of(first + i);
		unsigned bits = 0;
		for (int k = 0; k < a.n_capture; k++)
			bits |= (capture_row_of(a.capture[k], position) >= 0 ? 1u : 0u) << k;
		wanted[i] = bits;
	}
}

/* A row that is kept by itself. */
__device__ inline void keep_row(const capture_args &a, const cuda_capture &c, const stack &rows, int s, int key, float p)
{
	int row = capture_row_of(c, a.attention.position + rows.row_of(s));
	c.per_row[((size_t)rows.head_of(s) * (size_t)c.row_count + (size_t)(row - c.row_first)) * (size_t)c.n_key + (size_t)key] = p;
}

/* One head of the group, key j of the tile: the tile's rows of that head that capture k has. */
__device__ inline void add_column(const capture_args &a, int k, const stack &rows, tile_place t, CUDA_SHARED_OF(float) p, int ld,
	CUDA_SHARED_OF(unsigned) wanted, int head_in_group, int j)
{
	const cuda_capture &c = a.capture[k];
	int head = rows.kv_head * rows.group + head_in_group, key = t.key + j;
	int skipped = (head_in_group - t.first % rows.group + rows.group) % rows.group;
	float sum = 0;
	for (int i = skipped; i < t.n; i += rows.group) {
		if (!(wanted[i] >> k & 1))
			continue;
		float probability = p[i * ld + j];
		sum += probability;
		if (c.per_row)
			keep_row(a, c, rows, t.first + i, key, probability);
	}
	if (c.sum)
		c.sum[((size_t)a.layer * (size_t)a.attention.n_head + (size_t)head) * (size_t)c.n_key + (size_t)key] += sum;
}

__device__ inline void add_columns(const capture_args &a, const stack &rows, tile_place t, CUDA_SHARED_OF(float) p, int ld,
	CUDA_SHARED_OF(unsigned) wanted)
{
	for (int k = 0; k < a.n_capture; k++) {
		int n_key = a.capture[k].n_key, n = n_key - t.key < t.n_key ? n_key - t.key : t.n_key;
		for (int i = (int)threadIdx.x; n > 0 && i < rows.group * t.n_key; i += (int)blockDim.x)
			if (i % t.n_key < n)
				add_column(a, k, rows, t, p, ld, wanted, i / t.n_key, i % t.n_key);
	}
}

/* Sum of stacked row s's probabilities in one part of the keys. */
__device__ inline float *check_at(const capture_args &a, const stack &rows, int s)
{
	size_t row = (size_t)blockIdx.x * (size_t)a.n_captured + (size_t)(s / rows.group);
	return a.check + row * (size_t)a.attention.n_head + (size_t)rows.head_of(s);
}

/* Maximum and 1 / sum of stacked row s; behind the stack a row of zeros. */
__device__ inline float2 stat_of(const capture_args &a, const stack &rows, int s)
{
	if (s >= rows.n)
		return make_float2(0, 0);
	return a.attention.stat[(size_t)rows.row_of(s) * (size_t)a.attention.n_head + (size_t)rows.head_of(s)];
}

#endif
