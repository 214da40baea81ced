/* The objective of training: column means of the lookahead rows' probabilities, their KL divergence from the truth, and its derivative.
 * CPU twins: attention_forward and objective_kl in engine/train/attention_grad.c. */
#include "engine/cuda/reduce.h"
#include "engine/cuda/train_kernels.h"

/* One thread a column of a head; rows in ascending order. */
static __global__ void column_mean_kernel(column_mean_args a)
{
	cuda_await_previous();
	int j = (int)(blockIdx.x * blockDim.x + threadIdx.x);
	size_t head = blockIdx.y, width = (size_t)(a.n + a.n_row);
	if (j >= a.n)
		return;
	const float *p = a.p + head * (size_t)a.n_row * width + (size_t)j;
	float share = 1.0f / (float)a.n_row, sum = 0;
	for (int row = 0; row < a.n_row; row++)
		sum += share * p[(size_t)row * width];
	a.mean[head * (size_t)a.n + (size_t)j] = sum;
}

cudaError_t cuda_column_mean(const column_mean_args *a, cudaStream_t stream)
{
	column_mean_args args = *a;
	dim3 grid((unsigned)((args.n + REDUCE_THREADS - 1) / REDUCE_THREADS), (unsigned)args.n_head);
	CUDA_LAUNCH(column_mean_kernel, grid, dim3(REDUCE_THREADS), 0, stream, args);
	return cudaGetLastError();
}

/* KL(t || q) = sum t (log(t + tiny) - log(q + tiny)), both of sum 1; dKL/ds_j = (sum_k t_k q_k / (q_k + tiny) - t_j / (q_j + tiny)) / sum s. */
static __global__ void objective_kernel(objective_args a)
{
	cuda_await_previous();
	CUDA_SHARED(double, part, REDUCE_WARPS);
	const double tiny = 1e-12;
	size_t head = blockIdx.x;
	const float *truth = a.truth + head * (size_t)a.n;
	float *s = a.s + head * (size_t)a.n;
	double truth_sum = 0, s_sum = 0, kl = 0, pull = 0;
	for (int j = (int)threadIdx.x; j < a.n; j += REDUCE_THREADS) {
		truth_sum += (double)truth[j];
		s_sum += (double)s[j];
	}
	truth_sum = block_reduce<reduce_sum, double>(truth_sum, part);
	s_sum = block_reduce<reduce_sum, double>(s_sum, part);
	for (int j = (int)threadIdx.x; j < a.n; j += REDUCE_THREADS) {
		double t = (double)truth[j] / truth_sum, q = (double)s[j] / s_sum;
		kl += t * (log(t + tiny) - log(q + tiny));
		pull += t * q / (q + tiny);
	}
	kl = block_reduce<reduce_sum, double>(kl, part);
	pull = block_reduce<reduce_sum, double>(pull, part);
	if (threadIdx.x == 0)
		a.kl[head] = kl;
	for (int j = (int)threadIdx.x; a.weight > 0 && j < a.n; j += REDUCE_THREADS) {
		double t = (double)truth[j] / truth_sum, q = (double)s[j] / s_sum;
		s[j] = (float)(a.weight * (pull - t / (q + tiny)) / s_sum);
	}
}

cudaError_t cuda_objective(const objective_args *a, cudaStream_t stream)
{
	objective_args args = *a;
	CUDA_LAUNCH(objective_kernel, dim3((unsigned)args.n_head), dim3(REDUCE_THREADS), 0, stream, args);
	return cudaGetLastError();
}
