/* The command line's private room: what every command offers and what they share.
 *
 * A command has two steps. check() judges the words alone: no file is opened, nothing heavy starts, and a failure is wrong use
 * (exit status 2). run() does the work; a failure is exit status 1. Results go to standard output, remarks and progress to standard
 * error; nothing here prints an error, main() does.
 */
#ifndef KVGLASS_TUI_COMMAND_COMMAND_H
#define KVGLASS_TUI_COMMAND_COMMAND_H

#include <stdio.h>

#include "engine/err.h"
#include "tui/command/options.h"

struct command {
	int (*check)(const struct options *o, struct err *e); /* NULL: nothing to judge */
	int (*run)(const struct options *o, struct err *e);
};
extern const struct command command_view, command_run, command_export, command_compare, command_train, command_inspect, command_info, command_tokenize,
	command_bench, command_completion;

/* The whole program: parses, runs, prints errors; returns the exit status (0 done, 1 failed, 2 wrong use). */
int command_main(int argc, char **argv);

/* ---- help.c ---- */
void help_program(FILE *out);
void help_command(FILE *out, enum command_id command);
void help_version(FILE *out);

/* ---- stop.c ---- */
/* SIGINT, SIGTERM and SIGHUP set a flag from now on, which long work looks at between steps. A second ^C ends the program. */
void stop_on_signals(void);
bool stop_asked(void);

#endif
