#include "engine/lookahead/parts.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

enum { MAX_RANK = 4096, PUBLISHED_SCALE = 4 /* alpha 32 over r 8 */ };

/* ---- the object ------------------------------------------------------------------------------------------------ */

int lookahead_new(struct lookahead **out, int n_lookahead, int n_embd, int n_layer, struct err *e)
{
	struct lookahead *l = calloc(1, sizeof *l);
	*out = l;
	if (!l)
		return err_set(e, ERR_MEMORY, "out of memory for lookahead modules");
	l->n_lookahead = n_lookahead;
	l->n_embd = n_embd;
	l->n_layer = n_layer;
	size_t n_bytes;
	if (__builtin_mul_overflow((size_t)n_lookahead, (size_t)n_embd * sizeof *l->embedding, &n_bytes) ||
		!(l->embedding = malloc(n_bytes ? n_bytes : 1)) || !(l->lora = calloc((size_t)n_layer * N_PROJ + 1, sizeof *l->lora)))
		return err_set(e, ERR_MEMORY, "out of memory for %d lookahead tokens of %d dimensions", n_lookahead, n_embd);
	return 0;
}

struct lora *lora_at(const struct lookahead *l, int layer, int proj)
{
	return &l->lora[layer * N_PROJ + proj];
}

void lookahead_count(struct lookahead *l)
{
	l->n_param = (uint64_t)l->n_lookahead * (uint64_t)l->n_embd;
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		if (l->lora[i].a)
			l->n_param += (uint64_t)l->lora[i].r * ((uint64_t)l->lora[i].n_in + (uint64_t)l->lora[i].n_out);
}

void lookahead_free(struct lookahead *l)
{
	if (!l)
		return;
	for (int i = 0; l->lora && i < l->n_layer * N_PROJ; i++) {
		free(l->lora[i].a);
		free(l->lora[i].b);
	}
	free(l->lora);
	free(l->embedding);
	free(l->name);
	free(l->path);
	free(l->base_name);
	free(l->base_sha256);
	free(l->training);
	free(l->warning);
	free(l);
}

/* ---- metadata -------------------------------------------------------------------------------------------------- */

/* *out stays as it is when the key is absent. */
static int meta_count(const struct st_file *f, const char *key, int limit, int *out, const char *path, struct err *e)
{
	const char *text = st_meta(f, key);
	if (!text)
		return 0;
	char *end;
	long value = strtol(text, &end, 10);
	if (end == text || *end || value < 0 || value > limit)
		return err_set(e, ERR_FORMAT, "%s: metadata %s is \"%.40s\", a count up to %d is needed", path, key, text, limit);
	*out = (int)value;
	return 0;
}

static int meta_alpha(const struct st_file *f, float *out, const char *path, struct err *e)
{
	const char *text = st_meta(f, "kvglass.alpha");
	if (!text)
		return 0;
	char *end;
	float value = strtof(text, &end);
	if (end == text || *end || !(value >= 0 && value < INFINITY))
		return err_set(e, ERR_FORMAT, "%s: metadata kvglass.alpha is \"%.40s\", a number is needed", path, text);
	*out = value;
	return 0;
}

