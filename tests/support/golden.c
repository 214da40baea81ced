#include "tests/support/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/counter.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

bool golden_open(struct golden *g, const char *path)
{
	struct err e = {0};
	*g = (struct golden){0};
	const char *slash = strrchr(path, '/');
	g->name = slash ? slash + 1 : path;
	if (file_map_open(&g->map, test_tree(path), &e) || st_parse(&g->file, g->map.data, g->map.size, path, &e)) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		golden_close(g);
		return false;
	}
	g->prompt = golden_ints(g, "tokens.prompt", &g->n_prompt);
	g->response = golden_ints(g, "tokens.response", &g->n_response);
	const struct st_tensor *margin = st_find(&g->file, "response.margin");
	g->n_margin = margin ? (int)margin->dim[0] : 0;
	g->margin = golden_floats(g, "response.margin", (size_t)g->n_margin);
	if (g->prompt && g->response && g->margin && g->n_margin >= g->n_response)
		return true;
	test_fail(__FILE__, __LINE__, "%s: prompt, response or margins are missing", path);
	golden_close(g);
	return false;
}

void golden_close(struct golden *g)
{
	st_free(&g->file);
	file_map_close(&g->map);
	*g = (struct golden){0};
}

/* The header is padded so that tensors of four-byte elements are aligned in these files; checked, not assumed. */
static const void *words(const struct golden *g, const char *name, enum st_dtype dtype, size_t *n)
{
	const struct st_tensor *t = st_find(&g->file, name);
	if (!t)
		return NULL;
	*n = t->n_bytes / 4;
	if (t->dtype == dtype && (uintptr_t)t->data % 4 == 0)
		return t->data;
	test_fail(__FILE__, __LINE__, "%s: %s is %s, or not aligned", g->name, name, st_dtype_name(t->dtype));
	return NULL;
}

const float *golden_floats(const struct golden *g, const char *name, size_t n)
{
	size_t have = 0;
	const float *x = words(g, name, ST_F32, &have);
	if (x && have != n)
		test_fail(__FILE__, __LINE__, "%s: %s has %zu elements, not %zu", g->name, name, have, n);
	return x && have == n ? x : NULL;
}

const int32_t *golden_ints(const struct golden *g, const char *name, int *n)
{
	size_t have = 0;
	const int32_t *x = words(g, name, ST_I32, &have);
	*n = (int)have;
	return x;
}

const char *golden_meta(const struct golden *g, const char *key)
{
	const char *value = st_meta(&g->file, key);
	if (!value)
		test_fail(__FILE__, __LINE__, "%s: metadata has no %s", g->name, key);
	return value ? value : "";
}

/* ---- maps ---- */

struct map_fault {
	int n_row; /* wrong rows */
	int layer, row, key; /* of the first one, its worst key */
	double got, want;
	double worst_abs, worst_rel; /* over the whole map */
};

static bool check_row(struct map_fault *f, const struct golden_map *map, const float *got, const float *want)
{
	double largest = 0, worst = 0;
	int at = 0;
	for (int j = 0; j < map->n_key; j++)
		largest = fmax(largest, fabs((double)want[j]));
	for (int j = 0; j < map->n_key; j++) {
		double off = fabs(map->scale * (double)got[j] - (double)want[j]);
		if (!(off <= worst))
			worst = isnan(off) ? INFINITY : off, at = j;
	}
	f->worst_abs = fmax(f->worst_abs, worst);
	f->worst_rel = fmax(f->worst_rel, worst / largest);
	if (worst <= map->tol_abs && worst <= map->tol_rel * largest)
		return true;
	if (f->n_row++ == 0)
		f->key = at, f->got = map->scale * (double)got[at], f->want = (double)want[at];
	return false;
}

