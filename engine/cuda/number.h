/* Elements of matrices as the kernels read and write them: bfloat16 or float32 in memory, float32 in registers. Device code. */
#ifndef KVGLASS_ENGINE_CUDA_NUMBER_H
#define KVGLASS_ENGINE_CUDA_NUMBER_H

#include "engine/cuda/launch.h"

typedef __nv_bfloat16 bf16;

__device__ inline float to_float(float x)
{
	return x;
}

__device__ inline float to_float(bf16 x)
{
	return __bfloat162float(x);
}

template <class T> __device__ inline T from_float(float x);

template <> __device__ inline float from_float<float>(float x)
{
	return x;
}

template <> __device__ inline bf16 from_float<bf16>(float x)
{
	return __float2bfloat16(x);
}

/* Two neighbours in one word, the first in the low half. */
__device__ inline unsigned pack_bf16(float first, float second)
{
	return (unsigned)__bfloat16_as_ushort(__float2bfloat16(first)) | (unsigned)__bfloat16_as_ushort(__float2bfloat16(second)) << 16;
}

__device__ inline void unpack_bf16(unsigned pair, float *out)
{
	out[0] = __uint_as_float(pair << 16);
	out[1] = __uint_as_float(pair & 0xffff0000u);
}

/* Eight neighbours; p is aligned to 16 bytes. */
__device__ inline void load_eight(const bf16 *p, float out[8])
{
	uint4 word = *reinterpret_cast<const uint4 *>(p);
	unpack_bf16(word.x, out);
	unpack_bf16(word.y, out + 2);
	unpack_bf16(word.z, out + 4);
	unpack_bf16(word.w, out + 6);
}

__device__ inline void load_eight(const float *p, float out[8])
{
	float4 a = reinterpret_cast<const float4 *>(p)[0], b = reinterpret_cast<const float4 *>(p)[1];
	out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
	out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
}

/* The first n of eight, one by one: rows that end inside, or lie unaligned. */
template <class T> __device__ inline void load_some(const T *p, int n, float out[8])
{
	for (int i = 0; i < 8; i++)
		out[i] = i < n ? to_float(p[i]) : 0.0f;
}

__device__ inline float silu(float x)
{
	return x / (1.0f + expf(-x));
}

/* Sums and maxima over the lanes of a warp, on every lane. */
__device__ inline float warp_sum(float x)
{
	for (int apart = 16; apart > 0; apart /= 2)
		x += __shfl_xor_sync(0xffffffffu, x, apart);
	return x;
}

__device__ inline float warp_max(float x)
{
	for (int apart = 16; apart > 0; apart /= 2)
		x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, apart));
	return x;
}

#endif
