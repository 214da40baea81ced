/* Pieces: tokens as text that can be set in type, with the way back from type to tokens.
 *
 * The bytes of consecutive tokens are joined, so a character that several tokens share is shown whole, and each
 * of these tokens owns its slice of the character's width. Bytes that make no character are shown as their hex
 * number, small and in a box; so are control and direction characters. A line break is shown as a pale arrow
 * before it breaks. Nothing is dropped.
 */
#ifndef KVGLASS_EXPORT_DRAW_PIECES_H
#define KVGLASS_EXPORT_DRAW_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/capture.h"
#include "export/draw/text.h"

#define PIECES_PALE 0x8a8a8au
#define PIECES_HEX_SCALE 0.72

/* A token's share of the text: from `first_part` of the character at `first` to `last_part` of the character
 * that ends at `last`. */
struct piece_place {
	size_t first, last;
	float first_part, last_part; /* 0 and 1 unless the token begins or ends inside a character */
	bool blank;                  /* nothing but white space */
};

struct pieces {
	char *utf8;
	size_t n_bytes;
	int n; /* tokens */
	struct piece_place *place;
	struct text_span *span; /* pale arrows and hex numbers, for text_request */
	int n_span;
	uint8_t *boxed; /* (n_span) 1: a hex number that wants a box */
};

/* Tokens first .. last-1 of the capture (prompt then response). */
int pieces_make(struct pieces *out, const struct capture *c, int first, int last, struct err *e);
void pieces_free(struct pieces *p); /* safe on a zeroed struct */

/* Where token i stands in a line of the shaped text: ranges in x. A token without width (a combining mark) has
 * a range all the same. Returns how many, at most n_max; 0 when the token is not in this line. */
int pieces_ranges(const struct pieces *p, int i, const struct text_block *b, int line, struct text_range *out,
	int n_max);

/* One token as a label of one line: blanks visible, hex numbers in brackets, at most max_characters and an
 * ellipsis. Owned by the caller; NULL: out of memory. */
char *pieces_label(const struct capture *c, int token, int max_characters);

#endif
