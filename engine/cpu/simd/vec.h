/* One vector of floats, as wide as the instruction set this file is compiled for (SIMD_avx512, SIMD_avx2, else the baseline;
 * SIMD_avx512_bf16 is SIMD_avx512 with instructions that round to bfloat16).
 *
 * The arithmetic is GCC's vector extension (+ - * / and comparisons work on vf and vi); what it lacks is named here.
 * Products and sums are never fused behind our back (-ffp-contract=off): vf_fma is the only fused operation, so that unpacking
 * gives the same bits in all three builds while dot products may differ in rounding.
 */
#ifndef KVGLASS_ENGINE_CPU_SIMD_VEC_H
#define KVGLASS_ENGINE_CPU_SIMD_VEC_H

#include <stdint.h>
#include <string.h>

#include "engine/file/tensor_type.h"

#if defined SIMD_avx512_bf16
#define SIMD_avx512 1
#endif

#if defined SIMD_avx512 || defined SIMD_avx2
#include <immintrin.h>
#endif

#if defined SIMD_avx512
enum { VW = 16 };
#elif defined SIMD_avx2
enum { VW = 8 };
#else
enum { VW = 4 };
#endif

#if defined SIMD_avx512
#define VB 64
#elif defined SIMD_avx2
#define VB 32
#else
#define VB 16
#endif

typedef float vf __attribute__((vector_size(VB)));
typedef int32_t vi __attribute__((vector_size(VB)));

#define SIMD_JOIN_(a, b) a##_##b
#define SIMD_JOIN(a, b) SIMD_JOIN_(a, b)
#define SIMD_FN(name) SIMD_JOIN(name, SIMD_NAME)

static inline vf vf_load(const float *p)
{
	vf v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline void vf_store(float *p, vf v)
{
	memcpy(p, &v, sizeof v);
}

static inline vf vf_set(float x)
{
#if defined SIMD_avx512
	return (vf)_mm512_set1_ps(x);
#elif defined SIMD_avx2
	return (vf)_mm256_set1_ps(x);
#else
	return (vf){x, x, x, x};
#endif
}

static inline vf vf_fma(vf a, vf b, vf c)
{
#if defined SIMD_avx512
	return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined SIMD_avx2
	return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
	return a * b + c;
#endif
}

/* The larger; the second operand where either is NaN. */
static inline vf vf_max(vf a, vf b)
{
#if defined SIMD_avx512
	return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined SIMD_avx2
	return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
	vi larger = a > b;
	return (vf)(((vi)a & larger) | ((vi)b & ~larger));
#endif
}

/* (1, 0, 3, 2, ...) */
static inline vf vf_swap_pairs(vf v)
{
#if defined SIMD_avx512
	return (vf)_mm512_permute_ps((__m512)v, 0xb1);
#elif defined SIMD_avx2
	return (vf)_mm256_permute_ps((__m256)v, 0xb1);
#else
	return (vf){v[1], v[0], v[3], v[2]};
#endif
}

static inline float vf_sum(vf v)
{
#if defined SIMD_avx512
	return _mm512_reduce_add_ps((__m512)v);
#else
	float lane[VW];
	memcpy(lane, &v, sizeof v);
	for (int half = VW / 2; half; half /= 2)
		for (int i = 0; i < half; i++)
			lane[i] += lane[i + half];
	return lane[0];
#endif
}

static inline float vf_largest(vf v)
{
#if defined SIMD_avx512
	return _mm512_reduce_max_ps((__m512)v);
#else
	float lane[VW];
	memcpy(lane, &v, sizeof v);
	for (int half = VW / 2; half; half /= 2)
		for (int i = 0; i < half; i++)
			lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
	return lane[0];
#endif
}

static inline vf vf_from_int(vi v)
{
#if defined SIMD_avx512
	return (vf)_mm512_cvtepi32_ps((__m512i)v);
#elif defined SIMD_avx2
	return (vf)_mm256_cvtepi32_ps((__m256i)v);
#else
	return __builtin_convertvector(v, vf);
#endif
}

static inline vi vi_set(int32_t x)
{
	return (vi){0} + x;
}

/* VW unsigned bytes, signed bytes, float16 or bfloat16 numbers at p, which may be unaligned. (GCC 12 takes a vector of bytes apart one by one
 * when asked to convert it, hence the instructions by name.) */
static inline vi vi_from_u8(const uint8_t *p)
{
#if defined SIMD_avx512
	return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
#elif defined SIMD_avx2
	return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
#else
	return (vi){p[0], p[1], p[2], p[3]};
#endif
}

static inline vi vi_from_i8(const uint8_t *p)
{
#if defined SIMD_avx512
	return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p));
#elif defined SIMD_avx2
	return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p));
#else
	return (vi){(int8_t)p[0], (int8_t)p[1], (int8_t)p[2], (int8_t)p[3]};
#endif
}

static inline vf vf_from_bf16(const uint8_t *p)
{
#if defined SIMD_avx512
	return (vf)((vi)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)) << 16);
#elif defined SIMD_avx2
	return (vf)((vi)_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)) << 16);
