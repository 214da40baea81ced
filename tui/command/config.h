/* The configuration file of the interactive program: lines `name = value`, comments behind #.
 *
 * Other commands do not read it: what a command line does is told by its words alone, on every machine. Order: command line, file,
 * environment (NO_COLOR, COLORTERM, the locale), default. Writing changes the lines of what was changed and leaves all others,
 * unknown ones too, as they are.
 */
#ifndef KVGLASS_TUI_COMMAND_CONFIG_H
#define KVGLASS_TUI_COMMAND_CONFIG_H

#include <stdio.h>

#include "tui/command/options.h"

enum { CONFIG_MOST_BYTES = 1 << 20 };

/* Called for every line that is not understood: "line 3: bugdet: no such setting; did you mean budget?" */
struct config_ear {
	void (*hear)(void *user, const char *text);
	void *user;
};

/* Options that the command line left open. Texts point into `text`, whose lines are ended in place: it must stay. */
void config_apply(struct options *o, char *text, const struct config_ear *ear);

/* The file as it is when nobody has written one: every setting with its help, commented out at its default. */
void config_write_default(FILE *out);

/* `before` with the options that are `changed` at their present values; those at their defaults are commented out. *out is owned by
 * the caller (free). */
int config_merge(char **out, const char *before, const struct options *o, const bool changed[N_OPTION], struct err *e);

#endif
