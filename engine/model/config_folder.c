/* config.json of a Hugging Face folder, in the words of transformers 4 (rope_theta, rope_scaling) and 5 (rope_parameters). */
#include "engine/model/build.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 1 << 20 };

struct reader {
	const json_t *root;
	const char *path; /* of config.json */
	struct err *e;
};

/* A key that is null counts as absent, as it does there. */
static const json_t *find(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return json_is_null(value) ? NULL : value;
}

/* Numbers outside an int are left for config_check to name; they become -1. */
static int read_count(const struct reader *r, const char *key, int *out)
{
	const json_t *value = find(r->root, key);
	if (!json_is_integer(value))
		return err_set(r->e, ERR_FORMAT, "%s: %s is missing or no integer", r->path, key);
	json_int_t n = json_integer_value(value);
	*out = n < 0 || n > INT_MAX ? -1 : (int)n;
	return 0;
}

static int read_optional_count(const struct reader *r, const char *key, int otherwise, int *out)
{
	*out = otherwise;
	return find(r->root, key) ? read_count(r, key, out) : 0;
}

static int read_number(const struct reader *r, const json_t *object, const char *key, double *out)
{
	const json_t *value = find(object, key);
	if (!json_is_number(value))
		return err_set(r->e, ERR_FORMAT, "%s: %s is missing or no number", r->path, key);
	*out = json_number_value(value);
	return 0;
}

static int read_counts(const struct reader *r, struct model_config *c)
{
	const struct {
		const char *key;
		int *out;
	} needed[] = {
		{"num_hidden_layers", &c->n_layer}, {"num_attention_heads", &c->n_head}, {"hidden_size", &c->n_embd},
		{"intermediate_size", &c->n_ff},    {"vocab_size", &c->n_vocab},         {"max_position_embeddings", &c->n_ctx},
	};
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		int rc = read_count(r, needed[i].key, needed[i].out);
		if (rc)
			return rc;
	}
	int rc = read_optional_count(r, "num_key_value_heads", c->n_head, &c->n_kv_head);
	if (rc || find(r->root, "head_dim"))
		return rc ? rc : read_count(r, "head_dim", &c->head_dim);
	if (c->arch == ARCH_QWEN3) { /* its class's default, not a quotient */
		c->head_dim = 128;
		return 0;
	}
	if (c->n_head < 1 || c->n_embd % c->n_head)
		return err_set(r->e, ERR_FORMAT, "%s: hidden_size %d does not divide into %d heads and head_dim is missing", r->path, c->n_embd,
			c->n_head);
	c->head_dim = c->n_embd / c->n_head;
	return 0;
}

static int read_llama3(const struct reader *r, const json_t *rope, struct rope_config *c)
{
	const struct {
		const char *key;
		double *out;
	} needed[] = {
		{"factor", &c->factor},
		{"low_freq_factor", &c->low_freq_factor},
		{"high_freq_factor", &c->high_freq_factor},
		{"original_max_position_embeddings", &c->original_context},
	};
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		int rc = read_number(r, rope, needed[i].key, needed[i].out);
		if (rc)
			return rc;
	}
	c->llama3 = true;
	return 0;
}

static int read_rope(const struct reader *r, struct rope_config *c)
{
	const json_t *rope = find(r->root, "rope_parameters");
	if (!rope)
		rope = find(r->root, "rope_scaling");
	if (rope && !json_is_object(rope))
		return err_set(r->e, ERR_FORMAT, "%s: rope_parameters (rope_scaling) is no JSON object", r->path);
	c->base = 10000;
	const json_t *holder = find(rope, "rope_theta") ? rope : r->root;
	int rc = find(holder, "rope_theta") ? read_number(r, holder, "rope_theta", &c->base) : 0;
	if (rc || !rope)
		return rc;
	const json_t *kind = find(rope, "rope_type");
	if (!kind)
		kind = find(rope, "type"); /* the older word */
	const char *type = kind ? json_string_value(kind) : "default";
	if (type && !strcmp(type, "default"))
		return 0;
	if (type && !strcmp(type, "llama3"))
		return read_llama3(r, rope, c);
	return err_set(r->e, ERR_UNSUPPORTED, "%s: RoPE of type %s is not supported; default and llama3 are", r->path,
		type ? type : "(no text)");
}

static bool is_true(const struct reader *r, const char *key)
{
	return json_is_true(find(r->root, key));
}

/* Some layer attends to a window that is smaller than the context. */
static bool window_active(const struct reader *r, const struct model_config *c, json_int_t *window)
{
	const json_t *size = find(r->root, "sliding_window"), *types = find(r->root, "layer_types");
	*window = json_integer_value(size);
	if (!json_is_integer(size) || *window >= c->n_ctx)
		return false;
	size_t i;
	const json_t *type;
	json_array_foreach(types, i, type)
		if (json_is_string(type) && strcmp(json_string_value(type), "full_attention"))
			return true;
	if (json_array_size(types) || !is_true(r, "use_sliding_window"))
		return false;
	const json_t *full_below = find(r->root, "max_window_layers");
	return !json_is_integer(full_below) || json_integer_value(full_below) < c->n_layer;
}

