/* Captures put together: parts are counted where a shared block holds them and copied where none does. The file format is in kvg.h. */
#include "analysis/capture/box.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/capture/kvg.h"

/* The box takes the caller's count over. */
static bool box_own(struct capture_box *b, struct block *block)
{
	struct block **grown = block ? realloc(b->block, (size_t)(b->n_block + 1) * sizeof *grown) : NULL;
	if (!grown) {
		block_unref(block);
		return false;
	}
	b->block = grown;
	b->block[b->n_block++] = block;
	return true;
}

bool box_set_file(struct capture_box *b, struct block *file)
{
	if (!box_own(b, block_ref(file)))
		return false;
	b->file = file;
	return true;
}

/* data itself when a block of share holds it (the box then counts that block), else a copy. NULL: out of memory. */
static const void *box_take(struct capture_box *b, const struct share *share, const void *data, size_t n_bytes)
{
	for (int i = 0; i < b->n_block; i++)
		if (block_holds(b->block[i], data, n_bytes))
			return data;
	for (int i = 0; share && i < share->n_block; i++)
		if (block_holds(share->block[i], data, n_bytes))
			return box_own(b, block_ref(share->block[i])) ? data : NULL;
	struct block *copy = block_copy(data, n_bytes);
	return box_own(b, copy) ? copy->data : NULL;
}

static bool take_zeros(struct capture_box *b, size_t n_bytes, const void **out)
{
	void *zeros = calloc(1, n_bytes);
	*out = zeros ? box_take(b, NULL, zeros, n_bytes) : NULL;
	free(zeros);
	return *out;
}

static bool take_tokens(struct capture_box *b, const struct capture *parts, const struct share *share)
{
	size_t n = (size_t)parts->n_prompt + (size_t)parts->n_response;
	const void *token, *offset, *text = "", *part = NULL;
	if (parts->token)
		token = box_take(b, share, parts->token, n * sizeof *parts->token);
	else
		take_zeros(b, n * sizeof *parts->token, &token);
	if (parts->offset) {
		offset = box_take(b, share, parts->offset, (n + 1) * sizeof *parts->offset);
		text = box_take(b, share, parts->text, (size_t)parts->offset[n]);
	} else {
		take_zeros(b, (n + 1) * sizeof *parts->offset, &offset);
	}
	if (parts->part)
		part = box_take(b, share, parts->part, n);
	b->c.token = token;
	b->c.offset = offset;
	b->c.text = text;
	b->c.part = part;
	return token && offset && text && (part || !parts->part);
}

static bool take_maps(struct capture_box *b, const struct capture *parts, const struct share *share)
{
	b->map = calloc((size_t)parts->n_map + 1, sizeof *b->map);
	b->c.map = b->map;
	for (int i = 0; b->map && i < parts->n_map; i++) {
		struct capture_map *to = &b->map[i];
		*to = parts->map[i];
		b->c.n_map = i + 1;
		to->name = strdup(parts->map[i].name);
		to->data = box_take(b, share, parts->map[i].data, map_elements(parts, to->kind) * sizeof *to->data);
		if (!to->n_rows_due)
			to->n_rows_due = to->n_rows;
		if (!to->name || !to->data)
			return false;
	}
	return b->map;
}

/* A map that was set aside gives way to one of its name that fits. */
static bool is_replaced(const struct capture *c, const struct st_tensor *extra)
{
	enum map_kind kind;
	const char *name;
	const struct capture_map *map = map_of_tensor(extra->name, &kind, &name) ? capture_find(c, name) : NULL;
	return map && map->kind == kind;
}

static bool take_extra(struct capture_box *b, const struct share *share)
{
	if (!share || !share->n_extra)
		return true;
	b->extra = calloc((size_t)share->n_extra, sizeof *b->extra);
	for (int i = 0; b->extra && i < share->n_extra; i++) {
		if (is_replaced(&b->c, &share->extra[i]))
			continue;
		struct st_tensor *to = &b->extra[b->n_extra++];
		*to = share->extra[i];
		to->name = strdup(share->extra[i].name);
		to->data = box_take(b, share, share->extra[i].data, share->extra[i].n_bytes);
		if (!to->name || !to->data)
			return false;
	}
	return b->extra;
}

/* Sets a metadata key (full name), replacing an earlier value in place. False: out of memory. */
static bool set_meta(struct capture_box *b, const char *key, const char *value)
{
	char *copy = strdup(value);
	for (int i = 0; copy && i < b->c.n_meta; i++)
		if (!strcmp(b->meta[i].key, key)) {
			free((char *)b->meta[i].value);
			b->meta[i].value = copy;
			return true;
		}
	struct capture_pair *grown = copy ? realloc(b->meta, (size_t)(b->c.n_meta + 1) * sizeof *grown) : NULL;
	char *name = grown ? strdup(key) : NULL;
	if (grown)
		b->c.meta = b->meta = grown;
	if (!name) {
		free(copy);
		return false;
	}
	b->meta[b->c.n_meta++] = (struct capture_pair){name, copy};
	return true;
}

