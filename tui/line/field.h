/* Field: one editable piece of text, and names of files completed in it. Pure state; drawing needs a grid. */
#ifndef KVGLASS_TUI_FIELD_H
#define KVGLASS_TUI_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "tui/action.h"
#include "tui/draw/grid.h"

struct field {
	char *text; /* NUL-terminated UTF-8; never NULL after field_set */
	size_t n, room;
	size_t at;       /* cursor, a byte offset at a glyph's start */
	size_t first;    /* first byte shown of a single line */
	bool many_lines; /* new lines may be typed */
};

bool field_set(struct field *f, const char *text); /* false when memory is short: as before */
void field_free(struct field *f);
bool field_type(struct field *f, int key);              /* inserts a character; false: memory is short */
bool field_act(struct field *f, enum action_id action); /* the EDIT_ actions; false: none of them */

/* Draws into r (one line, or wrapped into all of them) and puts the text cursor there when focused. */
void field_draw(struct field *f, struct grid *g, struct rect r, struct style s, bool focused);

/* Completes the file name in front of the cursor as far as it is unique ("~/" is the home folder). Returns the
 * number of names that fit and writes them, without their folder, into list, blanks between, cut with an ellipsis.
 * *grew tells whether anything was added. */
int field_complete(struct field *f, bool *grew, char *list, size_t list_bytes);
/* The same for a name that begins at byte `from` of the field. */
int field_complete_from(struct field *f, size_t from, bool *grew, char *list, size_t list_bytes);
/* The same with words in place of names of files: word(user, i, room) is number i or NULL after the last. A word that is
 * the only one that fits is followed by a blank. */
int field_complete_word(struct field *f, size_t from, const char *(*word)(void *user, int i, char room[40]), void *user,
	char *list, size_t list_bytes);

#endif
