#include "tui/draw/glyph.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

static bool is_variation_selector(utf8proc_int32_t c)
{
	return (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef);
}

/* utf8proc gives spacing marks (Mc) no width, the second and third Hangul jamo one, and circled numbers and
 * hexagrams one; the C library says otherwise. */
static int code_width(utf8proc_int32_t c, utf8proc_category_t category)
{
	if ((c >= 0x302e && c <= 0x302f) || (c >= 0x3248 && c <= 0x324f) || (c >= 0x4dc0 && c <= 0x4dff))
		return 2;
	if (category == UTF8PROC_CATEGORY_MC)
		return 1;
	if ((c >= 0x1160 && c <= 0x11ff) || (c >= 0xd7b0 && c <= 0xd7ff))
		return 0;
	return utf8proc_charwidth(c);
}

static enum glyph_kind classify(utf8proc_int32_t c, int *width)
{
	utf8proc_category_t category = utf8proc_category(c);
	*width = 1;
	if (c == '\n')
		return GLYPH_NEWLINE;
	if (c == '\t')
		return GLYPH_TAB;
	switch (category) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return GLYPH_CONTROL;
	case UTF8PROC_CATEGORY_CF:
		*width = 0;
		return GLYPH_HIDDEN;
	default:
		break;
	}
	*width = code_width(c, category);
	if (is_variation_selector(c))
		return GLYPH_HIDDEN;
	return *width == 0 ? GLYPH_MARK : GLYPH_TEXT;
}

/* One code point, or one byte that belongs to none. */
static size_t decode(const char *s, size_t n, struct glyph *out)
{
	utf8proc_int32_t c;
	utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)(n > 4 ? 4 : n), &c);
	out->bytes = s;
	if (used <= 0) {
		*out = (struct glyph){.kind = GLYPH_BROKEN, .bytes = s, .n_bytes = 1, .width = 1, .code = (unsigned char)*s};
		return 1;
	}
	out->kind = classify(c, &out->width);
	out->n_bytes = (int)used;
	out->code = (uint32_t)c;
	return (size_t)used;
}

size_t glyph_next(const char *s, size_t n, struct glyph *out)
{
	if ((unsigned char)*s < 0x7f && (unsigned char)*s >= 0x20 && (n == 1 || (unsigned char)s[1] < 0x80)) {
		*out = (struct glyph){.kind = GLYPH_TEXT, .bytes = s, .n_bytes = 1, .width = 1, .code = (unsigned char)*s};
		return 1;
	}
	size_t used = decode(s, n, out);
	if (out->kind != GLYPH_TEXT && out->kind != GLYPH_MARK)
		return used;
	for (int marks = out->kind == GLYPH_MARK; used < n && marks < GLYPH_MAX_MARKS; marks++) {
		struct glyph next;
		size_t more = decode(s + used, n - used, &next);
		if (next.kind != GLYPH_MARK)
			break;
		used += more;
	}
	out->n_bytes = (int)used;
	return used;
}

int glyph_width(const char *s, size_t n)
{
	int width = 0;
	for (size_t at = 0; at < n;) {
		struct glyph g;
		at += glyph_next(s + at, n - at, &g);
		width += g.kind == GLYPH_MARK ? 1 : g.width;
	}
	return width;
}

size_t glyph_fit(const char *s, size_t n, int columns)
{
	size_t at = 0;
	while (at < n) {
		struct glyph g;
		size_t used = glyph_next(s + at, n - at, &g);
		columns -= g.kind == GLYPH_MARK ? 1 : g.width;
		if (columns < 0)
			break;
		at += used;
	}
	return at;
}

static size_t show_glyph(const struct glyph *g, bool alone, char out[40])
{
	switch (g->kind) {
	case GLYPH_TEXT:
	case GLYPH_MARK:
		memcpy(out, g->bytes, (size_t)g->n_bytes);
		return (size_t)g->n_bytes;
	case GLYPH_NEWLINE:
		out[0] = '\n';
		return 1;
	case GLYPH_TAB:
		memcpy(out, "\xe2\x86\x92   ", 6); /* an arrow to the right */
		return 6;
	case GLYPH_HIDDEN:
		if (!alone)
			return 0;
		break;
	case GLYPH_CONTROL:
	case GLYPH_BROKEN:
		break;
	}
	return (size_t)snprintf(out, 40, "<%02X>", g->code);
}

static bool draws_nothing(const char *s, size_t n)
{
	struct glyph g;
	for (size_t at = 0; at < n;) {
		at += glyph_next(s + at, n - at, &g);
		if (g.kind != GLYPH_HIDDEN)
			return false;
	}
	return true;
}

size_t glyph_show(const char *s, size_t n, char *out, size_t out_bytes)
{
	size_t at = 0, length = 0;
	bool alone = draws_nothing(s, n);
	while (at < n) {
		struct glyph g;
		char shown[40];
		at += glyph_next(s + at, n - at, &g);
		size_t more = show_glyph(&g, alone, shown);
		if (length + more + 1 > out_bytes)
			break;
		memcpy(out + length, shown, more);
		length += more;
	}
	if (out_bytes)
		out[length] = '\0';
	return length;
}
