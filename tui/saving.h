/* Saving from the screen: the capture, and what is on the screen as a figure. Asks for a name in the bottom line. */
#ifndef KVGLASS_TUI_SAVING_H
#define KVGLASS_TUI_SAVING_H

#include "tui/app.h"

void saving_ask_capture(struct app *app);
void saving_ask_figure(struct app *app);
/* The name in the bottom line was accepted; asks before it replaces a file unless sure. */
void saving_accept(struct app *app, bool sure);
/* Notes of the worker about files. */
void saving_note(struct app *app, const struct note *note);

#endif
