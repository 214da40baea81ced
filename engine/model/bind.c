#include "engine/model/build.h"

#include <stdio.h>
#include <string.h>

const struct naming naming_gguf = {
	.embedding = "token_embd", .output = "output", .output_norm = "output_norm", .layer = "blk.",
	.proj = {[PROJ_Q] = "attn_q", [PROJ_K] = "attn_k", [PROJ_V] = "attn_v", [PROJ_O] = "attn_output",
		[PROJ_GATE] = "ffn_gate", [PROJ_UP] = "ffn_up", [PROJ_DOWN] = "ffn_down"},
	.attn_norm = "attn_norm", .ffn_norm = "ffn_norm", .q_norm = "attn_q_norm", .k_norm = "attn_k_norm",
};
const struct naming naming_folder = {
	.embedding = "model.embed_tokens", .output = "lm_head", .output_norm = "model.norm", .layer = "model.layers.",
	.proj = {[PROJ_Q] = "self_attn.q_proj", [PROJ_K] = "self_attn.k_proj", [PROJ_V] = "self_attn.v_proj",
		[PROJ_O] = "self_attn.o_proj", [PROJ_GATE] = "mlp.gate_proj", [PROJ_UP] = "mlp.up_proj", [PROJ_DOWN] = "mlp.down_proj"},
	.attn_norm = "input_layernorm", .ffn_norm = "post_attention_layernorm", .q_norm = "self_attn.q_norm",
	.k_norm = "self_attn.k_norm",
};

enum { MAX_NAME = 96, MAX_VOCAB = 1 << 24 };

struct binder {
	struct model *m;
	struct tensor_set *set;
	const struct naming *names;
	uint64_t type_bytes[N_TENSOR_TYPE]; /* used weight bytes by type */
	struct err *e;
};

/* layer < 0: one of a kind. */
static const char *tensor_name(const struct binder *b, int layer, const char *part, const char *kind, char name[MAX_NAME])
{
	if (layer < 0)
		snprintf(name, MAX_NAME, "%s.%s", part, kind);
	else
		snprintf(name, MAX_NAME, "%s%d.%s.%s", b->names->layer, layer, part, kind);
	return name;
}

static const char *shape_text(const struct stored_tensor *t, char text[96])
{
	int n = snprintf(text, 96, "(");
	for (int i = 0; i < t->n_dim && i < 4; i++)
		n += snprintf(text + n, 96 - (size_t)n, "%s%llu", i ? ", " : "", (unsigned long long)t->dim[i]);
	snprintf(text + n, 96 - (size_t)n, "%s)", t->n_dim > 4 ? ", ..." : "");
	return text;
}

/* Finds a tensor of a runnable type and counts it. */
static int need_tensor(struct binder *b, const char *name, struct stored_tensor **out)
{
	struct stored_tensor *t = tensor_set_use(b->set, name);
	if (!t)
		return err_set(b->e, ERR_FORMAT, "%s: tensor %s is missing", b->set->path, name);
	if (!t->supported)
		return err_set(b->e, ERR_UNSUPPORTED, "%s: tensor %s is of type %s, which is not supported", b->set->path, name, t->type_name);
	b->type_bytes[t->type] += t->n_bytes;
	b->m->info.weight_bytes += t->n_bytes;
	uint64_t n = 1;
	for (int i = 0; i < t->n_dim && i < 4; i++)
		n *= t->dim[i]; /* did not overflow in the parser */
	b->m->info.n_param += n;
	*out = t;
	return 0;
}

/* n_out < 0: any number of rows. */
static int bind_matrix(struct binder *b, const char *name, int n_out, int n_in, struct weight *out)
{
	struct stored_tensor *t;
	int rc = need_tensor(b, name, &t);
	if (rc)
		return rc;
	char shape[96];
	if (n_out < 0 && (t->n_dim != 2 || t->dim[0] < 1 || t->dim[0] > MAX_VOCAB || t->dim[1] != (uint64_t)n_in))
		return err_set(b->e, ERR_FORMAT, "%s: tensor %s has shape %s, (up to %d, %d) is needed", b->set->path, name,
			shape_text(t, shape), MAX_VOCAB, n_in);
	if (n_out >= 0 && (t->n_dim != 2 || t->dim[0] != (uint64_t)n_out || t->dim[1] != (uint64_t)n_in))
		return err_set(b->e, ERR_FORMAT, "%s: tensor %s has shape %s, (%d, %d) is needed", b->set->path, name, shape_text(t, shape),
			n_out, n_in);
	*out = (struct weight){t->type, t->data, (int)t->dim[0], n_in};
	return 0;
}

