/* The AVX-512 instructions that engine/cpu/simd names, in plain C over GCC's vectors: its sets avx512 and avx512_bf16 then run, slowly, on a
 * processor with AVX2. Included before each of them (make: -include); narrower instructions stay the processor's. What an instruction does is written
 * from Intel's description of it; a name that the engine uses and that is missing here does not compile. */
#ifndef KVGLASS_TESTS_SIMDEMU_AVX512_H
#define KVGLASS_TESTS_SIMDEMU_AVX512_H

#include <immintrin.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t emulated_halves __attribute__((vector_size(32))); /* 16 bfloat16 numbers */

#define EMULATED(result, name, ...) static inline __attribute__((unused)) result emulated_##name(__VA_ARGS__)
#define LANES for (int i = 0; i < 16; i++)

EMULATED(__m512, set1_ps, float x)
{
	__m512 v;
	LANES v[i] = x; /* 0 + x would lose the sign of a zero */
	return v;
}

EMULATED(__m512, loadu_ps, const void *p)
{
	__m512 v;
	memcpy(&v, p, sizeof v);
	return v;
}

EMULATED(void, storeu_ps, void *p, __m512 v)
{
	memcpy(p, &v, sizeof v);
}

EMULATED(__m512, fmadd_ps, __m512 a, __m512 b, __m512 c)
{
	LANES c[i] = fmaf(a[i], b[i], c[i]);
	return c;
}

/* The second operand where either is NaN, and of two zeros. */
EMULATED(__m512, max_ps, __m512 a, __m512 b)
{
	LANES b[i] = a[i] > b[i] ? a[i] : b[i];
	return b;
}

/* Within each four lanes: lane i is the one that bits 2i and 2i + 1 of `order` name. */
EMULATED(__m512, permute_ps, __m512 v, int order)
{
	__m512 out;
	LANES out[i] = v[(i & ~3) + (order >> 2 * (i & 3) & 3)];
	return out;
}

EMULATED(__m512, permutexvar_ps, __m512i which, __m512 from)
{
	int32_t lane[16];
	memcpy(lane, &which, sizeof lane);
	__m512 out;
	LANES out[i] = from[lane[i] & 15];
	return out;
}

/* Groups of four lanes: two of a, then two of b, named by two bits each. */
EMULATED(__m512, shuffle_f32x4, __m512 a, __m512 b, int order)
{
	__m512 out;
	LANES out[i] = (i < 8 ? a : b)[4 * (order >> 2 * (i / 4) & 3) + i % 4];
	return out;
}

/* Of each four lanes the first two (unpacklo) or the last two (unpackhi), a and b in turn; _pd counts pairs of lanes as one. */
EMULATED(__m512, unpack_ps, __m512 a, __m512 b, int first)
{
	__m512 out;
	LANES out[i] = (i & 1 ? b : a)[(i & ~3) + first + (i & 3) / 2];
	return out;
}

EMULATED(__m512d, unpack_pd, __m512d a, __m512d b, int first)
{
	__m512d out;
	for (int i = 0; i < 8; i++)
		out[i] = (i & 1 ? b : a)[(i & ~1) + first];
	return out;
}

/* Halves are added, then quarters, eighths and sixteenths, as the compilers' own sequence does. */
EMULATED(float, reduce_add_ps, __m512 v)
{
	for (int half = 8; half; half /= 2)
		for (int i = 0; i < half; i++)
			v[i] += v[i + half];
	return v[0];
}

EMULATED(float, reduce_max_ps, __m512 v)
{
	float largest = v[0];
	LANES largest = v[i] > largest ? v[i] : largest;
	return largest;
}

EMULATED(__m512, broadcastss_ps, __m128 v)
{
	return emulated_set1_ps(v[0]);
}

typedef int32_t emulated_ints __attribute__((vector_size(64)));

EMULATED(__m512, cvtepi32_ps, __m512i v)
{
	emulated_ints lane = (emulated_ints)v;
	__m512 out;
	LANES out[i] = (float)lane[i];
	return out;
}

#define EMULATED_WIDEN(name, vector, type)          \
	EMULATED(__m512i, name, vector v)           \
	{                                           \
		type narrow[16];                    \
		emulated_ints wide;                 \
		memcpy(narrow, &v, sizeof narrow);  \
		LANES wide[i] = narrow[i];          \
		return (__m512i)wide;               \
	}
EMULATED_WIDEN(cvtepu8_epi32, __m128i, uint8_t)
EMULATED_WIDEN(cvtepi8_epi32, __m128i, int8_t)
EMULATED_WIDEN(cvtepu16_epi32, __m256i, uint16_t)

EMULATED(__m256i, cvtepi32_epi16, __m512i v)
{
	emulated_ints lane = (emulated_ints)v;
	emulated_halves out;
	LANES out[i] = (uint16_t)lane[i];
	return (__m256i)out;
}

EMULATED(__m512, cvtph_ps, __m256i v)
{
	uint16_t half[16];
	memcpy(half, &v, sizeof half);
	__m512 out;
	LANES out[i] = _cvtsh_ss(half[i]);
	return out;
}

/* To bfloat16, ties to even; denormal numbers count as 0, NaN becomes quiet. */
EMULATED(emulated_halves, cvtneps_pbh, __m512 v)
{
	emulated_halves out;
	LANES {
		float x = v[i];
		uint32_t bits;
		memcpy(&bits, &x, sizeof bits);
		if (x != x)
			bits |= 0x400000;
		else if (!(bits & 0x7f800000))
			bits &= 0x80000000;
		else
			bits += 0x7fff + (bits >> 16 & 1);
		out[i] = (uint16_t)(bits >> 16);
	}
	return out;
}

#undef EMULATED
#undef EMULATED_WIDEN
#undef LANES

#define _mm512_set1_ps emulated_set1_ps
#define _mm512_loadu_ps emulated_loadu_ps
#define _mm512_storeu_ps emulated_storeu_ps
#define _mm512_fmadd_ps emulated_fmadd_ps
#define _mm512_max_ps emulated_max_ps
#undef _mm512_permute_ps
#define _mm512_permute_ps emulated_permute_ps
#define _mm512_permutexvar_ps emulated_permutexvar_ps
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 emulated_shuffle_f32x4
#define _mm512_unpacklo_ps(a, b) emulated_unpack_ps(a, b, 0)
#define _mm512_unpackhi_ps(a, b) emulated_unpack_ps(a, b, 2)
#define _mm512_unpacklo_pd(a, b) emulated_unpack_pd(a, b, 0)
#define _mm512_unpackhi_pd(a, b) emulated_unpack_pd(a, b, 1)
#define _mm512_reduce_add_ps emulated_reduce_add_ps
#define _mm512_reduce_max_ps emulated_reduce_max_ps
#define _mm512_broadcastss_ps emulated_broadcastss_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
#define _mm512_cvtepi8_epi32 emulated_cvtepi8_epi32
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtneps_pbh emulated_cvtneps_pbh

#endif
