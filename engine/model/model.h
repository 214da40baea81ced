/* What model_open() builds and the forward pass reads: weights as stored, norms and biases as float32, RoPE tables' parameters.
 *
 * Row order of q and k: a GGUF of the Llama architecture stores them permuted so that RoPE rotates adjacent pairs
 * (0,1), (2,3), ...; Hugging Face files and the Qwen GGUFs rotate halves (i, i + head_dim/2). Weights are used as stored and
 * `rope_pairs` says which; attention and key norms do not depend on it. Whatever arrives in Hugging Face order (LoRA of q and k)
 * is permuted to this order on use.
 */
#ifndef KVGLASS_ENGINE_MODEL_MODEL_H
#define KVGLASS_ENGINE_MODEL_MODEL_H

#include <pthread.h>

#include "engine/engine.h"
#include "engine/file.h"
#include "engine/file/tensor_type.h"
#include "engine/token/tokenizer.h"

struct weight { /* a matrix as stored: row o holds the n_in factors of output o */
	enum tensor_type type;
	const uint8_t *data; /* n_out rows of tensor_type_bytes(type, n_in), into the mapped file; may be unaligned */
	int n_out, n_in;
};

struct layer_weights {
	struct weight proj[N_PROJ];        /* PROJ_Q (n_head * head_dim, n_embd), K, V, O, GATE, UP (n_ff, n_embd), DOWN (n_embd, n_ff) */
	const float *bias[N_PROJ];         /* (n_out) or NULL; Qwen2 has q, k, v */
	const float *attn_norm, *ffn_norm; /* (n_embd) RMSNorm gains */
	const float *q_norm, *k_norm;      /* (head_dim) Qwen3, else NULL */
};

enum rope_pairs { ROPE_ADJACENT, ROPE_HALVES };

/* What a backend keeps beside a model for all its sessions: a device's copy of the weights. */
struct model_device;
struct model_shared {
	pthread_mutex_t lock;
	struct model_device *device; /* NULL until the first session of a device made it, under the lock */
	void (*free_device)(struct model_device *device);
};
struct model_shared *model_shared_new(void); /* NULL without memory */
void model_shared_free(struct model_shared *s); /* NULL is allowed */

struct model {
	struct model_info info;
	enum device_choice device; /* as asked for */
	enum precision precision;  /* as asked for; info.precision says what it came to */
	float norm_eps;
	enum rope_pairs rope_pairs;
	const float *rope_inv_freq; /* (head_dim / 2): base^(-2i/d), with Llama-3 scaling (or the file's rope_freqs) applied, float32 as the reference computes it */
	/* > 0: a model of random weights on a device, which is to make all matrices but the embedding by itself, normal with this deviation;
	 * `data` then leads to zeros. 0: weights are what `data` holds. */
	float random_deviation;
	struct weight embedding;    /* (n_vocab, n_embd) */
	struct weight output;       /* the same matrix when tied */
	const float *output_norm;   /* (n_embd) */
	struct layer_weights *layer; /* (n_layer) */
	struct tokenizer *tokenizer;
	struct model_storage *storage; /* maps and float arrays that the pointers above lead into; private to engine/model */
	struct model_shared *shared;
};

/* The stored row of a projection's output that is row `row` in Hugging Face order: of q and k, rows (i, or half + i) of a head are rows
 * 2 i (or 2 i + 1) where the file's RoPE rotates adjacent pairs; all other rows lie where they are. */
int model_stored_row(const struct model *m, int proj, int row);

/* Are the weight files still what was opened? Asked after whatever read weights: when they are not, its results are worth nothing. */
int model_check(const struct model *m, struct err *e);

#endif
