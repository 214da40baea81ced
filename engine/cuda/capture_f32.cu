/* Column sums of captured rows in float32: capture.cu without tensor cores, for the verification mode; its row check for both. CPU twin:
 * engine/cpu/capture.c. */
#include "engine/cuda/capture.h"
#include "engine/cuda/tile_f32.h"

static __global__ void __launch_bounds__(F32_THREADS) capture_kernel(capture_args a)
{
	cuda_await_previous();
	CUDA_SHARED_DYNAMIC(uint4, pool);
	shared_float queries = CUDA_SHARED_AS(float, pool), keys = queries + F32_ROWS * f32_ld(a.attention), p = keys + F32_KEYS * f32_ld(a.attention);
	CUDA_SHARED(unsigned, wanted, F32_ROWS);
	stack rows(a.attention, (int)blockIdx.y, a.row, a.n_captured);
	key_range range = part_of(rows.visible(rows.n - 1), (int)blockIdx.x, (int)gridDim.x);
	int thread = (int)threadIdx.x, own = thread / 4, quarter = thread % 4;
	for (int first = 0; first < rows.n; first += F32_ROWS) {
		float sum = 0;
		int n = rows.n - first < F32_ROWS ? rows.n - first : F32_ROWS;
		float2 stat = stat_of(a, rows, first + own);
		__syncthreads();
		f32_load_queries(queries, rows, first);
		find_wanted(a, rows, first, n, wanted);
		for (int key = range.first; key < range.end; key += F32_KEYS) {
			float score[F32_PER_LANE];
			int n_key = range.end - key < F32_KEYS ? range.end - key : F32_KEYS;
			f32_load_keys(keys, a.attention.keys, a.attention, rows.kv_head, key, range.end);
			__syncthreads();
			f32_scores(score, queries, keys, a.attention, rows.visible(first + own) - key);
			for (int c = 0; c < F32_PER_LANE; c++)
				p[own * F32_LD_SCORE + quarter + 4 * c] = power_of_two(score[c] - stat.x) * stat.y;
			__syncthreads();
			for (int j = 0; thread < n && j < n_key; j++)
				sum += p[thread * F32_LD_SCORE + j];
			add_columns(a, rows, {first, n, key, n_key}, p, F32_LD_SCORE, wanted);
		}
		if (thread < n)
			*check_at(a, rows, first + thread) = sum;
	}
}

cudaError_t cuda_capture_f32(const capture_args *a, cudaStream_t stream)
{
	capture_args args = *a;
	unsigned bytes = f32_shared_bytes(args.attention.head_dim);
	cudaError_t rc = cudaFuncSetAttribute((const void *)capture_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
	if (rc)
		return rc;
	CUDA_LAUNCH(capture_kernel, dim3((unsigned)args.n_span, (unsigned)args.attention.n_kv_head), dim3(F32_THREADS), bytes, stream, args);
	return cudaGetLastError();
}

/* ---- do a row's probabilities sum to one? ---- */

enum { CHECK_THREADS = 64 }; /* at least MAX_CAPTURES */

/* One block a captured row: its worst head, raised into the errors of the captures that have it. The bits of floats that are not negative
 * are in the order of their values, and those of a NaN above all of them. */
static __global__ void __launch_bounds__(CHECK_THREADS) check_kernel(capture_check_args a)
{
	cuda_await_previous();
	CUDA_SHARED(unsigned, worst, 1);
	int row = (int)blockIdx.x, thread = (int)threadIdx.x;
	unsigned largest = 0;
	for (int head = thread; head < a.n_head; head += CHECK_THREADS) {
		double sum = 0;
#pragma unroll 8
		for (int span = 0; span < a.n_span; span++)
			sum += a.check[((size_t)span * (size_t)a.n_captured + (size_t)row) * (size_t)a.n_head + (size_t)head];
		unsigned bits = __float_as_uint(fabsf((float)(sum - 1)));
		largest = bits > largest ? bits : largest;
	}
	if (thread == 0)
		worst[0] = 0;
	__syncthreads();
	atomicMax(&worst[0], largest);
	__syncthreads();
	if (thread >= a.place->n_capture)
		return;
	int position = a.place->position + (a.row ? a.row[row] : 0);
	if (capture_row_of(a.capture[thread], position) >= 0)
		atomicMax(a.capture[thread].error, (unsigned)worst[0]);
}

cudaError_t cuda_capture_check(const capture_check_args *a, cudaStream_t stream)
{
	capture_check_args args = *a;
	CUDA_LAUNCH(check_kernel, dim3((unsigned)args.n_captured), dim3(CHECK_THREADS), 0, stream, args);
	return cudaGetLastError();
}
