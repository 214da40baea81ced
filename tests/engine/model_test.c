#include "engine/model/build.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

static struct model *open_sound(const char *path)
{
	struct model *m = NULL;
	struct err e = {0};
	CHECK_INT(model_open(&m, path, NULL, &e), 0);
	if (!m)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return m;
}

static void check_shape(const struct model *m, enum tiny_kind kind)
{
	const struct model_info *i = model_info(m);
	const struct tiny_shape *s = tiny_shape(kind);
	CHECK_INT(i->n_layer, s->n_layer);
	CHECK_INT(i->n_head, s->n_head);
	CHECK_INT(i->n_kv_head, s->n_kv_head);
	CHECK_INT(i->head_dim, s->head_dim);
	CHECK_INT(i->n_embd, s->n_embd);
	CHECK_INT(i->n_ff, s->n_ff);
	CHECK_INT(i->n_ctx, s->n_ctx);
	CHECK_INT(i->n_vocab, s->n_vocab);
	CHECK_INT(i->tied, s->tied);
	CHECK_INT(i->rope_llama3, kind == TINY_LLAMA3);
	CHECK_NEAR(i->rope_base, s->rope_base, TOL_EXACT);
	CHECK_NEAR(m->norm_eps, 1e-5f, TOL_EXACT);
	CHECK_INT(m->layer[0].bias[PROJ_Q] != NULL, kind == TINY_QWEN2);
	CHECK_INT(m->layer[0].q_norm != NULL, kind == TINY_QWEN3);
	CHECK(m->output.data == m->embedding.data || !s->tied);
	uint64_t bias = kind == TINY_QWEN2 ? (uint64_t)(s->n_head + 2 * s->n_kv_head) * (uint64_t)s->head_dim : 0;
	uint64_t norms = 2 * (uint64_t)s->n_embd + (kind == TINY_QWEN3 ? 2 * (uint64_t)s->head_dim : 0);
	uint64_t attention = (uint64_t)s->n_embd * 2 * (uint64_t)((s->n_head + s->n_kv_head) * s->head_dim);
	uint64_t layer = attention + 3 * (uint64_t)s->n_embd * (uint64_t)s->n_ff + norms + bias;
	uint64_t ends = (uint64_t)(s->n_vocab * (s->tied ? 1 : 2) + 1) * (uint64_t)s->n_embd;
	CHECK_INT(i->n_param, (uint64_t)s->n_layer * layer + ends);
}

/* Row r of a Hugging Face q or k matrix is row `stored` of the GGUF's. */
static int stored_row(const struct model *m, int proj, int r)
{
	int d = m->info.head_dim, within = r % d;
	if (m->rope_pairs == ROPE_HALVES || proj > PROJ_K)
		return r;
	return r - within + 2 * (within % (d / 2)) + within / (d / 2);
}

static void check_values(const struct model *m, const struct tiny_options *o)
{
	static const char *const name[N_PROJ] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
		"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"};
	for (int p = 0; p < N_PROJ; p++) {
		const struct weight *w = &m->layer[1].proj[p];
		size_t n = (size_t)w->n_out * (size_t)w->n_in, row = tensor_type_bytes(w->type, (uint64_t)w->n_in);
		float *want = malloc(n * sizeof *want), *got = malloc((size_t)w->n_in * sizeof *got);
		char full[64];
		snprintf(full, sizeof full, "model.layers.1.%s.weight", name[p]);
		tiny_values(o, full, want, n);
		int n_wrong = 0;
		for (int r = 0; r < w->n_out; r++) {
			tensor_unpack(w->type, w->data + (size_t)stored_row(m, p, r) * row, (size_t)w->n_in, got);
			n_wrong += memcmp(got, want + (size_t)r * (size_t)w->n_in, (size_t)w->n_in * sizeof *got) != 0;
		}
		CHECK_INT(n_wrong, 0);
		free(want);
		free(got);
	}
}

