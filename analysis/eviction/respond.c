/* Responses over the whole and over the evicted cache, and what lies between them. */
#include "analysis/eviction.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FORCED_ROWS = 16 }; /* rows between two looks at progress */

/* The response as the capture tells it. */
static const int32_t *told_response(const struct capture *c)
{
	return c->token + c->n_prompt;
}

/* ---- feeding ---- */

struct forced { /* a response that is fed, and what is done with the logits after each row */
	const int32_t *id;
	int n;
	const char *stage;
	const struct progress *progress;
	float *logits; /* (FORCED_ROWS, n_vocab) */
	void (*row)(void *user, int row, const float *logits);
	void *user;
};

static int feed(struct session *s, const struct forced *f, int n_vocab, struct err *e)
{
	for (int at = 0; at < f->n; at += FORCED_ROWS) {
		int n = f->n - at < FORCED_ROWS ? f->n - at : FORCED_ROWS;
		const struct run_request r = {.ids = f->id + at, .n = n, .logits = f->logits, .stage = f->stage};
		if (progress_report(f->progress, f->stage, at, f->n))
			return err_set(e, ERR_CANCELLED, "stopped");
		int rc = session_run(s, &r, e);
		if (rc)
			return rc;
		for (int i = 0; i < n; i++)
			f->row(f->user, at + i, f->logits + (size_t)i * (size_t)n_vocab);
	}
	progress_report(f->progress, f->stage, f->n, f->n);
	return 0;
}

/* Greedy, from a first token that the prompt itself gave. ids has room for n_max. */
struct greedy {
	int32_t first;
	int n_max;
	int32_t *id;
	int n;
	bool ended;
};

static int respond(struct session *s, struct greedy *g, const struct progress *progress, struct err *e)
{
	const struct generate_options o = {.n_max = g->n_max - 1, .progress = progress};
	const struct run_request first = {.ids = &g->first, .n = 1, .stage = "evicted"};
	g->id[0] = g->first;
	int rc = session_run(s, &first, e);
	if (!rc)
		rc = session_generate(s, &o, g->id + 1, &g->n, &g->ended, e);
	g->n++;
	return rc;
}

/* ---- the whole cache ---- */

static void keep_row(void *user, int row, const float *logits)
{
	struct whole_response *w = user;
	memcpy(w->logits + (size_t)row * (size_t)w->n_vocab, logits, (size_t)w->n_vocab * sizeof *logits);
}

static bool is_told(const struct capture *c, const char *key, const char *value)
{
	const char *told = capture_meta(c, key);
	return told && !strcmp(told, value);
}

/* The greedy response: the run's own where it was greedy. A sampled or given one says nothing of what the model would have said. */
static int take_response(struct whole_response *w, struct live *l, const struct progress *progress, struct err *e)
{
	const struct capture *c = live_capture(l);
	w->n = c->n_response;
	w->ended = is_told(c, "response_end", "end token");
	if (is_told(c, "response_source", "greedy")) {
		memcpy(w->id, told_response(c), (size_t)w->n * sizeof *w->id);
		return 0;
	}
	struct greedy g = {.first = told_response(c)[0], .n_max = w->n, .id = w->id};
	int rc = respond(live_session(l), &g, progress, e);
	w->n = g.n;
	w->ended = g.ended;
	return rc;
}

int eviction_whole(struct whole_response **out, struct live *l, const struct progress *progress, struct err *e)
{
	const struct capture *c = live_capture(l);
	int n_vocab = model_info(live_model(l))->n_vocab;
	*out = NULL;
	if (c->n_response < 1)
		return err_set(e, ERR_USE, "there is no response to compare with: run with a response of at least one token");
	struct whole_response *w = calloc(1, sizeof *w);
	size_t n_logits = (size_t)c->n_response * (size_t)n_vocab;
	float *rows = malloc((size_t)FORCED_ROWS * (size_t)n_vocab * sizeof *rows);
	if (w)
		*w = (struct whole_response){.n_vocab = n_vocab, .id = malloc((size_t)c->n_response * sizeof *w->id),
			.logits = malloc(n_logits * sizeof *w->logits)};
	int rc = w && w->id && w->logits && rows ? 0
		: err_set(e, ERR_MEMORY, "no memory for %d x %d logits (%zu MiB)", c->n_response, n_vocab, n_logits * sizeof(float) >> 20);
	if (!rc)
		rc = take_response(w, l, progress, e);
	if (!rc) {
		const struct forced f = {.id = w->id, .n = w->n, .stage = "whole", .progress = progress, .logits = rows, .row = keep_row, .user = w};
		rc = feed(live_session(l), &f, n_vocab, e);
	}
	free(rows);
	if (rc)
		whole_response_free(w);
	else
		*out = w;
	return rc;
}

