/* Opening a .kvg file: every tensor of the contract is checked against the others before anything is handed out. */
#include "analysis/capture/kvg.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is gathered while reading; parts points into it. */
struct reader {
	const char *name;
	struct st_file file;
	struct capture parts;
	struct capture_map *map;
	struct st_tensor *extra;
	int n_extra;
	struct block **block; /* the file, then copies of what is not aligned in it */
	int n_block;
	int32_t *token; /* prompt and response joined */
};

/* ---- single tensors ---- */

static int wrong_tensor(const struct reader *r, const struct st_tensor *t, const char *want, struct err *e)
{
	char shape[ST_SHAPE_TEXT];
	st_shape_text(t, shape, sizeof shape);
	return err_set(e, ERR_FORMAT, "%s: tensor %s is %s %s, not %s", r->name, t->name, st_dtype_name(t->dtype), shape, want);
}

/* The tensor's bytes at an address fit for align: the file's own, or a copy that the capture will share. */
static const void *aligned_data(struct reader *r, const struct st_tensor *t, size_t align)
{
	if ((uintptr_t)t->data % align == 0)
		return t->data;
	struct block **grown = realloc(r->block, (size_t)(r->n_block + 1) * sizeof *grown);
	if (!grown)
		return NULL;
	r->block = grown;
	r->block[r->n_block] = block_copy(t->data, t->n_bytes);
	return r->block[r->n_block] ? r->block[r->n_block++]->data : NULL;
}

static int no_memory(const struct reader *r, struct err *e)
{
	return err_set(e, ERR_MEMORY, "%s: out of memory", r->name);
}

/* A vector of want elements (-1: any number); *out NULL when the file has none. */
static int read_vector(struct reader *r, const char *name, enum st_dtype dtype, int64_t want, const void **out,
	int64_t *n, struct err *e)
{
	const struct st_tensor *t = st_find(&r->file, name);
	*out = NULL;
	if (!t)
		return 0;
	char expected[64];
	snprintf(expected, sizeof expected, want < 0 ? "%s (n)" : "%s (%lld)", st_dtype_name(dtype), (long long)want);
	if (t->dtype != dtype || t->n_dim != 1 || (want >= 0 && t->dim[0] != want))
		return wrong_tensor(r, t, expected, e);
	if (t->dim[0] > INT_MAX / 4)
		return err_set(e, ERR_LIMIT, "%s: tensor %s has %lld elements, the limit is %d", r->name, name,
			(long long)t->dim[0], INT_MAX / 4);
	if (n)
		*n = t->dim[0];
	*out = aligned_data(r, t, st_dtype_size(dtype));
	return *out ? 0 : no_memory(r, e);
}

/* ---- metadata ---- */

/* A whole number >= least under kvglass.<key>, or *value as it was when the key is absent. */
static int read_int(const struct reader *r, const char *key, int least, int *value, struct err *e)
{
	const char *text = st_meta(&r->file, key);
	if (!text)
		return 0;
	char *end;
	errno = 0;
	long x = strtol(text, &end, 10);
	if (end == text || *end || errno || x < least || x > INT_MAX)
		return err_set(e, ERR_FORMAT, "%s: metadata %s is \"%.40s\", not a whole number of %d or more", r->name,
			key, text, least);
	*value = (int)x;
	return 0;
}

static int read_map_int(const struct reader *r, const char *what, const char *map, int *value, struct err *e)
{
	char *key;
	if (asprintf(&key, "kvglass.%s.%s", what, map) < 0)
		return no_memory(r, e);
	int rc = read_int(r, key, 0, value, e);
	free(key);
	return rc;
}

static int read_row_error(const struct reader *r, const char *map, double *value, struct err *e)
{
	char *key, *end;
	*value = NAN;
	if (asprintf(&key, "kvglass.row_error.%s", map) < 0)
		return no_memory(r, e);
	const char *text = st_meta(&r->file, key);
	int rc = 0;
	if (text) {
		*value = strtod(text, &end);
		if (end == text || *end)
			rc = err_set(e, ERR_FORMAT, "%s: metadata %s is \"%.40s\", not a number", r->name, key, text);
	}
	free(key);
	return rc;
}

static int read_version(const struct reader *r, struct err *e)
{
	const char *text = st_meta(&r->file, "kvglass.version");
	char *end;
	long version = text ? strtol(text, &end, 10) : KVG_VERSION;
	if (text && (end == text || version < 0))
		return err_set(e, ERR_FORMAT, "%s: metadata kvglass.version is \"%.40s\", not a number", r->name, text);
	if (version > KVG_VERSION)
		return err_set(e, ERR_UNSUPPORTED, "%s: a capture of version %ld, this program reads up to %d", r->name,
			version, KVG_VERSION);
	return 0;
}

