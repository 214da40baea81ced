/* Byte-pair encoding (Sennrich et al., arXiv 1508.07909; on bytes: GPT-2): a word starts as its bytes' tokens, and
 * the adjacent pair whose merge was learned first is joined, leftmost first among equals, until no pair has a
 * merge.
 *
 * A heap of candidate pairs over a linked list keeps a word of n bytes at O(n log n): one "word" may be a whole
 * file.
 */
#ifndef KVGLASS_ENGINE_TOKEN_BPE_H
#define KVGLASS_ENGINE_TOKEN_BPE_H

#include "engine/token/vocab.h"

struct bpe {
	struct bpe_merge {
		uint64_t pair; /* left id << 32 | right id; UINT64_MAX is an empty slot */
		uint32_t rank; /* order in which it was learned */
		int32_t id;    /* what the two become */
	} * merge;         /* (n_slot) open addressing */
	size_t n_slot, n_merge;
	int32_t last_id;         /* what the merge added last becomes */
	int32_t byte_token[256]; /* -1: the vocabulary has no token for this byte */
	int32_t unknown;         /* stands for such a byte; -1: such bytes vanish, as in the reference */
	bool fuse_unknown;       /* a run of them becomes one token */
	bool whole_words; /* a word that is a token as a whole is that token, whatever the merges say (Llama 3) */
};

void bpe_free(struct bpe *b);                            /* safe on a zeroed struct */
int bpe_reserve(struct bpe *b, size_t n, struct err *e); /* room for n merges, so that adding them need not grow */
struct bpe_merge_text { /* two tokens as files spell them, in the byte alphabet */
	const char *left, *right;
	size_t n_left, n_right; /* bytes */
	uint32_t rank;
};
/* Later merges replace earlier ones of the same pair. All three tokens must be in v; ERR_FORMAT otherwise. Texts outside the alphabet
 * can never meet in a word and are passed over. */
int bpe_add_merge(struct bpe *b, const struct vocab *v, const struct bpe_merge_text *m, struct err *e);
/* The same from one line, "left right". */
int bpe_add_merge_line(struct bpe *b, const struct vocab *v, const char *line, size_t n, uint32_t rank, struct err *e);
void bpe_find_bytes(struct bpe *b, const struct vocab *v); /* fills byte_token; call once, after the vocabulary is complete */

struct bpe_symbol {
	int32_t id;
	int32_t at; /* offset of its first byte in the word */
};
struct bpe_scratch {           /* of one thread; grows and is used again */
	struct bpe_symbol *symbol; /* the result: n of them */
	int n;
	struct bpe_node *node;
	struct bpe_candidate *heap;
	size_t capacity, n_heap, heap_capacity;
	size_t n_vanished; /* bytes without a token so far, counted over all words */
};
void bpe_scratch_free(struct bpe_scratch *s);
/* Tokens of one word of 1 .. INT32_MAX bytes. */
int bpe_encode(
	const struct bpe *b, const struct vocab *v, const char *word, size_t n, struct bpe_scratch *s, struct err *e);

#endif
