/* Scripts: a program of keys and actions, without a terminal. For tests, and for doing by batch what the screen does.
 *
 * One step a line; empty lines and those that begin with # are skipped.
 *     NAME             an action by name (tui/actions.def): budget-more, view-text
 *     KEY              a key: q, Left, ^L, F1, Space
 *     :COMMAND WORD    a typed command (tui/typed.def): :budget 200
 *     wait             until nothing goes on in the background
 *     type TEXT        characters, as typed into a field
 *     click ROW COL    the mouse, counted from 0; wheel-up, wheel-down ROW COL
 *     resize ROWS COLS
 *     dump FILE        the screen as it is now
 * A script that ends waits too, then the dump of the command line is written.
 */
#ifndef KVGLASS_TUI_SCRIPT_H
#define KVGLASS_TUI_SCRIPT_H

#include "tui/app.h"

/* Runs o->script with an app over a grid of o->rows x o->columns. ERR_USE names the line that is wrong. */
int script_run(const struct screen_options *o, struct err *e);

#endif
