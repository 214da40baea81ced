#include "engine/lookahead/parts.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/file.h"

enum { PUBLISHED_SCALE = 4 /* alpha 32 over r 8 */ };

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
	if (getrandom(&l->identity, sizeof l->identity, GRND_NONBLOCK) != sizeof l->identity)
		l->identity = 0;
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

static int read_adapter(struct lookahead *l, const struct match *k, const char *path, struct err *e)
{
	struct lora *lora = lora_at(l, k->layer, k->proj);
	float *values = malloc((size_t)k->rows * (size_t)k->columns * sizeof *values);
	if (!values)
		return err_set(e, ERR_MEMORY, "%s: out of memory for tensor %s", path, k->tensor->name);
	lora->r = k->role == ROLE_A ? k->rows : k->columns;
	if (k->role == ROLE_A) {
		lora->a = values;
		lora->n_in = k->columns;
	} else {
		lora->b = values;
		lora->n_out = k->rows;
	}
	return read_matrix(k, values, path, e);
}

static int set_scale(struct lookahead *l, const struct module_settings *s, int r, float alpha, const char *path, struct err *e)
{
	if (alpha > 0 || s->has_alpha) {
		l->scale = settings_scale(s, alpha > 0 ? alpha : s->alpha, r);
		return 0;
	}
	l->scale = PUBLISHED_SCALE;
	if (asprintf(&l->warning, "%s does not say its alpha: scale %d is used, as published (alpha %d for rank %d)", l->name,
			PUBLISHED_SCALE, PUBLISHED_SCALE * r, r) >= 0)
		return 0;
	l->warning = NULL;
	return err_set(e, ERR_MEMORY, "%s: out of memory", path);
}

/* An adapter's own alpha: B takes the difference up, so that one scale holds for the module. */
static int set_own_scale(struct lora *lora, float own, const char *path, struct err *e)
{
	if (!(own > 0 && own < INFINITY))
		return err_set(e, ERR_FORMAT, "%s: an adapter's alpha gives the scale %g", path, (double)own);
	lora->own_scale = own;
	return 0;
}

static void fold_own_scale(const struct lookahead *l, struct lora *lora)
{
	float by = lora->own_scale > 0 ? lora->own_scale / l->scale : 1;
	for (size_t i = 0; i < (size_t)lora->n_out * (size_t)lora->r; i++)
		lora->b[i] *= by;
}

/* One alpha, several ranks: as many scales. */
static int own_scales_of_ranks(struct lookahead *l, const struct module_settings *s, float alpha, int r, const char *path, struct err *e)
{
	int rc = 0;
	for (int i = 0; i < l->n_layer * N_PROJ && alpha > 0 && !rc; i++)
		if (l->lora[i].a && l->lora[i].r != r)
			rc = set_own_scale(&l->lora[i], settings_scale(s, alpha, l->lora[i].r), path, e);
	return rc;
}

static int own_scales_of_settings(struct lookahead *l, const struct module_settings *s, const char *path, struct err *e)
{
	int rc = 0;
	for (int k = 0; k < s->n_exception; k++)
		for (int i = 0; i < l->n_layer && !rc; i++) {
			const struct settings_exception *x = &s->exception[k];
			struct lora *lora = lora_at(l, i, x->proj);
			if (x->has_alpha && lora->a && (x->layer < 0 || x->layer == i))
				rc = set_own_scale(lora, settings_scale(s, x->alpha, lora->r), path, e);
		}
	return rc;
}

static int own_scales_of_file(struct lookahead *l, const struct matches *all, const struct module_settings *s, const char *path,
	struct err *e)
{
	int rc = 0;
	for (int i = 1; i < all->n && !rc; i++) {
		const struct match *k = &all->match[i];
		float alpha;
		if (k->role != ROLE_ALPHA)
			continue;
		rc = st_read_f32(k->tensor, 0, 1, &alpha, e);
		struct lora *lora = lora_at(l, k->layer, k->proj);
		rc = rc ? (int)err_prefix(e, "%s", path) : set_own_scale(lora, settings_scale(s, alpha, lora->r), path, e);
	}
	return rc;
}

/* The largest of the adapters' own scales: what the module's is, when nothing but they say it. */
static float largest_own_scale(const struct lookahead *l)
{
	float largest = 0;
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		if (l->lora[i].a && l->lora[i].own_scale > largest)
			largest = l->lora[i].own_scale;
	return largest;
}

/* From the strongest word to the weakest: alpha asked for, a scalar beside a pair, adapter_config.json's exceptions, one alpha for all. */
static int read_scales(struct lookahead *l, const struct matches *all, const struct module_settings *s, float alpha, const char *path,
	struct err *e)
{
	if (all->r == 0)
		return 0;
	int rc = own_scales_of_ranks(l, s, alpha > 0 ? alpha : s->alpha, all->r, path, e);
	if (!rc && !(alpha > 0)) {
		rc = own_scales_of_settings(l, s, path, e);
		rc = rc ? rc : own_scales_of_file(l, all, s, path, e);
	}
	if (rc)
		return rc;
	float largest = largest_own_scale(l);
	if (largest > 0 && !(alpha > 0) && !(s->has_alpha && s->alpha > 0))
		l->scale = largest;
	else
		rc = set_scale(l, s, all->r, alpha, path, e);
	for (int i = 0; i < l->n_layer * N_PROJ && !rc; i++)
		if (l->lora[i].a)
			fold_own_scale(l, &l->lora[i]);
	return rc;
}

