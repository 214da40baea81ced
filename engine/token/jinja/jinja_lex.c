/* Source to tokens, with jinja2's rules for white space: "-" beside a tag strips all of it there; else a tag that
 * begins a block or comment takes the blanks of its line before it (lstrip_blocks) and the newline right behind it
 * (trim_blocks), unless "+" says not to; the source's last newline does not count. */
#include <stdlib.h>

#include "engine/token/jinja/jinja_tree.h"
#include "engine/token/jinja/jinja_value.h"
#include "engine/utf8.h"

struct lexer {
	struct arena *a;
	const char *text; /* newlines are \n */
	size_t n, at;
	int line;
	struct jinja_token *token;
	size_t n_token, capacity;
	struct err *e;
};

static int complain(const struct lexer *x, const char *what)
{
	return err_set(x->e, ERR_UNSUPPORTED, "chat template, line %d: %s", x->line, what);
}

static bool looking_at(const struct lexer *x, const char *text)
{
	size_t n = strlen(text);
	return x->n - x->at >= n && !memcmp(x->text + x->at, text, n);
}

static void step(struct lexer *x, size_t n)
{
	for (; n; n--)
		x->line += x->text[x->at++] == '\n';
}

static int add(struct lexer *x, enum token_kind kind, struct jinja_string text, int64_t number)
{
	if (x->n_token == x->capacity) {
		size_t capacity = x->capacity ? 2 * x->capacity : 256;
		struct jinja_token *grown = arena_take(x->a, capacity * sizeof *grown);
		if (!grown)
			return err_set(x->e, ERR_MEMORY, "chat template: no memory for %zu tokens", capacity);
		if (x->n_token)
			memcpy(grown, x->token, x->n_token * sizeof *grown);
		x->token = grown;
		x->capacity = capacity;
	}
	x->token[x->n_token++] = (struct jinja_token){kind, x->line, text, number};
	return 0;
}

static bool is_sign(char c)
{
	return c == '-' || c == '+';
}

static size_t skip_space(const struct lexer *x, size_t at)
{
	while (at < x->n) {
		size_t n_bytes = string_space_at(x->text, at);
		if (!n_bytes)
			break;
		at += n_bytes;
	}
	return at;
}

/* Behind the end of a tag: "-" was seen or not; a block's or comment's end takes one newline along. */
static void leave_tag(struct lexer *x, bool strip, bool trim)
{
	if (strip)
		step(x, skip_space(x, x->at) - x->at);
	else if (trim && x->at < x->n && x->text[x->at] == '\n')
		step(x, 1);
}

/* The text from x->at up to a tag at `tag`, cut as the tag's sign ('-', '+' or 0) and kind ask. */
static int add_data(struct lexer *x, size_t tag, char sign, bool is_output)
{
	size_t end = tag;
	if (sign == '-') {
		end = string_strip_end(x->text, x->at, end);
	} else if (sign != '+' && !is_output) {
		size_t line = end;
		while (line > x->at && x->text[line - 1] != '\n')
			line--;
		bool starts_line = line > x->at || x->at == 0 || x->text[x->at - 1] == '\n';
		if (starts_line && string_strip_end(x->text, line, end) == line)
			end = line;
	}
	int rc = end > x->at ? add(x, TOKEN_DATA, (struct jinja_string){x->text + x->at, NULL, end - x->at}, 0) : 0;
	step(x, tag - x->at);
	return rc;
}

static int lex_comment(struct lexer *x)
{
	while (x->at < x->n && !looking_at(x, "#}"))
		step(x, 1);
	if (x->at == x->n)
		return complain(x, "a comment without an end");
	char sign = x->text[x->at - 1];
	step(x, 2);
	leave_tag(x, sign == '-', sign != '+');
	return 0;
}

/* One escape of a string literal (Python's): returns how many bytes of source it takes, 0 when there is none such.
 */
