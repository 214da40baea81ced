/* The terminal database: which entry to use and what ends full-screen mode. Private to term.c; apart from it
 * because curses' <term.h> and this program both have a `struct term`. */
#ifndef KVGLASS_TUI_TERM_INFO_H
#define KVGLASS_TUI_TERM_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/err.h"

/* Colours of TERM's entry (-1: none), or an error when it is unknown or cannot place a cursor. */
int term_info_probe(const char *name, int *colors, struct err *e);
/* Is there such an entry, with 24-bit colours? */
bool term_info_is_direct(const char *name);
/* Bytes that undo what full-screen mode changed: colours, cursor, keypad, alternate screen. For the terminal curses
 * runs on. Returns their number; 0 when they do not fit. */
size_t term_info_restore(char *out, size_t out_bytes);

#endif
