/* Answers from finished tables. */
#include "analysis/evaluation/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct capture *evaluation_capture(const struct evaluation *ev)
{
	return ev->capture;
}

const struct protocol *evaluation_protocol(const struct evaluation *ev)
{
	return &ev->protocol;
}

uint64_t evaluation_seed(const struct evaluation *ev)
{
	return ev->seed;
}

int evaluation_n_method(const struct evaluation *ev)
{
	return ev->n_method;
}

const struct eval_method *evaluation_method(const struct evaluation *ev, int m)
{
	return &ev->method[m];
}

int evaluation_find(const struct evaluation *ev, const char *name)
{
	for (int m = 0; m < ev->n_method; m++)
		if (ev->method[m].available && !strcmp(ev->method[m].method->name, name))
			return m;
	return -1;
}

int evaluation_n_unit(const struct evaluation *ev)
{
	return ev->n_unit;
}

bool evaluation_has_truth(const struct evaluation *ev)
{
	return ev->truth;
}

int evaluation_n_candidate(const struct evaluation *ev, int *first)
{
	if (first)
		*first = ev->first;
	return ev->n_cand;
}

int evaluation_k(const struct evaluation *ev, int budget, struct err *e)
{
	return selection_k(&ev->protocol.select, ev->capture->n_prompt, budget, e);
}

/* ---- agreement ---- */

/* Mean over the numbers that are defined. */
struct mean {
	double sum;
	int n;
};
static void mean_add(struct mean *m, double x)
{
	if (!isnan(x)) {
		m->sum += x;
		m->n++;
	}
}
static double mean_value(const struct mean *m)
{
	return m->n ? m->sum / m->n : NAN;
}

static void scope_layers(const struct evaluation *ev, struct scope s, int *first, int *end)
{
	*first = s.layer < 0 ? 0 : s.layer;
	*end = s.layer < 0 ? ev->capture->n_layer : s.layer + 1;
}

static void scope_units(const struct evaluation *ev, struct scope s, int *first, int *end)
{
	bool one = s.layer >= 0 && s.kv_head >= 0;
	*first = one ? s.kv_head : 0;
	*end = one ? s.kv_head + 1 : ev->n_unit;
}

struct unit_numbers {
	double overlap, mass, mass_ratio, hits;
};

static struct unit_numbers unit_agreement(const struct evaluation *ev, const struct method_tables *t, size_t row, int k)
{
	size_t at = row * ((size_t)ev->n_cand + 1) + (size_t)k;
	if (k < 1)
		return (struct unit_numbers){NAN, NAN, NAN, NAN};
	double hits = t->hits[row * t->hits_stride + (size_t)k], mass = (double)t->mass[at], best = (double)t->best[at];
	return (struct unit_numbers){hits / k, mass, best > 0 ? mass / best : NAN, hits};
}

/* k_of (n_layer, n_unit), or NULL: k everywhere. */
static struct agreement agreement(const struct evaluation *ev, int m, struct scope s, int k, const int *k_of)
{
	const struct method_tables *t = &ev->table[m];
	struct mean overlap = {0}, mass = {0}, ratio = {0}, hits = {0}, kl = {0}, spearman = {0}, area = {0};
	int layer, last, unit_first, unit_end, per_unit = ev->capture->n_head / ev->n_unit;
	scope_layers(ev, s, &layer, &last);
	scope_units(ev, s, &unit_first, &unit_end);
	/* without candidates or truth nothing is defined */
	for (; ev->method[m].available && ev->truth && ev->n_cand && layer < last; layer++)
		for (int unit = unit_first; unit < unit_end; unit++) {
			size_t row = unit_row(ev, layer, unit);
			int chosen = k_of ? k_of[row] : k;
			struct unit_numbers u = unit_agreement(ev, t, row, chosen < ev->n_cand ? chosen : ev->n_cand);
			mean_add(&overlap, u.overlap);
			mean_add(&mass, u.mass);
			mean_add(&ratio, u.mass_ratio);
			mean_add(&hits, u.hits);
			mean_add(&spearman, t->spearman[row]);
			mean_add(&area, t->area[row]);
			for (int h = unit * per_unit; h < (unit + 1) * per_unit; h++)
				mean_add(&kl, t->kl[(size_t)layer * (size_t)ev->capture->n_head + (size_t)h]);
		}
	return (struct agreement){.overlap = mean_value(&overlap), .mass = mean_value(&mass), .mass_ratio = mean_value(&ratio),
		.kl = mean_value(&kl), .spearman = mean_value(&spearman), .area = mean_value(&area), .hits = mean_value(&hits)};
}

struct agreement evaluation_agreement(const struct evaluation *ev, int m, struct scope s, int k)
{
	return agreement(ev, m, s, k, NULL);
}

struct agreement evaluation_agreement_at(const struct evaluation *ev, int m, struct scope s, const int *k)
{
	return agreement(ev, m, s, 0, k);
}

/* ---- uneven budgets ---- */

