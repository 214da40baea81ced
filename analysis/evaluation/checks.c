/* Self-checks that go with every result: whether the numbers can be what they say they are. */
#include "analysis/evaluation/tables.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A float32 softmax over some ten thousand keys sums to 1 within this, with room for another order of summation. */
#define ROW_SUM_LIMIT 1e-4
#define LEAST_RESPONSE 32

struct check_list {
	struct self_check *out;
	int n, n_max;
};

__attribute__((format(printf, 5, 6))) static void add(struct check_list *l, const char *name, bool known, bool ok,
	const char *format, ...)
{
	if (l->n >= l->n_max)
		return;
	struct self_check *check = &l->out[l->n++];
	*check = (struct self_check){.name = name, .known = known, .ok = known && ok};
	va_list args;
	va_start(args, format);
	vsnprintf(check->detail, sizeof check->detail, format, args);
	va_end(args);
}

/* What the engine saw while it measured. */
static void check_row_error(const struct evaluation *ev, struct check_list *l)
{
	const struct capture_map *worst = NULL;
	for (int i = 0; i < ev->capture->n_map; i++) {
		const struct capture_map *m = &ev->capture->map[i];
		if (!isnan(m->row_error) && (!worst || m->row_error > worst->row_error))
			worst = m;
	}
	if (worst)
		add(l, "rows sum to 1", true, worst->row_error <= ROW_SUM_LIMIT, "largest deviation %.1e (%s)",
			worst->row_error, worst->name);
	else
		add(l, "rows sum to 1", false, false, "the capture does not say");
}

/* A mean of attention rows over the prompt alone can only lack mass. */
static void check_map_sums(const struct evaluation *ev, struct check_list *l)
{
	const struct capture *c = ev->capture;
	const struct method_tables *where = NULL;
	size_t n = (size_t)c->n_layer * (size_t)c->n_head, at = 0;
	for (int m = 0; m < ev->n_method; m++) {
		const struct method_tables *t = &ev->table[m];
		for (size_t i = 0; t->row_sum && !t->job.how.per_visible_rows && i < n; i++)
			if (!where || t->row_sum[i] > where->row_sum[at]) {
				where = t;
				at = i;
			}
	}
	if (!where) {
		add(l, "maps within 1", false, false, "no map is measured from rows");
		return;
	}
	double sum = (double)where->row_sum[at];
	add(l, "maps within 1", true, sum <= 1 + ROW_SUM_LIMIT, "largest sum of a row %.6f (%s, layer %zu, head %zu)", sum,
		where->job.map->name, at / (size_t)c->n_head, at % (size_t)c->n_head);
}

/* Kept tokens of one head, counted: the first k of its order, each once, and what is protected. */
static int count_kept(const struct evaluation *ev, int m, int layer, int unit, int k)
{
	const uint32_t *order = evaluation_order(ev, m, layer, unit), *rank = evaluation_ranks(ev, m, layer, unit);
	int n = ev->capture->n_prompt - ev->n_cand;
	for (int i = 0; i < k; i++)
		n += order[i] < (uint32_t)ev->n_cand && rank[order[i]] == (uint32_t)i;
	return n;
}

static void check_kept(const struct evaluation *ev, int budget, struct check_list *l)
{
	const struct capture *c = ev->capture;
	int k = evaluation_k(ev, budget, NULL), want = k + c->n_prompt - ev->n_cand;
	if (k < 0 || uneven(&ev->protocol.select)) {
		add(l, "kept = budget", false, false, k < 0 ? "no budget" : "this protocol deals budgets out unevenly");
		return;
	}
	for (int m = 0; m < ev->n_method; m++)
		for (int layer = 0; ev->method[m].available && layer < c->n_layer; layer++)
			for (int unit = 0; unit < ev->n_unit; unit++) {
				int kept = count_kept(ev, m, layer, unit, k);
				if (kept == want)
					continue;
				add(l, "kept = budget", true, false, "%s keeps %d of %d in layer %d, head %d",
					ev->method[m].method->label, kept, want, layer, unit);
				return;
			}
	add(l, "kept = budget", true, true, "%d in each of %d heads, every method", want, c->n_layer * ev->n_unit);
}

static void check_window(const struct evaluation *ev, struct check_list *l)
{
	const struct capture *c = ev->capture;
	int window = c->window > ev->protocol.select.window ? c->window : ev->protocol.select.window;
	add(l, "window < prompt", true, window < c->n_prompt, "window %d, prompt %d", window, c->n_prompt);
}

/* A score that ranks against truth has its sign or its positions wrong. Key norms may, in some models: they are no
 * attention. */
static void check_sign(const struct evaluation *ev, struct check_list *l)
{
	const struct method *worst = NULL;
	double least = INFINITY;
	for (int m = 0; m < ev->n_method; m++) {
		const struct method *method = ev->method[m].method;
		if (!ev->method[m].available || method->kind != METHOD_MAP || !strcmp(method->map, "keynorm"))
			continue;
		double rho = evaluation_agreement(ev, m, (struct scope){-1, -1}, 1).spearman;
		if (rho < least) {
			least = rho;
			worst = method;
		}
	}
	if (worst)
		add(l, "sign of correlation", true, least >= 0, "lowest rank correlation with truth %.3f (%s)", least,
			worst->label);
	else
		add(l, "sign of correlation", false, false, "nothing to correlate with truth");
}

static void check_response(const struct evaluation *ev, struct check_list *l)
{
	int n = ev->truth ? ev->n_even + ev->n_odd : 0;
	add(l, "response length", true, n >= LEAST_RESPONSE, "%d tokens%s", n, n >= LEAST_RESPONSE ? "" : ", 32 or more are advised");
}

int evaluation_self_checks(const struct evaluation *ev, int budget, struct self_check *out, int n_max)
{
	struct check_list l = {out, 0, n_max};
	check_row_error(ev, &l);
	check_map_sums(ev, &l);
	if (budget > 0)
		check_kept(ev, budget, &l);
	check_window(ev, &l);
	check_sign(ev, &l);
	check_response(ev, &l);
	return l.n;
}
