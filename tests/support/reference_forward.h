/* The forward pass once more, in double precision and in the plainest way, as an oracle: written from the models' definition
 * (Hugging Face's Llama, Qwen2, Qwen3), shares nothing with engine/forward or engine/cpu. Everything is kept, attention n x n too. */
#ifndef KVGLASS_TESTS_REFERENCE_FORWARD_H
#define KVGLASS_TESTS_REFERENCE_FORWARD_H

#include "engine/lookahead.h"
#include "engine/model/model.h"

struct reference_request {
	const struct model *model;
	const int32_t *ids; /* n_ids token rows, then */
	int n_ids;
	const struct lookahead *modules; /* soft rows with LoRA (Hugging Face row order), or NULL */
	const struct lookahead_switches *switches;
	const struct eviction *eviction; /* for the rows from eviction->n on; or NULL */
};

struct reference {
	int n;             /* rows in all */
	double *logits;    /* (n, n_vocab) */
	double *attention; /* (n_layer, n_head, n, n) */
	double *key_norm;  /* (n_layer, n_kv_head, n) */
	double *value;     /* (n_layer, n_kv_head, n, head_dim) */
};

struct reference *reference_run(const struct reference_request *r);
void reference_free(struct reference *r);
struct reference_rows { /* first, first + step, ... */
	int first, count, step;
};
/* Sum over rows of attention on key j. */
double reference_colsum(const struct reference *r, const struct model *m, int layer, int head, struct reference_rows rows, int j);

#endif
