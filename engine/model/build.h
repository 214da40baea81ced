/* What the parts of engine/model share while a model is put together: memory that lives as long as the model, the tensors of
 * its files under one roof, and the configuration that both formats come down to.
 *
 *     config_gguf.c, config_folder.c   keys of a GGUF, config.json of a Hugging Face folder -> struct model_config
 *     tensors.c                        tensors of a GGUF or of many safetensors -> struct tensor_set
 *     bind.c                           configuration + tensors -> struct model, every shape checked
 *     rope.c                           rotary frequencies, and the order of rows that they are for
 *     fingerprint.c                    model_sha256 and its cache
 *     storage.c                        memory and maps that live as long as the model
 *     open.c, open_folder.c            the public functions; a folder's weight files and their index
 */
#ifndef KVGLASS_ENGINE_MODEL_BUILD_H
#define KVGLASS_ENGINE_MODEL_BUILD_H

#include <pthread.h>

#include "engine/file/gguf.h"
#include "engine/model/model.h"
#include "engine/safetensors.h"

/* ---- memory -------------------------------------------------------------------------------------------------- */

struct storage_block;

struct model_storage {
	struct file_map *map; /* the weight files, in order */
	int n_map;
	struct storage_block *blocks;
	pthread_mutex_t hash_lock;
	bool hashed;
	char sha256[65];
};

void storage_free(struct model_storage *s);
/* Zeroed memory that model_close() frees; NULL when there is none. */
void *storage_take(struct model_storage *s, size_t n_bytes);
char *storage_text(struct model_storage *s, const char *text);
int storage_map(struct model_storage *s, const char *path, struct err *e); /* one more weight file */

/* ---- configuration ------------------------------------------------------------------------------------------- */

struct rope_config {
	double base;
	bool llama3; /* Llama-3 scaling by these four numbers (Hugging Face) */
	double factor, low_freq_factor, high_freq_factor, original_context;
	const float *divisor; /* (head_dim / 2) or NULL: what frequencies are divided by, from a GGUF's rope_freqs.weight */
};

struct model_config {
	enum arch arch;
	int n_layer, n_head, n_kv_head, head_dim, n_embd, n_ff, n_ctx;
	int n_vocab; /* 0: whatever the embedding has */
	float norm_eps;
	bool tied;
	struct rope_config rope;
};

enum { N_ARCH = ARCH_QWEN3 + 1 };
const char *arch_name(enum arch a); /* "llama"; also the prefix of GGUF keys and HF's model_type */
bool arch_find(const char *name, enum arch *out);
/* Counts positive, below the limits that keep every product in an int, and fitting each other. */
int config_check(const struct model_config *c, const char *path, struct err *e);

int config_from_gguf(struct model_config *out, const struct gguf_file *g, const char *path, struct err *e);
int config_from_folder(struct model_config *out, const char *folder, struct err *e);
int config_from_json(struct model_config *out, const char *text, size_t n_bytes, const char *path, struct err *e); /* its config.json */

/* out (head_dim / 2), see model.h's rope_inv_freq */
void rope_frequencies(const struct rope_config *c, int head_dim, float *out);

/* ---- tensors ------------------------------------------------------------------------------------------------- */

struct stored_tensor {
	const char *name;
	const char *type_name; /* of any type, also of those the engine cannot run */
	bool supported;
	enum tensor_type type;
	int n_dim;
	uint64_t dim[4]; /* slowest first, whatever the file's order */
	const uint8_t *data;
	size_t n_bytes;
	bool used;
};

struct tensor_set {
	struct stored_tensor *tensor; /* sorted by name */
	int n;
	const char *path;
};

int tensor_set_from_gguf(struct tensor_set *out, const struct gguf_file *g, const char *path, struct err *e);
/* The tensors of all files; a name in two of them is an error. The names lie in the st_files. */
int tensor_set_from_folder(struct tensor_set *out, const struct st_file *file, int n_file, const char *path, struct err *e);
void tensor_set_free(struct tensor_set *s);
/* NULL when absent; marks it as used. */
struct stored_tensor *tensor_set_use(struct tensor_set *s, const char *name);

/* ---- binding ------------------------------------------------------------------------------------------------- */

struct naming { /* of tensors, without .weight and .bias */
	const char *embedding, *output, *output_norm;
	const char *layer; /* what comes before the layer number; after it a dot and one of the following */
	const char *proj[N_PROJ];
	const char *attn_norm, *ffn_norm, *q_norm, *k_norm;
};
extern const struct naming naming_gguf, naming_folder;

/* Fills the model from configuration and tensors. Tensors that are left over are an error: what they would add is missing here. */
int model_bind(struct model *m, const struct model_config *c, struct tensor_set *set, const struct naming *names, struct err *e);

/* Fills m (info.path and storage are set) from a folder: files mapped, bound, tokenizer loaded. */
int model_open_folder(struct model *m, struct err *e);

/* SHA-256 of the mapped files in order: looked up in the cache folder's list, else computed and put there. A list that cannot be
 * read or written only costs the time. */
int fingerprint(const struct file_map *map, int n_map, char out[65], struct err *e);

#endif
