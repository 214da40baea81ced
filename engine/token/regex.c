#include "engine/token/regex.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_LIMIT 65536

/* Letters and numbers of Unicode 15.0, 15.1 and 16.0, which the reference knows and PCRE2 10.42 (Unicode 14) does
 * not. They stay right with a newer PCRE2, which then merely knows them twice. */
static const char letters_since[] = "\\x{1c89}\\x{1c8a}\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{105c0}-\\x{105f3}"
									"\\x{10d4a}-\\x{10d65}\\x{10d6f}-\\x{10d85}"
									"\\x{10ec2}-\\x{10ec4}\\x{1123f}\\x{11240}\\x{11380}-\\x{11389}\\x{1138b}\\x{"
									"1138e}\\x{11390}-\\x{113b5}\\x{113b7}\\x{113d1}"
									"\\x{113d3}\\x{11bc0}-\\x{11be0}\\x{11f02}\\x{11f04}-\\x{11f10}\\x{11f12}-\\x{"
									"11f33}\\x{1342f}\\x{13441}-\\x{13446}"
									"\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}\\x{16d40}-\\x{16d6c}\\x{18cff}\\x{"
									"1b132}\\x{1b155}\\x{1df25}-\\x{1df2a}"
									"\\x{1e030}-\\x{1e06d}\\x{1e4d0}-\\x{1e4eb}\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{"
									"2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}";
static const char numbers_since[] =
	"\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}\\x{16130}-\\x{16139}"
	"\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1d2c0}-\\x{1d2d3}\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}";

struct translation {
	const char *at, *end; /* what is left of the pattern */
	char *out;
	size_t n, capacity;
	bool in_class;
	struct err *e;
};

static int refuse(struct translation *t, const char *from, size_t n)
{
	return err_set(
		t->e, ERR_UNSUPPORTED, "pre-tokeniser pattern: \"%.*s\" is not taken over from Oniguruma", (int)n, from);
}

static int put(struct translation *t, const char *text, size_t n)
{
	if (t->n + n + 1 > t->capacity) {
		size_t capacity = 2 * (t->n + n) + 256;
		char *out = realloc(t->out, capacity);
		if (!out)
			return err_set(t->e, ERR_MEMORY, "pre-tokeniser pattern: no memory for %zu bytes", capacity);
		t->out = out;
		t->capacity = capacity;
	}
	memcpy(t->out + t->n, text, n);
	t->n += n;
	t->out[t->n] = '\0';
	return 0;
}

static int put_string(struct translation *t, const char *text)
{
	return put(t, text, strlen(text));
}

/* \p{...} or \P{...}: letters and numbers get the younger ones. */
static int put_property(struct translation *t)
{
	const char *start = t->at, *close = memchr(t->at, '}', (size_t)(t->end - t->at));
	bool inverted = t->at[1] == 'P';
	if (t->end - t->at < 4 || t->at[2] != '{' || !close || close == t->at + 3 || close - t->at > 40)
		return refuse(t, start, t->end - t->at < 6 ? (size_t)(t->end - t->at) : 6);
	for (const char *c = t->at + 3; c < close; c++)
		if (!((*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || *c == '_'))
			return refuse(t, start, (size_t)(close + 1 - start));
	t->at = close + 1;
	const char *since = close != start + 4 ? NULL
		: start[3] == 'L'                  ? letters_since
		: start[3] == 'N'                  ? numbers_since
										   : NULL;
	if (!since)
		return put(t, start, (size_t)(t->at - start));
	if (t->in_class && inverted)
		return refuse(t, start, (size_t)(t->at - start));
	char text[sizeof letters_since + 16];
	snprintf(text, sizeof text, "%s\\p{%c}%s%s",
		t->in_class    ? ""
			: inverted ? "[^"
					   : "[",
		start[3], since, t->in_class ? "" : "]");
	return put_string(t, text);
}

static int put_escape(struct translation *t)
{
	const char *start = t->at;
	if (t->end - start < 2)
		return refuse(t, start, 1);
	char c = start[1];
	if (c == 'p' || c == 'P')
		return put_property(t);
	t->at += 2;
	if (c == 's' || c == 'S') /* PCRE2's own \s takes U+180E besides */
		return put_string(t, c == 's' ? "\\p{White_Space}" : "\\P{White_Space}");
	if (c == 'd' || c == 'D')
		return put_string(t, c == 'd' ? "\\p{Nd}" : "\\P{Nd}");
	bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
	if ((unsigned char)c >= 0x80 || (letter_or_digit && !strchr("nrtf", c)))
		return refuse(t, start, 2);
	return put(t, start, 2);
}

static int put_group(struct translation *t)
{
	static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};
	size_t left = (size_t)(t->end - t->at);
	if (left < 2 || t->at[1] != '?') {
		t->at++;
		return put_string(t, "(?:"); /* nothing looks at captures */
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t n = strlen(known[i]);
		if (left >= n && !memcmp(t->at, known[i], n)) {
			t->at += n;
			return put(t, known[i], n);
		}
	}
	return refuse(t, t->at, left < 4 ? left : 4);
}

