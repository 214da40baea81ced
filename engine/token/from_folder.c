/* A tokenizer from a Hugging Face folder. tokenizer.json is the tokenizer; the files beside it say which of its
 * tokens are control tokens, whether a BOS is added, what the chat template is and which tokens end a response. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/token/parts.h"
#include "engine/utf8.h"

enum { SMALL_FILE_LIMIT = 64 << 20 };

static char *path_in(const char *folder, const char *name, struct err *e)
{
	char *path = NULL;
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		err_set(e, ERR_MEMORY, "no memory for a path");
		return NULL;
	}
	return path;
}

static bool has_file(const char *folder, const char *name)
{
	char *path = path_in(folder, name, NULL);
	bool there = path && access(path, F_OK) == 0;
	free(path);
	return there;
}

/* The file as text, *text NULL when the folder has none of that name. */
static int read_optional(const char *folder, const char *name, char **text, size_t *n, struct err *e)
{
	*text = NULL;
	if (!has_file(folder, name))
		return 0;
	char *path = path_in(folder, name, e);
	int rc = path ? file_read_all(path, SMALL_FILE_LIMIT, text, n, e) : ERR_MEMORY;
	free(path);
	return rc;
}

/* The file as a JSON object, *object NULL when there is none. */
static int read_object(const char *folder, const char *name, json_t **object, struct err *e)
{
	char *text;
	size_t n;
	*object = NULL;
	int rc = read_optional(folder, name, &text, &n, e);
	if (rc || !text)
		return rc;
	json_error_t problem;
	*object = json_loadb(text, n, 0, &problem);
	free(text);
	if (!*object)
		return err_set(e, ERR_FORMAT, "%s/%s: line %d: %s", folder, name, problem.line, problem.text);
	if (!json_is_object(*object)) {
		json_decref(*object);
		*object = NULL;
		return err_set(e, ERR_FORMAT, "%s/%s is no JSON object", folder, name);
	}
	return 0;
}

/* Text of a token in tokenizer_config.json: a string, or an object with the content; NULL when it is not given. */
static const char *token_text(const json_t *config, const char *key)
{
	const json_t *token = json_object_get(config, key);
	return json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
}

static int read_tokenizer(struct tokenizer *t, const char *folder, struct err *e)
{
	if (!has_file(folder, "tokenizer.json"))
		return has_file(folder, "tokenizer.model")
			? err_set(e, ERR_UNSUPPORTED,
				  "%s: a SentencePiece tokenizer (tokenizer.model), not byte-level BPE (tokenizer.json)", folder)
			: err_set(e, ERR_SYSTEM, "%s: tokenizer.json is missing", folder);
	char *path = path_in(folder, "tokenizer.json", e);
	if (!path)
		return ERR_MEMORY;
	struct file_map map;
	int rc = file_map_open(&map, path, e);
	if (!rc) {
		rc = tokenizer_read_json(t, (const char *)map.data, map.size, e);
		if (rc)
			err_prefix(e, "%s", path);
		int changed = file_map_check(&map, e);
		rc = changed ? changed : rc;
		file_map_close(&map);
	}
	free(path);
	return rc;
}

/* A token that tokenizer_config.json calls special is a control token, wherever the vocabulary has it. */
static int make_special(struct tokenizer *t, const char *text, struct err *e)
{
	int32_t id = text && *text ? tokenizer_find(t, text, strlen(text)) : -1;
	if (id < 0 || (t->vocab.flag[id] & TOKEN_SPECIAL))
		return 0;
	struct added_text a = {.text = text, .n = strlen(text), .token = {.id = id, .special = true}};
	return tokenizer_add(t, &a, e);
}

static int read_named_tokens(struct tokenizer *t, const json_t *config, struct err *e)
{
	static const char *const names[] = {
		"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"};
	int rc = 0;
	for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++)
		rc = make_special(t, token_text(config, names[i]), e);
	const json_t *more = json_object_get(config, "additional_special_tokens");
	for (size_t i = 0; i < json_array_size(more) && !rc; i++)
		rc = make_special(t, json_string_value(json_array_get(more, i)), e);
	return rc;
}

static int read_decoder_entry(struct tokenizer *t, const char *key, const json_t *token, struct err *e)
{
	const char *text = json_string_value(json_object_get(token, "content"));
	char *end;
	long id = strtol(key, &end, 10);
	if (!text || !*text || *end || end == key || id < 0 || id >= VOCAB_LIMIT ||
		tokenizer_is_added(t, text, strlen(text)))
		return 0;
	int32_t known = tokenizer_find(t, text, strlen(text));
	if (known < 0 && vocab_has(&t->vocab, id))
		return 0;
	struct added_text a = {
		.text = text, .n = strlen(text), .normalized = json_is_true(json_object_get(token, "normalized"))};
	a.token = (struct added_token){.id = known >= 0 ? known : (int32_t)id,
		.special = json_is_true(json_object_get(token, "special")),
		.lstrip = json_is_true(json_object_get(token, "lstrip")),
		.rstrip = json_is_true(json_object_get(token, "rstrip"))};
	return tokenizer_add(t, &a, e);
}

