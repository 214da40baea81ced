/* Provenance: what a file says about how it was made, as named texts, and how to read it back.
 *
 *   PNG  one uncompressed tEXt chunk an entry before IDAT (iTXt when the value is not ASCII), keyword "kvglass.<name>";
 *        "Software" besides
 *   PDF  /Keywords of the document information: one line of JSON, {"kvglass.<name>": value}; /Creator is the program
 *   SVG  <metadata>: the same JSON
 *
 * Files are read as hostile input: sizes are checked, nothing is believed, at most PROVENANCE_MAX_FILE bytes
 * are looked at.
 */
#ifndef KVGLASS_EXPORT_DRAW_PROVENANCE_H
#define KVGLASS_EXPORT_DRAW_PROVENANCE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

#define PROVENANCE_PROGRAM "kvglass " KVGLASS_VERSION
#define PROVENANCE_PREFIX "kvglass."
#define PROVENANCE_MAX 40
#define PROVENANCE_MAX_FILE (256u << 20)

struct provenance_entry {
	char *name; /* without the prefix: "command", "model_sha256", ...; PROVENANCE_NAME_MAX bytes at most, [a-z0-9_] */
	char *value; /* valid UTF-8 without control characters */
};
#define PROVENANCE_NAME_MAX 60

struct provenance {
	int n;
	struct provenance_entry entry[PROVENANCE_MAX]; /* owned */
};

/* Copies; half characters become U+FFFD and control characters blanks. A NULL or empty value is left out. */
int provenance_add(struct provenance *p, const char *name, const char *value, struct err *e);
const char *provenance_find(const struct provenance *p, const char *name); /* NULL if absent */
void provenance_free(struct provenance *p);                                /* safe on a zeroed struct */

/* One line of JSON in ASCII (everything else as \uXXXX, also < > & so that it can stand in XML). Owned by the
 * caller; NULL: no memory. */
char *provenance_json(const struct provenance *p);

/* Reads back what PNG, PDF or SVG bytes carry; the kind is told by the bytes. `name` is for messages. */
int provenance_parse(struct provenance *out, const uint8_t *data, size_t size, const char *name, struct err *e);

#endif
