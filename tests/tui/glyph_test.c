#include "tui/draw/glyph.h"
#include "tests/support/test.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

#include <utf8proc.h>

static const char *show(const char *s, size_t n)
{
	static char out[256];
	glyph_show(s, n, out, sizeof out);
	return out;
}

TEST(glyph, halves_of_characters_and_controls_become_marks)
{
	CHECK_STR(show("\xe4\xbd\xa0", 3), "\xe4\xbd\xa0");
	CHECK_STR(show("\xe4", 1), "<E4>");
	CHECK_STR(show("\xbd\xa0", 2), "<BD><A0>");
	CHECK_STR(show("a\xe4\xbd", 3), "a<E4><BD>");
	CHECK_STR(show("\x1b[2J", 4), "<1B>[2J");
	CHECK_STR(show("\r\n", 2), "<0D>\n");
	CHECK_STR(show("\0x", 2), "<00>x");
	CHECK_STR(show("\t", 1), "\xe2\x86\x92   ");
	CHECK_STR(show("\xef\xbf\xbd", 3), "\xef\xbf\xbd"); /* U+FFFD in the text is text */
	CHECK_STR(show("\xc0\x80", 2), "<C0><80>");        /* overlong */
	CHECK_STR(show("\xed\xa0\x80", 3), "<ED><A0><80>"); /* a surrogate */
}

TEST(glyph, what_draws_nothing_is_left_out_but_a_piece_of_nothing_else_is_marked)
{
	CHECK_STR(show("\xe2\x80\x8d", 3), "<200D>");
	CHECK_STR(show("a\xe2\x80\x8d" "b", 5), "ab");
	CHECK_STR(show("\xe2\x9d\xa4\xef\xb8\x8f", 6), "\xe2\x9d\xa4"); /* heart with a variation selector */
	CHECK_STR(show("\xef\xb8\x8f", 3), "<FE0F>");
}

TEST(glyph, combining_marks_stay_with_their_base)
{
	struct glyph g;
	const char *s = "e\xcc\x81\xcc\xa3x";
	CHECK_INT(glyph_next(s, strlen(s), &g), 5);
	CHECK_INT(g.kind, GLYPH_TEXT);
	CHECK_INT(g.width, 1);
	CHECK_INT(glyph_next("\xcc\x81", 2, &g), 2);
	CHECK_INT(g.kind, GLYPH_MARK);
	CHECK_INT(glyph_width(s, strlen(s)), 2);
	CHECK_INT(glyph_width("\xcc\x81", 2), 1); /* alone it stands on a circle */
	char many[64] = "e";
	for (int i = 0; i < 20; i++)
		strcat(many, "\xcc\x81");
	CHECK_INT(glyph_next(many, strlen(many), &g), 1 + 2 * GLYPH_MAX_MARKS);
}

TEST(glyph, wide_characters_take_two_columns)
{
	CHECK_INT(glyph_width("\xe4\xbd\xa0\xe5\xa5\xbd", 6), 4);
	CHECK_INT(glyph_width("\xf0\x9f\x98\x80", 4), 2);
	CHECK_INT(glyph_fit("\xe4\xbd\xa0\xe5\xa5\xbd", 6, 3), 3);
	CHECK_INT(glyph_fit("\xe4\xbd\xa0\xe5\xa5\xbd", 6, 4), 6);
	CHECK_INT(glyph_fit("abc", 3, 0), 0);
}

/* two libraries, two versions of Unicode; term.c draws such characters as '?' of the right width */
enum { MAY_DIFFER = 8 };

/* Curses counts columns with wcwidth(): wherever the C library knows a character, both must say the same. */
TEST(glyph, widths_are_those_of_the_c_library)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8")) {
		test_skip("no C.UTF-8 locale");
		return;
	}
	int compared = 0, different = 0;
	for (int code = 0x20; code < 0x30000; code++) {
		unsigned char bytes[4];
		if (code >= 0xd800 && code < 0xe000)
			continue;
		size_t n = (size_t)utf8proc_encode_char(code, bytes);
		struct glyph g;
		glyph_next((const char *)bytes, n, &g);
		int width = wcwidth((wchar_t)code);
		if (width < 0 || (g.kind != GLYPH_TEXT && g.kind != GLYPH_MARK))
			continue;
		compared++;
		if (g.width != width && ++different > MAY_DIFFER)
			test_fail(__FILE__, __LINE__, "U+%04X: %d columns, the C library says %d", code, g.width, width);
	}
	CHECK(compared > 100000);
	setlocale(LC_CTYPE, "C");
}

TEST(glyph, shown_text_never_outgrows_its_promise)
{
	char out[GLYPH_SHOW_GROWTH * 4 + 1];
	for (int a = 0; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			char s[4] = {(char)a, (char)b, (char)0xad, '\t'};
			size_t whole = glyph_show(s, 4, out, sizeof out);
			CHECK(whole <= GLYPH_SHOW_GROWTH * 4);
			struct glyph g;
			for (size_t at = 0; at < whole;) {
				at += glyph_next(out + at, whole - at, &g);
				CHECK(g.kind == GLYPH_TEXT || g.kind == GLYPH_MARK || g.kind == GLYPH_NEWLINE);
			}
		}
	}
}
