#include "tui/command/nearest.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 40 }; /* no option, command or method has a longer name; longer words have no near one */

struct nearest nearest_begin(const char *typed, size_t n_bytes)
{
	return (struct nearest){.typed = typed, .n_bytes = n_bytes};
}

static int least(int a, int b, int c)
{
	int m = a < b ? a : b;
	return m < c ? m : c;
}

/* Damerau-Levenshtein distance in its restricted form (no substring is edited twice), row by row. */
static int edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	int row[3][LONGEST + 1];
	for (size_t j = 0; j <= n_b; j++)
		row[0][j] = (int)j;
	for (size_t i = 1; i <= n_a; i++) {
		int *now = row[i % 3], *above = row[(i + 2) % 3], *second = row[(i + 1) % 3];
		now[0] = (int)i;
		for (size_t j = 1; j <= n_b; j++) {
			now[j] = least(above[j] + 1, now[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && second[j - 2] + 1 < now[j])
				now[j] = second[j - 2] + 1;
		}
	}
	return row[n_a % 3][n_b];
}

void nearest_offer(struct nearest *n, const char *word)
{
	size_t length = strlen(word);
	if (length > LONGEST || n->n_bytes > LONGEST || n->n_bytes == 0)
		return;
	int limit = (int)((length > n->n_bytes ? length : n->n_bytes) + 2) / 3;
	int distance = edit_distance(n->typed, n->n_bytes, word, length);
	if (distance <= limit && (!n->best || distance < n->distance)) {
		n->best = word;
		n->distance = distance;
	}
}

void nearest_hint(const struct nearest *n, const char *before, char *out, size_t size)
{
	if (n->best)
		snprintf(out, size, "; did you mean %s%s?", before, n->best);
	else if (size)
		out[0] = '\0';
}