static size_t unescape(const char *s, size_t n, char *out, size_t *n_out)
{
	static const char letters[] = "\\'\"abfnrtv", meanings[] = "\\'\"\a\b\f\n\r\t\v";
	*n_out = 1;
	const char *letter = s[1] ? strchr(letters, s[1]) : NULL;
	if (letter) {
		*out = meanings[letter - letters];
		return 2;
	}
	if (s[1] == '\n') {
		*n_out = 0;
		return 2;
	}
	size_t digits = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0;
	if (!digits) {
		out[0] = '\\';
		return strchr("N01234567", s[1]) ? 0 : 1;
	}
	char hex[9] = "", *end;
	if (n < 2 + digits)
		return 0;
	memcpy(hex, s + 2, digits);
	unsigned long code = strtoul(hex, &end, 16);
	if (strspn(hex, "0123456789abcdefABCDEF") != digits || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*n_out = utf8_encode((uint32_t)code, out);
	return 2 + digits;
}

static int lex_string(struct lexer *x)
{
	char quote = x->text[x->at];
	size_t close = x->at + 1;
	while (close < x->n && x->text[close] != quote)
		close += x->text[close] == '\\' ? 2 : 1;
	if (close >= x->n)
		return complain(x, "a string without an end");
	char *value = arena_take(x->a, close - x->at + 4);
	if (!value)
		return err_set(x->e, ERR_MEMORY, "chat template: no memory for a string of %zu bytes", close - x->at);
	size_t n = 0, taken, put;
	for (size_t at = x->at + 1; at < close; at += taken, n += put) {
		taken = put = 1;
		if (x->text[at] != '\\')
			value[n] = x->text[at];
		else if (!(taken = unescape(x->text + at, close - at, value + n, &put)))
			return complain(x, "a string has an escape sequence that is not known");
	}
	int rc = add(x, TOKEN_STRING, (struct jinja_string){value, NULL, n}, 0);
	step(x, close + 1 - x->at);
	return rc;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Decimal numbers, with "_" between digits and no zero before others, as Python has them. */
static int lex_number(struct lexer *x)
{
	int64_t value = 0;
	size_t at = x->at;
	bool after_dot = at > 0 && x->text[at - 1] == '.';
	for (; at < x->n && (is_digit(x->text[at]) || x->text[at] == '_'); at++)
		if (x->text[at] != '_' &&
			(__builtin_mul_overflow(value, 10, &value) ||
				__builtin_add_overflow(value, x->text[at] - '0', &value)))
			return complain(x, "a number of too many digits");
	bool leading_zero = x->text[x->at] == '0' && at - x->at > 1;
	bool is_float = !after_dot && at + 1 < x->n && x->text[at] == '.' && is_digit(x->text[at + 1]);
	if (is_float)
		for (at++; at < x->n && is_digit(x->text[at]);)
			at++;
	if (leading_zero || x->text[at - 1] == '_' || (at < x->n && is_word(x->text[at])))
		return complain(x, "a number in a notation that is not known");
	int rc = add(x, is_float ? TOKEN_FLOAT : TOKEN_INTEGER,
		(struct jinja_string){x->text + x->at, NULL, at - x->at}, value);
	step(x, at - x->at);
	return rc;
}

static int lex_operator(struct lexer *x)
{
	static const char *const known[] = {"==", "!=", "<=", ">=", "//", "**"};
	size_t n = 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (looking_at(x, known[i]))
			n = 2;
	if (!n && !strchr("+-/*%~[](){}<>=.:|,;", x->text[x->at]))
		return complain(x, "a character that belongs to no expression");
	n = n ? n : 1;
	int rc = add(x, TOKEN_OPERATOR, (struct jinja_string){x->text + x->at, NULL, n}, 0);
	step(x, n);
	return rc;
}

/* The inside of a tag up to and with its end. An end inside brackets is none: {{ {'a': {}} }}. */
static int lex_tag(struct lexer *x, bool is_output)
{
	const char *end = is_output ? "}}" : "%}";
	enum { DEPTH = 64 };
	char open[DEPTH];
	int depth = 0, rc = 0;
	while (!rc) {
		step(x, skip_space(x, x->at) - x->at);
		if (x->at == x->n || x->text[x->at] == '\0')
			return complain(x, "a tag without an end");
		char c = x->text[x->at];
		bool sign = (c == '-' || (c == '+' && !is_output)) && x->n - x->at > 2 &&
			!memcmp(x->text + x->at + 1, end, 2);
		if (depth == 0 && (sign || looking_at(x, end))) {
			rc = add(x, is_output ? TOKEN_OUTPUT_END : TOKEN_BLOCK_END, (struct jinja_string){0}, 0);
			step(x, sign ? 3 : 2);
			leave_tag(x, sign && c == '-', !is_output && !sign);
			return rc;
		}
		if (strchr("([{", c)) {
			if (depth == DEPTH)
				return complain(x, "too many brackets inside each other");
			open[depth++] = c == '(' ? ')' : c == '[' ? ']' : '}';
		} else if (strchr(")]}", c) && (depth == 0 || open[--depth] != c)) {
			return complain(x, "a closing bracket without its opening one");
		}
		if (c == '\'' || c == '"') {
			rc = lex_string(x);
		} else if (is_digit(c)) {
			rc = lex_number(x);
		} else if (is_word(c)) {
			size_t n = 1;
			while (x->at + n < x->n && is_word(x->text[x->at + n]))
				n++;
			rc = add(x, TOKEN_NAME, (struct jinja_string){x->text + x->at, NULL, n}, 0);
			step(x, n);
		} else {
			rc = lex_operator(x);
		}
	}
	return rc;
}

/* {% word %} at `at`, whatever the signs: where it ends and the signs; 0 when it is another tag. */
static size_t match_word_tag(const struct lexer *x, size_t at, const char *word, char *left, char *right)
{
	size_t n = strlen(word);
	if (x->n - at < 2 || memcmp(x->text + at, "{%", 2))
		return 0;
	at += 2;
	*left = at < x->n && is_sign(x->text[at]) ? x->text[at++] : '\0';
	at = skip_space(x, at);
	if (x->n - at < n || memcmp(x->text + at, word, n))
		return 0;
	at = skip_space(x, at + n);
	*right = at < x->n && is_sign(x->text[at]) ? x->text[at++] : '\0';
	return x->n - at >= 2 && !memcmp(x->text + at, "%}", 2) ? at + 2 : 0;
}

static int lex_raw(struct lexer *x, size_t begin_end, char right)
{
	step(x, begin_end - x->at);
	leave_tag(x, right == '-', false);
	char left;
	for (size_t at = x->at, end; at < x->n; at++)
		if ((end = match_word_tag(x, at, "endraw", &left, &right))) {
			int rc = add_data(x, at, left, false);
			step(x, end - x->at);
			leave_tag(x, right == '-', right == '\0');
			return rc;
		}
	return complain(x, "raw without endraw");
}

/* One stretch of data with the tag that ends it. */
static int lex_data(struct lexer *x)
{
	size_t tag = x->at;
	while (tag + 1 < x->n && !(x->text[tag] == '{' && strchr("{%#", x->text[tag + 1]) && x->text[tag + 1]))
		tag++;
	if (tag + 1 >= x->n)
		return add_data(x, x->n, '+', false);
	char kind = x->text[tag + 1], left = '\0', right = '\0';
	size_t raw = kind == '%' ? match_word_tag(x, tag, "raw", &left, &right) : 0;
	if (!raw && tag + 2 < x->n && is_sign(x->text[tag + 2]))
		left = x->text[tag + 2];
	int rc = add_data(x, tag, left, kind == '{');
	if (rc)
		return rc;
	if (raw)
		return lex_raw(x, raw, right);
	if (kind != '#')
		rc = add(x, kind == '{' ? TOKEN_OUTPUT_BEGIN : TOKEN_BLOCK_BEGIN, (struct jinja_string){0}, 0);
	step(x, left ? 3 : 2);
	if (rc)
		return rc;
	return kind == '#' ? lex_comment(x) : lex_tag(x, kind == '{');
}

/* A copy with \n for \r\n and \r and without the last newline. */
static char *copy_source(struct arena *a, const char *source, size_t n, size_t *n_out)
{
	char *text = arena_take(a, n + 1);
	size_t m = 0;
	for (size_t i = 0; text && i < n; i++) {
		if (source[i] == '\r' && i + 1 < n && source[i + 1] == '\n')
			continue;
		text[m++] = source[i] == '\r' ? '\n' : source[i];
	}
	*n_out = m && text[m - 1] == '\n' ? m - 1 : m;
	return text;
}

int jinja_lex(struct arena *a, const char *source, size_t n, struct jinja_token **out, struct err *e)
{
	struct lexer x = {.a = a, .line = 1, .e = e};
	x.text = copy_source(a, source, n, &x.n);
	if (!x.text)
		return err_set(e, ERR_MEMORY, "chat template: no memory for its %zu bytes", n);
	int rc = 0;
	while (!rc && x.at < x.n)
		rc = lex_data(&x);
	if (!rc)
		rc = add(&x, TOKEN_STOP, (struct jinja_string){0}, 0);
	*out = x.token;
	return rc;
}