/* {m}, {m,} or {m,n}; what may follow differs between the two dialects. */
static int put_repeat(struct translation *t)
{
	const char *c = t->at + 1, *start = t->at;
	size_t n_digit = 0;
	while (c < t->end && *c >= '0' && *c <= '9')
		c++, n_digit++;
	if (c < t->end && *c == ',')
		c++;
	while (c < t->end && *c >= '0' && *c <= '9')
		c++;
	if (!n_digit || c == t->end || *c != '}' || (c + 1 < t->end && (c[1] == '+' || c[1] == '?')))
		return refuse(t, start, (size_t)(t->end - start < 8 ? t->end - start : 8));
	t->at = c + 1;
	return put(t, start, (size_t)(t->at - start));
}

static int put_class_start(struct translation *t)
{
	size_t n = t->end - t->at > 1 && t->at[1] == '^' ? 2 : 1;
	if ((size_t)(t->end - t->at) > n && t->at[n] == ']')
		return refuse(t, t->at, n + 1);
	int rc = put(t, t->at, n);
	t->at += n;
	t->in_class = true;
	return rc;
}

static int put_in_class(struct translation *t)
{
	char c = *t->at;
	if (c == '[' || (c == '&' && t->end - t->at > 1 && t->at[1] == '&')) /* sets inside sets, intersections */
		return refuse(t, t->at, 1);
	t->in_class = c != ']';
	return put(t, t->at++, 1);
}

static int translate(struct translation *t)
{
	int rc = 0;
	while (t->at < t->end && !rc) {
		char c = *t->at;
		if (c == '\\')
			rc = put_escape(t);
		else if (t->in_class)
			rc = put_in_class(t);
		else if (c == '[')
			rc = put_class_start(t);
		else if (c == '(')
			rc = put_group(t);
		else if (c == '{')
			rc = put_repeat(t);
		else if (c == '^' || c == '$' || c == '\0') /* the anchors see lines in Ruby's dialect */
			rc = refuse(t, t->at, 1);
		else
			rc = put(t, t->at++, 1);
	}
	return rc;
}

static int compile(pcre2_code **out, const char *pattern, size_t n, struct err *e)
{
	int code;
	PCRE2_SIZE at;
	pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, n, PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
	if (!compiled) {
		PCRE2_UCHAR text[120] = "";
		pcre2_get_error_message(code, text, sizeof text);
		return err_set(e, ERR_UNSUPPORTED, "pre-tokeniser pattern: %s", (char *)text);
	}
	uint32_t may_match_nothing = 0;
	pcre2_pattern_info(compiled, PCRE2_INFO_MATCHEMPTY, &may_match_nothing);
	if (may_match_nothing) {
		pcre2_code_free(compiled);
		return err_set(e, ERR_UNSUPPORTED, "pre-tokeniser pattern: it can match the empty string");
	}
	pcre2_jit_compile(
		compiled, PCRE2_JIT_COMPLETE); /* where PCRE2 has no compiler for the machine, it interprets */
	*out = compiled;
	return 0;
}

int regex_compile(pcre2_code **out, const char *pattern, size_t n, struct err *e)
{
	*out = NULL;
	if (n == 0 || n > PATTERN_LIMIT)
		return err_set(
			e, ERR_UNSUPPORTED, "pre-tokeniser pattern of %zu bytes, the limits are 1 and %d", n, PATTERN_LIMIT);
	struct translation t = {.at = pattern, .end = pattern + n, .e = e};
	int rc = translate(&t);
	if (!rc)
		rc = compile(out, t.out, t.n, e);
	free(t.out);
	return rc;
}
