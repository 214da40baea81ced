/* Rows with their heads side by side, as products leave them, and heads behind one another, as attention's products take them; a prompt's
 * keys and values join them as float32. CPU twins: gather, scatter and load_constants in engine/train/row_attention.c. */
#include "engine/cuda/number.h"
#include "engine/cuda/train_kernels.h"

enum { THREADS = 256 };

/* Element i of a head, i < n_row * head_dim, in the rows. */
__device__ static size_t place_in_rows(const heads_args &a, int head, int i)
{
	return ((size_t)(i / a.head_dim) * (size_t)a.n_head + (size_t)head) * (size_t)a.head_dim + (size_t)(i % a.head_dim);
}

static __global__ void to_heads_kernel(heads_args a)
{
	cuda_await_previous();
	int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), head = (int)blockIdx.y;
	if (i < a.n_row * a.head_dim)
		a.heads[(size_t)head * a.stride + (size_t)i] = a.factor * a.rows[place_in_rows(a, head, i)];
}

static __global__ void to_rows_kernel(heads_args a)
{
	cuda_await_previous();
	int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), head = (int)blockIdx.y;
	if (i < a.n_row * a.head_dim)
		a.rows[place_in_rows(a, head, i)] = a.factor * a.heads[(size_t)head * a.stride + (size_t)i];
}

static dim3 grid_for(const heads_args &a)
{
	return dim3((unsigned)((a.n_row * a.head_dim + THREADS - 1) / THREADS), (unsigned)a.n_head);
}

cudaError_t cuda_rows_to_heads(const heads_args *a, cudaStream_t stream)
{
	heads_args args = *a;
	CUDA_LAUNCH(to_heads_kernel, grid_for(args), dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}

cudaError_t cuda_heads_to_rows(const heads_args *a, cudaStream_t stream)
{
	heads_args args = *a;
	CUDA_LAUNCH(to_rows_kernel, grid_for(args), dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}

__device__ static float as_float(float x)
{
	return x;
}

__device__ static float as_float(__half x)
{
	return __half2float(x);
}

template <class T> static __global__ void widen_heads_kernel(widen_heads_args a)
{
	cuda_await_previous();
	size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x, head = blockIdx.y;
	if (i < a.n)
		a.to[head * a.stride + i] = as_float(static_cast<const T *>(a.from)[head * a.n + i]);
}

cudaError_t cuda_widen_heads(const widen_heads_args *a, cudaStream_t stream)
{
	widen_heads_args args = *a;
	dim3 grid((unsigned)((args.n + THREADS - 1) / THREADS), (unsigned)args.n_head);
	if (args.half)
		CUDA_LAUNCH((widen_heads_kernel<__half>), grid, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((widen_heads_kernel<float>), grid, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
