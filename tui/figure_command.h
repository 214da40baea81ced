/* The command line that draws a figure, and the way back from it.
 *
 * A figure keeps this line inside, the screen shows it when it saves one, and `export --reproduce` reads it. It is normalised: the same
 * figure has the same line, however it was asked for. Only what differs from the defaults is written, in a fixed order; the file
 * that is drawn is left out, so that a figure's bytes do not depend on its name.
 */
#ifndef KVGLASS_TUI_FIGURE_COMMAND_H
#define KVGLASS_TUI_FIGURE_COMMAND_H

#include "analysis/protocol.h"
#include "export/figure.h"

struct figure_command {
	const char *capture; /* path as given; NULL, or an anonymous figure: the placeholder below */
	const char *preset;  /* that `protocol` began from, or NULL */
	struct protocol protocol;
	uint64_t seed; /* of the random control */
	struct figure_spec spec; /* its command is not looked at */
};

#define FIGURE_NO_CAPTURE "CAPTURE.kvg" /* stands for a path that is not told */

/* One line, words quoted for a shell where needed. *out is owned by the caller (free). */
int figure_command_write(char **out, const struct figure_command *f, struct err *e);
/* Words of such a line: a list that ends with NULL, the words in the same block (one free). ERR_FORMAT for an open quote. */
int figure_command_split(char ***words, int *n, const char *line, struct err *e);

#endif
