/* The engine: opens language models, runs them, and measures attention while it does.
 *
 * Two objects. A `model` is what a file holds: configuration, tokenizer, weights as stored (memory-mapped).
 * It is immutable after model_open() and may be shared by threads. A `session` is one timeline over a model: KV cache,
 * scratch, position. A session belongs to one thread at a time; two sessions on one model may run at once.
 *
 * The one measurement (SnapKV arXiv 2404.14469; LookaheadKV arXiv 2603.10899): for a set of query rows Q
 *
 *     colsum[l,h,j] = sum over rows i in Q of softmax_i(q_i . k_* / sqrt(head_dim))[j]
 *
 * where the softmax of row i runs over ALL keys visible to it (positions 0..i), in float32, and columns j < n_key are kept.
 * Every importance method of kvglass is this with another Q. Nothing of size rows x keys is ever stored.
 *
 * Shapes are written (slowest, ..., fastest). Positions, layers, heads and rows count from 0.
 */
#ifndef KVGLASS_ENGINE_ENGINE_H
#define KVGLASS_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/chat_message.h"
#include "engine/err.h"
#include "engine/progress.h"

/* ---- model ------------------------------------------------------------------------------------------------ */

enum arch { ARCH_LLAMA, ARCH_QWEN2, ARCH_QWEN3 };
enum device_choice { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA };
enum precision { PRECISION_AUTO, PRECISION_F32, PRECISION_BF16 }; /* auto: f32 on the CPU, bf16 on CUDA */

struct model;
struct session;
struct lookahead; /* engine/lookahead.h */

struct model_options {
	enum device_choice device;
	enum precision precision;
	int device_index; /* cuda:N */
};

struct model_info {
	const char *path;        /* as given */
	const char *name;        /* general.name of a GGUF, else the file's or folder's name */
	const char *format;      /* "gguf v3", "safetensors x 4" */
	const char *weight_type; /* type that holds most weight bytes: "Q4_1", "BF16", ... */
	const char *chat_family; /* "chatml", "llama3", ...; NULL when the model carries no known template */
	enum arch arch;
	const char *arch_name; /* "llama", "qwen2", "qwen3" */
	int n_layer, n_head, n_kv_head, head_dim;
	int n_embd, n_ff, n_vocab, n_ctx;
	float rope_base;
	bool rope_llama3; /* Llama-3 frequency scaling is on */
	bool tied;        /* the output matrix is the embedding */
	uint64_t n_param, weight_bytes;
	const char *device;    /* "cpu", "cuda:0" */
	const char *precision; /* "f32", "bf16" */
	const char *fallback;  /* why an asked-for or automatic device is not used; NULL otherwise */
};

/* Opens a .gguf file or a Hugging Face directory. Reads headers and tokenizer only: milliseconds, not the weights. */
int model_open(struct model **out, const char *path, const struct model_options *options, struct err *e);
void model_close(struct model *m); /* after its sessions; NULL is allowed */
const struct model_info *model_info(const struct model *m);
/* Hash of the model file (of a directory's weight files in order): 64 hex digits. Reads every byte the first
 * time; remembered in the cache folder by path, size and time of change. Thread-safe; the string lives as long as m. */
int model_sha256(const struct model *m, const char **hex, struct err *e);

/* ---- tokens ------------------------------------------------------------------------------------------------ */

enum prompt_mode { PROMPT_AUTO, PROMPT_CHAT, PROMPT_RAW };                /* auto: chat when the model carries a template */
enum token_part { PART_TEMPLATE, PART_SYSTEM, PART_USER, PART_RESPONSE }; /* where a token comes from; raw prompts are all PART_USER */

struct token_list {
	int32_t *id;
	uint8_t *part; /* enum token_part of the token's first byte */
	int n;
	size_t n_lost; /* bytes of the text that the vocabulary has no token for; they vanish, as in the reference */
};
void token_list_free(struct token_list *t); /* safe on a zeroed struct */

/* Prompt text to ids, exactly as the reference does for the mode:
 *   raw   control-token text is recognised as tokens, a BOS is added only where the tokenizer's settings ask for it;
 *   chat  apply_chat_template([one user message], add_generation_prompt=True), default system prompt included;
 *         control-token text inside the user's message stays text.
 * Text must be valid UTF-8 (the error names the byte) and not empty. *mode receives the mode that was used when it was AUTO. */
