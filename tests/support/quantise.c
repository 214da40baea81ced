#include "tests/support/quantise.h"

#include <math.h>
#include <string.h>

static void store_u16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof v);
}

static float store_f16(uint8_t *p, float value) /* what a reader will see */
{
	uint16_t h = f32_to_f16(value);
	store_u16(p, h);
	return f16_to_f32(h);
}

static int level(float x, int least, int most)
{
	float rounded = rintf(x);
	return !(rounded >= (float)least) ? least : rounded > (float)most ? most : (int)rounded;
}

static float inverse(float d)
{
	return d > 0 || d < 0 ? 1 / d : 0;
}

static float largest_magnitude(const float *x, int n)
{
	float most = 0;
	for (int i = 0; i < n; i++)
		most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
	return most;
}

static void range(const float *x, int n, float *least, float *most)
{
	*least = *most = x[0];
	for (int i = 1; i < n; i++) {
		*least = x[i] < *least ? x[i] : *least;
		*most = x[i] > *most ? x[i] : *most;
	}
}

static void pack_f32(const float *x, uint8_t *b)
{
	memcpy(b, x, sizeof *x);
}

static void pack_f16(const float *x, uint8_t *b)
{
	store_u16(b, f32_to_f16(*x));
}

static void pack_bf16(const float *x, uint8_t *b)
{
	store_u16(b, f32_to_bf16(*x));
}

static void pack_q8_0(const float *x, uint8_t *b)
{
	float id = inverse(store_f16(b, largest_magnitude(x, 32) / 127));
	for (int i = 0; i < 32; i++)
		b[2 + i] = (uint8_t)(int8_t)level(x[i] * id, -127, 127);
}

/* Four- and five-bit blocks: levels 0 .. 2^bits - 1 into nibbles and fifth bits. */
static void store_levels(const int q[32], uint8_t *high, uint8_t *nibbles)
{
	uint32_t fifth = 0;
	for (int i = 0; i < 16; i++)
		nibbles[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
	for (int i = 0; i < 32; i++)
		fifth |= (uint32_t)(q[i] >> 4 & 1) << i;
	if (high)
		memcpy(high, &fifth, sizeof fifth);
}

static void pack_symmetric(const float *x, uint8_t *b, int zero, uint8_t *high, uint8_t *nibbles) /* Q4_0: zero 8, Q5_0: 16 */
{
	int q[32];
	float id = inverse(store_f16(b, largest_magnitude(x, 32) / (float)(zero - 1)));
	for (int i = 0; i < 32; i++)
		q[i] = level(x[i] * id, -zero, zero - 1) + zero;
	store_levels(q, high, nibbles);
}

static void pack_offset(const float *x, uint8_t *b, int most_level, uint8_t *high, uint8_t *nibbles) /* Q4_1, Q5_1 */
{
	int q[32];
	float least, most;
	range(x, 32, &least, &most);
	float id = inverse(store_f16(b, (most - least) / (float)most_level));
	least = store_f16(b + 2, least);
	for (int i = 0; i < 32; i++)
		q[i] = level((x[i] - least) * id, 0, most_level);
	store_levels(q, high, nibbles);
}

static void pack_q4_0(const float *x, uint8_t *b)
{
	pack_symmetric(x, b, 8, NULL, b + 2);
}

static void pack_q4_1(const float *x, uint8_t *b)
{
	pack_offset(x, b, 15, NULL, b + 4);
}

static void pack_q5_0(const float *x, uint8_t *b)
{
	pack_symmetric(x, b, 16, b + 2, b + 6);
}

static void pack_q5_1(const float *x, uint8_t *b)
{
	pack_offset(x, b, 31, b + 4, b + 8);
}

/* Eight groups of 32 with six-bit scale and minimum under two float16 factors (Q4_K: 15 levels, Q5_K: 31). */
static void pack_groups(const float *x, uint8_t *b, int most_level, uint8_t *high, uint8_t *nibbles)
{
	float step[8], offset[8];
	int scale[8], minimum[8];
	for (int g = 0; g < 8; g++) {
		float least, most;
		range(x + 32 * g, 32, &least, &most);
		offset[g] = least < 0 ? -least : 0;
		step[g] = (most + offset[g]) / (float)most_level;
	}
	float d = store_f16(b, largest_magnitude(step, 8) / 63), d_min = store_f16(b + 2, largest_magnitude(offset, 8) / 63);
	memset(b + 4, 0, 12);
	for (int g = 0; g < 8; g++) {
		scale[g] = level(step[g] * inverse(d), 0, 63);
		minimum[g] = level(offset[g] * inverse(d_min), 0, 63);
		if (g < 4) {
			b[4 + g] |= (uint8_t)scale[g];
			b[8 + g] |= (uint8_t)minimum[g];
		} else {
			b[8 + g] = (uint8_t)((scale[g] & 15) | (minimum[g] & 15) << 4);
			b[g] |= (uint8_t)(scale[g] >> 4 << 6);
			b[4 + g] |= (uint8_t)(minimum[g] >> 4 << 6);
		}
	}
	memset(nibbles, 0, 128);
	if (high)
		memset(high, 0, 32);
	for (int i = 0; i < 256; i++) {
		int g = i / 32;
		int q = level((x[i] + d_min * (float)minimum[g]) * inverse(d * (float)scale[g]), 0, most_level);
		nibbles[32 * (g / 2) + i % 32] |= (uint8_t)((q & 15) << 4 * (g % 2));
		if (high)
			high[i % 32] |= (uint8_t)(q >> 4 << g);
	}
}

static void pack_q4_k(const float *x, uint8_t *b)
{
	pack_groups(x, b, 15, NULL, b + 16);
}

static void pack_q5_k(const float *x, uint8_t *b)
{
	pack_groups(x, b, 31, b + 16, b + 48);
}

static void pack_q6_k(const float *x, uint8_t *b)
{
	float step[16];
	for (int g = 0; g < 16; g++)
		step[g] = largest_magnitude(x + 16 * g, 16) / 31;
	float d = store_f16(b + 208, largest_magnitude(step, 16) / 127);
	memset(b, 0, 192);
	for (int i = 0; i < 256; i++) {
		int g = i / 16, half = i / 128, run = i % 128 / 32, lane = i % 32;
		int scale = level(step[g] * inverse(d), 0, 127);
		int q = level(x[i] * inverse(d * (float)scale), -32, 31) + 32;
		b[192 + g] = (uint8_t)scale;
		b[64 * half + 32 * (run % 2) + lane] |= (uint8_t)((q & 15) << 4 * (run / 2));
		b[128 + 32 * half + lane] |= (uint8_t)(q >> 4 << 2 * run);
	}
}

void quantise(enum tensor_type t, const float *x, size_t n, void *out)
{
	static void (*const pack[N_TENSOR_TYPE])(const float *, uint8_t *) = {
		[TYPE_F32] = pack_f32,   [TYPE_F16] = pack_f16,   [TYPE_BF16] = pack_bf16, [TYPE_Q8_0] = pack_q8_0,
		[TYPE_Q4_0] = pack_q4_0, [TYPE_Q4_1] = pack_q4_1, [TYPE_Q5_0] = pack_q5_0, [TYPE_Q5_1] = pack_q5_1,
		[TYPE_Q4_K] = pack_q4_k, [TYPE_Q5_K] = pack_q5_k, [TYPE_Q6_K] = pack_q6_k,
	};
	const struct tensor_type_info *info = tensor_type_info(t);
	uint8_t *block = out;
	for (size_t i = 0; i < n; i += (size_t)info->block_elements, block += info->block_bytes)
		pack[t](x + i, block);
}