/* ---- the parts of the contract ---- */

/* Layers and heads from the metadata, else from the first map that has them. */
static int read_shape(struct reader *r, struct err *e)
{
	struct capture *c = &r->parts;
	const struct {
		const char *key;
		int least, *value;
	} field[] = {
		{"kvglass.n_layer", 1, &c->n_layer}, {"kvglass.n_head", 1, &c->n_head}, {"kvglass.n_kv_head", 1, &c->n_kv_head},
		{"kvglass.head_dim", 0, &c->head_dim}, {"kvglass.window", 0, &c->window},
	};
	for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
		int rc = read_int(r, field[i].key, field[i].least, field[i].value, e);
		if (rc)
			return rc;
	}
	for (int i = 0; i < r->file.n_tensor; i++) {
		const struct st_tensor *t = &r->file.tensor[i];
		enum map_kind kind;
		const char *name;
		if (!map_of_tensor(t->name, &kind, &name) || t->n_dim != 3)
			continue;
		if (t->dim[0] < 1 || t->dim[0] > INT_MAX || t->dim[1] < 1 || t->dim[1] > INT_MAX)
			continue;
		int *heads = kind == MAP_SCORE ? &c->n_kv_head : &c->n_head;
		if (!c->n_layer)
			c->n_layer = (int)t->dim[0];
		if (!*heads)
			*heads = (int)t->dim[1];
	}
	if (!c->n_layer || !c->n_head)
		return err_set(e, ERR_FORMAT, "%s: neither metadata nor a map says how many %s there are", r->name,
			c->n_layer ? "heads" : "layers");
	if (!c->n_kv_head)
		return err_set(e, ERR_FORMAT, "%s: metadata kvglass.n_kv_head is missing", r->name);
	const char *complete = st_meta(&r->file, "kvglass.complete");
	c->complete = !complete || strcmp(complete, "false");
	return 0;
}

static int read_tokens(struct reader *r, struct err *e)
{
	struct capture *c = &r->parts;
	const void *prompt, *response, *offset, *text, *part;
	int64_t n = 0, m = 0, n_text = 0;
	int rc = read_vector(r, "tokens.prompt", ST_I32, -1, &prompt, &n, e);
	if (!rc && !prompt)
		return err_set(e, ERR_FORMAT, "%s: tensor tokens.prompt is missing, this is no capture", r->name);
	if (!rc && n == 0)
		return err_set(e, ERR_FORMAT, "%s: tensor tokens.prompt is empty", r->name);
	if (!rc)
		rc = read_vector(r, "tokens.response", ST_I32, -1, &response, &m, e);
	if (!rc)
		rc = read_vector(r, "tokens.offset", ST_I32, n + m + 1, &offset, NULL, e);
	if (!rc)
		rc = read_vector(r, "tokens.text", ST_U8, -1, &text, &n_text, e);
	if (!rc)
		rc = read_vector(r, "tokens.part", ST_U8, n + m, &part, NULL, e);
	if (rc)
		return rc;
	c->n_prompt = (int)n;
	c->n_response = (int)m;
	c->offset = offset;
	c->text = text;
	c->part = part;
	if (offset && text && c->offset[n + m] != n_text)
		return err_set(e, ERR_FORMAT, "%s: tokens.offset ends at %d, tokens.text has %lld bytes", r->name,
			c->offset[n + m], (long long)n_text);
	r->token = malloc((size_t)(n + m) * sizeof *r->token);
	if (!r->token)
		return no_memory(r, e);
	memcpy(r->token, prompt, (size_t)n * sizeof *r->token);
	if (m)
		memcpy(r->token + n, response, (size_t)m * sizeof *r->token);
	c->token = r->token;
	return 0;
}

/* Rows of a map that the file does not state but the contract does. */
static int contract_rows(const struct capture *c, const char *name)
{
	if (!strcmp(name, "truth"))
		return c->n_response;
	if (!strcmp(name, "truth_even"))
		return (c->n_response + 1) / 2;
	return !strcmp(name, "snapkv") ? c->window : 0;
}

static int read_map(struct reader *r, const struct st_tensor *t, enum map_kind kind, const char *name, struct err *e)
{
	const struct capture *c = &r->parts;
	struct capture_map *m = &r->map[r->parts.n_map++];
	*m = (struct capture_map){.name = name, .kind = kind, .data = aligned_data(r, t, alignof(float))};
	if (!m->data)
		return no_memory(r, e);
	m->n_rows = kind == MAP_ROWS ? contract_rows(c, name) : 0;
	int rc = read_map_int(r, "rows", name, &m->n_rows, e);
	m->n_rows_due = m->n_rows;
	if (!rc)
		rc = read_map_int(r, "rows_due", name, &m->n_rows_due, e);
	return rc ? rc : read_row_error(r, name, &m->row_error, e);
}