/* added_tokens_decoder: {"id": {content, special, ...}}, for tokens that tokenizer.json does not add. */
static int read_added_decoder(struct tokenizer *t, const json_t *config, struct err *e)
{
	const char *key;
	json_t *token;
	int rc = 0;
	json_object_foreach(json_object_get(config, "added_tokens_decoder"), key,
		token) if ((rc = read_decoder_entry(t, key, token, e))) break;
	return rc;
}

/* add_bos_token decides where it is given, the post-processor of tokenizer.json otherwise. */
static int read_bos(struct tokenizer *t, const json_t *config, struct err *e)
{
	const json_t *add = json_object_get(config, "add_bos_token");
	if (!json_is_boolean(add))
		return 0;
	t->n_prefix = 0;
	if (json_is_false(add))
		return 0;
	const char *bos = token_text(config, "bos_token");
	int32_t id = bos ? tokenizer_find(t, bos, strlen(bos)) : -1;
	if (id < 0)
		return err_set(e, ERR_FORMAT, "add_bos_token is set, but bos_token is not a token of the vocabulary");
	t->prefix[t->n_prefix++] = id;
	return 0;
}

static void mark_end(struct tokenizer *t, const json_t *id)
{
	if (json_is_integer(id) && vocab_has(&t->vocab, json_integer_value(id)))
		t->vocab.flag[json_integer_value(id)] |= TOKEN_END;
}

/* eos_token_id of generation_config.json or config.json: one id or a list. */
static int read_ends(struct tokenizer *t, const char *folder, const char *name, struct err *e)
{
	json_t *config;
	int rc = read_object(folder, name, &config, e);
	const json_t *eos = json_object_get(config, "eos_token_id");
	mark_end(t, eos);
	for (size_t i = 0; i < json_array_size(eos); i++)
		mark_end(t, json_array_get(eos, i));
	json_decref(config);
	return rc;
}

/* chat_template.jinja goes before the template in tokenizer_config.json: a text, or a list of named ones with a
 * "default". */
static const char *find_template(const json_t *config)
{
	const json_t *value = json_object_get(config, "chat_template");
	if (json_is_string(value))
		return json_string_value(value);
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *named = json_array_get(value, i);
		const char *name = json_string_value(json_object_get(named, "name"));
		if (name && !strcmp(name, "default"))
			return json_string_value(json_object_get(named, "template"));
	}
	return json_string_value(json_object_get(value, "default"));
}

static int read_chat(struct tokenizer *t, const char *folder, const json_t *config, struct err *e)
{
	char *file;
	size_t n;
	int rc = read_optional(folder, "chat_template.jinja", &file, &n, e);
	if (rc)
		return rc;
	const char *text = file ? file : find_template(config);
	if (!file && text)
		n = strlen(text);
	if (text && n) {
		struct chat_tokens tokens = {token_text(config, "bos_token"), token_text(config, "eos_token"),
			token_text(config, "unk_token"), token_text(config, "pad_token")};
		size_t bad = utf8_first_invalid(text, n);
		if (bad < n)
			rc = err_set(e, ERR_FORMAT, "%s/chat_template.jinja is not valid UTF-8 at byte %zu", folder, bad);
		else
			rc = chat_open(&t->chat, text, n, &tokens, e);
	}
	free(file);
	return rc;
}

static int read_config(struct tokenizer *t, const char *folder, struct err *e)
{
	json_t *config;
	int rc = read_object(folder, "tokenizer_config.json", &config, e);
	if (!rc)
		rc = read_added_decoder(t, config, e);
	if (!rc)
		rc = read_named_tokens(t, config, e);
	if (!rc && (rc = read_bos(t, config, e)))
		err_prefix(e, "%s/tokenizer_config.json", folder);
	if (!rc)
		rc = read_chat(t, folder, config, e);
	const char *eos = rc ? NULL : token_text(config, "eos_token");
	int32_t id = eos ? tokenizer_find(t, eos, strlen(eos)) : -1;
	if (id >= 0)
		t->vocab.flag[id] |= TOKEN_END;
	json_decref(config);
	return rc;
}

int tokenizer_from_folder(struct tokenizer **out, const char *folder, struct err *e)
{
	*out = NULL;
	struct tokenizer *t = tokenizer_new(e);
	if (!t)
		return ERR_MEMORY;
	int rc = read_tokenizer(t, folder, e);
	if (!rc)
		rc = read_config(t, folder, e);
	if (!rc)
		rc = read_ends(t, folder, "generation_config.json", e);
	if (!rc)
		rc = read_ends(t, folder, "config.json", e);
	if (rc) {
		tokenizer_free(t);
		return rc;
	}
	tokenizer_complete(t);
	*out = t;
	return 0;
}
