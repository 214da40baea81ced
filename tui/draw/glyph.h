/* Text as a terminal sees it: bytes that should be UTF-8, cut into glyphs with a width in columns.
 *
 * A glyph is one base character with the marks that combine with it. Widths are those of the C library's wcwidth()
 * for every assigned character (a test compares them), because curses counts columns that way, but they do not
 * depend on the locale. Pieces of a tokenizer are no text yet: they hold control characters, halves of characters
 * and characters that draw nothing. glyph_show() turns such bytes into text that can be drawn and in which nothing
 * is lost: a byte that is half of a character becomes <E4>, a control character <1B>, a piece of nothing but a
 * zero-width joiner <200D>.
 */
#ifndef KVGLASS_TUI_GLYPH_H
#define KVGLASS_TUI_GLYPH_H

#include <stddef.h>
#include <stdint.h>

enum glyph_kind {
	GLYPH_TEXT,    /* can be drawn: width 1 or 2 */
	GLYPH_MARK,    /* a combining mark without a base, width 0: drawn on U+25CC */
	GLYPH_NEWLINE,
	GLYPH_TAB,
	GLYPH_CONTROL, /* other control, private or unassigned code */
	GLYPH_HIDDEN,  /* a format character or variation selector: terminals disagree about its width */
	GLYPH_BROKEN,  /* one byte that is not part of a whole character */
};

enum { GLYPH_MAX_MARKS = 4 }; /* what a curses cell holds beside its base */

struct glyph {
	enum glyph_kind kind;
	const char *bytes;
	int n_bytes;
	int width;
	uint32_t code; /* of the base; the byte when GLYPH_BROKEN */
};

/* The first glyph of s (n > 0 bytes). Returns the bytes consumed, at least 1. */
size_t glyph_next(const char *s, size_t n, struct glyph *out);

/* Columns that s takes when drawn; what cannot be drawn counts 1, hidden ones 0. */
int glyph_width(const char *s, size_t n);

/* Bytes of s that fit into columns. */
size_t glyph_fit(const char *s, size_t n, int columns);

/* Drawable form of a token's bytes into out (NUL-terminated, cut at a glyph's border when it is too small). New
 * lines stay '\n', each view draws them its own way; a tab becomes an arrow and three blanks. Returns the bytes
 * written. */
size_t glyph_show(const char *s, size_t n, char *out, size_t out_bytes);
enum { GLYPH_SHOW_GROWTH = 6 }; /* out never needs more than this many times n bytes, plus 1 */

#endif
