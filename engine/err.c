#include "engine/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/utf8.h"

/* Text from files may be no UTF-8 at all, or carry control characters (C0, DEL, C1) that would move a terminal's cursor. */
static void make_safe(char *text)
{
	size_t n = strlen(text), n_bytes;
	for (size_t at = 0; at < n; at += n_bytes) {
		uint32_t code;
		n_bytes = utf8_decode(text + at, n - at, &code);
		if (n_bytes == 1 && code >= 0x20 && code != 0x7f)
			continue;
		if (n_bytes > 1 && code >= 0xa0)
			continue;
		n_bytes = n_bytes ? n_bytes : 1;
		memset(text + at, '?', n_bytes);
	}
}

/* Takes away the character that a full buffer cut in two. */
static void trim_half_character(char *text)
{
	size_t n = strlen(text), at = n;
	while (at > 0 && n - at < 3 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	uint32_t code;
	if (at > 0 && ((unsigned char)text[at - 1] & 0xc0) == 0xc0 && !utf8_decode(text + at - 1, n - at + 1, &code))
		text[at - 1] = '\0';
}

enum err_code err_set(struct err *e, enum err_code code, const char *format, ...)
{
	if (!e)
		return code;
	e->code = code;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(e->text, sizeof e->text, format, args);
	va_end(args);
	if (n >= (int)sizeof e->text)
		trim_half_character(e->text);
	make_safe(e->text);
	return code;
}

enum err_code err_prefix(struct err *e, const char *format, ...)
{
	if (!e)
		return ERR_NONE;
	char prefix[sizeof e->text], rest[sizeof e->text];
	va_list args;
	va_start(args, format);
	vsnprintf(prefix, sizeof prefix, format, args);
	va_end(args);
	memcpy(rest, e->text, sizeof rest);
	return err_set(e, e->code, "%s: %s", prefix, rest);
}
