/* The screen's side of the worker. */
#include "tui/worker/parts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

double worker_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void worker_tell(struct worker *w)
{
	uint64_t one = 1;
	(void)!write(w->event_fd, &one, sizeof one);
}

void worker_note(struct worker *w, enum note_kind kind, const char *text)
{
	pthread_mutex_lock(&w->lock);
	if (w->n_note == WORKER_MAX_NOTES) { /* nobody reads: the oldest goes */
		memmove(w->note, w->note + 1, sizeof w->note - sizeof w->note[0]);
		w->n_note--;
	}
	w->note[w->n_note].kind = kind;
	snprintf(w->note[w->n_note++].text, sizeof w->note[0].text, "%s", text);
	pthread_mutex_unlock(&w->lock);
	worker_tell(w);
}

static int start_threads(struct worker *w, struct err *e)
{
	sigset_t all, before;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV); /* faults belong to the thread that made them */
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* everything else is the screen's thread's to handle */
	int rc = pthread_create(&w->runner, NULL, runner_main, w);
	if (rc == 0) {
		rc = pthread_create(&w->desk, NULL, desk_main, w);
		if (rc) {
			pthread_mutex_lock(&w->lock);
			w->stop = true;
			pthread_cond_signal(&w->runner_wake);
			pthread_mutex_unlock(&w->lock);
			pthread_join(w->runner, NULL);
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc ? (int)err_set(e, ERR_SYSTEM, "starting a thread: %s", strerror(rc)) : 0;
}

static void init_conditions(struct worker *w)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->runner_wake, &monotonic);
	pthread_cond_init(&w->desk_wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void destroy(struct worker *w)
{
	pthread_cond_destroy(&w->desk_wake);
	pthread_cond_destroy(&w->runner_wake);
	pthread_mutex_destroy(&w->lock);
	close(w->event_fd);
	free(w);
}

static void set_evaluation(struct worker *w, const struct evaluation_options *evaluation)
{
	w->evaluation = *evaluation;
	if (evaluation->preset)
		w->preset = *evaluation->preset;
}

void worker_set_evaluation(struct worker *w, const struct evaluation_options *evaluation, const struct snapshot *shown,
	const struct snapshot *other)
{
	pthread_mutex_lock(&w->lock);
	set_evaluation(w, evaluation);
	const struct capture *stale = w->fresh_other;
	if (!w->fresh && (w->news || shown)) /* what waits to be taken is newer than what is shown */
		w->fresh = capture_ref(w->news ? w->news->capture : shown->capture);
	w->fresh_other = other ? capture_ref(other->capture) : NULL;
	w->rest_until = 0;
	pthread_cond_signal(&w->desk_wake);
	pthread_mutex_unlock(&w->lock);
	capture_unref(stale);
}

int worker_open(struct worker **out, const struct evaluation_options *evaluation, struct err *e)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(e, ERR_MEMORY, "starting the worker: out of memory");
	set_evaluation(w, evaluation);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0) {
		free(w);
		return err_set(e, ERR_SYSTEM, "starting the worker: %s", strerror(errno));
	}
	init_conditions(w);
	int rc = start_threads(w, e);
	if (rc)
		destroy(w);
	else
		*out = w;
	return rc;
}

void worker_close(struct worker *w)
{
	if (!w)
		return;
	worker_cancel(w);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->runner_wake);
	pthread_cond_signal(&w->desk_wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->runner, NULL);
	pthread_join(w->desk, NULL);
	run_job_free(w->job); /* asked for and not begun */
	run_job_free(w->past);
	run_job_free(w->refused);
	errand_job_list_free(w->errand_done);
	while (w->queue) {
		struct desk_job *next = w->queue->next;
		desk_job_free(w->queue);
		w->queue = next;
	}
	capture_unref(w->fresh);
	capture_unref(w->fresh_other);
	snapshot_unref(w->last);
	snapshot_unref(w->news);
	snapshot_unref(w->other);
	destroy(w);
}

int worker_fd(const struct worker *w)
{
	return w->event_fd;
}

static bool copy_text(char **out, const char *s, size_t n)
{
	if (!s)
		return true;
	*out = malloc(n + 1);
	if (!*out)
		return false;
	memcpy(*out, s, n);
	(*out)[n] = '\0';
	return true;
}

static bool copy_string(char **out, const char *s)
{
	return copy_text(out, s, s ? strlen(s) : 0);
}

static struct run_job *copy_order(const struct run_order *r)
{
	struct run_job *job = calloc(1, sizeof *job);
	if (!job)
		return NULL;
	job->order = *r;
	if (!copy_string(&job->model, r->model) || !copy_string(&job->prompt_file, r->prompt_file) ||
		!copy_string(&job->modules, r->modules) || !copy_text(&job->prompt, r->prompt, r->prompt_bytes)) {
		run_job_free(job);
		return NULL;
	}
	job->order.model = job->model;
	job->order.prompt = job->prompt;
	job->order.prompt_file = job->prompt_file;
	job->order.modules = job->modules;
	return job;
}