static int share_layers(const struct evaluation *ev, const struct method_tables *t, int budget, int *k, struct err *e)
{
	const struct capture *c = ev->capture;
	const struct selection *s = &ev->protocol.select;
	const float **unit = malloc((size_t)ev->n_unit * sizeof *unit);
	double *weight = malloc((size_t)ev->n_unit * sizeof *weight);
	if (!unit || !weight) {
		free(unit);
		free(weight);
		return err_set(e, ERR_MEMORY, "evaluation: out of memory for %d heads", ev->n_unit);
	}
	struct selection by_layer = *s;
	struct sorted_scores scores = {unit, ev->n_unit, ev->n_cand, weight};
	for (int layer = 0; layer < c->n_layer; layer++) {
		for (int u = 0; t->sorted && u < ev->n_unit; u++)
			unit[u] = t->sorted + unit_row(ev, layer, u) * (size_t)ev->n_cand;
		/* an order without scores cannot compete */
		by_layer.head = t->sorted && layer >= s->full_layers ? s->head : HEAD_UNIFORM;
		int base = selection_layer_k(s, c->n_prompt, c->n_layer, layer, budget);
		selection_share(&by_layer, &scores, base, selection_protected(s, c->n_prompt), k + unit_row(ev, layer, 0));
	}
	free(unit);
	free(weight);
	return 0;
}

int evaluation_allocate(const struct evaluation *ev, int m, int budget, int *k, struct err *e)
{
	int uniform = evaluation_k(ev, budget, e);
	if (uniform < 0)
		return ERR_USE;
	if (uneven(&ev->protocol.select))
		return share_layers(ev, &ev->table[m], budget, k, e);
	for (size_t row = 0; row < (size_t)ev->capture->n_layer * (size_t)ev->n_unit; row++)
		k[row] = uniform;
	return 0;
}

/* ---- positions ---- */

/* Candidate index of position j, or -1. */
static int candidate(const struct evaluation *ev, int j)
{
	return j >= ev->first && j < ev->first + ev->n_cand ? j - ev->first : -1;
}

const uint32_t *evaluation_ranks(const struct evaluation *ev, int m, int layer, int kv_head)
{
	return ev->table[m].rank + unit_row(ev, layer, kv_head) * ev->table[m].rank_stride;
}

const uint32_t *evaluation_order(const struct evaluation *ev, int m, int layer, int kv_head)
{
	return ev->table[m].order + unit_row(ev, layer, kv_head) * ev->table[m].rank_stride;
}

const float *evaluation_mass_curve(const struct evaluation *ev, int m, int layer, int kv_head)
{
	const float *mass = ev->table[m].mass;
	return mass ? mass + unit_row(ev, layer, kv_head) * ((size_t)ev->n_cand + 1) : NULL;
}

const uint32_t *evaluation_hits_curve(const struct evaluation *ev, int m, int layer, int kv_head)
{
	const uint32_t *hits = ev->table[m].hits;
	return hits ? hits + unit_row(ev, layer, kv_head) * ev->table[m].hits_stride : NULL;
}

double evaluation_kl(const struct evaluation *ev, int m, int layer, int head)
{
	const double *kl = ev->table[m].kl;
	return kl ? kl[(size_t)layer * (size_t)ev->capture->n_head + (size_t)head] : NAN;
}

int evaluation_rank(const struct evaluation *ev, int m, int layer, int kv_head, int j)
{
	int i = candidate(ev, j);
	return i < 0 ? -1 : (int)evaluation_ranks(ev, m, layer, kv_head)[i];
}

int evaluation_survival(const struct evaluation *ev, int m, int layer, int kv_head, int j)
{
	int rank = evaluation_rank(ev, m, layer, kv_head, j);
	const struct selection *s = &ev->protocol.select;
	return rank < 0 ? 0 : rank + 1 + (s->window_in_budget ? s->sink + s->window : 0);
}

int evaluation_votes(const struct evaluation *ev, int m, struct scope s, int k, int j)
{
	int layer, last, first, end, i = candidate(ev, j), votes = 0;
	scope_layers(ev, s, &layer, &last);
	scope_units(ev, s, &first, &end);
	if (i < 0)
		return (last - layer) * (end - first);
	for (; layer < last; layer++)
		for (int unit = first; unit < end; unit++)
			votes += (int64_t)evaluation_ranks(ev, m, layer, unit)[i] < k;
	return votes;
}

static void vote_for_picks(const uint32_t *order, int n, uint16_t *out)
{
	for (int i = 0; i < n; i++)
		out[order[i]]++;
}

/* The same when there are many: all candidates in their order, as fast as memory is read. */
static void vote_by_rank(const uint32_t *rank, int n, int n_cand, uint16_t *out)
{
	enum { LANES = 16 };
	int i = 0;
	for (; i + LANES <= n_cand; i += LANES)
		for (int lane = 0; lane < LANES; lane++)
			out[i + lane] = (uint16_t)(out[i + lane] + (rank[i + lane] < (uint32_t)n));
	for (; i < n_cand; i++)
		out[i] = (uint16_t)(out[i] + (rank[i] < (uint32_t)n));
}