static int read_texts(struct lookahead *l, const struct st_file *f, const struct module_settings *s, const char *path, struct err *e)
{
	l->path = strdup(path);
	l->name = strdup(basename(path));
	if (!l->path || !l->name)
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	int rc = copy_meta(f, "kvglass.base_name", &l->base_name, path, e);
	if (!rc && !l->base_name && s->base_name && !(l->base_name = strdup(s->base_name)))
		rc = err_set(e, ERR_MEMORY, "%s: out of memory", path);
	if (!rc)
		rc = copy_meta(f, "kvglass.base_sha256", &l->base_sha256, path, e);
	return rc ? rc : copy_meta(f, "kvglass.training", &l->training, path, e);
}

static int fill(struct lookahead *l, const struct load_source *from, const struct matches *all, const struct module_settings *s,
	struct err *e)
{
	const char *n_key = "kvglass.n_lookahead", *n_text = st_meta(from->file, n_key);
	int n_lookahead = l->n_lookahead;
	int rc = n_text ? settings_count(n_text, n_key, INT_MAX, &n_lookahead, from->path, e) : 0;
	if (!rc && n_lookahead != l->n_lookahead)
		rc = err_set(e, ERR_FORMAT, "%s: metadata kvglass.n_lookahead is %d, the embedding has %d rows", from->path, n_lookahead,
			l->n_lookahead);
	if (!rc)
		rc = read_texts(l, from->file, s, from->path, e);
	if (!rc)
		rc = read_matrix(&all->match[0], l->embedding, from->path, e);
	for (int i = 1; i < all->n && !rc; i++)
		if (all->match[i].role != ROLE_ALPHA)
			rc = read_adapter(l, &all->match[i], from->path, e);
	if (!rc)
		rc = read_scales(l, all, s, from->alpha, from->path, e);
	lookahead_count(l);
	return rc;
}

int lookahead_from_file(struct lookahead **out, const struct load_source *from, struct err *e)
{
	struct matches all;
	struct module_settings s = from->beside ? *from->beside : (struct module_settings){0}; /* what it points to stays theirs */
	*out = NULL;
	int rc = settings_from_meta(&s, from->file, from->path, e);
	if (!rc)
		rc = match_tensors(&all, from->file, from->known, &s, from->path, e);
	if (rc)
		return rc;
	rc = lookahead_new(out, all.match[0].rows, all.shape.n_embd, all.shape.n_layer, e);
	if (!rc)
		rc = fill(*out, from, &all, &s, e);
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

static int load_file(struct lookahead **out, const struct model *m, const char *path, const struct lookahead_load_options *o,
	struct err *e)
{
	struct file_map map;
	struct st_file file;
	struct module_shape shape;
	struct module_settings beside = {0};
	*out = NULL;
	int rc = file_map_open(&map, path, e);
	if (rc)
		return rc;
	rc = st_parse(&file, map.data, map.size, path, e);
	if (!rc) {
		if (m)
			module_shape_of(&shape, model_info(m));
		const struct load_source from = {.file = &file, .known = m ? &shape : NULL, .beside = &beside, .alpha = o ? o->alpha : 0,
			.path = path};
		if (!st_meta(&file, "kvglass.alpha")) /* our own files say everything themselves */
			rc = settings_beside(&beside, path, e);
		rc = rc ? rc : lookahead_from_file(out, &from, e);
		settings_free(&beside);
		st_free(&file);
	}
	if (!rc && m && !(o && o->ignore_base_hash))
		rc = check_base(*out, m, e);
	if (!rc)
		sha256_hex(map.data, map.size, (*out)->sha256);
	int changed = file_map_check(&map, e);
	rc = changed ? changed : rc;
	if (rc) {
		lookahead_free(*out);
		*out = NULL;
	}
	file_map_close(&map);
	return rc;
}

static bool is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *lookahead_file(const char *path)
{
	char *inside;
	if (is_folder(path) && asprintf(&inside, "%s/adapter_model.safetensors", path) >= 0) {
		if (access(inside, F_OK) == 0)
			return inside;
		free(inside);
	}
	return strdup(path);
}

int lookahead_load(struct lookahead **out, const struct model *m, const char *path, const struct lookahead_load_options *o,
	struct err *e)
{
	char *file = lookahead_file(path);
	*out = NULL;
	int rc = !file ? (int)err_set(e, ERR_MEMORY, "%s: out of memory", path)
		: is_folder(file) ? (int)err_set(e, ERR_FORMAT, "%s: a folder without adapter_model.safetensors", path)
		: load_file(out, m, file, o, e);
	free(file);
	return rc;
}
