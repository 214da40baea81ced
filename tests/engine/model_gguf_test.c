/* GGUF files that are no model of ours, and paths that are no model at all: each refused in words that name what and where. */
#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

static void check_refused(struct gguf_writer *w, int code, const char *want)
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
	check_refused(&w, ERR_UNSUPPORTED, "architecture mamba is not supported; llama, qwen2 and qwen3 are");
	w = tiny(TINY_LLAMA);
	rename_to(&w.values, "general.architecture", "general.architectura");
	check_refused(&w, ERR_FORMAT, "key general.architecture is missing");
	w = tiny(TINY_LLAMA);
	rename_to(&w.values, "llama.block_count", "llama.block_xount");
	check_refused(&w, ERR_FORMAT, "key llama.block_count is missing or no integer");
	w = tiny(TINY_LLAMA);
	rename_to(&w.values, "llama.attention.layer_norm_rms_epsilon", "llama.attention.layer_norm_xxx_epsilon");
	check_refused(&w, ERR_FORMAT, "key llama.attention.layer_norm_rms_epsilon is missing or no number");
	w = tiny(TINY_LLAMA);
	set_u32(&w, "llama.block_count", 0);
	check_refused(&w, ERR_FORMAT, "0 layers, 1 to 1024 are possible");
	w = tiny(TINY_LLAMA);
	set_u32(&w, "llama.context_length", 0xffffffff);
	check_refused(&w, ERR_FORMAT, "-1 context positions, 1 to 1073741824 are possible");
	w = tiny(TINY_LLAMA);
	set_u32(&w, "llama.attention.head_count", 3);
	check_refused(&w, ERR_FORMAT, "256 dimensions do not divide into 3 heads and llama.attention.key_length is missing");
	w = tiny(TINY_LLAMA);
	set_u32(&w, "llama.attention.head_count_kv", 3);
	check_refused(&w, ERR_FORMAT, "4 query heads cannot share 3 KV heads evenly");
	w = tiny(TINY_LLAMA);
	float nan_value = NAN;
	memcpy(at(&w.values, "llama.rope.freq_base") + 24, &nan_value, sizeof nan_value);
	check_refused(&w, ERR_FORMAT, "RoPE base is nan, it must be above 1");
}

TEST(model, gguf_features_that_are_refused)
{
	struct gguf_writer w = tiny(TINY_LLAMA);
	gguf_put_u32(&w, "llama.expert_count", 8);
	check_refused(&w, ERR_UNSUPPORTED, "a mixture of 8 experts; mixtures are not supported");
	w = tiny(TINY_LLAMA);
	gguf_put_string(&w, "llama.rope.scaling.type", "yarn");
	check_refused(&w, ERR_UNSUPPORTED, "RoPE scaling of type yarn is not supported");
	w = tiny(TINY_QWEN2);
	gguf_put_u32(&w, "qwen2.attention.sliding_window", 128);
	check_refused(&w, ERR_UNSUPPORTED, "attention in a sliding window of 128 tokens is not supported");
	w = tiny(TINY_LLAMA);
	gguf_put_u32(&w, "llama.rope.dimension_count", 32);
	check_refused(&w, ERR_UNSUPPORTED, "RoPE on 32 of 64 dimensions per head; partial RoPE is not supported");
	w = tiny(TINY_LLAMA);
	gguf_put_u32(&w, "split.count", 3);
	check_refused(&w, ERR_UNSUPPORTED, "one of 3 parts of a model; only whole files are read");
	w = tiny(TINY_LLAMA);
	const uint64_t dim[] = {256};
	float bias[256] = {0};
	gguf_put_tensor(&w, "blk.0.attn_q.bias", 0, 1, dim, bias, sizeof bias);
	check_refused(&w, ERR_UNSUPPORTED, "1 tensor that a llama model of 3 layers does not have, blk.0.attn_q.bias among them; "
		"what they are for is not supported");
}

TEST(model, gguf_tensors_that_are_refused)
{
	struct gguf_writer w = tiny(TINY_LLAMA);
	rename_to(&w.records, "blk.1.ffn_up.weight", "blk.1.ffn_xx.weight");
	check_refused(&w, ERR_FORMAT, "tensor blk.1.ffn_up.weight is missing");
	w = tiny(TINY_LLAMA); /* Q8_0 of 256 columns is 272 bytes a row, Q3_K 110: it fits into the place */
	memcpy(at(&w.records, "blk.1.ffn_up.weight") + 19 + 4 + 16, &(uint32_t){11}, 4);
	check_refused(&w, ERR_UNSUPPORTED, "tensor blk.1.ffn_up.weight is of type Q3_K, which is not supported");
	w = tiny(TINY_LLAMA);
	const uint64_t turned[] = {128, 256};
	memcpy(at(&w.records, "blk.0.attn_k.weight") + 19 + 4, turned, sizeof turned);
	check_refused(&w, ERR_FORMAT, "tensor blk.0.attn_k.weight has shape (256, 128), (128, 256) is needed");
	w = tiny(TINY_LLAMA);
	memcpy(at(&w.records, "blk.0.ffn_norm.weight") + 21 + 4, &(uint64_t){255}, 8);
	check_refused(&w, ERR_FORMAT, "tensor blk.0.ffn_norm.weight has shape (255), (256) is needed");
	w = tiny(TINY_LLAMA);
	memcpy(at(&w.records, "token_embd.weight") + 17 + 4 + 8, &(uint64_t){280}, 8);
	check_refused(&w, ERR_FORMAT, "the tokenizer has 288 ids, the embedding has 280 rows");
	w = tiny(TINY_LLAMA3);
	memset(w.data.data + w.data.n - 64, 0, 64); /* the last tensor, 16 divisors */
	check_refused(&w, ERR_FORMAT, "tensor rope_freqs.weight: element 0 is 0, it must be positive");
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
