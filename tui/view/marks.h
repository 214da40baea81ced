/* What was found and what is marked, on the text: the same in every view that shows tokens. */
#ifndef KVGLASS_TUI_MARKS_H
#define KVGLASS_TUI_MARKS_H

#include "tui/app.h"

/* The token's style with a background for what was found or marked; as given where neither holds. */
struct style marks_style(const struct app *app, int token, struct style s);
bool marks_marked(const struct look *l, int token); /* in a marked span, or in the one that is being marked */

#endif
