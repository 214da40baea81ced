#include "tui/view/kept.h"

struct verdict kept_verdict(struct look *l, int series, int token)
{
	struct verdict v = {.kept = KEPT_UNKNOWN, .of = look_n_heads(l)};
	if (token < l->snap->first || token >= l->snap->first + l->snap->n_candidate) {
		v.kept = token < l->snap->first ? KEPT_SINK : KEPT_WINDOW;
		v.votes = v.of;
		return v;
	}
	int votes = look_votes(l, l->snap->series[series].method, look_scope(l), token);
	if (votes < 0)
		return v;
	v.votes = votes;
	v.kept = v.votes == 0 ? KEPT_NONE : v.votes == v.of ? KEPT_ALL : 2 * v.votes >= v.of ? KEPT_MOST : KEPT_SOME;
	return v;
}
