#include "tui/swap.h"

#include <string.h>

int swap_method(const struct snapshot *s, int series)
{
	const struct series *of = &s->series[series];
	if (!s->common || of->method < 0 || series == 0)
		return -1;
	int method = evaluation_find(s->common, of->name);
	if (method < 0 && !strncmp(of->map, "snapkv", strlen("snapkv"))) /* a preset's own rows: against the run's */
		method = evaluation_find(s->common, "snapkv");
	return method < 0 ? evaluation_find(s->common, of->map) : method;
}

struct side { /* one method under one protocol, in one head */
	const uint32_t *rank, *order;
	int first, n, k; /* candidates, and how many of them are kept */
	int n_prompt;
};

static bool keeps(const struct side *s, int token)
{
	int i = token - s->first;
	return i < 0 || i >= s->n || (int)s->rank[i] < s->k;
}

/* Tokens that a keeps and b does not: chosen ones, and those that only a protects. */
static int count_alone(const struct side *a, const struct side *b)
{
	int n = 0, from = b->first, to = b->first + b->n;
	for (int i = 0; i < a->k; i++)
		n += !keeps(b, a->first + (int)a->order[i]);
	for (int j = from; j < to && j < a->first; j++)
		n += !keeps(b, j);
	for (int j = a->first + a->n > from ? a->first + a->n : from; j < to; j++)
		n += !keeps(b, j);
	return n;
}

static struct side side_now(struct look *l, int method, int layer, int unit)
{
	const struct evaluation *ev = l->snap->evaluation;
	return (struct side){evaluation_ranks(ev, method, layer, unit), evaluation_order(ev, method, layer, unit), l->snap->first,
		l->snap->n_candidate, look_k_of(l, method, layer, unit), l->snap->capture->n_prompt};
}

/* The unit of the common protocol, a KV head, that serves this one's heads. */
static struct side side_common(const struct look *l, int method, int layer, int unit)
{
	const struct evaluation *ev = l->snap->common;
	struct side s = {.n_prompt = l->snap->capture->n_prompt};
	struct err e;
	unit = unit * evaluation_n_unit(ev) / look_n_unit(l);
	s.n = evaluation_n_candidate(ev, &s.first);
	s.k = s.n > 0 ? evaluation_k(ev, l->budget, &e) : 0;
	s.k = s.k < 0 ? 0 : s.k; /* a budget within what it protects */
	if (s.n > 0) {
		s.rank = evaluation_ranks(ev, method, layer, unit);
		s.order = evaluation_order(ev, method, layer, unit);
	}
	return s;
}

bool swap_count(struct look *l, int series, struct scope scope, struct swap *out)
{
	const struct snapshot *s = l->snap;
	int common = swap_method(s, series), n = 0;
	*out = (struct swap){0};
	if (common < 0 || look_k(l) < 0)
		return false;
	int last = scope.layer < 0 ? s->capture->n_layer - 1 : scope.layer;
	for (int layer = scope.layer < 0 ? 0 : scope.layer; layer <= last; layer++)
		for (int unit = scope.kv_head < 0 ? 0 : scope.kv_head;
			unit <= (scope.kv_head < 0 ? look_n_unit(l) - 1 : scope.kv_head); unit++, n++) {
			struct side now = side_now(l, s->series[series].method, layer, unit), usual = side_common(l, common, layer, unit);
			out->in += count_alone(&now, &usual);
			out->out += count_alone(&usual, &now);
			out->kept += now.k + now.n_prompt - now.n;
		}
	out->in /= n;
	out->out /= n;
	out->kept /= n;
	return true;
}

int swap_of(struct look *l, int series, int token)
{
	const struct snapshot *s = l->snap;
	struct scope scope = look_scope(l);
	int common = swap_method(s, series), more = 0;
	if (common < 0 || look_k(l) < 0)
		return 0;
	int last = scope.layer < 0 ? s->capture->n_layer - 1 : scope.layer;
	for (int layer = scope.layer < 0 ? 0 : scope.layer; layer <= last; layer++)
		for (int unit = scope.kv_head < 0 ? 0 : scope.kv_head;
			unit <= (scope.kv_head < 0 ? look_n_unit(l) - 1 : scope.kv_head); unit++) {
			struct side now = side_now(l, s->series[series].method, layer, unit), usual = side_common(l, common, layer, unit);
			more += keeps(&now, token) - keeps(&usual, token);
		}
	return (more > 0) - (more < 0);
}
