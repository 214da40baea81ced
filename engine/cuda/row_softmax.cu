/* Softmax of the lookahead rows over a prompt's keys and their own, and the way back; one block a row.
 * CPU twins: attention_forward and softmax_backward_row in engine/train/attention_grad.c. */
#include "engine/cuda/reduce.h"
#include "engine/cuda/train_kernels.h"

struct one_row { /* of a block */
	float *logit;
	int index, width, visible;

	__device__ explicit one_row(const row_softmax_args &a)
	{
		index = (int)blockIdx.x;
		width = a.n + a.n_row;
		visible = a.n + index % a.n_row + 1;
		logit = a.logit + (size_t)index * (size_t)width;
	}
};

static __global__ void softmax_kernel(row_softmax_args a)
{
	cuda_await_previous();
	CUDA_SHARED(float, part, REDUCE_WARPS);
	one_row row(a);
	float top = -INFINITY, sum = 0;
	for (int j = (int)threadIdx.x; j < row.visible; j += REDUCE_THREADS)
		top = fmaxf(top, row.logit[j]);
	top = block_reduce<reduce_max, float>(top, part);
	for (int j = (int)threadIdx.x; j < row.width; j += REDUCE_THREADS) {
		float p = j < row.visible ? expf(row.logit[j] - top) : 0.0f;
		row.logit[j] = p;
		sum += p;
	}
	sum = block_reduce<reduce_sum, float>(sum, part);
	float share = 1.0f / sum;
	for (int j = (int)threadIdx.x; j < row.visible; j += REDUCE_THREADS)
		row.logit[j] *= share;
	if (threadIdx.x == 0)
		a.lse[row.index] = top + logf(sum);
}

cudaError_t cuda_row_softmax(const row_softmax_args *a, cudaStream_t stream)
{
	row_softmax_args args = *a;
	CUDA_LAUNCH(softmax_kernel, dim3((unsigned)(args.n_head * args.n_row)), dim3(REDUCE_THREADS), 0, stream, args);
	return cudaGetLastError();
}

/* dlogit = P (dP - sum P dP); a thread comes back to its own columns only. */
static __global__ void softmax_back_kernel(row_softmax_back_args a)
{
	cuda_await_previous();
	CUDA_SHARED(float, part, REDUCE_WARPS);
	one_row row(a.softmax);
	int n = a.softmax.n;
	float *dp = a.dp + (size_t)row.index * (size_t)row.width, lse = a.softmax.lse[row.index], dot = 0;
	float share = 1.0f / (float)a.softmax.n_row;
	const float *d_mean = a.d_mean + (size_t)(row.index / a.softmax.n_row) * (size_t)n;
	for (int j = (int)threadIdx.x; j < row.width; j += REDUCE_THREADS) {
		float p = j < row.visible ? expf(row.logit[j] - lse) : 0.0f, through = a.outputs ? dp[j] : 0.0f;
		through += j < n ? share * d_mean[j] : 0.0f;
		row.logit[j] = p;
		dp[j] = through;
		dot += j < row.visible ? p * through : 0.0f;
	}
	dot = block_reduce<reduce_sum, float>(dot, part);
	for (int j = (int)threadIdx.x; j < row.width; j += REDUCE_THREADS)
		dp[j] = j < row.visible ? row.logit[j] * (dp[j] - dot) : 0.0f;
}

cudaError_t cuda_row_softmax_back(const row_softmax_back_args *a, cudaStream_t stream)
{
	row_softmax_back_args args = *a;
	dim3 grid((unsigned)(args.softmax.n_head * args.softmax.n_row));
	CUDA_LAUNCH(softmax_back_kernel, grid, dim3(REDUCE_THREADS), 0, stream, args);
	return cudaGetLastError();
}
