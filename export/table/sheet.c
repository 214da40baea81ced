#include "export/table/sheet.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sheet_open(struct sheet *s, const char *path, struct err *e)
{
	*s = (struct sheet){0};
	return strcmp(path, "-") ? file_create(&s->file, path, e) : 0;
}

void sheet_write(struct sheet *s, const char *text, size_t n_bytes)
{
	if (s->failed || n_bytes == 0)
		return;
	if (s->file)
		s->failed = file_write(s->file, text, n_bytes, &s->e) != 0;
	else if (fwrite(text, 1, n_bytes, stdout) != n_bytes)
		s->failed = err_set(&s->e, ERR_SYSTEM, "standard output: %s", strerror(errno)) != 0;
}

void sheet_printf(struct sheet *s, const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	int n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		s->failed = err_set(&s->e, ERR_MEMORY, "table: out of memory") != 0;
		return;
	}
	sheet_write(s, text, (size_t)n);
	free(text);
}

int sheet_close(struct sheet *s, struct err *e)
{
	if (!s->failed && !s->file && fflush(stdout))
		s->failed = err_set(&s->e, ERR_SYSTEM, "standard output: %s", strerror(errno)) != 0;
	if (!s->failed)
		return s->file ? file_commit(s->file, e) : 0;
	file_abandon(s->file);
	if (e)
		*e = s->e;
	return (int)s->e.code;
}
