/* Parts of a row, each softened against its own maximum, become the whole. CPU twin: join_row and join_values in
 * engine/cpu/attention_few.c. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"

enum { MOST_PARTS = 64, SHARES = 4 /* of the parts */, MOST_COLUMNS = 256 };

/* One block a head of a row. Parts are few and each is read from afar, so all are asked for at once: maxima and sums by the lanes of one
 * warp, then a column's values by SHARES threads. */
template <class T> static __global__ void __launch_bounds__(SHARES * MOST_COLUMNS) join_kernel(attention_args a)
{
	cuda_await_previous();
	CUDA_SHARED(float, weight, MOST_PARTS);
	CUDA_SHARED(float, total, 1);
	CUDA_SHARED(float, gather, SHARES * MOST_COLUMNS);
	int head = (int)blockIdx.x, row = (int)blockIdx.y, thread = (int)threadIdx.x;
	size_t apart = (size_t)a.n_row * (size_t)a.n_head, at = (size_t)row * (size_t)a.n_head + (size_t)head;
	if (thread < 32) {
		float2 part[MOST_PARTS / 32];
		float most = -INFINITY, sum = 0;
		for (int k = 0; k < MOST_PARTS / 32; k++) {
			int i = thread + 32 * k;
			part[k] = i < a.n_split ? a.part[(size_t)i * apart + at] : make_float2(-INFINITY, 0);
			most = fmaxf(most, part[k].x);
		}
		most = warp_max(most);
		for (int k = 0; k < MOST_PARTS / 32; k++) {
			float factor = part[k].y != 0 ? power_of_two(part[k].x - most) : 0.0f; /* an empty part has no maximum */
			weight[thread + 32 * k] = factor;
			sum += part[k].y != 0 ? part[k].y * factor : 0.0f;
		}
		sum = warp_sum(sum);
		if (thread == 0) {
			total[0] = sum;
			a.stat[(size_t)(a.first_row + row) * (size_t)a.n_head + (size_t)head] = make_float2(most, 1.0f / sum);
			if (!isfinite(sum))
				atomicMax(a.bad, a.layers_left);
		}
	}
	__syncthreads();
	if (!a.out.data)
		return;
	int width = (int)blockDim.x / SHARES, column = thread % width, share = thread / width;
	float value = 0;
#pragma unroll
	for (int k = 0; k < MOST_PARTS / SHARES; k++) {
		int i = share + k * SHARES;
		float factor = weight[i];
		if (i < a.n_split && factor != 0 && column < a.head_dim)
			value += factor * a.part_out[((size_t)i * apart + at) * (size_t)a.head_dim + (size_t)column];
	}
	gather[thread] = value;
	__syncthreads();
	if (share || column >= a.head_dim)
		return;
	for (int k = 1; k < SHARES; k++)
		value += gather[k * width + column];
	T *out = static_cast<T *>(a.out.data) + (size_t)(a.first_row + row) * (size_t)a.out.ld + (size_t)head * (size_t)a.head_dim;
	out[column] = from_float<T>(value / total[0]);
}

cudaError_t cuda_attention_join(const attention_args *a, cudaStream_t stream)
{
	attention_args args = *a;
	dim3 grid((unsigned)args.n_head, (unsigned)args.n_row), block((unsigned)(SHARES * ((args.head_dim + 31) / 32 * 32)));
	if (args.n_split > MOST_PARTS || args.head_dim > MOST_COLUMNS)
		return cudaErrorInvalidValue;
	if (args.half)
		CUDA_LAUNCH((join_kernel<bf16>), grid, block, 0, stream, args);
	else
		CUDA_LAUNCH((join_kernel<float>), grid, block, 0, stream, args);
	return cudaGetLastError();
}
