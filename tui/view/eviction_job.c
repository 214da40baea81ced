/* Running the evicted cache: an errand (tui/worker/errand.h) that comes back with rows for the view. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tui/view/eviction.h"

struct eviction_job {
	const struct snapshot *snapshot;
	struct eviction_row row[EVICTION_MAX_ROW]; /* the first is made now, each other by an errand that follows: so all are seen as they come */
	int n_row;
	bool made;    /* row[0] is */
	bool ordered; /* row[0] is the first that was asked for: it is shown when it comes */
	struct eviction_base *base; /* the view's, or made here */
};

static void text_free(struct eviction_text *t)
{
	flow_free(&t->flow);
	token_text_free(&t->tokens);
}

static void base_unref(struct eviction_base *b)
{
	if (!b || atomic_fetch_sub(&b->refs, 1) > 1)
		return;
	whole_response_free(b->whole);
	text_free(&b->text);
	free(b);
}

static void row_free(struct eviction_row *r)
{
	evicted_response_free(r->response);
	text_free(&r->text);
}

void eviction_clear(struct eviction_view *v)
{
	for (int i = 0; i < v->n_row; i++)
		row_free(&v->row[i]);
	base_unref(v->base);
	capture_unref(v->of);
	*v = (struct eviction_view){0};
}

static void job_free(void *state)
{
	struct eviction_job *job = state;
	if (job->made)
		row_free(&job->row[0]);
	base_unref(job->base);
	snapshot_unref(job->snapshot);
	free(job);
}

/* ---- on the runner's thread ---- */

/* Tokens as text: through a capture that has nothing else, since that is what texts are made of. */
static int make_text(struct token_text *out, const struct model *m, const int32_t *id, int n, struct err *e)
{
	size_t n_bytes;
	int32_t *offset = malloc(((size_t)n + 1) * sizeof *offset);
	char *text = offset ? model_text(m, id, n, offset, &n_bytes) : NULL;
	const struct capture *c = NULL;
	int rc = text ? 0 : err_set(e, ERR_MEMORY, "no memory for a response of %d tokens", n);
	const struct capture parts = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .n_prompt = n, .token = id, .offset = offset, .text = text,
		.complete = true};
	if (!rc)
		rc = capture_build(&c, &parts, e);
	if (!rc)
		rc = token_text_build(out, c, e);
	capture_unref(c);
	free(offset);
	free(text);
	return rc;
}

static int run_row(struct eviction_job *job, struct eviction_row *row, const struct errand_site *site, struct err *e)
{
	struct kept_tokens kept;
	int rc = eviction_choose(&kept, job->snapshot->evaluation, row->method, row->budget, e);
	if (rc)
		return rc;
	row->share = (double)kept.n_entry / (double)kept.n_all;
	rc = eviction_run(&row->response, site->live, &kept, job->base->whole, site->progress, e);
	kept_tokens_free(&kept);
	if (!rc)
		rc = make_text(&row->text.tokens, live_model(site->live), row->response->id, row->response->n, e);
	for (int i = 0; !rc && i < row->response->n_step; i++)
		row->largest = fmax(row->largest, row->response->kl[i]);
	if (rc) {
		evicted_response_free(row->response);
		row->response = NULL;
	}
	return rc;
}

static int make_base(struct eviction_base **out, const struct errand_site *site, struct err *e)
{
	struct eviction_base *b = calloc(1, sizeof *b);
	if (!b)
		return err_set(e, ERR_MEMORY, "no memory for a response");
	atomic_init(&b->refs, 1);
	int rc = eviction_whole(&b->whole, site->live, site->progress, e);
	if (!rc)
		rc = make_text(&b->text.tokens, live_model(site->live), b->whole->id, b->whole->n, e);
	if (rc)
		base_unref(b);
	else
		*out = b;
	return rc;
}

static int run_job(void *state, const struct errand_site *site, struct err *e)
{
	struct eviction_job *job = state;
	int rc = job->base ? 0 : make_base(&job->base, site, e);
	rc = rc ? rc : run_row(job, &job->row[0], site, e);
	job->made = !rc;
	return rc;
}

/* ---- back on the screen's thread ---- */

void eviction_keep_if(struct eviction_view *v, const struct capture *c)
{
	if (v->of && !capture_same_tokens(v->of, c))
		eviction_clear(v);
}

/* A newer row of the same method and budget replaces the older one; what was shown stays so. */
static void take_row(struct eviction_view *v, const struct eviction_row *row)
{
	int at = 0;
	while (at < v->n_row && (v->row[at].method != row->method || v->row[at].budget != row->budget))
		at++;
	if (at == EVICTION_MAX_ROW)
		at = 0;
	if (at < v->n_row) {
		row_free(&v->row[at]);
		memmove(v->row + at, v->row + at + 1, (size_t)(--v->n_row - at) * sizeof *v->row);
		v->shown = v->shown == at ? v->n_row : v->shown - (v->shown > at);
	}
	v->row[v->n_row++] = *row;
}

static void share_base(struct eviction_job *job, struct eviction_base *base)
{
	job->base = base;
	if (base)
		atomic_fetch_add(&base->refs, 1);
}

static void take_made(struct eviction_view *v, struct eviction_job *job)
{
	if (!v->of)
		v->of = capture_ref(job->snapshot->capture);
	if (!v->base)
		share_base(job, v->base = job->base);
	take_row(v, &job->row[0]);
	if (job->ordered)
		v->shown = v->n_row - 1;
	job->made = job->ordered = false;
	memmove(job->row, job->row + 1, (size_t)--job->n_row * sizeof *job->row);
}

static void job_done(struct app *app, void *state, int rc, const char *why);

static void order(struct app *app, struct eviction_job *job)
{
	struct err e;
	if (app_errand(app, &(struct errand){"evicting", job, run_job, job_done, job_free}, &e))
		app_say(app, ROLE_WARN, "%s", e.text);
}

static void job_done(struct app *app, void *state, int rc, const char *why)
{
	struct eviction_job *job = state;
	const struct snapshot *now = app->look.snap;
	bool wanted = now && capture_same_tokens(now->capture, job->snapshot->capture);
	if (wanted && job->made)
		take_made(app->state[VIEW_EVICTION], job);
	if (rc && rc != ERR_CANCELLED)
		app_say(app, ROLE_ERROR, "%s", why);
	else if (rc)
		app_say(app, ROLE_WARN, "stopped");
	if (rc || !wanted || !job->n_row)
		job_free(job);
	else
		order(app, job);
}

/* ---- ordering ---- */

static const char *label_of(const struct snapshot *s, int method)
{
	for (int i = 1; i < s->n_series; i++)
		if (s->series[i].method == method)
			return s->series[i].label;
	return evaluation_method(s->evaluation, method)->method->label;
}

void eviction_order(struct app *app, struct eviction_view *v, const int *method, int n)
{
	const struct snapshot *s = app->look.snap;
	struct eviction_job *job = calloc(1, sizeof *job);
	if (!job) {
		app_say(app, ROLE_ERROR, "Eviction: out of memory");
		return;
	}
	eviction_keep_if(v, s->capture);
	job->snapshot = snapshot_ref(s);
	job->ordered = true;
	for (int i = 0; i < n && i < EVICTION_MAX_ROW; i++)
		job->row[job->n_row++] = (struct eviction_row){.method = method[i], .label = label_of(s, method[i]), .budget = app->look.budget};
	share_base(job, v->base);
	order(app, job);
}