static void check_norms(const struct model *m, const struct tiny_options *o)
{
	float want[512];
	const struct model_info *i = model_info(m);
	tiny_values(o, "model.layers.1.post_attention_layernorm.weight", want, (size_t)i->n_embd);
	CHECK(!memcmp(want, m->layer[1].ffn_norm, (size_t)i->n_embd * sizeof *want));
	tiny_values(o, "model.norm.weight", want, (size_t)i->n_embd);
	CHECK(!memcmp(want, m->output_norm, (size_t)i->n_embd * sizeof *want));
	if (o->kind == TINY_QWEN3) {
		tiny_values(o, "model.layers.0.self_attn.k_norm.weight", want, (size_t)i->head_dim);
		CHECK(!memcmp(want, m->layer[0].k_norm, (size_t)i->head_dim * sizeof *want));
	}
	if (o->kind == TINY_QWEN2) {
		tiny_values(o, "model.layers.0.self_attn.v_proj.bias", want, (size_t)(i->n_kv_head * i->head_dim));
		CHECK(!memcmp(want, m->layer[0].bias[PROJ_V], (size_t)(i->n_kv_head * i->head_dim) * sizeof *want));
	}
}

TEST(model, both_formats_hold_the_same_model)
{
	for (int kind = 0; kind < N_TINY; kind++) {
		struct tiny_options o = {.kind = (enum tiny_kind)kind, .type = TYPE_F32, .seed = test_seed(), .n_shard = kind,
			.older_words = kind % 2};
		const char *file = test_scratch("same.gguf"), *folder = test_scratch(tiny_shape(o.kind)->name);
		tiny_model_gguf(file, &o);
		tiny_model_folder(folder, &o);
		struct model *a = open_sound(file), *b = open_sound(folder);
		if (!a || !b)
			return;
		check_shape(a, o.kind);
		check_shape(b, o.kind);
		check_values(a, &o);
		check_values(b, &o);
		check_norms(a, &o);
		check_norms(b, &o);
		CHECK_INT(a->rope_pairs, kind <= TINY_LLAMA3 ? ROPE_ADJACENT : ROPE_HALVES);
		CHECK_INT(b->rope_pairs, ROPE_HALVES);
		for (int i = 0; i < a->info.head_dim / 2; i++) /* divisors are float32 in the GGUF: one rounding more */
			CHECK_NEAR(a->rope_inv_freq[i], (double)b->rope_inv_freq[i], 3e-7 * (double)b->rope_inv_freq[i]);
		CHECK_STR(a->info.format, "gguf v3");
		CHECK_STR(b->info.format, kind < 2 ? "safetensors" : kind == 2 ? "safetensors x 2" : "safetensors x 3");
		CHECK_STR(a->info.name, tiny_shape(o.kind)->name);
		CHECK_STR(b->info.name, tiny_shape(o.kind)->name);
		model_close(a);
		model_close(b);
	}
}

TEST(model, every_stored_type)
{
	for (int type = 0; type < N_TENSOR_TYPE; type++) {
		struct tiny_options o = {.kind = TINY_QWEN3, .type = (enum tensor_type)type, .seed = 1};
		tiny_model_gguf(test_scratch("typed.gguf"), &o);
		struct model *m = open_sound(test_scratch("typed.gguf"));
		if (!m)
			return;
		CHECK_STR(m->info.weight_type, tensor_type_info(o.type)->name);
		check_shape(m, TINY_QWEN3);
		check_norms(m, &o);
		model_close(m);
	}
}

/* ---- RoPE ------------------------------------------------------------------------------------------------------------ */

static bool rope_of_name(const char *name, struct rope_config *c, int *head_dim)
{
	int base = 0, factor = 0, low = 0, high = 0, context = 0;
	bool llama3 = !strncmp(name, "llama3.", 7);
	int n = sscanf(strchr(name, '.'), ".%d.%d.%d.%d.%d.%d", head_dim, &base, &factor, &low, &high, &context);
	*c = (struct rope_config){.base = base, .llama3 = llama3, .factor = factor, .low_freq_factor = low, .high_freq_factor = high,
		.original_context = context};
	return n == (llama3 ? 6 : 2);
}