int model_prompt(const struct model *m, const char *text, size_t n_bytes, enum prompt_mode *mode, struct token_list *out, struct err *e);
/* A conversation to ids, the assistant's next turn open behind it: chat mode for more than one user message. */
int model_conversation(const struct model *m, const struct chat_message *message, int n, struct token_list *out, struct err *e);
/* Plain text to ids: control-token text stays text, nothing added (a given response). */
int model_encode(const struct model *m, const char *text, size_t n_bytes, struct token_list *out, struct err *e);
/* Bytes that a token stands for; may be part of a character. Special tokens give their text. Not NUL-terminated;
 * lives as long as m. An id outside the vocabulary gives n_bytes 0. */
const char *model_piece(const struct model *m, int32_t id, size_t *n_bytes);
/* The pieces of n ids one after another, with a NUL that is not counted; the caller frees. offset, (n + 1) or NULL, receives where
 * each begins, in bytes. NULL: no memory, or more than 2 GiB. */
char *model_text(const struct model *m, const int32_t *id, int n, int32_t *offset, size_t *n_bytes);
bool model_is_special(const struct model *m, int32_t id); /* control tokens */
bool model_is_end(const struct model *m, int32_t id);     /* every end token that the model declares */

/* ---- memory ------------------------------------------------------------------------------------------------ */

struct memory_estimate { /* bytes */
	uint64_t weights;    /* mapped file pages (CPU) or device copy */
	uint64_t kv;         /* KV cache of max_tokens */
	uint64_t scratch;    /* activations, unpacked panels */
	uint64_t maps;       /* n_maps column-sum maps of max_tokens */
	uint64_t total;
	uint64_t available; /* of the machine or device now; 0 when unknown */
};
void model_estimate(const struct model *m, int max_tokens, int n_maps, struct memory_estimate *out);

/* ---- session ----------------------------------------------------------------------------------------------- */

struct session_options {
	int max_tokens; /* capacity of the KV cache: prompt + lookahead rows + response; at most n_ctx + lookahead rows */
	int n_threads;  /* 0: all cores this process may use */
	int chunk_rows; /* rows a prefill step takes; 0: chosen by the backend */
};

/* Refuses with ERR_MEMORY and the figures when the estimate does not fit. */
int session_open(struct session **out, const struct model *m, const struct session_options *options, struct err *e);
void session_close(struct session *s); /* NULL is allowed */
int session_length(const struct session *s);         /* tokens in the cache */
int session_truncate(struct session *s, int length); /* forget positions >= length; ERR_USE when longer than it is */

/* One set of query rows to be measured during a run. Rows are absolute positions first, first + step, ... (count of
 * them); a run measures those it contains, so one request may span prefill chunks and decode steps. */
struct colsum_request {
	int first, count, step;
	int n_key;  /* columns kept: 0 .. n_key-1 */
	float *sum; /* (n_layer, n_head, n_key); added to, so the caller clears it first and owns it */
	/* self-check: largest |sum over all visible keys - 1| of a measured row, NaN if one appeared; only ever raised; may be NULL */
	double *row_error;
};

struct run_request {
	const int32_t *ids; /* n of them, appended at positions length .. length + n - 1 */
	int n;
	const struct colsum_request *colsum;
	int n_colsum;
	float *logits; /* (n, n_vocab) of every row, or NULL; the last row's are always kept, see session_logits */
	bool gather; /* column sums may stay on the device until session_collect(): more rows of the same captures follow */
	const char *stage; /* name for progress: "prefill", "response", ... */
	const struct progress *progress;
};

/* Appends tokens. On any failure, a cancel included, the cache is as before the call (the sums may have been added to). */
int session_run(struct session *s, const struct run_request *r, struct err *e);
const float *session_logits(const struct session *s); /* (n_vocab) of the last row run, valid until the next run; NULL when that row is gone */

struct generate_options {
	int n_max;         /* response tokens at most */
	float temperature; /* 0: greedy, lowest id among equals */
	uint64_t seed;
	const struct colsum_request *colsum; /* truth: rows of the response as they are written */
	int n_colsum;
	/* called after token number i has been fed and measured; non-zero ends the response there (no error) */
	int (*on_token)(void *user, int i, int32_t id);
	void *user;
	const struct progress *progress; /* stage "decode" */
};

