/* Added tokens: texts that are tokens wherever they stand, found before anything else looks at the text.
 *
 * Of all that begin at the leftmost place the longest is taken (as the reference's Aho-Corasick automaton does);
 * white space beside a token may belong to it. Tokens are found in the text as it is or in the normalised text, so
 * there are two sets.
 */
#ifndef KVGLASS_ENGINE_TOKEN_ADDED_H
#define KVGLASS_ENGINE_TOKEN_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

struct added_token {
	int32_t id;
	bool special;        /* a control token */
	bool lstrip, rstrip; /* takes the white space before or behind it along */
};

struct added_set {
	struct added_token *token;
	struct added_node *node; /* a trie over bytes, node 0 is its root */
	int n, n_node, capacity, node_capacity;
};
void added_free(struct added_set *s); /* safe on a zeroed struct */
/* n > 0 bytes. A second token of the same text replaces the first. */
int added_add(struct added_set *s, const char *text, size_t n, struct added_token token, struct err *e);

/* The token with exactly this text, NULL when there is none. */
const struct added_token *added_lookup(const struct added_set *s, const char *text, size_t n);

struct added_match {
	size_t start, end; /* with the white space it takes along */
	const struct added_token *token;
};
/* Decides whether a token's text at start .. end counts as the token; *resume, preset to end, is where the search
 * goes on if not. */
typedef bool added_allow(
	const void *user, const struct added_token *token, size_t start, size_t end, size_t *resume);
/* The next token at or after `from`; white space before it is taken only from `from` on. False when there is none.
 */
bool added_find(const struct added_set *s, const char *text, size_t n, size_t from, added_allow *allow,
	const void *user, struct added_match *out);

#endif
