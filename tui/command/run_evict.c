#include "tui/command/run_evict.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/eviction.h"
#include "export/table.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"

struct eviction_made {
	const char *method, *label;
	int budget;
	double share; /* of the prompt's cache that stays */
	int64_t n_entry, n_all;
	struct evicted_response *response;
};

struct evictions {
	const struct model *model;
	struct whole_response *whole;
	struct eviction_made *made;
	int n_made;
};

void evictions_free(struct evictions *v)
{
	if (!v)
		return;
	for (int i = 0; i < v->n_made; i++)
		evicted_response_free(v->made[i].response);
	whole_response_free(v->whole);
	free(v->made);
	free(v);
}

int run_evict_check(const struct options *o, struct err *e)
{
	const char *names[SETTINGS_MAX_METHODS];
	const struct measure_options m = settings_measure(o, names);
	for (int i = 0; i < o->evict.n; i++) {
		const char *name = o->evict.item[i];
		if (o->preset && !strcmp(name, o->preset))
			continue; /* scored from what the run measures for it */
		if (measure_check_methods(&(struct measure_options){.method = &name, .n_method = 1}, e))
			return err_prefix(e, "--evict");
		if (!strcmp(name, "lookahead") && !o->modules)
			return err_set(e, ERR_USE, "--evict %s: this run does not measure it, it needs --modules", name);
		if (!measure_scores(&m, name))
			return err_set(e, ERR_USE, "--evict %s: this run does not measure it, --methods has to name it too", name);
	}
	return 0;
}

/* ---- making ---- */

struct evict_job {
	struct evictions *v;
	struct live *live;
	struct evaluation *ev;
	const struct progress *progress;
};

static int evict_one(const struct evict_job *job, int m, int budget, struct err *e)
{
	struct kept_tokens kept;
	struct eviction_made *made = &job->v->made[job->v->n_made];
	const struct method *method = evaluation_method(job->ev, m)->method;
	int rc = eviction_choose(&kept, job->ev, m, budget, e);
	if (rc)
		return rc;
	*made = (struct eviction_made){.method = method->name, .label = method->label, .budget = budget,
		.share = (double)kept.n_entry / (double)kept.n_all, .n_entry = kept.n_entry, .n_all = kept.n_all};
	rc = eviction_run(&made->response, job->live, &kept, job->v->whole, job->progress, e);
	job->v->n_made += !rc;
	kept_tokens_free(&kept);
	return rc;
}

static int find_method(const struct evaluation *ev, const char *name, int *m, struct err *e)
{
	*m = evaluation_find(ev, name);
	if (*m >= 0)
		return 0;
	return err_set(e, ERR_USE, "--evict %s: was not measured in this run", name);
}

static int evict_budgets(const struct evict_job *job, const struct comparison *cmp, const char *name, struct err *e)
{
	int m, rc = find_method(job->ev, name, &m, e);
	for (int i = 0; !rc && i < cmp->n_budget; i++)
		rc = evict_one(job, m, cmp->budget[i], e);
	return rc;
}

static int open_evaluation(struct evict_job *job, const struct options *o, struct err *e)
{
	struct preset preset;
	struct compare_options c = settings_compare(o, &preset);
	c.eval.method = (const char *const *)o->evict.item; /* --methods may list fewer */
	c.eval.n_method = o->evict.n;
	return evaluation_open(&job->ev, live_capture(job->live), &c.eval, NULL, e);
}

int run_evict(struct evictions **out, struct live *l, const struct comparison *cmp, const struct options *o, struct err *e)
{
	*out = NULL;
	if (!o->evict.n)
		return 0;
	struct progress_line line;
	struct evictions *v = calloc(1, sizeof *v);
	struct evict_job job = {.v = v, .live = l, .progress = &line.progress};
	if (v)
		v->made = calloc((size_t)o->evict.n * (size_t)cmp->n_budget + 1, sizeof *v->made);
	if (!v || !v->made) {
		evictions_free(v);
		return err_set(e, ERR_MEMORY, "no memory for %d evictions", o->evict.n);
	}
	v->model = live_model(l);
	progress_line_begin(&line, o);
	int rc = open_evaluation(&job, o, e);
	if (!rc)
		rc = eviction_whole(&v->whole, l, job.progress, e);
	for (int i = 0; !rc && i < o->evict.n; i++)
		rc = evict_budgets(&job, cmp, o->evict.item[i], e);
	progress_line_end(&line);
	evaluation_close(job.ev);
	if (rc)
		evictions_free(v);
	else
		*out = v;
	return rc;
}

/* ---- telling ---- */

static double largest_kl(const struct evicted_response *r)
{
	double most = 0;
	for (int i = 0; i < r->n_step; i++)
		most = r->kl[i] > most ? r->kl[i] : most;
	return most;
}

static json_t *kl_json(const struct evicted_response *r)
{
	json_t *each = json_array();
	for (int i = 0; i < r->n_step; i++)
		json_array_append_new(each, json_real(r->kl[i]));
	return json_pack("{s:f, s:f, s:o}", "mean", r->mean_kl, "largest", largest_kl(r), "per_token", each);
}

static json_t *made_json(const struct evictions *v, const struct eviction_made *made)
{
	const struct evicted_response *r = made->response;
	size_t n_bytes;
	char *text = model_text(v->model, r->id, r->n, NULL, &n_bytes);
	json_t *ids = json_array();
	for (int i = 0; i < r->n; i++)
		json_array_append_new(ids, json_integer(r->id[i]));
	json_t *out = text ? json_pack("{s:s, s:i, s:f, s:I, s:i, s:o, s:o, s:b, s:o, s:f, s:o}",
		"method", made->method,
		"budget", made->budget,
		"kept", made->share,
		"entries", (json_int_t)made->n_entry,
		"n_response", r->n,
		"response", table_json_text(text, n_bytes),
		"response_ids", ids,
		"ended", r->ended,
		"first_different", r->first_different < 0 ? json_null() : json_integer(r->first_different),
		"same_top", r->top_share,
		"kl", kl_json(r)) : NULL;
	free(text);
	return out;
}

json_t *evictions_json(const struct evictions *v)
{
	json_t *results = json_array();
	for (int i = 0; i < v->n_made; i++)
		if (json_array_append_new(results, made_json(v, &v->made[i])))
			return NULL;
	return json_pack("{s:{s:i, s:b}, s:o}", "whole", "n_response", v->whole->n, "ended", v->whole->ended, "results", results);
}

static void print_one(const struct evictions *v, const struct eviction_made *made)
{
	const struct evicted_response *r = made->response;
	char where[48] = "the same response";
	size_t n_bytes;
	if (r->first_different >= 0)
		snprintf(where, sizeof where, "parts at token %d", r->first_different);
	printf("%-14s keep %5d  %5.1f %% of the cache  %-22s same likeliest token %5.1f %%  KL mean %.4f, largest %.3f\n", made->label,
		made->budget, 100 * made->share, where, 100 * r->top_share, r->mean_kl, largest_kl(r));
	char *text = model_text(v->model, r->id, r->n, NULL, &n_bytes);
	if (text && r->first_different >= 0) {
		fputs("    ", stdout);
		print_visible(stdout, text, n_bytes);
		putchar('\n');
	}
	free(text);
}

void evictions_print(const struct evictions *v)
{
	printf("\nContinued from the evicted cache, beside the whole cache's %d tokens:\n", v->whole->n);
	for (int i = 0; i < v->n_made; i++)
		print_one(v, &v->made[i]);
}
