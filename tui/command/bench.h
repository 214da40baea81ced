/* kvglass bench: what is measured, and how it is printed. */
#ifndef KVGLASS_TUI_COMMAND_BENCH_H
#define KVGLASS_TUI_COMMAND_BENCH_H

#include "engine/engine.h"
#include "engine/machine.h"
#include "tui/command/options.h"

enum bench_stage {
	BENCH_PREFILL,   /* nothing measured on the way */
	BENCH_CAPTURE,   /* prefill with SnapKV's window */
	BENCH_LOOKAHEAD, /* the extra pass of the lookahead rows */
	BENCH_DECODE,    /* one token at a time behind the prompt, nothing measured */
	BENCH_TRUTH,     /* the same, every row added to truth */
	BENCH_TRAIN,     /* --train: a step of training on that prompt, forward, backward and update */
	N_BENCH_STAGE
};

struct bench_rate { /* one stage: what it took, and the least it had to do */
	double ms;      /* the best of several; with a capture: what that adds besides; 0: not measured */
	int n_tokens;   /* that were run in that time */
	double flop;    /* operations of matrix products and attention */
	double bytes;   /* weights and cache that had to be read once */
};

struct bench_length {
	int n_prompt;
	struct bench_rate stage[N_BENCH_STAGE];
	double capture_ms, truth_ms; /* what the captures of prefill and of decoding add; medians, so they may come out below 0 */
	uint64_t peak_memory; /* of the process so far: lengths are taken in ascending order */
	uint64_t beside;      /* bytes of a device that weights and cache do not account for; 0 on the CPU */
};

struct bench {
	struct machine_rates machine;
	const struct model_info *model;
	int n_lookahead;
	int n_length;
	struct bench_length *length;
};

extern const char *const bench_stage_name[N_BENCH_STAGE];

/* A trainer of one prompt, of which a session holds the first n of ids; truth (n_layer, n_head, n), of the response behind them. */
struct trainer;
struct target_store;
struct bench_lesson {
	struct target_store *store;
	struct trainer *trainer;
};
struct bench_lesson_prompt {
	struct session *session;
	const struct model *model;
	const struct lookahead *modules; /* to begin with */
	const int32_t *ids;
	int n, n_response, n_threads;
	const float *truth;
};
int bench_lesson_open(struct bench_lesson *out, const struct bench_lesson_prompt *p, struct err *e); /* close it in any case */
void bench_lesson_close(struct bench_lesson *l);
int bench_lesson_step(struct bench_lesson *l, double *ms, struct err *e);

/* --screen: everything of it, printing included. */
int bench_screen(const struct options *o, struct err *e);

void bench_print_text(const struct bench *b);
int bench_print_json(const struct bench *b, struct err *e);

#endif