void whole_response_free(struct whole_response *w)
{
	if (!w)
		return;
	free(w->id);
	free(w->logits);
	free(w);
}

/* ---- the distance of two distributions ---- */

static int likeliest(const float *logits, int n)
{
	int top = 0;
	for (int i = 1; i < n; i++)
		if (logits[i] > logits[top])
			top = i;
	return top;
}

/* log of the sum of exp(logits). */
static double log_total(const float *logits, int n)
{
	double most = logits[likeliest(logits, n)], sum = 0;
	for (int i = 0; i < n; i++)
		sum += exp((double)logits[i] - most);
	return most + log(sum);
}

/* KL(p || q) of the softmaxes of two rows of logits; never below 0 but for rounding, which is cut off. */
static double divergence(const float *p, const float *q, int n)
{
	double p_total = log_total(p, n), q_total = log_total(q, n), sum = 0;
	for (int i = 0; i < n; i++) {
		double log_p = (double)p[i] - p_total;
		sum += exp(log_p) * (log_p - ((double)q[i] - q_total));
	}
	return sum < 0 ? 0 : sum;
}

/* ---- the evicted cache ---- */

struct judged {
	const struct whole_response *whole;
	struct evicted_response *r;
};

static void judge_row(void *user, int row, const float *logits)
{
	struct judged *j = user;
	int n = j->whole->n_vocab;
	const float *whole = j->whole->logits + (size_t)row * (size_t)n;
	j->r->kl[row] = divergence(whole, logits, n);
	j->r->same_top[row] = likeliest(whole, n) == likeliest(logits, n);
}

static void sum_up(struct evicted_response *r, const struct whole_response *w)
{
	int same = 0, n = r->n < w->n ? r->n : w->n;
	while (same < n && r->id[same] == w->id[same])
		same++;
	r->first_different = same == r->n && same == w->n ? -1 : same;
	int same_top = 0;
	for (int i = 0; i < r->n_step; i++) {
		r->mean_kl += r->kl[i] / r->n_step;
		same_top += r->same_top[i];
	}
	r->top_share = (double)same_top / r->n_step;
}

static int run_both(struct evicted_response *r, struct session *s, int n_prompt, const struct whole_response *w, float *rows,
	const struct progress *progress, struct err *e)
{
	struct greedy g = {.first = w->id[0], .n_max = w->n, .id = r->id};
	struct judged judged = {.whole = w, .r = r};
	const struct forced f = {.id = w->id, .n = w->n, .stage = "forced", .progress = progress, .logits = rows, .row = judge_row,
		.user = &judged};
	int rc = respond(s, &g, progress, e);
	r->n = g.n;
	r->ended = g.ended;
	if (rc)
		return rc;
	session_truncate(s, n_prompt);
	return feed(s, &f, w->n_vocab, e);
}

int eviction_run(struct evicted_response **out, struct live *l, const struct kept_tokens *kept, const struct whole_response *whole,
	const struct progress *progress, struct err *e)
{
	struct evicted_response *r = calloc(1, sizeof *r);
	size_t n = (size_t)whole->n;
	float *rows = malloc((size_t)FORCED_ROWS * (size_t)whole->n_vocab * sizeof *rows);
	struct session *s = live_session(l);
	*out = NULL;
	if (r)
		*r = (struct evicted_response){.n_step = whole->n, .id = malloc(n * sizeof *r->id), .kl = calloc(n, sizeof *r->kl),
			.same_top = calloc(n, 1)};
	int rc = r && r->id && r->kl && r->same_top && rows ? 0 : err_set(e, ERR_MEMORY, "no memory for a response of %d tokens", whole->n);
	if (!rc)
		rc = session_evict(s, &(struct eviction){kept->n, kept->kept}, e);
	if (!rc) {
		rc = run_both(r, s, kept->n, whole, rows, progress, e);
		session_evict(s, NULL, NULL);
	}
	free(rows);
	if (rc) {
		evicted_response_free(r);
		return rc;
	}
	sum_up(r, whole);
	*out = r;
	return 0;
}

void evicted_response_free(struct evicted_response *r)
{
	if (!r)
		return;
	free(r->id);
	free(r->kl);
	free(r->same_top);
	free(r);
}
