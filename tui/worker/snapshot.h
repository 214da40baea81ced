/* A snapshot: what the screen shows of one capture at one moment. Made by the worker, handed over whole, immutable
 * and counted; a run publishes a new one whenever something new is known, sharing what did not change.
 */
#ifndef KVGLASS_TUI_SNAPSHOT_H
#define KVGLASS_TUI_SNAPSHOT_H

#include "analysis/evaluation.h"
#include "tui/draw/token_text.h"

struct lift_block; /* lift and rank of every layer, counted */

struct series { /* one method that can be drawn as a map; series 0 is truth, also before anything is known of it */
	int method;        /* in the evaluation; -1: not measured (yet) */
	const char *name;  /* "truth", "snapkv", ...: for commands and files */
	const char *label; /* "TRUTH", "SnapKV", ... */
	const char *map;   /* of the capture */
	int n_rows, n_rows_due;
	struct lift_block *lift; /* NULL when method is -1 */
};

enum { SNAPSHOT_MAX_SERIES = 16, SNAPSHOT_CHECK_BUDGET = 128 /* of the check that counts what is kept */ };

struct snapshot {
	const struct capture *capture;
	const struct evaluation *evaluation;
	const struct evaluation *common; /* of the same capture under protocol_default(); NULL: that is this one */
	int serial; /* counts up; tells caches that something changed */
	int first, n_candidate; /* candidates first .. first + n_candidate - 1 */
	int shown_first, n_shown; /* positions that maps show: the candidates; where there are none, the whole prompt */
	int n_series;
	struct series series[SNAPSHOT_MAX_SERIES];
	const struct token_text *text;
	const uint8_t *prompt_sink; /* (n_layer, n_prompt) in-prompt sinks */
	int n_check;
	struct self_check check[SELF_CHECK_MAX];
};

/* previous may be NULL; what it holds of the same data is shared. Keeps a reference to c. awaits_lookahead:
 * LookaheadKV has its place although it is not measured yet. */
int snapshot_make(const struct snapshot **out, const struct capture *c, const struct snapshot *previous,
	const struct evaluation_options *o, bool awaits_lookahead, struct err *e);
const struct snapshot *snapshot_ref(const struct snapshot *s);
void snapshot_unref(const struct snapshot *s); /* NULL is allowed; any thread */

/* The first check that does not hold; NULL when all that are known do. */
const struct self_check *snapshot_failed_check(const struct snapshot *s);

/* Mean lift over the heads of a layer (n_prompt), its largest value over the candidates, and the mean over all
 * layers; NaN outside the candidates. NULL when the series is not measured. */
const float *snapshot_layer_lift(const struct snapshot *s, int series, int layer, float *largest);
const float *snapshot_all_lift(const struct snapshot *s, int series);
/* The same without the layer's in-prompt sinks: NaN where they are, and 1x is what a uniform map of the other
 * candidates would give. */
const float *snapshot_layer_bare_lift(const struct snapshot *s, int series, int layer, float *largest);
const float *snapshot_all_bare_lift(const struct snapshot *s, int series);
/* Takes a layer's in-prompt sinks out of one row's lift (n_prompt), as above. */
void snapshot_leave_sinks_out(const struct snapshot *s, int layer, float *lift);
/* Mean over the layer's units of the share of candidates ranked lower (n_prompt); of candidates only. */
const float *snapshot_layer_percentile(const struct snapshot *s, int series, int layer);
/* Lift of one query head into out (n_prompt), and of the mean of a unit's query heads, from which it chooses. False
 * when not measured. */
bool snapshot_head_lift(const struct snapshot *s, int series, int layer, int head, float *out);
bool snapshot_unit_lift(const struct snapshot *s, int series, int layer, int unit, float *out);
/* Attention as it was measured (n_prompt), of a query head or, head -1, the mean over the layer's: for prompts
 * without candidates, which have no lift. */
bool snapshot_attention(const struct snapshot *s, int series, int layer, int head, float *out);
/* Lift of one token: in a unit, in a layer (scope.kv_head -1), in everything (layer -1 too). NaN outside the
 * candidates or not measured. */
double snapshot_token_lift(const struct snapshot *s, int series, struct scope scope, int token);

int snapshot_find(const struct snapshot *s, const char *name); /* series by name, -1 */
/* The method of the evaluation with that name, -1 when it is not available: controls that have no map of their own. */
int snapshot_method(const struct snapshot *s, const char *name);

#endif
