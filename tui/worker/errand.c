/* Errands: waiting, done and handed back. */
#include "tui/worker/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void errand_job_list_free(struct errand_job *job)
{
	while (job) {
		struct errand_job *next = job->next;
		job->result.errand.drop(job->result.errand.state);
		free(job);
		job = next;
	}
}

static void append(struct errand_job **list, struct errand_job *job)
{
	while (*list)
		list = &(*list)->next;
	job->next = NULL;
	*list = job;
}

/* Takes one of that name out of those that wait; NULL: none. */
static struct errand_job *remove_named(struct errand_job **list, const char *name)
{
	for (; *list; list = &(*list)->next) {
		struct errand_job *found = *list;
		if (!strcmp(found->result.errand.name, name)) {
			*list = found->next;
			found->next = NULL;
			return found;
		}
	}
	return NULL;
}

int worker_errand(struct worker *w, const struct errand *errand, struct err *e)
{
	struct errand_job *job = calloc(1, sizeof *job), *replaced = NULL;
	if (!job) {
		errand->drop(errand->state);
		return err_set(e, ERR_MEMORY, "%s: out of memory", errand->name);
	}
	job->result.errand = *errand;
	pthread_mutex_lock(&w->lock);
	bool running = w->running, taken = w->live && !running;
	if (taken) {
		replaced = remove_named(&w->errand, errand->name);
		append(&w->errand, job);
		pthread_cond_signal(&w->runner_wake);
	}
	pthread_mutex_unlock(&w->lock);
	errand_job_list_free(replaced);
	if (taken)
		return 0;
	errand_job_list_free(job);
	return err_set(e, ERR_USE, running ? "%s: a run is going on; wait for its end, or stop it with ^C"
		: "%s: this needs the model; r runs the prompt", errand->name);
}

static void run_errand(struct worker *w, struct errand_result *r, struct bench *bench)
{
	const struct progress progress = {.report = runner_progress, .user = w};
	const struct errand_site site = {.live = bench->live, .modules = bench->modules, .progress = &progress, .worker = w,
		.bench = bench};
	struct err e = {0};
	runner_progress(w, r->errand.name, 0, 0);
	r->rc = r->errand.run(r->errand.state, &site, &e);
	snprintf(r->why, sizeof r->why, "%s", r->rc ? e.text : "");
}

/* With the lock held: a run that leans on a device which has failed may be had again without it. */
static bool offer_the_cpu(struct worker *w, int rc, const struct bench *bench)
{
	if (!runner_failed_by_device(rc, bench->model) || !(w->past || w->refused))
		return false;
	if (w->past)
		w->refused = w->past;
	w->past = NULL;
	return true;
}

void errand_do_next(struct worker *w, struct bench *bench)
{
	struct errand_job *job = w->errand;
	w->errand = job->next;
	w->errand_running = true;
	w->n_stage = 0;
	atomic_store(&w->cancel_errand, false);
	pthread_mutex_unlock(&w->lock);
	run_errand(w, &job->result, bench);
	pthread_mutex_lock(&w->lock);
	if (offer_the_cpu(w, job->result.rc, bench)) {
		pthread_mutex_unlock(&w->lock);
		worker_note(w, NOTE_DEVICE, job->result.why);
		pthread_mutex_lock(&w->lock);
	}
	w->errand_running = false;
	append(&w->errand_done, job);
	pthread_cond_signal(&w->desk_wake);
	worker_tell(w);
}

struct errand_job *errand_stop_all(struct worker *w)
{
	struct errand_job *waiting = w->errand;
	w->errand = NULL;
	atomic_store(&w->cancel_errand, true);
	return waiting;
}

/* ---- at the desk ---- */

/* With the lock held. */
static bool waits_at_desk(const struct worker *w, const char *name)
{
	for (const struct desk_job *job = w->queue; job; job = job->next)
		if (job->kind == DESK_ERRAND && !strcmp(job->errand->result.errand.name, name))
			return true;
	return false;
}

struct desk_progress {
	struct worker *worker;
	const char *name;
};

static int stop_for_newer(void *user, const char *stage, int64_t done, int64_t total)
{
	const struct desk_progress *p = user;
	(void)stage, (void)done, (void)total;
	pthread_mutex_lock(&p->worker->lock);
	bool stop = p->worker->stop || waits_at_desk(p->worker, p->name);
	pthread_mutex_unlock(&p->worker->lock);
	return stop;
}

