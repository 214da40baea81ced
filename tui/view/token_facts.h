/* What the token dossier asks of the desk, because it takes more time than a key may: one token's lift in every head,
 * its rank under other reductions and poolings. */
#ifndef KVGLASS_TUI_VIEW_TOKEN_FACTS_H
#define KVGLASS_TUI_VIEW_TOKEN_FACTS_H

#include "analysis/dossier.h"
#include "tui/app.h"

struct facts_key {
	int serial, token, layer, unit; /* layer, unit: of the scope, -1 for all */
};

struct facts {
	struct facts_key key;
	const struct snapshot *snap; /* counted */
	struct scope scope;
	int n_row;                   /* heads of the scope that choose tokens */
	int n_variant;
	struct variant variant[VARIANT_MAX];
	float *lift[SNAPSHOT_MAX_SERIES]; /* (n_layer, n_head) by series; NULL: not measured */
	int *rank[SNAPSHOT_MAX_SERIES];   /* (n_row, n_variant); NULL: nothing to vary */
};

struct facts_key facts_key_of(const struct look *l);
bool facts_same(const struct facts_key *a, const struct facts_key *b);
/* Asks for the facts of the look's token and scope; they come to token_known(). */
void facts_ask(struct app *app);
void facts_free(struct facts *f); /* NULL is allowed */

/* Median over the scope of the smallest budget that keeps the token under a variant, and how many heads keep it at
 * the look's budget. f belongs to the look's place. */
int facts_survival(const struct facts *f, int series, int variant);
int facts_votes(const struct facts *f, struct look *l, int series, int variant);

/* Of the view: takes the facts over. */
void token_known(struct app *app, struct facts *f);

#endif
