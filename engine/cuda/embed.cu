/* Rows of the embedding -> the residual stream. CPU twin: embed_row in engine/cpu/backend.c. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

template <class T> static __global__ void embed_kernel(embed_args a)
{
	cuda_await_previous();
	int row = (int)blockIdx.x;
	const T *from = static_cast<const T *>(a.table) + (size_t)a.ids[row] * (size_t)a.n_embd;
	float *to = static_cast<float *>(a.out.data) + (size_t)row * (size_t)a.out.ld;
	for (int i = (int)threadIdx.x; i < a.n_embd; i += (int)blockDim.x)
		to[i] = to_float(from[i]);
}

cudaError_t cuda_embed(const embed_args *a, cudaStream_t stream)
{
	embed_args args = *a;
	if (args.half)
		CUDA_LAUNCH((embed_kernel<bf16>), dim3((unsigned)args.n_rows), dim3(256), 0, stream, args);
	else
		CUDA_LAUNCH((embed_kernel<float>), dim3((unsigned)args.n_rows), dim3(256), 0, stream, args);
	return cudaGetLastError();
}

cudaError_t cuda_find_code(void)
{
	return cudaFuncSetAttribute((const void *)embed_kernel<float>, cudaFuncAttributeMaxDynamicSharedMemorySize, 0);
}
