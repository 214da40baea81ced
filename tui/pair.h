/* Two captures at once: one is shown, the other is asked about.
 *
 * When both hold the same prompt (token ids, shape of the model) they are linked: one cursor, one scope, one budget, and
 * what each keeps can be told apart token by token. Else each keeps its own place and only their numbers compare.
 */
#ifndef KVGLASS_TUI_PAIR_H
#define KVGLASS_TUI_PAIR_H

#include "tui/look.h"

struct app;

struct pair_common;
struct two_captures { /* zeroed: there is no other capture */
	struct look look; /* of the capture that is not shown; its snap is NULL when there is none */
	char path[4096];  /* of it; "" when it is in no file */
	char asked[4096]; /* that is being opened */
	char prompt_name[256];
	bool from_run, unsaved;
	bool swapped;     /* the second one is shown */
	bool differ;      /* what only one of them keeps is marked */
	struct pair_link { /* of the snapshots with these serials: comparing prompts takes too long for every token of a frame */
		int here, there;
		bool linked;
	} link;
	struct pair_common *common; /* picks in common, for numbers at any budget; NULL: not counted yet */
	int common_asked[2];        /* serials of the snapshots it was last asked for */
};

void pair_free(struct two_captures *p);
/* The one that was asked for is there. Takes the snapshot's reference. */
void pair_take(struct app *app, const struct snapshot *s);
bool pair_exists(const struct app *app);
bool pair_is_linked(struct app *app);
/* "A" or "B": the one that is shown, and the other. */
const char *pair_letter(const struct app *app, bool other);
/* Shows the other one. */
void pair_exchange(struct app *app);
/* Marks of what only one keeps, on or off; says why when they are not linked. */
void pair_toggle_differ(struct app *app);
/* Differences are marked now. */
bool pair_differs(struct app *app);

/* The other capture's look, where the shown one's is: everywhere when they are linked, else with its scope and budget. */
struct look *pair_look(struct app *app);
/* The other's series of that name, -1 when it has none that is measured. */
int pair_series(const struct app *app, int series);

enum pair_side { PAIR_NEITHER, PAIR_BOTH, PAIR_HERE, PAIR_THERE };
/* Who keeps a token under a series' method: a capture does when half of the scope's heads do. Linked ones only. */
enum pair_side pair_side(struct app *app, int series, int token);

struct pair_swap {
	bool known;
	double here, there; /* tokens that only the shown, only the other one keeps: mean over the scope's heads */
};
struct pair_swap pair_swapped(struct app *app, int series);

#endif
