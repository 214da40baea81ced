/* SwiGLU (Shazeer, arXiv 2002.05202): gate = silu(gate) * up, in place. CPU twin: simd_rows' swiglu. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

template <class T> static __global__ void swiglu_kernel(swiglu_args a)
{
	int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
	size_t row = blockIdx.y;
	T *gate = static_cast<T *>(a.gate.data) + row * (size_t)a.gate.ld;
	const T *up = static_cast<const T *>(a.up.data) + row * (size_t)a.up.ld;
	if (column < a.n)
		gate[column] = from_float<T>(silu(to_float(gate[column])) * to_float(up[column]));
}

/* Two at once where rows begin at whole words: half the instructions of a pass that does nothing but move memory. */
static __global__ void swiglu_pairs_kernel(swiglu_args a)
{
	int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
	size_t row = blockIdx.y;
	unsigned *gate = static_cast<unsigned *>(a.gate.data) + row * (size_t)(a.gate.ld / 2);
	const unsigned *up = static_cast<const unsigned *>(a.up.data) + row * (size_t)(a.up.ld / 2);
	float g[2], u[2];
	if (column >= a.n / 2)
		return;
	unpack_bf16(gate[column], g);
	unpack_bf16(up[column], u);
	gate[column] = pack_bf16(silu(g[0]) * u[0], silu(g[1]) * u[1]);
}

cudaError_t cuda_swiglu(const swiglu_args *a, cudaStream_t stream)
{
	enum { THREADS = 256 };
	swiglu_args args = *a;
	bool pairs = args.gate.half && args.n % 2 == 0 && args.gate.ld % 2 == 0 && args.up.ld % 2 == 0;
	unsigned columns = (unsigned)(pairs ? args.n / 2 : args.n);
	dim3 grid((columns + THREADS - 1) / THREADS, (unsigned)args.n_rows);
	if (pairs)
		CUDA_LAUNCH(swiglu_pairs_kernel, grid, dim3(THREADS), 0, stream, args);
	else if (args.gate.half)
		CUDA_LAUNCH((swiglu_kernel<bf16>), grid, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((swiglu_kernel<float>), grid, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
