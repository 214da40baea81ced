/* What commands tell people besides results: remarks and progress on standard error, prompts read, text made safe to print. */
#ifndef KVGLASS_TUI_COMMAND_TERMINAL_H
#define KVGLASS_TUI_COMMAND_TERMINAL_H

#include <stdio.h>

#include "engine/progress.h"
#include "tui/command/options.h"

/* "kvglass run: ..." on standard error, unless --quiet. */
void remark(const struct options *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line on standard error that says how far a stage is ("prefill 45 %, 3 s left"), rewritten in place; nothing at all with
 * --quiet or when standard error is no terminal. Its callback also asks long work to stop once a signal came. */
struct progress_line {
	bool shown;
	char stage[32];
	double began, printed; /* milliseconds_now(): when the stage began, when the line was last written */
	int width;             /* characters on the line now */
	struct progress progress; /* to be handed to the work; points back here, so the struct must not move */
};
void progress_line_begin(struct progress_line *p, const struct options *o);
void progress_line_end(struct progress_line *p); /* clears the line */

double milliseconds_now(void); /* on the monotonic clock */

/* Bytes as a person reads them on a terminal: valid characters as they are; halves of characters and control characters as marks
 * (<E4>, \n), so nothing moves the cursor. */
void print_visible(FILE *out, const char *bytes, size_t n_bytes);
/* The same, but ends of lines and tabs do what they are for. */
void print_lines(FILE *out, const char *bytes, size_t n_bytes);
/* "1,954" */
void format_grouped(char out[32], int64_t n);
/* "512 kB", "98.4 MB", "4.7 GB": three digits, powers of 1000 */
void format_size(char out[32], uint64_t n_bytes);

#endif
