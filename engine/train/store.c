/* Targets that a store holds: one safetensors file each in its folder, or memory. */
#include "engine/train/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/file.h"
#include "engine/forward/session.h"

size_t target_map_floats(const struct model_info *info, int n)
{
	return (size_t)info->n_layer * (size_t)info->n_head * (size_t)n;
}

size_t target_cache_halves(const struct model_info *info, int n)
{
	return (size_t)info->n_layer * (size_t)info->n_kv_head * (size_t)n * (size_t)info->head_dim;
}

/* ---- the store ---- */

static bool is_target_name(const char *name)
{
	size_t n = strlen(name);
	return n > 12 && !strcmp(name + n - 12, ".safetensors");
}

static uint64_t folder_bytes(const char *folder)
{
	uint64_t sum = 0;
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		struct stat st;
		if (is_target_name(entry->d_name) && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
			sum += (uint64_t)st.st_size;
	}
	if (dir)
		closedir(dir);
	return sum;
}

static int open_folder(struct target_store *s, const char *folder, struct err *e)
{
	if (!(s->folder = strdup(folder)))
		return err_set(e, ERR_MEMORY, "no memory for a store of targets");
	int rc = model_sha256(s->model, &s->model_sha256, e);
	if (!rc && mkdir(folder, 0777) && errno != EEXIST)
		rc = err_set(e, ERR_SYSTEM, "%s: cannot make this folder for targets: %s", folder, strerror(errno));
	s->bytes = rc ? 0 : folder_bytes(folder);
	return rc;
}

int target_store_open(struct target_store **out, const struct model *m, const struct target_store_options *o, struct err *e)
{
	struct target_store *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_MEMORY, "no memory for a store of targets");
	s->model = m;
	s->limit_bytes = o->limit_bytes;
	s->n_threads = o->n_threads > 0 ? o->n_threads : engine_build()->n_threads;
	int rc = o->folder ? open_folder(s, o->folder, e) : 0;
	if (rc) {
		target_store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

static void stored_free(struct stored *t)
{
	st_free(&t->file);
	file_map_close(&t->map);
	free(t->path);
	free(t->memory);
}

void target_store_close(struct target_store *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->n_target; i++)
		stored_free(&s->target[i]);
	free(s->target);
	free(s->folder);
	free(s);
}

int target_get(struct target_store *s, int number, struct target *out, struct err *e)
{
	if (number < 0 || number >= s->n_target)
		return err_set(e, ERR_USE, "target %d of %d", number, s->n_target);
	*out = s->target[number].view;
	return 0;
}

int target_check(const struct target_store *s, int number, struct err *e)
{
	return s->target[number].memory ? 0 : file_map_check(&s->target[number].map, e);
}

/* A place for one more, not yet counted. */
static struct stored *next_place(struct target_store *s, struct err *e)
{
	struct stored *grown = realloc(s->target, (size_t)(s->n_target + 1) * sizeof *grown);
	if (!grown) {
		err_set(e, ERR_MEMORY, "no memory for %d targets", s->n_target + 1);
		return NULL;
	}
	s->target = grown;
	s->target[s->n_target] = (struct stored){0};
	return &s->target[s->n_target];
}

/* ---- a target's file ---- */

static int view_file(const struct target_store *s, struct stored *t, struct err *e)
{
	const struct model_info *info = &s->model->info;
	const struct st_tensor *prompt = st_find(&t->file, "tokens.prompt"), *response = st_find(&t->file, "tokens.response"),
		*truth = st_find(&t->file, "rows.truth"), *key = st_find(&t->file, "cache.key"), *value = st_find(&t->file, "cache.value");
	if (!prompt || !response || !truth || !key || !value)
		return err_set(e, ERR_FORMAT, "%s: not a training target: a tensor is missing", t->path);
	int n = (int)(prompt->n_bytes / sizeof(int32_t));
	if (prompt->dtype != ST_I32 || response->dtype != ST_I32 || truth->dtype != ST_F32 || key->dtype != ST_F16 || value->dtype != ST_F16 ||
		truth->n_bytes != target_map_floats(info, n) * sizeof(float) || key->n_bytes != value->n_bytes ||
		key->n_bytes != target_cache_halves(info, n) * sizeof(uint16_t))
		return err_set(e, ERR_FORMAT, "%s: a training target of another shape than this model's", t->path);
	t->view = (struct target){.n = n, .n_response = (int)(response->n_bytes / sizeof(int32_t)), .ids = (const void *)prompt->data,
		.response = (const void *)response->data, .truth = (const void *)truth->data, .key = (const void *)key->data,
		.value = (const void *)value->data, .bytes = t->map.size};
	return 0;
}