static bool known_tensor(const char *name)
{
	static const char *const known[] = {"tokens.prompt", "tokens.response", "tokens.text", "tokens.offset", "tokens.part"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

static int read_maps(struct reader *r, struct err *e)
{
	r->map = calloc((size_t)r->file.n_tensor + 1, sizeof *r->map);
	r->extra = calloc((size_t)r->file.n_tensor + 1, sizeof *r->extra);
	if (!r->map || !r->extra)
		return no_memory(r, e);
	r->parts.map = r->map;
	const struct st_tensor *misfit = NULL;
	for (int i = 0; i < r->file.n_tensor; i++) {
		const struct st_tensor *t = &r->file.tensor[i];
		enum map_kind kind;
		const char *name;
		int rc = 0;
		bool is_map = map_of_tensor(t->name, &kind, &name), fits = is_map && map_fits(&r->parts, kind, t);
		if (fits)
			rc = read_map(r, t, kind, name, e);
		else if (is_map || !known_tensor(t->name))
			r->extra[r->n_extra++] = *t;
		if (rc)
			return rc;
		if (is_map && !fits && !misfit)
			misfit = t;
	}
	char why[256];
	if (r->parts.n_map || !misfit || !map_misfit(&r->parts, misfit, why, sizeof why))
		return 0;
	/* none fits: then tokens or metadata are to blame, or they belong to another capture */
	return err_set(e, ERR_FORMAT, "%s: tensor %s", r->name, why);
}

static int read_parts(struct reader *r, struct err *e)
{
	int rc = st_parse(&r->file, r->block[0]->data, r->block[0]->n_bytes, r->name, e);
	if (!rc)
		rc = read_version(r, e);
	if (!rc)
		rc = read_tokens(r, e);
	if (!rc)
		rc = read_shape(r, e);
	return rc ? rc : read_maps(r, e);
}

static int assemble(struct capture_box **out, struct reader *r, struct err *e)
{
	struct capture_pair *meta = calloc((size_t)r->file.n_meta + 1, sizeof *meta);
	if (!meta)
		return no_memory(r, e);
	for (int i = 0; i < r->file.n_meta; i++)
		meta[i] = (struct capture_pair){r->file.meta[i].key, r->file.meta[i].value};
	r->parts.meta = meta;
	r->parts.n_meta = r->file.n_meta;
	struct share share = {r->block, r->n_block, false, r->extra, r->n_extra};
	int rc = box_assemble(out, &r->parts, &share, e);
	if (rc)
		err_prefix(e, "%s", r->name);
	free(meta);
	return rc;
}

int kvg_read(struct capture_box **out, struct block *bytes, const char *name, struct err *e)
{
	*out = NULL;
	struct reader r = {.name = name, .block = malloc(sizeof *r.block)};
	if (!r.block) {
		block_unref(bytes);
		return no_memory(&r, e);
	}
	r.block[r.n_block++] = bytes;
	int rc = read_parts(&r, e);
	if (!rc)
		rc = assemble(out, &r, e);
	if (!rc && !box_set_file(*out, bytes)) {
		box_free(*out);
		*out = NULL;
		rc = no_memory(&r, e);
	}
	for (int i = 0; i < r.n_block; i++)
		block_unref(r.block[i]);
	st_free(&r.file);
	free(r.block);
	free(r.map);
	free(r.extra);
	free(r.token);
	return rc;
}

/* A mapped file as a block: maps of the capture point into it. */
struct file_block {
	struct block b;
	struct file_map map;
};

static void file_release(struct block *b)
{
	struct file_block *file = (struct file_block *)b;
	file_map_close(&file->map);
	free(file);
}

static int file_check(const struct block *b, struct err *e)
{
	return file_map_check(&((const struct file_block *)b)->map, e);
}

int capture_open(const struct capture **out, const char *path, struct err *e)
{
	*out = NULL;
	struct file_block *file = calloc(1, sizeof *file);
	if (!file)
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	int rc = file_map_open(&file->map, path, e);
	if (rc) {
		free(file);
		return rc;
	}
	file->b = (struct block){.data = file->map.data, .n_bytes = file->map.size, .release = file_release, .check = file_check};
	atomic_init(&file->b.refs, 1);
	struct capture_box *b;
	rc = kvg_read(&b, &file->b, path, e);
	if (rc)
		return rc;
	rc = capture_intact(&b->c, e);
	if (rc)
		capture_unref(&b->c);
	else
		*out = &b->c;
	return rc;
}
