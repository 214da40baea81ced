/* Parts of a row, each softened against its own maximum, become the whole. CPU twin: join_row and join_values in
 * engine/cpu/attention_few.c. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

template <class T> static __global__ void join_kernel(attention_args a)
{
	int head = (int)blockIdx.x, row = (int)blockIdx.y;
	size_t apart = (size_t)a.n_row * (size_t)a.n_head, at = (size_t)row * (size_t)a.n_head + (size_t)head;
	float most = -INFINITY, sum = 0;
	for (int i = 0; i < a.n_split; i++)
		most = fmaxf(most, a.part[(size_t)i * apart + at].x);
	for (int i = 0; i < a.n_split; i++) {
		float2 part = a.part[(size_t)i * apart + at];
		if (part.y != 0) /* an empty part has no maximum */
			sum += part.y * exp2f(part.x - most);
	}
	if (threadIdx.x == 0) {
		a.stat[(size_t)(a.first_row + row) * (size_t)a.n_head + (size_t)head] = make_float2(most, 1.0f / sum);
		if (!isfinite(sum))
			atomicMax(a.bad, a.layers_left);
	}
	for (int k = (int)threadIdx.x; a.out.data && k < a.head_dim; k += (int)blockDim.x) {
		float value = 0;
		for (int i = 0; i < a.n_split; i++) {
			float2 part = a.part[(size_t)i * apart + at];
			if (part.y != 0)
				value += exp2f(part.x - most) * a.part_out[((size_t)i * apart + at) * (size_t)a.head_dim + (size_t)k];
		}
		T *out = static_cast<T *>(a.out.data) + (size_t)(a.first_row + row) * (size_t)a.out.ld + (size_t)head * (size_t)a.head_dim;
		out[k] = from_float<T>(value / sum);
	}
}

cudaError_t cuda_attention_join(const attention_args *a, cudaStream_t stream)
{
	attention_args args = *a;
	dim3 grid((unsigned)args.n_head, (unsigned)args.n_row), block((unsigned)(args.head_dim + 31) / 32 * 32);
	if (args.half)
		CUDA_LAUNCH((join_kernel<bf16>), grid, block, 0, stream, args);
	else
		CUDA_LAUNCH((join_kernel<float>), grid, block, 0, stream, args);
	return cudaGetLastError();
}
