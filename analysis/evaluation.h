/* An evaluation: one capture under one protocol, ready to be asked anything at any budget in no time.
 *
 * Built once per (capture, protocol, method set): scores, rankings, hit counts and mass curves of every method in
 * every (layer, KV head). Afterwards a change of budget costs a few look-ups per head. Immutable after
 * evaluation_open(), any number of readers.
 *
 * Definitions. p = mean over the group's query heads of rows.truth. k chosen of n_cand
 * candidates.
 *   overlap    = |chosen and truth's own top k| / k
 *   mass       = sum of p over chosen / sum of p over candidates
 *   mass_ratio = mass / oracle's mass, per head, then averaged
 *   kl         = KL(truth || method) per query head over all n prompt positions, both L1-normalised, un-pooled, natural log,
 *                1e-12 added inside both logarithms
 *   spearman   = rank correlation with p over candidates (average ranks for ties)
 *   area       = mean over k = 1 .. n_cand of mass[k] (area under the mass curve)
 * A number that is not defined is NaN (JSON: null), never 0. Means over a scope leave out heads in which the
 * number is not defined.
 *
 * Who chooses is a unit: a KV head, or a query head when the protocol does not reduce the group (some presets).
 * Every `kv_head` below counts units, 0 .. evaluation_n_unit() - 1. The oracle and the ceiling are truth, so they
 * are never pooled; score.<method> maps are taken as they are. The ceiling is the odd response rows' truth judged
 * against that of the even rows.
 */
#ifndef KVGLASS_ANALYSIS_EVALUATION_H
#define KVGLASS_ANALYSIS_EVALUATION_H

#include <stdbool.h>
#include <stdint.h>

#include "analysis/capture.h"
#include "analysis/protocol.h"
#include "engine/err.h"
#include "engine/progress.h"

struct evaluation;

struct eval_method { /* one method as evaluated */
	const struct method *method;
	bool available;       /* false: the capture lacks what it needs */
	const char *missing;  /* the map that is not there; NULL when available */
	int n_rows, n_rows_due;
};

struct evaluation_options {
	struct protocol protocol;
	uint64_t seed;             /* random control */
	const char *const *method; /* names, beside the preset; NULL: every method the capture can serve */
	int n_method;
	/* or NULL. Its protocol replaces `protocol`, and its own map is one more method, under its name */
	const struct preset *preset;
	int n_threads;               /* 0: as many as this process may use */
};

/* Keeps a reference to c. Stage "evaluate". An unknown method's name is ERR_USE; one that the capture lacks is
 * there, not available. */
int evaluation_open(struct evaluation **out, const struct capture *c, const struct evaluation_options *o,
	const struct progress *progress, struct err *e);
void evaluation_close(struct evaluation *ev);

const struct capture *evaluation_capture(const struct evaluation *ev);
const struct protocol *evaluation_protocol(const struct evaluation *ev);
uint64_t evaluation_seed(const struct evaluation *ev); /* of the random control */
int evaluation_n_method(const struct evaluation *ev);
const struct eval_method *evaluation_method(const struct evaluation *ev, int m);
int evaluation_find(const struct evaluation *ev, const char *name); /* -1: not there or not available */

int evaluation_n_unit(const struct evaluation *ev); /* per layer */
bool evaluation_has_truth(const struct evaluation *ev);
/* Candidates are positions first .. first + n_cand - 1; n_cand is 0 for prompts within sinks + window. */
int evaluation_n_candidate(const struct evaluation *ev, int *first);
/* k for a budget; -1 with ERR_USE when budget <= sink + window. */
int evaluation_k(const struct evaluation *ev, int budget, struct err *e);

/* Scope of a question: one KV head; a layer (kv_head = -1); everything (layer = -1 too). Numbers are means over
 * its heads. */
struct scope {
	int layer, kv_head;
};
struct agreement {
	double overlap, mass, mass_ratio, kl, spearman, area, hits /* mean count of truth's picks found */;
};
struct agreement evaluation_agreement(const struct evaluation *ev, int m, struct scope s, int k);
/* The same under a protocol that deals budgets out unevenly: k (n_layer, n_unit) from evaluation_allocate(). */
int evaluation_allocate(const struct evaluation *ev, int m, int budget, int *k, struct err *e);
struct agreement evaluation_agreement_at(const struct evaluation *ev, int m, struct scope s, const int *k);

/* Per-position answers. Positions are prompt positions; those outside the candidates are always kept: rank -1,
 * survival 0, lift NaN. m must be available. Curves against truth are NULL without it; arrays live as long as ev. */
int evaluation_rank(const struct evaluation *ev, int m, int layer, int kv_head, int j);     /* 0 is best */
int evaluation_survival(const struct evaluation *ev, int m, int layer, int kv_head, int j); /* smallest budget that keeps j */
/* (layer, KV head) pairs of the scope that keep j */
int evaluation_votes(const struct evaluation *ev, int m, struct scope s, int k, int j);
/* Votes for every position at once, far cheaper than one by one: out (n_prompt). Returns the pairs in the scope. */
int evaluation_votes_all(const struct evaluation *ev, int m, struct scope s, int k, uint16_t *out);
/* ranks (n_cand) by candidate index; order (n_cand) candidate indices, best first; curves (n_cand + 1) by k: share of the
 * candidates' mass, truth's picks found */
const uint32_t *evaluation_ranks(const struct evaluation *ev, int m, int layer, int kv_head);
const uint32_t *evaluation_order(const struct evaluation *ev, int m, int layer, int kv_head);
const float *evaluation_mass_curve(const struct evaluation *ev, int m, int layer, int kv_head);
const uint32_t *evaluation_hits_curve(const struct evaluation *ev, int m, int layer, int kv_head);
double evaluation_kl(const struct evaluation *ev, int m, int layer, int head); /* query head */

/* Lift of row (layer, query head; head -1: mean over heads of the layer) in a map: share of the row's candidate
 * mass times n_cand, so a uniform row is 1 everywhere. out (n_prompt); NaN outside the candidates. METHOD_MAP,
 * ORACLE only; else ERR_USE. */
int evaluation_lift(const struct evaluation *ev, int m, int layer, int head, float *out, struct err *e);
/* In-prompt sinks of a layer: candidates above 20x lift in more than half of the layer's heads, in truth (or
 * method m without it). out (n_prompt) 0/1; returns their number. */
int evaluation_prompt_sinks(const struct evaluation *ev, int layer, uint8_t *out);

/* ---- self-checks, with every result ---- */
struct self_check {
	/* "rows sum to 1", "maps within 1", "kept = budget", "window < prompt", "sign of correlation", "response length" */
	const char *name;
	bool ok, known;
	char detail[160];  /* "largest deviation 3.1e-07 (truth)" */
};
/* Fills out and returns how many there are (at most SELF_CHECK_MAX). budget 0: the count check is not made. */
#define SELF_CHECK_MAX 8
int evaluation_self_checks(const struct evaluation *ev, int budget, struct self_check *out, int n_max);

#endif
