/* Filling an evaluation's tables, a layer at a time, layers spread over threads. */
#include "analysis/evaluation/tables.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/divergence.h"
#include "analysis/ranking.h"
#include "engine/random.h"

/* One thread's working memory, sized by the prompt. */
struct scratch {
	double *buffer;              /* (3 n) of scoring_unit */
	double *truth_row, *row;     /* (n) one query head */
	double *truth_rank, *rank;   /* (n_cand) average ranks */
	float *score, *share;        /* (n) scores of a unit; (n_cand) truth's share */
	uint32_t *even_order, *even_rank;
	void *memory;
};

static bool scratch_open(struct scratch *s, const struct evaluation *ev)
{
	size_t n = (size_t)ev->capture->n_prompt;
	double *at = calloc(9 * n, sizeof *at);
	*s = (struct scratch){.memory = at};
	if (!at)
		return false;
	s->buffer = at;
	s->truth_row = at + 3 * n;
	s->row = at + 4 * n;
	s->truth_rank = at + 5 * n;
	s->rank = at + 6 * n;
	s->score = (float *)(at + 7 * n);
	s->share = s->score + n;
	s->even_order = (uint32_t *)(at + 8 * n);
	s->even_rank = s->even_order + n;
	return true;
}

/* ---- one unit ---- */

/* Average rank of every candidate, 0 the best: members of a tie share the mean of their places. */
static void average_ranks(const float *score, const uint32_t *order, int n, double *out)
{
	for (int i = 0; i < n;) {
		int end = i + 1;
		while (end < n && score[order[end]] == score[order[i]])
			end++;
		for (int k = i; k < end; k++)
			out[order[k]] = 0.5 * (i + end - 1);
		i = end;
	}
}

/* Pearson correlation of two vectors of average ranks, whose means are both (n - 1) / 2. */
static double rank_correlation(const double *a, const double *b, int n)
{
	double mean = 0.5 * (n - 1), ab = 0, aa = 0, bb = 0;
	for (int i = 0; i < n; i++) {
		double x = a[i] - mean, y = b[i] - mean;
		ab += x * y;
		aa += x * x;
		bb += y * y;
	}
	return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : NAN;
}

/* Truth's values as shares of the candidates' sum; NaN everywhere when they sum to nothing. */
static void shares(const float *p, int n, float *out)
{
	double sum = 0;
	for (int i = 0; i < n; i++)
		sum += (double)p[i];
	for (int i = 0; i < n; i++)
		out[i] = sum > 0 ? (float)((double)p[i] / sum) : NAN;
}

static double mean_of_curve(const float *mass, int n)
{
	double sum = 0;
	for (int k = 1; k <= n; k++)
		sum += (double)mass[k];
	return n ? sum / n : NAN;
}

static void sort_scores(const float *score, const uint32_t *order, int n, float *sorted)
{
	for (int i = 0; i < n; i++)
		sorted[i] = score[order[i]];
}

/* What a ranking is worth: against truth's ranks, shares and average ranks. score NULL: a ranking without ties. */
static void judge(const struct evaluation *ev, struct method_tables *t, size_t row, const uint32_t *truth_rank,
	const struct scratch *s, const float *score)
{
	int n = ev->n_cand;
	const uint32_t *order = t->order + row * t->rank_stride, *rank = t->rank + row * t->rank_stride;
	float *mass = t->mass + row * ((size_t)n + 1);
	if (t->hits != ev->identity)
		ranking_hits(rank, truth_rank, n, t->hits + row * t->hits_stride);
	ranking_mass(order, s->share, n, mass);
	t->area[row] = mean_of_curve(mass, n);
	if (score)
		average_ranks(score, order, n, s->rank);
	else
		for (int i = 0; i < n; i++)
			s->rank[i] = rank[i];
	t->spearman[row] = rank_correlation(s->rank, s->truth_rank, n);
}

static void rank_scores(const struct evaluation *ev, struct method_tables *t, size_t row, const float *score)
{
	uint32_t *order = t->order + row * t->rank_stride;
	ranking_sort(score, ev->n_cand, order, t->rank + row * t->rank_stride);
	if (t->sorted)
		sort_scores(score, order, ev->n_cand, t->sorted + row * (size_t)ev->n_cand);
}

static void fill_oracle(struct evaluation *ev, int layer, int unit, const struct scratch *s)
{
	struct method_tables *t = &ev->oracle;
	size_t row = unit_row(ev, layer, unit);
	scoring_unit(&t->job, layer, unit, s->buffer, s->score);
	const float *p = s->score + ev->first;
	rank_scores(ev, t, row, p);
	shares(p, ev->n_cand, s->share);
	average_ranks(p, t->order + row * t->rank_stride, ev->n_cand, s->truth_rank);
	judge(ev, t, row, NULL, s, p);
}

