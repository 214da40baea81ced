/* Decoding one unit of every stored type into vectors, for unpack.c (which stores them) and dot.c (which multiplies them).
 *
 * unit_TYPE(p, k, out) decodes UNIT elements: of block p for the 32-element types; of sub-block k of super-block p for the K types
 * (a 256-element block is eight sub-blocks of 32). The order of the float operations is that of engine/file/tensor_type.c, so the
 * results are the same bits. Layouts: the GGUF specification's block types.
 */
#ifndef KVGLASS_ENGINE_CPU_SIMD_BLOCKS_H
#define KVGLASS_ENGINE_CPU_SIMD_BLOCKS_H

#include "engine/cpu/simd/vec.h"

enum { UNIT = 32, UNIT_VECTORS = UNIT / VW };

static inline uint32_t u32_at(const uint8_t *p)
{
	uint32_t u;
	memcpy(&u, p, sizeof u);
	return u;
}

/* 32 nibbles of 16 bytes in the order of the 32-element types: low halves are elements 0..15, high halves 16..31. */
static inline void nibbles(const uint8_t *qs, vi q[UNIT_VECTORS])
{
	for (int i = 0; i < UNIT_VECTORS / 2; i++) {
		vi byte = vi_from_u8(qs + i * VW);
		q[i] = byte & 15;
		q[i + UNIT_VECTORS / 2] = byte >> 4;
	}
}

#if defined SIMD_avx512
/* The sixteen values that a nibble can mean fit one register: looking them up needs no masks and no conversion. */
static const vf nibble_level = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static inline vf look_up(vi low_nibble, vf meaning) /* reads the low four bits of each lane */
{
	return (vf)_mm512_permutexvar_ps((__m512i)low_nibble, (__m512)meaning);
}
#endif

/* Bit e of `bits`, for e = first .. first + VW - 1, as a vector of 0 and 1. */
static inline vi bits_of(uint32_t bits, int first)
{
	vi lane;
	for (int i = 0; i < VW; i++)
		lane[i] = i;
	return (vi_set((int32_t)(bits >> first)) >> lane) & 1;
}

/* ---- 32-element blocks ---------------------------------------------------------------------------------------- */

static inline void unit_q8_0(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	(void)k;
	vf d = vf_set(f16_at(p));
	for (int i = 0; i < UNIT_VECTORS; i++)
		out[i] = vf_from_int(vi_from_i8(p + 2 + i * VW)) * d;
}

static inline void unit_q4_0(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	(void)k;
	vf d = vf_set(f16_at(p));
#if defined SIMD_avx512
	vi byte = vi_from_u8(p + 2);
	vf meaning = (nibble_level - 8) * d;
	out[0] = look_up(byte, meaning);
	out[1] = look_up(byte >> 4, meaning);
#else
	vi q[UNIT_VECTORS];
	nibbles(p + 2, q);
	for (int i = 0; i < UNIT_VECTORS; i++)
		out[i] = vf_from_int(q[i] - 8) * d;
#endif
}

static inline void unit_q4_1(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	(void)k;
	vf d, m;
	vf_set_f16_pair(p, &d, &m);
#if defined SIMD_avx512
	vi byte = vi_from_u8(p + 4);
	vf meaning = nibble_level * d + m;
	out[0] = look_up(byte, meaning);
	out[1] = look_up(byte >> 4, meaning);
#else
	vi q[UNIT_VECTORS];
	nibbles(p + 4, q);
	for (int i = 0; i < UNIT_VECTORS; i++)
		out[i] = vf_from_int(q[i]) * d + m;
#endif
}

static inline void unit_q5_0(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	(void)k;
	vf d = vf_set(f16_at(p));
	vi q[UNIT_VECTORS];
	nibbles(p + 6, q);
	for (int i = 0; i < UNIT_VECTORS; i++)
		out[i] = vf_from_int((q[i] | bits_of(u32_at(p + 2), i * VW) << 4) - 16) * d;
}

