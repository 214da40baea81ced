/* The start screen's part that others need. */
#ifndef KVGLASS_TUI_VIEW_VIEW_START_H
#define KVGLASS_TUI_VIEW_VIEW_START_H

#include "tui/app.h"

/* The form is on the screen for the first time: looks at the model that it names. */
void start_shown(struct app *app, void *state);
/* What the worker found out about the model that is named in the form. */
void start_probed(void *state, const struct note *note);
/* The prompt as the form has it, typed or in its file (free it); NULL, and said, when the file cannot be read. */
char *start_prompt(struct app *app, void *state);
/* An edited prompt: as typed, ready to run. */
void start_set_prompt(struct app *app, void *state, const char *text);

#endif