/* What a configuration can ask for that the forward pass does not have. */
static int refuse_extras(const struct reader *r, const struct model_config *c)
{
	static const char *const flags[][2] = {{"attention_bias", "a bias on attention"}, {"mlp_bias", "a bias on the feed-forward products"}};
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (is_true(r, flags[i][0]) && !(i == 0 && c->arch == ARCH_QWEN2))
			return err_set(r->e, ERR_UNSUPPORTED, "%s: %s: %s is not supported here", r->path, flags[i][0], flags[i][1]);
	const json_t *act = find(r->root, "hidden_act"), *part = find(r->root, "partial_rotary_factor");
	if (act && (!json_is_string(act) || strcmp(json_string_value(act), "silu")))
		return err_set(r->e, ERR_UNSUPPORTED, "%s: hidden_act %s is not supported; silu is", r->path,
			json_is_string(act) ? json_string_value(act) : "(no text)");
	if (part && json_number_value(part) != 1.0)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: partial_rotary_factor %g: partial RoPE is not supported", r->path,
			json_number_value(part));
	if (find(r->root, "quantization_config")) {
		const char *method = json_string_value(find(find(r->root, "quantization_config"), "quant_method"));
		return err_set(r->e, ERR_UNSUPPORTED, "%s: weights quantised by %s are not supported; BF16, F16 and F32 are", r->path,
			method ? method : "an unnamed method");
	}
	json_int_t window;
	if (window_active(r, c, &window))
		return err_set(r->e, ERR_UNSUPPORTED, "%s: attention in a sliding window of %lld tokens is not supported", r->path,
			(long long)window);
	return 0;
}

static int read_arch(const struct reader *r, enum arch *out)
{
	static const char *const classes[N_ARCH] = {
		[ARCH_LLAMA] = "LlamaForCausalLM", [ARCH_QWEN2] = "Qwen2ForCausalLM", [ARCH_QWEN3] = "Qwen3ForCausalLM"};
	const char *type = json_string_value(find(r->root, "model_type"));
	if (!type)
		return err_set(r->e, ERR_FORMAT, "%s: model_type is missing", r->path);
	if (!arch_find(type, out))
		return err_set(r->e, ERR_UNSUPPORTED, "%s: architecture %s is not supported; llama, qwen2 and qwen3 are", r->path, type);
	const json_t *first = json_array_get(find(r->root, "architectures"), 0);
	if (first && (!json_is_string(first) || strcmp(json_string_value(first), classes[*out])))
		return err_set(r->e, ERR_UNSUPPORTED, "%s: class %s is not supported; %s is", r->path,
			json_is_string(first) ? json_string_value(first) : "(no text)", classes[*out]);
	return 0;
}

static int read_config(const struct reader *r, struct model_config *c)
{
	if (!json_is_object(r->root))
		return err_set(r->e, ERR_FORMAT, "%s: no JSON object", r->path);
	int rc = read_arch(r, &c->arch);
	if (!rc)
		rc = read_counts(r, c);
	double eps = 0;
	if (!rc)
		rc = read_number(r, r->root, "rms_norm_eps", &eps);
	c->norm_eps = (float)eps;
	c->tied = is_true(r, "tie_word_embeddings");
	if (!rc)
		rc = read_rope(r, &c->rope);
	if (!rc)
		rc = refuse_extras(r, c);
	return rc ? rc : config_check(c, r->path, r->e);
}

int config_from_json(struct model_config *out, const char *text, size_t n_bytes, const char *path, struct err *e)
{
	json_error_t je;
	json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &je);
	*out = (struct model_config){0};
	if (!root)
		return err_set(e, ERR_FORMAT, "%s: line %d: %s", path, je.line, je.text);
	struct reader r = {root, path, e};
	int rc = read_config(&r, out);
	json_decref(root);
	return rc;
}

int config_from_folder(struct model_config *out, const char *folder, struct err *e)
{
	char *path = NULL, *text = NULL;
	size_t n = 0;
	if (asprintf(&path, "%s/config.json", folder) < 0)
		return err_set(e, ERR_MEMORY, "%s: out of memory", folder);
	int rc = file_read_all(path, MAX_CONFIG_BYTES, &text, &n, e);
	if (rc == ERR_SYSTEM)
		err_prefix(e, "%s is no model folder", folder);
	if (!rc)
		rc = config_from_json(out, text, n, path, e);
	free(text);
	free(path);
	return rc;
}
