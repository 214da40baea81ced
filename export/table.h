/* Tables: comparisons as JSON (the contract of design.md section 6), CSV and text for people. */
#ifndef KVGLASS_EXPORT_TABLE_H
#define KVGLASS_EXPORT_TABLE_H

#include <jansson.h>

#include "analysis/compare.h"

/* {sink, window, pool, kernel, budgets: [...], methods: {...}, checks, warnings, ...}; owned by the caller. Not-a-number becomes null. */
json_t *table_compare_json(const struct comparison *cmp);
/* Text is forced to valid UTF-8: bytes that are half of a character become U+FFFD. */
json_t *table_json_text(const char *bytes, size_t n_bytes);
json_t *table_json_number(double x); /* null when not finite */
/* One JSON value, sorted as inserted, to standard output or a file ("-"). */
int table_write_json(const json_t *value, const char *path, struct err *e);
int table_compare_csv(const struct comparison *cmp, const char *path, struct err *e);
int table_compare_text(const struct comparison *cmp, const char *path, struct err *e);

#endif
