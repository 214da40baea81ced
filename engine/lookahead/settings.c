/* What a module's file, and the adapter_config.json that PEFT leaves beside one, say about rank and alpha. */
#include "engine/lookahead/parts.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"

enum { MAX_RANK = 4096, MAX_CONFIG_BYTES = 1 << 20 };

/* ---- metadata of the file itself ------------------------------------------------------------------------------- */

/* Keys of one meaning: our own, PEFT's words, those of the image trainers. */
static const char *const rank_keys[] = {"kvglass.r", "r", "lora_r", "lora_rank", "rank", "ss_network_dim", NULL};
static const char *const alpha_keys[] = {"kvglass.alpha", "lora_alpha", "alpha", "ss_network_alpha", NULL};

static const char *first_of(const struct st_file *f, const char *const *keys, const char **key)
{
	for (; *keys; keys++) {
		const char *text = st_meta(f, *key = *keys);
		if (text)
			return text;
	}
	return NULL;
}

int settings_count(const char *text, const char *key, int limit, int *out, const char *path, struct err *e)
{
	char *end;
	long value = strtol(text, &end, 10);
	if (end == text || *end || value < 0 || value > limit)
		return err_set(e, ERR_FORMAT, "%s: metadata %s is \"%.40s\", a count up to %d is needed", path, key, text, limit);
	*out = (int)value;
	return 0;
}

int settings_from_meta(struct module_settings *s, const struct st_file *f, const char *path, struct err *e)
{
	const char *key, *text = first_of(f, rank_keys, &key);
	int rc = text ? settings_count(text, key, MAX_RANK, &s->r, path, e) : 0;
	text = first_of(f, alpha_keys, &key);
	if (rc || !text)
		return rc;
	char *end;
	s->alpha = strtof(text, &end);
	s->has_alpha = true;
	if (end == text || *end || !(s->alpha >= 0 && s->alpha < INFINITY))
		return err_set(e, ERR_FORMAT, "%s: metadata %s is \"%.40s\", a number is needed", path, key, text);
	return 0;
}

/* ---- adapter_config.json -------------------------------------------------------------------------------------- */

static int read_rank(const json_t *value, const char *key, int *out, const char *path, struct err *e)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > MAX_RANK)
		return err_set(e, ERR_FORMAT, "%s: %.60s is no rank from 1 to %d", path, key, MAX_RANK);
	*out = (int)json_integer_value(value);
	return 0;
}

static int read_alpha_value(const json_t *value, const char *key, float *out, const char *path, struct err *e)
{
	double alpha = json_number_value(value);
	if (!json_is_number(value) || !(alpha >= 0 && alpha < 1e30))
		return err_set(e, ERR_FORMAT, "%s: %.60s is no alpha", path, key);
	*out = (float)alpha;
	return 0;
}

/* {"q_proj": 16, "layers.3.mlp.up_proj": 64}: a projection, perhaps of one layer. The keys may be patterns of any kind; those whose
 * meaning is not plain are refused. */
static int read_exceptions(struct module_settings *s, const json_t *root, const char *pattern, const char *path, struct err *e)
{
	const char *key;
	json_t *value;
	bool ranks = !strcmp(pattern, "rank_pattern");
	json_object_foreach(json_object_get(root, pattern), key, value) {
		struct name_facts name;
		struct settings_exception *x = &s->exception[s->n_exception++];
		name_read(key, &name);
		if (name.proj < 0 || name.doubt || strpbrk(key, "^$*+?()[]|\\"))
			return err_set(e, ERR_FORMAT, "%s: %s: \"%.60s\" does not name one projection", path, pattern, key);
		*x = (struct settings_exception){.layer = name.layer, .proj = name.proj, .has_alpha = !ranks};
		int rc = ranks ? read_rank(value, key, &x->r, path, e) : read_alpha_value(value, key, &x->alpha, path, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_patterns(struct module_settings *s, const json_t *root, const char *path, struct err *e)
{
	size_t n = json_object_size(json_object_get(root, "alpha_pattern")) + json_object_size(json_object_get(root, "rank_pattern"));
	s->exception = n ? calloc(n, sizeof *s->exception) : NULL;
	if (n && !s->exception)
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	int rc = read_exceptions(s, root, "alpha_pattern", path, e);
	return rc ? rc : read_exceptions(s, root, "rank_pattern", path, e);
}

static int read_config(struct module_settings *s, const json_t *root, const char *path, struct err *e)
{
	const char *kind = json_string_value(json_object_get(root, "peft_type"));
	const char *base = json_string_value(json_object_get(root, "base_model_name_or_path"));
	const json_t *alpha = json_object_get(root, "lora_alpha"), *r = json_object_get(root, "r");
	if (kind && strcmp(kind, "LORA"))
		return err_set(e, ERR_UNSUPPORTED, "%s: peft_type %.40s is not LORA", path, kind);
	if (json_is_true(json_object_get(root, "use_dora")))
		return err_set(e, ERR_UNSUPPORTED, "%s: DoRA rescales the base weights, which a lookahead row cannot", path);
	s->by_root = json_is_true(json_object_get(root, "use_rslora"));
	if (base && !(s->base_name = strdup(base)))
		return err_set(e, ERR_MEMORY, "%s: out of memory", path);
	int rc = r && !json_is_null(r) ? read_rank(r, "r", &s->r, path, e) : 0;
	if (!rc && alpha && !json_is_null(alpha)) {
		rc = read_alpha_value(alpha, "lora_alpha", &s->alpha, path, e);
		s->has_alpha = !rc;
	}
	return rc ? rc : read_patterns(s, root, path, e);
}

static int settings_parse(struct module_settings *s, const char *text, size_t n_bytes, const char *path, struct err *e)
{
	json_error_t je;
	json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &je);
	int rc = json_is_object(root) ? read_config(s, root, path, e)
		: (int)err_set(e, ERR_FORMAT, "%s: not JSON: %s", path, root ? "no object" : je.text);
	json_decref(root);
	if (rc)
		settings_free(s);
	return rc;
}

int settings_beside(struct module_settings *s, const char *module_path, struct err *e)
{
	const char *slash = strrchr(module_path, '/');
	char *path, *text = NULL;
	size_t n;
	if (asprintf(&path, "%.*sadapter_config.json", slash ? (int)(slash - module_path) + 1 : 0, module_path) < 0)
		return err_set(e, ERR_MEMORY, "%s: out of memory", module_path);
	int rc = 0;
	if (access(path, F_OK) == 0) {
		rc = file_read_all(path, MAX_CONFIG_BYTES, &text, &n, e);
		rc = rc ? rc : settings_parse(s, text, n, path, e);
	}
	free(text);
	free(path);
	return rc;
}

void settings_free(struct module_settings *s)
{
	free(s->exception);
	free(s->base_name);
	*s = (struct module_settings){0};
}

float settings_scale(const struct module_settings *s, float alpha, int r)
{
	return s->by_root ? alpha / sqrtf((float)r) : alpha / (float)r;
}

int settings_rank(const struct module_settings *s, int layer, int proj)
{
	int r = s->r;
	for (int i = 0; i < s->n_exception; i++) {
		const struct settings_exception *x = &s->exception[i];
		if (x->r && x->proj == proj && (x->layer < 0 || x->layer == layer))
			r = x->r;
	}
	return r;
}