/* Gains and biases are few: they become float32 once. */
static int bind_vector(struct binder *b, const char *name, int n, const float **out)
{
	struct stored_tensor *t;
	int rc = need_tensor(b, name, &t);
	if (rc)
		return rc;
	char shape[96];
	if (t->n_dim != 1 || t->dim[0] != (uint64_t)n)
		return err_set(b->e, ERR_FORMAT, "%s: tensor %s has shape %s, (%d) is needed", b->set->path, name, shape_text(t, shape), n);
	float *values = storage_take(b->m->storage, (size_t)n * sizeof *values);
	if (!values)
		return err_set(b->e, ERR_MEMORY, "%s: out of memory for tensor %s", b->set->path, name);
	tensor_unpack(t->type, t->data, (size_t)n, values);
	*out = values;
	return 0;
}

static int bind_projections(struct binder *b, int l, struct layer_weights *w)
{
	const struct model_info *i = &b->m->info;
	int n_q = i->n_head * i->head_dim, n_kv = i->n_kv_head * i->head_dim;
	const int shape[N_PROJ][2] = {
		[PROJ_Q] = {n_q, i->n_embd},         [PROJ_K] = {n_kv, i->n_embd},      [PROJ_V] = {n_kv, i->n_embd},
		[PROJ_O] = {i->n_embd, n_q},         [PROJ_GATE] = {i->n_ff, i->n_embd}, [PROJ_UP] = {i->n_ff, i->n_embd},
		[PROJ_DOWN] = {i->n_embd, i->n_ff},
	};
	char name[MAX_NAME];
	for (int p = 0; p < N_PROJ; p++) {
		int rc = bind_matrix(b, tensor_name(b, l, b->names->proj[p], "weight", name), shape[p][0], shape[p][1], &w->proj[p]);
		if (!rc && i->arch == ARCH_QWEN2 && p <= PROJ_V)
			rc = bind_vector(b, tensor_name(b, l, b->names->proj[p], "bias", name), shape[p][0], &w->bias[p]);
		if (rc)
			return rc;
	}
	return 0;
}

static int bind_layer(struct binder *b, int l, struct layer_weights *w)
{
	const struct model_info *i = &b->m->info;
	char name[MAX_NAME];
	int rc = bind_vector(b, tensor_name(b, l, b->names->attn_norm, "weight", name), i->n_embd, &w->attn_norm);
	if (!rc)
		rc = bind_vector(b, tensor_name(b, l, b->names->ffn_norm, "weight", name), i->n_embd, &w->ffn_norm);
	if (!rc && i->arch == ARCH_QWEN3)
		rc = bind_vector(b, tensor_name(b, l, b->names->q_norm, "weight", name), i->head_dim, &w->q_norm);
	if (!rc && i->arch == ARCH_QWEN3)
		rc = bind_vector(b, tensor_name(b, l, b->names->k_norm, "weight", name), i->head_dim, &w->k_norm);
	return rc ? rc : bind_projections(b, l, w);
}

static int bind_ends(struct binder *b, const struct model_config *c)
{
	struct model *m = b->m;
	char name[MAX_NAME];
	int n_vocab = c->n_vocab ? c->n_vocab : -1;
	int rc = bind_matrix(b, tensor_name(b, -1, b->names->embedding, "weight", name), n_vocab, c->n_embd, &m->embedding);
	if (rc)
		return rc;
	m->info.n_vocab = m->embedding.n_out;
	rc = bind_vector(b, tensor_name(b, -1, b->names->output_norm, "weight", name), c->n_embd, &m->output_norm);
	if (rc)
		return rc;
	tensor_name(b, -1, b->names->output, "weight", name);
	if (!c->tied)
		return bind_matrix(b, name, m->info.n_vocab, c->n_embd, &m->output);
	m->output = m->embedding;
	tensor_set_use(b->set, name); /* a tied folder may carry a copy, which its own library ignores too */
	return 0;
}

