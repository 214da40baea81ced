#include "tui/spans.h"

#include <stdlib.h>
#include <string.h>

/* ---- sets ---- */

void spans_clear(struct spans *s)
{
	free(s->span);
	*s = (struct spans){0};
}

/* First span that ends behind the token. */
static int first_behind(const struct spans *s, int token)
{
	int low = 0, high = s->n;
	while (low < high) {
		int middle = low + (high - low) / 2;
		if (s->span[middle].end <= token)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool spans_add(struct spans *s, int begin, int end)
{
	if (s->n == s->room) {
		int room = 2 * s->room + 16;
		struct span *more = realloc(s->span, (size_t)room * sizeof *more);
		if (!more)
			return false;
		s->span = more;
		s->room = room;
	}
	int at = first_behind(s, begin), last = at;
	for (; last < s->n && s->span[last].begin < end; last++) {
		begin = s->span[last].begin < begin ? s->span[last].begin : begin;
		end = s->span[last].end > end ? s->span[last].end : end;
	}
	memmove(s->span + at + 1, s->span + last, (size_t)(s->n - last) * sizeof *s->span);
	s->span[at] = (struct span){begin, end};
	s->n += 1 - (last - at);
	return true;
}

bool spans_add_all(struct spans *s, const struct spans *other)
{
	for (int i = 0; i < other->n; i++)
		if (!spans_add(s, other->span[i].begin, other->span[i].end))
			return false;
	return true;
}

void spans_remove(struct spans *s, int at)
{
	memmove(s->span + at, s->span + at + 1, (size_t)(s->n - at - 1) * sizeof *s->span);
	s->n--;
}

int spans_find(const struct spans *s, int token)
{
	int at = first_behind(s, token);
	return at < s->n && s->span[at].begin <= token ? at : -1;
}

bool spans_hold_any(const struct spans *s, int begin, int end)
{
	int at = first_behind(s, begin);
	return at < s->n && s->span[at].begin < end;
}

int spans_next(const struct spans *s, int token, int by)
{
	int at = by > 0 ? 0 : s->n - 1;
	if (s->n == 0)
		return -1;
	while (at >= 0 && at < s->n && (by > 0 ? s->span[at].begin <= token : s->span[at].begin >= token))
		at += by > 0 ? 1 : -1;
	return s->span[(at + s->n) % s->n].begin;
}

int spans_count_tokens(const struct spans *s)
{
	int n = 0;
	for (int i = 0; i < s->n; i++)
		n += s->span[i].end - s->span[i].begin;
	return n;
}
