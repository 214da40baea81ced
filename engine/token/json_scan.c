#include "engine/token/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/utf8.h"

enum { DEPTH_LIMIT = 64 };

void scan_open(struct json_scan *s, const char *text, size_t n, struct err *e)
{
	*s = (struct json_scan){.text = text, .at = text, .end = text + n, .e = e};
}

void scan_free(struct json_scan *s)
{
	free(s->buffer);
	s->buffer = NULL;
	s->capacity = 0;
}

static int expected(const struct json_scan *s, const char *what)
{
	if (s->at >= s->end)
		return err_set(s->e, ERR_FORMAT, "ends at byte %td where %s is expected", s->end - s->text, what);
	char shown[8];
	snprintf(shown, sizeof shown, *s->at > 0x20 && *s->at < 0x7f ? "'%c'" : "0x%02x", (unsigned char)*s->at);
	return err_set(s->e, ERR_FORMAT, "byte %td is %s where %s is expected", s->at - s->text, shown, what);
}

char scan_peek(struct json_scan *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
		s->at++;
	return s->at < s->end ? *s->at : '\0';
}

static int take(struct json_scan *s, char c, const char *what)
{
	if (scan_peek(s) != c || s->at == s->end)
		return expected(s, what);
	s->at++;
	return 0;
}

int scan_enter(struct json_scan *s, char bracket)
{
	return take(s, bracket, bracket == '{' ? "an object" : "an array");
}

static int next(struct json_scan *s, bool *first, bool *more, char bracket)
{
	*more = scan_peek(s) != bracket;
	if (!*more) {
		s->at++;
		return 0;
	}
	int rc = *first ? 0 : take(s, ',', "',' or the closing bracket");
	*first = false;
	return rc;
}

int scan_element(struct json_scan *s, bool *first, bool *more)
{
	return next(s, first, more, ']');
}

int scan_member(struct json_scan *s, bool *first, bool *more, struct json_slice *name)
{
	int rc = next(s, first, more, '}');
	if (rc || !*more)
		return rc;
	rc = scan_string(s, name);
	return rc ? rc : take(s, ':', "':'");
}

static int hex4(struct json_scan *s, const char *at, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++) {
		char c = s->end - at > i ? at[i] : '\0';
		int digit = c >= '0' && c <= '9' ? c - '0'
			: c >= 'a' && c <= 'f'       ? c - 'a' + 10
			: c >= 'A' && c <= 'F'       ? c - 'A' + 10
										 : -1;
		if (digit < 0)
			return err_set(s->e, ERR_FORMAT, "byte %td: \\u without four hex digits", at - s->text);
		*out = *out << 4 | (uint32_t)digit;
	}
	return 0;
}

/* One escape sequence at s->at, which is its backslash. */
static int unescape(struct json_scan *s, char **out)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	char c = s->end - s->at > 1 ? s->at[1] : '\0';
	const char *letter = c ? strchr(letters, c) : NULL;
	if (letter) {
		*(*out)++ = meanings[letter - letters];
		s->at += 2;
		return 0;
	}
	if (c != 'u')
		return err_set(s->e, ERR_FORMAT, "byte %td: unknown escape sequence", s->at - s->text);
	uint32_t code, low;
	int rc = hex4(s, s->at + 2, &code);
	if (rc)
		return rc;
	const char *start = s->at;
	s->at += 6;
	if (code >= 0xd800 && code < 0xdc00 && s->end - s->at > 6 && s->at[0] == '\\' && s->at[1] == 'u') {
		rc = hex4(s, s->at + 2, &low);
		if (rc)
			return rc;
		if (low >= 0xdc00 && low < 0xe000) {
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
			s->at += 6;
		}
	}
	if (code >= 0xd800 && code < 0xe000)
		return err_set(s->e, ERR_FORMAT, "byte %td: half of a surrogate pair", start - s->text);
	*out += utf8_encode(code, *out);
	return 0;
}

