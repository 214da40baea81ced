/* Marking spans of the prompt, searching it, and going from one difference to the next: what keys do to the sets that
 * the look holds, and what is said about it.
 */
#ifndef KVGLASS_TUI_MARKING_H
#define KVGLASS_TUI_MARKING_H

#include "tui/app.h"

bool marking_act(struct app *app, enum action_id action); /* false: none of its actions */
/* Searches and goes to the first place behind the cursor. A wrong pattern says why and stays on the line to be mended. */
void marking_search(struct app *app, const char *pattern);

#endif
