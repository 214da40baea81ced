#include "tests/support/tiny_model.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/file.h"
#include "engine/random.h"
#include "engine/safetensors.h"
#include "tests/support/quantise.h"
#include "tests/support/test.h"
#include "tests/support/tiny_tokens.h"

static const struct tiny_shape shapes[N_TINY] = {
	[TINY_LLAMA] = {"tiny-llama", 3, 4, 2, 64, 256, 512, 512, 288, 1e5f, true},
	[TINY_LLAMA3] = {"tiny-llama3", 2, 8, 2, 32, 256, 512, 512, 288, 5e5f, false},
	[TINY_QWEN2] = {"tiny-qwen2", 2, 4, 1, 64, 256, 512, 512, 288, 1e6f, true},
	[TINY_QWEN3] = {"tiny-qwen3", 2, 4, 2, 128, 256, 512, 512, 288, 1e6f, false},
};
/* Wavelengths of 32-dimensional heads at base 5e5 run from 6 to 1.4e6: some below 64 / 4, some between, most above 64. */
static const struct {
	double factor, low_freq_factor, high_freq_factor;
	int original_context;
} llama3_scaling = {8, 1, 4, 64};

static const char *const arch_key[N_TINY] = {"llama", "llama", "qwen2", "qwen3"};

const struct tiny_shape *tiny_shape(enum tiny_kind kind)
{
	return &shapes[kind];
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static uint64_t name_hash(const char *name) /* FNV-1a */
{
	uint64_t h = 0xcbf29ce484222325u;
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	return h;
}

/* Nearly normal without logarithms or cosines: the sum of four uniforms has variance 1/3. Only exact operations and sqrt. */
static double nearly_normal(struct rng *r)
{
	double sum = rng_uniform(r) + rng_uniform(r) + rng_uniform(r) + rng_uniform(r);
	return (sum - 2) * sqrt(3.0);
}

static double spread(const char *name, const struct tiny_shape *s)
{
	if (strstr(name, "embed_tokens")) /* small enough for logits of a tied model to stay near 1 */
		return 0.25;
	if (strstr(name, "bias"))
		return 0.5;
	if (strstr(name, "q_proj") || strstr(name, "k_proj")) /* attention that is far from uniform */
		return 2 / sqrt(s->n_embd);
	return 1 / sqrt(strstr(name, "down_proj") ? s->n_ff : s->n_embd);
}

void tiny_values(const struct tiny_options *o, const char *name, float *out, size_t n)
{
	struct rng r;
	rng_seed_stream(&r, o->seed, name_hash(name));
	bool gain = strstr(name, "norm") != NULL, vector = gain || strstr(name, "bias");
	double width = spread(name, &shapes[o->kind]);
	for (size_t i = 0; i < n; i++) {
		double x = nearly_normal(&r);
		out[i] = (float)(gain ? 1 + 0.2 * x : width * x);
		if (vector) /* the same number in every type that vectors are stored in */
			out[i] = bf16_to_f32(f32_to_bf16(out[i]));
	}
}

/* ---- the list of tensors ----------------------------------------------------------------------------------------- */

struct tiny_tensor {
	char name[64], gguf_name[48];
	int n_out, n_in; /* n_out 0: a vector of n_in */
	int permuted_heads;
};

enum { MAX_TENSORS = 64 };

static void add(struct tiny_tensor *list, int *n, struct tiny_tensor t)
{
	list[(*n)++] = t;
}

static void add_layer(struct tiny_tensor *list, int *n, enum tiny_kind kind, int l)
{
	const struct tiny_shape *s = &shapes[kind];
	int n_q = s->n_head * s->head_dim, n_kv = s->n_kv_head * s->head_dim;
	bool llama = kind == TINY_LLAMA || kind == TINY_LLAMA3;
	const struct {
		const char *hf, *gguf;
		int n_out, n_in, heads;
		bool there;
	} part[] = {
		{"input_layernorm.weight", "attn_norm.weight", 0, s->n_embd, 0, true},
		{"self_attn.q_proj.weight", "attn_q.weight", n_q, s->n_embd, llama ? s->n_head : 0, true},
		{"self_attn.k_proj.weight", "attn_k.weight", n_kv, s->n_embd, llama ? s->n_kv_head : 0, true},
		{"self_attn.v_proj.weight", "attn_v.weight", n_kv, s->n_embd, 0, true},
		{"self_attn.o_proj.weight", "attn_output.weight", s->n_embd, n_q, 0, true},
		{"self_attn.q_proj.bias", "attn_q.bias", 0, n_q, 0, kind == TINY_QWEN2},
		{"self_attn.k_proj.bias", "attn_k.bias", 0, n_kv, 0, kind == TINY_QWEN2},
		{"self_attn.v_proj.bias", "attn_v.bias", 0, n_kv, 0, kind == TINY_QWEN2},
		{"self_attn.q_norm.weight", "attn_q_norm.weight", 0, s->head_dim, 0, kind == TINY_QWEN3},
		{"self_attn.k_norm.weight", "attn_k_norm.weight", 0, s->head_dim, 0, kind == TINY_QWEN3},
		{"post_attention_layernorm.weight", "ffn_norm.weight", 0, s->n_embd, 0, true},
		{"mlp.gate_proj.weight", "ffn_gate.weight", s->n_ff, s->n_embd, 0, true},
		{"mlp.up_proj.weight", "ffn_up.weight", s->n_ff, s->n_embd, 0, true},
		{"mlp.down_proj.weight", "ffn_down.weight", s->n_embd, s->n_ff, 0, true},
	};
	for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
		struct tiny_tensor t = {.n_out = part[i].n_out, .n_in = part[i].n_in, .permuted_heads = part[i].heads};
		snprintf(t.name, sizeof t.name, "model.layers.%d.%s", l, part[i].hf);
		snprintf(t.gguf_name, sizeof t.gguf_name, "blk.%d.%s", l, part[i].gguf);
		if (part[i].there)
			add(list, n, t);
	}
}

