/* Command lines as text: quoting, and leaving out whose machine they were typed on. */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "export/plot/origin.h"

static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || strchr("_-+=:,./@%", c) || (unsigned char)c >= 0x80;
}

static void put_quoted(FILE *f, const char *word)
{
	const char *c = word;
	while (*c && is_plain(*c))
		c++;
	if (*word && !*c) {
		fputs(word, f);
		return;
	}
	fputc('\'', f);
	for (c = word; *c; c++)
		if (*c == '\'')
			fputs("'\\''", f);
		else
			fputc(*c, f);
	fputc('\'', f);
}

/* Ends a memory stream; NULL when anything failed. */
static char *take(FILE *f, char **text)
{
	int failed = ferror(f);
	if (fclose(f) || failed) {
		free(*text);
		return NULL;
	}
	return *text;
}

char *shell_quote(const char *word)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	put_quoted(f, word);
	return take(f, &text);
}

/* One word of a command line, unquoted, into `word` (as long as the line at least); returns what follows it. */
static const char *read_word(const char *at, char *word)
{
	char quote = 0;
	for (; *at && (quote || !isspace((unsigned char)*at)); at++) {
		if (!quote && (*at == '\'' || *at == '"'))
			quote = *at;
		else if (quote && *at == quote)
			quote = 0;
		else if (*at == '\\' && quote != '\'' && at[1])
			*word++ = *++at;
		else
			*word++ = *at;
	}
	*word = '\0';
	return at;
}

/* The part of a word that may stay: what stands before a value (--name=) and the last part of a path. */
static void cut_paths(char *word)
{
	char *value = word[0] == '-' && strchr(word, '=') ? strchr(word, '=') + 1 : word;
	size_t n = strlen(value);
	while (n > 1 && value[n - 1] == '/')
		value[--n] = '\0';
	char *slash = strrchr(value, '/');
	if (slash && slash[1])
		memmove(value, slash + 1, strlen(slash + 1) + 1);
}

/* Does the word name the output? *takes_next: its value is the next word. */
static bool is_output(const char *word, bool *takes_next)
{
	*takes_next = !strcmp(word, "-o") || !strcmp(word, "--output");
	return *takes_next || !strncmp(word, "--output=", 9) || (word[0] == '-' && word[1] == 'o');
}

char *shell_to_keep(const char *command, bool without_paths)
{
	char *text = NULL, *word = malloc(strlen(command) + 1);
	size_t n;
	FILE *f = word ? open_memstream(&text, &n) : NULL;
	if (!f) {
		free(word);
		return NULL;
	}
	bool first = true, skip = false;
	for (;;) {
		while (isspace((unsigned char)*command))
			command++;
		if (!*command)
			break;
		command = read_word(command, word);
		bool skip_next = false;
		if (!skip && !is_output(word, &skip_next)) {
			if (!first)
				fputc(' ', f);
			if (without_paths)
				cut_paths(word);
			put_quoted(f, word);
			first = false;
		}
		skip = !skip && skip_next;
	}
	free(word);
	return take(f, &text);
}
