/* SwiGLU of a training step, which keeps gate and up, and the way back: silu' = sigma + silu (1 - sigma).
 * CPU twins: swiglu_forward_piece and swiglu_backward_piece in engine/train/row_ops.c. */
#include "engine/cuda/number.h"
#include "engine/cuda/train_kernels.h"

static __global__ void forward_kernel(swiglu_back_args a)
{
	cuda_await_previous();
	size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
	if (i < a.n)
		a.act[i] = silu(a.gate[i]) * a.up[i];
}

static __global__ void back_kernel(swiglu_back_args a)
{
	cuda_await_previous();
	size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= a.n)
		return;
	float gate = a.gate[i], d_act = a.act[i], sigma = 1.0f / (1.0f + expf(-gate)), silu = gate * sigma;
	a.d_up[i] = d_act * silu;
	a.act[i] = d_act * a.up[i] * (sigma + silu * (1.0f - sigma));
}

cudaError_t cuda_swiglu_train(const swiglu_back_args *a, cudaStream_t stream)
{
	enum { THREADS = 256 };
	swiglu_back_args args = *a;
	dim3 grid((unsigned)((args.n + THREADS - 1) / THREADS));
	if (args.d_up)
		CUDA_LAUNCH(back_kernel, grid, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH(forward_kernel, grid, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
