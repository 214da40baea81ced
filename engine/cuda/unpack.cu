/* Stored blocks -> bfloat16 or float32 elements, one thread an element. CPU twin and definition of the formats: engine/file/tensor_type.c;
 * the float32 values are the same to the bit. */
#include "engine/cuda/kernels.h"
#include "engine/cuda/number.h"
#pragma GCC diagnostic ignored "-Wshadow" /* C has functions of a struct's name */
#include "engine/file/tensor_type.h"

__device__ static unsigned word16(const uint8_t *p)
{
	return (unsigned)p[0] | (unsigned)p[1] << 8;
}

__device__ static unsigned word32(const uint8_t *p)
{
	return word16(p) | word16(p + 2) << 16;
}

__device__ static float f16_at(const uint8_t *p)
{
	return __half2float(__ushort_as_half((unsigned short)word16(p)));
}

/* Element i of 32: nibbles, low ones first, with a fifth bit from `high`. */
__device__ static int five_bits(const uint8_t *q, unsigned high, int i)
{
	int nibble = i < 16 ? q[i] & 15 : q[i - 16] >> 4;
	return nibble | (int)(high >> i & 1) << 4;
}

/* Products and sums are kept apart, as the reference rounds them: no fused multiply-add. */
__device__ static float scaled(float step, int q, float offset)
{
	return __fadd_rn(__fmul_rn(step, (float)q), offset);
}

/* Element i of 256 in 8 groups with 6-bit scales and minima. */
__device__ static float k_element(const uint8_t *b, const uint8_t *high, const uint8_t *nibbles, int i)
{
	int g = i / 32, lane = i % 32, scale, minimum;
	const uint8_t *packed = b + 4;
	if (g < 4) {
		scale = packed[g] & 63;
		minimum = packed[g + 4] & 63;
	} else {
		scale = (packed[g + 4] & 15) | (packed[g - 4] >> 6) << 4;
		minimum = packed[g + 4] >> 4 | (packed[g] >> 6) << 4;
	}
	int byte = nibbles[32 * (g / 2) + lane], value = g % 2 ? byte >> 4 : byte & 15;
	if (high)
		value |= (high[lane] >> g & 1) << 4;
	return scaled(__fmul_rn(f16_at(b), (float)scale), value, -__fmul_rn(f16_at(b + 2), (float)minimum));
}

__device__ static float q6_k_element(const uint8_t *b, int i)
{
	int part = i / 128, run = i % 128 / 32, lane = i % 32;
	int low = b[64 * part + 32 * (run % 2) + lane] >> 4 * (run / 2) & 15;
	int high = b[128 + 32 * part + lane] >> 2 * run & 3;
	int scale = (int8_t)b[192 + i / 16];
	return __fmul_rn(__fmul_rn(f16_at(b + 208), (float)scale), (float)((low | high << 4) - 32));
}

template <int TYPE> __device__ static float element(const uint8_t *b, int i)
{
	switch (TYPE) {
	case TYPE_F32:
		return __uint_as_float(word32(b));
	case TYPE_F16:
		return f16_at(b);
	case TYPE_BF16:
		return __uint_as_float(word16(b) << 16);
	case TYPE_Q8_0:
		return __fmul_rn((float)(int8_t)b[2 + i], f16_at(b));
	case TYPE_Q4_0:
		return __fmul_rn((float)(five_bits(b + 2, 0, i) - 8), f16_at(b));
	case TYPE_Q4_1:
		return scaled(f16_at(b), five_bits(b + 4, 0, i), f16_at(b + 2));
	case TYPE_Q5_0:
		return __fmul_rn((float)(five_bits(b + 6, word32(b + 2), i) - 16), f16_at(b));
	case TYPE_Q5_1:
		return scaled(f16_at(b), five_bits(b + 8, word32(b + 4), i), f16_at(b + 2));
	case TYPE_Q4_K:
		return k_element(b, nullptr, b + 16, i);
	case TYPE_Q5_K:
		return k_element(b, b + 16, b + 48, i);
	default:
		return q6_k_element(b, i);
	}
}

struct block_shape {
	int elements, bytes;
};

template <class T, int TYPE> static __global__ void unpack_kernel(unpack_args a, block_shape shape)
{
	cuda_await_previous();
	size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
	if (at >= a.n)
		return;
	size_t block = at / (size_t)shape.elements;
	int i = (int)(at % (size_t)shape.elements);
	static_cast<T *>(a.to)[at] = from_float<T>(element<TYPE>(a.from + block * (size_t)shape.bytes, i));
}

template <int TYPE> static void launch(const unpack_args &args, block_shape shape, cudaStream_t stream)
{
	enum { THREADS = 256 };
	dim3 grid((unsigned)((args.n + THREADS - 1) / THREADS));
	if (args.half)
		CUDA_LAUNCH((unpack_kernel<bf16, TYPE>), grid, dim3(THREADS), 0, stream, args, shape);
	else
		CUDA_LAUNCH((unpack_kernel<float, TYPE>), grid, dim3(THREADS), 0, stream, args, shape);
}

cudaError_t cuda_unpack(const unpack_args *a, cudaStream_t stream)
{
	static void (*const launcher[N_TENSOR_TYPE])(const unpack_args &, block_shape, cudaStream_t) = {launch<TYPE_F32>, launch<TYPE_F16>,
		launch<TYPE_BF16>, launch<TYPE_Q8_0>, launch<TYPE_Q4_0>, launch<TYPE_Q4_1>, launch<TYPE_Q5_0>, launch<TYPE_Q5_1>,
		launch<TYPE_Q4_K>, launch<TYPE_Q5_K>, launch<TYPE_Q6_K>}; /* in the order of enum tensor_type */
	const block_shape shape[N_TENSOR_TYPE] = {{1, 4}, {1, 2}, {1, 2}, {32, 34}, {32, 18}, {32, 20}, {32, 22}, {32, 24}, {256, 144},
		{256, 176}, {256, 210}};
	launcher[a->type](*a, shape[a->type], stream);
	return cudaGetLastError();
}
