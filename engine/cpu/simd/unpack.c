/* Unpacking of stored weight rows to float32, and the transpose that makes panels of them. */
#include "engine/cpu/simd/blocks.h"
#include "engine/cpu/simd/simd.h"

#define UNPACK_BLOCKS(name, elements, bytes)                                                                     \
	static void unpack_##name(const uint8_t *src, int n, float *dst)                                             \
	{                                                                                                            \
		for (int at = 0; at < n; at += (elements), src += (bytes)) {                                             \
			_Pragma("GCC unroll 8") for (int k = 0; k < (elements) / UNIT; k++)                                  \
			{                                                                                                    \
				vf value[UNIT_VECTORS];                                                                          \
				unit_##name(src, k, value);                                                                      \
				for (int i = 0; i < UNIT_VECTORS; i++)                                                           \
					vf_store(dst + at + k * UNIT + i * VW, value[i]);                                            \
			}                                                                                                    \
		}                                                                                                        \
	}

UNPACK_BLOCKS(q8_0, 32, 34)
UNPACK_BLOCKS(q4_0, 32, 18)
UNPACK_BLOCKS(q4_1, 32, 20)
UNPACK_BLOCKS(q5_0, 32, 22)
UNPACK_BLOCKS(q5_1, 32, 24)
UNPACK_BLOCKS(q4_k, 256, 144)
UNPACK_BLOCKS(q5_k, 256, 176)
UNPACK_BLOCKS(q6_k, 256, 210)

static void unpack_f32(const uint8_t *src, int n, float *dst)
{
	memcpy(dst, src, (size_t)n * sizeof *dst);
}

