#include "engine/file/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

/* A sound file with one of everything; cases damage it. */
static struct byte_string sample_file(void)
{
	static const char *const words[] = {"a", "", "\xc4\xa0the"};
	static const int32_t numbers[] = {1, -2, 3};
	static const uint64_t matrix[] = {64, 2}, vector[] = {5};
	uint8_t blocks[4 * 20] = {0};
	float values[5] = {1, 2, 3, 4, 5};
	blocks[1] = 0x3c; /* d = 1 */
	blocks[4] = 7;
	struct gguf_writer w = {0};
	gguf_put_string(&w, "general.architecture", "llama");
	gguf_put_u32(&w, "llama.block_count", 30);
	gguf_put_f32(&w, "llama.rope.freq_base", 1e5f);
	gguf_put_bool(&w, "flag", true);
	gguf_put_strings(&w, "tokens", words, 3);
	gguf_put_array(&w, "types", GGUF_I32, numbers, 3, sizeof numbers);
	gguf_put_tensor(&w, "matrix", 3, 2, matrix, blocks, sizeof blocks);
	gguf_put_tensor(&w, "vector", 0, 1, vector, values, sizeof values);
	return gguf_finish(&w);
}

TEST(gguf, reads_values_and_tensors)
{
	struct byte_string file = sample_file();
	struct gguf_file g;
	struct err e;
	int64_t whole = 0;
	double real = 0;
	bool flag = false;
	CHECK_INT(gguf_parse(&g, file.data, file.n, "x", &e), 0);
	CHECK_INT(g.version, 3);
	CHECK_INT(g.n_value, 6);
	CHECK(gguf_get_int(&g, "llama.block_count", &whole));
	CHECK_INT(whole, 30);
	CHECK(gguf_get_float(&g, "llama.rope.freq_base", &real) && real == 1e5);
	CHECK(gguf_get_float(&g, "llama.block_count", &real) && real == 30);
	CHECK(gguf_get_bool(&g, "flag", &flag) && flag);
	CHECK(!gguf_get_int(&g, "llama.rope.freq_base", &whole));
	CHECK(!gguf_get_int(&g, "types", &whole));
	CHECK(!gguf_get_int(&g, "general.architecture", &whole));
	CHECK(!gguf_get_bool(&g, "absent", &flag));
	char *text = gguf_get_string(&g, "general.architecture");
	CHECK_STR(text, "llama");
	free(text);
	CHECK(gguf_get_string(&g, "flag") == NULL);
	const struct gguf_value *tokens = gguf_find(&g, "tokens");
	CHECK(tokens && tokens->n == 3 && tokens->strings[1].n == 0 && !memcmp(tokens->strings[2].text, "\xc4\xa0the", 5));
	const struct gguf_tensor *matrix = gguf_find_tensor(&g, "matrix"), *vector = gguf_find_tensor(&g, "vector");
	CHECK(matrix && matrix->supported && matrix->type == TYPE_Q4_1 && matrix->n_bytes == 80 && matrix->dim[1] == 2);
	CHECK(vector && vector->type == TYPE_F32 && vector->dim[0] == 5 && vector->dim[1] == 1);
	float row[32];
	tensor_unpack(TYPE_Q4_1, matrix->data, 32, row);
	CHECK_NEAR(row[0], 7, TOL_EXACT);
	CHECK(gguf_find_tensor(&g, "vecto") == NULL);
	gguf_free(&g);
	bytes_free(&file);
}

TEST(gguf, every_truncation_is_refused)
{
	struct byte_string file = sample_file();
	size_t needed = file.n - 12; /* the last tensor's 20 bytes are padded to 32 */
	for (size_t n = 0; n < file.n; n++) {
		struct gguf_file g;
		struct err e = {0};
		uint8_t *copy = malloc(n ? n : 1); /* its own block, so that ASan sees a byte too many */
		memcpy(copy, file.data, n);
		int rc = gguf_parse(&g, copy, n, "cut", &e);
		CHECK((rc == ERR_FORMAT) == (n < needed));
		if (!rc)
			gguf_free(&g);
		else
			CHECK(!strncmp(e.text, "cut: ", 5));
		free(copy);
	}
	bytes_free(&file);
}

static void check_refused(struct byte_string file, int code, const char *want)
{
	struct gguf_file g;
	struct err e = {0};
	CHECK_INT(gguf_parse(&g, file.data, file.n, "bad.gguf", &e), code);
	CHECK_STR(e.text, want);
	CHECK(g.n_tensor == 0 && g.value == NULL);
	bytes_free(&file);
}

