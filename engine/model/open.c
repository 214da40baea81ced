#include "engine/model/build.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory that lives as long as the model ------------------------------------------------------------------- */

struct storage_block {
	struct storage_block *next;
	max_align_t data[];
};

void *storage_take(struct model_storage *s, size_t n_bytes)
{
	struct storage_block *block = calloc(1, sizeof *block + n_bytes);
	if (!block)
		return NULL;
	block->next = s->blocks;
	s->blocks = block;
	return block->data;
}

char *storage_text(struct model_storage *s, const char *text)
{
	char *copy = storage_take(s, strlen(text) + 1);
	if (copy)
		strcpy(copy, text);
	return copy;
}

static void storage_free(struct model_storage *s)
{
	for (int i = 0; i < s->n_map; i++)
		file_map_close(&s->map[i]);
	free(s->map);
	while (s->blocks) {
		struct storage_block *block = s->blocks;
		s->blocks = block->next;
		free(block);
	}
	pthread_mutex_destroy(&s->hash_lock);
	free(s);
}

static int storage_map(struct model_storage *s, const char *path, struct err *e)
{
	struct file_map *grown = realloc(s->map, (size_t)(s->n_map + 1) * sizeof *grown);
	if (!grown)
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	s->map = grown;
	int rc = file_map_open(&s->map[s->n_map], path, e);
	if (!rc)
		s->n_map++;
	return rc;
}

/* ---- GGUF ---------------------------------------------------------------------------------------------------- */

/* general.name, where the file says one; the caller falls back to the file's. */
static int name_from_gguf(struct model *m, const struct gguf_file *g, struct err *e)
{
	char *name = gguf_get_string(g, "general.name");
	if (name && *name && !(m->info.name = storage_text(m->storage, name))) {
		free(name);
		return err_set(e, ERR_MEMORY, "%s: out of memory", m->info.path);
	}
	free(name);
	return 0;
}

static int build_from_gguf(struct model *m, const struct gguf_file *g, struct err *e)
{
	const char *path = m->info.path;
	struct model_config c;
	struct tensor_set set = {0};
	int rc = config_from_gguf(&c, g, path, e);
	if (!rc)
		rc = tensor_set_from_gguf(&set, g, path, e);
	if (!rc)
		rc = model_bind(m, &c, &set, &naming_gguf, e);
	tensor_set_free(&set);
	m->rope_pairs = m->info.arch == ARCH_LLAMA ? ROPE_ADJACENT : ROPE_HALVES;
	m->info.format = g->version == 2 ? "gguf v2" : "gguf v3";
	if (!rc)
		rc = name_from_gguf(m, g, e);
	return rc ? rc : tokenizer_from_gguf(&m->tokenizer, g, path, e);
}

static int open_gguf(struct model *m, struct err *e)
{
	struct gguf_file g;
	const char *dot = strrchr(m->info.path, '.');
	if (dot && !strcmp(dot, ".safetensors"))
		return err_set(e, ERR_USE, "%s: weights of a Hugging Face model; give the folder that holds them and config.json", m->info.path);
	int rc = storage_map(m->storage, m->info.path, e);
	if (rc)
		return rc;
	const struct file_map *map = &m->storage->map[0];
	rc = gguf_parse(&g, map->data, map->size, m->info.path, e);
	if (rc)
		return rc;
	rc = build_from_gguf(m, &g, e);
	gguf_free(&g);
	return rc;
}

/* ---- Hugging Face folder -------------------------------------------------------------------------------------- */

enum { MAX_INDEX_BYTES = 16 << 20, MAX_SHARDS = 1024 };

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name inside the folder and nowhere else. */
static bool is_plain_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/');
}