/* GGUF keeps Llama-3 scaling as one divisor a frequency. */
static int bind_rope(struct binder *b, const struct model_config *c)
{
	struct rope_config rope = c->rope;
	struct stored_tensor *t = tensor_set_use(b->set, "rope_freqs.weight");
	float *frequency = storage_take(b->m->storage, (size_t)c->head_dim / 2 * sizeof *frequency);
	float *divisor = t ? storage_take(b->m->storage, (size_t)c->head_dim / 2 * sizeof *divisor) : NULL;
	if (!frequency || (t && !divisor))
		return err_set(b->e, ERR_MEMORY, "%s: out of memory for RoPE frequencies", b->set->path);
	if (t) {
		char shape[96];
		if (!t->supported || t->n_dim != 1 || t->dim[0] != (uint64_t)c->head_dim / 2)
			return err_set(b->e, ERR_FORMAT, "%s: tensor %s is %s %s, F32 (%d) is needed", b->set->path, t->name, t->type_name,
				shape_text(t, shape), c->head_dim / 2);
		tensor_unpack(t->type, t->data, (size_t)c->head_dim / 2, divisor);
		for (int i = 0; i < c->head_dim / 2; i++)
			if (!(divisor[i] > 0 && divisor[i] < 1e30f))
				return err_set(b->e, ERR_FORMAT, "%s: tensor %s: element %d is %g, it must be positive", b->set->path, t->name, i,
					(double)divisor[i]);
		rope.divisor = divisor;
	}
	rope_frequencies(&rope, c->head_dim, frequency);
	b->m->rope_inv_freq = frequency;
	b->m->info.rope_llama3 = rope.llama3 || rope.divisor;
	return 0;
}

/* Buffers that old versions of the reference library saved although they follow from the configuration. */
static bool is_derived(const char *name)
{
	static const char suffix[] = ".rotary_emb.inv_freq";
	size_t n = strlen(name);
	return n >= sizeof suffix - 1 && !strcmp(name + n - (sizeof suffix - 1), suffix);
}

static int check_leftovers(const struct binder *b)
{
	const char *first = NULL;
	int n = 0;
	for (int i = 0; i < b->set->n; i++)
		if (!b->set->tensor[i].used && !is_derived(b->set->tensor[i].name) && n++ == 0)
			first = b->set->tensor[i].name;
	if (!n)
		return 0;
	return err_set(b->e, ERR_UNSUPPORTED, "%s: %d tensor%s that a %s model of %d layers does not have, %s among them; what they are for is not supported",
		b->set->path, n, n == 1 ? "" : "s", b->m->info.arch_name, b->m->info.n_layer, first);
}

static void count_types(const struct binder *b)
{
	int most = 0;
	for (int t = 1; t < N_TENSOR_TYPE; t++)
		if (b->type_bytes[t] > b->type_bytes[most])
			most = t;
	b->m->info.weight_type = tensor_type_info((enum tensor_type)most)->name;
}

int model_bind(struct model *m, const struct model_config *c, struct tensor_set *set, const struct naming *names, struct err *e)
{
	struct binder b = {.m = m, .set = set, .names = names, .e = e};
	struct model_info *i = &m->info;
	i->arch = c->arch;
	i->arch_name = arch_name(c->arch);
	i->n_layer = c->n_layer;
	i->n_head = c->n_head;
	i->n_kv_head = c->n_kv_head;
	i->head_dim = c->head_dim;
	i->n_embd = c->n_embd;
	i->n_ff = c->n_ff;
	i->n_ctx = c->n_ctx;
	i->rope_base = (float)c->rope.base;
	i->tied = c->tied;
	m->norm_eps = c->norm_eps;
	m->layer = storage_take(m->storage, (size_t)c->n_layer * sizeof *m->layer);
	if (!m->layer)
		return err_set(e, ERR_MEMORY, "%s: out of memory for %d layers", set->path, c->n_layer);
	int rc = bind_ends(&b, c);
	for (int l = 0; l < c->n_layer && !rc; l++)
		rc = bind_layer(&b, l, &m->layer[l]);
	if (!rc)
		rc = bind_rope(&b, c);
	if (!rc)
		rc = check_leftovers(&b);
	count_types(&b);
	return rc;
}
