/* Dot products of stored rows with float32 activations: one-row steps (decode) read the blocks as they lie in the file.
 * Activations are never quantised, so results equal the dequantised product up to the order of summation. */
#include "engine/cpu/simd/blocks.h"
#include "engine/cpu/simd/simd.h"

/* acc += unit k of p times x. */
#define ADD_UNIT(name, p, k, x)                                                                                  \
	do {                                                                                                         \
		vf value[UNIT_VECTORS];                                                                                  \
		unit_##name((p), (k), value);                                                                            \
		for (int i = 0; i < UNIT_VECTORS; i++)                                                                   \
			acc[i] = vf_fma(value[i], vf_load((x) + i * VW), acc[i]);                                            \
	} while (0)

static inline float sum_of(const vf acc[UNIT_VECTORS])
{
	vf sum = acc[0];
	for (int i = 1; i < UNIT_VECTORS; i++)
		sum += acc[i];
	return vf_sum(sum);
}

#define DOT_BLOCKS(name, elements, bytes)                                                                        \
	static void dot_##name(const struct weight_rows *w, const float *x, float *out)                              \
	{                                                                                                            \
		for (int row = 0; row < w->n_row; row++) {                                                               \
			const uint8_t *p = w->data + (size_t)row * w->row_bytes;                                             \
			vf acc[UNIT_VECTORS] = {0};                                                                          \
			for (int at = 0; at < w->n_in; at += (elements), p += (bytes)) {                                     \
				_Pragma("GCC unroll 8") for (int k = 0; k < (elements) / UNIT; k++)                              \
					ADD_UNIT(name, p, k, x + at + k * UNIT);                                                     \
			}                                                                                                    \
			out[row] = sum_of(acc);                                                                              \
		}                                                                                                        \
	}

DOT_BLOCKS(q8_0, 32, 34)
DOT_BLOCKS(q4_0, 32, 18)
DOT_BLOCKS(q4_1, 32, 20)
DOT_BLOCKS(q5_0, 32, 22)
DOT_BLOCKS(q5_1, 32, 24)
DOT_BLOCKS(q4_k, 256, 144)
DOT_BLOCKS(q5_k, 256, 176)
DOT_BLOCKS(q6_k, 256, 210)

static inline float f32_at(const uint8_t *p)
{
	float f;
	memcpy(&f, p, sizeof f);
	return f;
}

static inline float bf16_at(const uint8_t *p)
{
	uint16_t half;
	memcpy(&half, p, sizeof half);
	return bf16_to_f32(half);
}

#define DOT_PLAIN(name, bytes)                                                                                   \
	static void dot_##name(const struct weight_rows *w, const float *x, float *out)                              \
	{                                                                                                            \
		int whole = w->n_in / UNIT * UNIT;                                                                       \
		for (int row = 0; row < w->n_row; row++) {                                                               \
			const uint8_t *p = w->data + (size_t)row * w->row_bytes;                                             \
			vf acc[UNIT_VECTORS] = {0};                                                                          \
			for (int at = 0; at < whole; at += UNIT)                                                             \
				ADD_UNIT(name, p + (size_t)at * (bytes), 0, x + at);                                             \
			float sum = sum_of(acc);                                                                             \
			for (int at = whole; at < w->n_in; at++)                                                             \
				sum += name##_at(p + (size_t)at * (bytes)) * x[at];                                              \
			out[row] = sum;                                                                                      \
		}                                                                                                        \
	}

DOT_PLAIN(f32, 4)
DOT_PLAIN(f16, 2)
DOT_PLAIN(bf16, 2)

const struct simd_dot SIMD_FN(simd_dot) = {
	.dot = {
		[TYPE_F32] = dot_f32, [TYPE_F16] = dot_f16, [TYPE_BF16] = dot_bf16, [TYPE_Q8_0] = dot_q8_0,
		[TYPE_Q4_0] = dot_q4_0, [TYPE_Q4_1] = dot_q4_1, [TYPE_Q5_0] = dot_q5_0, [TYPE_Q5_1] = dot_q5_1,
		[TYPE_Q4_K] = dot_q4_k, [TYPE_Q5_K] = dot_q5_k, [TYPE_Q6_K] = dot_q6_k,
	},
};
