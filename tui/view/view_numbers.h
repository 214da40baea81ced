/* The numbers under the maps: how well each method agrees with truth here and everywhere, beside chance and truth's
 * own ceiling. */
#ifndef KVGLASS_TUI_VIEW_NUMBERS_H
#define KVGLASS_TUI_VIEW_NUMBERS_H

#include "tui/app.h"

int numbers_lines(const struct app *app);
void numbers_draw(struct app *app, struct grid *g, struct rect r);

#endif
