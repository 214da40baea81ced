#include "engine/file/tensor_type.h"

#include <string.h>

static const struct tensor_type_info type_table[N_TENSOR_TYPE] = {
	[TYPE_F32] = {"F32", 1, 4},
	[TYPE_F16] = {"F16", 1, 2},
	[TYPE_BF16] = {"BF16", 1, 2},
	[TYPE_Q8_0] = {"Q8_0", 32, 34},
	[TYPE_Q4_0] = {"Q4_0", 32, 18},
	[TYPE_Q4_1] = {"Q4_1", 32, 20},
	[TYPE_Q5_0] = {"Q5_0", 32, 22},
	[TYPE_Q5_1] = {"Q5_1", 32, 24},
	[TYPE_Q4_K] = {"Q4_K", 256, 144},
	[TYPE_Q5_K] = {"Q5_K", 256, 176},
	[TYPE_Q6_K] = {"Q6_K", 256, 210},
};

const struct tensor_type_info *tensor_type_info(enum tensor_type t)
{
	return &type_table[t];
}

size_t tensor_type_bytes(enum tensor_type t, uint64_t n)
{
	const struct tensor_type_info *info = &type_table[t];
	uint64_t n_block = n / (uint64_t)info->block_elements;
	size_t bytes;
	if (n % (uint64_t)info->block_elements || __builtin_mul_overflow(n_block, (uint64_t)info->block_bytes, &bytes))
		return 0;
	return bytes;
}

/* ---- half precision ---------------------------------------------------------------------------------------- */

static float from_bits(uint32_t bits)
{
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

static uint32_t to_bits(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	return bits;
}

float f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
	if (exponent == 31) /* infinity, NaN with its payload */
		return from_bits(sign | 0x7f800000 | fraction << 13);
	if (exponent == 0) { /* zero and subnormals: fraction * 2^-24, exact in float32 */
		float f = (float)fraction * 0x1p-24f;
		return sign ? -f : f;
	}
	return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t f32_to_f16(float f)
{
	uint32_t bits = to_bits(f), magnitude = bits & 0x7fffffff;
	uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
	if (magnitude > 0x7f800000) /* NaN: quiet, upper payload kept */
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000) /* 65520 and more round to infinity */
		return (uint16_t)(sign | 0x7c00);
	if (magnitude < 0x38800000) {
		/* Below 2^-14 the unit is 2^-24: adding 1/2 in float32 (unit 2^-24) lets the FPU round to nearest even. */
		float shifted = from_bits(magnitude) + 0.5f;
		return (uint16_t)(sign | (to_bits(shifted) - to_bits(0.5f)));
	}
	uint32_t odd = magnitude >> 13 & 1;
	return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
}

float bf16_to_f32(uint16_t h)
{
	return from_bits((uint32_t)h << 16);
}

uint16_t f32_to_bf16(float f)
{
	uint32_t bits = to_bits(f);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40); /* rounding could turn a NaN into infinity */
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* ---- blocks ------------------------------------------------------------------------------------------------ *
 *
 * 32 elements: element i < 16 sits in the low nibble of byte i, element i + 16 in its high nibble; a fifth bit, where there
 * is one, is bit i of a 32-bit word. value = d * (q - zero) or d * q + m.
 */

static uint16_t load_u16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static float load_f16(const uint8_t *p)
{
	return f16_to_f32(load_u16(p));
}

static uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static void unpack_f32(const uint8_t *b, float *y)
{
	memcpy(y, b, sizeof *y);
}

static void unpack_f16(const uint8_t *b, float *y)
{
	*y = load_f16(b);
}

static void unpack_bf16(const uint8_t *b, float *y)
{
	*y = bf16_to_f32(load_u16(b));
}

static void unpack_q8_0(const uint8_t *b, float *y) /* f16 d, 32 int8 */
{
	float d = load_f16(b);
	for (int i = 0; i < 32; i++)
		y[i] = (float)(int8_t)b[2 + i] * d;
}

static int nibble(const uint8_t *q, int i) /* of 32 */
{
	return i < 16 ? q[i] & 15 : q[i - 16] >> 4;
}

static int fifth_bit(uint32_t high, int i)
{
	return (int)(high >> i & 1) << 4;
}

static void unpack_q4_0(const uint8_t *b, float *y) /* f16 d, nibbles */
{
	float d = load_f16(b);
	for (int i = 0; i < 32; i++)
		y[i] = (float)(nibble(b + 2, i) - 8) * d;
}

static void unpack_q4_1(const uint8_t *b, float *y) /* f16 d, f16 m, nibbles */
{
	float d = load_f16(b), m = load_f16(b + 2);
	for (int i = 0; i < 32; i++)
		y[i] = (float)nibble(b + 4, i) * d + m;
}

