/* Model folders whose configuration, files or tensors are not those of a model that kvglass runs. */
#include "engine/engine.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

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