static inline void unit_q5_1(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	(void)k;
	vf d, m;
	vf_set_f16_pair(p, &d, &m);
	vi q[UNIT_VECTORS];
	nibbles(p + 8, q);
	for (int i = 0; i < UNIT_VECTORS; i++)
		out[i] = vf_from_int(q[i] | bits_of(u32_at(p + 4), i * VW) << 4) * d + m;
}

/* ---- 256-element super-blocks -------------------------------------------------------------------------------- */

/* Six-bit scale and minimum of sub-block k of Q4_K and Q5_K, packed in 12 bytes. */
static inline void scale_min_k4(const uint8_t *s, int k, int *scale, int *min)
{
	if (k < 4) {
		*scale = s[k] & 63;
		*min = s[k + 4] & 63;
	} else {
		*scale = (s[k + 4] & 15) | (s[k - 4] >> 6) << 4;
		*min = s[k + 4] >> 4 | (s[k] >> 6) << 4;
	}
}

static inline void unit_q4_k(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	int scale, min;
	scale_min_k4(p + 4, k, &scale, &min);
	vf d = vf_set(f16_at(p) * (float)scale), m = vf_set(f16_at(p + 2) * (float)min);
	const uint8_t *qs = p + 16 + k / 2 * 32; /* 32 bytes hold sub-block 2i in the low, 2i + 1 in the high nibbles */
	for (int i = 0; i < UNIT_VECTORS; i++) {
		vi byte = vi_from_u8(qs + i * VW);
#if defined SIMD_avx512
		out[i] = look_up(k & 1 ? byte >> 4 : byte, nibble_level * d - m);
#else
		out[i] = vf_from_int(k & 1 ? byte >> 4 : byte & 15) * d - m;
#endif
	}
}

static inline void unit_q5_k(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	int scale, min;
	scale_min_k4(p + 4, k, &scale, &min);
	vf d = vf_set(f16_at(p) * (float)scale), m = vf_set(f16_at(p + 2) * (float)min);
	const uint8_t *qh = p + 16, *qs = p + 48 + k / 2 * 32; /* bit k of qh[e] is the fifth bit of element e of sub-block k */
	for (int i = 0; i < UNIT_VECTORS; i++) {
		vi byte = vi_from_u8(qs + i * VW), high = vi_from_u8(qh + i * VW) >> k & 1;
		out[i] = vf_from_int((k & 1 ? byte >> 4 : byte & 15) | high << 4) * d - m;
	}
}

static inline void unit_q6_k(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	/* ql[128], qh[64], scales[16], d. Each half of 128 elements: sub-blocks 0 and 1 are the low nibbles of 64 ql bytes,
	 * 2 and 3 the high ones; bits 2j, 2j + 1 of 32 qh bytes are the top bits of sub-block j. A scale covers 16 elements. */
	int j = k & 3;
	const uint8_t *ql = p + k / 4 * 64 + (j & 1) * 32, *qh = p + 128 + k / 4 * 32;
	const uint8_t *scale = p + 192 + k * 2;
	float d = f16_at(p + 208);
	for (int i = 0; i < UNIT_VECTORS; i++) {
		vi byte = vi_from_u8(ql + i * VW), high = vi_from_u8(qh + i * VW) >> 2 * j & 3;
		vi q = (j & 2 ? byte >> 4 : byte & 15) | high << 4;
		out[i] = vf_from_int(q - 32) * vf_set(d * (float)(int8_t)scale[i * VW / 16]);
	}
}

/* ---- plain numbers (32 of them from p) -------------------------------------------------------------------------- */

static inline void unit_f32(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	(void)k;
	for (int i = 0; i < UNIT_VECTORS; i++)
		memcpy(&out[i], p + 4 * i * VW, sizeof out[i]);
}

static inline void unit_f16(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	(void)k;
	for (int i = 0; i < UNIT_VECTORS; i++)
		out[i] = vf_from_f16(p + 2 * i * VW);
}

static inline void unit_bf16(const uint8_t *p, int k, vf out[UNIT_VECTORS])
{
	(void)k;
	for (int i = 0; i < UNIT_VECTORS; i++)
		out[i] = vf_from_bf16(p + 2 * i * VW);
}

#endif
