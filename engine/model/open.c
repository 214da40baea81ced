#include "engine/model/build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/cpu/simd/simd.h"
#include "engine/cuda/device.h"

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

static int use_cpu(struct model *m, const struct model_options *o, const char *fallback)
{
	bool bf16 = o->precision == PRECISION_BF16 && simd_available()[0]->bf16_products;
	m->info.device = "cpu";
	m->info.precision = bf16 ? "bf16" : "f32";
	m->info.fallback = !fallback && o->precision == PRECISION_BF16 && !bf16
		? "this processor has no bfloat16 products: float32 is used" : fallback;
	return 0;
}

/* A CUDA device that was asked for must be there. On AUTO its absence is worth a word only where a build with CUDA could have used one. */
static int choose_device(struct model *m, const struct model_options *o, struct err *e)
{
	struct err why;
	char id[24];
	if (o->device == DEVICE_CPU || (o->device == DEVICE_AUTO && !cuda_version()))
		return use_cpu(m, o, NULL);
	int rc = cuda_check_device(o->device_index, &why);
	if (rc && o->device == DEVICE_CUDA)
		return err_set(e, (enum err_code)rc, "%s", why.text);
	if (rc)
		return use_cpu(m, o, storage_text(m->storage, why.text));
	snprintf(id, sizeof id, "cuda:%d", o->device_index);
	m->info.device = storage_text(m->storage, id);
	m->info.precision = o->precision == PRECISION_F32 ? "f32" : "bf16";
	return m->info.device ? 0 : (int)err_set(e, ERR_MEMORY, "%s: out of memory", m->info.path);
}

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
	return choose_device(m, o, e);
}

static int open_path(struct model *m, const char *path, const struct model_options *o, struct err *e)
{
	struct stat st;
	if (!(m->info.path = storage_text(m->storage, path)))
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	if (stat(path, &st))
		return err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	int rc = S_ISDIR(st.st_mode) ? model_open_folder(m, e) : open_gguf(m, e);
	return rc ? rc : fill_common(m, o, e);
}

int model_open(struct model **out, const char *path, const struct model_options *options, struct err *e)
{
	static const struct model_options defaults;
	*out = NULL;
	struct model *m = calloc(1, sizeof *m);
	struct model_storage *s = calloc(1, sizeof *s);
	struct model_shared *shared = model_shared_new();
	if (!m || !s || !shared) {
		free(m);
		free(s);
		model_shared_free(shared);
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	}
	pthread_mutex_init(&s->hash_lock, NULL);
	m->storage = s;
	m->shared = shared;
	int rc = open_path(m, path, options ? options : &defaults, e), changed = model_check(m, e);
	if (rc || changed)
		model_close(m);
	else
		*out = m;
	return changed ? changed : rc;
}

void model_close(struct model *m)
{
	if (!m)
		return;
	model_shared_free(m->shared);
	tokenizer_free(m->tokenizer);
	storage_free(m->storage);
	free(m);
}

int model_check(const struct model *m, struct err *e)
{
	int rc = 0;
	for (int i = 0; m->storage && i < m->storage->n_map && !rc; i++)
		rc = file_map_check(&m->storage->map[i], e);
	return rc;
}

const struct model_info *model_info(const struct model *m)
{
	return &m->info;
}

int model_sha256(const struct model *m, const char **hex, struct err *e)
{
	struct model_storage *s = m->storage;
	int rc = 0;
	pthread_mutex_lock(&s->hash_lock);
	if (!s->hashed) {
		rc = fingerprint(s->map, s->n_map, s->sha256, e);
		s->hashed = !rc;
	}
	pthread_mutex_unlock(&s->hash_lock);
	*hex = rc ? NULL : s->sha256;
	return rc;
}

int model_prompt(const struct model *m, const char *text, size_t n_bytes, enum prompt_mode *mode, struct token_list *out, struct err *e)
{
	return tokenizer_prompt(m->tokenizer, text, n_bytes, mode, out, e);
}

int model_conversation(const struct model *m, const struct chat_message *message, int n, struct token_list *out, struct err *e)
{
	return tokenizer_conversation(m->tokenizer, message, n, out, e);
}

int model_encode(const struct model *m, const char *text, size_t n_bytes, struct token_list *out, struct err *e)
{
	return tokenizer_encode(m->tokenizer, text, n_bytes, out, e);
}

const char *model_piece(const struct model *m, int32_t id, size_t *n_bytes)
{
	return tokenizer_piece(m->tokenizer, id, n_bytes);
}

char *model_text(const struct model *m, const int32_t *id, int n, int32_t *offset, size_t *n_bytes)
{
	size_t total = 0, at = 0, bytes;
	for (int i = 0; i < n; i++) {
		model_piece(m, id[i], &bytes);
		total += bytes;
	}
	char *text = total > INT32_MAX ? NULL : malloc(total + 1);
	for (int i = 0; text && i < n; i++) {
		const char *piece = model_piece(m, id[i], &bytes);
		if (offset)
			offset[i] = (int32_t)at;
		if (bytes)
			memcpy(text + at, piece, bytes);
		at += bytes;
	}
	if (text && offset)
		offset[n] = (int32_t)at;
	if (text)
		text[at] = '\0';
	*n_bytes = at;
	return text;
}

bool model_is_special(const struct model *m, int32_t id)
{
	return tokenizer_is_special(m->tokenizer, id);
}

bool model_is_end(const struct model *m, int32_t id)
{
	return tokenizer_is_end(m->tokenizer, id);
}
