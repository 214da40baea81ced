#include "export/draw/printable.h"

#include <stdlib.h>

#include "engine/utf8.h"

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
		uint32_t code = UTF8_REPLACEMENT;
		size_t step = utf8_decode(s + i, n - i, &code);
		if (step && !utf8_is_printable(code))
			code = ' ';
		to += utf8_encode(code, to);
		i += step ? step : 1;
	}
	*to = '\0';
	return out;
}