#define UNPACK_HALVES(name, tail)                                                                                \
	static void unpack_##name(const uint8_t *src, int n, float *dst)                                             \
	{                                                                                                            \
		int at = 0;                                                                                              \
		for (; at + VW <= n; at += VW)                                                                           \
			vf_store(dst + at, vf_from_##name(src + 2 * at));                                                    \
		for (; at < n; at++) {                                                                                   \
			uint16_t half;                                                                                       \
			memcpy(&half, src + 2 * at, sizeof half);                                                            \
			dst[at] = tail(half);                                                                                \
		}                                                                                                        \
	}

UNPACK_HALVES(f16, f16_to_f32)
UNPACK_HALVES(bf16, bf16_to_f32)

/* ---- rounding to bfloat16 ------------------------------------------------------------------------------------------- */

static void round_bf16(const float *src, int n, uint16_t *dst)
{
	int i = 0;
	for (; i + VW <= n; i += VW)
		vf_store_bf16(dst + i, vf_load(src + i));
	for (; i < n; i++)
		dst[i] = f32_to_bf16(src[i]);
}

/* ---- transpose ------------------------------------------------------------------------------------------------------ */

#if defined SIMD_avx512
/* 16 x 16: pairs, quads, then 128-bit lanes change places. */
static void transpose_block(const float *src, int ld_src, float *dst, int ld_dst)
{
	__m512 a[16], b[16];
	for (int i = 0; i < 16; i++)
		a[i] = _mm512_loadu_ps(src + (size_t)i * (size_t)ld_src);
	for (int i = 0; i < 16; i += 2) {
		b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
		b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
	}
	for (int i = 0; i < 16; i += 4)
		for (int j = 0; j < 2; j++) {
			a[i + 2 * j] = (__m512)_mm512_unpacklo_pd((__m512d)b[i + j], (__m512d)b[i + 2 + j]);
			a[i + 2 * j + 1] = (__m512)_mm512_unpackhi_pd((__m512d)b[i + j], (__m512d)b[i + 2 + j]);
		}
	for (int j = 0; j < 4; j++) { /* a[4g + j]: column 4 lane + j of rows 4g .. 4g+3, one 128-bit lane each */
		__m512 lo01 = _mm512_shuffle_f32x4(a[j], a[4 + j], 0x44), hi01 = _mm512_shuffle_f32x4(a[j], a[4 + j], 0xee);
		__m512 lo23 = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0x44), hi23 = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0xee);
		b[j] = _mm512_shuffle_f32x4(lo01, lo23, 0x88);
		b[4 + j] = _mm512_shuffle_f32x4(lo01, lo23, 0xdd);
		b[8 + j] = _mm512_shuffle_f32x4(hi01, hi23, 0x88);
		b[12 + j] = _mm512_shuffle_f32x4(hi01, hi23, 0xdd);
	}
	for (int i = 0; i < 16; i++)
		_mm512_storeu_ps(dst + (size_t)i * (size_t)ld_dst, b[i]);
}
enum { BLOCK = 16 };
#elif defined SIMD_avx2
/* 8 x 8: pairs, quads, then halves change places. */
static void transpose_block(const float *src, int ld_src, float *dst, int ld_dst)
{
	__m256 a[8], b[8];
	for (int i = 0; i < 8; i++)
		a[i] = _mm256_loadu_ps(src + (size_t)i * (size_t)ld_src);
	for (int i = 0; i < 8; i += 2) {
		b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
		b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
	}
	for (int i = 0; i < 8; i += 4)
		for (int j = 0; j < 2; j++) { /* a[4g + j]: column j of rows 4g .. 4g+3, column 4 + j in the upper half */
			a[i + 2 * j] = _mm256_shuffle_ps(b[i + j], b[i + 2 + j], 0x44);
			a[i + 2 * j + 1] = _mm256_shuffle_ps(b[i + j], b[i + 2 + j], 0xee);
		}
	for (int j = 0; j < 4; j++) {
		_mm256_storeu_ps(dst + (size_t)j * (size_t)ld_dst, _mm256_permute2f128_ps(a[j], a[4 + j], 0x20));
		_mm256_storeu_ps(dst + (size_t)(4 + j) * (size_t)ld_dst, _mm256_permute2f128_ps(a[j], a[4 + j], 0x31));
	}
}
enum { BLOCK = 8 };
#else
/* 4 x 4: pairs, then quads. */
static void transpose_block(const float *src, int ld_src, float *dst, int ld_dst)
{
	typedef float quad __attribute__((vector_size(16)));
	quad a[4], b[4];
	for (int i = 0; i < 4; i++)
		memcpy(&a[i], src + (size_t)i * (size_t)ld_src, sizeof a[i]);
	for (int i = 0; i < 4; i += 2) {
		b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 4, 1, 5);
		b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 2, 6, 3, 7);
	}
	for (int j = 0; j < 2; j++) {
		a[2 * j] = __builtin_shufflevector(b[j], b[2 + j], 0, 1, 4, 5);
		a[2 * j + 1] = __builtin_shufflevector(b[j], b[2 + j], 2, 3, 6, 7);
	}
	for (int i = 0; i < 4; i++)
		memcpy(dst + (size_t)i * (size_t)ld_dst, &a[i], sizeof a[i]);
}
enum { BLOCK = 4 };
#endif

static void transpose(const struct tile_rows *src, float *dst, int ld_dst)
{
	int m_whole = src->m / BLOCK * BLOCK, n_whole = src->n / BLOCK * BLOCK;
	for (int i = 0; i < m_whole; i += BLOCK)
		for (int j = 0; j < n_whole; j += BLOCK)
			transpose_block(src->data + (size_t)i * (size_t)src->ld + j, src->ld, dst + (size_t)j * (size_t)ld_dst + i, ld_dst);
	for (int i = 0; i < src->m; i++)
		for (int j = i < m_whole ? n_whole : 0; j < src->n; j++)
			dst[(size_t)j * (size_t)ld_dst + (size_t)i] = src->data[(size_t)i * (size_t)src->ld + (size_t)j];
}

const struct simd_unpack SIMD_FN(simd_unpack) = {
	.unpack = {
		[TYPE_F32] = unpack_f32, [TYPE_F16] = unpack_f16, [TYPE_BF16] = unpack_bf16, [TYPE_Q8_0] = unpack_q8_0,
		[TYPE_Q4_0] = unpack_q4_0, [TYPE_Q4_1] = unpack_q4_1, [TYPE_Q5_0] = unpack_q5_0, [TYPE_Q5_1] = unpack_q5_1,
		[TYPE_Q4_K] = unpack_q4_k, [TYPE_Q5_K] = unpack_q5_k, [TYPE_Q6_K] = unpack_q6_k,
	},
	.round_bf16 = round_bf16,
	.transpose = transpose,
};
