/* Where the user looks: cursor, scope, budget, scale and zoom, shared by every view. Pure state over a snapshot; no
 * drawing. */
#ifndef KVGLASS_TUI_LOOK_H
#define KVGLASS_TUI_LOOK_H

#include "analysis/ramp.h"
#include "tui/spans.h"
#include "tui/worker/snapshot.h"

enum { LOOK_MAX_DEAL = 24, LOOK_MAX_PANE = 4 };
enum look_scope { LOOK_HEAD, LOOK_LAYER, LOOK_ALL };
enum look_jump { JUMP_DIFFERENCE, JUMP_MATCH };

struct look {
	const struct snapshot *snap; /* NULL until there is something to see; the look holds a reference */
	int layer, head, token;      /* query head; the unit that keeps tokens for it is look_unit() */
	enum look_scope scope;
	int budget;
	int asked_budget; /* by flag; 0: choose */
	enum ramp_scale scale;
	int focus;        /* series that keys refer to */
	bool no_sinks;    /* in-prompt sinks are left out of maps, colours and their scale */
	int from, span;   /* tokens in the maps, counted from snap->shown_first; span 0: all */
	int n_pane;       /* methods chosen as panes, by name; 0: the first ones */
	char pane[LOOK_MAX_PANE][32];
	bool settled;     /* truth is steady enough to stay where the cursor is until the run ends */
	bool moved;       /* the place was chosen, by the user or with all that there is to know: new results leave it alone */

	/* of this prompt: another one begins without */
	struct spans marked;
	bool marking; /* a span is being marked: from mark_from to the cursor */
	int mark_from;
	struct search search;
	enum look_jump jump; /* what next and previous go to: the last that was asked for */

	struct look_deal { /* an uneven deal of one method at one budget, made when it is first asked for */
		int serial, budget;
		int *k; /* (n_layer, n_unit) */
	} deal[LOOK_MAX_DEAL]; /* by method of the evaluation */
	struct look_votes {
		int serial, budget, layer; /* layer -1: of all layers */
		int asked;    /* tokens so far: many are worth counting all at once */
		bool counted;
		uint16_t *of; /* (n_prompt) heads that keep a token */
	} votes[LOOK_MAX_DEAL]; /* likewise, of the last layer or all */
};

/* Takes the reference. Keeps the place when the user has chosen one, else opens where methods differ most. */
void look_take(struct look *l, const struct snapshot *s);
void look_free(struct look *l);

/* Who keeps tokens: KV heads, or query heads under the presets that let each choose for itself. */
int look_n_unit(const struct look *l); /* per layer */
int look_unit(const struct look *l);   /* of the cursor's head */
int look_group(const struct look *l);  /* query heads a unit serves */
const char *look_unit_word(const struct look *l); /* "KV head" or "query head" */
struct scope look_scope(const struct look *l);
/* How many (layer, unit) pairs the scope has. */
int look_n_heads(const struct look *l);
/* k at the present budget; -1 when there is nothing to choose from. */
int look_k(const struct look *l);
/* Agreement of a series' method with truth, and how many of the scope's heads keep a token, at the present budget;
 * under a protocol that deals budgets out unevenly, at what each head is dealt. NaN and -1 when not known. */
struct agreement look_agreement(struct look *l, int method, struct scope s);
int look_votes(struct look *l, int method, struct scope s, int token);
/* k of one (layer, unit): the same everywhere, unless the protocol deals budgets out unevenly. -1: as look_k(). */
int look_k_of(struct look *l, int method, int layer, int unit);

/* Lift (n_prompt) as it is drawn: with in-prompt sinks, or without them, NaN where they are, and then of 1x when the
 * rest is uniform. largest (or NULL): over the candidates. NULL or false: not measured. */
const float *look_layer_lift(const struct look *l, int series, int layer, float *largest);
const float *look_all_lift(const struct look *l, int series);
bool look_head_lift(const struct look *l, int series, int layer, int head, float *out);
bool look_unit_lift(const struct look *l, int series, int layer, int unit, float *out);
bool look_hides(const struct look *l, int layer, int token); /* an in-prompt sink of the layer that is left out */

/* Series shown as panes, at most LOOK_MAX_PANE, in their order: the chosen ones that there are, else the first ones. */
int look_panes(const struct look *l, int series[LOOK_MAX_PANE]);
/* Names of series, commas between; "": the first ones again. ERR_USE names what cannot be a pane and what can. */
int look_set_panes(struct look *l, const char *names, struct err *e);
void look_choose_panes(struct look *l, const int *series, int n);
/* In or out, behind the others; the last one stays. False: four are chosen already. */
bool look_toggle_pane(struct look *l, int series);

/* The span that is being marked: from where it began to the cursor, either way round. */
struct span look_marking(const struct look *l);

void look_move_token(struct look *l, int by);
void look_set_token(struct look *l, int token);
void look_move_layer(struct look *l, int by);
void look_move_head(struct look *l, int by);
void look_set_head(struct look *l, int layer, int head);
void look_next_scope(struct look *l);
void look_next_scale(struct look *l);
enum ramp_scale look_scale(const struct look *l); /* in use: raw where there are no candidates and so no lift */
enum ramp_colour look_ramp(const struct look *l, int series); /* of that scale: differences diverge, but truth's to itself */
void look_next_series(struct look *l, int by);

/* Budgets: two notches per doubling through 128. */
void look_step_budget(struct look *l, int by);
void look_set_budget(struct look *l, int budget); /* as far as the prompt allows */
int look_notch(int budget, int by);
int look_least_budget(const struct look *l); /* one chosen token */
int look_first_budget(const struct snapshot *s, int asked);

/* Maps: the tokens shown, counted from snap->shown_first; which of them a column stands for, and back. cols counts
 * columns of tokens. */
struct look_window {
	int from, span;
};
struct look_window look_visible(const struct look *l);
void look_zoom(struct look *l, int by, int cols); /* 1: half the tokens, about the cursor; -1: twice */
void look_column(struct look_window w, int cols, int col, int *begin, int *end); /* tokens [begin, end) of a column */
int look_column_of(const struct look *l, int cols); /* column of the cursor; -1 before the first, cols after the last */
/* Scrolls so that the cursor's token is among the columns. */
void look_follow(struct look *l);

/* "KEEP 128 per KV head = 4 first + 32 last + 92 chosen of 1,954" */
void look_say_budget(const struct look *l, char *out, size_t out_bytes);
/* "scope L20·KV1 (Q3–Q5) · #769", with less of it where room is short: without the query heads, the words, the token. */
enum look_detail { LOOK_FULL, LOOK_SHORT, LOOK_WORDLESS, LOOK_LEAST };
void look_say_scope(const struct look *l, enum look_detail detail, char *out, size_t out_bytes);

/* Goes to the KV head with the largest gap between LookaheadKV and SnapKV, on a token that truth and LookaheadKV
 * keep and SnapKV drops. */
void look_open_at_interest(struct look *l);

#endif
