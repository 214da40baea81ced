/* How many picks two captures of one prompt have in common, method by method, at any budget: counted at every 64th rank once, at the
 * desk, and from the nearest one for a question. Private to tui/pair.c.
 */
#ifndef KVGLASS_TUI_PAIR_COMMON_H
#define KVGLASS_TUI_PAIR_COMMON_H

#include "tui/worker/snapshot.h"

struct app;

struct pair_common; /* of two snapshots */

/* Asks for the counts of the two captures that are open; they come to app->pair.common. Once for each two snapshots. */
void pair_common_ask(struct app *app);
void pair_common_free(struct pair_common *c); /* NULL is allowed */
/* Candidates among the first k of a's ranking and of b's, in one (layer, unit), of a's series; -1: not counted (yet). Either order. */
int pair_common_picks(const struct pair_common *c, const struct snapshot *a, const struct snapshot *b, int series, int row, int k);

#endif
