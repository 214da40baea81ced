#include "engine/token/normal.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/utf8.h"

/* Combining marks that came with Unicode 10 and later. The reference normalises with the tables of Unicode 9 and
 * leaves them where they stand; by the younger tables of utf8proc they would change places with their neighbours.
 */
/* clang-format off */
static const struct {
	uint32_t first, last;
} unmoved[] = {
	{0x7fd, 0x7fd}, {0x898, 0x89f}, {0x8ca, 0x8d3}, {0x9fe, 0x9fe}, {0xc3c, 0xc3c}, {0xd3b, 0xd3c},
	{0xeba, 0xeba}, {0x1715, 0x1715}, {0x1abf, 0x1ace}, {0x1df6, 0x1dfa}, {0xa82c, 0xa82c}, {0x10d24, 0x10d27},
	{0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85}, {0x11070, 0x11070},
	{0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a}, {0x1193d, 0x1193e}, {0x11943, 0x11943},
	{0x119e0, 0x119e0}, {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42},
	{0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f},
	{0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef},
};
/* clang-format on */

static bool is_unmoved(uint32_t code)
{
	size_t low = 0, high = sizeof unmoved / sizeof *unmoved;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (code > unmoved[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < sizeof unmoved / sizeof *unmoved && code >= unmoved[low].first;
}

/* Offset of the first mark at or after `from` that stays where it is, n when there is none. */
static size_t find_unmoved(const char *text, size_t n, size_t from)
{
	for (size_t length; from < n; from += length)
		if (is_unmoved(utf8_next(text + from, &length)))
			break;
	return from;
}

struct growing {
	char *text;
	size_t n, capacity;
};

static int append(struct growing *g, const char *text, size_t n, struct err *e)
{
	if (g->n + n > g->capacity) {
		size_t capacity = 2 * (g->n + n);
		char *grown = realloc(g->text, capacity);
		if (!grown)
			return err_set(e, ERR_MEMORY, "normalisation: no memory for %zu bytes", capacity);
		g->text = grown;
		g->capacity = capacity;
	}
	memcpy(g->text + g->n, text, n);
	g->n += n;
	return 0;
}

static int append_composed(struct growing *g, const char *text, size_t n, struct err *e)
{
	utf8proc_uint8_t *composed = NULL;
	utf8proc_ssize_t length = utf8proc_map(
		(const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (length < 0)
		return err_set(e, ERR_MEMORY, "normalisation of %zu bytes: %s", n, utf8proc_errmsg(length));
	int rc = append(g, (char *)composed, (size_t)length, e);
	free(composed);
	return rc;
}

/* No character below U+0300 changes or combines, and those have lead bytes below 0xcc. */
static bool is_plain(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] >= 0xcc)
			return false;
	return true;
}

int normal_nfc(const char *text, size_t n, char **out, size_t *n_out, struct err *e)
{
	*out = NULL;
	*n_out = n;
	if (is_plain(text, n))
		return 0;
	struct growing g = {0};
	int rc = 0;
	for (size_t at = 0, stop; at < n && !rc; at = stop) {
		stop = find_unmoved(text, n, at);
		if (stop > at) {
			rc = append_composed(&g, text + at, stop - at, e);
		} else {
			size_t length;
			utf8_next(text + at, &length);
			stop = at + length;
			rc = append(&g, text + at, length, e);
		}
	}
	if (rc) {
		free(g.text);
		return rc;
	}
	*out = g.text;
	*n_out = g.n;
	return 0;
}
