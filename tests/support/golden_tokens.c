#include "tests/support/golden_tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/test.h"

static json_t *load(const char *path)
{
	json_error_t problem;
	json_t *json = json_load_file(path, JSON_ALLOW_NUL, &problem);
	if (!json)
		test_fail(__FILE__, __LINE__, "%s: %s", path, problem.text);
	return json;
}

json_t *golden_json(const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "tests/golden/tokens/%s", name);
	return load(test_tree(path));
}

struct tokenizer *golden_folder(const char *name)
{
	char path[256];
	struct tokenizer *t;
	struct err e;
	snprintf(path, sizeof path, "tests/golden/tokens/%s", name);
	if (tokenizer_from_folder(&t, test_tree(path), &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return t;
}

static struct tokenizer *from_bytes(const uint8_t *data, size_t size, const char *name)
{
	struct gguf_file g;
	struct tokenizer *t = NULL;
	struct err e;
	if (gguf_parse(&g, data, size, name, &e)) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return NULL;
	}
	if (tokenizer_from_gguf(&t, &g, name, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	gguf_free(&g);
	return t;
}

struct tokenizer *golden_sample(void)
{
	const char *path = test_sample_model();
	struct file_map map;
	struct err e;
	if (!path) {
		test_skip("the sample model is not in the cache");
		return NULL;
	}
	if (file_map_open(&map, path, &e)) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return NULL;
	}
	struct tokenizer *t = from_bytes(map.data, map.size, path);
	file_map_close(&map);
	return t;
}

/* Texts and types of all tokens, by id: type 3 for control tokens, 4 for other added ones. Returns how many. */
static size_t list_tokens(const json_t *spec, const char **text, int32_t *type, size_t limit)
{
	const char *key;
	json_t *value;
	size_t n = 0, i;
	json_object_foreach(json_object_get(json_object_get(spec, "model"), "vocab"), key, value)
	{
		size_t id = (size_t)json_integer_value(value);
		CHECK(id < limit);
		text[id] = key;
		type[id] = 1;
		n = id >= n ? id + 1 : n;
	}
	json_array_foreach(json_object_get(spec, "added_tokens"), i, value)
	{
		size_t id = (size_t)json_integer_value(json_object_get(value, "id"));
		CHECK(id < limit);
		text[id] = json_string_value(json_object_get(value, "content"));
		type[id] = json_is_true(json_object_get(value, "special")) ? 3 : 4;
		n = id >= n ? id + 1 : n;
	}
	return n;
}

static void put_merges(struct gguf_writer *w, const json_t *merges)
{
	size_t n = json_array_size(merges), i;
	char **line = calloc(n, sizeof *line);
	json_t *merge;
	json_array_foreach(merges, i, merge)
	{
		const char *left = json_string_value(json_array_get(merge, 0)),
				   *right = json_string_value(json_array_get(merge, 1));
		if (json_is_string(merge))
			line[i] = strdup(json_string_value(merge));
		else if (asprintf(&line[i], "%s %s", left, right) < 0)
			line[i] = NULL;
	}
	gguf_put_strings(w, "tokenizer.ggml.merges", (const char *const *)line, n);
	for (i = 0; i < n; i++)
		free(line[i]);
	free(line);
}

struct tokenizer *golden_gguf(const char *name, const char *pre, void (*extra)(struct gguf_writer *w))
{
	enum { LIMIT = 4096 };
	static const char *text[LIMIT];
	static int32_t type[LIMIT];
	char path[256];
	snprintf(path, sizeof path, "%s/tokenizer.json", name);
	json_t *spec = golden_json(path);
	size_t n = list_tokens(spec, text, type, LIMIT);
	struct gguf_writer w = {.version = 3};
	gguf_put_string(&w, "tokenizer.ggml.model", "gpt2");
	gguf_put_string(&w, "tokenizer.ggml.pre", pre);
	gguf_put_strings(&w, "tokenizer.ggml.tokens", text, n);
	gguf_put_array(&w, "tokenizer.ggml.token_type", GGUF_I32, type, n, n * sizeof *type);
	put_merges(&w, json_object_get(json_object_get(spec, "model"), "merges"));
	if (extra)
		extra(&w);
	struct byte_string file = gguf_finish(&w);
	struct tokenizer *t = from_bytes(file.data, file.n, name);
	bytes_free(&file);
	json_decref(spec);
	return t;
}

static bool same_ids(const struct token_list *got, const json_t *want)
{
	bool same = (size_t)got->n == json_array_size(want);
	for (int i = 0; i < got->n && same; i++)
		same = got->id[i] == json_integer_value(json_array_get(want, (size_t)i));
	return same;
}

/* The first place where they part, for the message. */
static int first_difference(const struct token_list *got, const json_t *want)
{
	int i = 0;
	while (i < got->n && got->id[i] == json_integer_value(json_array_get(want, (size_t)i)))
		i++;
	return i;
}

static int tokenize(
	const struct tokenizer *t, const json_t *text, enum golden_mode mode, struct token_list *out, struct err *e)
{
	enum prompt_mode prompt = mode == GOLDEN_CHAT ? PROMPT_CHAT : PROMPT_RAW;
	const char *s = json_string_value(text);
	size_t n = json_string_length(text);
	return mode == GOLDEN_ENCODE ? tokenizer_encode(t, s, n, out, e) : tokenizer_prompt(t, s, n, &prompt, out, e);
}

void golden_check_ids(const struct tokenizer *t, const char *name, enum golden_mode mode)
{
	static const char *const modes[] = {"raw", "encode", "chat"};
	char path[256];
	snprintf(path, sizeof path, "%s/ids.json", name);
	json_t *texts = golden_json("texts.json"), *ids = golden_json(path), *entry;
	json_t *list = json_object_get(texts, mode == GOLDEN_CHAT ? "messages" : "texts"),
		   *want = json_object_get(ids, modes[mode]);
	size_t i;
	CHECK(t && json_array_size(list) > 5);
	CHECK_INT(json_array_size(want), json_array_size(list));
	json_array_foreach(list, i, entry)
	{
		const char *title = json_string_value(json_array_get(entry, 0));
		const json_t *golden = json_array_get(want, i);
		struct token_list got;
		struct err e = {ERR_NONE, ""};
		if (t && tokenize(t, json_array_get(entry, 1), mode, &got, &e) && json_array_size(golden))
			test_fail(__FILE__, __LINE__, "%s %s \"%s\": %s", name, modes[mode], title, e.text);
		else if (t && !same_ids(&got, golden))
			test_fail(__FILE__, __LINE__, "%s %s \"%s\": %d tokens, not %zu; differ from token %d on", name,
				modes[mode], title, got.n, json_array_size(golden), first_difference(&got, golden));
		if (t)
			token_list_free(&got);
	}
	json_decref(texts);
	json_decref(ids);
}
