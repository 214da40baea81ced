#include "engine/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/test.h"

static struct byte_string file_of(const char *header, size_t n_data)
{
	struct byte_string b = {0};
	uint64_t n = strlen(header);
	bytes_put(&b, &n, sizeof n);
	bytes_put(&b, header, strlen(header));
	for (size_t i = 0; i < n_data; i++)
		bytes_put(&b, &(uint8_t){(uint8_t)i}, 1);
	return b;
}

static void check_refused(const char *header, size_t n_data, int code, const char *want)
{
	struct byte_string file = file_of(header, n_data);
	struct st_file f;
	struct err e = {0};
	CHECK_INT(st_parse(&f, file.data, file.n, "bad", &e), code);
	CHECK_STR(e.text, want);
	CHECK(f.tensor == NULL && f.strings == NULL);
	bytes_free(&file);
}

TEST(safetensors, written_files_read_back)
{
	float wide[6] = {0, 1.5f, -2, 3, 1e-3f, 5};
	uint16_t narrow[2] = {0x3f80, 0xc000}; /* 1, -2 in bfloat16 */
	const struct st_tensor tensor[] = {
		{.name = "text", .dtype = ST_U8, .n_dim = 1, .dim = {3}, .data = (const uint8_t *)"abc", .n_bytes = 3},
		{.name = "wide", .dtype = ST_F32, .n_dim = 2, .dim = {2, 3}, .data = (const uint8_t *)wide, .n_bytes = sizeof wide},
		{.name = "empty", .dtype = ST_I64, .n_dim = 2, .dim = {0, 7}},
		{.name = "narrow", .dtype = ST_BF16, .n_dim = 1, .dim = {2}, .data = (const uint8_t *)narrow, .n_bytes = 4},
		{.name = "scalar", .dtype = ST_U8, .n_dim = 0, .data = (const uint8_t *)"x", .n_bytes = 1},
	};
	const struct st_pair meta[] = {{"kvglass.version", "1"}, {"a \"quoted\" key", "caf\xc3\xa9\n"}};
	const char *path = test_scratch("round.safetensors");
	struct err e = {0};
	CHECK_INT(st_write(path, tensor, 5, meta, 2, &e), 0);
	struct file_map map;
	struct st_file f;
	CHECK_INT(file_map_open(&map, path, &e), 0);
	CHECK_INT(st_parse(&f, map.data, map.size, path, &e), 0);
	CHECK_INT(f.n_tensor, 5);
	CHECK_INT((f.tensor[0].data - map.data) % 64, 0);
	for (int i = 0; i < f.n_tensor; i++)
		CHECK_INT((size_t)(f.tensor[i].data - map.data) % st_dtype_size(f.tensor[i].dtype), 0);
	for (int i = 0; i < 5; i++) {
		const struct st_tensor *t = st_find(&f, tensor[i].name);
		CHECK(t && t->dtype == tensor[i].dtype && t->n_dim == tensor[i].n_dim && t->n_bytes == tensor[i].n_bytes);
		CHECK(t && !memcmp(t->dim, tensor[i].dim, sizeof t->dim));
		CHECK(t && (!t->n_bytes || !memcmp(t->data, tensor[i].data, t->n_bytes)));
	}
	CHECK_STR(st_meta(&f, "a \"quoted\" key"), "caf\xc3\xa9\n");
	CHECK_STR(f.meta[0].key, "kvglass.version");
	float got[2];
	CHECK_INT(st_read_f32(st_find(&f, "narrow"), 0, 2, got, &e), 0);
	CHECK(got[0] == 1 && got[1] == -2);
	CHECK_INT(st_read_f32(st_find(&f, "wide"), 4, 2, got, &e), 0);
	CHECK(got[0] == 1e-3f && got[1] == 5);
	CHECK_INT(st_read_f32(st_find(&f, "wide"), 5, 2, got, &e), ERR_USE);
	CHECK_INT(st_read_f32(st_find(&f, "text"), 0, 1, got, &e), ERR_FORMAT);
	CHECK_STR(e.text, "tensor text: dtype U8, a floating-point type is needed");
	CHECK(st_find(&f, "absent") == NULL && st_meta(&f, "absent") == NULL);
	st_free(&f);
	file_map_close(&map);
}

TEST(safetensors, same_input_same_bytes)
{
	const struct st_tensor t = {.name = "t", .dtype = ST_U8, .n_dim = 1, .dim = {3}, .data = (const uint8_t *)"abc", .n_bytes = 3};
	const struct st_pair meta[] = {{"z", "1"}, {"a", "2"}, {"m", "3"}};
	char *text[2];
	size_t n[2];
	struct err e;
	for (int i = 0; i < 2; i++) {
		CHECK_INT(st_write(test_scratch("same"), &t, 1, meta, 3, &e), 0);
		CHECK_INT(file_read_all(test_scratch("same"), 4096, &text[i], &n[i], &e), 0);
	}
	CHECK(n[0] == n[1] && !memcmp(text[0], text[1], n[0]));
	CHECK(strstr(text[0] + 8, "{\"z\":\"1\",\"a\":\"2\",\"m\":\"3\"}") != NULL);
	free(text[0]);
	free(text[1]);
}

