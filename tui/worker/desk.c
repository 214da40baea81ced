/* The desk: one thread that turns captures into snapshots and does what must not wait for a run. */
#include "tui/worker/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tui/draw/number.h"

/* The desk rests this many times what a snapshot cost, so a run keeps the machine. */
static const double rest_factor = 4;

void desk_give_capture(struct worker *w, const struct capture *c)
{
	pthread_mutex_lock(&w->lock);
	const struct capture *old = w->fresh;
	w->fresh = c;
	pthread_cond_signal(&w->desk_wake);
	pthread_mutex_unlock(&w->lock);
	capture_unref(old);
}

/* A snapshot with one reference for the caller; NULL: failed, which is said. Serial numbers go on from the last one, whoever it
 * was for. */
static const struct snapshot *make(struct worker *w, const struct capture *c, enum note_kind failed)
{
	struct err e;
	const struct snapshot *made = NULL;
	pthread_mutex_lock(&w->lock);
	const struct snapshot *previous = w->last ? snapshot_ref(w->last) : NULL;
	bool awaits = w->awaits_lookahead && w->running;
	struct evaluation_options options = w->evaluation;
	struct preset preset = w->preset;
	pthread_mutex_unlock(&w->lock);
	options.preset = options.preset ? &preset : NULL;
	int rc = snapshot_make(&made, c, previous, &options, awaits, &e);
	snapshot_unref(previous);
	if (rc) {
		worker_note(w, failed, e.text);
		return NULL;
	}
	pthread_mutex_lock(&w->lock);
	const struct snapshot *old = w->last;
	w->last = snapshot_ref(made);
	pthread_mutex_unlock(&w->lock);
	snapshot_unref(old);
	return made;
}

static void evaluate(struct worker *w, const struct capture *c)
{
	double begin = worker_now();
	const struct snapshot *made = make(w, c, NOTE_FAILED);
	if (!made)
		return;
	double now = worker_now();
	pthread_mutex_lock(&w->lock);
	const struct snapshot *untaken = w->news;
	w->news = made;
	w->rest_until = now + rest_factor * (now - begin);
	pthread_mutex_unlock(&w->lock);
	snapshot_unref(untaken);
	worker_tell(w);
}

/* Beside what is shown. */
static void evaluate_other(struct worker *w, const struct capture *c)
{
	const struct snapshot *made = make(w, c, NOTE_ERROR), *untaken;
	if (!made)
		return;
	pthread_mutex_lock(&w->lock);
	untaken = w->other;
	w->other = made;
	pthread_mutex_unlock(&w->lock);
	snapshot_unref(untaken);
	worker_tell(w);
}

static void open_other(struct worker *w, const char *path)
{
	struct err e;
	const struct capture *c;
	if (capture_open(&c, path, &e)) {
		worker_note(w, NOTE_ERROR, e.text);
		return;
	}
	evaluate_other(w, c);
	capture_unref(c);
}

static void say_model(struct worker *w, const struct model *m)
{
	const struct model_info *i = model_info(m);
	char text[512], ctx[32];
	static const char format[] = "%s \xc2\xb7 %s \xc2\xb7 %d layers \xc3\x97 %d heads on %d KV heads \xc2\xb7 %s \xc2\xb7 "
		"%s positions \xc2\xb7 %s";
	snprintf(text, sizeof text, format, i->name,
		i->arch_name, i->n_layer, i->n_head, i->n_kv_head, i->weight_type, number_grouped(ctx, i->n_ctx),
		i->chat_family ? i->chat_family : "no chat template");
	worker_note(w, NOTE_PROBE, text);
}

/* Another capture is shown: errands would ask about a prompt that is not on the screen. */
static void leave_live(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	struct errand_job *waiting = errand_stop_all(w);
	w->live = false;
	pthread_cond_signal(&w->runner_wake);
	pthread_mutex_unlock(&w->lock);
	errand_job_list_free(waiting);
}

static void do_desk_job(struct worker *w, struct desk_job *job)
{
	char missing[FIGURE_REMARK] = "";
	struct err e;
	const struct capture *c;
	struct model *m;
	switch (job->kind) {
	case DESK_OPEN:
		if (capture_open(&c, job->path, &e)) {
			worker_note(w, NOTE_FAILED, e.text);
			break;
		}
		leave_live(w);
		evaluate(w, c);
		capture_unref(c);
		worker_note(w, NOTE_OPENED, job->path);
		break;
	case DESK_SAVE:
		if (capture_save(job->snapshot->capture, job->path, &e))
			worker_note(w, NOTE_ERROR, e.text);
		else
			worker_note(w, NOTE_SAVED, job->path);
		break;
	case DESK_FIGURE:
		job->figure.remark = missing;
		if (figure_write(job->snapshot->evaluation, &job->figure, job->path, &e))
			worker_note(w, NOTE_ERROR, e.text);
		else
			worker_note(w, NOTE_FIGURE, job->path);
		if (*missing)
			worker_note(w, NOTE_REMARK, missing);
		break;
	case DESK_PROBE:
		if (model_open(&m, job->path, &job->device, &e)) {
			worker_note(w, NOTE_BAD_PROBE, e.text);
			break;
		}
		say_model(w, m);
		model_close(m);
		break;
	case DESK_OTHER:
		open_other(w, job->path);
		break;
	case DESK_ERRAND:
		errand_do_at_desk(w, job->errand);
		job->errand = NULL;
		break;
	}
}

void desk_job_free(struct desk_job *job)
{
	snapshot_unref(job->snapshot);
	errand_job_list_free(job->errand);
	free(job->figure_method);
	free(job->command);
	free(job->path);
	free(job);
}

/* With the lock held: is there a capture to evaluate now? Snapshots of a run or errand that goes on wait for the rest
 * to be over. */
static bool may_evaluate(const struct worker *w)
{
	if (!w->fresh)
		return false;
	bool last = w->running ? w->fresh->complete : !w->errand_running;
	return last || worker_now() >= w->rest_until;
}

/* With the lock held: the capture whose turn it is, taken out; NULL: none now. */
static const struct capture *next_capture(struct worker *w, bool *other)
{
	*other = !may_evaluate(w);
	const struct capture **from = *other ? &w->fresh_other : &w->fresh, *c = *from;
	*from = NULL;
	return c;
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

void *desk_main(void *user)
{
	struct worker *w = user;
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		bool other = false;
		struct desk_job *job = w->queue;
		const struct capture *c = job ? NULL : next_capture(w, &other);
		if (!job && !c) {
			desk_sleep(w);
			continue;
		}
		if (job)
			w->queue = job->next;
		w->desk_busy = true;
		pthread_mutex_unlock(&w->lock);
		if (job) {
			do_desk_job(w, job);
			desk_job_free(job);
		} else {
			(other ? evaluate_other : evaluate)(w, c);
			capture_unref(c);
		}
		pthread_mutex_lock(&w->lock);
		w->desk_busy = false;
		worker_tell(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}