TEST(model, rope_frequencies_as_transformers)
{
	struct file_map map;
	struct st_file golden;
	struct err e;
	CHECK_INT(file_map_open(&map, test_tree("tests/golden/rope.safetensors"), &e), 0);
	CHECK_INT(st_parse(&golden, map.data, map.size, map.path, &e), 0);
	CHECK_INT(golden.n_tensor, 19);
	int n_equal = 0, n = 0;
	for (int i = 0; i < golden.n_tensor; i++) {
		struct rope_config c;
		int head_dim = 0;
		float got[64], want[64];
		CHECK(rope_of_name(golden.tensor[i].name, &c, &head_dim));
		rope_frequencies(&c, head_dim, got);
		CHECK_INT(st_read_f32(&golden.tensor[i], 0, (size_t)head_dim / 2, want, &e), 0);
		for (int k = 0; k < head_dim / 2; k++, n++) {
			CHECK_NEAR(got[k], (double)want[k], TOL_ROPE * (double)want[k]);
			n_equal += got[k] == want[k];
		}
	}
	CHECK(n_equal > n * 98 / 100);
	st_free(&golden);
	file_map_close(&map);
}

/* ---- GGUF files that are refused ------------------------------------------------------------------------------------ */

static void check_gguf_refused(struct gguf_writer *w, int code, const char *want)
{
	const char *path = test_scratch("bad.gguf");
	struct byte_string file = gguf_finish(w);
	FILE *f = fopen(path, "wb");
	fwrite(file.data, 1, file.n, f);
	fclose(f);
	bytes_free(&file);
	struct model *m = NULL;
	struct err e = {0};
	char full[1024];
	snprintf(full, sizeof full, "%s: %s", path, want);
	CHECK_INT(model_open(&m, path, NULL, &e), code);
	CHECK_STR(e.text, full);
	model_close(m);
}

static struct gguf_writer tiny(enum tiny_kind kind)
{
	struct gguf_writer w = {0};
	struct tiny_options o = {.kind = kind, .type = TYPE_Q8_0, .seed = 1};
	tiny_gguf(&w, &o);
	return w;
}

/* Where the text stands in the writer's bytes, for damage. */
static uint8_t *at(struct byte_string *b, const char *text)
{
	uint8_t *found = memmem(b->data, b->n, text, strlen(text));
	CHECK(found != NULL);
	return found ? found : b->data;
}

static void set_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
	memcpy(at(&w->values, key) + strlen(key) + 4, &value, sizeof value);
}

static void rename_to(struct byte_string *b, const char *from, const char *to) /* of the same length */
{
	memcpy(at(b, from), to, strlen(to));
}

TEST(model, gguf_keys_that_are_refused)
{
	struct gguf_writer w = tiny(TINY_LLAMA);
	rename_to(&w.values, "llama", "mamba"); /* the value of general.architecture comes first */
	check_gguf_refused(&w, ERR_UNSUPPORTED, "architecture mamba is not supported; llama, qwen2 and qwen3 are");
	w = tiny(TINY_LLAMA);
	rename_to(&w.values, "general.architecture", "general.architectura");
	check_gguf_refused(&w, ERR_FORMAT, "key general.architecture is missing");
	w = tiny(TINY_LLAMA);
	rename_to(&w.values, "llama.block_count", "llama.block_xount");
	check_gguf_refused(&w, ERR_FORMAT, "key llama.block_count is missing or no integer");
	w = tiny(TINY_LLAMA);
	rename_to(&w.values, "llama.attention.layer_norm_rms_epsilon", "llama.attention.layer_norm_xxx_epsilon");
	check_gguf_refused(&w, ERR_FORMAT, "key llama.attention.layer_norm_rms_epsilon is missing or no number");
	w = tiny(TINY_LLAMA);
	set_u32(&w, "llama.block_count", 0);
	check_gguf_refused(&w, ERR_FORMAT, "0 layers, 1 to 1024 are possible");
	w = tiny(TINY_LLAMA);
	set_u32(&w, "llama.context_length", 0xffffffff);
	check_gguf_refused(&w, ERR_FORMAT, "-1 context positions, 1 to 1073741824 are possible");
	w = tiny(TINY_LLAMA);
	set_u32(&w, "llama.attention.head_count", 3);
	check_gguf_refused(&w, ERR_FORMAT, "256 dimensions do not divide into 3 heads and llama.attention.key_length is missing");
	w = tiny(TINY_LLAMA);
	set_u32(&w, "llama.attention.head_count_kv", 3);
	check_gguf_refused(&w, ERR_FORMAT, "4 query heads cannot share 3 KV heads evenly");
	w = tiny(TINY_LLAMA);
	float nan_value = NAN;
	memcpy(at(&w.values, "llama.rope.freq_base") + 24, &nan_value, sizeof nan_value);
	check_gguf_refused(&w, ERR_FORMAT, "RoPE base is nan, it must be above 1");
}

