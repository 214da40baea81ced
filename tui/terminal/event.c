#include "tui/terminal/event.h"

#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

static const struct {
	int key;
	const char *name, *sign;
} named[] = {
	{K_UP, "Up", "\xe2\x86\x91"},          {K_DOWN, "Down", "\xe2\x86\x93"},
	{K_LEFT, "Left", "\xe2\x86\x90"},      {K_RIGHT, "Right", "\xe2\x86\x92"},
	{K_PAGE_UP, "PgUp", "PgUp"},           {K_PAGE_DOWN, "PgDn", "PgDn"},
	{K_HOME, "Home", "Home"},              {K_END, "End", "End"},
	{K_ENTER, "Enter", "Enter"},           {K_ESCAPE, "Esc", "Esc"},
	{K_TAB, "Tab", "Tab"},                 {K_BACK_TAB, "S-Tab", "S-Tab"},
	{K_BACKSPACE, "BS", "BS"},             {K_DELETE, "Del", "Del"},
	{' ', "Space", "Space"},
};

int event_key_from_name(const char *name)
{
	size_t n = strlen(name);
	int number;
	char rest;
	for (size_t i = 0; i < sizeof named / sizeof *named; i++)
		if (!strcmp(named[i].name, name))
			return named[i].key;
	if (n == 2 && name[0] == '^' && name[1] >= '@' && name[1] <= '_')
		return name[1] & KEY_CONTROL_MASK;
	if (sscanf(name, "F%d%c", &number, &rest) == 1 && number >= 1 && number <= 12)
		return K_F1 + number - 1;
	utf8proc_int32_t code;
	if (n && utf8proc_iterate((const utf8proc_uint8_t *)name, (utf8proc_ssize_t)n, &code) == (utf8proc_ssize_t)n &&
		event_key_types(code))
		return code;
	return K_NONE;
}

static const char *spell(int key, char *out)
{
	if (key >= K_F1 && key <= K_F12) {
		snprintf(out, 16, "F%d", key - K_F1 + 1);
	} else if (key >= 0 && key < 0x20) {
		snprintf(out, 16, "^%c", key + '@');
	} else if (event_key_types(key)) {
		utf8proc_ssize_t n = utf8proc_encode_char(key, (utf8proc_uint8_t *)out);
		out[n] = '\0';
	} else {
		snprintf(out, 16, "?");
	}
	return out;
}

const char *event_key_name(int key, char *out)
{
	for (size_t i = 0; i < sizeof named / sizeof *named; i++)
		if (named[i].key == key)
			return strcpy(out, named[i].name);
	return spell(key, out);
}

const char *event_key_sign(int key, char *out)
{
	for (size_t i = 0; i < sizeof named / sizeof *named; i++)
		if (named[i].key == key)
			return strcpy(out, named[i].sign);
	return spell(key, out);
}

bool event_key_types(int key)
{
	return key >= 0x20 && key != 0x7f && key < 0x110000 && !(key >= 0x80 && key < 0xa0);
}