bool golden_check_map(struct golden *g, const struct golden_map *map)
{
	int n_row = map->n_layer * map->n_row;
	size_t n_key = (size_t)map->n_key;
	struct map_fault f = {0};
	if (!st_find(&g->file, map->name))
		return false;
	const float *want = golden_floats(g, map->name, (size_t)n_row * n_key);
	if (!want)
		return false;
	for (int r = 0; r < n_row; r++)
		if (!check_row(&f, map, map->got + (size_t)r * n_key, want + (size_t)r * n_key) && f.n_row == 1)
			f.layer = r / map->n_row, f.row = r % map->n_row;
	if (f.n_row)
		test_fail(__FILE__, __LINE__,
			"%s: %s is wrong first in layer %d, head %d, token %d: %.7g, not %.7g; %d of %d rows wrong, worst off by %.3g (%.3g of its row)",
			g->name, map->name, f.layer, f.row, f.key, f.got, f.want, f.n_row, n_row, f.worst_abs, f.worst_rel);
	if (isinf(map->tol_abs))
		return f.n_row == 0; /* norms have no common scale */
	g->worst_abs = fmax(g->worst_abs, f.worst_abs);
	g->worst_rel = fmax(g->worst_rel, f.worst_rel);
	return f.n_row == 0;
}

/* ---- modules ---- */

struct module_file { /* tensors of a module being made; arrays and names are owned */
	struct st_tensor tensor[1 + 2 * N_PROJ * 64];
	char name[1 + 2 * N_PROJ * 64][40];
	int n;
};

static void add_array(struct module_file *f, const char *name, int64_t n_row, int64_t n_column, uint64_t seed, float amplitude)
{
	size_t n = (size_t)(n_row * n_column);
	float *x = malloc(n * sizeof *x);
	if (!x || f->n == (int)(sizeof f->tensor / sizeof *f->tensor)) {
		fprintf(stderr, "tests: no room for the modules of a golden\n");
		exit(2);
	}
	counter_fill(x, n, seed, name, amplitude);
	snprintf(f->name[f->n], sizeof f->name[f->n], "%s", name);
	f->tensor[f->n] = (struct st_tensor){.name = f->name[f->n], .dtype = ST_F32, .n_dim = 2, .dim = {n_row, n_column},
		.data = (const uint8_t *)x, .n_bytes = n * sizeof *x};
	f->n++;
}

static void add_adapters(struct module_file *f, const struct model_info *info, int r, uint64_t seed)
{
	static const char *const proj_name[N_PROJ] = {"q", "k", "v", "o", "gate", "up", "down"};
	int width = info->n_embd, q = info->n_head * info->head_dim, kv = info->n_kv_head * info->head_dim, ff = info->n_ff;
	const int n_in[N_PROJ] = {width, width, width, q, width, width, ff};
	const int n_out[N_PROJ] = {q, kv, kv, width, ff, ff, width};
	for (int l = 0; l < info->n_layer; l++)
		for (int p = 0; p < N_PROJ; p++) {
			char name[40];
			snprintf(name, sizeof name, "layers.%d.%s.lora_a", l, proj_name[p]);
			add_array(f, name, r, n_in[p], seed, sqrtf(3.0f / (float)n_in[p]));
			snprintf(name, sizeof name, "layers.%d.%s.lora_b", l, proj_name[p]);
			add_array(f, name, n_out[p], r, seed, 0.0625f);
		}
}

struct lookahead *golden_modules(const struct golden *g, const struct model *m)
{
	uint64_t seed = strtoull(golden_meta(g, "module_seed"), NULL, 10);
	int r = atoi(golden_meta(g, "module_rank"));
	float soft_amplitude = strtof(golden_meta(g, "module_soft_amplitude"), NULL);
	const struct st_pair meta[] = {{"kvglass.n_lookahead", "32"}, {"kvglass.r", "8"}, {"kvglass.alpha", "32"}};
	struct module_file *f = calloc(1, sizeof *f);
	struct lookahead *modules = NULL;
	struct err e = {0};
	const char *path = test_scratch("golden-modules.safetensors");
	if (!f || r != 8)
		test_fail(__FILE__, __LINE__, "%s: modules of rank %d", g->name, r);
	else {
		add_array(f, "lookahead.embedding", 32, model_info(m)->n_embd, seed, soft_amplitude);
		add_adapters(f, model_info(m), r, seed);
		if (st_write(path, f->tensor, f->n, meta, sizeof meta / sizeof *meta, &e) || lookahead_load(&modules, m, path, NULL, &e))
			test_fail(__FILE__, __LINE__, "%s", e.text);
		for (int i = 0; i < f->n; i++)
			free((void *)(uintptr_t)f->tensor[i].data);
	}
	free(f);
	return modules;
}
