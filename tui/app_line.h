/* The line at the bottom: what keys do to it. Private to tui/app*.c. */
#ifndef KVGLASS_TUI_APP_LINE_H
#define KVGLASS_TUI_APP_LINE_H

#include "tui/app.h"

void line_type(struct app *app, int key);
void line_act(struct app *app, enum action_id action);
/* Opens the line for commands. */
void line_ask_command(struct app *app, const char *text);

#endif
