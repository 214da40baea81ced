#include "engine/err.h"

#include <stdio.h>
#include <string.h>

/* Text from files may carry control characters that would move a terminal's cursor. */
static void make_safe(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
}

/* Cuts a character that did not fit whole. */
static void trim_half_character(char *text)
{
	size_t end = strlen(text), at = end;
	while (at > 0 && end - at < 4 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at == 0)
		return;
	unsigned char lead = (unsigned char)text[at - 1];
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (end - (at - 1) < want)
		text[at - 1] = '\0';
}

enum err_code err_set(struct err *e, enum err_code code, const char *format, ...)
{
	if (!e)
		return code;
	e->code = code;
	va_list args;
	va_start(args, format);
	vsnprintf(e->text, sizeof e->text, format, args);
	va_end(args);
	make_safe(e->text);
	trim_half_character(e->text);
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
