/* A struct model of random weights, made in memory without a file: any head size, any grouping, any stored type, so that the
 * forward pass can be tested where no real model goes. Not for model_close(). Failures end the test program. */
#ifndef KVGLASS_TESTS_LOOSE_MODEL_H
#define KVGLASS_TESTS_LOOSE_MODEL_H

#include "engine/lookahead.h"
#include "engine/model/model.h"

struct loose_model_options {
	int n_layer, n_head, n_kv_head, head_dim, n_embd, n_ff, n_vocab;
	enum tensor_type type; /* of the matrices; n_embd, n_ff and n_head * head_dim are multiples of its block */
	enum rope_pairs rope_pairs;
	bool bias, qk_norm; /* Qwen2, Qwen3 */
	float sharpness;    /* standard deviation of attention scores, roughly; 0: 1 */
	uint64_t seed;
};

struct loose_model;

struct loose_model *loose_model_make(const struct loose_model_options *o);
bool loose_model_has_bf16(void); /* can the device that the models are on multiply bfloat16? */
struct model *loose_model_get(struct loose_model *r);
void loose_model_free(struct loose_model *r);

/* Soft tokens and LoRA of rank r on every projection, all random and large enough to matter. For lookahead_free(). */
struct lookahead *loose_modules(const struct model *m, int n_lookahead, int r, uint64_t seed);
/* n random ids of the model's vocabulary; free(). */
int32_t *loose_ids(const struct model *m, int n, uint64_t seed);

#endif