/* The string from start on into the buffer, escapes undone; s->at is at its first backslash. No escape grows. */
static int unescape_string(struct json_scan *s, const char *start, struct json_slice *out)
{
	const char *close = s->at;
	while (close < s->end && *close != '"')
		close += *close == '\\' ? 2 : 1;
	if (close >= s->end) {
		s->at = s->end;
		return expected(s, "the end of a string");
	}
	size_t most = (size_t)(close - start);
	if (most > s->capacity) {
		char *buffer = realloc(s->buffer, 2 * most);
		if (!buffer)
			return err_set(s->e, ERR_MEMORY, "no memory for a string of %zu bytes", most);
		s->buffer = buffer;
		s->capacity = 2 * most;
	}
	char *to = s->buffer;
	s->at = start;
	while (s->at < close) {
		if (*s->at == '\\') {
			int rc = unescape(s, &to);
			if (rc)
				return rc;
		} else if ((unsigned char)*s->at < 0x20) {
			return err_set(s->e, ERR_FORMAT, "byte %td: a control character in a string", s->at - s->text);
		} else {
			*to++ = *s->at++;
		}
	}
	s->at = close + 1;
	*out = (struct json_slice){s->buffer, (size_t)(to - s->buffer)};
	return 0;
}

int scan_string(struct json_scan *s, struct json_slice *out)
{
	int rc = take(s, '"', "a string");
	if (rc)
		return rc;
	const char *start = s->at;
	while (s->at < s->end && *s->at != '"' && *s->at != '\\' && (unsigned char)*s->at >= 0x20)
		s->at++;
	if (s->at < s->end && *s->at == '\\')
		return unescape_string(s, start, out);
	if (s->at == s->end || *s->at != '"')
		return expected(s, "the end of a string");
	*out = (struct json_slice){start, (size_t)(s->at - start)};
	s->at++;
	return 0;
}

int scan_integer(struct json_scan *s, int64_t *out)
{
	scan_peek(s);
	bool negative = s->at < s->end && *s->at == '-';
	const char *start = s->at += negative;
	int64_t value = 0;
	for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
		if (value > INT64_MAX / 10 - 1)
			return err_set(s->e, ERR_FORMAT, "byte %td: a number of too many digits", start - s->text);
		value = 10 * value + (*s->at - '0');
	}
	if (s->at == start || (s->at < s->end && strchr(".eE", *s->at)))
		return expected(s, "a whole number");
	*out = negative ? -value : value;
	return 0;
}

static bool take_word(struct json_scan *s, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n))
		return false;
	s->at += n;
	return true;
}

int scan_bool(struct json_scan *s, bool *out)
{
	scan_peek(s);
	*out = take_word(s, "true");
	return *out || take_word(s, "false") ? 0 : expected(s, "true or false");
}

int scan_value(struct json_scan *s, struct json_slice *out)
{
	char close[DEPTH_LIMIT];
	int depth = 0;
	scan_peek(s);
	const char *start = s->at;
	do {
		char c = scan_peek(s);
		if (c == '"') {
			struct json_slice skipped;
			int rc = scan_string(s, &skipped);
			if (rc)
				return rc;
		} else if (c == '{' || c == '[') {
			if (depth == DEPTH_LIMIT)
				return err_set(s->e, ERR_LIMIT, "byte %td: more than %d brackets inside each other",
					s->at - s->text, DEPTH_LIMIT);
			close[depth++] = c == '{' ? '}' : ']';
			s->at++;
		} else if (depth && c == close[depth - 1]) {
			depth--;
			s->at++;
		} else if (c == '\0' || strchr("}]", c) || (depth == 0 && strchr(",:", c))) {
			return expected(s, "a value");
		} else {
			s->at++;
			while (depth == 0 && s->at < s->end && !strchr(" \t\r\n,]}", *s->at))
				s->at++;
		}
	} while (depth);
	*out = (struct json_slice){start, (size_t)(s->at - start)};
	return 0;
}

int scan_finish(struct json_scan *s)
{
	scan_peek(s);
	return s->at == s->end ? 0 : expected(s, "the end of the file");
}