/* A seeded permutation, each row its own stream. */
static void fill_random(const struct evaluation *ev, struct method_tables *t, size_t row)
{
	uint32_t *order = t->order + row * t->rank_stride, *rank = t->rank + row * t->rank_stride;
	struct rng r;
	rng_seed_stream(&r, ev->seed, row);
	for (int i = 0; i < ev->n_cand; i++) {
		uint32_t k = rng_below(&r, (uint32_t)i + 1);
		order[i] = order[k];
		order[k] = (uint32_t)i;
	}
	for (int i = 0; i < ev->n_cand; i++)
		rank[order[i]] = (uint32_t)i;
}

static void fill_method(struct evaluation *ev, int m, int layer, int unit, const struct scratch *s)
{
	struct method_tables *t = &ev->table[m];
	size_t row = unit_row(ev, layer, unit);
	const float *score = NULL;
	switch (ev->method[m].method->kind) {
	case METHOD_MAP:
		scoring_unit(&t->job, layer, unit, s->buffer, s->score);
		score = s->score + ev->first;
		rank_scores(ev, t, row, score);
		break;
	case METHOD_RANDOM:
		fill_random(ev, t, row);
		break;
	default: /* recency is the same everywhere and filled before; the oracle and the ceiling have functions of their own */
		break;
	}
	if (ev->truth)
		judge(ev, t, row, ev->oracle.rank + row * ev->oracle.rank_stride, s, score);
}

/* Odd response rows' mean of one query head from truth and truth_even: out (n_prompt). */
static void odd_row(const struct evaluation *ev, int layer, int head, double *out)
{
	const struct capture *c = ev->capture;
	const float *truth = capture_row(c, ev->truth, layer, head), *even = capture_row(c, ev->even, layer, head);
	double m = ev->n_even + ev->n_odd;
	for (int j = 0; j < c->n_prompt; j++)
		out[j] = (m * (double)truth[j] - ev->n_even * (double)even[j]) / ev->n_odd;
}

/* Even and odd truth of a unit, over candidates. */
static void halves(const struct evaluation *ev, int layer, int unit, const struct scratch *s, float *even, float *odd)
{
	const struct capture *c = ev->capture;
	int per_unit = c->n_head / ev->n_unit;
	double *even_sum = s->buffer, *odd_sum = s->buffer + c->n_prompt;
	memset(s->buffer, 0, 2 * (size_t)c->n_prompt * sizeof *s->buffer);
	for (int h = unit * per_unit; h < (unit + 1) * per_unit; h++) {
		const float *row = capture_row(c, ev->even, layer, h);
		odd_row(ev, layer, h, s->row);
		for (int j = 0; j < c->n_prompt; j++) {
			even_sum[j] += (double)row[j];
			odd_sum[j] += s->row[j];
		}
	}
	for (int i = 0; i < ev->n_cand; i++) {
		even[i] = (float)(even_sum[ev->first + i] / per_unit);
		odd[i] = (float)(odd_sum[ev->first + i] / per_unit);
	}
}

/* Odd rows judged by even ones: the only method with a truth of its own, so it comes last for a unit. */
static void fill_ceiling(struct evaluation *ev, int m, int layer, int unit, const struct scratch *s)
{
	struct method_tables *t = &ev->table[m];
	size_t row = unit_row(ev, layer, unit);
	float *odd = s->score, *even = s->share;
	halves(ev, layer, unit, s, even, odd);
	ranking_sort(even, ev->n_cand, s->even_order, s->even_rank);
	average_ranks(even, s->even_order, ev->n_cand, s->truth_rank);
	rank_scores(ev, t, row, odd);
	shares(even, ev->n_cand, s->share); /* in place */
	ranking_mass(s->even_order, s->share, ev->n_cand, t->own_best + row * ((size_t)ev->n_cand + 1));
	judge(ev, t, row, s->even_rank, s, odd);
}

/* ---- KL, by query head ---- */

static void fill_head(struct evaluation *ev, int layer, int head, const struct scratch *s)
{
	const struct capture *c = ev->capture;
	int n = c->n_prompt;
	size_t at = (size_t)layer * (size_t)c->n_head + (size_t)head;
	double sum = 0, self = NAN;
	if (ev->truth) {
		scoring_row(&ev->oracle.job, layer, head, n, s->truth_row);
		sum = divergence_sum(s->truth_row, n);
		self = sum > 0 ? divergence_cross(s->truth_row, sum, s->truth_row, sum, n) : NAN;
		ev->oracle.kl[at] = sum > 0 ? 0 : NAN;
		ev->oracle.row_sum[at] = (float)sum;
	}
	for (int m = 0; m < ev->n_method; m++) {
		struct method_tables *t = &ev->table[m];
		if (!ev->method[m].available || ev->method[m].method->kind == METHOD_ORACLE)
			continue;
		bool rows = t->job.map && t->job.map->kind == MAP_ROWS;
		if (rows) {
			scoring_row(&t->job, layer, head, n, s->row);
			t->row_sum[at] = (float)divergence_sum(s->row, n);
		}
		if (t->kl && ev->method[m].method->kind != METHOD_CEILING)
			t->kl[at] = rows ? divergence_kl(s->truth_row, sum, self, s->row, n) : NAN;
	}
}

