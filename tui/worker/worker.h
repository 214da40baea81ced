/* The worker: everything that takes time, away from the keys.
 *
 * Two threads. The runner opens a model, loads modules, measures a prompt, and then does errands on the session
 * that is left; a run can be cancelled and waits for nobody. The desk turns captures into snapshots, the newest first, and does what must not
 * wait for a run: opening and saving captures, drawing figures, looking at a model's header for the start screen.
 * The screen asks with the functions below, sleeps on worker_fd(), and takes what is new. All functions but
 * worker_fd() are for the screen's thread; none of them waits for work, except worker_close().
 */
#ifndef KVGLASS_TUI_WORKER_H
#define KVGLASS_TUI_WORKER_H

#include "analysis/measure.h"
#include "engine/device.h"
#include "export/figure.h"
#include "tui/worker/snapshot.h"

struct worker;

struct run_order { /* copied */
	const char *model;
	const char *prompt; /* text, or NULL: read prompt_file */
	size_t prompt_bytes;
	const char *prompt_file; /* to read, or only to be named when there is a prompt; NULL: typed */
	const char *modules;     /* path, "untrained" or NULL */
	struct lookahead_load_options load;
	struct model_options device;
	struct measure_options measure; /* .modules is set by the runner; strings and lists must outlive the worker */
};

struct stage {
	char name[24]; /* "model", "prompt", "prefill", "lookahead", "untrained", "decode" */
	int64_t done, total;
	double seconds; /* since it began, until now or its end */
	double share;   /* of what the device can do at most (struct device_info): prefill of its products, an answer of its memory; 0: unknown */
};
enum { WORKER_MAX_STAGE = 10 };

enum note_kind {
	NOTE_DONE,      /* the run is finished */
	NOTE_CANCELLED, /* the run was stopped; text says what there is */
	NOTE_FAILED,    /* the run, or opening a capture, failed: text says why */
	NOTE_DEVICE,    /* the run or an errand failed for its device's sake: text says why, and worker_again_on_cpu() does without it */
	NOTE_OPENED,    /* a capture is open */
	NOTE_SAVED,     /* the capture was saved */
	NOTE_FIGURE,    /* a figure was saved */
	NOTE_REMARK,    /* what the figure that was just saved could not show */
	NOTE_PROBE,     /* what a model is, in one line */
	NOTE_BAD_PROBE, /* why it cannot be opened */
	NOTE_ERROR,     /* saving failed */
};
struct note {
	enum note_kind kind;
	char text[512];
};

struct worker_state {
	bool running; /* a run goes on */
	bool busy;    /* anything goes on, or something new has not been taken yet */
	bool errand;  /* an errand goes on or waits */
	bool live;    /* the session of what is shown is there: errands can be run (tui/worker/errand.h) */
	int n_stage;  /* of the present or last run, in the order they came */
	struct stage stage[WORKER_MAX_STAGE];
	struct device_info device; /* that the model of the present or last run is on, as it was when the run ended; id "" before there is one */
};

int worker_open(struct worker **out, const struct evaluation_options *evaluation, struct err *e);
/* Another protocol, copied: what comes is evaluated under it, and the captures of these two again (NULL: none), as what is shown
 * and as the second one. */
void worker_set_evaluation(struct worker *w, const struct evaluation_options *evaluation, const struct snapshot *shown,
	const struct snapshot *other);
void worker_close(struct worker *w); /* cancels and waits; NULL is allowed */
int worker_fd(const struct worker *w); /* readable when something is new */
double worker_now(void); /* seconds on the monotonic clock */

int worker_run(struct worker *w, const struct run_order *r, struct err *e); /* ERR_USE while one goes on */
/* The run that NOTE_DEVICE was about, or that left the session of its errand, which is to be asked for again then. ERR_USE when there is none. */
int worker_again_on_cpu(struct worker *w, struct err *e);
void worker_cancel(struct worker *w);
void worker_open_capture(struct worker *w, const char *path);
/* A second one, to be compared with: it replaces nothing, its snapshot comes from worker_take_other(). NOTE_ERROR when it cannot be
 * opened. */
void worker_open_other(struct worker *w, const char *path);
/* The newest second one, its reference goes to the caller; NULL: none since the last call. */
const struct snapshot *worker_take_other(struct worker *w);
void worker_save_capture(struct worker *w, const struct snapshot *s, const char *path);
void worker_save_figure(struct worker *w, const struct snapshot *s, const struct figure_spec *spec, const char *path);
void worker_probe(struct worker *w, const char *model, const struct model_options *o);

/* What is new since the last call. *snapshot is NULL or the newest one, its reference goes to the caller; notes
 * come one a call. */
void worker_take(struct worker *w, struct worker_state *state, const struct snapshot **snapshot, struct note *note,
	bool *has_note);

#endif