/* Continues after session_run(): picks a token from the last logits, stops at an end token (which is neither fed nor returned),
 * feeds it, and so on; every returned token has been fed, so its row is measured. ids has room for n_max; *n receives the count,
 * *stopped whether an end token came. */
int session_generate(struct session *s, const struct generate_options *o, int32_t *ids, int *n, bool *stopped, struct err *e);

/* Between tokens of session_generate(), or after runs that gather: brings the column sums up to date in their owners' arrays. A device
 * gathers them by itself until the response ends. */
int session_collect(struct session *s, struct err *e);

/* L2 norms of cached keys of positions 0 .. n-1 (RoPE does not change them): out (n_layer, n_kv_head, n). */
int session_key_norms(struct session *s, int n, float *out, struct err *e);

enum value_norm {
	VALUE_L2,    /* |V[g,j]|_2                       out (n_layer, n_kv_head, n) */
	VALUE_L1_WO, /* mean over the group's query heads of |V[g,j] W_O^(h)|_1, same shape (CriticalKV, arXiv 2502.03805) */
	VALUE_L2_WO, /* the same with the L2 norm (KVzip+, after KVzip, arXiv 2505.23416) */
};
int session_value_norms(struct session *s, enum value_norm kind, int n, float *out, struct err *e);

/* ---- eviction ---------------------------------------------------------------------------------------------- */

struct eviction {
	int n;               /* it is about positions 0 .. n-1; what is appended later is kept */
	const uint8_t *kept; /* (n_layer, n_head, n) 0: the query head does not see that position any more */
};
/* From the next run on every softmax goes over kept positions alone, as if the others' entries were gone from the cache; kept keys
 * have the rotation of their old positions and tokens go on at session_length(), as in SnapKV. The entries stay
 * where they are, so another eviction, or NULL (everything is seen again), costs no rerun. kept is copied.
 * ERR_USE when n is longer than the session. */
int session_evict(struct session *s, const struct eviction *eviction, struct err *e);

/* ---- the LookaheadKV pass ---------------------------------------------------------------------------------- */

enum { PROJ_Q, PROJ_K, PROJ_V, PROJ_O, PROJ_GATE, PROJ_UP, PROJ_DOWN, N_PROJ };

struct lookahead_switches { /* for debugging modules; NULL means everything on */
	int n_rows;              /* first rows used; 0: all */
	float scale;             /* multiplies alpha / r; 1 is the module as trained */
	unsigned proj_off;       /* bit 1 << PROJ_*: this LoRA is off in every layer */
	const uint8_t *layer_on; /* (n_layer) 0 switches a layer's LoRA off; NULL: all on */
};

struct lookahead_request {
	const struct lookahead *modules;
	const struct lookahead_switches *switches; /* or NULL */
	float *sum;     /* (n_layer, n_head, n) with n = session_length(): summed over the rows used; added to */
	float *per_row; /* (n_layer, n_head, n_rows, n) or NULL */
	double *row_error;
	const struct progress *progress; /* stage "lookahead" */
};

/* Runs the soft tokens at positions n .. n+rows-1 over the finished cache and measures their attention on the prompt.
 * Rows see the whole prompt and earlier lookahead rows; LoRA acts on them alone. The cache, its length and the logits are
 * as before, bit for bit (lookahead keys live behind the end and are forgotten). */
int session_lookahead(struct session *s, const struct lookahead_request *r, struct err *e);

/* ---- what this build and machine offer ------------------------------------------------------------------- */

struct engine_build {
	const char *version; /* "0.1.0" */
	const char *cuda;    /* "13.0" or NULL when built without */
	const char *cuda_code; /* "sm_80 sm_90": device code for these, PTX of the last for later ones; or NULL */
	const char *matmul;  /* "oneDNN 2.6.0" */
	const char *simd;    /* "avx512_bf16", "avx512", "avx2", "baseline": kernels chosen for this machine */
	int n_threads;
};
const struct engine_build *engine_build(void);
uint64_t engine_peak_memory(void); /* bytes: largest resident set of this process so far */

#endif
