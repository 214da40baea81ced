/* Copying what is looked at: as numbers, or as lines of Python that load this slice of the capture. To the clipboard of the
 * terminal (tui/terminal/term.h), which may refuse without a word, and always into a file.
 */
#ifndef KVGLASS_TUI_COPYING_H
#define KVGLASS_TUI_COPYING_H

#include "tui/app.h"

/* Opens the choice at the bottom. */
void copying_ask(struct app *app);
/* ACTION_COPY_NUMBERS, ACTION_COPY_PYTHON or anything else, which closes the choice. */
void copying_act(struct app *app, enum action_id action);

#endif
