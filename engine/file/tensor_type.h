/* The types weights are stored in, and what their blocks mean.
 *
 * A row of n elements is n / block_elements blocks. Unpacking here is the plain reference, written from the format's definition;
 * engine/cpu has the fast ones and is tested against it. Results are exactly the float32 values that the reference
 * implementations (gguf, ggml) produce.
 */
#ifndef KVGLASS_ENGINE_FILE_TENSOR_TYPE_H
#define KVGLASS_ENGINE_FILE_TENSOR_TYPE_H

#include <stddef.h>
#include <stdint.h>

enum tensor_type {
	TYPE_F32, TYPE_F16, TYPE_BF16,
	TYPE_Q8_0, TYPE_Q4_0, TYPE_Q4_1, TYPE_Q5_0, TYPE_Q5_1, /* 32 elements a block */
	TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K,                       /* 256 elements a block */
	N_TENSOR_TYPE
};

struct tensor_type_info {
	const char *name;
	int block_elements;
	int block_bytes;
};
const struct tensor_type_info *tensor_type_info(enum tensor_type t);
/* Bytes of n elements; 0 when n is no multiple of the block or the product overflows. */
size_t tensor_type_bytes(enum tensor_type t, uint64_t n);
/* n: multiple of block_elements. src may be unaligned. */
void tensor_unpack(enum tensor_type t, const void *src, size_t n, float *dst);

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f); /* round to nearest even */
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float f); /* round to nearest even; NaN stays NaN */

#endif