static int list_tensors(enum tiny_kind kind, struct tiny_tensor list[MAX_TENSORS])
{
	const struct tiny_shape *s = &shapes[kind];
	int n = 0;
	add(list, &n, (struct tiny_tensor){"model.embed_tokens.weight", "token_embd.weight", s->n_vocab, s->n_embd, 0});
	for (int l = 0; l < s->n_layer; l++)
		add_layer(list, &n, kind, l);
	add(list, &n, (struct tiny_tensor){"model.norm.weight", "output_norm.weight", 0, s->n_embd, 0});
	if (!s->tied)
		add(list, &n, (struct tiny_tensor){"lm_head.weight", "output.weight", s->n_vocab, s->n_embd, 0});
	return n;
}

static size_t n_element(const struct tiny_tensor *t)
{
	return (size_t)(t->n_out ? t->n_out : 1) * (size_t)t->n_in;
}

/* Rows of each head from halves (i, i + d/2) to adjacent pairs (2i, 2i + 1). */
static void permute_rows(const float *from, float *to, int n_head, int n_out, int n_in)
{
	int d = n_out / n_head;
	for (int r = 0; r < n_out; r++) {
		int within = r % d, half = within / (d / 2), i = within % (d / 2);
		memcpy(to + (size_t)(r - within + 2 * i + half) * (size_t)n_in, from + (size_t)r * (size_t)n_in, (size_t)n_in * sizeof *to);
	}
}

/* Stored bytes of a tensor; the caller frees them. */
static uint8_t *encode(const struct tiny_options *o, const struct tiny_tensor *t, enum tensor_type type, bool gguf, size_t *n_bytes)
{
	size_t n = n_element(t);
	*n_bytes = tensor_type_bytes(type, n);
	float *values = malloc(n * sizeof *values), *permuted = malloc(n * sizeof *permuted);
	uint8_t *bytes = malloc(*n_bytes);
	if (!values || !permuted || !bytes)
		exit(2);
	tiny_values(o, t->name, values, n);
	bool permute = gguf && t->permuted_heads;
	if (permute)
		permute_rows(values, permuted, t->permuted_heads, t->n_out, t->n_in);
	quantise(type, permute ? permuted : values, n, bytes);
	free(values);
	free(permuted);
	return bytes;
}

/* ---- GGUF ------------------------------------------------------------------------------------------------------ */

static const uint32_t type_code[N_TENSOR_TYPE] = {
	[TYPE_F32] = 0,  [TYPE_F16] = 1,  [TYPE_BF16] = 30, [TYPE_Q8_0] = 8,  [TYPE_Q4_0] = 2, [TYPE_Q4_1] = 3, [TYPE_Q5_0] = 6,
	[TYPE_Q5_1] = 7, [TYPE_Q4_K] = 12, [TYPE_Q5_K] = 13, [TYPE_Q6_K] = 14,
};

static void put_count(struct gguf_writer *w, enum tiny_kind kind, const char *rest, int value)
{
	char key[64];
	snprintf(key, sizeof key, "%s.%s", arch_key[kind], rest);
	gguf_put_u32(w, key, (uint32_t)value);
}

