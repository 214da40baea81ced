/* IEEE half precision, rounded to nearest even. */
#ifndef KVGLASS_CUDAEMU_CUDA_FP16_H
#define KVGLASS_CUDAEMU_CUDA_FP16_H

#include "cuda_runtime.h"

#ifdef __cplusplus
struct __half_raw {
	unsigned short x;
};

static inline float cudaemu_half_to(unsigned short h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
	if (exponent == 31)
		return cudaemu_bits<float>(sign | 0x7f800000u | fraction << 13);
	float magnitude = exponent ? ldexpf((float)(1024 + fraction), (int)exponent - 25) : ldexpf((float)fraction, -24);
	return sign ? -magnitude : magnitude;
}
static inline unsigned short cudaemu_half_from(float f)
{
	unsigned short sign = (unsigned short)(cudaemu_bits<uint32_t>(f) >> 16 & 0x8000);
	float magnitude = fabsf(f);
	if (f != f)
		return 0x7fff;
	if (magnitude == 0)
		return sign;
	if (magnitude >= 65520.0f) /* half a step above the largest: infinity */
		return sign | 0x7c00;
	int exponent = 0;
	frexpf(magnitude, &exponent);
	int step = exponent - 11 < -24 ? -24 : exponent - 11; /* of the last of eleven bits; smallest numbers share one step */
	int n = (int)rintf(ldexpf(magnitude, -step));         /* exact but for this rounding, to even in the default mode */
	if (step == -24)
		return (unsigned short)(sign | n); /* n = 1024 is the smallest normal number */
	return (unsigned short)(sign + ((step + 24) << 10) + n); /* n's leading bit adds one to the exponent; so does a carry to 2048 */
}

struct __attribute__((aligned(2))) __half {
	unsigned short x;
	__half() = default;
	__half(const __half_raw &r) : x(r.x) {}
	__half(float f) : x(cudaemu_half_from(f)) {}
	operator float() const { return cudaemu_half_to(x); }
	operator __half_raw() const { return {x}; }
};
typedef __half half;
struct __attribute__((aligned(4))) __half2 {
	__half x, y;
};
typedef __half2 half2;

static inline __half __float2half(float f) { return __half(f); }
static inline __half __float2half_rn(float f) { return __half(f); }
static inline float __half2float(__half h) { return cudaemu_half_to(h.x); }
static inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
static inline float2 __half22float2(__half2 h) { return {__half2float(h.x), __half2float(h.y)}; }
static inline unsigned short __half_as_ushort(__half h) { return h.x; }
static inline __half __ushort_as_half(unsigned short x) { return __half_raw{x}; }
#endif

#endif
