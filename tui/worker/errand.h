/* Errands: what the screen asks about the run that is finished, while its model and session are still there (analysis/live.h).
 * LookaheadKV's rows under other switches, truth of chosen response words, live training, ...
 *
 * The runner does them, one after the other, between runs; a run that is ordered stops the errand that goes on. One that waits is
 * replaced by a newer one of the same name: switches can be turned faster than their results come.
 */
#ifndef KVGLASS_TUI_WORKER_ERRAND_H
#define KVGLASS_TUI_WORKER_ERRAND_H

#include "analysis/live.h"
#include "engine/lookahead.h"

struct app;
struct worker;

struct errand_site { /* what run() finds; as long as it runs */
	struct live *live;
	const struct lookahead *modules; /* the run's; NULL: it had none */
	const struct progress *progress; /* non-zero: stop, with ERR_CANCELLED */
	struct worker *worker;
	struct bench *bench; /* private */
};

struct errand {
	const char *name; /* static; also the stage that progress shows unless run() reports its own */
	void *state;      /* the errand's */
	int (*run)(void *state, const struct errand_site *site, struct err *e); /* on the runner's thread */
	/* On the screen's thread, after run(): rc is its result, why the error's text. The state is the callee's from here. */
	void (*done)(struct app *app, void *state, int rc, const char *why);
	void (*drop)(void *state); /* frees the state of an errand that is not done: replaced, or the program ends */
};

/* Takes the state in any case (drop() on failure). ERR_USE when there is no live session, with what would give one. */
int worker_errand(struct worker *w, const struct errand *errand, struct err *e);
/* The same at the desk, about captures alone: site->live and site->modules are NULL, no session is needed and no run is
 * waited for. One that goes on is stopped by a newer one of the same name; its done() is then called with
 * ERR_CANCELLED. */
int worker_errand_at_desk(struct worker *w, const struct errand *errand, struct err *e);
/* One that is finished, to be handed to its done(); false: none. For the screen's thread. */
struct errand_result {
	struct errand errand;
	int rc;
	char why[512];
};
bool worker_take_errand(struct worker *w, struct errand_result *out);

/* For run(): what is to go on in a later errand, such as a training that is paused. It may lean on session, model and modules: close()
 * is called on the runner's thread before they go. One object for each name; a new one closes the old one, NULL leaves none. ERR_LIMIT
 * when there are too many names (the object is closed then). */
int errand_keep(const struct errand_site *site, const char *name, void *object, void (*close)(void *object), struct err *e);
void *errand_kept(const struct errand_site *site, const char *name); /* NULL: nothing */

/* For run(): a capture to be shown now, as often as it likes (the desk takes the newest); takes the reference. */
void errand_publish(const struct errand_site *site, const struct capture *c);
/* For run(): the live capture as errands have changed it, which the next one changes further: chosen words stay under turned
 * switches, and the other way round. Until the next errand_publish(). */
const struct capture *errand_shown(const struct errand_site *site);

#endif