TEST(model, gguf_features_that_are_refused)
{
	struct gguf_writer w = tiny(TINY_LLAMA);
	gguf_put_u32(&w, "llama.expert_count", 8);
	check_gguf_refused(&w, ERR_UNSUPPORTED, "a mixture of 8 experts; mixtures are not supported");
	w = tiny(TINY_LLAMA);
	gguf_put_string(&w, "llama.rope.scaling.type", "yarn");
	check_gguf_refused(&w, ERR_UNSUPPORTED, "RoPE scaling of type yarn is not supported");
	w = tiny(TINY_QWEN2);
	gguf_put_u32(&w, "qwen2.attention.sliding_window", 128);
	check_gguf_refused(&w, ERR_UNSUPPORTED, "attention in a sliding window of 128 tokens is not supported");
	w = tiny(TINY_LLAMA);
	gguf_put_u32(&w, "llama.rope.dimension_count", 32);
	check_gguf_refused(&w, ERR_UNSUPPORTED, "RoPE on 32 of 64 dimensions per head; partial RoPE is not supported");
	w = tiny(TINY_LLAMA);
	gguf_put_u32(&w, "split.count", 3);
	check_gguf_refused(&w, ERR_UNSUPPORTED, "one of 3 parts of a model; only whole files are read");
	w = tiny(TINY_LLAMA);
	const uint64_t dim[] = {256};
	float bias[256] = {0};
	gguf_put_tensor(&w, "blk.0.attn_q.bias", 0, 1, dim, bias, sizeof bias);
	check_gguf_refused(&w, ERR_UNSUPPORTED, "1 tensor that a llama model of 3 layers does not have, blk.0.attn_q.bias among them; "
		"what they are for is not supported");
}

TEST(model, gguf_tensors_that_are_refused)
{
	struct gguf_writer w = tiny(TINY_LLAMA);
	rename_to(&w.records, "blk.1.ffn_up.weight", "blk.1.ffn_xx.weight");
	check_gguf_refused(&w, ERR_FORMAT, "tensor blk.1.ffn_up.weight is missing");
	w = tiny(TINY_LLAMA); /* Q8_0 of 256 columns is 272 bytes a row, Q3_K 110: it fits into the place */
	memcpy(at(&w.records, "blk.1.ffn_up.weight") + 19 + 4 + 16, &(uint32_t){11}, 4);
	check_gguf_refused(&w, ERR_UNSUPPORTED, "tensor blk.1.ffn_up.weight is of type Q3_K, which is not supported");
	w = tiny(TINY_LLAMA);
	const uint64_t turned[] = {128, 256};
	memcpy(at(&w.records, "blk.0.attn_k.weight") + 19 + 4, turned, sizeof turned);
	check_gguf_refused(&w, ERR_FORMAT, "tensor blk.0.attn_k.weight has shape (256, 128), (128, 256) is needed");
	w = tiny(TINY_LLAMA);
	memcpy(at(&w.records, "blk.0.ffn_norm.weight") + 21 + 4, &(uint64_t){255}, 8);
	check_gguf_refused(&w, ERR_FORMAT, "tensor blk.0.ffn_norm.weight has shape (255), (256) is needed");
	w = tiny(TINY_LLAMA);
	memcpy(at(&w.records, "token_embd.weight") + 17 + 4 + 8, &(uint64_t){280}, 8);
	check_gguf_refused(&w, ERR_FORMAT, "the tokenizer has 288 ids, the embedding has 280 rows");
	w = tiny(TINY_LLAMA3);
	memset(w.data.data + w.data.n - 64, 0, 64); /* the last tensor, 16 divisors */
	check_gguf_refused(&w, ERR_FORMAT, "tensor rope_freqs.weight: element 0 is 0, it must be positive");
}

