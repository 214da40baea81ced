/* Where a table goes: standard output ("-") or a file that is replaced whole. Private to export/table/. */
#ifndef KVGLASS_EXPORT_TABLE_SHEET_H
#define KVGLASS_EXPORT_TABLE_SHEET_H

#include <stdbool.h>

#include "engine/file.h"

struct sheet {
	struct file_writer *file; /* NULL: standard output */
	bool failed;
	struct err e;
};
int sheet_open(struct sheet *s, const char *path, struct err *e);
void sheet_write(struct sheet *s, const char *text, size_t n_bytes); /* errors are kept until the end */
__attribute__((format(printf, 2, 3))) void sheet_printf(struct sheet *s, const char *format, ...);
int sheet_close(struct sheet *s, struct err *e);

#endif
