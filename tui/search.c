/* Searching the prompt's text: tui/spans.h. */
#include "tui/spans.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

/* Steps a match may take from one place of the text: ".*x" needs as many as the line is long, a pattern that goes back
 * and forth without end is stopped within a fraction of a second. */
enum { MATCH_LIMIT = 1000000 };

/* Small letters find capitals too; a capital in the pattern, not after a backslash, asks for itself. */
static bool has_capital(const char *pattern)
{
	bool escaped = false;
	utf8proc_int32_t code;
	utf8proc_ssize_t used;
	for (; *pattern && (used = utf8proc_iterate((const utf8proc_uint8_t *)pattern, -1, &code)) > 0; pattern += used) {
		if (!escaped && utf8proc_isupper(code))
			return true;
		escaped = !escaped && code == '\\';
	}
	return false;
}

static int compile(pcre2_code **out, const char *pattern, struct err *e)
{
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
		(has_capital(pattern) ? 0 : PCRE2_CASELESS);
	int code;
	size_t at;
	*out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);
	if (*out)
		return 0;
	PCRE2_UCHAR why[200];
	pcre2_get_error_message(code, why, sizeof why);
	return err_set(e, ERR_USE, "/%.100s: %s (at byte %zu)", pattern, (const char *)why, at);
}

/* Last token that begins at or before the byte. Tokens without bytes begin where the next one does, so the last is
 * the one that has it. */
static int token_at(const struct capture *c, size_t byte)
{
	int low = 0, high = c->n_prompt - 1;
	while (low < high) {
		int middle = low + (high - low + 1) / 2;
		if ((size_t)c->offset[middle] <= byte)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static int collect(struct spans *out, const struct capture *c, const pcre2_code *code, pcre2_match_data *match,
	pcre2_match_context *limits, const char *pattern, struct err *e)
{
	size_t n = (size_t)c->offset[c->n_prompt], at = 0;
	while (at < n) {
		int rc = pcre2_match(code, (PCRE2_SPTR)c->text, n, at, PCRE2_NOTEMPTY, match, limits);
		if (rc == PCRE2_ERROR_NOMATCH)
			break;
		if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT)
			return err_set(e, ERR_USE, "/%.100s: this pattern goes back and forth too often; a simpler one is needed",
				pattern);
		if (rc < 0)
			return err_set(e, ERR_MEMORY, "/%.100s: out of memory", pattern);
		const size_t *where = pcre2_get_ovector_pointer(match);
		if (where[1] > where[0] && !spans_add(out, token_at(c, where[0]), token_at(c, where[1] - 1) + 1))
			return err_set(e, ERR_MEMORY, "/%.100s: out of memory", pattern);
		at = where[1] > at ? where[1] : at + 1; /* \K may set a match's end before where it began */
	}
	return 0;
}

static int find_all(struct spans *out, const struct capture *c, const char *pattern, struct err *e)
{
	pcre2_code *code;
	int rc = compile(&code, pattern, e);
	if (rc)
		return rc;
	pcre2_match_data *match = pcre2_match_data_create_from_pattern(code, NULL);
	pcre2_match_context *limits = pcre2_match_context_create(NULL);
	if (match && limits) {
		pcre2_set_match_limit(limits, MATCH_LIMIT);
		rc = collect(out, c, code, match, limits, pattern, e);
	} else {
		rc = err_set(e, ERR_MEMORY, "/%.100s: out of memory", pattern);
	}
	pcre2_match_context_free(limits);
	pcre2_match_data_free(match);
	pcre2_code_free(code);
	return rc;
}

void search_clear(struct search *s)
{
	free(s->pattern);
	spans_clear(&s->match);
	*s = (struct search){0};
}

int search_set(struct search *s, const struct capture *c, const char *pattern, struct err *e)
{
	struct search found = {0};
	if (*pattern) {
		found.pattern = strdup(pattern);
		int rc = found.pattern ? find_all(&found.match, c, pattern, e)
		                       : (int)err_set(e, ERR_MEMORY, "/%.100s: out of memory", pattern);
		if (rc) {
			search_clear(&found);
			return rc;
		}
	}
	search_clear(s);
	*s = found;
	return 0;
}
