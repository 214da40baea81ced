/* Attention of one row (a decode step): the keys are cut into parts, one block a part and KV head, after Dao et al. (Flash-Decoding, 2023).
 * CPU twin: part_piece in engine/cpu/attention_few.c. attention_join.cu puts the parts together.
 *
 * Every key and value is read once for all query heads that share it: LANES neighbouring lanes have a row of the cache, eight elements
 * each, and keep eight elements of every head's query. Scores go through shared memory, where each head's are softened by one warp.
 */
#include "engine/cuda/rows.h"

enum { WARPS = 4, THREADS = 32 * WARPS, KEYS = ATTENTION_KEYS };

/* Was the key taken from the query head? */
__device__ static bool is_evicted(const decode_args &a, int head, int key)
{
	return a.kept && key < a.n_evictable && !a.kept[(size_t)head * (size_t)a.n_evictable + (size_t)key];
}

/* Of rows of the cache and of queries. WHOLE: they are whole eights, and aligned. */
template <bool WHOLE> struct reader {
	int n, at; /* this lane's elements: n of them from `at`, all or none where rows are whole */

	template <class T> __device__ void load(const T *row, float out[8]) const
	{
		if (!WHOLE || !n)
			load_some(row + at, WHOLE ? 0 : n, out);
		else
			load_eight(row + at, out);
	}
};

/* Heads first_head .. of the group, HEADS at most, against keys of a part. */
template <class T, int HEADS, int LANES, bool WHOLE> struct decode_part {
	enum { ROWS = THREADS / LANES };
	const decode_args &d;
	const attention_args &a;
	int kv_head, first_head, n_head;
	reader<WHOLE> lane;

	__device__ decode_part(const decode_args &args, int kv, int first_in_group) : d(args), a(args.attention), kv_head(kv)
	{
		int group = a.n_head / a.n_kv_head;
		first_head = kv_head * group + first_in_group;
		n_head = group - first_in_group < HEADS ? group - first_in_group : HEADS;
		lane.at = (int)threadIdx.x % LANES * 8;
		lane.n = a.head_dim - lane.at < 8 ? a.head_dim - lane.at : 8;
		lane.n = lane.n < 0 ? 0 : lane.n;
	}
	__device__ void load_queries(float query[HEADS][8]) const
	{
		float factor = query_factor(a.head_dim);
		for (int h = 0; h < HEADS; h++) {
			const float *q = static_cast<const float *>(a.q.data) + (size_t)a.first_row * (size_t)a.q.ld
				+ (size_t)(first_head + h) * (size_t)a.head_dim;
			for (int i = 0; i < 8; i++)
				query[h][i] = 0;
			if (h < n_head)
				lane.load(q, query[h]);
			for (int i = 0; i < 8; i++)
				query[h][i] *= factor;
		}
	}
	__device__ void scores(const float query[HEADS][8], int first, int end, CUDA_SHARED_OF(float) score) const
	{
		int slot = (int)threadIdx.x / LANES;
#pragma unroll 4
		for (int j = slot; j < KEYS; j += ROWS) {
			float key[8] = {}, sum[HEADS] = {};
			if (first + j < end)
				lane.load(cache_row<T>(a.keys, a, kv_head, first + j), key);
			for (int h = 0; h < HEADS; h++) {
				for (int i = 0; i < 8; i++)
					sum[h] += query[h][i] * key[i];
				for (int apart = LANES / 2; apart > 0; apart /= 2)
					sum[h] += __shfl_xor_sync(0xffffffffu, sum[h], apart);
				bool sees = first + j < end && h < n_head && !is_evicted(d, first_head + h, first + j);
				if (threadIdx.x % LANES == 0)
					score[h * KEYS + j] = sees ? sum[h] : -INFINITY;
			}
		}
	}
	__device__ void add_values(float out[HEADS][8], int first, int end, CUDA_SHARED_OF(float) p) const
	{
		int slot = (int)threadIdx.x / LANES;
#pragma unroll 4
		for (int j = slot; j < KEYS && first + j < end; j += ROWS) {
			float value[8];
			lane.load(cache_row<T>(a.values, a, kv_head, first + j), value);
			for (int h = 0; h < HEADS; h++) {
				float weight = p[h * KEYS + j];
				for (int i = 0; i < 8; i++)
					out[h][i] += weight * value[i];
			}
		}
	}
};

/* One warp a head: maximum, exponentials, sum. most and sum hold what the part has so far, factor what its values are to be scaled by. */
template <int HEADS>
__device__ static void soften(CUDA_SHARED_OF(float) score, CUDA_SHARED_OF(float) most, CUDA_SHARED_OF(float) sum, CUDA_SHARED_OF(float) factor)
{
	int lane = (int)threadIdx.x % 32;
	for (int h = (int)threadIdx.x / 32; h < HEADS; h += WARPS) {
		float before = most[h], largest = before, total = 0;
		for (int j = lane; j < KEYS; j += 32)
			largest = fmaxf(largest, score[h * KEYS + j]);
		largest = warp_max(largest);
		float base = largest == -INFINITY ? 0.0f : largest;
		for (int j = lane; j < KEYS; j += 32) {
			float p = exp2f(score[h * KEYS + j] - base);
			score[h * KEYS + j] = p;
			total += p;
		}
		total = warp_sum(total);
		__syncwarp(); /* every lane has read the old maximum */
		if (lane == 0) {
			factor[h] = exp2f(before - base);
			sum[h] = sum[h] * factor[h] + total;
			most[h] = largest;
		}
	}
}

