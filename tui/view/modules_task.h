/* What the errands of the Modules screen share. Private to tui/view/modules_*.c. */
#ifndef KVGLASS_TUI_VIEW_MODULES_TASK_H
#define KVGLASS_TUI_VIEW_MODULES_TASK_H

#include "tui/view/modules.h"

enum { MODULES_MOST_ROW_BYTES = 1 << 30 }; /* maps of all rows beyond this are left out: the mean is shown alone */

extern const char modules_lesson_name[]; /* the errand that trains, and the lesson that it keeps */

struct modules_task { /* begins every errand's state */
	struct modules *owner; /* for done() and drop(), on the screen's thread */
	const void *run;       /* the run it was asked of */
};
struct modules_task modules_task_begin(struct modules *m);
/* Is the answer still of the run that is shown? Says what went wrong. */
bool modules_task_end(struct app *app, const struct modules_task *t, int rc, const char *why);

/* The modules as they are now: those that are trained here, else the run's. *own is the caller's, NULL when they are the run's. */
int modules_present(const struct errand_site *site, const struct lookahead **out, struct lookahead **own, struct err *e);
/* Orders an errand, or says why it cannot be. */
void modules_send(struct app *app, struct modules *m, const struct errand *errand);
void modules_take_rows(struct modules *m, struct inspect_rows *rows); /* takes them over; NULL: none */
void modules_put_file_name(char out[NAME_BYTES], const char *path);

#endif
