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
	__nv_bfloat162 pair = __floats2bfloat162_rn(first, second); /* one instruction */
	return (unsigned)__bfloat16_as_ushort(pair.x) | (unsigned)__bfloat16_as_ushort(pair.y) << 16;
}

__device__ inline void unpack_bf16(unsigned pair, float *out)
{
	out[0] = __uint_as_float(pair << 16);
	out[1] = __uint_as_float(pair & 0xffff0000u);
}

/* Eight neighbours as they lie in memory: what is under way takes no more registers than that. */
template <class T> struct eight;

template <> struct eight<bf16> {
	uint4 word;
};

template <> struct eight<float> {
	float4 low, high;
};

/* p is aligned to 16 bytes. */
__device__ inline eight<bf16> fetch_eight(const bf16 *p)
{
	return {*reinterpret_cast<const uint4 *>(p)};
}

__device__ inline eight<float> fetch_eight(const float *p)
{
	return {reinterpret_cast<const float4 *>(p)[0], reinterpret_cast<const float4 *>(p)[1]};
}

/* The same of what is read once and pushes nothing out of the caches. */
__device__ inline eight<bf16> stream_eight(const bf16 *p)
{
	return {__ldcs(reinterpret_cast<const uint4 *>(p))};
}

__device__ inline eight<float> stream_eight(const float *p)
{
	return {__ldcs(reinterpret_cast<const float4 *>(p)), __ldcs(reinterpret_cast<const float4 *>(p) + 1)};
}

__device__ inline void unpack_eight(const eight<bf16> &x, float out[8])
{
	unpack_bf16(x.word.x, out);
	unpack_bf16(x.word.y, out + 2);
	unpack_bf16(x.word.z, out + 4);
	unpack_bf16(x.word.w, out + 6);
}

__device__ inline void unpack_eight(const eight<float> &x, float out[8])
{
	out[0] = x.low.x, out[1] = x.low.y, out[2] = x.low.z, out[3] = x.low.w;
	out[4] = x.high.x, out[5] = x.high.y, out[6] = x.high.z, out[7] = x.high.w;
}

template <class T> __device__ inline void load_eight(const T *p, float out[8])
{
	unpack_eight(fetch_eight(p), out);
}

__device__ inline uint4 pack_eight(const float x[8])
{
	return make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]));
}

__device__ inline void store_eight(bf16 *p, const float x[8])
{
	*reinterpret_cast<uint4 *>(p) = pack_eight(x);
}

__device__ inline void store_eight(float *p, const float x[8])
{
	reinterpret_cast<float4 *>(p)[0] = make_float4(x[0], x[1], x[2], x[3]);
	reinterpret_cast<float4 *>(p)[1] = make_float4(x[4], x[5], x[6], x[7]);
}

/* The first n of eight, one by one: rows that end inside, or lie unaligned. */
template <class T> __device__ inline void load_some(const T *p, int n, float out[8])
{
	for (int i = 0; i < 8; i++)
		out[i] = i < n ? to_float(p[i]) : 0.0f;
}

/* Four neighbours; p is aligned to them. */
__device__ inline void store_four(float *p, float4 x)
{
	*reinterpret_cast<float4 *>(p) = x;
}

__device__ inline void store_four(bf16 *p, float4 x)
{
	*reinterpret_cast<uint2 *>(p) = make_uint2(pack_bf16(x.x, x.y), pack_bf16(x.z, x.w));
}

/* 2^x by the device's own instruction, right to two units in the last place; below 2^-126 it is 0. exp2f() is the same with four more around
 * it for such numbers, and attention has one for every score. */
__device__ inline float power_of_two(float x)
{
#ifdef KVGLASS_CUDAEMU
	return x < -126 ? 0.0f : exp2f(x);
#else
	float power;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
	return power;
#endif
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
