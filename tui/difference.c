#include "tui/difference.h"

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

/* Who picks what in one (layer, unit): ranks by candidate, picked below k. Against SnapKV only truth's picks matter, as
 * many as each side chooses; against truth the limits are the sides themselves. */
struct pair {
	const uint32_t *ours, *theirs, *ours_limit, *theirs_limit;
	const uint32_t *ours_order, *theirs_order;
	uint32_t k_ours, k_theirs;
};

static bool is_ours(const struct pair *p, uint32_t i)
{
	return p->ours[i] < p->k_ours && p->ours_limit[i] < p->k_ours;
}

static bool is_theirs(const struct pair *p, uint32_t i)
{
	return p->theirs[i] < p->k_theirs && p->theirs_limit[i] < p->k_theirs;
}

/* Small budgets: the picks, best first. Each is a jump through memory, worth a dozen candidates in their order. */
static void count_picks(const struct pair *p, uint16_t *const count[N_SIDE])
{
	for (uint32_t i = 0; i < p->k_ours; i++) {
		uint32_t at = p->ours_order[i];
		if (is_ours(p, at))
			count[is_theirs(p, at) ? SIDE_BOTH : SIDE_OURS][at]++;
	}
	for (uint32_t i = 0; i < p->k_theirs; i++) {
		uint32_t at = p->theirs_order[i];
		if (is_theirs(p, at) && !is_ours(p, at))
			count[SIDE_THEIRS][at]++;
	}
}

/* Large ones: all candidates in their order, as fast as memory is read. The blocks are what a compiler turns into vectors: no pointer
 * may be another's, and what is picked is a lane of its own before it is counted. */
enum { BLOCK = 64 };

static void pick_block(const uint32_t *restrict rank, const uint32_t *restrict limit, uint32_t k, uint16_t *restrict picked)
{
	for (int i = 0; i < BLOCK; i++)
		picked[i] = (uint16_t)((rank[i] < k) & (limit[i] < k));
}

static void add_block(const uint16_t *restrict a, const uint16_t *restrict b, uint16_t *restrict both, uint16_t *restrict ours,
	uint16_t *restrict theirs)
{
	for (int i = 0; i < BLOCK; i++) {
		both[i] = (uint16_t)(both[i] + (a[i] & b[i]));
		ours[i] = (uint16_t)(ours[i] + (a[i] & ~b[i]));
		theirs[i] = (uint16_t)(theirs[i] + (b[i] & ~a[i]));
	}
}

static void count_candidates(const struct pair *p, uint16_t *const count[N_SIDE], int n)
{
	uint16_t a[BLOCK], b[BLOCK];
	int i = 0;
	for (; i + BLOCK <= n; i += BLOCK) {
		pick_block(p->ours + i, p->ours_limit + i, p->k_ours, a);
		pick_block(p->theirs + i, p->theirs_limit + i, p->k_theirs, b);
		add_block(a, b, count[SIDE_BOTH] + i, count[SIDE_OURS] + i, count[SIDE_THEIRS] + i);
	}
	for (; i < n; i++) {
		bool is_a = is_ours(p, (uint32_t)i), is_b = is_theirs(p, (uint32_t)i);
		if (is_a || is_b)
			count[is_a && is_b ? SIDE_BOTH : is_a ? SIDE_OURS : SIDE_THEIRS][i]++;
	}
}

static void count_pair(struct differences *d, const struct pair *p, int first, int n)
{
	uint16_t *const count[N_SIDE] = {d->count[SIDE_BOTH] + first, d->count[SIDE_OURS] + first, d->count[SIDE_THEIRS] + first};
	if (p->k_ours + p->k_theirs < (uint32_t)n / 12)
		count_picks(p, count);
	else
		count_candidates(p, count, n);
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
				.ours_order = evaluation_order(s->evaluation, ours, layer, unit),
				.theirs_order = evaluation_order(s->evaluation, theirs, layer, unit),
				.k_ours = (uint32_t)look_k_of(l, ours, layer, unit),
			};
			/* truth picks as many as the method that is judged */
			p.k_theirs = d->key.against_truth ? p.k_ours : (uint32_t)look_k_of(l, theirs, layer, unit);
			p.ours_limit = d->key.against_truth ? p.ours : evaluation_ranks(s->evaluation, s->series[0].method, layer, unit);
			p.theirs_limit = d->key.against_truth ? p.theirs : p.ours_limit;
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
