/* Saving a .kvg file. Tensors are ordered by the size of their elements, largest first, so that each lies at a
 * multiple of it and can be used in place when the file is mapped. */
#include "analysis/capture/kvg.h"

#include <stdio.h>
#include <stdlib.h>

struct writer {
	struct st_tensor *tensor;
	int n;
	char **name; /* of maps, owned */
	int n_name;
};

static void add_vector(struct writer *w, const char *name, enum st_dtype dtype, const void *data, int64_t n)
{
	w->tensor[w->n++] = (struct st_tensor){
		.name = name, .dtype = dtype, .n_dim = 1, .dim = {n}, .data = data, .n_bytes = (size_t)n * st_dtype_size(dtype)};
}

static bool add_map(struct writer *w, const struct capture *c, const struct capture_map *m)
{
	if (asprintf(&w->name[w->n_name], "%s.%s", map_prefix(m->kind), m->name) < 0)
		return false;
	w->tensor[w->n++] = (struct st_tensor){.name = w->name[w->n_name++],
		.dtype = ST_F32,
		.n_dim = 3,
		.dim = {c->n_layer, map_heads(c, m->kind), c->n_prompt},
		.data = (const uint8_t *)m->data,
		.n_bytes = map_elements(c, m->kind) * sizeof *m->data};
	return true;
}

static bool gather(struct writer *w, const struct capture_box *b)
{
	const struct capture *c = &b->c;
	int n = c->n_prompt + c->n_response;
	w->tensor = calloc((size_t)(c->n_map + b->n_extra) + 5, sizeof *w->tensor);
	w->name = calloc((size_t)c->n_map + 1, sizeof *w->name);
	if (!w->tensor || !w->name)
		return false;
	for (int i = 0; i < c->n_map; i++)
		if (!add_map(w, c, &c->map[i]))
			return false;
	add_vector(w, "tokens.prompt", ST_I32, c->token, c->n_prompt);
	add_vector(w, "tokens.response", ST_I32, c->token + c->n_prompt, c->n_response);
	add_vector(w, "tokens.offset", ST_I32, c->offset, n + 1);
	add_vector(w, "tokens.text", ST_U8, c->text, c->offset[n]);
	if (c->part)
		add_vector(w, "tokens.part", ST_U8, c->part, n);
	for (int i = 0; i < b->n_extra; i++)
		w->tensor[w->n++] = b->extra[i];
	return true;
}

/* Stable, so the same capture always gives the same order. */
static bool sort_by_element(struct writer *w)
{
	struct st_tensor *sorted = calloc((size_t)w->n, sizeof *sorted);
	if (!sorted)
		return false;
	int at = 0;
	for (size_t size = 8; size; size /= 2)
		for (int i = 0; i < w->n; i++)
			if (st_dtype_size(w->tensor[i].dtype) == size)
				sorted[at++] = w->tensor[i];
	free(w->tensor);
	w->tensor = sorted;
	return true;
}

int capture_save(const struct capture *c, const char *path, struct err *e)
{
	const struct capture_box *b = (const struct capture_box *)c;
	struct writer w = {0};
	struct st_pair *meta = calloc((size_t)c->n_meta + 1, sizeof *meta);
	int rc = capture_intact(c, e);
	if (rc) {
		free(meta);
		return rc;
	}
	if (!meta || !gather(&w, b) || !sort_by_element(&w)) {
		rc = err_set(e, ERR_MEMORY, "%s: out of memory", path);
	} else {
		for (int i = 0; i < c->n_meta; i++)
			meta[i] = (struct st_pair){c->meta[i].key, c->meta[i].value};
		rc = st_write(path, w.tensor, w.n, meta, c->n_meta, e);
	}
	for (int i = 0; i < w.n_name; i++)
		free(w.name[i]);
	free(w.name);
	free(w.tensor);
	free(meta);
	return rc;
}
