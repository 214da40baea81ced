/* The fuzzers' committed inputs, once each in every build: what a crash taught stays learnt without clang. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/file/gguf.h"
#include "engine/lookahead/parts.h"
#include "engine/lookahead_report.h"
#include "engine/model/build.h"
#include "tests/support/test.h"

typedef int parser(const uint8_t *data, size_t size, struct err *e);

/* Each input in a block of its own size, so that a byte too many is seen. Returns how many were sound. */
static int replay(const char *pattern, parser *parse, int *n_input)
{
	glob_t found;
	int n_sound = 0;
	*n_input = 0;
	if (glob(test_tree(pattern), 0, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++, ++*n_input) {
		struct file_map map;
		struct err e = {0};
		CHECK_INT(file_map_open(&map, found.gl_pathv[i], &e), 0);
		uint8_t *copy = malloc(map.size ? map.size : 1);
		memcpy(copy, map.data, map.size);
		int rc = parse(copy, map.size, &e);
		n_sound += rc == 0;
		CHECK(rc == 0 || (e.code == (enum err_code)rc && *e.text));
		free(copy);
		file_map_close(&map);
	}
	globfree(&found);
	return n_sound;
}

static int parse_gguf(const uint8_t *data, size_t size, struct err *e)
{
	struct gguf_file g;
	int rc = gguf_parse(&g, data, size, "corpus", e);
	if (!rc)
		gguf_free(&g);
	return rc;
}

static int parse_safetensors(const uint8_t *data, size_t size, struct err *e)
{
	struct st_file f;
	int rc = st_parse(&f, data, size, "corpus", e);
	if (!rc)
		st_free(&f);
	return rc;
}

static int parse_lookahead(const uint8_t *data, size_t size, struct err *e)
{
	struct st_file f;
	struct lookahead *l = NULL;
	struct lookahead_report *r = NULL;
	int rc = st_parse(&f, data, size, "corpus", e);
	if (rc)
		return rc;
	rc = lookahead_from_file(&l, &(struct load_source){.file = &f, .path = "corpus"}, e);
	if (!rc)
		rc = lookahead_report_make(&r, l, NULL, e);
	lookahead_report_free(r);
	lookahead_free(l);
	st_free(&f);
	return rc;
}

/* A GGUF as far as its weights are bound (the tokenizer has its own fuzzer), or a config.json. */
static int parse_model(const uint8_t *data, size_t size, struct err *e)
{
	struct gguf_file g;
	struct model_config c;
	struct tensor_set set = {0};
	if (size && *data != 'G')
		return config_from_json(&c, (const char *)data, size, "corpus", e);
	struct model m = {.storage = calloc(1, sizeof *m.storage)};
	pthread_mutex_init(&m.storage->hash_lock, NULL);
	int rc = gguf_parse(&g, data, size, "corpus", e);
	if (!rc)
		rc = config_from_gguf(&c, &g, "corpus", e);
	if (!rc)
		rc = tensor_set_from_gguf(&set, &g, "corpus", e);
	if (!rc)
		rc = model_bind(&m, &c, &set, &naming_gguf, e);
	tensor_set_free(&set);
	gguf_free(&g);
	storage_free(m.storage);
	return rc;
}

TEST(corpus, gguf)
{
	int n, n_sound = replay("tests/corpus/gguf/*", parse_gguf, &n);
	CHECK(n >= 7 && n_sound >= 3 && n_sound < n);
}

TEST(corpus, safetensors)
{
	int n, n_sound = replay("tests/corpus/safetensors/*", parse_safetensors, &n);
	CHECK(n >= 6 && n_sound >= 2 && n_sound < n);
}

TEST(corpus, lookahead)
{
	int n, n_sound = replay("tests/corpus/lookahead/*", parse_lookahead, &n);
	CHECK(n >= 5 && n_sound >= 2 && n_sound < n);
}

TEST(corpus, model)
{
	int n, n_sound = replay("tests/corpus/model/*", parse_model, &n);
	CHECK(n >= 7 && n_sound >= 5 && n_sound < n);
}
