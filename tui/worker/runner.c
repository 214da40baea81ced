/* The runner: one thread that opens a model, loads modules and measures a prompt, one run after the other, and does errands on
 * the session that the last one left. */
#include "tui/worker/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "tui/work.h"

enum { MAX_PROMPT_BYTES = 64 << 20 };

/* With the lock held. Column sums and norms come on top of the least work, so a share errs on the low side. */
static double share_of_peak(const struct worker *w, const struct stage *s)
{
	const struct model_info *m = w->model;
	if (!m || s->done < 1 || !(s->seconds > 0) || strcmp(m->precision, "bf16"))
		return 0;
	double cached = 0, of_token = 2.0 * sizeof(uint16_t) * m->n_layer * m->n_kv_head * m->head_dim;
	for (int i = 0; i < w->n_stage; i++)
		cached = strcmp(w->stage[i].name, "prefill") ? cached : (double)w->stage[i].total;
	if (!strcmp(s->name, "prefill") && w->device.peak_gflops > 0)
		return 1e-9 * work_flop(m, (double)s->done, 0, 0) / s->seconds / w->device.peak_gflops;
	if (!strcmp(s->name, "decode") && w->device.peak_gbs > 0)
		return 1e-9 * (double)s->done * work_bytes(m, of_token * (cached + (double)s->done / 2)) / s->seconds / w->device.peak_gbs;
	return 0;
}

int runner_progress(void *user, const char *stage, int64_t done, int64_t total)
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
	w->stage[i].share = share_of_peak(w, &w->stage[i]);
	bool stop = atomic_load(w->errand_running ? &w->cancel_errand : &w->cancel);
	pthread_mutex_unlock(&w->lock);
	worker_tell(w);
	return stop;
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

static void bench_clear(struct bench *b)
{
	errand_drop_kept(b);
	capture_unref(b->shown);
	live_close(b->live);
	lookahead_free(b->modules);
	model_close(b->model);
	*b = (struct bench){0};
}

/* What progress is held against. NULL: no model any more. */
static void note_model(struct worker *w, const struct model *m)
{
	struct device_info device = {0};
	if (m)
		engine_device(model_info(m)->device, &device);
	pthread_mutex_lock(&w->lock);
	w->model = m ? model_info(m) : NULL;
	if (m)
		w->device = device;
	pthread_mutex_unlock(&w->lock);
}

bool runner_failed_by_device(int rc, const struct model *model)
{
	return rc == ERR_DEVICE || (rc == ERR_MEMORY && model && strcmp(model_info(model)->device, "cpu"));
}

static int measure(struct worker *w, const struct run_order *r, struct bench *bench, const struct capture **out, bool *by_device,
	struct err *e)
{
	struct progress progress = {.report = runner_progress, .user = w};
	const struct measure_watch watch = {.progress = &progress, .publish = on_publish, .user = w};
	struct measure_options o = r->measure;
	char *text = NULL;
	size_t n = 0;
	note_model(w, NULL);
	bench_clear(bench);
	runner_progress(w, "model", 0, 1);
	int rc = read_prompt(r, &text, &n, e);
	if (!rc)
		rc = model_open(&bench->model, r->model, &r->device, e);
	if (!rc)
		rc = load_modules(r, bench->model, &bench->modules, e);
	if (bench->model)
		note_model(w, bench->model);
	runner_progress(w, "model", 1, 1);
	if (!rc) {
		o.modules = bench->modules;
		o.keep = &bench->live;
		o.watch = &watch;
		rc = measure_prompt(out, bench->model, text, n, &o, e);
	}
	*by_device = runner_failed_by_device(rc, bench->model);
	note_model(w, bench->model); /* again: how much memory is in use now */
	if (!bench->live) {
		note_model(w, NULL);
		bench_clear(bench);
	}
	free(text);
	return rc;
}

static void finish_run(struct worker *w, int rc, const struct capture *c, bool by_device, const struct err *e)
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
		worker_note(w, by_device ? NOTE_DEVICE : NOTE_FAILED, text);
	}
}

void run_job_free(struct run_job *job)
{
	if (!job)
		return;
	free(job->model);
	free(job->prompt);
	free(job->prompt_file);
	free(job->modules);
	free(job);
}

/* With the lock held, which it gives up meanwhile. */
static void do_run(struct worker *w, struct bench *bench)
{
	struct run_job *job = w->job, *past = w->past;
	w->past = NULL;
	w->live = false;
	pthread_mutex_unlock(&w->lock);
	struct err e = {0};
	const struct capture *c = NULL;
	bool by_device = false;
	run_job_free(past);
	int rc = measure(w, &job->order, bench, &c, &by_device, &e);
	pthread_mutex_lock(&w->lock);
	w->refused = by_device ? job : NULL;
	w->past = !by_device && bench->live ? job : NULL;
	pthread_mutex_unlock(&w->lock);
	finish_run(w, rc, c, by_device, &e);
	if (!by_device && !bench->live)
		run_job_free(job);
	pthread_mutex_lock(&w->lock);
	w->job = NULL;
	w->running = false;
	w->live = bench->live != NULL;
	pthread_cond_signal(&w->desk_wake); /* what is left to evaluate need not wait any more */
	worker_tell(w);
}

void *runner_main(void *user)
{
	struct worker *w = user;
	struct bench bench = {0};
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		if (w->job) {
			do_run(w, &bench);
		} else if (w->errand && w->live) {
			errand_do_next(w, &bench);
		} else if (bench.live && !w->live) { /* another capture is shown now */
			pthread_mutex_unlock(&w->lock);
			bench_clear(&bench);
			pthread_mutex_lock(&w->lock);
		} else {
			pthread_cond_wait(&w->runner_wake, &w->lock);
		}
	}
	pthread_mutex_unlock(&w->lock);
	bench_clear(&bench);
	return NULL;
}