static int copy_meta(const struct st_file *f, const char *key, char **out, const char *path, struct err *e)
{
	const char *text = st_meta(f, key);
	if (text && !(*out = strdup(text)))
		return err_set(e, ERR_MEMORY, "%s: out of memory for metadata %s", path, key);
	return 0;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static int read_matrix(const struct match *k, float *out, const char *path, struct err *e)
{
	size_t rows = (size_t)k->rows, columns = (size_t)k->columns;
	int rc = 0;
	if (!k->transposed) {
		rc = st_read_f32(k->tensor, 0, rows * columns, out, e);
	} else {
		float *line = malloc(rows * sizeof *line); /* the file's rows are our columns */
		if (!line)
			return err_set(e, ERR_MEMORY, "%s: out of memory for tensor %s", path, k->tensor->name);
		for (size_t c = 0; c < columns && !rc; c++) {
			rc = st_read_f32(k->tensor, c * rows, rows, line, e);
			for (size_t r = 0; r < rows && !rc; r++)
				out[r * columns + c] = line[r];
		}
		free(line);
	}
	if (rc)
		err_prefix(e, "%s", path);
	return rc;
}

static int read_adapter(struct lookahead *l, const struct match *k, int r, const char *path, struct err *e)
{
	struct lora *lora = lora_at(l, k->layer, k->proj);
	float *values = malloc((size_t)k->rows * (size_t)k->columns * sizeof *values);
	if (!values)
		return err_set(e, ERR_MEMORY, "%s: out of memory for tensor %s", path, k->tensor->name);
	lora->r = r;
	if (k->role == ROLE_A) {
		lora->a = values;
		lora->n_in = k->columns;
	} else {
		lora->b = values;
		lora->n_out = k->rows;
	}
	return read_matrix(k, values, path, e);
}

/* alpha: the option's; 0 when it was not given. */
static int read_scale(struct lookahead *l, const struct st_file *f, int r, float alpha, const char *path, struct err *e)
{
	if (r == 0)
		return 0;
	float from_file = -1;
	int rc = meta_alpha(f, &from_file, path, e);
	if (rc)
		return rc;
	if (alpha > 0)
		l->scale = alpha / (float)r;
	else if (from_file >= 0)
		l->scale = from_file / (float)r;
	else {
		l->scale = PUBLISHED_SCALE;
		if (asprintf(&l->warning, "%s does not say its alpha: scale %d is used, as published (alpha %d for rank %d)", l->name,
				PUBLISHED_SCALE, PUBLISHED_SCALE * r, r) < 0) {
			l->warning = NULL;
			return err_set(e, ERR_MEMORY, "%s: out of memory", path);
		}
	}
	return 0;
}

static int read_texts(struct lookahead *l, const struct st_file *f, const char *path, struct err *e)
{
	l->path = strdup(path);
	l->name = strdup(basename(path));
	if (!l->path || !l->name)
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	int rc = copy_meta(f, "kvglass.base_name", &l->base_name, path, e);
	if (!rc)
		rc = copy_meta(f, "kvglass.base_sha256", &l->base_sha256, path, e);
	return rc ? rc : copy_meta(f, "kvglass.training", &l->training, path, e);
}

static int fill(struct lookahead *l, const struct st_file *f, const struct matches *all, float alpha, const char *path, struct err *e)
{
	int n_lookahead = l->n_lookahead;
	int rc = meta_count(f, "kvglass.n_lookahead", INT_MAX, &n_lookahead, path, e);
	if (!rc && n_lookahead != l->n_lookahead)
		rc = err_set(e, ERR_FORMAT, "%s: metadata kvglass.n_lookahead is %d, the embedding has %d rows", path, n_lookahead,
			l->n_lookahead);
	if (!rc)
		rc = read_texts(l, f, path, e);
	if (!rc)
		rc = read_matrix(&all->match[0], l->embedding, path, e);
	for (int i = 1; i < all->n && !rc; i++)
		rc = read_adapter(l, &all->match[i], all->r, path, e);
	if (!rc)
		rc = read_scale(l, f, all->r, alpha, path, e);
	lookahead_count(l);
	return rc;
}

int lookahead_from_file(struct lookahead **out, const struct st_file *file, const struct module_shape *known, float alpha,
	const char *path, struct err *e)
{
	struct matches all;
	int r = 0;
	*out = NULL;
	int rc = meta_count(file, "kvglass.r", MAX_RANK, &r, path, e);
	if (!rc)
		rc = match_tensors(&all, file, known, r, path, e);
	if (rc)
		return rc;
	rc = lookahead_new(out, all.match[0].rows, all.shape.n_embd, all.shape.n_layer, e);
	if (!rc)
		rc = fill(*out, file, &all, alpha, path, e);
	free(all.match);
	if (rc) {
		lookahead_free(*out);
		*out = NULL;
	}
	return rc;
}

/* ---- public ---------------------------------------------------------------------------------------------------- */

static int check_base(const struct lookahead *l, const struct model *m, struct err *e)
{
	const char *hex;
	if (!l->base_sha256 || !*l->base_sha256)
		return 0;
	int rc = model_sha256(m, &hex, e);
	if (rc || !strcmp(hex, l->base_sha256))
		return rc;
	return err_set(e, ERR_FORMAT, "%s: trained for another model file: %.80s (sha256 %.12s...), this is %.80s (%.12s...); the same shape, so --any-base would run it",
		l->path, l->base_name ? l->base_name : "unnamed", l->base_sha256, model_info(m)->name, hex);
}

int lookahead_load(struct lookahead **out, const struct model *m, const char *path, const struct lookahead_load_options *o,
	struct err *e)
{
	struct file_map map;
	struct st_file file;
	struct module_shape shape;
	*out = NULL;
	int rc = file_map_open(&map, path, e);
	if (rc)
		return rc;
	rc = st_parse(&file, map.data, map.size, path, e);
	if (!rc) {
		if (m)
			module_shape_of(&shape, model_info(m));
		rc = lookahead_from_file(out, &file, m ? &shape : NULL, o ? o->alpha : 0, path, e);
		st_free(&file);
	}
	if (!rc && m && !(o && o->ignore_base_hash))
		rc = check_base(*out, m, e);
	if (!rc)
		sha256_hex(map.data, map.size, (*out)->sha256);
	if (rc) {
		lookahead_free(*out);
		*out = NULL;
	}
	file_map_close(&map);
	return rc;
}