int store_open_file(struct target_store *s, const char *path, int *number, struct err *e)
{
	struct stored *t = next_place(s, e);
	if (!t)
		return ERR_MEMORY;
	if (!(t->path = strdup(path)))
		return err_set(e, ERR_MEMORY, "no memory for a path");
	int rc = file_map_open(&t->map, path, e);
	rc = rc ? rc : st_parse(&t->file, t->map.data, t->map.size, path, e);
	rc = rc ? rc : view_file(s, t, e);
	if (rc) {
		stored_free(t);
		return rc;
	}
	*number = s->n_target++;
	return 0;
}

/* ---- a target in memory ---- */

int target_read_cache(struct session *s, int n, uint16_t *key, uint16_t *value, struct err *e)
{
	const struct model_info *info = model_info(s->model);
	size_t one = target_cache_halves(info, n) / (size_t)info->n_layer;
	float *wide = malloc(2 * one * sizeof *wide);
	if (!wide)
		return err_set(e, ERR_MEMORY, "no memory for the keys and values of %d tokens", n);
	for (int layer = 0; layer < info->n_layer; layer++, key += one, value += one) {
		s->ops->read_cache(s->backend, &(struct read_cache_op){.layer = layer, .n = n, .key = wide, .value = wide + one});
		for (size_t i = 0; i < one; i++) {
			key[i] = f32_to_f16(wide[i]);
			value[i] = f32_to_f16(wide[one + i]);
		}
	}
	free(wide);
	return 0;
}

/* One block: truth, keys, values, prompt, response. */
static int fill_memory(struct stored *t, struct session *live, const struct target_measured *m, struct err *e)
{
	const struct model_info *info = model_info(live->model);
	size_t floats = target_map_floats(info, m->n), halves = target_cache_halves(info, m->n);
	size_t bytes = floats * sizeof(float) + 2 * halves * sizeof(uint16_t) + (size_t)(m->n + m->n_response) * sizeof(int32_t);
	if (!(t->memory = malloc(bytes)))
		return err_set(e, ERR_MEMORY, "a target of %d tokens needs %zu MiB", m->n, bytes >> 20);
	float *truth = t->memory;
	int32_t *ids = (int32_t *)(truth + floats), *response = ids + m->n;
	uint16_t *key = (uint16_t *)(response + m->n_response), *value = key + halves;
	memcpy(truth, m->truth, floats * sizeof *truth);
	memcpy(ids, m->ids, (size_t)m->n * sizeof *ids);
	if (m->n_response)
		memcpy(response, m->response, (size_t)m->n_response * sizeof *response);
	t->view = (struct target){.n = m->n, .n_response = m->n_response, .ids = ids, .response = response, .truth = truth, .key = key,
		.value = value, .bytes = bytes};
	return target_read_cache(live, m->n, key, value, e);
}

int target_store_add(struct target_store *s, struct session *live, const struct target_measured *m, int *number, struct err *e)
{
	if (m->n < 1 || m->n > session_length(live))
		return err_set(e, ERR_USE, "a target of %d tokens from a session that holds %d", m->n, session_length(live));
	struct stored *t = next_place(s, e);
	if (!t)
		return ERR_MEMORY;
	int rc = fill_memory(t, live, m, e);
	if (rc) {
		stored_free(t);
		return rc;
	}
	*number = s->n_target++;
	return 0;
}
