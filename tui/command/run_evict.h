/* run --evict: the same prompt continued from evicted caches, a method and a budget at a time. */
#ifndef KVGLASS_TUI_COMMAND_RUN_EVICT_H
#define KVGLASS_TUI_COMMAND_RUN_EVICT_H

#include <jansson.h>

#include "analysis/compare.h"
#include "analysis/live.h"
#include "tui/command/options.h"

struct evictions; /* results, by method and budget */

/* Found before the model runs: a method of --evict that is none, or that this run does not measure. */
int run_evict_check(const struct options *o, struct err *e);

/* Methods of --evict at the comparison's budgets. *out is NULL without --evict. A method that was not measured is an error that
 * names it. */
int run_evict(struct evictions **out, struct live *l, const struct comparison *cmp, const struct options *o, struct err *e);
void evictions_free(struct evictions *v); /* NULL is allowed */

/* {whole: {n_response, ended}, results: [{method, budget, kept, entries, n_response, response, response_ids, ended, first_different, same_top,
 * kl: {mean, largest, per_token}}]} */
json_t *evictions_json(const struct evictions *v);
void evictions_print(const struct evictions *v);

#endif
