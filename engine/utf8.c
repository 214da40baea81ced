#include "engine/utf8.h"

#include <string.h>

/* Length of the character that starts at s[0] and has at most n bytes, 0 when there is none. */
static size_t character_length(const unsigned char *s, size_t n)
{
	unsigned char lead = s[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (n < length)
		return 0;
	/* The second byte's range rules out overlong forms, surrogates and what lies above U+10FFFF. */
	unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

size_t utf8_decode(const char *s, size_t n, uint32_t *code)
{
	size_t length = character_length((const unsigned char *)s, n);
	if (length)
		*code = utf8_next(s, &length);
	return length;
}

size_t utf8_first_invalid(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t at = 0;
	while (at < n) {
		uint64_t eight;
		while (n - at >= sizeof eight) { /* most text is ASCII, whole words at a time */
			memcpy(&eight, s + at, sizeof eight);
			if (eight & UINT64_C(0x8080808080808080))
				break;
			at += sizeof eight;
		}
		if (at == n)
			break;
		size_t length = character_length(s + at, n - at);
		if (!length)
			return at;
		at += length;
	}
	return n;
}

uint32_t utf8_next(const char *text, size_t *n_bytes)
{
	const unsigned char *s = (const unsigned char *)text;
	if (s[0] < 0x80) {
		*n_bytes = 1;
		return s[0];
	}
	if (s[0] < 0xe0) {
		*n_bytes = 2;
		return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
	}
	if (s[0] < 0xf0) {
		*n_bytes = 3;
		return (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
	}
	*n_bytes = 4;
	return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 |
		(s[3] & 0x3f);
}

size_t utf8_previous(const char *text, size_t end)
{
	do
		end--;
	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80);
	return end;
}

size_t utf8_encode(uint32_t code, char out[4])
{
	if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		code = UTF8_REPLACEMENT;
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

bool utf8_is_space(uint32_t code)
{
	return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 || code == 0x1680 ||
		(code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f ||
		code == 0x205f || code == 0x3000;
}
