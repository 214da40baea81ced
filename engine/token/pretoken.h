/* Pre-tokenisers: a text falls into the words that byte-pair encoding never joins across.
 *
 * A chain of steps as in a tokenizer.json: every step splits each piece of the one before on its own, so
 * look-ahead at a piece's end sees nothing behind it. ByteLevel's change of alphabet is not a step here: words
 * stay bytes.
 */
#ifndef KVGLASS_ENGINE_TOKEN_PRETOKEN_H
#define KVGLASS_ENGINE_TOKEN_PRETOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/err.h"
#include "engine/token/regex.h"

#define PRETOKEN_STEPS 16

enum split_behavior { /* what becomes of the matches */
	SPLIT_REMOVED,
	SPLIT_ISOLATED,
	SPLIT_MERGED_WITH_PREVIOUS,
	SPLIT_MERGED_WITH_NEXT,
	SPLIT_CONTIGUOUS, /* neighbouring matches are one piece */
};

struct pretokenizer {
	bool is_complete; /* ByteLevel was seen: nothing can follow it */
	int n;
	struct pretoken_step {
		pcre2_code *code; /* NULL: put a space before pieces that do not begin with one */
		enum split_behavior behavior;
		bool invert; /* what lies between the matches counts as the match */
	} step[PRETOKEN_STEPS];
};

extern const char
	pretoken_gpt2[]; /* contractions, " word", " 123", " ...", white space but for the last character of a run */
extern const char
	pretoken_llama3[]; /* numbers in threes, one character of punctuation may lead a word, newlines end a run */
extern const char pretoken_qwen2[];  /* the same with single digits */
extern const char pretoken_digits[]; /* one number character */

int pretoken_add_split(struct pretokenizer *p, const char *pattern, size_t n, enum split_behavior behavior,
	bool invert, struct err *e);
int pretoken_add_prefix_space(struct pretokenizer *p, struct err *e);
void pretoken_free(struct pretokenizer *p); /* safe on a zeroed struct */

/* at: offset of the word's first byte in the text, -1 when a space was put before it. Not 0 ends the run with that
 * value. */
typedef int pretoken_word(void *user, const char *word, size_t n, ptrdiff_t at, struct err *e);
/* text: n bytes of valid UTF-8. Calls word for every word in order; words are never empty. */
int pretoken_run(
	const struct pretokenizer *p, const char *text, size_t n, pretoken_word *word, void *user, struct err *e);

#endif