static struct byte_string one_tensor(const char *name, uint32_t type, int n_dim, const uint64_t *dim, size_t n_bytes)
{
	struct gguf_writer w = {0};
	void *data = calloc(1, n_bytes + 1);
	gguf_put_tensor(&w, name, type, n_dim, dim, data, n_bytes);
	free(data);
	return gguf_finish(&w);
}

TEST(gguf, refuses_other_versions)
{
	struct byte_string file = sample_file();
	file.data[4] = 1;
	check_refused(file, ERR_UNSUPPORTED, "bad.gguf: GGUF version 1; versions 2 and 3 are read");
	file = sample_file();
	memcpy(file.data + 4, "\0\0\0\3", 4);
	check_refused(file, ERR_UNSUPPORTED, "bad.gguf: a big-endian GGUF file; only little-endian ones are read");
	file = sample_file();
	file.data[0] = 'g';
	check_refused(file, ERR_FORMAT, "bad.gguf: not a GGUF file (it does not begin with GGUF)");
	file = sample_file();
	memcpy(file.data, "\x20\0\0\0\0\0\0\0{", 9);
	check_refused(file, ERR_FORMAT, "bad.gguf: not a GGUF file (it does not begin with GGUF) but a safetensors file: a capture or modules, perhaps");
}

TEST(gguf, refuses_oversized_counts)
{
	struct byte_string file = sample_file();
	uint64_t huge = UINT64_MAX / 2;
	size_t n = file.n;
	char want[200];
	memcpy(file.data + 8, &huge, sizeof huge);
	snprintf(want, sizeof want, "bad.gguf: 9223372036854775807 tensors announced; at most 65536 are read and the file has %zu bytes", n);
	check_refused(file, ERR_FORMAT, want);
	file = sample_file();
	memcpy(file.data + 16, &huge, sizeof huge);
	snprintf(want, sizeof want, "bad.gguf: 9223372036854775807 keys announced; at most 65536 are read and the file has %zu bytes", n);
	check_refused(file, ERR_FORMAT, want);
	file = sample_file();
	memcpy(file.data + 24, &huge, sizeof huge); /* the first key's length */
	snprintf(want, sizeof want, "bad.gguf: truncated: a key at byte 32 takes 9223372036854775807 bytes, the file has %zu", n);
	check_refused(file, ERR_FORMAT, want);
}

TEST(gguf, refuses_hostile_arrays)
{
	struct gguf_writer w = {0};
	gguf_put_array(&w, "a", GGUF_F64, "12345678", UINT64_MAX, 8);
	check_refused(gguf_finish(&w), ERR_FORMAT,
		"bad.gguf: key a: array of 18446744073709551615 elements, the file has 15 bytes left");
	w = (struct gguf_writer){0};
	gguf_put_array(&w, "a", GGUF_ARRAY, "12345678", 1, 8);
	check_refused(gguf_finish(&w), ERR_UNSUPPORTED, "bad.gguf: key a: an array of arrays");
	w = (struct gguf_writer){0};
	gguf_put_array(&w, "a", 13, "12345678", 1, 8);
	check_refused(gguf_finish(&w), ERR_FORMAT, "bad.gguf: key a: value of kind 13, kinds go to 12");
}

TEST(gguf, refuses_duplicates)
{
	struct gguf_writer w = {0};
	gguf_put_u32(&w, "twice", 1);
	gguf_put_u32(&w, "once", 1);
	gguf_put_u32(&w, "twice", 2);
	check_refused(gguf_finish(&w), ERR_FORMAT, "bad.gguf: key twice appears twice");
	const uint64_t dim[] = {1};
	gguf_put_tensor(&w, "t", 0, 1, dim, "1234", 4);
	gguf_put_tensor(&w, "t", 0, 1, dim, "1234", 4);
	w.n_value = 0;
	check_refused(gguf_finish(&w), ERR_FORMAT, "bad.gguf: tensor t appears twice");
}

