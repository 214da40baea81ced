#include "engine/file/tensor_type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/safetensors.h"
#include "tests/support/test.h"

static uint32_t bits_of(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	return bits;
}

/* Every bit: both sides do the same float32 operations. */
static void check_type(const struct st_file *golden, enum tensor_type type)
{
	const struct tensor_type_info *info = tensor_type_info(type);
	char name[32];
	snprintf(name, sizeof name, "%s.block", info->name);
	const struct st_tensor *block = st_find(golden, name);
	snprintf(name, sizeof name, "%s.value", info->name);
	const struct st_tensor *value = st_find(golden, name);
	CHECK(value != NULL);
	if (!value)
		return;
	size_t n = value->n_bytes / sizeof(float);
	const uint8_t *source = block ? block->data : value->data;
	CHECK_INT(tensor_type_bytes(type, n), block ? block->n_bytes : value->n_bytes);
	float *got = malloc(n * sizeof *got);
	tensor_unpack(type, source, n, got);
	size_t n_wrong = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t want;
		memcpy(&want, value->data + 4 * i, sizeof want);
		if (bits_of(got[i]) != want && ++n_wrong == 1)
			test_fail(__FILE__, __LINE__, "%s element %zu is %08x, not %08x", info->name, i, bits_of(got[i]), want);
	}
	CHECK_INT(n_wrong, 0);
	CHECK(n >= 512);
	free(got);
}

TEST(tensor_type, unpacks_as_the_gguf_package)
{
	struct file_map map;
	struct st_file golden;
	struct err e;
	CHECK_INT(file_map_open(&map, test_tree("tests/golden/tensor_type.safetensors"), &e), 0);
	CHECK_INT(st_parse(&golden, map.data, map.size, "tensor_type.safetensors", &e), 0);
	for (int type = 0; type < N_TENSOR_TYPE; type++)
		check_type(&golden, (enum tensor_type)type);
	st_free(&golden);
	file_map_close(&map);
}

TEST(tensor_type, rounds_as_numpy_and_gguf)
{
	struct file_map map;
	struct st_file golden;
	struct err e;
	CHECK_INT(file_map_open(&map, test_tree("tests/golden/tensor_type.safetensors"), &e), 0);
	CHECK_INT(st_parse(&golden, map.data, map.size, "tensor_type.safetensors", &e), 0);
	const struct st_tensor *from = st_find(&golden, "F32.value"), *half = st_find(&golden, "F16.block"),
		*brain = st_find(&golden, "BF16.block");
	for (size_t i = 0; i < from->n_bytes / 4; i++) {
		float f;
		uint16_t h, b;
		memcpy(&f, from->data + 4 * i, sizeof f);
		memcpy(&h, half->data + 2 * i, sizeof h);
		memcpy(&b, brain->data + 2 * i, sizeof b);
		CHECK_INT(f32_to_f16(f), h);
		CHECK_INT(f32_to_bf16(f), b);
	}
	st_free(&golden);
	file_map_close(&map);
}

TEST(tensor_type, every_half_survives_a_round_trip)
{
	for (uint32_t h = 0; h < 0x10000; h++) {
		bool nan = (h & 0x7fff) > 0x7c00;
		float f = f16_to_f32((uint16_t)h);
		CHECK_INT(isnan(f), nan);
		CHECK_INT(f32_to_f16(f), nan ? h | 0x200 : h); /* a NaN becomes quiet */
		bool brain_nan = (h & 0x7fff) > 0x7f80;
		CHECK_INT(f32_to_bf16(bf16_to_f32((uint16_t)h)), brain_nan ? h | 0x40 : h);
	}
}

TEST(tensor_type, sizes)
{
	CHECK_INT(tensor_type_bytes(TYPE_Q4_1, 576), 360);
	CHECK_INT(tensor_type_bytes(TYPE_Q4_1, 577), 0);
	CHECK_INT(tensor_type_bytes(TYPE_F32, UINT64_MAX / 2), 0);
	CHECK_INT(tensor_type_bytes(TYPE_Q6_K, 512), 420);
}
