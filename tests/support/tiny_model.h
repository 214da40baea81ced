/* Tiny random models with everything a real one has, for tests: weights from a seed, a small byte-level BPE tokenizer, a chat
 * template. The same kind and seed give the same float32 weights in both file formats (q and k rows of Llama permuted in the GGUF,
 * as its converter does), and the same on every machine: no libm function that machines round differently. Failures end the test
 * program.
 *
 *     tests/run --tiny FOLDER     writes one of each, for the scripts that make golden files
 */
#ifndef KVGLASS_TESTS_TINY_MODEL_H
#define KVGLASS_TESTS_TINY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/file/tensor_type.h"
#include "tests/support/gguf_writer.h"

enum tiny_kind {
	TINY_LLAMA,  /* like SmolLM: tied, ChatML */
	TINY_LLAMA3, /* Llama-3 RoPE scaling over a tiny original context, output matrix of its own, BOS, Llama 3 template */
	TINY_QWEN2,  /* q, k, v biases, tied */
	TINY_QWEN3,  /* q and k norms, head_dim that is not n_embd / n_head, output matrix of its own */
	N_TINY
};

struct tiny_shape {
	const char *name;
	int n_layer, n_head, n_kv_head, head_dim, n_embd, n_ff, n_ctx, n_vocab; /* rows are multiples of 256, for the K types */
	float rope_base;
	bool tied;
};
const struct tiny_shape *tiny_shape(enum tiny_kind kind);

struct tiny_options {
	enum tiny_kind kind;
	enum tensor_type type; /* of the matrices; norms and biases are F32 in a GGUF, of this type in a folder (F32, F16, BF16 only) */
	uint64_t seed;
	int n_shard;          /* folder: 0 or 1 is model.safetensors, more are shards with an index */
	bool older_words;     /* folder: rope_theta and rope_scaling instead of rope_parameters */
};

/* Every tensor's values before they are stored, by its Hugging Face name ("model.layers.0.mlp.up_proj.weight"): n of them. */
void tiny_values(const struct tiny_options *o, const char *name, float *out, size_t n);

void tiny_model_gguf(const char *path, const struct tiny_options *o);
/* The same, still in memory: gguf_finish() it, or damage it first. */
void tiny_gguf(struct gguf_writer *w, const struct tiny_options *o);
void tiny_model_folder(const char *folder, const struct tiny_options *o); /* the folder is made */
void tiny_models_write_all(const char *folder);

/* Any model that has to open, tiny or not, on the CPU in float32. A failed check says why it does not, and NULL comes back. */
struct model *test_model_open(const char *path);

#endif