TEST(model, paths_that_are_no_models)
{
	struct model *m;
	struct err e;
	char want[1024];
	CHECK_INT(model_open(&m, test_scratch("nowhere"), NULL, &e), ERR_SYSTEM);
	snprintf(want, sizeof want, "%s: No such file or directory", test_scratch("nowhere"));
	CHECK_STR(e.text, want);
	CHECK_INT(model_open(&m, test_tree("tests/golden/tensor_type.safetensors"), NULL, &e), ERR_USE);
	CHECK(strstr(e.text, "give the folder that holds them and config.json") != NULL);
	CHECK_INT(model_open(&m, test_tree("Makefile"), NULL, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "not a GGUF file") != NULL);
	CHECK_INT(model_open(&m, test_tree("tests"), NULL, &e), ERR_FORMAT);
	snprintf(want, sizeof want, "%s: no weights: neither model.safetensors nor model.safetensors.index.json", test_tree("tests"));
	CHECK_STR(e.text, want);
	CHECK_INT(model_open(&m, "/dev/null", NULL, &e), ERR_FORMAT);
	CHECK_STR(e.text, "/dev/null: is a device, not a regular file");
}

/* ---- folders that are refused ---------------------------------------------------------------------------------------- */

static const char *bad_folder(enum tiny_kind kind, int n_shard)
{
	const char *folder = test_scratch("bad");
	char command[2048];
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	CHECK_INT(system(command), 0);
	struct tiny_options o = {.kind = kind, .type = TYPE_BF16, .seed = 1, .n_shard = n_shard};
	tiny_model_folder(folder, &o);
	return folder;
}

static void check_folder(const char *folder, int code, const char *want)
{
	struct model *m = NULL;
	struct err e = {0};
	char full[1024];
	snprintf(full, sizeof full, "%s%s", folder, want);
	CHECK_INT(model_open(&m, folder, NULL, &e), code);
	CHECK_STR(e.text, code ? full : "");
	model_close(m);
}

/* Sets key of config.json to JSON text; NULL takes it out. */
static void set_config(const char *folder, const char *file, const char *key, const char *value)
{
	char path[1024];
	json_error_t je;
	snprintf(path, sizeof path, "%s/%s", folder, file);
	json_t *config = json_load_file(path, 0, &je);
	CHECK(config != NULL);
	if (value)
		json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, &je));
	else
		json_object_del(config, key);
	CHECK_INT(json_dump_file(config, path, 0), 0);
	json_decref(config);
}

struct config_case {
	enum tiny_kind kind;
	const char *key, *value;
	int code;
	const char *want;
};

static void check_config(const struct config_case *c)
{
	const char *folder = bad_folder(c->kind, 1);
	set_config(folder, "config.json", c->key, c->value);
	check_folder(folder, c->code, c->want);
}