static void unpack_q5_0(const uint8_t *b, float *y) /* f16 d, u32 fifth bits, nibbles */
{
	float d = load_f16(b);
	uint32_t high = load_u32(b + 2);
	for (int i = 0; i < 32; i++)
		y[i] = (float)((nibble(b + 6, i) | fifth_bit(high, i)) - 16) * d;
}

static void unpack_q5_1(const uint8_t *b, float *y) /* f16 d, f16 m, u32 fifth bits, nibbles */
{
	float d = load_f16(b), m = load_f16(b + 2);
	uint32_t high = load_u32(b + 4);
	for (int i = 0; i < 32; i++)
		y[i] = (float)(nibble(b + 8, i) | fifth_bit(high, i)) * d + m;
}

/* 256 elements in 8 groups of 32 with 6-bit scale and minimum each, packed in 12 bytes: groups 0-3 have theirs in the low
 * six bits of bytes g and g + 4; groups 4-7 have the low four bits in the nibbles of byte g + 4 and the upper two on top of bytes
 * g - 4 and g. */
static void group_scale(const uint8_t *packed, int g, int *scale, int *minimum)
{
	if (g < 4) {
		*scale = packed[g] & 63;
		*minimum = packed[g + 4] & 63;
	} else {
		*scale = (packed[g + 4] & 15) | (packed[g - 4] >> 6) << 4;
		*minimum = packed[g + 4] >> 4 | (packed[g] >> 6) << 4;
	}
}

/* Both K types: groups 2p and 2p + 1 share 32 bytes, low nibbles first; the fifth bit of group g is bit g of high[i]. */
static void unpack_groups(const uint8_t *b, const uint8_t *high, const uint8_t *nibbles, float *y)
{
	float d = load_f16(b), d_min = load_f16(b + 2);
	for (int g = 0; g < 8; g++) {
		int scale, minimum;
		group_scale(b + 4, g, &scale, &minimum);
		float step = d * (float)scale, offset = d_min * (float)minimum;
		const uint8_t *q = nibbles + 32 * (g / 2);
		for (int i = 0; i < 32; i++) {
			int value = g % 2 ? q[i] >> 4 : q[i] & 15;
			if (high)
				value |= (high[i] >> g & 1) << 4;
			y[32 * g + i] = step * (float)value - offset;
		}
	}
}

static void unpack_q4_k(const uint8_t *b, float *y) /* f16 d, f16 dmin, 12 scale bytes, 128 nibble bytes */
{
	unpack_groups(b, NULL, b + 16, y);
}

static void unpack_q5_k(const uint8_t *b, float *y) /* the same with 32 bytes of fifth bits before the nibbles */
{
	unpack_groups(b, b + 16, b + 48, y);
}

/* 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 int8 scales (one per 16 elements), f16 d. Each half of 128 elements has
 * four runs of 32: runs 0 and 1 take the low, 2 and 3 the high nibbles of 64 bytes; run r's upper bits are pair r of 32 bytes. */
static void unpack_q6_k(const uint8_t *b, float *y)
{
	const int8_t *scale = (const int8_t *)b + 192;
	float d = load_f16(b + 208);
	for (int i = 0; i < 256; i++) {
		int half = i / 128, run = i % 128 / 32, lane = i % 32;
		int low = b[64 * half + 32 * (run % 2) + lane] >> 4 * (run / 2) & 15;
		int high = b[128 + 32 * half + lane] >> 2 * run & 3;
		y[i] = d * (float)scale[i / 16] * (float)((low | high << 4) - 32);
	}
}

void tensor_unpack(enum tensor_type t, const void *src, size_t n, float *dst)
{
	static void (*const unpack[N_TENSOR_TYPE])(const uint8_t *, float *) = {
		[TYPE_F32] = unpack_f32,   [TYPE_F16] = unpack_f16,   [TYPE_BF16] = unpack_bf16, [TYPE_Q8_0] = unpack_q8_0,
		[TYPE_Q4_0] = unpack_q4_0, [TYPE_Q4_1] = unpack_q4_1, [TYPE_Q5_0] = unpack_q5_0, [TYPE_Q5_1] = unpack_q5_1,
		[TYPE_Q4_K] = unpack_q4_k, [TYPE_Q5_K] = unpack_q5_k, [TYPE_Q6_K] = unpack_q6_k,
	};
	size_t step = (size_t)type_table[t].block_elements;
	const uint8_t *block = src;
	for (size_t i = 0; i + step <= n; i += step, block += type_table[t].block_bytes)
		unpack[t](block, dst + i);
}
