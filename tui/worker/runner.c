/* The runner: one thread that opens a model, loads modules and measures a prompt, one run after the other. */
#include "tui/worker/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

enum { MAX_PROMPT_BYTES = 64 << 20 };

static int on_progress(void *user, const char *stage, int64_t done, int64_t total)
{
	struct worker *w = user;
	double t = worker_now();
	pthread_mutex_lock(&w->lock);
	int i = w->n_stage - 1;
	if (i < 0 || strcmp(w->stage[i].name, stage)) {
		if (w->n_stage < WORKER_MAX_STAGE)
			i = w->n_stage++;
		snprintf(w->stage[i].name, sizeof w->stage[i].name, "%s", stage);
		w->stage_begin[i] = t;
	}
	w->stage[i].done = done;
	w->stage[i].total = total;
	w->stage[i].seconds = t - w->stage_begin[i];
	pthread_mutex_unlock(&w->lock);
	worker_tell(w);
	return atomic_load(&w->cancel);
}

static void on_publish(void *user, const struct capture *c)
{
	desk_give_capture(user, c);
}

static int load_modules(const struct run_order *r, const struct model *m, struct lookahead **out, struct err *e)
{
	enum { N_LOOKAHEAD = 32 }; /* soft tokens of LookaheadKV; the control has as many */
	*out = NULL;
	if (!r->modules)
		return 0;
	if (!strcmp(r->modules, "untrained"))
		return lookahead_untrained(out, m, N_LOOKAHEAD, 0, 0, r->measure.seed, e);
	return lookahead_load(out, m, r->modules, &r->load, e);
}

static int read_prompt(const struct run_order *r, char **text, size_t *n, struct err *e)
{
	if (!r->prompt)
		return file_read_all(r->prompt_file, MAX_PROMPT_BYTES, text, n, e);
	*n = r->prompt_bytes;
	*text = malloc(*n + 1);
	if (!*text)
		return err_set(e, ERR_MEMORY, "a prompt of %zu bytes: out of memory", *n);
	memcpy(*text, r->prompt, *n);
	(*text)[*n] = '\0';
	return 0;
}

static int measure(struct worker *w, const struct run_order *r, const struct capture **out, struct err *e)
{
	struct progress progress = {.report = on_progress, .user = w};
	struct measure_watch watch = {.progress = &progress, .publish = on_publish, .user = w};
	struct measure_timings timings;
	struct measure_options o = r->measure;
	struct model *m = NULL;
	struct lookahead *modules = NULL;
	char *text = NULL;
	size_t n = 0;
	on_progress(w, "model", 0, 1);
	int rc = read_prompt(r, &text, &n, e);
	if (!rc)
		rc = model_open(&m, r->model, &r->device, e);
	if (!rc)
		rc = load_modules(r, m, &modules, e);
	on_progress(w, "model", 1, 1);
	if (!rc) {
		o.modules = modules;
		rc = measure_prompt(out, m, text, n, &o, &watch, &timings, e);
	}
	lookahead_free(modules);
	model_close(m);
	free(text);
	return rc;
}

static void finish_run(struct worker *w, int rc, const struct capture *c, const struct err *e)
{
	char text[512];
	bool usable = c != NULL;
	if (usable)
		desk_give_capture(w, c);
	if (rc == 0)
		worker_note(w, NOTE_DONE, "");
	else if (rc == ERR_CANCELLED)
		worker_note(w, NOTE_CANCELLED,
			usable ? "stopped: what was measured until then is shown" : "stopped before anything was measured");
	else {
		snprintf(text, sizeof text, "%s", e->text);
		worker_note(w, NOTE_FAILED, text);
	}
}

void run_job_free(struct run_job *job)
{
	free(job->model);
	free(job->prompt);
	free(job->prompt_file);
	free(job->modules);
	free(job);
}

void *runner_main(void *user)
{
	struct worker *w = user;
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		if (!w->job) {
			pthread_cond_wait(&w->runner_wake, &w->lock);
			continue;
		}
		struct run_job *job = w->job;
		pthread_mutex_unlock(&w->lock);
		struct err e = {0};
		const struct capture *c = NULL;
		int rc = measure(w, &job->order, &c, &e);
		finish_run(w, rc, c, &e);
		run_job_free(job);
		pthread_mutex_lock(&w->lock);
		w->job = NULL;
		w->running = false;
		pthread_cond_signal(&w->desk_wake); /* what is left to evaluate need not wait any more */
		worker_tell(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}
