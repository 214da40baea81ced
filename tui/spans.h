/* Spans: stretches of the prompt, marked by hand or found by a search. Pure state over a capture; no drawing.
 *
 * The look (tui/look.h) holds two sets that every view shares: what is marked, and where the text searched for
 * stands. A set is sorted by its begins and no two spans of it share a token.
 */
#ifndef KVGLASS_TUI_SPANS_H
#define KVGLASS_TUI_SPANS_H

#include <stdbool.h>

#include "analysis/capture.h"

struct span { /* tokens begin .. end - 1, end > begin */
	int begin, end;
};
struct spans { /* zeroed: none */
	struct span *span;
	int n, room;
};

void spans_clear(struct spans *s); /* none left; the memory goes too */
/* Those that share a token with it become one with it; neighbours stay apart. False when memory is short: as
 * before. */
bool spans_add(struct spans *s, int begin, int end);
bool spans_add_all(struct spans *s, const struct spans *other);
void spans_remove(struct spans *s, int at); /* by index */
int spans_find(const struct spans *s, int token); /* index of the span that holds the token, -1 */
bool spans_hold_any(const struct spans *s, int begin, int end); /* a token of begin .. end - 1 is in one */
/* Begin of the first span behind the token, or (by < 0) of the last that begins before it, around the ends of the
 * prompt; -1 when there is none at all. */
int spans_next(const struct spans *s, int token, int by);
int spans_count_tokens(const struct spans *s);

/* What was searched for. Regular expressions are those of Perl (PCRE2) over the prompt's text, UTF-8, ^ and $ at
 * lines; small letters find capitals too unless the pattern has capitals itself. Bytes that are no UTF-8 match
 * nothing. A match takes all tokens that it touches. */
struct search { /* zeroed: nothing */
	char *pattern; /* as typed; NULL: nothing is searched for */
	struct spans match;
};
/* An empty pattern ends the search. ERR_USE says what is wrong with the pattern, where, in one line; the search is
 * then as before. Finding nothing is no error: there is a pattern and no match. */
int search_set(struct search *s, const struct capture *c, const char *pattern, struct err *e);
void search_clear(struct search *s);

#endif