static bool set_int(struct capture_box *b, const char *key, int value)
{
	char text[16];
	snprintf(text, sizeof text, "%d", value);
	return set_meta(b, key, text);
}

static void drop_meta(struct capture_box *b, const char *key)
{
	for (int i = 0; i < b->c.n_meta; i++)
		if (!strcmp(b->meta[i].key, key)) {
			free((char *)b->meta[i].key);
			free((char *)b->meta[i].value);
			memmove(b->meta + i, b->meta + i + 1, (size_t)(--b->c.n_meta - i) * sizeof *b->meta);
			return;
		}
}

/* kvglass.<what>.<map> = value; NULL drops the key. */
static bool set_map_meta(struct capture_box *b, const char *what, const char *map, const char *value)
{
	char *key;
	if (asprintf(&key, "kvglass.%s.%s", what, map) < 0)
		return false;
	bool ok = true;
	if (value)
		ok = set_meta(b, key, value);
	else
		drop_meta(b, key);
	free(key);
	return ok;
}

static bool describe_map(struct capture_box *b, const struct capture_map *m)
{
	char rows[16], due[16], error[32];
	snprintf(rows, sizeof rows, "%d", m->n_rows);
	snprintf(due, sizeof due, "%d", m->n_rows_due);
	snprintf(error, sizeof error, "%.9g", m->row_error);
	return set_map_meta(b, "rows", m->name, m->n_rows ? rows : NULL)
		&& set_map_meta(b, "rows_due", m->name, m->n_rows_due != m->n_rows ? due : NULL)
		&& set_map_meta(b, "row_error", m->name, isnan(m->row_error) ? NULL : error);
}

/* What the fields say stands in the metadata too, so that a live capture and an opened one read the same. */
static bool take_meta(struct capture_box *b, const struct capture *parts)
{
	bool ok = true;
	for (int i = 0; ok && i < parts->n_meta; i++)
		ok = set_meta(b, parts->meta[i].key, parts->meta[i].value);
	ok = ok && set_int(b, "kvglass.version", KVG_VERSION) && set_int(b, "kvglass.n_layer", parts->n_layer)
		&& set_int(b, "kvglass.n_head", parts->n_head) && set_int(b, "kvglass.n_kv_head", parts->n_kv_head);
	if (ok && parts->head_dim)
		ok = set_int(b, "kvglass.head_dim", parts->head_dim);
	if (ok && parts->window)
		ok = set_int(b, "kvglass.window", parts->window);
	if (ok && !parts->complete)
		ok = set_meta(b, "kvglass.complete", "false");
	else if (ok)
		drop_meta(b, "kvglass.complete");
	for (int i = 0; ok && i < b->c.n_map; i++)
		ok = describe_map(b, &b->map[i]);
	return ok;
}

int box_assemble(struct capture_box **out, const struct capture *parts, const struct share *share, struct err *e)
{
	*out = NULL;
	int rc = capture_check(parts, share, e);
	if (rc)
		return rc;
	struct capture_box *b = calloc(1, sizeof *b);
	if (!b)
		return err_set(e, ERR_MEMORY, "capture: out of memory");
	atomic_init(&b->refs, 1);
	pthread_mutex_init(&b->hashing, NULL);
	b->c = *parts;
	b->c.map = NULL;
	b->c.n_map = 0;
	b->c.meta = NULL;
	b->c.n_meta = 0;
	if (!take_tokens(b, parts, share) || !take_maps(b, parts, share) || !take_extra(b, share) || !take_meta(b, parts)) {
		box_free(b);
		return err_set(e, ERR_MEMORY, "capture: out of memory for %d maps of %d tokens", parts->n_map, parts->n_prompt);
	}
	*out = b;
	return 0;
}

void box_free(struct capture_box *b)
{
	for (int i = 0; i < b->c.n_map; i++)
		free((char *)b->map[i].name);
	for (int i = 0; i < b->c.n_meta; i++) {
		free((char *)b->meta[i].key);
		free((char *)b->meta[i].value);
	}
	for (int i = 0; i < b->n_extra; i++)
		free((char *)b->extra[i].name);
	for (int i = 0; i < b->n_block; i++)
		block_unref(b->block[i]);
	pthread_mutex_destroy(&b->hashing);
	free(b->map);
	free(b->meta);
	free(b->extra);
	free(b->block);
	free(b);
}

int capture_extend(const struct capture **out, const struct capture *base, const struct capture *parts, struct err *e)
{
	const struct capture_box *from = (const struct capture_box *)base;
	struct share share = {.checked = true};
	if (from)
		share = (struct share){from->block, from->n_block, true, from->extra, from->n_extra};
	struct capture_box *b;
	int rc = box_assemble(&b, parts, &share, e);
	*out = NULL;
	if (rc)
		return rc;
	*out = &b->c;
	return 0;
}

int capture_build(const struct capture **out, const struct capture *parts, struct err *e)
{
	return capture_extend(out, NULL, parts, e);
}