TEST(gguf, refuses_impossible_shapes)
{
	const uint64_t odd[] = {33, 2}, zero[] = {32, 0}, huge[] = {1ull << 40, 1ull << 40}, big[] = {1ull << 32, 1ull << 30};
	check_refused(one_tensor("t", 3, 2, odd, 40), ERR_FORMAT,
		"bad.gguf: tensor t: rows of 33 elements are no whole blocks of Q4_1 (32)");
	check_refused(one_tensor("t", 0, 2, zero, 0), ERR_FORMAT,
		"bad.gguf: tensor t: dimension 1 is 0: no or too many elements");
	check_refused(one_tensor("t", 0, 2, huge, 32), ERR_FORMAT,
		"bad.gguf: tensor t: dimension 1 is 1099511627776: no or too many elements");
	check_refused(one_tensor("t", 28, 2, big, 32), ERR_FORMAT,
		"bad.gguf: tensor t: 4611686018427387904 elements are more bytes than can be counted");
	check_refused(one_tensor("t", 0, 0, zero, 32), ERR_FORMAT, "bad.gguf: tensor t has 0 dimensions, 1 to 4 are possible");
}

TEST(gguf, refuses_data_past_the_end)
{
	const uint64_t dim[] = {1000};
	check_refused(one_tensor("t", 0, 1, dim, 64), ERR_FORMAT,
		"bad.gguf: truncated: tensor t begins at byte 64 and has 4000 bytes, the file has 128");
}

/* Offset of the only tensor: the last 8 bytes of the records, which end where padding begins. */
static void set_offset(struct byte_string *file, size_t records_end, uint64_t offset)
{
	memcpy(file->data + records_end - sizeof offset, &offset, sizeof offset);
}

TEST(gguf, refuses_bad_offsets)
{
	const uint64_t dim[] = {8};
	size_t records_end = 24 + 8 + 1 + 4 + 8 + 4 + 8; /* header, one record */
	struct byte_string file = one_tensor("t", 0, 1, dim, 32);
	set_offset(&file, records_end, 8);
	check_refused(file, ERR_FORMAT, "bad.gguf: tensor t: offset 8 is no multiple of the alignment 32");
	file = one_tensor("t", 0, 1, dim, 32);
	set_offset(&file, records_end, UINT64_MAX - 31);
	check_refused(file, ERR_FORMAT, "bad.gguf: truncated: tensor t begins at byte 32 and has 32 bytes, the file has 96");
	struct gguf_writer w = {0};
	gguf_put_tensor(&w, "one", 0, 1, dim, "................................", 32);
	w.data.n = 0; /* the second tensor gets the same place */
	gguf_put_tensor(&w, "two", 0, 1, dim, "................................", 32);
	check_refused(gguf_finish(&w), ERR_FORMAT, "bad.gguf: tensor two begins at byte 96, inside tensor one that ends at byte 128");
}

TEST(gguf, refuses_bad_alignment)
{
	struct gguf_writer w = {0};
	gguf_put_u32(&w, "general.alignment", 48);
	check_refused(gguf_finish(&w), ERR_FORMAT, "bad.gguf: general.alignment is 48, it must be a power of two up to 1048576");
	w = (struct gguf_writer){0};
	gguf_put_string(&w, "general.alignment", "32");
	check_refused(gguf_finish(&w), ERR_FORMAT, "bad.gguf: general.alignment is no integer");
}

TEST(gguf, unknown_types_are_listed_not_read)
{
	const uint64_t dim[] = {256};
	struct byte_string file = one_tensor("t", 17, 1, dim, 74);
	struct gguf_file g;
	struct err e;
	CHECK_INT(gguf_parse(&g, file.data, file.n, "x", &e), 0);
	CHECK(!g.tensor[0].supported && g.tensor[0].type_code == 17 && g.tensor[0].n_bytes == 74);
	CHECK_STR(gguf_type_name(17), "IQ2_XS");
	CHECK(gguf_type_name(99) == NULL);
	gguf_free(&g);
	bytes_free(&file);
}

TEST(gguf, reads_the_sample_model)
{
	const char *path = test_sample_model();
	if (!path) {
		test_skip("the sample model is not in the cache");
		return;
	}
	struct file_map map;
	struct gguf_file g;
	struct err e;
	int64_t n = 0;
	CHECK_INT(file_map_open(&map, path, &e), 0);
	CHECK_INT(gguf_parse(&g, map.data, map.size, path, &e), 0);
	CHECK_INT(g.n_tensor, 272);
	CHECK(gguf_get_int(&g, "llama.block_count", &n));
	CHECK_INT(n, 30);
	gguf_free(&g);
	file_map_close(&map);
}