#else
	vi bits;
	for (int i = 0; i < VW; i++)
		bits[i] = (int32_t)((uint32_t)(p[2 * i] | p[2 * i + 1] << 8) << 16);
	return (vf)bits;
#endif
}

/* VW numbers rounded to bfloat16, ties to even; NaN stays NaN. (The instruction takes denormal numbers for 0.) */
static inline void vf_store_bf16(uint16_t *p, vf x)
{
#if defined SIMD_avx512_bf16
	_mm256_storeu_si256((void *)p, (__m256i)_mm512_cvtneps_pbh((__m512)x));
#else
	vi bits = (vi)x, odd = bits >> 16 & 1, nan = (bits & 0x7fffffff) > 0x7f800000;
	vi rounded = (((bits + (0x7fff + odd)) & ~nan) | ((bits | 0x400000) & nan)) >> 16;
#if defined SIMD_avx512
	_mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16((__m512i)rounded));
#else
	for (int i = 0; i < VW; i++)
		p[i] = (uint16_t)rounded[i];
#endif
#endif
}

static inline float f16_at(const uint8_t *p)
{
	uint16_t h;
	memcpy(&h, p, sizeof h);
#if defined SIMD_avx512 || defined SIMD_avx2
	return _cvtsh_ss(h);
#else
	return f16_to_f32(h);
#endif
}

/* Two float16 numbers at p, each in every lane: the scale and minimum of a block. */
static inline void vf_set_f16_pair(const uint8_t *p, vf *first, vf *second)
{
#if defined SIMD_avx512 || defined SIMD_avx2
	int32_t bits;
	memcpy(&bits, p, sizeof bits);
	__m128 pair = _mm_cvtph_ps(_mm_cvtsi32_si128(bits));
#if defined SIMD_avx512
	*first = (vf)_mm512_broadcastss_ps(pair);
	*second = (vf)_mm512_broadcastss_ps(_mm_movehdup_ps(pair));
#else
	*first = (vf)_mm256_broadcastss_ps(pair);
	*second = (vf)_mm256_broadcastss_ps(_mm_movehdup_ps(pair));
#endif
#else
	*first = vf_set(f16_at(p));
	*second = vf_set(f16_at(p + 2));
#endif
}

static inline vf vf_from_f16(const uint8_t *p)
{
#if defined SIMD_avx512
	return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
#elif defined SIMD_avx2
	return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
#else
	return (vf){f16_at(p), f16_at(p + 2), f16_at(p + 4), f16_at(p + 6)};
#endif
}

/* exp(x) to about one unit in the last place for x <= 88; 0 below -87.3 (where the result leaves the normal numbers);
 * NaN stays NaN. Reduction to r = x - n ln 2 in two pieces, then the polynomial of Cephes' expf. */
static inline vf vf_exp(vf x)
{
	const vf lowest = vf_set(-87.3f);
	const float round_shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
	vf inside = vf_max(lowest, x);
	vf shifted = vf_fma(inside, vf_set(1.44269504f), vf_set(round_shift));
	vf n = shifted - round_shift;
	vf r = vf_fma(n, vf_set(-0.693359375f), inside);
	r = vf_fma(n, vf_set(2.12194440e-4f), r);
	vf p = vf_fma(vf_set(1.9875691500e-4f), r, vf_set(1.3981999507e-3f));
	p = vf_fma(p, r, vf_set(8.3334519073e-3f));
	p = vf_fma(p, r, vf_set(4.1665795894e-2f));
	p = vf_fma(p, r, vf_set(1.6666665459e-1f));
	p = vf_fma(p, r, vf_set(5.0000001201e-1f));
	p = vf_fma(p * r, r, r) + 1.0f;
	vi power = ((vi)shifted << 23) + vi_set(127 << 23); /* the integer n sits in shifted's low bits */
	p *= (vf)power;
	return (vf)((vi)p & ~(x < lowest));
}

/* 2^x to a little over half a unit in the last place for x <= 127; 0 below -126; NaN stays NaN; 2^0 is 1. A quarter cheaper than
 * vf_exp: the reduction is exact. The polynomial of degree 6 interpolates (2^r - 1) / r at the Chebyshev points of [-1/2, 1/2]. */
static inline vf vf_exp2(vf x)
{
	const vf lowest = vf_set(-126.0f);
	const float round_shift = 12582912.0f;
	vf inside = vf_max(lowest, x);
	vf shifted = inside + round_shift;
	vf r = inside - (shifted - round_shift);
	vf p = vf_fma(vf_set(1.5453163e-4f), r, vf_set(1.33908633e-3f));
	p = vf_fma(p, r, vf_set(9.61808302e-3f));
	p = vf_fma(p, r, vf_set(5.55035695e-2f));
	p = vf_fma(p, r, vf_set(2.40226507e-1f));
	p = vf_fma(p, r, vf_set(6.93147182e-1f));
	p = vf_fma(p, r, vf_set(1.0f));
	vi power = ((vi)shifted << 23) + vi_set(127 << 23);
	p *= (vf)power;
	return (vf)((vi)p & ~(x < lowest));
}

#endif
