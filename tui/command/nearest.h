/* "Did you mean": the known word nearest to what was typed. */
#ifndef KVGLASS_TUI_COMMAND_NEAREST_H
#define KVGLASS_TUI_COMMAND_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *typed;
	size_t n_bytes;   /* of typed, which need not end there */
	const char *best; /* NULL until a word was near enough */
	int distance;
};

struct nearest nearest_begin(const char *typed, size_t n_bytes);
/* Edits are insertions, deletions, exchanges and swaps of neighbours; more than a third of the longer word is not near. */
void nearest_offer(struct nearest *n, const char *word);
/* "; did you mean X?" with the given text before X, or "". out is always terminated. */
void nearest_hint(const struct nearest *n, const char *before, char *out, size_t size);

#endif
