/* What a finished capture answers: counts on it, its maps, metadata, rows and pieces, its hash, and whether two hold the same tokens. */
#include "analysis/capture/box.h"

#include <stdio.h>
#include <string.h>

#include "engine/file.h"

const struct capture *capture_ref(const struct capture *c)
{
	struct capture_box *b = (struct capture_box *)c;
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return c;
}

void capture_unref(const struct capture *c)
{
	struct capture_box *b = (struct capture_box *)c;
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		box_free(b);
}

const struct capture_map *capture_find(const struct capture *c, const char *name)
{
	for (int i = 0; i < c->n_map; i++)
		if (!strcmp(c->map[i].name, name))
			return &c->map[i];
	return NULL;
}

bool map_of_tensor(const char *tensor, enum map_kind *kind, const char **name)
{
	bool score = !strncmp(tensor, "score.", 6);
	if (!score && strncmp(tensor, "rows.", 5))
		return false;
	*kind = score ? MAP_SCORE : MAP_ROWS;
	*name = tensor + (score ? 6 : 5);
	return **name;
}

bool map_fits(const struct capture *c, enum map_kind kind, const struct st_tensor *t)
{
	return t->dtype == ST_F32 && t->n_dim == 3 && t->dim[0] == c->n_layer && t->dim[1] == map_heads(c, kind) && t->dim[2] == c->n_prompt;
}

bool map_misfit(const struct capture *c, const struct st_tensor *t, char *out, size_t size)
{
	enum map_kind kind;
	const char *name;
	char shape[ST_SHAPE_TEXT];
	if (!map_of_tensor(t->name, &kind, &name))
		return false;
	st_shape_text(t, shape, sizeof shape);
	snprintf(out, size, "%.60s is %s %s, not F32 (%d, %d, %d)", t->name, st_dtype_name(t->dtype), shape, c->n_layer, map_heads(c, kind),
		c->n_prompt);
	return true;
}

bool capture_set_aside(const struct capture *c, int i, char *out, size_t size)
{
	const struct capture_box *b = (const struct capture_box *)c;
	for (int k = 0; k < b->n_extra; k++)
		if (map_misfit(c, &b->extra[k], out, size) && i-- == 0)
			return true;
	return false;
}

const char *capture_meta(const struct capture *c, const char *key)
{
	static const char prefix[] = "kvglass.";
	for (int i = 0; i < c->n_meta; i++)
		if (!strncmp(c->meta[i].key, prefix, sizeof prefix - 1) && !strcmp(c->meta[i].key + sizeof prefix - 1, key))
			return c->meta[i].value;
	return NULL;
}

const float *capture_row(const struct capture *c, const struct capture_map *map, int layer, int head)
{
	size_t row = (size_t)layer * (size_t)map_heads(c, map->kind) + (size_t)head;
	return map->data + row * (size_t)c->n_prompt;
}

int capture_intact(const struct capture *c, struct err *e)
{
	const struct capture_box *b = (const struct capture_box *)c;
	int rc = 0;
	for (int i = 0; i < b->n_block && !rc; i++)
		if (b->block[i]->check)
			rc = b->block[i]->check(b->block[i], e);
	return rc;
}

const char *capture_sha256(const struct capture *c)
{
	struct capture_box *b = (struct capture_box *)c;
	pthread_mutex_lock(&b->hashing);
	if (b->file && !*b->sha256)
		sha256_hex(b->file->data, b->file->n_bytes, b->sha256);
	pthread_mutex_unlock(&b->hashing);
	return b->sha256;
}

const char *capture_piece(const struct capture *c, int i, size_t *n_bytes)
{
	*n_bytes = (size_t)(c->offset[i + 1] - c->offset[i]);
	return c->text + c->offset[i];
}

static bool same_first(const struct capture *a, const struct capture *b, int n)
{
	size_t n_token = (size_t)n;
	return !memcmp(a->token, b->token, n_token * sizeof *a->token) && !memcmp(a->offset, b->offset, (n_token + 1) * sizeof *a->offset) &&
		!memcmp(a->text, b->text, (size_t)a->offset[n]);
}

bool capture_same_prompt(const struct capture *a, const struct capture *b)
{
	return a->n_prompt == b->n_prompt && same_first(a, b, a->n_prompt);
}

bool capture_same_tokens(const struct capture *a, const struct capture *b)
{
	return a->n_prompt == b->n_prompt && a->n_response == b->n_response && same_first(a, b, a->n_prompt + a->n_response);
}
