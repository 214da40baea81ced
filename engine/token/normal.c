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
	if (n == 0)
		return 0;
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

static int combining_class(int32_t code)
{
	return code < 0x300 ? 0 : utf8proc_get_property(code)->combining_class;
}

/* Canonical decomposition, characters one after the other; code has room. Returns how many there are. */
static size_t decompose(const char *text, size_t n, int32_t *code, size_t room)
{
	size_t m = 0;
	for (size_t at = 0, length; at < n; at += length) {
		int boundary = 0;
		int32_t from = (int32_t)utf8_next(text + at, &length);
		utf8proc_ssize_t put = utf8proc_decompose_char(
			from, code + m, (utf8proc_ssize_t)(room - m), UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
		m += put > 0 ? (size_t)put : 0;
	}
	return m;
}

/* Sorts a run of combining marks by class, stable and in linear time: a run may be the whole text. */
static void order_run(int32_t *code, size_t n, int32_t *spare)
{
	size_t start[257] = {0};
	for (size_t i = 0; i < n; i++)
		start[combining_class(code[i]) + 1]++;
	for (int class = 1; class < 257; class ++)
		start[class] += start[class - 1];
	for (size_t i = 0; i < n; i++)
		spare[start[combining_class(code[i])]++] = code[i];
	memcpy(code, spare, n * sizeof *code);
}

static void order_marks(int32_t *code, size_t n, int32_t *spare)
{
	for (size_t at = 0, end; at < n; at = end) {
		bool ordered = true;
		int last = combining_class(code[at]), class;
		for (end = at + 1; last && end < n && (class = combining_class(code[end])); end++, last = class)
			ordered &= class >= last;
		if (!ordered)
			order_run(code + at, end - at, spare);
	}
}

static int append_composed(struct growing *g, const char *text, size_t n, struct err *e)
{
	size_t room = 2 * n + 4; /* no character becomes more than two for each of its bytes */
	int32_t *code = malloc(room * sizeof *code), *spare = malloc(room * sizeof *spare);
	int rc = code && spare ? 0 : (int)err_set(e, ERR_MEMORY, "normalisation: no memory for %zu characters", room);
	utf8proc_ssize_t m = 0;
	if (!rc) {
		size_t n_code = decompose(text, n, code, room);
		order_marks(code, n_code, spare);
		m = utf8proc_normalize_utf32(code, (utf8proc_ssize_t)n_code, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
	}
	for (utf8proc_ssize_t i = 0; i < m && !rc; i++) {
		char character[4];
		rc = append(g, character, utf8_encode((uint32_t)code[i], character), e);
	}
	free(code);
	free(spare);
	return rc;
}

/* Where the next stretch that may change begins, n when there is none: no character below U+0300 does by itself or
 * joins the one before it, but the one before a character from U+0300 on may be joined by it. */
static size_t plain_end(const char *text, size_t n, size_t at)
{
	size_t i = at;
	while (i < n && (unsigned char)text[i] < 0xcc)
		i++;
	return i == n || i == at ? i : utf8_previous(text, i);
}

/* ... and where it ends: before the next character that joins nothing before it. */
static size_t stretch_end(const char *text, size_t n, size_t at)
{
	size_t length;
	do {
		utf8_next(text + at, &length);
		at += length;
	} while (at < n && (unsigned char)text[at] >= 0xcc);
	return at;
}

static int append_normal(struct growing *g, const char *text, size_t n, struct err *e)
{
	int rc = 0;
	for (size_t at = 0, stop; at < n && !rc; at = stop) {
		stop = find_unmoved(text, n, at);
		if (stop > at) {
			rc = append_composed(g, text + at, stop - at, e);
		} else {
			size_t length;
			utf8_next(text + at, &length);
			stop = at + length;
			rc = append(g, text + at, length, e);
		}
	}
	return rc;
}

int normal_nfc(const char *text, size_t n, char **out, size_t *n_out, struct err *e)
{
	*out = NULL;
	*n_out = n;
	size_t plain = plain_end(text, n, 0);
	if (plain == n)
		return 0;
	struct growing g = {0};
	int rc = append(&g, text, plain, e);
	for (size_t at = plain, stop; at < n && !rc; at = plain) {
		stop = stretch_end(text, n, at);
		rc = append_normal(&g, text + at, stop - at, e);
		plain = plain_end(text, n, stop);
		if (!rc)
			rc = append(&g, text + stop, plain - stop, e);
	}
	if (rc) {
		free(g.text);
		return rc;
	}
	*out = g.text;
	*n_out = g.n;
	return 0;
}
