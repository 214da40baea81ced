/* How long work tells how far it is, and is told to stop.
 *
 * The callback is called from the thread that does the work, at least a few times a second while a stage
 * lasts and once at its end (done == total). Returning non-zero asks to stop: the function that was called ends at the next
 * step with ERR_CANCELLED and leaves its objects usable. A NULL callback is allowed everywhere. */
#ifndef KVGLASS_ENGINE_PROGRESS_H
#define KVGLASS_ENGINE_PROGRESS_H

#include <stdint.h>

struct progress {
	int (*report)(void *user, const char *stage, int64_t done, int64_t total); /* stage: "prefill", "decode", ... */
	void *user;
};

/* 0 to go on; also when p or p->report is NULL. */
int progress_report(const struct progress *p, const char *stage, int64_t done, int64_t total);

#endif
