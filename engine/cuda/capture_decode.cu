/* Column sums of the one row of a decode step, from the scores that attention_decode.cu kept: no second look at the keys. CPU twin:
 * capture_piece in engine/cpu/attention_few.c. */
#include "engine/cuda/capture.h"

enum { THREADS = 256 };

static __global__ void __launch_bounds__(THREADS) capture_kernel(capture_few_args a)
{
	cuda_await_previous();
	CUDA_SHARED(float, part, THREADS / 32);
	int head = (int)blockIdx.y, thread = (int)threadIdx.x, position = a.place->position;
	key_range range = part_of(position + 1, (int)blockIdx.x, a.n_span);
	float2 stat = a.stat[head];
	const float *score = a.score + (size_t)head * (size_t)a.max_tokens;
	float sum = 0;
	for (int key = range.first + thread; key < range.end; key += THREADS) {
		float p = power_of_two(score[key] - stat.x) * stat.y;
		sum += p;
		for (int k = 0; k < a.place->n_capture; k++) {
			const cuda_capture &c = a.capture[k];
			int row = key < c.n_key ? capture_row_of(c, position) : -1;
			if (row >= 0 && c.sum)
				c.sum[((size_t)a.layer * (size_t)a.n_head + (size_t)head) * (size_t)c.n_key + (size_t)key] += p;
			if (row >= 0 && c.per_row)
				c.per_row[((size_t)head * (size_t)c.row_count + (size_t)(row - c.row_first)) * (size_t)c.n_key + (size_t)key] = p;
		}
	}
	sum = warp_sum(sum);
	if (thread % 32 == 0)
		part[thread / 32] = sum;
	__syncthreads();
	if (thread)
		return;
	for (int i = 1; i < THREADS / 32; i++)
		sum += part[i];
	a.check[(size_t)blockIdx.x * (size_t)a.n_head + (size_t)head] = sum;
}

cudaError_t cuda_capture_decode(const capture_few_args *a, cudaStream_t stream)
{
	capture_few_args args = *a;
	CUDA_LAUNCH(capture_kernel, dim3((unsigned)args.n_span, (unsigned)args.n_head), dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
