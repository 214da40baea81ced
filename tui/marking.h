/* Marking spans of the prompt and searching it: what keys do to the two sets that the look holds, and what is said
 * about it.
 */
#ifndef KVGLASS_TUI_MARKING_H
#define KVGLASS_TUI_MARKING_H

#include "tui/app.h"

bool marking_act(struct app *app, enum action_id action); /* false: none of its actions */

#endif
