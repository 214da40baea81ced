/* What breaks when tokens are evicted: the model continues the same prompt from a cache that keeps what a method chose.
 *
 * As published (SnapKV, LookaheadKV): the prompt is read whole, its first response token comes from there; then every query head sees
 * only what its KV head kept, and tokens go on at their old positions. Two questions are asked of it:
 *
 *   freely    the greedy response, beside the greedy response of the whole cache: where do they part?
 *   forced    the whole cache's response is fed, token by token: KL(whole || evicted) of the next token's distribution after each
 *             (natural log, over the vocabulary), and whether the likeliest token is the same
 *
 * The second is how llama.cpp's perplexity tool judges quantised weights (--kl-divergence), here per token of one response.
 */
#ifndef KVGLASS_ANALYSIS_EVICTION_H
#define KVGLASS_ANALYSIS_EVICTION_H

#include "analysis/evaluation.h"
#include "analysis/live.h"

/* ---- what is kept ---- */

struct kept_tokens {
	int n;            /* prompt tokens */
	uint8_t *kept;    /* (n_layer, n_head, n) as session_evict() takes it */
	int64_t n_entry;  /* (layer, unit, token) entries that stay, ... */
	int64_t n_all;    /* ... of so many */
};
/* The choice of method m of an evaluation at a budget, dealt out as its protocol says. ERR_USE for a budget that leaves nothing to choose. */
int eviction_choose(struct kept_tokens *out, const struct evaluation *ev, int m, int budget, struct err *e);
void kept_tokens_free(struct kept_tokens *k); /* safe on a zeroed struct */

/* ---- the whole cache, to compare with ---- */

struct whole_response { /* of the whole cache: greedy, as long as the live capture's response */
	int n, n_vocab;
	int32_t *id;   /* (n) */
	bool ended;    /* by an end token */
	float *logits; /* (n, n_vocab) after each of them */
};
/* ERR_USE when the run had no response; ERR_MEMORY with figures when the logits do not fit. */
int eviction_whole(struct whole_response **out, struct live *l, const struct progress *progress, struct err *e);
void whole_response_free(struct whole_response *w); /* NULL is allowed */

/* ---- the evicted cache ---- */

struct evicted_response {
	int n;           /* freely: tokens, the first of which the whole cache gave */
	int32_t *id;
	bool ended;
	int first_different; /* index of the first token that is not the whole cache's; -1: the responses are the same */
	int n_step;          /* forced: after each token of the whole cache's response */
	double *kl;          /* (n_step) */
	uint8_t *same_top;   /* (n_step) */
	double mean_kl, top_share; /* over the steps */
};
/* The session is as before afterwards, eviction undone. Stages "evicted" and "forced". */
int eviction_run(struct evicted_response **out, struct live *l, const struct kept_tokens *kept, const struct whole_response *whole,
	const struct progress *progress, struct err *e);
void evicted_response_free(struct evicted_response *r); /* NULL is allowed */

#endif
