/* The vocabulary: what bytes each id stands for, and which id stands for given bytes.
 *
 * Files spell ordinary tokens in GPT-2's byte alphabet: the 188 printable Latin-1 characters stand for their own
 * byte and U+0100..U+0143 for the 68 bytes that are not printable ("Ġ" is a space). Pieces are kept as the raw
 * bytes.
 */
#ifndef KVGLASS_ENGINE_TOKEN_VOCAB_H
#define KVGLASS_ENGINE_TOKEN_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

#define VOCAB_LIMIT (1 << 22) /* ids; the largest vocabularies in use have a quarter of a million */

enum token_flag {
	TOKEN_DEFINED = 1,
	TOKEN_SPECIAL = 2, /* a control token: text of this form in plain text is not it */
	TOKEN_END = 4,     /* ends a response */
};

struct vocab_piece {
	uint32_t at, n; /* into struct vocab's bytes */
};

struct vocab {
	int n;                     /* highest id + 1 */
	struct vocab_piece *piece; /* (n) */
	uint8_t *flag;             /* (n) enum token_flag */
	char *bytes;
	int capacity;
	size_t n_bytes, bytes_capacity;
	struct vocab_slot { /* what a lookup needs lies in one place: a file's merges are three lookups each */
		struct vocab_piece piece;
		uint32_t hash;
		int32_t id; /* -1: empty */
	} * slot;       /* (n_slot) open addressing over the pieces that can be looked up */
	uint32_t n_slot, n_hashed;
};

void vocab_free(struct vocab *v); /* safe on a zeroed struct */

enum vocab_spelling {
	SPELLED_IN_ALPHABET, /* GPT-2's byte alphabet; a text outside it stands for itself and cannot be looked up */
	SPELLED_AS_IS, /* added tokens: the text itself; looked up only where no ordinary token stands for the same
					  bytes */
};
/* Gives id its text (valid UTF-8). A second definition replaces the first, flags are kept. */
int vocab_define(
	struct vocab *v, int64_t id, const char *text, size_t n, enum vocab_spelling spelling, struct err *e);

/* Id of the token that stands for exactly these bytes, -1 when none does. */
int32_t vocab_find(const struct vocab *v, const char *bytes, size_t n);
const char *vocab_bytes(const struct vocab *v, int32_t id, size_t *n); /* n is 0 for an id that is not defined */

static inline bool vocab_has(const struct vocab *v, int64_t id)
{
	return id >= 0 && id < v->n && (v->flag[id] & TOKEN_DEFINED);
}

/* Turns a text in the byte alphabet into bytes: at most n of them, so out may be text itself.
 * False when a character is not in the alphabet. */
bool vocab_unspell(const char *text, size_t n, char *out, size_t *n_out);

#endif
