/* The start screen's part that others need. */
#ifndef KVGLASS_TUI_VIEW_VIEW_START_H
#define KVGLASS_TUI_VIEW_VIEW_START_H

#include "tui/app.h"

/* What the worker found out about the model that is named in the form. */
void start_probed(void *state, const struct note *note);

#endif
