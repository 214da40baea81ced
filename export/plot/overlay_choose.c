/* Which lines to show when not all of them fit: whole regions, best first.
 *
 * Lines are taken greedily by worth; a line brings its neighbours along (context), an ellipsis costs a line,
 * and regions that nearly touch grow together. What room is left widens the regions.
 */
#include <stdlib.h>
#include <string.h>

#include "export/plot/overlay.h"

#define MAX_MISSES 32 /* windows in a row that did not fit: the figure is full */

/* Lines that a selection takes up, ellipses counted. */
static int cost(const uint8_t *shown, int n_line)
{
	int lines = 0;
	bool gap = false;
	for (int i = 0; i < n_line; i++) {
		lines += shown[i] ? 1 : !gap;
		gap = !shown[i];
	}
	return lines;
}

/* An ellipsis that stands for fewer than three lines says less than they do. */
static void close_gaps(uint8_t *shown, int n_line)
{
	for (int i = 0; i < n_line;) {
		int end = i;
		while (end < n_line && !shown[end])
			end++;
		if (end > i && end - i < 3)
			memset(shown + i, 1, (size_t)(end - i));
		i = end > i ? end : i + 1;
	}
}

/* Shows lines first .. last-1 too, if there is room. */
static bool try_show(const struct overlay_choice *c, uint8_t *shown, uint8_t *trial, int first, int last)
{
	memcpy(trial, shown, (size_t)c->n_line);
	for (int i = first < 0 ? 0 : first; i < last && i < c->n_line; i++)
		trial[i] = 1;
	close_gaps(trial, c->n_line);
	if (cost(trial, c->n_line) > c->most)
		return false;
	memcpy(shown, trial, (size_t)c->n_line);
	return true;
}

/* First line of the window of `size` lines whose hidden lines are worth most; -1 when there is none. */
static int best_window(const struct overlay_choice *c, const uint8_t *shown, const uint8_t *refused, int size)
{
	int best = -1;
	double most = -1, sum = 0;
	for (int i = 0; i < c->n_line; i++) {
		sum += shown[i] ? 0 : c->worth[i];
		if (i >= size)
			sum -= shown[i - size] ? 0 : c->worth[i - size];
		int first = i - size + 1;
		if (first >= 0 && !refused[first] && sum > most * (1 + 1e-9) + 1e-12) {
			most = sum;
			best = first;
		}
	}
	return best;
}

static void grow(const struct overlay_choice *c, uint8_t *shown, uint8_t *trial)
{
	for (bool grown = true; grown;) {
		grown = false;
		for (int i = 0; i < c->n_line; i++) {
			bool edge = !shown[i] && ((i > 0 && shown[i - 1]) || (i + 1 < c->n_line && shown[i + 1]));
			if (edge && try_show(c, shown, trial, i, i + 1)) {
				grown = true;
				i++; /* not the next one at once: every region gets its turn */
			}
		}
	}
}

static int collect(const uint8_t *shown, int n_line, struct overlay_region *region)
{
	int n = 0;
	for (int i = 0; i < n_line; i++) {
		if (!shown[i])
			continue;
		if (i == 0 || !shown[i - 1])
			region[n++] = (struct overlay_region){.first = i};
		region[n - 1].last = i + 1;
	}
	return n;
}

int overlay_choose(const struct overlay_choice *c, struct overlay_region *region)
{
	if (c->n_line <= c->most) {
		region[0] = (struct overlay_region){.first = 0, .last = c->n_line};
		return c->n_line > 0;
	}
	uint8_t *state = calloc((size_t)c->n_line, 3);
	if (!state)
		return -1;
	uint8_t *shown = state, *trial = state + c->n_line, *refused = trial + c->n_line;
	int size = c->context < c->most - 2 ? c->context : c->most - 2;
	size = size < 1 ? 1 : size;
	for (int at, missed = 0; missed < MAX_MISSES && (at = best_window(c, shown, refused, size)) >= 0;) {
		refused[at] = 1;
		missed = try_show(c, shown, trial, at, at + size) ? 0 : missed + 1;
	}
	grow(c, shown, trial);
	int n = collect(shown, c->n_line, region);
	free(state);
	return n;
}
