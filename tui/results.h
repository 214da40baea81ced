/* Two results: the newest, and the one before it, each with its file's name. One is shown, the other waits; a key switches. */
#ifndef KVGLASS_TUI_RESULTS_H
#define KVGLASS_TUI_RESULTS_H

#include <stdbool.h>

#include "analysis/protocol.h"

struct app;
struct snapshot;

struct in_force { /* what a result is evaluated under */
	struct protocol protocol;
	const struct preset *preset; /* that the protocol began from, or NULL */
	uint64_t seed;
};

struct kept_result { /* the one that is not shown */
	const struct snapshot *snap; /* held; NULL: there is none */
	struct in_force in_force; /* it keeps it: options change the newest result */
	char capture_path[4096], prompt_name[256];
	bool unsaved;
};

/* Something new is about to be shown for the first time: what is newest becomes the one before. */
void results_begin(struct app *app);
/* News of the newest result while the one before is shown; false: the newest is shown. Takes the reference when true. */
bool results_take_hidden(struct app *app, const struct snapshot *s);
void results_switch(struct app *app);
void results_free(struct app *app);
/* Would a new result push one out that is in no file? */
bool results_would_lose(const struct app *app);

#endif
