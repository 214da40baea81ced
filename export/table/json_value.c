/* JSON values as every table and figure writes them: numbers that may not be, text that may be broken, and the writing itself. */
#include "export/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "export/table/sheet.h"

json_t *table_json_number(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

/* Bytes at the start of text that begin a character without being a whole one (Unicode 3.9, maximal subparts); at
 * least 1. */
static size_t broken_length(const unsigned char *text, size_t n)
{
	unsigned lead = text[0], low = 0x80, high = 0xbf;
	size_t want = 1, at = 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		want = 2;
	else if (lead >= 0xe0 && lead <= 0xf4)
		want = lead < 0xf0 ? 3 : 4;
	if (lead == 0xe0 || lead == 0xf0)
		low = lead == 0xe0 ? 0xa0 : 0x90;
	if (lead == 0xed || lead == 0xf4)
		high = lead == 0xed ? 0x9f : 0x8f;
	for (; at < want && at < n && text[at] >= low && text[at] <= high; at++) {
		low = 0x80;
		high = 0xbf;
	}
	return at;
}

json_t *table_json_text(const char *bytes, size_t n_bytes)
{
	/* every byte grows to three at most */
	char *text = malloc(3 * n_bytes + 1);
	size_t n = 0;
	if (!text)
		return NULL;
	for (size_t at = 0; at < n_bytes;) {
		utf8proc_int32_t character;
		utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)bytes + at,
			(utf8proc_ssize_t)(n_bytes - at), &character);
		if (length > 0) {
			memcpy(text + n, bytes + at, (size_t)length);
			n += (size_t)length;
			at += (size_t)length;
		} else {
			memcpy(text + n, "\xef\xbf\xbd", 3);
			n += 3;
			at += broken_length((const unsigned char *)bytes + at, n_bytes - at);
		}
	}
	json_t *out = json_stringn(text, n);
	free(text);
	return out;
}

static int dump(const char *buffer, size_t size, void *user)
{
	struct sheet *s = user;
	sheet_write(s, buffer, size);
	return s->failed ? -1 : 0;
}

int table_write_json(const json_t *value, const char *path, struct err *e)
{
	struct sheet s;
	int rc = sheet_open(&s, path, e);
	if (rc)
		return rc;
	if (json_dump_callback(value, dump, &s, JSON_REAL_PRECISION(12) | JSON_ENCODE_ANY) && !s.failed)
		s.failed = err_set(&s.e, ERR_MEMORY, "JSON: out of memory") != 0;
	sheet_write(&s, "\n", 1);
	return sheet_close(&s, e);
}
