#include "engine/contents.h"

#include <string.h>
#include <sys/stat.h>

#include "engine/file.h"
#include "engine/safetensors.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/test.h"

static void write_file(const char *path, const void *data, size_t n)
{
	struct file_writer *w;
	struct err e;
	CHECK_INT(file_create(&w, path, &e), 0);
	file_write(w, data, n, &e);
	CHECK_INT(file_commit(w, &e), 0);
}

static const char *text_of(const struct contents *c, const char *key) /* NULL: not there */
{
	for (int i = 0; i < c->n_value; i++)
		if (!strcmp(c->value[i].key, key))
			return c->value[i].text;
	return NULL;
}

TEST(contents, gguf)
{
	static const char *const words[] = {"a", "b"};
	static const float factors[] = {1.5f, 2};
	static const uint64_t shape[] = {32, 3};
	const uint8_t blocks[3 * 18] = {0};
	struct gguf_writer w = {0};
	gguf_put_string(&w, "general.architecture", "mamba");
	gguf_put_u32(&w, "mamba.block_count", 7);
	gguf_put_f32(&w, "eps", 1e-5f);
	gguf_put_bool(&w, "flag", true);
	gguf_put_strings(&w, "tokens", words, 2);
	gguf_put_array(&w, "factors", GGUF_F32, factors, 2, sizeof factors);
	gguf_put_tensor(&w, "matrix", 2, 2, shape, blocks, sizeof blocks);
	struct byte_string file = gguf_finish(&w);
	const char *path = test_scratch("contents.gguf");
	write_file(path, file.data, file.n);

	struct contents *c;
	struct err e = {0};
	CHECK_INT(contents_open(&c, path, &e), 0);
	CHECK_INT(c->kind, CONTENTS_GGUF);
	CHECK_STR(c->format, "gguf v3");
	CHECK_INT(c->n_bytes, file.n);
	CHECK_STR(text_of(c, "general.architecture"), "mamba");
	CHECK_STR(text_of(c, "mamba.block_count"), "7");
	CHECK_INT(c->value[1].kind, CONTENTS_WHOLE);
	CHECK_STR(text_of(c, "flag"), "true");
	CHECK_STR(text_of(c, "tokens"), "2 strings");
	CHECK_STR(text_of(c, "factors"), "1.5, 2");
	CHECK(text_of(c, "absent") == NULL);
	const struct contents_tensor *t = contents_tensor(c, "matrix");
	CHECK(t && !strcmp(t->type, "Q4_0"));
	CHECK_INT(t ? t->dim[0] : 0, 3); /* rows first, whatever the file's order */
	CHECK_INT(t ? t->dim[1] : 0, 32);
	CHECK_INT(t ? t->n_element : 0, 96);
	contents_close(c);

	write_file(path, file.data, file.n - 32); /* the tensor now reaches past the end */
	CHECK_INT(contents_open(&c, path, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "matrix") && strstr(e.text, "contents.gguf"));
	CHECK(c == NULL);
	bytes_free(&file);
}

static void write_shard(const char *path, const char *name)
{
	static const float values[6];
	struct err e;
	const struct st_tensor t = {.name = name, .dtype = ST_F32, .n_dim = 2, .dim = {2, 3}, .data = (const uint8_t *)values,
		.n_bytes = sizeof values};
	const struct st_pair meta = {"format", "pt"};
	CHECK_INT(st_write(path, &t, 1, &meta, 1, &e), 0);
}

TEST(contents, folder_of_shards)
{
	static const char config[] = "{\"model_type\": \"qwen2\", \"rope_theta\": 1e6, \"tie\": true, \"n\": 3, \"list\": [1, 2], \"x\": {}}";
	const char *folder = test_scratch("folder");
	mkdir(folder, 0700);
	struct contents *c;
	struct err e = {0};
	CHECK_INT(contents_open(&c, folder, &e), ERR_SYSTEM); /* no config.json */
	write_file(test_scratch("folder/config.json"), config, sizeof config - 1);
	CHECK_INT(contents_open(&c, folder, &e), ERR_FORMAT); /* no weights */
	write_shard(test_scratch("folder/b.safetensors"), "second");
	write_shard(test_scratch("folder/a.safetensors"), "first");
	CHECK_INT(contents_open(&c, folder, &e), 0);
	if (!c)
		return;
	CHECK_INT(c->kind, CONTENTS_FOLDER);
	CHECK_STR(c->format, "safetensors x 2");
	CHECK_INT(c->n_tensor, 2);
	CHECK_STR(c->tensor[0].name, "first");
	CHECK_STR(c->file[c->tensor[1].file].name, "b.safetensors");
	CHECK_STR(text_of(c, "model_type"), "qwen2");
	CHECK_STR(text_of(c, "rope_theta"), "1000000");
	CHECK_STR(text_of(c, "list"), "2 values");
	CHECK(text_of(c, "x") == NULL);
	contents_close(c);
	write_file(test_scratch("folder/config.json"), "[1]", 3);
	CHECK_INT(contents_open(&c, folder, &e), ERR_FORMAT);
}

TEST(contents, neither_format)
{
	struct contents *c;
	struct err e = {0};
	const char *path = test_scratch("prose.txt");
	write_file(path, "It was a dark night.", 20);
	CHECK_INT(contents_open(&c, path, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "neither a GGUF file"));
	write_file(path, "", 0);
	CHECK_INT(contents_open(&c, path, &e), ERR_FORMAT);
	CHECK_INT(contents_open(&c, test_scratch("absent"), &e), ERR_SYSTEM);
}
