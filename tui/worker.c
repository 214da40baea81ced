#include "tui/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/file.h"
#include "tui/number.h"

enum { MAX_PROMPT_BYTES = 64 << 20, MAX_NOTES = 16 };
static const double rest_factor = 4; /* the desk rests this many times what a snapshot cost, so a run keeps the machine */

enum desk_kind { DESK_OPEN, DESK_SAVE, DESK_FIGURE, DESK_PROBE };

struct desk_job {
	enum desk_kind kind;
	char *path;
	const struct snapshot *snapshot;
	struct figure_spec figure;
	char *command;              /* of the figure */
	const char **figure_method; /* of the figure */
	struct model_options device;
	struct desk_job *next;
};

struct run_job {
	struct run_order order; /* its strings are these */
	char *model, *prompt, *prompt_file, *modules;
};

struct worker {
	pthread_t runner, desk;
	pthread_mutex_t lock;
	pthread_cond_t runner_wake, desk_wake;
	int event_fd;
	struct evaluation_options evaluation;
	atomic_bool cancel;

	/* all below under the lock */
	bool stop;
	struct run_job *job; /* waiting or running */
	bool running;
	bool awaits_lookahead; /* the present run was given modules */
	struct desk_job *queue;
	bool desk_busy;
	const struct capture *fresh; /* to become a snapshot */
	const struct snapshot *last; /* newest snapshot made, for sharing */
	const struct snapshot *news; /* not taken yet */
	double rest_until;
	struct note note[MAX_NOTES];
	int n_note;
	int n_stage;
	struct stage stage[WORKER_MAX_STAGE];
	double stage_begin[WORKER_MAX_STAGE];
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void tell(struct worker *w)
{
	uint64_t one = 1;
	(void)!write(w->event_fd, &one, sizeof one);
}

static void add_note(struct worker *w, enum note_kind kind, const char *text)
{
	pthread_mutex_lock(&w->lock);
	if (w->n_note == MAX_NOTES) { /* nobody reads: the oldest goes */
		memmove(w->note, w->note + 1, sizeof w->note - sizeof w->note[0]);
		w->n_note--;
	}
	w->note[w->n_note].kind = kind;
	snprintf(w->note[w->n_note++].text, sizeof w->note[0].text, "%s", text);
	pthread_mutex_unlock(&w->lock);
	tell(w);
}

/* ---- the runner ---- */

static int on_progress(void *user, const char *stage, int64_t done, int64_t total)
{
	struct worker *w = user;
	double t = now();
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
	tell(w);
	return atomic_load(&w->cancel);
}

static void hand_to_desk(struct worker *w, const struct capture *c) /* takes the reference */
{
	pthread_mutex_lock(&w->lock);
	const struct capture *old = w->fresh;
	w->fresh = c;
	pthread_cond_signal(&w->desk_wake);
	pthread_mutex_unlock(&w->lock);
	capture_unref(old);
}

static void on_publish(void *user, const struct capture *c)
{
	hand_to_desk(user, c);
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
		hand_to_desk(w, c);
	if (rc == 0)
		add_note(w, NOTE_DONE, "");
	else if (rc == ERR_CANCELLED)
		add_note(w, NOTE_CANCELLED, usable ? "stopped: what was measured until then is shown" : "stopped before anything was measured");
	else {
		snprintf(text, sizeof text, "%s", e->text);
		add_note(w, NOTE_FAILED, text);
	}
}

static void free_run(struct run_job *job)
{
	free(job->model);
	free(job->prompt);
	free(job->prompt_file);
	free(job->modules);
	free(job);
}

static void *runner_main(void *user)
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
		free_run(job);
		pthread_mutex_lock(&w->lock);
		w->job = NULL;
		w->running = false;
		pthread_cond_signal(&w->desk_wake); /* what is left to evaluate need not wait any more */
		tell(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the desk ---- */

static void evaluate(struct worker *w, const struct capture *c)
{
	struct err e;
	const struct snapshot *made = NULL;
	double begin = now();
	pthread_mutex_lock(&w->lock);
	const struct snapshot *previous = w->last ? snapshot_ref(w->last) : NULL;
	bool awaits = w->awaits_lookahead && w->running;
	pthread_mutex_unlock(&w->lock);
	int rc = snapshot_make(&made, c, previous, &w->evaluation, awaits, &e);
	snapshot_unref(previous);
	if (rc) {
		add_note(w, NOTE_FAILED, e.text);
		return;
	}
	double cost = now() - begin;
	pthread_mutex_lock(&w->lock);
	const struct snapshot *untaken = w->news, *old = w->last;
	w->news = made;
	w->last = snapshot_ref(made);
	w->rest_until = now() + rest_factor * cost;
	pthread_mutex_unlock(&w->lock);
	snapshot_unref(untaken);
	snapshot_unref(old);
	tell(w);
}

static void say_model(struct worker *w, const struct model *m)
{
	const struct model_info *i = model_info(m);
	char text[512], ctx[32];
	snprintf(text, sizeof text, "%s \xc2\xb7 %s \xc2\xb7 %d layers \xc3\x97 %d heads on %d KV heads \xc2\xb7 %s \xc2\xb7 %s positions \xc2\xb7 %s", i->name,
		i->arch_name, i->n_layer, i->n_head, i->n_kv_head, i->weight_type, number_grouped(ctx, i->n_ctx),
		i->chat_family ? i->chat_family : "no chat template");
	add_note(w, NOTE_PROBE, text);
}

static void do_desk_job(struct worker *w, struct desk_job *job)
{
	struct err e;
	const struct capture *c;
	struct model *m;
	switch (job->kind) {
	case DESK_OPEN:
		if (capture_open(&c, job->path, &e)) {
			add_note(w, NOTE_FAILED, e.text);
			break;
		}
		evaluate(w, c);
		capture_unref(c);
		add_note(w, NOTE_OPENED, job->path);
		break;
	case DESK_SAVE:
		if (capture_save(job->snapshot->capture, job->path, &e))
			add_note(w, NOTE_ERROR, e.text);
		else
			add_note(w, NOTE_SAVED, job->path);
		break;
	case DESK_FIGURE:
		if (figure_write(job->snapshot->evaluation, &job->figure, job->path, &e))
			add_note(w, NOTE_ERROR, e.text);
		else
			add_note(w, NOTE_FIGURE, job->path);
		break;
	case DESK_PROBE:
		if (model_open(&m, job->path, &job->device, &e)) {
			add_note(w, NOTE_BAD_PROBE, e.text);
			break;
		}
		say_model(w, m);
		model_close(m);
		break;
	}
}

static void free_desk_job(struct desk_job *job)
{
	snapshot_unref(job->snapshot);
	free(job->figure_method);
	free(job->command);
	free(job->path);
	free(job);
}

/* With the lock held: is there a capture to evaluate now? Snapshots of a run that goes on wait for the rest to be over. */
static bool may_evaluate(const struct worker *w)
{
	return w->fresh && (!w->running || w->fresh->complete || now() >= w->rest_until);
}

static void desk_sleep(struct worker *w)
{
	if (!w->fresh) {
		pthread_cond_wait(&w->desk_wake, &w->lock);
		return;
	}
	struct timespec until = {.tv_sec = (time_t)w->rest_until};
	until.tv_nsec = (long)(1e9 * (w->rest_until - (double)until.tv_sec));
	pthread_cond_timedwait(&w->desk_wake, &w->lock, &until);
}

static void *desk_main(void *user)
{
	struct worker *w = user;
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct desk_job *job = w->queue;
		const struct capture *fresh = !job && may_evaluate(w) ? w->fresh : NULL;
		if (!job && !fresh) {
			desk_sleep(w);
			continue;
		}
		if (job)
			w->queue = job->next;
		else
			w->fresh = NULL;
		w->desk_busy = true;
		pthread_mutex_unlock(&w->lock);
		if (job) {
			do_desk_job(w, job);
			free_desk_job(job);
		} else {
			evaluate(w, fresh);
			capture_unref(fresh);
		}
		pthread_mutex_lock(&w->lock);
		w->desk_busy = false;
		tell(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the screen's side ---- */

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

int worker_open(struct worker **out, const struct evaluation_options *evaluation, struct err *e)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(e, ERR_MEMORY, "starting the worker: out of memory");
	w->evaluation = *evaluation;
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
	atomic_store(&w->cancel, true);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->runner_wake);
	pthread_cond_signal(&w->desk_wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->runner, NULL);
	pthread_join(w->desk, NULL);
	if (w->job) /* asked for and not begun */
		free_run(w->job);
	while (w->queue) {
		struct desk_job *next = w->queue->next;
		free_desk_job(w->queue);
		w->queue = next;
	}
	capture_unref(w->fresh);
	snapshot_unref(w->last);
	snapshot_unref(w->news);
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
		free_run(job);
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
	if (taken) {
		w->job = job;
		w->running = true;
		w->awaits_lookahead = r->modules != NULL;
		w->n_stage = 0;
		stale = w->fresh;
		w->fresh = NULL;
		atomic_store(&w->cancel, false);
		pthread_cond_signal(&w->runner_wake);
	}
	pthread_mutex_unlock(&w->lock);
	capture_unref(stale);
	if (taken)
		return 0;
	free_run(job);
	return err_set(e, ERR_USE, "a run is going on; ^C stops it");
}

void worker_cancel(struct worker *w)
{
	atomic_store(&w->cancel, true);
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
		add_note(w, NOTE_ERROR, "out of memory");
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
		free_desk_job(job);
		add_note(w, NOTE_ERROR, "out of memory");
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

void worker_take(struct worker *w, struct worker_state *state, const struct snapshot **snapshot, struct note *note, bool *has_note)
{
	uint64_t count;
	(void)!read(w->event_fd, &count, sizeof count);
	pthread_mutex_lock(&w->lock);
	state->running = w->running;
	state->n_stage = w->n_stage;
	memcpy(state->stage, w->stage, sizeof state->stage);
	*snapshot = w->news;
	w->news = NULL;
	*has_note = w->n_note > 0;
	if (*has_note) {
		*note = w->note[0];
		memmove(w->note, w->note + 1, sizeof w->note - sizeof w->note[0]);
		w->n_note--;
	}
	state->busy = w->running || w->desk_busy || w->fresh || w->queue || w->n_note > 0;
	bool more = w->n_note > 0;
	pthread_mutex_unlock(&w->lock);
	if (more)
		tell(w);
}
