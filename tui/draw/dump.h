/* Dump: a grid as text, glyph and colour of every cell, for regression tests and screenshots.
 *
 *     kvglass screen 24 x 80, 24bit, utf8, dark
 *     00 |glyphs of the row, blanks at the end kept|
 *        12:- 1:#fde725/#440154 3:p15/-+bold 64:-
 *
 * Under each row its styles as runs: columns, colon, foreground/background (#rrggbb, pN of the palette, - the
 * terminal's own; one "-" alone when both are), attributes. The cursor of a field, if any, stands in a last line.
 */
#ifndef KVGLASS_TUI_DUMP_H
#define KVGLASS_TUI_DUMP_H

#include "tui/draw/grid.h"
#include "tui/draw/theme.h"

int dump_write(const char *path, const struct grid *g, const struct theme *t, struct err *e);

#endif
