/* What a changed setting does to the running program. */
#ifndef KVGLASS_TUI_SETTINGS_ACT_H
#define KVGLASS_TUI_SETTINGS_ACT_H

#include "tui/app.h"

/* Changes one setting (NULL: its default) and everything that follows from it; false, and said, when it is refused. */
bool settings_change(struct app *app, enum option_id id, const char *value);
/* The protocol's settings at their defaults. */
void settings_reset_protocol(struct app *app);
/* What the next run takes from settings: device, measurement, module loading. */
void settings_of_run(struct app *app, struct run_order *order);

#endif