/* The distinct file names of weight_map in sorted order, mapped. */
static int map_shards(struct model *m, const char *index_path, const json_t *map, struct err *e)
{
	size_t n_entry = json_object_size(map), n = 0;
	const char **name = calloc(n_entry + 1, sizeof *name), *tensor;
	if (!name)
		return err_set(e, ERR_MEMORY, "%s: out of memory for %zu entries", index_path, n_entry);
	json_t *value;
	int rc = n_entry ? 0 : (int)err_set(e, ERR_FORMAT, "%s: weight_map is missing or empty", index_path);
	json_object_foreach((json_t *)map, tensor, value) {
		const char *file = json_string_value(value);
		if (!rc && (!file || !is_plain_name(file)))
			rc = err_set(e, ERR_FORMAT, "%s: weight_map: %s: %s is no file name in this folder", index_path, tensor, file ? file : "(no text)");
		name[n++] = file;
	}
	if (!rc)
		qsort(name, n, sizeof *name, compare_texts);
	for (size_t i = 0; i < n && !rc; i++) {
		if (i && !strcmp(name[i - 1], name[i]))
			continue;
		char *path = NULL;
		if (m->storage->n_map == MAX_SHARDS)
			rc = err_set(e, ERR_LIMIT, "%s: more than %d weight files", index_path, MAX_SHARDS);
		else if (asprintf(&path, "%s/%s", m->info.path, name[i]) < 0)
			rc = err_set(e, ERR_MEMORY, "%s: out of memory", index_path);
		else
			rc = storage_map(m->storage, path, e);
		free(path);
	}
	free(name);
	return rc;
}

static int map_from_index(struct model *m, const char *index_path, json_t **out, struct err *e)
{
	char *text;
	size_t n;
	json_error_t je;
	int rc = file_read_all(index_path, MAX_INDEX_BYTES, &text, &n, e);
	if (rc)
		return rc;
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
	free(text);
	if (!root)
		return err_set(e, ERR_FORMAT, "%s: line %d: %s", index_path, je.line, je.text);
	*out = root;
	return map_shards(m, index_path, json_object_get(root, "weight_map"), e);
}

static int map_folder(struct model *m, json_t **index, struct err *e)
{
	const char *folder = m->info.path;
	char *single = NULL, *index_path = NULL, *pickle = NULL;
	int rc;
	if (asprintf(&single, "%s/model.safetensors", folder) < 0 || asprintf(&index_path, "%s.index.json", single) < 0 ||
		asprintf(&pickle, "%s/pytorch_model.bin", folder) < 0)
		rc = err_set(e, ERR_MEMORY, "%s: out of memory", folder);
	else if (access(single, F_OK) == 0)
		rc = storage_map(m->storage, single, e);
	else if (access(index_path, F_OK) == 0)
		rc = map_from_index(m, index_path, index, e);
	else
		rc = err_set(e, ERR_FORMAT, "%s: no weights: neither model.safetensors nor model.safetensors.index.json%s", folder,
			access(pickle, F_OK) == 0 ? " (pytorch_model.bin is not read)" : "");
	free(single);
	free(index_path);
	free(pickle);
	return rc;
}

/* Every tensor that the index promises must be where it says. */
static int check_index(const struct model *m, const json_t *index, const struct st_file *file, struct err *e)
{
	const char *tensor;
	json_t *value;
	json_object_foreach(json_object_get(index, "weight_map"), tensor, value) {
		bool found = false;
		for (int i = 0; i < m->storage->n_map && !found; i++) {
			const char *base = strrchr(m->storage->map[i].path, '/') + 1;
			found = !strcmp(base, json_string_value(value)) && st_find(&file[i], tensor);
		}
		if (!found)
			return err_set(e, ERR_FORMAT, "%s/%s: tensor %s is missing; the index says it is there", m->info.path,
				json_string_value(value), tensor);
	}
	return 0;
}

static int build_from_folder(struct model *m, const json_t *index, const struct st_file *file, struct err *e)
{
	int n_map = m->storage->n_map;
	struct model_config c;
	struct tensor_set set = {0};
	int rc = check_index(m, index, file, e);
	if (!rc)
		rc = config_from_folder(&c, m->info.path, e);
	if (!rc)
		rc = tensor_set_from_folder(&set, file, n_map, m->info.path, e);
	if (!rc)
		rc = model_bind(m, &c, &set, &naming_folder, e);
	tensor_set_free(&set);
	m->rope_pairs = ROPE_HALVES;
	char format[32];
	snprintf(format, sizeof format, n_map > 1 ? "safetensors x %d" : "safetensors", n_map);
	if (!rc && !(m->info.format = storage_text(m->storage, format)))
		rc = err_set(e, ERR_MEMORY, "%s: out of memory", m->info.path);
	return rc ? rc : tokenizer_from_folder(&m->tokenizer, m->info.path, e);
}

