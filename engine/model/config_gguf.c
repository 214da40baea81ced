#include "engine/model/build.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader { /* keys "<architecture>.<rest>" of one file */
	const struct gguf_file *g;
	const char *prefix, *path;
	struct err *e;
};

static const char *full_key(const struct reader *r, const char *rest, char key[128])
{
	snprintf(key, 128, "%s.%s", r->prefix, rest);
	return key;
}

static bool read_int(const struct reader *r, const char *rest, int64_t *out)
{
	char key[128];
	return gguf_get_int(r->g, full_key(r, rest, key), out);
}

/* Numbers outside an int are left for config_check to name; they become -1. */
static int need_count(const struct reader *r, const char *rest, int *out)
{
	char key[128];
	int64_t value;
	if (!gguf_get_int(r->g, full_key(r, rest, key), &value))
		return err_set(r->e, ERR_FORMAT, "%s: key %s is missing or no integer", r->path, key);
	*out = value < 0 || value > INT_MAX ? -1 : (int)value;
	return 0;
}

/* Heads may be given per layer; models whose layers differ are not of these families. */
static int need_heads(const struct reader *r, const char *rest, int *out)
{
	char key[128];
	const struct gguf_value *v = gguf_find(r->g, full_key(r, rest, key));
	if (v && v->kind == GGUF_ARRAY)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: key %s differs from layer to layer, which is not supported", r->path, key);
	return need_count(r, rest, out);
}

/* What a file can ask for that the forward pass does not have. */
static int refuse_extras(const struct reader *r, const struct model_config *c)
{
	char key[128];
	int64_t value;
	if (read_int(r, "expert_count", &value) && value > 0)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: a mixture of %lld experts; mixtures are not supported", r->path, (long long)value);
	if (read_int(r, "attention.sliding_window", &value) && value > 0 && value < c->n_ctx)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: attention in a sliding window of %lld tokens is not supported", r->path,
			(long long)value);
	if (read_int(r, "rope.dimension_count", &value) && value != c->head_dim)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: RoPE on %lld of %d dimensions per head; partial RoPE is not supported", r->path,
			(long long)value, c->head_dim);
	if (read_int(r, "attention.value_length", &value) && value != c->head_dim)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: keys of %d and values of %lld dimensions; they must be equal", r->path, c->head_dim,
			(long long)value);
	if (gguf_get_int(r->g, "split.count", &value) && value > 1)
		return err_set(r->e, ERR_UNSUPPORTED, "%s: one of %lld parts of a model; only whole files are read", r->path, (long long)value);
	char *scaling = gguf_get_string(r->g, full_key(r, "rope.scaling.type", key));
	int rc = 0;
	if (scaling && strcmp(scaling, "none"))
		rc = err_set(r->e, ERR_UNSUPPORTED, "%s: RoPE scaling of type %s is not supported", r->path, scaling);
	free(scaling);
	return rc;
}

static int read_counts(const struct reader *r, struct model_config *c)
{
	int rc = need_count(r, "block_count", &c->n_layer);
	if (!rc)
		rc = need_count(r, "embedding_length", &c->n_embd);
	if (!rc)
		rc = need_count(r, "feed_forward_length", &c->n_ff);
	if (!rc)
		rc = need_count(r, "context_length", &c->n_ctx);
	if (!rc)
		rc = need_heads(r, "attention.head_count", &c->n_head);
	if (rc)
		return rc;
	char key[128];
	c->n_kv_head = c->n_head;
	if (gguf_find(r->g, full_key(r, "attention.head_count_kv", key)) && (rc = need_heads(r, "attention.head_count_kv", &c->n_kv_head)))
		return rc;
	if (gguf_find(r->g, full_key(r, "attention.key_length", key)))
		return need_count(r, "attention.key_length", &c->head_dim);
	if (c->n_head < 1 || c->n_embd % c->n_head)
		return err_set(r->e, ERR_FORMAT, "%s: %d dimensions do not divide into %d heads and %s is missing", r->path, c->n_embd,
			c->n_head, key);
	c->head_dim = c->n_embd / c->n_head;
	return 0;
}

int config_from_gguf(struct model_config *out, const struct gguf_file *g, const char *path, struct err *e)
{
	*out = (struct model_config){0};
	char *arch = gguf_get_string(g, "general.architecture");
	int rc = 0;
	if (!arch)
		rc = err_set(e, ERR_FORMAT, "%s: key general.architecture is missing", path);
	else if (!arch_find(arch, &out->arch))
		rc = err_set(e, ERR_UNSUPPORTED, "%s: architecture %s is not supported; llama, qwen2 and qwen3 are", path, arch);
	free(arch);
	if (rc)
		return rc;
	struct reader r = {g, arch_name(out->arch), path, e};
	rc = read_counts(&r, out);
	if (rc)
		return rc;
	char key[128];
	double eps;
	if (!gguf_get_float(g, full_key(&r, "attention.layer_norm_rms_epsilon", key), &eps))
		return err_set(e, ERR_FORMAT, "%s: key %s is missing or no number", path, key);
	out->norm_eps = (float)eps;
	out->rope.base = 10000; /* what every reader takes when the key is absent */
	gguf_get_float(g, full_key(&r, "rope.freq_base", key), &out->rope.base);
	/* The output matrix is the embedding when the file has none of its own. */
	out->tied = !gguf_find_tensor(g, "output.weight");
	rc = refuse_extras(&r, out);
	return rc ? rc : config_check(out, path, e);
}
