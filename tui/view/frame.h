/* The parts every screen has: title, the budget in words, hints and messages at the bottom. */
#ifndef KVGLASS_TUI_FRAME_H
#define KVGLASS_TUI_FRAME_H

#include "tui/app.h"

void frame_title(const struct app *app, struct grid *g, struct rect r);
void frame_status(const struct app *app, struct grid *g, struct rect r);
/* The last line: the hint bar, or what is asked or said in its place. A long message takes lines above it too. */
void frame_bottom(struct app *app, struct grid *g);
/* A box over what is drawn already, emptied, with a title in its upper edge. */
void frame_box(const struct app *app, struct grid *g, struct rect box, const char *title);
/* A bar of the share done, in r's first line. */
void frame_bar(const struct app *app, struct grid *g, struct rect r, double share);

#endif