static void fill_ceiling_head(struct evaluation *ev, int m, int layer, int head, const struct scratch *s)
{
	const struct capture *c = ev->capture;
	const float *even = capture_row(c, ev->even, layer, head);
	for (int j = 0; j < c->n_prompt; j++)
		s->truth_row[j] = (double)even[j];
	double sum = divergence_sum(s->truth_row, c->n_prompt);
	double self = divergence_cross(s->truth_row, sum, s->truth_row, sum, c->n_prompt);
	odd_row(ev, layer, head, s->row);
	for (int j = 0; j < c->n_prompt; j++) /* rounding of the stored means can fall below 0 */
		s->row[j] = fmax(0, s->row[j]);
	ev->table[m].kl[(size_t)layer * (size_t)c->n_head + (size_t)head] = divergence_kl(s->truth_row, sum, self, s->row, c->n_prompt);
}

static void fill_layer(struct evaluation *ev, int layer, const struct scratch *s)
{
	for (int unit = 0; unit < ev->n_unit; unit++) {
		int ceiling = -1;
		if (ev->truth)
			fill_oracle(ev, layer, unit, s);
		for (int m = 0; m < ev->n_method; m++) {
			enum method_kind kind = ev->method[m].method->kind;
			if (kind == METHOD_CEILING && ev->method[m].available)
				ceiling = m;
			else if (kind != METHOD_ORACLE && ev->method[m].available)
				fill_method(ev, m, layer, unit, s);
		}
		if (ceiling >= 0)
			fill_ceiling(ev, ceiling, layer, unit, s);
	}
	for (int head = 0; head < ev->capture->n_head; head++)
		fill_head(ev, layer, head, s);
	for (int m = 0; m < ev->n_method; m++)
		if (ev->method[m].method->kind == METHOD_CEILING && ev->method[m].available)
			for (int head = 0; head < ev->capture->n_head; head++)
				fill_ceiling_head(ev, m, layer, head, s);
}

/* ---- layers over threads ---- */

struct crew {
	struct evaluation *ev;
	atomic_int next;      /* layer to be taken */
	atomic_int done;
	atomic_bool stop;
};
struct worker {
	struct crew *crew;
	struct scratch scratch;
	pthread_t thread;
	bool started;
};

static void *help(void *user)
{
	struct worker *w = user;
	for (;;) {
		int layer = atomic_fetch_add(&w->crew->next, 1);
		if (layer >= w->crew->ev->capture->n_layer || atomic_load(&w->crew->stop))
			return NULL;
		fill_layer(w->crew->ev, layer, &w->scratch);
		atomic_fetch_add(&w->crew->done, 1);
	}
}

/* The calling thread works like the others, and reports between its layers. */
static int lead(struct worker *w, const struct progress *progress)
{
	struct crew *crew = w->crew;
	int n_layer = crew->ev->capture->n_layer;
	for (;;) {
		int layer = atomic_fetch_add(&crew->next, 1);
		if (layer >= n_layer)
			return 0;
		fill_layer(crew->ev, layer, &w->scratch);
		int done = atomic_fetch_add(&crew->done, 1) + 1;
		if (done < n_layer && progress_report(progress, "evaluate", done, n_layer)) {
			atomic_store(&crew->stop, true);
			return ERR_CANCELLED;
		}
	}
}

static int crew_size(int n_threads, int n_layer)
{
	cpu_set_t set;
	int most = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
	int n = n_threads > 0 ? n_threads : most;
	n = n < n_layer ? n : n_layer;
	return n < 64 ? n : 64;
}

static void fill_recency(struct evaluation *ev)
{
	for (int m = 0; m < ev->n_method; m++)
		for (int i = 0; ev->method[m].method->kind == METHOD_RECENCY && i < ev->n_cand; i++)
			ev->table[m].order[i] = ev->table[m].rank[i] = (uint32_t)(ev->n_cand - 1 - i);
}

int evaluation_fill(struct evaluation *ev, int n_threads, const struct progress *progress, struct err *e)
{
	int n_layer = ev->capture->n_layer, n = crew_size(n_threads, n_layer), rc = 0;
	struct crew crew = {.ev = ev};
	struct worker *worker = calloc((size_t)n, sizeof *worker);
	if (!worker || !scratch_open(&worker[0].scratch, ev))
		rc = err_set(e, ERR_MEMORY, "evaluation: out of memory for %d threads", n);
	fill_recency(ev);
	for (int i = 0; !rc && i < n; i++) {
		worker[i].crew = &crew;
		/* a helper that cannot be had is no failure: the others take its layers */
		worker[i].started = i > 0 && scratch_open(&worker[i].scratch, ev)
			&& !pthread_create(&worker[i].thread, NULL, help, &worker[i]);
	}
	if (!rc)
		rc = lead(&worker[0], progress);
	for (int i = 0; worker && i < n; i++) {
		if (worker[i].started)
			pthread_join(worker[i].thread, NULL);
		free(worker[i].scratch.memory);
	}
	free(worker);
	if (!rc && progress_report(progress, "evaluate", n_layer, n_layer))
		rc = ERR_CANCELLED;
	if (rc == ERR_CANCELLED)
		err_set(e, ERR_CANCELLED, "evaluation: stopped");
	return rc;
}
