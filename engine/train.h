/* Training lookahead modules (LookaheadKV, arXiv 2603.10899).
 *
 *     loss = mean over prompts, layers and query heads of KL(truth || prediction), both L1-normalised over the prompt, no pooling
 *
 * Two phases. Targets: for every prompt the truth per layer and head and the prompt's keys and values, kept as files in a folder that
 * is its own index (one file a prompt, named by what it depends on, written whole or not at all). Steps: forward and backward of the
 * lookahead rows alone. The same prompts, seed and options give the same losses on the same machine; a killed run goes on from its last
 * checkpoint to the same result.
 */
#ifndef KVGLASS_ENGINE_TRAIN_H
#define KVGLASS_ENGINE_TRAIN_H

#include "engine/engine.h"
#include "engine/lookahead.h"

/* ---- targets ---------------------------------------------------------------------------------------------- */

struct target_request {
	const int32_t *ids; /* prompt */
	int n;
	const int32_t *response; /* given response, or NULL: the model's own greedy one */
	int n_response;          /* tokens of it; of the own one at most */
};
struct target_store; /* a folder of targets of one model */

struct target_store_options {
	const char *folder;   /* NULL: a store in memory, for target_store_add() alone */
	uint64_t limit_bytes; /* the folder never grows beyond it; 0: no limit */
	int n_threads;
};
int target_store_open(struct target_store **out, const struct model *m, const struct target_store_options *o, struct err *e);
void target_store_close(struct target_store *s);
/* Makes what is not there yet; several prompts are decoded at once. made (n_request): the target's number for target_get(), or -1 for
 * a prompt that gives none (an empty response); the reason goes to note (n_request, may be NULL) as a static string. */
int target_store_make(struct target_store *s, const struct target_request *request, int n_request, int *made, const char **note,
	const struct progress *progress, struct err *e);

/* One prompt of a live session whose first n positions are that prompt, with truth measured already (a capture's rows.truth): copied,
 * kept in memory whatever the store, so that training can begin at once. */
struct target_measured {
	const int32_t *ids, *response;
	int n, n_response;
	const float *truth; /* (n_layer, n_head, n) */
};
int target_store_add(struct target_store *s, struct session *live, const struct target_measured *m, int *number, struct err *e);

struct target {
	int n, n_response;
	const int32_t *ids, *response;
	const float *truth;          /* (n_layer, n_head, n) mean over the response rows */
	const uint16_t *key, *value; /* (n_layer, n_kv_head, n, head_dim) half precision */
	uint64_t bytes;
};
int target_get(struct target_store *s, int number, struct target *out, struct err *e); /* valid while the store is open */
/* Is the target's file still what was mapped? Asked after it was used: when it is not, the result is worth nothing. */
int target_check(const struct target_store *s, int number, struct err *e);

/* ---- training --------------------------------------------------------------------------------------------- */

struct train_options {
	const struct lookahead *start; /* continue from this module, or NULL: soft tokens at the embedding's scale, A random, B zero */
	int n_lookahead, r;            /* 32, 8 (ignored with start) */
	float alpha;                   /* 32 */
	unsigned targets;              /* bits 1 << PROJ_*: projections that get adapters; 0: all */
	float lr;                      /* 1e-3, peak */
	float weight_decay, clip;      /* 0, 1 */
	int batch, steps, warmup;      /* prompts a step; updates; updates of linear rise */
	int n_micro;                   /* prompts of one pass at most (memory); gradients are accumulated; 0: batch */
	int longest;                   /* tokens of prompts that trainer_judge() will be given, where those of training are shorter */
	uint64_t seed;
	int n_threads;
	const char *checkpoint;        /* file, or NULL; written every checkpoint_every steps and when training stops */
	int checkpoint_every;
	const char *note;              /* kept in the module's metadata: data, command */
};
void train_options_default(struct train_options *o);

struct train_report { /* of one update */
	int step, steps;
	double loss;      /* of the step's prompts, before the update */
	double norm;      /* of the gradient, before clipping */
	double rate;
	double seconds;   /* of the step */
	int64_t tokens;   /* prompt tokens attended to */
};

struct trainer;
/* Continues from the checkpoint when there is one of the same options, model and targets (*resumed: updates already made). */
int trainer_open(struct trainer **out, const struct model *m, struct target_store *store, const int *target, int n_target,
	const struct train_options *o, int *resumed, struct err *e);
void trainer_close(struct trainer *t);
uint64_t trainer_bytes(const struct model *m, const struct train_options *o, int longest); /* memory of a step, beside the targets */
/* One update. ERR_NUMBER (loss or gradient not finite) leaves the parameters as they were before the step. */
int trainer_step(struct trainer *t, struct train_report *report, struct err *e);
int trainer_save_checkpoint(struct trainer *t, struct err *e);
/* Undo: parameters as training began, no update made; a checkpoint file stays. */
void trainer_rewind(struct trainer *t);
/* The present modules, which say what model they are for and how they were made: a copy, milliseconds. */
int trainer_export(struct trainer *t, struct lookahead **out, struct err *e);

/* Loss of a target under the trainer's present parameters; mean (n_layer, n_head, n) receives the prediction, or NULL;
 * head_kl (n_layer, n_head) or NULL. */
int trainer_judge(struct trainer *t, int target, double *loss, float *mean, double *head_kl, struct err *e);

#endif
