/* One measurement in progress: private to analysis/measure/. */
#ifndef KVGLASS_ANALYSIS_MEASURE_RUN_H
#define KVGLASS_ANALYSIS_MEASURE_RUN_H

#include <pthread.h>

#include "analysis/capture/box.h"
#include "analysis/measure.h"

enum { MAX_SLOT = 32, MAX_WINDOW = 24, MAX_META = 24, N_LOOKAHEAD = 32 };
enum { RESPONSE_BATCH = 64 }; /* rows of a response that is there already between two looks at progress */

/* Column sums of the last `size` prompt rows. Windows nest, so each row is measured once, into the smallest window
 * that holds it, and windows are added up afterwards. */
struct window {
	int size;
	struct block *block; /* (n_layer, n_head, n_prompt) */
	double row_error;
};

/* A finished map. Two slots may share a block. */
struct slot {
	char name[32];
	enum map_kind kind;
	struct block *block;
	int n_rows;
	double row_error;
};

/* Progress of a part under another name and place in the whole; a stop may be kept for a better moment. */
struct relay {
	const struct progress *to;
	const char *stage;
	int64_t before, total; /* total 0: as the part says */
	bool defer;            /* do not stop the part, only remember */
	bool asked;
};

/* Hashing a model reads every byte of it, the first time: done on a thread of its own while the model runs. */
struct hasher {
	const struct model *model;
	const char *sha256; /* the thread's, until it is joined */
	pthread_t thread;
	bool begun;
};

struct run {
	const struct model *model;
	const struct model_info *info;
	const struct measure_options *o;
	struct measure_timings *timings;
	struct session *session;
	struct token_list prompt, given;
	enum prompt_mode mode;
	int n_prompt, window, n_rows_due; /* response rows that truth will be over, at most */
	int32_t *response;                /* (n_rows_due) */
	int n_response;
	const char *response_end;
	struct window win[MAX_WINDOW]; /* ascending */
	int n_window;
	struct slot slot[MAX_SLOT];
	int n_slot;
	struct block *even, *odd; /* sums of response rows 0, 2, ... and 1, 3, ... */
	double truth_error;
	double next_publish_ms;
	bool complete;
	struct hasher hasher;
	const char *sha256; /* of the model, once known; NULL where it cannot be had */
};

double clock_ms(void);
size_t run_map_bytes(const struct run *r, enum map_kind kind);
static inline float *block_floats(struct block *b)
{
	return (float *)(uintptr_t)b->data;
}

/* ---- plan.c: what is measured ---- */
bool run_wants(const struct run *r, const char *method);
/* Windows and their names (slots without blocks yet are not made): fills win. */
int plan_windows(struct run *r, struct err *e);
/* Maps (n_layer, n_head, n) that a run holds at its end, for the estimate. */
int plan_count_maps(const struct run *r);
/* Names of the windows as slots, once they are summed up. */
int plan_name_windows(struct run *r, struct err *e);
/* Takes a finished map under this name, with a count of its own on the block; values that no attention can have are an error. */
int run_add_slot(struct run *r, const char *name, const struct slot *map, struct err *e);

/* ---- snapshot.c ---- */
/* (a + b) * scale as a new block of floats; b may be NULL. NULL: out of memory. */
struct block *block_scaled_sum(struct block *a, struct block *b, double scale);
/* A capture of what is there. */
int run_capture(const struct run *r, const struct capture **out, struct err *e);
/* Hands one to the watcher, if there is one. */
int run_publish(struct run *r, struct err *e);

#endif
