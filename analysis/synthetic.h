/* Synthetic captures: maps that look like real ones, from a seed, without a model.
 *
 * For tests, for `bench --screen` and for figures' tests. What real maps of a small instruct model show is
 * imitated: sinks at the start, a dozen in-prompt sinks in the layers
 * between an eighth and a third of the depth, window heat towards the end, phrases that the answer reads,
 * importance that heads of a KV group share in part; SnapKV and LookaheadKV are the truth under noise that grows
 * with depth (SnapKV more, with the window's heat added), untrained rows hardly know it.
 */
#ifndef KVGLASS_ANALYSIS_SYNTHETIC_H
#define KVGLASS_ANALYSIS_SYNTHETIC_H

#include "analysis/capture.h"

struct synthetic_spec {
	int n_layer, n_head, n_kv_head, head_dim;
	int n_prompt, n_response; /* n_response 0: no truth */
	int window;               /* rows of `snapkv` */
	bool every_method;        /* also untrained, tova, h2o, keynorm, snapkv_w8, snapkv_w64; else snapkv and lookahead alone */
	uint64_t seed;
};
/* 30 layers, 9 heads on 3 KV heads of 64, 2,000 tokens, 97 of response, window 32, every method, seed 1. */
struct synthetic_spec synthetic_default(void);

/* The same spec gives the same capture. Text, parts and metadata are filled in as a live run fills them. */
int synthetic_capture(const struct capture **out, const struct synthetic_spec *spec, struct err *e);

#endif
