/* Differences: which tokens a method finds, misses and wastes, in the look's scope at its budget.
 *
 * Two sides are compared. Against truth: what the method chooses, with as many picks of truth. Against SnapKV: what
 * the method (LookaheadKV, unless the look's method is another one) finds of truth's picks, with what SnapKV finds
 * of them. Counted in (layer, unit) pairs of the scope: in one head a count is 0 or 1, in a layer or in all it is a
 * number of votes.
 */
#ifndef KVGLASS_TUI_DIFFERENCE_H
#define KVGLASS_TUI_DIFFERENCE_H

#include "tui/look.h"

enum difference {
	DIFFERENCE_MISSED, /* picked by truth, not by the method */
	DIFFERENCE_SAVED,  /* a pick of truth that the method finds and SnapKV does not */
	DIFFERENCE_WASTED, /* picked by the method, not by truth */
	DIFFERENCE_LOST,   /* that SnapKV finds and the method does not */
	DIFFERENCE_NONE,   /* none is shown: the text alone */
	N_DIFFERENCE,
};
enum side { SIDE_BOTH, SIDE_OURS, SIDE_THEIRS, N_SIDE };

struct differences { /* zeroed before the first use */
	enum difference kind; /* what next and previous go to */
	struct difference_key {
		int serial, ours, theirs, budget, scope, layer, unit;
		bool against_truth;
	} key;
	bool known;               /* the rest is there */
	uint16_t *count[N_SIDE];  /* (n_prompt) pairs in which the token is of both sides, ours alone, theirs alone */
	double mean[N_SIDE];      /* tokens a head */
	int most[N_SIDE];         /* largest count */
	int room;
};
void differences_free(struct differences *d);

bool difference_is_against_truth(enum difference kind);
enum side difference_side(enum difference kind); /* the side whose tokens are of this kind */
const char *difference_word(enum difference kind); /* "missed" */
/* Series that are compared. *ours is -1 when neither the look's method nor LookaheadKV is one that can be. */
void difference_sides(const struct look *l, enum difference kind, int *ours, int *theirs);

/* Counts for where the look is, made when it asks for others than the last ones. False: not measured, or nothing to
 * choose from. */
bool differences_update(struct differences *d, struct look *l);
/* The nearest token behind (or before, by < 0) the look's with at least half of the largest count of the kind,
 * around the ends of the prompt; -1: there is none. In one head: the next token of the kind. */
int differences_next(const struct differences *d, const struct look *l, int by);

#endif
