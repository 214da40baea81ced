/* Rotary embedding with the per-head norm of Qwen3, and what of it the cache takes. CPU twins: fill_rope and rope_heads in
 * engine/cpu/backend.c, cpu_append in engine/cpu/cache.c.
 *
 * One warp has one head of one row: lane i its pairs i, i + 32, ... */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { WARPS = 4, MAX_PAIRS = 8 }; /* pairs of a lane: heads of up to 512 */

/* Angles as the reference computes them: position times inverse frequency, rounded to float32, then cosine and sine of that. */
static __global__ void table_kernel(rope_table_args a)
{
	cuda_await_previous();
	int n_pair = a.head_dim / 2, i = (int)(blockIdx.x * blockDim.x + threadIdx.x), row = (int)blockIdx.y;
	if (i >= n_pair)
		return;
	float angle = (float)(a.place->position + row) * a.inv_freq[i];
	a.out[(size_t)row * (size_t)n_pair + (size_t)i] = make_float2((float)cos((double)angle), (float)sin((double)angle));
}

cudaError_t cuda_rope_table(const rope_table_args *a, cudaStream_t stream)
{
	rope_table_args args = *a;
	unsigned n_pair = (unsigned)args.head_dim / 2;
	CUDA_LAUNCH(table_kernel, dim3((n_pair + 63) / 64, (unsigned)args.n_rows), dim3(64), 0, stream, args);
	return cudaGetLastError();
}

struct head { /* one warp's work */
	float *x;
	const float *norm;
	bool rotate;
	int kv_head; /* >= 0: the cache takes it */
	bool value;
};

__device__ static head find_head(const rope_args &a, int row, int index)
{
	int d = a.head_dim;
	if (index < a.n_head)
		return {static_cast<float *>(a.q.data) + (size_t)row * (size_t)a.q.ld + index * d, a.q_norm,
			a.table && row >= a.q_first && row < a.q_end, -1, false};
	index -= a.n_head;
	if (index < a.n_kv_head)
		return {static_cast<float *>(a.k.data) + (size_t)row * (size_t)a.k.ld + index * d, a.k_norm,
			a.table && row >= a.k_first && row < a.k_end, a.keys ? index : -1, false};
	index -= a.n_kv_head;
	return {static_cast<float *>(a.v.data) + (size_t)row * (size_t)a.v.ld + index * d, nullptr, false, a.values ? index : -1, true};
}

/* Elements of pair p. */
__device__ static int2 pair_at(const rope_args &a, int p)
{
	return a.adjacent ? make_int2(2 * p, 2 * p + 1) : make_int2(p, a.head_dim / 2 + p);
}

template <class T> __device__ static void store_pair(const rope_args &a, const head &h, int row, int2 at, float2 x)
{
	T *cache = static_cast<T *>(h.value ? a.values : a.keys);
	T *to = cache + ((size_t)h.kv_head * (size_t)a.max_tokens + (size_t)(a.place->position + row)) * (size_t)a.head_dim;
	to[at.x] = from_float<T>(x.x);
	to[at.y] = from_float<T>(x.y);
}

template <class T> static __global__ void rope_kernel(rope_args a)
{
	cuda_await_previous();
	int lane = (int)threadIdx.x % 32, index = (int)blockIdx.x * WARPS + (int)threadIdx.x / 32, row = (int)blockIdx.y;
	int n_pair = a.head_dim / 2, n_head = a.n_head + 2 * a.n_kv_head;
	head h = find_head(a, row, index < n_head ? index : 0);
	bool active = index < n_head && (h.rotate || h.kv_head >= 0);
	float2 x[MAX_PAIRS];
	float square = 0;
	for (int i = 0, p = lane; i < MAX_PAIRS; i++, p += 32) {
		int2 at = pair_at(a, p);
		x[i] = active && p < n_pair ? make_float2(h.x[at.x], h.x[at.y]) : make_float2(0, 0);
		square += x[i].x * x[i].x + x[i].y * x[i].y;
	}
	square = warp_sum(square);
	float factor = 1.0f / sqrtf(square / (float)a.head_dim + a.eps);
	for (int i = 0, p = lane; i < MAX_PAIRS && active && p < n_pair; i++, p += 32) {
		int2 at = pair_at(a, p);
		if (h.rotate && h.norm)
			x[i] = make_float2(x[i].x * factor * h.norm[at.x], x[i].y * factor * h.norm[at.y]);
		if (h.rotate) {
			float2 angle = a.table[(size_t)row * (size_t)n_pair + (size_t)p];
			x[i] = make_float2(x[i].x * angle.x - x[i].y * angle.y, x[i].y * angle.x + x[i].x * angle.y);
			h.x[at.x] = x[i].x;
			h.x[at.y] = x[i].y;
		}
		if (h.kv_head >= 0)
			store_pair<T>(a, h, row, at, x[i]);
	}
}

cudaError_t cuda_rope(const rope_args *a, cudaStream_t stream)
{
	rope_args args = *a;
	if (args.head_dim > 64 * MAX_PAIRS)
		return cudaErrorInvalidValue;
	unsigned n_head = (unsigned)(args.n_head + 2 * args.n_kv_head);
	dim3 grid((n_head + WARPS - 1) / WARPS, (unsigned)args.n_rows), block(32 * WARPS);
	if (args.half)
		CUDA_LAUNCH((rope_kernel<bf16>), grid, block, 0, stream, args);
	else
		CUDA_LAUNCH((rope_kernel<float>), grid, block, 0, stream, args);
	return cudaGetLastError();
}
