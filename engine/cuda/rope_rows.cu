/* Rotary embedding of the lookahead rows of several prompts, and back. CPU twin: row_rope in engine/train/row_ops.c.
 *
 * One thread has one pair of every head of a row, so that an angle is computed once. */
#include "engine/cuda/number.h"
#include "engine/cuda/train_kernels.h"

enum { THREADS = 64 };

static __global__ void rope_rows_kernel(rope_rows_args a)
{
	cuda_await_previous();
	int n_pair = a.head_dim / 2, pair = (int)(blockIdx.x * blockDim.x + threadIdx.x), row = (int)blockIdx.y;
	if (pair >= n_pair)
		return;
	float angle = (float)(a.offset[row / a.period] + row % a.period) * a.inv_freq[pair];
	float cosine = (float)cos((double)angle), sine = (float)sin((double)angle);
	if (a.inverse)
		sine = -sine;
	int first = a.adjacent ? 2 * pair : pair, second = a.adjacent ? first + 1 : n_pair + pair;
	for (int head = 0; head < a.n_head; head++) {
		float *x = a.x + ((size_t)row * (size_t)a.n_head + (size_t)head) * (size_t)a.head_dim;
		float one = x[first], other = x[second];
		x[first] = one * cosine - other * sine;
		x[second] = other * cosine + one * sine;
	}
}

cudaError_t cuda_rope_rows(const rope_rows_args *a, cudaStream_t stream)
{
	rope_rows_args args = *a;
	dim3 grid((unsigned)((args.head_dim / 2 + THREADS - 1) / THREADS), (unsigned)args.n_row);
	CUDA_LAUNCH(rope_rows_kernel, grid, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
