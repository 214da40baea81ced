/* A Hugging Face folder: config.json, model.safetensors or the files that model.safetensors.index.json lists. */
#include "engine/model/build.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

int model_open_folder(struct model *m, struct err *e)
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
