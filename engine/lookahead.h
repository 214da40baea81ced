/* Lookahead modules (LookaheadKV, arXiv 2603.10899): n_lookahead soft tokens and rank-r LoRA pairs on
 * q, k, v, o, gate, up, down that act on the lookahead rows alone: y = W x + scale * B (A x), scale = alpha / r.
 *
 * File: safetensors. Written names: `lookahead.embedding` (n_lookahead, n_embd), `layers.<l>.<proj>.lora_a` (r, n_in),
 * `layers.<l>.<proj>.lora_b` (n_out, r); metadata `kvglass.n_lookahead`, `kvglass.r`, `kvglass.alpha`, `kvglass.base_name`,
 * `kvglass.base_sha256`, `kvglass.training`. Read: these, and any naming in which layer number, projection word and shape
 * leave one choice. q and k adapters are in Hugging Face (rotate-half) row order in the file; in memory too, the forward pass permutes.
 */
#ifndef KVGLASS_ENGINE_LOOKAHEAD_H
#define KVGLASS_ENGINE_LOOKAHEAD_H

#include "engine/engine.h"

struct lora {
	int r, n_in, n_out;
	float *a; /* (r, n_in); NULL: this projection has no adapter */
	float *b; /* (n_out, r) */
	float own_scale; /* alpha / r that the file gives this adapter alone, folded into b; 0: nothing of its own */
};

struct lookahead {
	int n_lookahead, n_embd, n_layer;
	float *embedding;   /* (n_lookahead, n_embd) */
	struct lora *lora;  /* (n_layer, N_PROJ) */
	float scale;        /* alpha / r */
	char *name;         /* file name, or "untrained" */
	char *path;         /* NULL for a module made here */
	char sha256[65];    /* of the file; "" for a module made here */
	char *base_name, *base_sha256, *training; /* metadata, NULL where absent */
	char *warning;      /* one line: what the file left open and how it was read; NULL when nothing */
	uint64_t n_param;
	/* What tells these modules from all others that are or were: drawn by the machine's own generator when they are made. A session keeps
	 * what it made of the modules with the number it met last, so whoever changes adapters after a pass sets it to 0: never kept. */
	uint64_t identity;
};

struct lookahead_load_options {
	float alpha;            /* 0: from the file, else 4 * r with a warning */
	bool ignore_base_hash;  /* a module of another file of the same shape */
};

/* Refuses tensors that fit nothing or two places (the error lists what was found), shapes that are not the model's, and another
 * base hash unless told otherwise. The result is immutable and independent of the model's lifetime.
 *
 * How names are read: they fall into words at every character that is no letter or digit and between letters and digits. The
 * layer is the number after layers, layer, blocks, block or h; the projection the one word q, k, v, o, gate, up, down (or q_proj,
 * qproj, ...); A or B the word a, b, loraA, or lora_down, lora_up. The rank is in the settings or the shorter side of each
 * adapter. A tensor of no layer and no projection is the embedding. Either orientation; a square matrix only under its written name.
 *
 * Alpha: o->alpha; a scalar `<adapter>.alpha` beside a pair; metadata kvglass.alpha, lora_alpha or alpha; else, for files without
 * kvglass.alpha, the adapter_config.json of the same folder (PEFT: r, lora_alpha, rank_pattern, alpha_pattern, use_rslora,
 * base_model_name_or_path). Where ranks differ, each adapter's scale is alpha over its own rank, as PEFT has it.
 *
 * path may be a folder as PEFT writes it (lookahead_file()).
 *
 * m may be NULL, to look into a file (kvglass info): layers and widths then come from the file itself and are only checked
 * against each other. o may be NULL. */
int lookahead_load(struct lookahead **out, const struct model *m, const char *path, const struct lookahead_load_options *o,
	struct err *e);
/* The file that a path means: adapter_model.safetensors of a folder that has one, else the path itself. malloc'd; NULL: no memory. */
char *lookahead_file(const char *path);
/* The control: soft tokens normal at the scale of the model's own embedding (its overall standard deviation, of 4096 evenly spread
 * rows when it has more), no adapters active (A uniform in +-1/sqrt(n_in) as PEFT starts, B zero; the last layer has only q and k). r may
 * be 0: no LoRA at all. base_name is set, base_sha256 left to whoever saves the result. */
int lookahead_untrained(struct lookahead **out, const struct model *m, int n_lookahead, int r, float alpha, uint64_t seed,
	struct err *e);
/* The largest rank of its adapters, 0 without any; whether all have it. */
int lookahead_rank(const struct lookahead *l);
bool lookahead_one_rank(const struct lookahead *l);
/* A copy in which every adapter has the largest rank: rows of A and columns of B that are zero add nothing. */
int lookahead_padded(struct lookahead **out, const struct lookahead *l, struct err *e);
/* Written names, F32 or BF16, atomically; padded when ranks differ. */
int lookahead_save(const struct lookahead *l, const char *path, bool bf16, struct err *e);
void lookahead_free(struct lookahead *l); /* NULL is allowed; each array and text is freed on its own, so they may be replaced */
/* "q", "k", "v", "o", "gate", "up", "down": the written word of PROJ_Q ... */
const char *projection_name(int proj);

#endif
