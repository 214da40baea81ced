#include "tui/look.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tui/draw/number.h"

static int clamp(int x, int low, int high)
{
	return x > high ? (high < low ? low : high) : x < low ? low : x;
}

static const struct capture *capture_of(const struct look *l)
{
	return l->snap->capture;
}

/* While truth is noise the most interesting place is another one with every row; from here on the cursor waits for
 * the last. */
enum { SETTLED_ROWS = 32 };

static void forget_marks(struct look *l)
{
	spans_clear(&l->marked);
	search_clear(&l->search);
	l->marking = false;
	l->jump = JUMP_DIFFERENCE;
}

void look_take(struct look *l, const struct snapshot *s)
{
	const struct snapshot *old = l->snap;
	bool other_text = old && !capture_same_prompt(old->capture, s->capture);
	bool other_prompt = !old || other_text || old->capture->n_layer != s->capture->n_layer ||
		old->capture->n_head != s->capture->n_head;
	if (other_text)
		forget_marks(l);
	l->snap = s;
	if (other_prompt) {
		l->budget = look_first_budget(s, l->asked_budget);
		l->layer = s->capture->n_layer / 2;
		l->head = 0;
		l->token = s->capture->n_prompt / 2;
		l->from = l->span = 0;
		l->moved = l->settled = false;
	}
	l->budget = clamp(l->budget, look_least_budget(l), s->capture->n_prompt); /* another protocol may protect more */
	/* others may have come before it */
	int same = old && l->focus < old->n_series ? snapshot_find(s, old->series[l->focus].name) : 0;
	l->focus = same < 0 ? 0 : same;
	bool same_capture = old && old->capture == s->capture; /* under another protocol */
	if (!l->moved && !same_capture && (!l->settled || s->capture->complete))
		look_open_at_interest(l);
	l->moved |= s->capture->complete; /* what is made of it later is looked at in the same place */
	l->settled = !s->capture->complete && s->series[0].n_rows >= SETTLED_ROWS;
	snapshot_unref(old);
}

void look_free(struct look *l)
{
	snapshot_unref(l->snap);
	l->snap = NULL;
	forget_marks(l);
	for (int i = 0; i < LOOK_MAX_DEAL; i++) {
		free(l->deal[i].k);
		l->deal[i].k = NULL;
		free(l->votes[i].of);
		l->votes[i].of = NULL;
	}
}

int look_n_unit(const struct look *l)
{
	return evaluation_n_unit(l->snap->evaluation);
}

int look_group(const struct look *l)
{
	return capture_of(l)->n_head / look_n_unit(l);
}

int look_unit(const struct look *l)
{
	return l->head / look_group(l);
}

const char *look_unit_word(const struct look *l)
{
	return look_n_unit(l) == capture_of(l)->n_kv_head ? "KV head" : "query head";
}

struct scope look_scope(const struct look *l)
{
	return (struct scope){
		.layer = l->scope == LOOK_ALL ? -1 : l->layer,
		.kv_head = l->scope == LOOK_HEAD ? look_unit(l) : -1,
	};
}

int look_n_heads(const struct look *l)
{
	int units = look_n_unit(l);
	return l->scope == LOOK_HEAD ? 1 : l->scope == LOOK_LAYER ? units : units * capture_of(l)->n_layer;
}

int look_k(const struct look *l)
{
	struct err e;
	return l->snap->n_candidate > 0 ? evaluation_k(l->snap->evaluation, l->budget, &e) : -1;
}

/* ---- agreement and votes ---- */

/* k of every (layer, unit) when the protocol is uneven; NULL when it is not, or when memory is short. */
static const int *deal_of(struct look *l, int method)
{
	const struct selection *s = &evaluation_protocol(l->snap->evaluation)->select;
	bool uniform = s->layer == LAYER_UNIFORM && s->head == HEAD_UNIFORM && s->full_layers == 0;
	if (uniform || method >= LOOK_MAX_DEAL)
		return NULL;
	struct look_deal *d = &l->deal[method];
	if (d->k && d->serial == l->snap->serial && d->budget == l->budget)
		return d->k;
	struct err e;
	free(d->k);
	*d = (struct look_deal){.serial = l->snap->serial, .budget = l->budget,
		.k = malloc((size_t)capture_of(l)->n_layer * (size_t)look_n_unit(l) * sizeof *d->k)};
	if (d->k && evaluation_allocate(l->snap->evaluation, method, l->budget, d->k, &e)) {
		free(d->k);
		d->k = NULL;
	}
	return d->k;
}

