/* CUDA's device functions of numbers. The fast ones (__expf, ...) are the exact ones here: kernels are compared within tolerances. */
#ifndef KVGLASS_CUDAEMU_MATH_H
#define KVGLASS_CUDAEMU_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "vector_types.h"

#define CUDAEMU_ORDER(type)                                                                                      \
	static inline type min(type a, type b) { return a < b ? a : b; }                                             \
	static inline type max(type a, type b) { return a > b ? a : b; }
CUDAEMU_ORDER(int)
CUDAEMU_ORDER(unsigned)
CUDAEMU_ORDER(long)
CUDAEMU_ORDER(unsigned long)
CUDAEMU_ORDER(long long)
CUDAEMU_ORDER(unsigned long long)
#undef CUDAEMU_ORDER
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float cudaemu_exp10f(float x) { return powf(10.0f, x); }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frsqrt_rn(float x) { return (float)(1.0 / sqrt((double)x)); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
/* glibc declares some of these for itself, so that they can only be macros. */
#define __expf(x) expf(x)
#define __exp10f(x) cudaemu_exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __sincosf(x, s, c) sincosf(x, s, c)

template <class To, class From> static inline To cudaemu_bits(From from)
{
	static_assert(sizeof(To) == sizeof(From), "the same bits");
	To to;
	memcpy(&to, &from, sizeof to);
	return to;
}
static inline float __int_as_float(int x) { return cudaemu_bits<float>(x); }
static inline int __float_as_int(float x) { return cudaemu_bits<int>(x); }
static inline float __uint_as_float(unsigned x) { return cudaemu_bits<float>(x); }
static inline unsigned __float_as_uint(float x) { return cudaemu_bits<unsigned>(x); }
static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline int __float2int_rz(float x) { return (int)x; }
static inline float __int2float_rn(int x) { return (float)x; }
static inline float __uint2float_rn(unsigned x) { return (float)x; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __brev(unsigned x)
{
	unsigned r = 0;
	for (int i = 0; i < 32; i++)
		r |= (x >> i & 1) << (31 - i);
	return r;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
	__extension__ typedef unsigned __int128 wide;
	return (unsigned long long)((wide)a * b >> 64);
}

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }
template <class T> static inline void __stcs(T *p, T v) { *p = v; }
template <class T> static inline void __stcg(T *p, T v) { *p = v; }

#endif
