/* Which tokens each query head keeps. */
#include "analysis/eviction.h"

#include <stdlib.h>
#include <string.h>

struct choice {
	const struct evaluation *ev;
	const struct capture *c;
	int m, first, n_cand, n_unit, group; /* query heads of a unit */
};

/* One unit's tokens, once for each of its query heads: protected ones, and the first k of its ranking. */
static int64_t choose_unit(const struct choice *x, int layer, int unit, int k, uint8_t *kept)
{
	const uint32_t *order = evaluation_order(x->ev, x->m, layer, unit);
	size_t n = (size_t)x->c->n_prompt;
	memset(kept, 1, n);
	memset(kept + x->first, 0, (size_t)x->n_cand);
	for (int i = 0; i < k; i++)
		kept[(size_t)x->first + order[i]] = 1;
	for (int head = 1; head < x->group; head++)
		memcpy(kept + (size_t)head * n, kept, n);
	return x->c->n_prompt - x->n_cand + k;
}

int eviction_choose(struct kept_tokens *out, const struct evaluation *ev, int m, int budget, struct err *e)
{
	struct choice x = {.ev = ev, .c = evaluation_capture(ev), .m = m, .n_unit = evaluation_n_unit(ev)};
	x.n_cand = evaluation_n_candidate(ev, &x.first);
	x.group = x.c->n_head / x.n_unit;
	size_t n = (size_t)x.c->n_prompt, n_row = (size_t)x.c->n_layer * (size_t)x.c->n_head, n_unit = (size_t)x.c->n_layer * (size_t)x.n_unit;
	*out = (struct kept_tokens){.n = x.c->n_prompt, .n_all = (int64_t)(n_unit * n), .kept = malloc(n_row * n)};
	int *k = malloc(n_unit * sizeof *k);
	int rc = out->kept && k ? 0 : err_set(e, ERR_MEMORY, "no memory for an eviction of %d tokens", x.c->n_prompt);
	if (!rc)
		rc = evaluation_allocate(ev, m, budget, k, e);
	for (size_t i = 0; !rc && i < n_unit; i++)
		out->n_entry += choose_unit(&x, (int)i / x.n_unit, (int)i % x.n_unit, k[i], out->kept + i * (size_t)x.group * n);
	free(k);
	if (rc)
		kept_tokens_free(out);
	return rc;
}

void kept_tokens_free(struct kept_tokens *k)
{
	free(k->kept);
	*k = (struct kept_tokens){0};
}
