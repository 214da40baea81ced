/* Attention of one row (a decode step): the keys are cut into parts, one block a part and KV head, after Dao et al. (Flash-Decoding, 2023).
 * CPU twin: part_piece in engine/cpu/attention_few.c. attention_join.cu puts the parts together.
 *
 * Every key and value is read once for all query heads that share it: LANES neighbouring lanes have a row of the cache, eight elements
 * each, and keep eight elements of every head's query. Scores go through shared memory, where each head's are softened by one warp.
 *
 * The cache is what this costs, so some of it is always under way: while scores are computed the tile's values, while those are added the
 * next tile's keys.
 */
#include "engine/cuda/rows.h"

enum { WARPS = 4, THREADS = 32 * WARPS };

/* Was the key taken from the query head? */
__device__ static bool is_evicted(const decode_args &a, int head, int key)
{
	return a.kept && key < a.n_evictable && !a.kept[(size_t)head * (size_t)a.n_evictable + (size_t)key];
}

template <class T, int LANES> struct tile_shape {
	enum {
		ROWS = THREADS / LANES,          /* of the cache that the block reads at once */
		TURNS = sizeof(T) == 2 ? 8 : 4,  /* until a tile is read: eight times sixteen bytes a thread */
		KEYS = ROWS * TURNS,             /* of a tile */
		WIDTH = LANES * 8                /* head_dim, rounded up */
	};
};

/* A thread's part of a tile of keys or of values. WHOLE: rows are whole eights, and aligned. */
template <class T, int LANES, bool WHOLE> struct tile_rows {
	typedef tile_shape<T, LANES> shape;
	eight<T> under_way[WHOLE ? shape::TURNS : 1];
	const T *rows; /* of the KV head */
	int head_dim, n, at, slot; /* this thread's elements: n of them from `at`, of rows slot, slot + ROWS, ... */

	__device__ tile_rows(const void *cache, const attention_args &a, int kv_head) : rows(cache_row<T>(cache, a, kv_head, 0))
	{
		head_dim = a.head_dim;
		slot = (int)threadIdx.x / LANES;
		at = (int)threadIdx.x % LANES * 8;
		n = head_dim - at < 8 ? head_dim - at : 8;
		n = n < 0 ? 0 : n;
	}
	__device__ void ask(int first, int end)
	{
#pragma unroll
		for (int turn = 0; turn < (WHOLE ? (int)shape::TURNS : 0); turn++) {
			int key = first + slot + turn * shape::ROWS;
			under_way[turn] = {};
			if (key < end && n)
				under_way[turn] = fetch_eight(rows + (size_t)key * (size_t)head_dim + at);
		}
	}
	/* Eight elements of key `key`, which is the tile's of this turn; zeros from `end` on. */
	__device__ void take(int turn, int key, int end, float out[8]) const
	{
		if (WHOLE)
			unpack_eight(under_way[turn], out);
		else
			load_some(rows + (size_t)key * (size_t)head_dim + at, key < end ? n : 0, out);
	}
};

/* Heads first_head .. of the group, HEADS at most, against keys of a part. */
template <class T, int HEADS, int LANES, bool WHOLE> struct decode_part {
	typedef tile_shape<T, LANES> shape;
	typedef tile_rows<T, LANES, WHOLE> tile;
	const decode_args &d;
	const attention_args &a;
	int kv_head, first_head, n_head;

	__device__ decode_part(const decode_args &args, int kv, int first_in_group) : d(args), a(args.attention), kv_head(kv)
	{
		int group = a.n_head / a.n_kv_head;
		first_head = kv_head * group + first_in_group;
		n_head = group - first_in_group < HEADS ? group - first_in_group : HEADS;
	}
	__device__ void load_queries(const tile &lane, float query[HEADS][8]) const
	{
		float factor = query_factor(a.head_dim);
#pragma unroll
		for (int h = 0; h < HEADS; h++) {
			const float *q = static_cast<const float *>(a.q.data) + (size_t)a.first_row * (size_t)a.q.ld
				+ (size_t)(first_head + h) * (size_t)a.head_dim + lane.at;
			for (int i = 0; i < 8; i++)
				query[h][i] = 0;
			if (h < n_head && WHOLE && lane.n)
				load_eight(q, query[h]);
			else if (h < n_head && !WHOLE)
				load_some(q, lane.n, query[h]);
			for (int i = 0; i < 8; i++)
				query[h][i] *= factor;
		}
	}
	__device__ void scores(const tile &keys, const float query[HEADS][8], int first, int end, CUDA_SHARED_OF(float) score) const
	{
#pragma unroll
		for (int turn = 0; turn < shape::TURNS; turn++) {
			int j = keys.slot + turn * shape::ROWS;
			float key[8], sum[HEADS] = {};
			keys.take(turn, first + j, end, key);
#pragma unroll
			for (int h = 0; h < HEADS; h++) {
				for (int i = 0; i < 8; i++)
					sum[h] += query[h][i] * key[i];
				for (int apart = LANES / 2; apart > 0; apart /= 2)
					sum[h] += __shfl_xor_sync(0xffffffffu, sum[h], apart);
				bool sees = first + j < end && h < n_head && !is_evicted(d, first_head + h, first + j);
				if (threadIdx.x % LANES == 0)
					score[h * shape::KEYS + j] = sees ? sum[h] : -INFINITY;
			}
		}
	}
	/* Weights behind the end are 0, and so are the values there. */
	__device__ void add_values(const tile &values, float out[HEADS][8], int first, int end, CUDA_SHARED_OF(float) p) const
	{
#pragma unroll
		for (int turn = 0; turn < shape::TURNS; turn++) {
			int j = values.slot + turn * shape::ROWS;
			float value[8];
			values.take(turn, first + j, end, value);
#pragma unroll
			for (int h = 0; h < HEADS; h++) {
				float weight = p[h * shape::KEYS + j];
				for (int i = 0; i < 8; i++)
					out[h][i] += weight * value[i];
			}
		}
	}
	/* One warp a head: maximum, exponentials, sum; the scores go to where captures look for them. most and sum hold what the part has so
	 * far, factor what its values are to be scaled by. */
	__device__ void soften(int first, int end, CUDA_SHARED_OF(float) score, CUDA_SHARED_OF(float) most, CUDA_SHARED_OF(float) sum,
		CUDA_SHARED_OF(float) factor) const
	{
		int lane = (int)threadIdx.x % 32;
		for (int h = (int)threadIdx.x / 32; h < n_head; h += WARPS) {
			float before = most[h], largest = before, total = 0;
			for (int j = lane; j < shape::KEYS; j += 32) {
				float s = score[h * shape::KEYS + j];
				largest = fmaxf(largest, s);
				if (d.score && first + j < end)
					d.score[(size_t)(first_head + h) * (size_t)a.max_tokens + (size_t)(first + j)] = s;
			}
			largest = warp_max(largest);
			float base = largest == -INFINITY ? 0.0f : largest;
			for (int j = lane; j < shape::KEYS; j += 32) {
				float p = power_of_two(score[h * shape::KEYS + j] - base);
				score[h * shape::KEYS + j] = p;
				total += p;
			}
			total = warp_sum(total);
			__syncwarp(); /* every lane has read the old maximum */
			if (lane == 0) {
				factor[h] = power_of_two(before - base);
				sum[h] = sum[h] * factor[h] + total;
				most[h] = largest;
			}
		}
	}
};

