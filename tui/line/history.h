/* History: lines that were entered at the bottom, oldest first, kept in a file between sessions.
 *
 * One file holds every kind of line, each behind a mark: ":budget 200", "/harbour". What is not such a line (a damaged file) is
 * dropped. Several programs may run at once: saving reads the file again and adds what this one entered.
 */
#ifndef KVGLASS_TUI_LINE_HISTORY_H
#define KVGLASS_TUI_LINE_HISTORY_H

#include <stddef.h>

#include "engine/err.h"

enum { HISTORY_MOST = 500, HISTORY_LONGEST = 4096 /* bytes of a line that is kept */ };

struct history {
	char **line; /* owned, mark and text */
	int n;
	int n_old;   /* of them, how many came from the file */
	int at;      /* the one that is shown; n: the line being written */
	char *draft; /* what was being written when walking began */
};

/* Adds the lines of a file's text. Any bytes are allowed. */
void history_read(struct history *h, const char *text, size_t n_bytes);
/* Nothing to load is no error. */
void history_load(struct history *h, const char *path);
int history_save(const struct history *h, const char *path, struct err *e);
void history_free(struct history *h);

/* Enters a line; one that is there already moves to the end. Empty, overlong and many-lined ones are not kept. */
void history_add(struct history *h, char mark, const char *text);

/* Walking starts with history_rest(). The line of that mark before (by -1) or after (1) the one shown that begins with what was
 * written when walking began; NULL when there is none. `now` is what the field holds. */
void history_rest(struct history *h);
const char *history_walk(struct history *h, char mark, int by, const char *now);

#endif
