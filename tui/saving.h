/* Saving from the screen: the capture, and what is on the screen as a figure. Asks for a name in the bottom line. */
#ifndef KVGLASS_TUI_SAVING_H
#define KVGLASS_TUI_SAVING_H

#include "tui/app.h"

void saving_ask_capture(struct app *app);
void saving_ask_figure(struct app *app);
/* Ask before they replace a file. */
void saving_capture(struct app *app, const char *path);
void saving_figure(struct app *app, const char *path);
/* True when there is no such file yet; else asks, and ask->write() follows a yes. */
bool saving_may_write(struct app *app, const struct ask *ask, const char *path);
/* The answer to that question; after a no the name can be changed. */
void saving_overwrite(struct app *app, bool yes);
/* Notes of the worker about files. */
void saving_note(struct app *app, const struct note *note);

#endif