TEST(safetensors, writer_refuses_nonsense)
{
	struct st_tensor t[2] = {{.name = "t", .dtype = ST_F32, .n_dim = 1, .dim = {3}, .data = (const uint8_t *)"abc", .n_bytes = 3}};
	struct err e;
	CHECK_INT(st_write("/dev/null", t, 1, NULL, 0, &e), ERR_USE);
	CHECK_STR(e.text, "/dev/null: tensor t: 3 bytes given, its shape takes 12");
	t[0].dtype = ST_U8;
	t[1] = t[0];
	CHECK_INT(st_write("/dev/null", t, 2, NULL, 0, &e), ERR_USE);
	CHECK_STR(e.text, "/dev/null: entry t twice");
	t[0].name = "\xff";
	CHECK_INT(st_write("/dev/null", t, 1, NULL, 0, &e), ERR_USE);
	CHECK_INT(st_write("/dev/full", t + 1, 1, NULL, 0, &e), ERR_SYSTEM);
	CHECK_STR(e.text, "/dev/full: cannot write byte 0: No space left on device");
}

#define ENTRY(dtype, shape, offsets) "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

TEST(safetensors, refuses_bad_headers)
{
	struct st_file f;
	struct err e;
	CHECK_INT(st_parse(&f, (const uint8_t *)"1234567", 7, "bad", &e), ERR_FORMAT);
	CHECK_STR(e.text, "bad: not a safetensors file: 7 bytes, the header's length takes 8");
	CHECK_INT(st_parse(&f, (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "bad", &e), ERR_FORMAT);
	CHECK_STR(e.text, "bad: not a safetensors file: a header of 18446744073709551615 bytes, the limit is 16777216");
	CHECK_INT(st_parse(&f, (const uint8_t *)"GGUF\3\0\0\0{}", 10, "bad", &e), ERR_FORMAT);
	CHECK_STR(e.text, "bad: not a safetensors file but a GGUF model");
	CHECK_INT(st_parse(&f, (const uint8_t *)"\x03\0\0\0\0\0\0\0{}", 10, "bad", &e), ERR_FORMAT);
	CHECK_STR(e.text, "bad: truncated: a header of 3 bytes, the file has 10");
	CHECK_INT(st_parse(&f, (const uint8_t *)"\0\0\0\0\0\0\0\0", 8, "bad", &e), ERR_FORMAT);
	check_refused("[1]", 0, ERR_FORMAT, "bad: not a safetensors file: the header is no JSON object");
	check_refused("{\"t\":{\"shape\":[[1]]}}", 0, ERR_FORMAT, "bad: the header nests deeper than 3 levels");
	check_refused("{\"t\":1}x", 0, ERR_FORMAT, "bad: header, byte 8: end of file expected near 'x'");
	check_refused("{\"t\":{},\"t\":{}}", 0, ERR_FORMAT, "bad: header, byte 11: duplicate object key near '\"t\"'");
	check_refused("{\"__metadata__\":{\"a\":1}}", 0, ERR_FORMAT, "bad: __metadata__: a is no string");
	check_refused("{\"__metadata__\":[]}", 0, ERR_FORMAT, "bad: __metadata__ is no JSON object");
}

TEST(safetensors, refuses_bad_tensors)
{
	check_refused("{\"t\":{}}", 0, ERR_FORMAT, "bad: tensor t: no dtype");
	check_refused(ENTRY("F8_E4M3", "[1]", "[0,1]"), 1, ERR_UNSUPPORTED, "bad: tensor t: dtype F8_E4M3 is not known");
	check_refused(ENTRY("F32", "4", "[0,16]"), 16, ERR_FORMAT, "bad: tensor t: shape is no list of at most 8 sizes");
	check_refused(ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, ERR_FORMAT, "bad: tensor t: shape is no list of at most 8 sizes");
	check_refused(ENTRY("F32", "[-1]", "[0,4]"), 4, ERR_FORMAT, "bad: tensor t: size 0 of its shape is no count");
	check_refused(ENTRY("F32", "[1.0]", "[0,4]"), 4, ERR_FORMAT, "bad: tensor t: size 0 of its shape is no count");
	check_refused(ENTRY("F32", "[4294967296,4294967296]", "[0,4]"), 4, ERR_FORMAT,
		"bad: tensor t: its shape has more bytes than can be counted");
	check_refused(ENTRY("F32", "[1]", "[0,8]"), 8, ERR_FORMAT, "bad: tensor t: its shape takes 4 bytes of F32, its data_offsets span 8");
	check_refused(ENTRY("F32", "[1]", "[4,0]"), 8, ERR_FORMAT, "bad: tensor t: data_offsets are not [begin, end]");
	check_refused(ENTRY("F32", "[1]", "[0]"), 4, ERR_FORMAT, "bad: tensor t: data_offsets are not [begin, end]");
	check_refused(ENTRY("F32", "[1]", "[0,4]"), 3, ERR_FORMAT, "bad: truncated: tensor t ends at byte 4 of the data, the file has 3");
}

TEST(safetensors, refuses_overlaps_and_holes)
{
	check_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}", 6,
		ERR_FORMAT, "bad: tensor b begins at byte 2 of the data, inside tensor a that ends at byte 4");
	check_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]}}", 6,
		ERR_FORMAT, "bad: bytes 2 to 4 of the data belong to no tensor");
	check_refused(ENTRY("U8", "[2]", "[0,2]"), 5, ERR_FORMAT, "bad: bytes 2 to 5 of the data belong to no tensor");
}

TEST(safetensors, reads_files_of_the_reference_writer)
{
	struct file_map map;
	struct st_file f;
	struct err e;
	CHECK_INT(file_map_open(&map, test_tree("tests/golden/tensor_type.safetensors"), &e), 0);
	CHECK_INT(st_parse(&f, map.data, map.size, map.path, &e), 0);
	CHECK_STR(st_meta(&f, "generator"), "tests/golden/make_tensor_type.py");
	const struct st_tensor *t = st_find(&f, "Q4_K.value");
	CHECK(t && t->dtype == ST_F32 && t->n_dim == 1 && t->dim[0] == 1024);
	st_free(&f);
	file_map_close(&map);
}
