/* A JSON reader that goes through a text once and builds nothing: for tokenizer.json, whose vocabulary and merges
 * (17 MB in a Llama 3 folder) would cost a quarter of a second as a tree. Small values are handed out as slices
 * for jansson.
 */
#ifndef KVGLASS_ENGINE_TOKEN_JSON_SCAN_H
#define KVGLASS_ENGINE_TOKEN_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

struct json_scan {
	const char *text, *at, *end;
	char *buffer; /* the last string that had escapes; scan_free() */
	size_t capacity;
	struct err *e;
};
struct json_slice {
	const char *text; /* into the source, or into the scanner's buffer until the next string is read */
	size_t n;
};

void scan_open(struct json_scan *s, const char *text, size_t n, struct err *e); /* text: valid UTF-8 */
void scan_free(struct json_scan *s);
char scan_peek(struct json_scan *s);               /* first character of the next value, '\0' at the end */
int scan_enter(struct json_scan *s, char bracket); /* '{' or '[' */
/* Steps to the next member of an object (name and its ':' are read) or element of an array. *more is false at the
 * closing bracket, which is then read. `first` is set by the caller before the first call and cleared here. */
int scan_member(struct json_scan *s, bool *first, bool *more, struct json_slice *name);
int scan_element(struct json_scan *s, bool *first, bool *more);
int scan_string(struct json_scan *s, struct json_slice *out);
int scan_integer(struct json_scan *s, int64_t *out);
int scan_bool(struct json_scan *s, bool *out);
int scan_value(
	struct json_scan *s, struct json_slice *out); /* any value, brackets and quotes matched, passed over */
int scan_finish(struct json_scan *s);             /* nothing but white space may be left */

static inline bool slice_is(struct json_slice s, const char *text)
{
	size_t n = __builtin_strlen(text);
	return s.n == n && !__builtin_memcmp(s.text, text, n);
}

#endif
