/* Gives the terminal back when the program cannot do it in good order: fatal signals, exit() from anywhere. Private
 * to term.c.
 *
 * A signal handler may only touch what was prepared for it, so the terminal's state before, the bytes that end
 * full-screen mode and the place of diverted error output are kept in one static block. This is the one room with
 * process-wide state: there is one terminal, and signals belong to the process.
 */
#ifndef KVGLASS_TUI_TERM_GUARD_H
#define KVGLASS_TUI_TERM_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/err.h"

struct guard_flags { /* signals since the last look */
	bool resized, continued, suspend;
	int end; /* SIGTERM, SIGHUP or SIGINT; 0: none */
};

/* Before curses starts: remembers the terminal on fd, installs handlers, diverts standard error if it is a terminal. */
int guard_open(int fd, struct err *e);
/* The bytes that leave full-screen mode, once curses knows them (copied). */
void guard_set_restore(const char *bytes, size_t n);
/* After curses ended: handlers and standard error as before, then what was diverted is printed. */
void guard_close(void);

/* Around a suspension, with curses ended: default behaviour of signals, standard error of the user. */
void guard_pause(void);
void guard_resume(void);

struct guard_flags guard_take_flags(void);
int guard_wake_fd(void); /* readable when a signal came */

#endif
