/* bfloat16: the upper half of a float32, rounded to nearest even. */
#ifndef KVGLASS_CUDAEMU_CUDA_BF16_H
#define KVGLASS_CUDAEMU_CUDA_BF16_H

#include "cuda_runtime.h"

#ifdef __cplusplus
struct __nv_bfloat16_raw {
	unsigned short x;
};

static inline unsigned short cudaemu_bf16_from(float f)
{
	uint32_t u = cudaemu_bits<uint32_t>(f);
	if (f != f)
		return 0x7fff; /* the canonical NaN, as the device gives it */
	return (unsigned short)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
static inline float cudaemu_bf16_to(unsigned short x)
{
	return cudaemu_bits<float>((uint32_t)x << 16);
}

struct __attribute__((aligned(2))) __nv_bfloat16 {
	unsigned short x;
	__nv_bfloat16() = default;
	__nv_bfloat16(const __nv_bfloat16_raw &r) : x(r.x) {}
	__nv_bfloat16(float f) : x(cudaemu_bf16_from(f)) {}
	operator float() const { return cudaemu_bf16_to(x); }
	operator __nv_bfloat16_raw() const { return {x}; }
};
struct __attribute__((aligned(4))) __nv_bfloat162 {
	__nv_bfloat16 x, y;
	__nv_bfloat162() = default;
	__nv_bfloat162(const __nv_bfloat16 &x_, const __nv_bfloat16 &y_) : x(x_), y(y_) {}
};

static inline __nv_bfloat16 __float2bfloat16(float f) { return __nv_bfloat16(f); }
static inline __nv_bfloat16 __float2bfloat16_rn(float f) { return __nv_bfloat16(f); }
static inline float __bfloat162float(__nv_bfloat16 h) { return cudaemu_bf16_to(h.x); }
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__nv_bfloat16(x), __nv_bfloat16(y)}; }
static inline __nv_bfloat162 __float22bfloat162_rn(float2 f) { return __floats2bfloat162_rn(f.x, f.y); }
static inline float2 __bfloat1622float2(__nv_bfloat162 h) { return {__bfloat162float(h.x), __bfloat162float(h.y)}; }
static inline float __low2float(__nv_bfloat162 h) { return __bfloat162float(h.x); }
static inline float __high2float(__nv_bfloat162 h) { return __bfloat162float(h.y); }
static inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
static inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.x; }
static inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short x) { return __nv_bfloat16_raw{x}; }
#endif

#endif
