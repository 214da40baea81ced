/* What the worker's threads share. Private to tui/worker/. */
#ifndef KVGLASS_TUI_WORKER_PARTS_H
#define KVGLASS_TUI_WORKER_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "tui/worker/errand.h"
#include "tui/worker/worker.h"

enum { WORKER_MAX_NOTES = 16 };

enum desk_kind { DESK_OPEN, DESK_SAVE, DESK_FIGURE, DESK_PROBE, DESK_ERRAND, DESK_OTHER };

struct desk_job {
	enum desk_kind kind;
	char *path;
	const struct snapshot *snapshot;
	struct figure_spec figure;
	char *command;              /* of the figure */
	const char **figure_method; /* of the figure */
	struct model_options device;
	struct errand_job *errand;
	struct desk_job *next;
};

struct run_job {
	struct run_order order; /* its strings are these */
	char *model, *prompt, *prompt_file, *modules;
};

struct errand_job {
	struct errand_result result;
	struct errand_job *next;
};

enum { BENCH_MAX_KEPT = 4 };

/* What a run leaves on the runner's thread, for errands, and what they leave for each other. */
struct bench {
	struct model *model;
	struct lookahead *modules;
	struct live *live;
	const struct capture *shown; /* the newest that an errand has published; NULL: the live one */
	struct kept {
		const char *name;
		void *object;
		void (*close)(void *object);
	} kept[BENCH_MAX_KEPT];
};

struct worker {
	pthread_t runner, desk;
	pthread_mutex_t lock;
	pthread_cond_t runner_wake, desk_wake;
	int event_fd;
	atomic_bool cancel, cancel_errand; /* the run; the errand that goes on */

	/* all below under the lock */
	struct evaluation_options evaluation;
	struct preset preset; /* evaluation's, when it has one */
	bool stop;
	struct run_job *job; /* waiting or running */
	struct run_job *past;    /* left the live session; or NULL */
	struct run_job *refused; /* by its device, in the run itself or in an errand behind it, and not asked for again; or NULL */
	bool running;
	bool awaits_lookahead; /* the present run was given modules */
	bool live;             /* the runner holds the session of what is shown */
	struct errand_job *errand, *errand_done; /* waiting; finished and not taken */
	bool errand_running;
	struct desk_job *queue;
	bool desk_busy;
	const struct capture *fresh; /* to become a snapshot */
	const struct capture *fresh_other; /* likewise, beside it, under another protocol than before */
	const struct snapshot *last; /* newest snapshot made, for sharing */
	const struct snapshot *news; /* not taken yet */
	const struct snapshot *other; /* of a second capture, not taken yet */
	double rest_until;
	struct note note[WORKER_MAX_NOTES];
	int n_note;
	int n_stage;
	struct stage stage[WORKER_MAX_STAGE];
	double stage_begin[WORKER_MAX_STAGE];
	struct device_info device;
	const struct model_info *model; /* of the present run, once it is open; or NULL */
};

void worker_tell(struct worker *w); /* wakes the screen */
void worker_note(struct worker *w, enum note_kind kind, const char *text);

void *runner_main(void *worker);
void run_job_free(struct run_job *job);
/* Did it fail for the sake of the model's device, so that the CPU could do it? model: NULL where it could not be opened. */
bool runner_failed_by_device(int rc, const struct model *model);

int runner_progress(void *worker, const char *stage, int64_t done, int64_t total);

/* errand.c, with the lock held. The first does the errand at the head of those that wait and gives the lock up meanwhile; the second
 * is for when the session is about to go: it stops the one that goes on and returns those that wait, to be freed without the lock. */
void errand_do_next(struct worker *w, struct bench *bench);
struct errand_job *errand_stop_all(struct worker *w);
void errand_job_list_free(struct errand_job *job);
void errand_drop_kept(struct bench *bench); /* without the lock */
/* Without the lock: does a desk job's errand and hands it back to the screen. */
void errand_do_at_desk(struct worker *w, struct errand_job *job);

void *desk_main(void *worker);
/* takes the reference; an older one that waits is dropped */
void desk_give_capture(struct worker *w, const struct capture *c);
void desk_job_free(struct desk_job *job);

#endif
