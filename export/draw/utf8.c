#include "export/draw/utf8.h"

#include <stdlib.h>

#define REPLACEMENT 0xfffdu

size_t utf8_decode(const char *s, size_t n, uint32_t *code)
{
	const unsigned char *b = (const unsigned char *)s;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t want = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : b[0] < 0xf5 ? 4 : 0;
	if (want == 0 || want > n)
		return 0;
	uint32_t c = want == 1 ? b[0] : b[0] & (0x7fu >> want);
	for (size_t i = 1; i < want; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c < least[want] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*code = c;
	return want;
}

size_t utf8_encode(uint32_t code, char out[4])
{
	if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		code = REPLACEMENT;
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(lead[n] | code);
	return n;
}

bool utf8_is_printable(uint32_t code)
{
	return code >= 0x20 && !(code >= 0x7f && code < 0xa0) && code != 0xfffe && code != 0xffff;
}

char *utf8_clean(const char *s, size_t n)
{
	char *out = malloc(3 * n + 1), *to = out; /* a bad byte becomes three */
	if (!out)
		return NULL;
	for (size_t i = 0; i < n;) {
		uint32_t code = REPLACEMENT;
		size_t step = utf8_decode(s + i, n - i, &code);
		if (step && !utf8_is_printable(code))
			code = ' ';
		to += utf8_encode(code, to);
		i += step ? step : 1;
	}
	*to = '\0';
	return out;
}
