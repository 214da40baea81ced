#include "tui/difference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void differences_free(struct differences *d)
{
	for (int i = 0; i < N_SIDE; i++)
		free(d->count[i]);
	*d = (struct differences){.kind = d->kind};
}

bool difference_is_against_truth(enum difference kind)
{
	return kind == DIFFERENCE_MISSED || kind == DIFFERENCE_WASTED;
}

enum side difference_side(enum difference kind)
{
	return kind == DIFFERENCE_WASTED || kind == DIFFERENCE_SAVED ? SIDE_OURS : SIDE_THEIRS;
}

const char *difference_word(enum difference kind)
{
	static const char *const word[N_DIFFERENCE] = {"missed", "saved", "wasted", "lost", "none"};
	return word[kind];
}

void difference_sides(const struct look *l, enum difference kind, int *ours, int *theirs)
{
	int snapkv = snapshot_find(l->snap, "snapkv"), lookahead = snapshot_find(l->snap, "lookahead");
	bool against_truth = difference_is_against_truth(kind);
	*theirs = against_truth ? 0 : snapkv;
	*ours = l->focus;
	if (l->focus == 0 || (!against_truth && l->focus == snapkv))
		*ours = lookahead >= 0 ? lookahead : against_truth ? snapkv : -1;
}

/* ---- counting ---- */

/* Who picks what in one (layer, unit): ranks by candidate, picked below k. */
struct pair {
	const uint32_t *truth, *ours, *theirs;
	uint32_t k_ours, k_theirs;
};

/* One pass over all candidates, whatever the budget: as fast as memory is read. */
static void count_pair(struct differences *d, const struct pair *p, int first, int n)
{
	uint16_t *both = d->count[SIDE_BOTH] + first, *ours = d->count[SIDE_OURS] + first, *theirs = d->count[SIDE_THEIRS] + first;
	for (int i = 0; i < n; i++) {
		/* against SnapKV only truth's picks matter, as many as the side chooses */
		bool a = p->ours[i] < p->k_ours && (!p->truth || p->truth[i] < p->k_ours);
		bool b = p->theirs[i] < p->k_theirs && (!p->truth || p->truth[i] < p->k_theirs);
		both[i] = (uint16_t)(both[i] + (a & b));
		ours[i] = (uint16_t)(ours[i] + (a & !b));
		theirs[i] = (uint16_t)(theirs[i] + (b & !a));
	}
}

static void count_scope(struct differences *d, struct look *l)
{
	const struct snapshot *s = l->snap;
	struct scope scope = look_scope(l);
	int ours = s->series[d->key.ours].method, theirs = s->series[d->key.theirs].method;
	int layer = scope.layer < 0 ? 0 : scope.layer, last = scope.layer < 0 ? s->capture->n_layer - 1 : scope.layer;
	for (; layer <= last; layer++)
		for (int unit = scope.kv_head < 0 ? 0 : scope.kv_head;
			unit <= (scope.kv_head < 0 ? look_n_unit(l) - 1 : scope.kv_head); unit++) {
			struct pair p = {
				.ours = evaluation_ranks(s->evaluation, ours, layer, unit),
				.theirs = evaluation_ranks(s->evaluation, theirs, layer, unit),
				.k_ours = (uint32_t)look_k_of(l, ours, layer, unit),
			};
			/* truth picks as many as the method that is judged */
			p.k_theirs = d->key.against_truth ? p.k_ours : (uint32_t)look_k_of(l, theirs, layer, unit);
			if (!d->key.against_truth)
				p.truth = evaluation_ranks(s->evaluation, s->series[0].method, layer, unit);
			count_pair(d, &p, s->first, s->n_candidate);
		}
}

static void sum_up(struct differences *d, const struct look *l)
{
	for (int side = 0; side < N_SIDE; side++) {
		long long sum = 0;
		int most = 0;
		for (int j = l->snap->first; j < l->snap->first + l->snap->n_candidate; j++) {
			sum += d->count[side][j];
			most = d->count[side][j] > most ? d->count[side][j] : most;
		}
		d->mean[side] = (double)sum / look_n_heads(l);
		d->most[side] = most;
	}
}

static bool make_room(struct differences *d, int n)
{
	for (int side = 0; side < N_SIDE; side++) {
		uint16_t *room = d->room == n ? d->count[side] : realloc(d->count[side], (size_t)n * sizeof *room);
		if (!room)
			return false;
		d->count[side] = room;
		memset(room, 0, (size_t)n * sizeof *room);
	}
	d->room = n;
	return true;
}

bool differences_update(struct differences *d, struct look *l)
{
	const struct snapshot *s = l->snap;
	struct difference_key key;
	memset(&key, 0, sizeof key); /* compared as bytes */
	key.serial = s->serial;
	key.budget = l->budget;
	key.scope = (int)l->scope;
	key.layer = l->scope == LOOK_ALL ? -1 : l->layer;
	key.unit = l->scope == LOOK_HEAD ? look_unit(l) : -1;
	key.against_truth = difference_is_against_truth(d->kind);
	difference_sides(l, d->kind, &key.ours, &key.theirs);
	if (!memcmp(&key, &d->key, sizeof key))
		return d->known;
	d->key = key;
	d->known = key.ours >= 0 && key.theirs >= 0 && s->series[key.ours].method >= 0 && s->series[key.theirs].method >= 0 &&
		s->series[0].method >= 0 && look_k(l) > 0 && make_room(d, s->capture->n_prompt);
	if (d->known) {
		count_scope(d, l);
		sum_up(d, l);
	}
	return d->known;
}

int differences_next(const struct differences *d, const struct look *l, int by)
{
	int first = l->snap->first, n = l->snap->n_candidate;
	enum side side = difference_side(d->kind);
	const uint16_t *count = d->count[side];
	int at = l->token - first;
	if (!d->known || d->most[side] == 0)
		return -1;
	at = at < 0 ? (by > 0 ? -1 : 0) : at >= n ? (by > 0 ? n - 1 : n) : at; /* from outside of the candidates */
	for (int step = 1; step <= n; step++) {
		int i = ((at + (by > 0 ? step : -step)) % n + n) % n;
		if (2 * count[first + i] >= d->most[side])
			return first + i;
	}
	return -1;
}