static void put_number(struct gguf_writer *w, enum tiny_kind kind, const char *rest, float value)
{
	char key[64];
	snprintf(key, sizeof key, "%s.%s", arch_key[kind], rest);
	gguf_put_f32(w, key, value);
}

/* Llama-3 scaling as the GGUF converter writes it: one divisor a frequency. */
static void put_rope_divisors(struct gguf_writer *w, const struct tiny_shape *s)
{
	float divisor[64];
	uint64_t dim[] = {(uint64_t)s->head_dim / 2};
	for (int i = 0; i < s->head_dim / 2; i++) {
		double wavelength = 2 * M_PI * pow((double)s->rope_base, 2.0 * i / s->head_dim), context = llama3_scaling.original_context;
		double smooth = (context / wavelength - llama3_scaling.low_freq_factor) /
			(llama3_scaling.high_freq_factor - llama3_scaling.low_freq_factor);
		divisor[i] = smooth > 1 ? 1 : smooth < 0 ? (float)llama3_scaling.factor : (float)(1 / ((1 - smooth) / llama3_scaling.factor + smooth));
	}
	gguf_put_tensor(w, "rope_freqs.weight", 0, 1, dim, divisor, (size_t)s->head_dim / 2 * sizeof *divisor);
}

void tiny_gguf(struct gguf_writer *w, const struct tiny_options *o)
{
	const struct tiny_shape *s = &shapes[o->kind];
	gguf_put_string(w, "general.architecture", arch_key[o->kind]);
	gguf_put_string(w, "general.name", s->name);
	put_count(w, o->kind, "block_count", s->n_layer);
	put_count(w, o->kind, "context_length", s->n_ctx);
	put_count(w, o->kind, "embedding_length", s->n_embd);
	put_count(w, o->kind, "feed_forward_length", s->n_ff);
	put_count(w, o->kind, "attention.head_count", s->n_head);
	put_count(w, o->kind, "attention.head_count_kv", s->n_kv_head);
	if (s->head_dim * s->n_head != s->n_embd) {
		put_count(w, o->kind, "attention.key_length", s->head_dim);
		put_count(w, o->kind, "attention.value_length", s->head_dim);
	}
	put_number(w, o->kind, "rope.freq_base", s->rope_base);
	put_number(w, o->kind, "attention.layer_norm_rms_epsilon", 1e-5f);
	tiny_tokens_gguf(w, o->kind);
	struct tiny_tensor list[MAX_TENSORS];
	int n = list_tensors(o->kind, list);
	for (int i = 0; i < n; i++) {
		enum tensor_type type = list[i].n_out ? o->type : TYPE_F32;
		size_t n_bytes;
		uint8_t *bytes = encode(o, &list[i], type, true, &n_bytes);
		uint64_t dim[] = {(uint64_t)list[i].n_in, (uint64_t)list[i].n_out};
		gguf_put_tensor(w, list[i].gguf_name, type_code[type], list[i].n_out ? 2 : 1, dim, bytes, n_bytes);
		free(bytes);
	}
	if (o->kind == TINY_LLAMA3)
		put_rope_divisors(w, s);
}

static void give_up(const char *path, const struct err *e)
{
	fprintf(stderr, "tests: %s: %s\n", path, e->text);
	exit(2);
}

void tiny_model_gguf(const char *path, const struct tiny_options *o)
{
	struct gguf_writer w = {0};
	struct file_writer *f;
	struct err e = {0};
	tiny_gguf(&w, o);
	struct byte_string bytes = gguf_finish(&w);
	if (file_create(&f, path, &e) || file_write(f, bytes.data, bytes.n, &e) || file_commit(f, &e))
		give_up(path, &e);
	bytes_free(&bytes);
}

/* ---- Hugging Face folder ------------------------------------------------------------------------------------------ */

static json_t *rope_words(const struct tiny_options *o)
{
	if (o->kind != TINY_LLAMA3)
		return json_pack("{s:s}", "rope_type", "default");
	return json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor", llama3_scaling.factor, "low_freq_factor",
		llama3_scaling.low_freq_factor, "high_freq_factor", llama3_scaling.high_freq_factor, "original_max_position_embeddings",
		llama3_scaling.original_context);
}