void errand_do_at_desk(struct worker *w, struct errand_job *job)
{
	struct errand_result *r = &job->result;
	struct desk_progress user = {w, r->errand.name};
	const struct progress progress = {.report = stop_for_newer, .user = &user};
	const struct errand_site site = {.progress = &progress, .worker = w};
	struct err e = {0};
	r->rc = r->errand.run(r->errand.state, &site, &e);
	snprintf(r->why, sizeof r->why, "%s", r->rc ? e.text : "");
	pthread_mutex_lock(&w->lock);
	append(&w->errand_done, job);
	pthread_mutex_unlock(&w->lock);
	worker_tell(w);
}

/* With the lock held: takes one of that name out of the queue. */
static struct desk_job *remove_from_queue(struct worker *w, const char *name)
{
	for (struct desk_job **at = &w->queue; *at; at = &(*at)->next) {
		struct desk_job *found = *at;
		if (found->kind == DESK_ERRAND && !strcmp(found->errand->result.errand.name, name)) {
			*at = found->next;
			return found;
		}
	}
	return NULL;
}

int worker_errand_at_desk(struct worker *w, const struct errand *errand, struct err *e)
{
	struct desk_job *job = calloc(1, sizeof *job), *replaced, **at;
	struct errand_job *inner = calloc(1, sizeof *inner);
	if (!job || !inner) {
		free(job);
		free(inner);
		errand->drop(errand->state);
		return err_set(e, ERR_MEMORY, "%s: out of memory", errand->name);
	}
	inner->result.errand = *errand;
	job->kind = DESK_ERRAND;
	job->errand = inner;
	pthread_mutex_lock(&w->lock);
	replaced = remove_from_queue(w, errand->name);
	for (at = &w->queue; *at; at = &(*at)->next)
		;
	*at = job;
	pthread_cond_signal(&w->desk_wake);
	pthread_mutex_unlock(&w->lock);
	if (replaced)
		desk_job_free(replaced);
	return 0;
}

/* ---- handing back ---- */

bool worker_take_errand(struct worker *w, struct errand_result *out)
{
	pthread_mutex_lock(&w->lock);
	struct errand_job *job = w->errand_done;
	if (job)
		w->errand_done = job->next;
	pthread_mutex_unlock(&w->lock);
	if (!job)
		return false;
	*out = job->result;
	free(job);
	return true;
}

void errand_publish(const struct errand_site *site, const struct capture *c)
{
	capture_unref(site->bench->shown);
	site->bench->shown = capture_ref(c);
	desk_give_capture(site->worker, c);
}

const struct capture *errand_shown(const struct errand_site *site)
{
	return site->bench->shown ? site->bench->shown : live_capture(site->live);
}

/* ---- what errands leave for each other ---- */

static struct kept *find_kept(struct bench *bench, const char *name)
{
	for (int i = 0; i < BENCH_MAX_KEPT; i++)
		if (bench->kept[i].object && !strcmp(bench->kept[i].name, name))
			return &bench->kept[i];
	return NULL;
}

static void drop(struct kept *k)
{
	if (k->object)
		k->close(k->object);
	*k = (struct kept){0};
}

int errand_keep(const struct errand_site *site, const char *name, void *object, void (*close)(void *object), struct err *e)
{
	struct kept *k = find_kept(site->bench, name);
	if (k)
		drop(k);
	for (int i = 0; object && i < BENCH_MAX_KEPT; i++) {
		k = &site->bench->kept[i];
		if (!k->object) {
			*k = (struct kept){name, object, close};
			return 0;
		}
	}
	if (!object)
		return 0;
	close(object);
	return err_set(e, ERR_LIMIT, "%s: more than %d things kept between errands", name, BENCH_MAX_KEPT);
}

void *errand_kept(const struct errand_site *site, const char *name)
{
	const struct kept *k = find_kept(site->bench, name);
	return k ? k->object : NULL;
}

void errand_drop_kept(struct bench *bench)
{
	for (int i = 0; i < BENCH_MAX_KEPT; i++)
		drop(&bench->kept[i]);
}
