#include "analysis/regions/classes.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "engine/engine.h"
#include "engine/utf8.h"

static enum token_class class_of_character(uint32_t code)
{
	if (utf8_is_space(code))
		return CLASS_SPACE;
	switch (utf8proc_category((utf8proc_int32_t)code)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME: return CLASS_WORD;
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO: return CLASS_NUMBER;
	case UTF8PROC_CATEGORY_PC:
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
	case UTF8PROC_CATEGORY_SM:
	case UTF8PROC_CATEGORY_SC:
	case UTF8PROC_CATEGORY_SK:
	case UTF8PROC_CATEGORY_SO: return CLASS_PUNCTUATION;
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP: return CLASS_SPACE;
	default: return CLASS_OTHER;
	}
}

static bool is_control(const char *piece, size_t n, bool of_template)
{
	if (n >= 5 && !memcmp(piece, "<|", 2) && !memcmp(piece + n - 2, "|>", 2))
		return true;
	return of_template && n >= 3 &&
		((piece[0] == '<' && piece[n - 1] == '>') || (piece[0] == '[' && piece[n - 1] == ']'));
}

/* A character may be cut by the border of two tokens, so characters are found in the text as a whole. */
static void classes_of_bytes(const char *text, size_t n, uint8_t *out)
{
	for (size_t at = 0; at < n;) {
		uint32_t code;
		size_t length = utf8_decode(text + at, n - at, &code);
		memset(out + at, length ? (int)class_of_character(code) : CLASS_OTHER, length ? length : 1);
		at += length ? length : 1;
	}
}

bool classes_of_text(const struct capture *c, uint8_t *out)
{
	size_t n_text = (size_t)c->offset[c->n_prompt + c->n_response];
	uint8_t *byte = malloc(n_text + 1);
	if (!byte)
		return false;
	classes_of_bytes(c->text, n_text, byte);
	for (int j = 0; j < c->n_prompt; j++) {
		size_t n;
		const char *piece = capture_piece(c, j, &n);
		out[j] = CLASS_OTHER;
		for (int32_t at = c->offset[j]; at < c->offset[j + 1]; at++)
			out[j] = byte[at] < out[j] ? byte[at] : out[j];
		if (is_control(piece, n, c->part && c->part[j] == PART_TEMPLATE))
			out[j] = CLASS_CONTROL;
	}
	free(byte);
	return true;
}