template <class T, int HEADS, int LANES, bool WHOLE> static __global__ void __launch_bounds__(THREADS) decode_kernel(decode_args d)
{
	enum { ROWS = THREADS / LANES, WIDTH = LANES * 8 };
	CUDA_SHARED(float, score, HEADS * KEYS);
	CUDA_SHARED(float, most, HEADS);
	CUDA_SHARED(float, sum, HEADS);
	CUDA_SHARED(float, factor, HEADS);
	CUDA_SHARED(float, gather, ROWS * WIDTH);
	const attention_args &a = d.attention;
	decode_part<T, HEADS, LANES, WHOLE> part(d, (int)blockIdx.y, (int)blockIdx.z * HEADS);
	int split = (int)blockIdx.x, thread = (int)threadIdx.x;
	key_range range = part_of(d.place->position + a.first_row + 1, split, a.n_split);
	float query[HEADS][8], out[HEADS][8] = {};
	part.load_queries(query);
	if (thread < HEADS) {
		most[thread] = -INFINITY;
		sum[thread] = 0;
	}
	for (int first = range.first; first < range.end; first += KEYS) {
		__syncthreads();
		part.scores(query, first, range.end, score);
		__syncthreads();
		for (int i = thread; d.score && i < part.n_head * KEYS; i += THREADS)
			if (first + i % KEYS < range.end)
				d.score[(size_t)(part.first_head + i / KEYS) * (size_t)a.max_tokens + (size_t)(first + i % KEYS)] = score[i];
		__syncthreads();
		soften<HEADS>(score, most, sum, factor);
		__syncthreads();
		for (int h = 0; h < HEADS; h++)
			for (int i = 0; i < 8; i++)
				out[h][i] *= factor[h];
		part.add_values(out, first, range.end, score);
	}
	__syncthreads();
#pragma unroll
	for (int h = 0; h < HEADS; h++) { /* the slots' sums of one head, then the next head's */
		for (int i = 0; i < 8; i++)
			gather[thread / LANES * WIDTH + thread % LANES * 8 + i] = out[h][i];
		__syncthreads();
		size_t at = (size_t)split * (size_t)a.n_head + (size_t)(part.first_head + h);
		for (int k = thread; h < part.n_head && k < a.head_dim; k += THREADS) {
			float total = 0;
			for (int slot = 0; slot < ROWS; slot++)
				total += gather[slot * WIDTH + k];
			a.part_out[at * (size_t)a.head_dim + (size_t)k] = total;
		}
		if (thread == 0 && h < part.n_head)
			a.part[at] = make_float2(most[h], sum[h]);
		__syncthreads();
	}
}

template <class T, int HEADS, bool WHOLE> static void launch(const decode_args &args, cudaStream_t stream)
{
	const attention_args &a = args.attention;
	int group = a.n_head / a.n_kv_head;
	dim3 grid((unsigned)a.n_split, (unsigned)a.n_kv_head, (unsigned)((group + HEADS - 1) / HEADS));
	if (a.head_dim <= 64)
		CUDA_LAUNCH((decode_kernel<T, HEADS, 8, WHOLE>), grid, dim3(THREADS), 0, stream, args);
	else if (a.head_dim <= 128)
		CUDA_LAUNCH((decode_kernel<T, HEADS, 16, WHOLE>), grid, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((decode_kernel<T, HEADS, 32, WHOLE>), grid, dim3(THREADS), 0, stream, args);
}

/* Models that are used have whole rows and run in bfloat16: only there is a kernel made for every size of a group. */
static void launch_half(const decode_args &args, cudaStream_t stream)
{
	int group = args.attention.n_head / args.attention.n_kv_head;
	if (args.attention.head_dim % 8)
		launch<bf16, 4, false>(args, stream);
	else if (group == 1)
		launch<bf16, 1, true>(args, stream);
	else if (group == 2)
		launch<bf16, 2, true>(args, stream);
	else if (group <= 4)
		launch<bf16, 4, true>(args, stream);
	else
		launch<bf16, 8, true>(args, stream);
}

static void launch_f32(const decode_args &args, cudaStream_t stream)
{
	if (args.attention.head_dim % 8)
		launch<float, 4, false>(args, stream);
	else
		launch<float, 4, true>(args, stream);
}

cudaError_t cuda_attention_decode(const decode_args *a, cudaStream_t stream)
{
	if (a->attention.head_dim > 256)
		return cudaErrorInvalidValue;
	if (a->attention.half)
		launch_half(*a, stream);
	else
		launch_f32(*a, stream);
	return cudaGetLastError();
}