static void write_config(const char *folder, const struct tiny_options *o)
{
	static const char *const class_name[N_TINY] = {"LlamaForCausalLM", "LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"};
	const struct tiny_shape *s = &shapes[o->kind];
	const char *dtype = o->type == TYPE_F32 ? "float32" : o->type == TYPE_F16 ? "float16" : "bfloat16";
	json_t *config = json_pack(
		"{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b, s:s, s:s, s:b, s:i}", "architectures", class_name[o->kind],
		"model_type", arch_key[o->kind], "num_hidden_layers", s->n_layer, "num_attention_heads", s->n_head, "num_key_value_heads",
		s->n_kv_head, "head_dim", s->head_dim, "hidden_size", s->n_embd, "intermediate_size", s->n_ff, "max_position_embeddings", s->n_ctx,
		"vocab_size", s->n_vocab, "rms_norm_eps", (double)1e-5f, "tie_word_embeddings", s->tied, "hidden_act", "silu",
		o->older_words ? "torch_dtype" : "dtype", dtype, "use_cache", 1, "eos_token_id", tiny_end_token(o->kind));
	json_t *rope = rope_words(o);
	if (o->older_words) {
		json_object_set_new(config, "rope_theta", json_real((double)s->rope_base));
		json_object_set_new(config, "rope_scaling", o->kind == TINY_LLAMA3 ? rope : json_null());
		if (o->kind != TINY_LLAMA3)
			json_decref(rope);
	} else {
		json_object_set_new(rope, "rope_theta", json_real((double)s->rope_base));
		json_object_set_new(config, "rope_parameters", rope);
	}
	tiny_json_write(folder, "config.json", config);
}

static void write_shard(const char *folder, const char *file, const struct tiny_options *o, const struct tiny_tensor *const *part, int n)
{
	static const enum st_dtype dtype[] = {[TYPE_F32] = ST_F32, [TYPE_F16] = ST_F16, [TYPE_BF16] = ST_BF16};
	struct st_tensor tensor[MAX_TENSORS];
	for (int i = 0; i < n; i++) {
		const struct tiny_tensor *t = part[i];
		tensor[i] = (struct st_tensor){.name = t->name, .dtype = dtype[o->type], .n_dim = t->n_out ? 2 : 1};
		tensor[i].dim[0] = t->n_out ? t->n_out : t->n_in;
		tensor[i].dim[1] = t->n_in;
		tensor[i].data = encode(o, t, o->type, false, &tensor[i].n_bytes);
	}
	char path[4096];
	struct err e = {0};
	const struct st_pair meta = {"format", "pt"};
	snprintf(path, sizeof path, "%s/%s", folder, file);
	if (st_write(path, tensor, n, &meta, 1, &e))
		give_up(path, &e);
	for (int i = 0; i < n; i++)
		free((void *)tensor[i].data);
}

void tiny_model_folder(const char *folder, const struct tiny_options *o)
{
	struct tiny_tensor list[MAX_TENSORS];
	const struct tiny_tensor *part[MAX_TENSORS];
	int n = list_tensors(o->kind, list), n_shard = o->n_shard > 1 ? o->n_shard : 1;
	json_t *map = json_object();
	mkdir(folder, 0777);
	write_config(folder, o);
	tiny_tokens_folder(folder, o->kind);
	for (int shard = 0; shard < n_shard; shard++) {
		char file[64] = "model.safetensors";
		int n_part = 0;
		if (n_shard > 1)
			snprintf(file, sizeof file, "model-%05d-of-%05d.safetensors", shard + 1, n_shard);
		for (int i = shard; i < n; i += n_shard) {
			json_object_set_new(map, list[i].name, json_string(file));
			part[n_part++] = &list[i];
		}
		write_shard(folder, file, o, part, n_part);
	}
	if (n_shard > 1)
		tiny_json_write(folder, "model.safetensors.index.json", json_pack("{s:{}, s:o}", "metadata", "weight_map", map));
	else
		json_decref(map);
}

void tiny_models_write_all(const char *folder)
{
	char path[4096];
	for (int kind = 0; kind < N_TINY; kind++) {
		for (int type = 0; type < N_TENSOR_TYPE; type++) {
			struct tiny_options o = {.kind = (enum tiny_kind)kind, .type = (enum tensor_type)type, .seed = 1};
			snprintf(path, sizeof path, "%s/%s.%s.gguf", folder, shapes[kind].name, tensor_type_info(o.type)->name);
			tiny_model_gguf(path, &o);
			snprintf(path, sizeof path, "%s/%s.%s", folder, shapes[kind].name, tensor_type_info(o.type)->name);
			o.n_shard = type == TYPE_BF16 ? 3 : 1;
			o.older_words = type == TYPE_F16;
			if (type <= TYPE_BF16)
				tiny_model_folder(path, &o);
		}
	}
}

struct model *test_model_open(const char *path)
{
	struct model *m = NULL;
	struct err e = {0};
	if (model_open(&m, path, &(struct model_options){.device = DEVICE_CPU, .precision = PRECISION_F32}, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return m;
}