TEST(model, configurations_that_are_refused)
{
	static const struct config_case cases[] = {
		{TINY_LLAMA, "model_type", NULL, ERR_FORMAT, "/config.json: model_type is missing"},
		{TINY_LLAMA, "model_type", "\"mistral\"", ERR_UNSUPPORTED,
			"/config.json: architecture mistral is not supported; llama, qwen2 and qwen3 are"},
		{TINY_LLAMA, "architectures", "[\"LlamaForTokenClassification\"]", ERR_UNSUPPORTED,
			"/config.json: class LlamaForTokenClassification is not supported; LlamaForCausalLM is"},
		{TINY_LLAMA, "hidden_size", NULL, ERR_FORMAT, "/config.json: hidden_size is missing or no integer"},
		{TINY_LLAMA, "num_hidden_layers", "\"3\"", ERR_FORMAT, "/config.json: num_hidden_layers is missing or no integer"},
		{TINY_LLAMA, "num_hidden_layers", "5000000000", ERR_FORMAT, "/config.json: -1 layers, 1 to 1024 are possible"},
		{TINY_LLAMA, "rms_norm_eps", NULL, ERR_FORMAT, "/config.json: rms_norm_eps is missing or no number"},
		{TINY_LLAMA, "rms_norm_eps", "-1", ERR_FORMAT, "/config.json: RMSNorm epsilon is -1, it must lie in [0, 1)"},
		{TINY_LLAMA, "rope_parameters", "{\"rope_type\":\"yarn\",\"factor\":4.0}", ERR_UNSUPPORTED,
			"/config.json: RoPE of type yarn is not supported; default and llama3 are"},
		{TINY_LLAMA, "rope_parameters", "{\"rope_type\":\"llama3\",\"factor\":4.0}", ERR_FORMAT,
			"/config.json: low_freq_factor is missing or no number"},
		{TINY_LLAMA, "attention_bias", "true", ERR_UNSUPPORTED, "/config.json: attention_bias: a bias on attention is not supported here"},
		{TINY_LLAMA, "mlp_bias", "true", ERR_UNSUPPORTED,
			"/config.json: mlp_bias: a bias on the feed-forward products is not supported here"},
		{TINY_LLAMA, "hidden_act", "\"gelu\"", ERR_UNSUPPORTED, "/config.json: hidden_act gelu is not supported; silu is"},
		{TINY_LLAMA, "partial_rotary_factor", "0.5", ERR_UNSUPPORTED,
			"/config.json: partial_rotary_factor 0.5: partial RoPE is not supported"},
		{TINY_LLAMA, "quantization_config", "{\"quant_method\":\"awq\"}", ERR_UNSUPPORTED,
			"/config.json: weights quantised by awq are not supported; BF16, F16 and F32 are"},
		{TINY_LLAMA, "num_key_value_heads", "3", ERR_FORMAT, "/config.json: 4 query heads cannot share 3 KV heads evenly"},
		{TINY_LLAMA, "head_dim", "63", ERR_FORMAT, "/config.json: 63 dimensions per head, rotary embedding needs an even number"},
		{TINY_LLAMA, "vocab_size", "300", ERR_FORMAT, ": tensor model.embed_tokens.weight has shape (288, 256), (300, 256) is needed"},
		{TINY_LLAMA, "intermediate_size", "500", ERR_FORMAT,
			": tensor model.layers.0.mlp.gate_proj.weight has shape (512, 256), (500, 256) is needed"},
		{TINY_LLAMA, "tie_word_embeddings", "false", ERR_FORMAT, ": tensor lm_head.weight is missing"},
		{TINY_LLAMA, "num_hidden_layers", "2", ERR_UNSUPPORTED, ": 9 tensors that a llama model of 2 layers does not have, "
			"model.layers.2.input_layernorm.weight among them; what they are for is not supported"},
		{TINY_QWEN2, "layer_types", "[\"full_attention\",\"sliding_attention\"]", 0, ""}, /* no window size: nothing slides */
		{TINY_QWEN3, "model_type", "\"llama\"", ERR_UNSUPPORTED,
			"/config.json: class Qwen3ForCausalLM is not supported; LlamaForCausalLM is"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_config(&cases[i]);
}

TEST(model, sliding_windows_are_refused_only_when_active)
{
	const char *folder = bad_folder(TINY_QWEN2, 1);
	set_config(folder, "config.json", "sliding_window", "128");
	set_config(folder, "config.json", "use_sliding_window", "false");
	check_folder(folder, 0, "");
	set_config(folder, "config.json", "use_sliding_window", "true");
	set_config(folder, "config.json", "max_window_layers", "2");
	check_folder(folder, 0, "");
	set_config(folder, "config.json", "max_window_layers", "1");
	check_folder(folder, ERR_UNSUPPORTED, "/config.json: attention in a sliding window of 128 tokens is not supported");
	set_config(folder, "config.json", "layer_types", "[\"full_attention\",\"full_attention\"]");
	check_folder(folder, 0, "");
	set_config(folder, "config.json", "layer_types", "[\"full_attention\",\"sliding_attention\"]");
	check_folder(folder, ERR_UNSUPPORTED, "/config.json: attention in a sliding window of 128 tokens is not supported");
	set_config(folder, "config.json", "sliding_window", "512"); /* as long as the context */
	check_folder(folder, 0, "");
}

static void remove_file(const char *folder, const char *name)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	CHECK_INT(remove(path), 0);
}

TEST(model, folders_with_missing_parts)
{
	const char *folder = bad_folder(TINY_LLAMA, 3);
	const char *index = "model.safetensors.index.json";
	check_folder(folder, 0, "");
	remove_file(folder, "model-00002-of-00003.safetensors");
	check_folder(folder, ERR_SYSTEM, "/model-00002-of-00003.safetensors: No such file or directory");
	folder = bad_folder(TINY_LLAMA, 3);
	set_config(folder, index, "weight_map", "{\"a\":\"../outside.safetensors\"}");
	check_folder(folder, ERR_FORMAT, "/model.safetensors.index.json: weight_map: a: ../outside.safetensors is no file name in this folder");
	set_config(folder, index, "weight_map", "{}");
	check_folder(folder, ERR_FORMAT, "/model.safetensors.index.json: weight_map is missing or empty");
	set_config(folder, index, "weight_map", "{\"ghost\":\"model-00001-of-00003.safetensors\"}");
	check_folder(folder, ERR_FORMAT, "/model-00001-of-00003.safetensors: tensor ghost is missing; the index says it is there");
	folder = bad_folder(TINY_LLAMA, 1);
	remove_file(folder, "config.json");
	struct model *m;
	struct err e;
	CHECK_INT(model_open(&m, folder, NULL, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, " is no model folder: ") && strstr(e.text, "/config.json: No such file or directory"));
	folder = bad_folder(TINY_LLAMA, 1);
	char path[1024];
	snprintf(path, sizeof path, "%s/config.json", folder);
	FILE *f = fopen(path, "w");
	fputs("{\"model_type\":\"llama\",}", f);
	fclose(f);
	check_folder(folder, ERR_FORMAT, "/config.json: line 1: string or '}' expected near '}'");
}

/* Same size, other meaning: only the check of types can tell. */
TEST(model, folder_weights_of_another_type)
{
	const char *folder = bad_folder(TINY_LLAMA, 1);
	char path[1024];
	snprintf(path, sizeof path, "%s/model.safetensors", folder);
	FILE *f = fopen(path, "r+b");
	char header[4096] = "";
	CHECK(fread(header, 1, sizeof header - 1, f) > 0);
	static const char wanted[] = "model.layers.0.self_attn.q_proj.weight\":{\"dtype\":\"BF16\"";
	char *dtype = memmem(header, sizeof header, wanted, sizeof wanted - 1);
	CHECK(dtype != NULL);
	if (dtype) {
		fseek(f, dtype - header + (long)sizeof wanted - 1 - 5, SEEK_SET);
		fwrite("I16\" ", 1, 5, f);
	}
	fclose(f);
	check_folder(folder, ERR_UNSUPPORTED, ": tensor model.layers.0.self_attn.q_proj.weight is of type I16, which is not supported");
}

/* ---- hash --------------------------------------------------------------------------------------------------------------- */

static char *use_cache(const char *folder) /* returns what was there */
{
	char *before = getenv("XDG_CACHE_HOME");
	before = before ? strdup(before) : NULL;
	setenv("XDG_CACHE_HOME", folder, 1);
	return before;
}

static void restore_cache(char *before)
{
	if (before)
		setenv("XDG_CACHE_HOME", before, 1);
	else
		unsetenv("XDG_CACHE_HOME");
	free(before);
}

static void hash_of_file(const char *path, char hex[65])
{
	struct file_map map;
	struct err e;
	CHECK_INT(file_map_open(&map, path, &e), 0);
	sha256_hex(map.data, map.size, hex);
	file_map_close(&map);
}

static void check_hash(const char *path, const char *want)
{
	struct model *m = open_sound(path);
	const char *hex = "";
	struct err e;
	if (!m)
		return;
	CHECK_INT(model_sha256(m, &hex, &e), 0);
	CHECK_STR(hex, want);
	model_close(m);
}

/* A wrong hash under the right key shows that the list is used; so the second look must give the wrong one. */
static void spoil_hash(const char *list)
{
	FILE *f = fopen(list, "r+b");
	CHECK(f != NULL);
	if (!f)
		return;
	fseek(f, 65, SEEK_SET);
	for (int i = 0; i < 64; i++)
		fputc('0', f);
	fclose(f);
}

TEST(model, hash_is_remembered_until_the_file_changes)
{
	char *before = use_cache(test_scratch("cache"));
	const char *path = test_scratch("hashed.gguf"), *list = test_scratch("cache/kvglass/sha256");
	static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
	struct tiny_options o = {.kind = TINY_LLAMA, .type = TYPE_Q4_0, .seed = 1};
	char hex[65];
	tiny_model_gguf(path, &o);
	hash_of_file(path, hex);
	check_hash(path, hex);
	check_hash(path, hex);
	spoil_hash(list);
	check_hash(path, zeros);
	o.seed = 2; /* the same size, other content */
	tiny_model_gguf(path, &o);
	hash_of_file(path, hex);
	check_hash(path, hex);
	FILE *f = fopen(list, "wb"); /* lines that are damaged, too short, too long, not text */
	fputs("garbage\n\n", f);
	fwrite("\0\xff\x80", 1, 3, f);
	for (int i = 0; i < 300; i++)
		fputc('a', f);
	fclose(f);
	check_hash(path, hex);
	setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
	check_hash(path, hex);
	restore_cache(before);
}

static void *hash_in_thread(void *model)
{
	const char *hex = NULL;
	model_sha256(model, &hex, NULL);
	return (void *)hex;
}

TEST(model, hash_of_a_folder_from_two_threads)
{
	char *before = use_cache(test_scratch("cache2"));
	const char *folder = bad_folder(TINY_LLAMA, 2);
	struct file_map part[2];
	struct err e;
	char want[65], path[1024];
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/model-0000%d-of-00002.safetensors", folder, i + 1);
		CHECK_INT(file_map_open(&part[i], path, &e), 0);
	}
	sha256_hex_parts(part, 2, want);
	struct model *m = open_sound(folder);
	pthread_t thread[2];
	void *hex[2] = {NULL, NULL};
	for (int i = 0; i < 2 && m; i++)
		CHECK_INT(pthread_create(&thread[i], NULL, hash_in_thread, m), 0);
	for (int i = 0; i < 2 && m; i++) {
		pthread_join(thread[i], &hex[i]);
		CHECK_STR(hex[i], want);
	}
	CHECK(hex[0] == hex[1]);
	model_close(m);
	for (int i = 0; i < 2; i++)
		file_map_close(&part[i]);
	restore_cache(before);
}

TEST(model, opens_the_sample_model)
{
	const char *path = test_sample_model();
	if (!path) {
		test_skip("the sample model is not in the cache");
		return;
	}
	struct model *m = open_sound(path);
	const struct model_info *i = m ? model_info(m) : NULL;
	if (!i)
		return;
	CHECK(i->n_layer == 30 && i->n_head == 9 && i->n_kv_head == 3 && i->head_dim == 64 && i->n_embd == 576 && i->n_ctx == 8192);
	CHECK(i->tied && i->rope_base == 1e5f && i->n_vocab == 49152);
	CHECK_STR(i->weight_type, "Q4_1");
	CHECK_INT(i->n_param, 134515008);
	model_close(m);
}
