/* The terminal: the only file that knows curses.
 *
 * Puts grids on the screen (sending only what changed), turns keys and mouse into events, and gives the terminal
 * back as it was: at the end, on ^Z, on exit() from anywhere, and when the program dies of a signal. While it runs,
 * what libraries print on standard error goes to memory and is shown afterwards. One terminal at a time; every
 * function belongs to the thread that opened it.
 */
#ifndef KVGLASS_TUI_TERM_H
#define KVGLASS_TUI_TERM_H

#include "engine/err.h"
#include "tui/terminal/event.h"
#include "tui/draw/grid.h"
#include "tui/draw/theme.h"

struct term;

struct term_options { /* values of the flags, NULL is "auto" */
	const char *color, *charset, *background;
};

/* Fails, with the terminal untouched, when there is none, when TERM is unknown or cannot move a cursor, and for
 * unknown flags. */
int term_open(struct term **out, const struct term_options *o, struct err *e);
void term_close(struct term *t); /* NULL is allowed */

const struct theme *term_theme(const struct term *t);
/* Why there are fewer colours than asked for; NULL when there are not. */
const char *term_notice(const struct term *t);
void term_size(const struct term *t, int *rows, int *cols);

void term_show(struct term *t, const struct grid *g);
/* Sleeps until there is input, a signal, or fd (-1: none) is readable; at most timeout_ms (-1: for ever). */
void term_wait(struct term *t, int fd, int timeout_ms);
/* The next event; false when there is none now. */
bool term_next(struct term *t, struct event *out);
/* The next frame is sent whole. */
void term_forget(struct term *t);
/* Text for the terminal's clipboard (OSC 52). Terminals that refuse do so without a word. */
void term_copy(struct term *t, const char *text);
/* The bytes for that (free); in tmux twice, once through it. */
char *term_copy_sequence(const char *text, size_t n_bytes, bool in_tmux);
/* The terminal is another program's between the two. */
void term_lend(struct term *t);
void term_take_back(struct term *t);
/* Gives the terminal to the shell until the user comes back. */
void term_suspend(struct term *t);

/* The theme without a terminal (scripts): automatic values are 24 bits, UTF-8, dark. */
int term_theme_plain(struct theme *out, const struct term_options *o, struct err *e);

#endif