struct agreement look_agreement(struct look *l, int method, struct scope s)
{
	const struct evaluation *ev = l->snap->evaluation;
	int k = look_k(l);
	if (method < 0 || k < 1 || !evaluation_has_truth(ev))
		return (struct agreement){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
	const int *deal = deal_of(l, method);
	return deal ? evaluation_agreement_at(ev, method, s, deal) : evaluation_agreement(ev, method, s, k);
}

int look_k_of(struct look *l, int method, int layer, int unit)
{
	const int *deal = method < 0 ? NULL : deal_of(l, method);
	return deal ? deal[layer * look_n_unit(l) + unit] : look_k(l);
}

/* Votes for every token, of a layer or (-1) of all. */
static void count_votes(struct look *l, int method, int layer, int k, const int *deal, uint16_t *of)
{
	const struct evaluation *ev = l->snap->evaluation;
	int units = look_n_unit(l), from = layer < 0 ? 0 : layer, to = layer < 0 ? capture_of(l)->n_layer : layer + 1;
	if (!deal) {
		evaluation_votes_all(ev, method, (struct scope){layer, -1}, k, of);
		return;
	}
	for (int j = 0; j < capture_of(l)->n_prompt; j++)
		of[j] = j >= l->snap->first && j < l->snap->first + l->snap->n_candidate ? 0 : (uint16_t)((to - from) * units);
	for (int row = from * units; row < to * units; row++) {
		const uint32_t *order = evaluation_order(ev, method, row / units, row % units);
		for (int i = 0; i < deal[row] && i < l->snap->n_candidate; i++)
			of[(uint32_t)l->snap->first + order[i]]++;
	}
}

/* One token's, in the same. */
static int votes_for(struct look *l, int method, int layer, int k, const int *deal, int index)
{
	const struct evaluation *ev = l->snap->evaluation;
	int units = look_n_unit(l), from = layer < 0 ? 0 : layer, to = layer < 0 ? capture_of(l)->n_layer : layer + 1, votes = 0;
	for (int row = from * units; row < to * units; row++)
		votes += (int)evaluation_ranks(ev, method, row / units, row % units)[index] < (deal ? deal[row] : k);
	return votes;
}

enum { SINGLE_TOKENS = 100 };

static int votes_of_heads(struct look *l, int method, int layer, int k, int token)
{
	struct look_votes *v = &l->votes[method];
	const int *deal = deal_of(l, method);
	if (v->serial != l->snap->serial || v->budget != l->budget || v->layer != layer)
		*v = (struct look_votes){.serial = l->snap->serial, .budget = l->budget, .layer = layer, .of = v->of};
	if (!v->counted && v->asked++ > SINGLE_TOKENS) {
		uint16_t *of = realloc(v->of, (size_t)capture_of(l)->n_prompt * sizeof *of);
		v->of = of ? of : v->of;
		v->counted = of != NULL;
		if (of)
			count_votes(l, method, layer, k, deal, of);
	}
	return v->counted ? v->of[token] : votes_for(l, method, layer, k, deal, token - l->snap->first);
}

int look_votes(struct look *l, int method, struct scope s, int token)
{
	const struct evaluation *ev = l->snap->evaluation;
	int k = look_k(l), index = token - l->snap->first;
	if (method < 0 || k < 0)
		return -1;
	if (index < 0 || index >= l->snap->n_candidate || method >= LOOK_MAX_DEAL)
		return evaluation_votes(ev, method, s, k, token);
	if (s.kv_head < 0)
		return votes_of_heads(l, method, s.layer, k, token);
	return (int)evaluation_ranks(ev, method, s.layer, s.kv_head)[index] < look_k_of(l, method, s.layer, s.kv_head);
}

/* ---- moving ---- */

void look_set_token(struct look *l, int token)
{
	l->token = clamp(token, 0, capture_of(l)->n_prompt - 1);
	l->moved = true;
	look_follow(l);
}

struct span look_marking(const struct look *l)
{
	int a = l->mark_from, b = l->token;
	return a < b ? (struct span){a, b + 1} : (struct span){b, a + 1};
}

void look_move_token(struct look *l, int by)
{
	look_set_token(l, l->token + by);
}

void look_set_head(struct look *l, int layer, int head)
{
	l->layer = clamp(layer, 0, capture_of(l)->n_layer - 1);
	l->head = clamp(head, 0, capture_of(l)->n_head - 1);
	l->moved = true;
}

void look_move_layer(struct look *l, int by)
{
	look_set_head(l, l->layer + by, l->head);
}

void look_move_head(struct look *l, int by)
{
	look_set_head(l, l->layer, l->head + by);
}

void look_next_scope(struct look *l)
{
	l->scope = (enum look_scope)((l->scope + 1) % 3);
}

void look_next_scale(struct look *l)
{
	l->scale = (enum ramp_scale)((l->scale + 1) % (RAMP_DIFFERENCE + 1));
}

enum ramp_scale look_scale(const struct look *l)
{
	return l->snap->n_candidate > 0 ? l->scale : RAMP_RAW;
}

void look_next_series(struct look *l, int by)
{
	l->focus = (l->focus + by + l->snap->n_series) % l->snap->n_series;
}

/* ---- budget ---- */

static int least_budget(const struct snapshot *s)
{
	const struct selection *select = &evaluation_protocol(s->evaluation)->select;
	return select->sink + select->window + 1;
}

int look_least_budget(const struct look *l)
{
	return least_budget(l->snap);
}

/* The ladder is 128 * 2^(i/2), rounded: ... 64 91 128 181 256 362 512 ... */
static int rung(int i)
{
	return (int)lround(128 * pow(2, 0.5 * i));
}

int look_notch(int budget, int by)
{
	int i = (int)floor(2 * log2(budget / 128.0) + 1e-9);
	while (rung(i) < budget)
		i++;
	bool between = rung(i) != budget; /* rung(i) is the next one above */
	return rung(i + by - (between && by > 0));
}

void look_step_budget(struct look *l, int by)
{
	look_set_budget(l, look_notch(l->budget, by));
}

void look_set_budget(struct look *l, int budget)
{
	l->budget = clamp(budget, least_budget(l->snap), capture_of(l)->n_prompt);
}

int look_first_budget(const struct snapshot *s, int asked)
{
	int n = s->capture->n_prompt;
	int budget = asked > 0 ? asked : n > 128 ? 128 : n / 2;
	return clamp(budget, least_budget(s), n);
}

/* ---- the maps' window on the tokens ---- */

struct look_window look_visible(const struct look *l)
{
	int n = l->snap->n_shown;
	int span = l->span <= 0 || l->span > n ? n : l->span;
	return (struct look_window){clamp(l->from, 0, n - span), span};
}

void look_column(struct look_window w, int cols, int col, int *begin, int *end)
{
	*begin = w.from + (int)((long long)col * w.span / cols);
	*end = w.from + (int)((long long)(col + 1) * w.span / cols);
	if (*end <= *begin)
		*end = *begin + 1;
}

int look_column_of(const struct look *l, int cols)
{
	struct look_window w = look_visible(l);
	int index = l->token - l->snap->shown_first - w.from;
	if (index < 0 || w.span == 0)
		return -1;
	if (index >= w.span)
		return cols;
	int col = (int)((long long)index * cols / w.span), begin, end;
	look_column(w, cols, col, &begin, &end);
	while (col + 1 < cols && end <= index + w.from)
		look_column(w, cols, ++col, &begin, &end);
	while (col > 0 && begin > index + w.from)
		look_column(w, cols, --col, &begin, &end);
	return col;
}

void look_follow(struct look *l)
{
	struct look_window w = look_visible(l);
	int index = clamp(l->token - l->snap->shown_first, 0, l->snap->n_shown - 1);
	int margin = w.span / 8;
	if (index < w.from + (w.from > 0 ? margin : 0))
		w.from = index - margin;
	else if (index >= w.from + w.span - margin)
		w.from = index - w.span + margin + 1;
	l->from = clamp(w.from, 0, l->snap->n_shown - w.span);
}

void look_zoom(struct look *l, int by, int cols)
{
	struct look_window w = look_visible(l);
	int n = l->snap->n_shown, least = cols < n ? cols : n;
	int span = by > 0 ? (w.span + 1) / 2 : 2 * w.span;
	span = clamp(span, least, n);
	int index = clamp(l->token - l->snap->shown_first, 0, n - 1);
	/* the cursor's token stays where it is on the screen */
	double share = w.span > 0 ? (double)(index - w.from) / w.span : 0;
	l->span = span == n ? 0 : span;
	l->from = clamp(index - (int)(share * span), 0, n - span);
	look_follow(l);
}

/* ---- words ---- */

void look_say_budget(const struct look *l, char *out, size_t out_bytes)
{
	const struct selection *select = &evaluation_protocol(l->snap->evaluation)->select;
	char a[32], b[32], c[32];
	int k = look_k(l);
	if (k < 0) {
		snprintf(out, out_bytes, "KEEP all %s: the prompt is within %d first + %d last, nothing to choose",
			number_grouped(a, capture_of(l)->n_prompt), select->sink, select->window);
		return;
	}
	bool uneven = select->layer != LAYER_UNIFORM || select->head != HEAD_UNIFORM || select->full_layers > 0;
	snprintf(out, out_bytes, "KEEP %s per %s%s = %d first + %d last + %s chosen of %s", number_grouped(a, l->budget),
		look_unit_word(l), uneven ? " on average" : "", select->sink, select->window, number_grouped(b, k),
		number_grouped(c, l->snap->n_candidate));
}

void look_say_scope(const struct look *l, enum look_detail detail, char *out, size_t out_bytes)
{
	int group = look_group(l), unit = look_unit(l), units = look_n_unit(l);
	bool kv = units == capture_of(l)->n_kv_head, words = detail < LOOK_WORDLESS;
	char token[32], where[80], heads[40] = "", kind[24] = "";
	if (detail == LOOK_FULL && kv && group > 1)
		snprintf(heads, sizeof heads, " (Q%d\xe2\x80\x93Q%d)", unit * group, unit * group + group - 1);
	if (words)
		snprintf(kind, sizeof kind, " %ss", look_unit_word(l));
	if (l->scope == LOOK_ALL)
		snprintf(where, sizeof where, "all %d%s", look_n_heads(l), kind);
	else if (l->scope == LOOK_LAYER)
		snprintf(where, sizeof where, words ? "L%d, %d%s" : "L%d", l->layer, units, kind);
	else
		snprintf(where, sizeof where, "L%d\xc2\xb7%s%d%s", l->layer, kv ? "KV" : "Q", unit, heads);
	snprintf(out, out_bytes, detail < LOOK_LEAST ? "%s%s \xc2\xb7 #%s" : "%s%s", words ? "scope " : "", where,
		number_grouped(token, l->token));
}

/* ---- where to open ---- */

struct place {
	double gap;
	int layer, unit;
};

static struct place widest_gap(struct look *l, int better, int worse)
{
	struct place best = {-INFINITY, -1, -1};
	for (int layer = 0; layer < capture_of(l)->n_layer; layer++) {
		for (int unit = 0; unit < look_n_unit(l); unit++) {
			struct scope s = {layer, unit};
			double gap = look_agreement(l, better, s).mass_ratio - look_agreement(l, worse, s).mass_ratio;
			if (gap > best.gap)
				best = (struct place){gap, layer, unit};
		}
	}
	return best;
}

/* The token truth ranks highest among those that `better` keeps and `worse` drops; without one, truth's first. */
static int telling_token(const struct look *l, struct place p, int truth, int better, int worse, int k)
{
	const struct evaluation *ev = l->snap->evaluation;
	const uint32_t *order = evaluation_order(ev, truth, p.layer, p.unit);
	const uint32_t *kept = evaluation_ranks(ev, better, p.layer, p.unit),
		*dropped = evaluation_ranks(ev, worse, p.layer, p.unit);
	for (int i = 0; i < k; i++)
		if (kept[order[i]] < (uint32_t)k && dropped[order[i]] >= (uint32_t)k)
			return (int)order[i];
	return (int)order[0];
}

void look_open_at_interest(struct look *l)
{
	int k = look_k(l);
	int truth = snapshot_method(l->snap, "oracle"), snapkv = snapshot_method(l->snap, "snapkv");
	int better = snapshot_method(l->snap, "lookahead");
	if (better < 0)
		better = truth; /* without modules: where SnapKV misses most */
	if (k <= 0 || truth < 0 || snapkv < 0)
		return;
	struct place p = widest_gap(l, better, snapkv);
	if (p.layer < 0)
		return;
	l->layer = p.layer;
	l->head = p.unit * look_group(l);
	l->token = l->snap->first + telling_token(l, p, truth, better, snapkv, k);
	look_follow(l);
}