int evaluation_votes_all(const struct evaluation *ev, int m, struct scope s, int k, uint16_t *out)
{
	int layer, last, first, end;
	scope_layers(ev, s, &layer, &last);
	scope_units(ev, s, &first, &end);
	int pairs = (last - layer) * (end - first), n = k < ev->n_cand ? k : ev->n_cand;
	for (int j = 0; j < ev->capture->n_prompt; j++)
		out[j] = candidate(ev, j) < 0 ? (uint16_t)pairs : 0;
	for (; layer < last; layer++)
		for (int unit = first; unit < end; unit++) {
			if (n < ev->n_cand / 8)
				vote_for_picks(evaluation_order(ev, m, layer, unit), n, out + ev->first);
			else
				vote_by_rank(evaluation_ranks(ev, m, layer, unit), n, ev->n_cand, out + ev->first);
		}
	return pairs;
}

/* ---- lift ---- */

static const struct score_job *lift_job(const struct evaluation *ev, int m)
{
	const struct score_job *job = &ev->table[m].job;
	return ev->method[m].available && job->map && job->map->kind == MAP_ROWS ? job : NULL;
}

/* Adds a head's lift over the candidates to out, weighted; a row without mass there has none. */
static void add_lift(const struct evaluation *ev, const struct score_job *job, int layer, int head, double *row,
	double weight, double *out)
{
	scoring_row(job, layer, head, ev->first + ev->n_cand, row);
	double sum = 0;
	for (int i = 0; i < ev->n_cand; i++)
		sum += row[ev->first + i];
	for (int i = 0; i < ev->n_cand; i++)
		out[i] += sum > 0 ? weight * row[ev->first + i] / sum * ev->n_cand : NAN;
}

/* One head's row as it lies in the map, without a copy: screens ask for many while a key is held down. */
static void lift_of_row(const struct evaluation *ev, const float *row, float *out)
{
	enum { LANES = 8 }; /* one sum alone waits for itself at every token */
	double lane[LANES] = {0}, sum = 0;
	int i = 0;
	row += ev->first;
	for (; i + LANES <= ev->n_cand; i += LANES)
		for (int k = 0; k < LANES; k++)
			lane[k] += (double)row[i + k];
	for (; i < ev->n_cand; i++)
		sum += (double)row[i];
	for (int k = 0; k < LANES; k++)
		sum += lane[k];
	for (int j = 0; j < ev->capture->n_prompt; j++)
		out[j] = NAN;
	double factor = ev->n_cand / sum;
	for (i = 0; sum > 0 && i < ev->n_cand; i++)
		out[ev->first + i] = (float)((double)row[i] * factor);
}

int evaluation_lift(const struct evaluation *ev, int m, int layer, int head, float *out, struct err *e)
{
	const struct score_job *job = lift_job(ev, m);
	if (!job)
		return err_set(e, ERR_USE, "%s has an order but no attention, so no lift", ev->method[m].method->label);
	if (head >= 0 && !job->how.per_visible_rows) {
		lift_of_row(ev, capture_row(ev->capture, job->map, layer, head), out);
		return 0;
	}
	int n = ev->capture->n_prompt, first = head < 0 ? 0 : head, end = head < 0 ? ev->capture->n_head : head + 1;
	double *row = calloc(2 * (size_t)n, sizeof *row), *sum = row ? row + n : NULL;
	if (!row)
		return err_set(e, ERR_MEMORY, "lift: out of memory for %d tokens", n);
	for (int h = first; h < end; h++)
		add_lift(ev, job, layer, h, row, 1.0 / (end - first), sum);
	for (int j = 0; j < n; j++) {
		int i = candidate(ev, j);
		out[j] = i < 0 ? NAN : (float)sum[i];
	}
	free(row);
	return 0;
}

int evaluation_prompt_sinks(const struct evaluation *ev, int layer, uint8_t *out)
{
	const struct capture *c = ev->capture;
	const struct score_job *job = ev->truth ? &ev->oracle.job : NULL;
	for (int m = 0; !job && m < ev->n_method; m++)
		job = lift_job(ev, m);
	memset(out, 0, (size_t)c->n_prompt);
	double *row = job ? calloc(2 * (size_t)c->n_prompt, sizeof *row) : NULL;
	int *heads = job ? calloc((size_t)ev->n_cand + 1, sizeof *heads) : NULL;
	int n = 0;
	for (int h = 0; row && heads && h < c->n_head; h++) {
		double *lift = row + c->n_prompt;
		memset(lift, 0, (size_t)c->n_prompt * sizeof *lift);
		add_lift(ev, job, layer, h, row, 1, lift);
		for (int i = 0; i < ev->n_cand; i++)
			heads[i] += lift[i] > 20;
	}
	for (int i = 0; row && heads && i < ev->n_cand; i++)
		if (2 * heads[i] > c->n_head) {
			out[ev->first + i] = 1;
			n++;
		}
	free(row);
	free(heads);
	return n;
}