/* A part without keys has no values, and attention_join.cu asks for none. */
__device__ static void leave_empty(const decode_args &d, int split, int first_head, int n_head)
{
	if ((int)threadIdx.x < n_head)
		d.attention.part[(size_t)split * (size_t)d.attention.n_head + (size_t)(first_head + (int)threadIdx.x)] = make_float2(-INFINITY, 0);
}

template <class T, int HEADS, int LANES, bool WHOLE> static __global__ void __launch_bounds__(THREADS, HEADS > 4 ? DECODE_BLOCKS_OF_MANY : DECODE_BLOCKS) decode_kernel(decode_args d)
{
	typedef tile_shape<T, LANES> shape;
	cuda_await_previous();
	CUDA_SHARED(float, scores, 2 * HEADS * shape::KEYS); /* of a tile and of the next: who adds values still reads the one */
	CUDA_SHARED(float, most, HEADS);
	CUDA_SHARED(float, sum, HEADS);
	CUDA_SHARED(float, factor, HEADS);
	CUDA_SHARED(float, gather, shape::ROWS * shape::WIDTH);
	const attention_args &a = d.attention;
	decode_part<T, HEADS, LANES, WHOLE> part(d, (int)blockIdx.y, (int)blockIdx.z * HEADS);
	int split = (int)blockIdx.x, thread = (int)threadIdx.x;
	key_range range = part_of(d.place->position + a.first_row + 1, split, a.n_split);
	if (range.first >= range.end) {
		leave_empty(d, split, part.first_head, part.n_head);
		return;
	}
	tile_rows<T, LANES, WHOLE> keys(a.keys, a, part.kv_head), values(a.values, a, part.kv_head);
	float query[HEADS][8], out[HEADS][8] = {};
	keys.ask(range.first, range.end);
	part.load_queries(keys, query);
	if (thread < HEADS) {
		most[thread] = -INFINITY;
		sum[thread] = 0;
		factor[thread] = 0; /* of heads that the group does not have */
	}
	for (int first = range.first, turn = 0; first < range.end; first += shape::KEYS, turn ^= 1) {
		CUDA_SHARED_OF(float) score = scores + turn * HEADS * shape::KEYS;
		values.ask(first, range.end);
		part.scores(keys, query, first, range.end, score);
		__syncthreads();
		keys.ask(first + shape::KEYS, range.end);
		part.soften(first, range.end, score, most, sum, factor);
		__syncthreads();
#pragma unroll
		for (int h = 0; h < HEADS; h++)
			for (int i = 0; i < 8; i++)
				out[h][i] *= factor[h];
		part.add_values(values, out, first, range.end, score);
	}
#pragma unroll
	for (int h = 0; h < HEADS; h++) { /* the slots' sums of one head, then the next head's */
		__syncthreads();
		for (int i = 0; i < 8; i++)
			gather[thread / LANES * shape::WIDTH + thread % LANES * 8 + i] = out[h][i];
		__syncthreads();
		size_t at = (size_t)split * (size_t)a.n_head + (size_t)(part.first_head + h);
		for (int k = thread; h < part.n_head && k < a.head_dim; k += THREADS) {
			float total = 0;
			for (int slot = 0; slot < shape::ROWS; slot++)
				total += gather[slot * shape::WIDTH + k];
			a.part_out[at * (size_t)a.head_dim + (size_t)k] = total;
		}
		if (thread == 0 && h < part.n_head)
			a.part[at] = make_float2(most[h], sum[h]);
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
