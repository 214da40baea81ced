/* SwiGLU (Shazeer, arXiv 2002.05202): gate = silu(gate) * up, in place. CPU twin: simd_rows' swiglu. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

template <class T> static __global__ void swiglu_kernel(swiglu_args a)
{
	cuda_await_previous();
	int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
	size_t row = blockIdx.y;
	T *gate = static_cast<T *>(a.gate.data) + row * (size_t)a.gate.ld;
	const T *up = static_cast<const T *>(a.up.data) + row * (size_t)a.up.ld;
	if (column < a.n)
		gate[column] = from_float<T>(silu(to_float(gate[column])) * to_float(up[column]));
}

/* Eight at once where rows begin at whole words: a pass that does nothing but move memory needs much of it under way. */
static __global__ void swiglu_eights_kernel(swiglu_args a)
{
	cuda_await_previous();
	int column = 8 * (int)(blockIdx.x * blockDim.x + threadIdx.x);
	size_t row = blockIdx.y;
	bf16 *gate = static_cast<bf16 *>(a.gate.data) + row * (size_t)a.gate.ld + column;
	const bf16 *up = static_cast<const bf16 *>(a.up.data) + row * (size_t)a.up.ld + column;
	float g[8], u[8];
	if (column >= a.n)
		return;
	eight<bf16> packed_gate = fetch_eight(gate), packed_up = fetch_eight(up);
	unpack_eight(packed_gate, g);
	unpack_eight(packed_up, u);
	for (int i = 0; i < 8; i++)
		g[i] = silu(g[i]) * u[i];
	store_eight(gate, g);
}

cudaError_t cuda_swiglu(const swiglu_args *a, cudaStream_t stream)
{
	enum { THREADS = 256 };
	swiglu_args args = *a;
	bool eights = args.gate.half && args.n % 8 == 0 && args.gate.ld % 8 == 0 && args.up.ld % 8 == 0;
	unsigned columns = (unsigned)(eights ? args.n / 8 : args.n);
	dim3 grid((columns + THREADS - 1) / THREADS, (unsigned)args.n_rows);
	if (eights)
		CUDA_LAUNCH(swiglu_eights_kernel, grid, dim3(THREADS), 0, stream, args);
	else if (args.gate.half)
		CUDA_LAUNCH((swiglu_kernel<bf16>), grid, dim3(THREADS), 0, stream, args);
	else
		CUDA_LAUNCH((swiglu_kernel<float>), grid, dim3(THREADS), 0, stream, args);
	return cudaGetLastError();
}
