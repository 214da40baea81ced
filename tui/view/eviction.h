/* The Eviction view's insides: view_eviction.c draws and acts, eviction_job.c runs. */
#ifndef KVGLASS_TUI_VIEW_EVICTION_H
#define KVGLASS_TUI_VIEW_EVICTION_H

#include <stdatomic.h>

#include "analysis/eviction.h"
#include "tui/app.h"
#include "tui/draw/flow.h"
#include "tui/draw/token_text.h"

enum { EVICTION_MAX_ROW = 24 };

struct eviction_text { /* a response as it is drawn */
	struct token_text tokens;
	struct flow flow; /* for the width it was last drawn in */
};

/* The whole cache's response: what every row is compared with. Counted, as an errand may outlive the view's interest in it. */
struct eviction_base {
	atomic_int refs;
	struct whole_response *whole;
	struct eviction_text text;
};

struct eviction_row { /* one method at one budget */
	int method; /* of the evaluation */
	const char *label;
	int budget;
	double share; /* of the prompt's cache that stays */
	struct evicted_response *response;
	struct eviction_text text;
	double largest; /* of its KL */
};

struct eviction_view {
	const struct capture *of; /* whose prompt and response the rows are about; NULL: none yet */
	struct eviction_base *base; /* NULL: nothing was evicted yet */
	struct eviction_row row[EVICTION_MAX_ROW]; /* in the order they were made; the oldest goes first */
	int n_row, shown;
	int at;         /* token of the whole response under the cursor */
	int first_line; /* of the texts */
};

void eviction_clear(struct eviction_view *v);
/* Forgets rows that are about another prompt or response than this capture's. */
void eviction_keep_if(struct eviction_view *v, const struct capture *c);
/* Makes the rows of these methods of the evaluation at the present budget, in the background. */
void eviction_order(struct app *app, struct eviction_view *v, const int *method, int n);

#endif
