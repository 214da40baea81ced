/* A text in the user's own editor ($VISUAL, $EDITOR, else vi), which has the terminal meanwhile. */
#ifndef KVGLASS_TUI_EDITOR_H
#define KVGLASS_TUI_EDITOR_H

#include "engine/err.h"

/* *text is replaced by what the editor left (free); unchanged on failure. A line end that the editor added at the very end is taken
 * off again. Waits for the editor. */
int editor_edit(char **text, struct err *e);

#endif
