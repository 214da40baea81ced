/* A session's insides, shared by the files of this room: session.c (life, runs), forward.c (layers), generate.c, lookahead_pass.c. */
#ifndef KVGLASS_ENGINE_FORWARD_SESSION_H
#define KVGLASS_ENGINE_FORWARD_SESSION_H

#include "engine/forward/backend.h"

struct session {
	const struct model *model;
	const struct backend_ops *ops;
	struct backend *backend;
	int length, max_tokens;
	bool has_logits; /* the backend's last logits are those of the last row run */
	struct adapter_set *adapters; /* lookahead_pass.c: what the last pass used */
};

/* One pass of rows through the layers: a prefill chunk, a decode step, the lookahead rows. */
struct pass {
	int position, n_rows;
	const int32_t *ids;           /* (n_rows) tokens, */
	const float *embedding;       /* or (n_rows, n_embd) soft tokens */
	const struct capture *capture;
	int n_capture;
	const struct adapter *adapter; /* (n_layer, N_PROJ) LoRA on every row, or NULL */
	bool want_last;               /* logits of the last row */
	bool soft;                    /* rows that are only measured: the last layer stops at attention and stores no values */
	float *logits;                /* host (n_rows, n_vocab), or NULL */
	/* progress: rows of the whole run before this pass, and in all */
	const struct progress *progress;
	const char *stage;
	int64_t rows_before, rows_total;
};

/* Runs it. Keys and values of the rows are in the cache afterwards, behind the session's length, which the caller moves. */
int forward_pass(struct session *s, const struct pass *p, struct err *e);

/* Checks a request that a caller made and turns it into what backends take. n_key columns are written from 0. */
int capture_from_request(struct capture *out, const struct colsum_request *r, struct err *e);

void adapter_set_free(struct adapter_set *a); /* NULL is allowed */

/* memory.c: bytes of memory this process may still take, 0 when unknown. */
uint64_t memory_available(void);
uint64_t memory_total(void); /* bytes of the machine's memory */

#endif