int worker_run(struct worker *w, const struct run_order *r, struct err *e)
{
	struct run_job *job = copy_order(r);
	if (!job)
		return err_set(e, ERR_MEMORY, "starting a run: out of memory");
	pthread_mutex_lock(&w->lock);
	bool taken = !w->job;
	const struct capture *stale = NULL;
	struct run_job *refused = NULL;
	struct errand_job *waiting = NULL;
	if (taken) {
		w->job = job;
		refused = w->refused;
		w->refused = NULL;
		w->running = true;
		w->awaits_lookahead = r->modules != NULL;
		w->n_stage = 0;
		stale = w->fresh;
		w->fresh = NULL;
		waiting = errand_stop_all(w);
		atomic_store(&w->cancel, false);
		pthread_cond_signal(&w->runner_wake);
	}
	pthread_mutex_unlock(&w->lock);
	capture_unref(stale);
	run_job_free(refused);
	errand_job_list_free(waiting);
	if (taken)
		return 0;
	run_job_free(job);
	return err_set(e, ERR_USE, "a run is going on; ^C stops it");
}

int worker_again_on_cpu(struct worker *w, struct err *e)
{
	pthread_mutex_lock(&w->lock);
	struct run_job *job = w->refused;
	w->refused = NULL;
	pthread_mutex_unlock(&w->lock);
	if (!job)
		return err_set(e, ERR_USE, "no run failed for its device's sake");
	job->order.device = (struct model_options){.device = DEVICE_CPU, .precision = job->order.device.precision};
	int rc = worker_run(w, &job->order, e);
	run_job_free(job);
	return rc;
}

void worker_cancel(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	struct errand_job *waiting = errand_stop_all(w);
	if (w->job)
		atomic_store(&w->cancel, true);
	pthread_mutex_unlock(&w->lock);
	errand_job_list_free(waiting);
}

static void give_to_desk(struct worker *w, struct desk_job *job)
{
	pthread_mutex_lock(&w->lock);
	struct desk_job **at = &w->queue;
	while (*at)
		at = &(*at)->next;
	*at = job;
	pthread_cond_signal(&w->desk_wake);
	pthread_mutex_unlock(&w->lock);
}

static struct desk_job *new_desk_job(struct worker *w, enum desk_kind kind, const char *path, const struct snapshot *s)
{
	struct desk_job *job = calloc(1, sizeof *job);
	char *copy = strdup(path);
	if (!job || !copy) {
		free(job);
		free(copy);
		worker_note(w, NOTE_ERROR, "out of memory");
		return NULL;
	}
	job->kind = kind;
	job->path = copy;
	job->snapshot = s ? snapshot_ref(s) : NULL;
	return job;
}

void worker_open_capture(struct worker *w, const char *path)
{
	struct desk_job *job = new_desk_job(w, DESK_OPEN, path, NULL);
	if (job)
		give_to_desk(w, job);
}

void worker_open_other(struct worker *w, const char *path)
{
	struct desk_job *job = new_desk_job(w, DESK_OTHER, path, NULL);
	if (job)
		give_to_desk(w, job);
}

const struct snapshot *worker_take_other(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	const struct snapshot *other = w->other;
	w->other = NULL;
	pthread_mutex_unlock(&w->lock);
	return other;
}

void worker_save_capture(struct worker *w, const struct snapshot *s, const char *path)
{
	struct desk_job *job = new_desk_job(w, DESK_SAVE, path, s);
	if (job)
		give_to_desk(w, job);
}

void worker_save_figure(struct worker *w, const struct snapshot *s, const struct figure_spec *spec, const char *path)
{
	struct desk_job *job = new_desk_job(w, DESK_FIGURE, path, s);
	if (!job)
		return;
	job->figure = *spec;
	job->command = strdup(spec->command ? spec->command : "");
	job->figure_method = calloc((size_t)spec->n_method + 1, sizeof *job->figure_method);
	if (!job->command || !job->figure_method) {
		desk_job_free(job);
		worker_note(w, NOTE_ERROR, "out of memory");
		return;
	}
	for (int i = 0; i < spec->n_method; i++)
		job->figure_method[i] = spec->method[i]; /* names of method tables: they stay */
	job->figure.method = spec->method ? job->figure_method : NULL;
	job->figure.command = job->command;
	give_to_desk(w, job);
}

void worker_probe(struct worker *w, const char *model, const struct model_options *o)
{
	struct desk_job *job = new_desk_job(w, DESK_PROBE, model, NULL);
	if (!job)
		return;
	job->device = *o;
	give_to_desk(w, job);
}

void worker_take(struct worker *w, struct worker_state *state, const struct snapshot **snapshot, struct note *note,
	bool *has_note)
{
	uint64_t count;
	(void)!read(w->event_fd, &count, sizeof count);
	pthread_mutex_lock(&w->lock);
	state->running = w->running;
	state->live = w->live;
	state->errand = w->errand || w->errand_running;
	state->n_stage = w->n_stage;
	memcpy(state->stage, w->stage, sizeof state->stage);
	state->device = w->device;
	*snapshot = w->news;
	w->news = NULL;
	*has_note = w->n_note > 0;
	if (*has_note) {
		*note = w->note[0];
		memmove(w->note, w->note + 1, sizeof w->note - sizeof w->note[0]);
		w->n_note--;
	}
	state->busy = w->running || state->errand || w->errand_done || w->desk_busy || w->fresh || w->fresh_other || w->queue || w->n_note > 0;
	bool more = w->n_note > 0;
	pthread_mutex_unlock(&w->lock);
	if (more)
		worker_tell(w);
}