static int open_folder(struct model *m, struct err *e)
{
	json_t *index = NULL;
	int n_parsed = 0, rc = map_folder(m, &index, e);
	struct st_file *file = calloc((size_t)m->storage->n_map + 1, sizeof *file);
	if (!rc && !file)
		rc = err_set(e, ERR_MEMORY, "%s: out of memory", m->info.path);
	for (; !rc && n_parsed < m->storage->n_map; n_parsed++) {
		const struct file_map *map = &m->storage->map[n_parsed];
		rc = st_parse(&file[n_parsed], map->data, map->size, map->path, e);
	}
	if (!rc)
		rc = build_from_folder(m, index, file, e);
	for (int i = 0; i < n_parsed; i++)
		st_free(&file[i]);
	free(file);
	json_decref(index);
	return rc;
}

/* ---- public ---------------------------------------------------------------------------------------------------- */

static int fill_common(struct model *m, const struct model_options *o, struct err *e)
{
	struct model_info *i = &m->info;
	if (tokenizer_n_vocab(m->tokenizer) > i->n_vocab)
		return err_set(e, ERR_FORMAT, "%s: the tokenizer has %d ids, the embedding has %d rows", i->path,
			tokenizer_n_vocab(m->tokenizer), i->n_vocab);
	if (!i->name) { /* the last part of the real path: "." and links have a name too */
		char *real = realpath(i->path, NULL);
		i->name = real ? storage_text(m->storage, basename(real)) : NULL;
		free(real);
		if (!i->name)
			return err_set(e, ERR_MEMORY, "%s: out of memory", i->path);
	}
	i->chat_family = tokenizer_chat_family(m->tokenizer);
	m->device = o->device;
	m->precision = o->precision;
	i->device = "cpu";
	i->precision = o->precision == PRECISION_BF16 ? "bf16" : "f32";
	i->fallback = o->device == DEVICE_CUDA ? "this build has no CUDA" : NULL;
	return 0;
}

static int open_path(struct model *m, const char *path, const struct model_options *o, struct err *e)
{
	struct stat st;
	if (!(m->info.path = storage_text(m->storage, path)))
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	if (stat(path, &st))
		return err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	int rc = S_ISDIR(st.st_mode) ? open_folder(m, e) : open_gguf(m, e);
	return rc ? rc : fill_common(m, o, e);
}

int model_open(struct model **out, const char *path, const struct model_options *options, struct err *e)
{
	static const struct model_options defaults;
	*out = NULL;
	struct model *m = calloc(1, sizeof *m);
	struct model_storage *s = calloc(1, sizeof *s);
	if (!m || !s) {
		free(m);
		free(s);
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	}
	pthread_mutex_init(&s->hash_lock, NULL);
	m->storage = s;
	int rc = open_path(m, path, options ? options : &defaults, e);
	if (rc)
		model_close(m);
	else
		*out = m;
	return rc;
}

void model_close(struct model *m)
{
	if (!m)
		return;
	tokenizer_free(m->tokenizer);
	storage_free(m->storage);
	free(m);
}

const struct model_info *model_info(const struct model *m)
{
	return &m->info;
}

int model_sha256(const struct model *m, const char **hex, struct err *e)
{
	(void)e; /* hashing mapped bytes cannot fail; the signature leaves room for what might */
	struct model_storage *s = m->storage;
	pthread_mutex_lock(&s->hash_lock);
	if (!s->hashed) {
		fingerprint(s->map, s->n_map, s->sha256);
		s->hashed = true;
	}
	pthread_mutex_unlock(&s->hash_lock);
	*hex = s->sha256;
	return 0;
}

int model_prompt(const struct model *m, const char *text, size_t n_bytes, enum prompt_mode *mode, struct token_list *out, struct err *e)
{
	return tokenizer_prompt(m->tokenizer, text, n_bytes, mode, out, e);
}

int model_encode(const struct model *m, const char *text, size_t n_bytes, struct token_list *out, struct err *e)
{
	return tokenizer_encode(m->tokenizer, text, n_bytes, out, e);
}

const char *model_piece(const struct model *m, int32_t id, size_t *n_bytes)
{
	return tokenizer_piece(m->tokenizer, id, n_bytes);
}

bool model_is_special(const struct model *m, int32_t id)
{
	return tokenizer_is_special(m->tokenizer, id);
}

bool model_is_end(const struct model *m, int32_t id)
{
	return tokenizer_is_end(m->tokenizer, id);
}
