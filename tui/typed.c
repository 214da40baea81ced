#include "tui/typed.h"

#include <stdio.h>
#include <string.h>

#include "analysis/protocol.h"
#include "tui/command/nearest.h"
#include "tui/command/options.h"

static const struct typed table[] = {
#define TYPED(id, name_, argument_, takes_, views_, help_)                                                     \
	{.name = name_, .argument = argument_, .takes = TAKES_##takes_, .views = (views_), .help = help_, .run = typed_##id},
#include "tui/typed.def"
#undef TYPED
};
enum { N_TABLE = sizeof table / sizeof *table };

const struct typed *typed_list(int *n)
{
	*n = N_TABLE;
	return table;
}

bool typed_is_optional(const struct typed *t)
{
	return t->argument[0] == '[';
}

static bool is_name(const char *name, const char *word, size_t n)
{
	return strlen(name) == n && !memcmp(name, word, n);
}

static const struct typed *find_command(const char *word, size_t n)
{
	for (int i = 0; i < N_TABLE; i++)
		if (is_name(table[i].name, word, n))
			return &table[i];
	return NULL;
}

static const struct action *find_action(const char *word, size_t n)
{
	int n_action;
	const struct action *list = action_list(&n_action);
	for (int i = 0; i < n_action; i++)
		if (is_name(list[i].name, word, n))
			return &list[i];
	return NULL;
}

const char *typed_name(int i, unsigned where)
{
	int n;
	const struct action *list = action_list(&n);
	for (int k = 0; k < N_TABLE; k++)
		if ((table[k].views & where) && i-- == 0)
			return table[k].name;
	for (int k = 0; k < n; k++)
		if ((list[k].views & where) && !find_command(list[k].name, strlen(list[k].name)) && i-- == 0)
			return list[k].name;
	return NULL;
}

/* ---- words ---- */

/* Word number i of "a|b|c". */
static const char *choice(const char *words, int i, char out[40])
{
	for (; i > 0 && words; i--) {
		const char *bar = strchr(words, '|');
		words = bar ? bar + 1 : NULL;
	}
	if (!words)
		return NULL;
	snprintf(out, 40, "%.*s", (int)strcspn(words, "|"), words);
	return out;
}

static const char *kept_name(int i)
{
	for (int id = 0; id < N_OPTION; id++)
		if ((option_table[id].commands & KEPT) && i-- == 0)
			return option_table[id].name;
	return NULL;
}

static const char *setting_word(const char *before, int i, char out[40])
{
	int n;
	enum option_id id = *before ? option_kept(before, strlen(before)) : N_OPTION;
	if (!*before)
		return kept_name(i);
	if (id == OPT_preset)
		return i < (preset_list(&n), n) ? preset_list(&n)[i].name : NULL;
	bool has_words = id != N_OPTION && (option_table[id].type == OPTION_CHOICE || option_table[id].type == OPTION_DEVICE);
	return has_words ? choice(option_table[id].argument, i, out) : NULL;
}

const char *typed_word(const struct typed *t, const char *before, int i, char out[40])
{
	int n;
	switch (t->takes) {
	case TAKES_CHOICE:
		return choice(t->argument, i, out);
	case TAKES_METHOD:
		return i < (method_list(&n), n) ? method_list(&n)[i].name : NULL;
	case TAKES_SETTING:
		return setting_word(before, i, out);
	case TAKES_PRESET:
		return i < (preset_list(&n), n) ? preset_list(&n)[i].name : NULL;
	default:
		return NULL;
	}
}

/* ---- parsing ---- */

static int unknown(const char *word, size_t n, unsigned where, struct err *e)
{
	struct nearest near = nearest_begin(word, n);
	char hint[80];
	int shown = n < 60 ? (int)n : 60;
	const char *name;
	if (find_command(word, n) || find_action(word, n))
		return err_set(e, ERR_USE, "%.*s means nothing on this screen", shown, word);
	for (int i = 0; (name = typed_name(i, where)); i++)
		nearest_offer(&near, name);
	nearest_hint(&near, "", hint, sizeof hint);
	return err_set(e, ERR_USE, "%.*s: no such command%s", shown, word, *hint ? hint : "; Tab lists them, ? explains them");
}

static int check_choice(const struct typed *t, const char *word, struct err *e)
{
	char known[40];
	for (int i = 0; choice(t->argument, i, known); i++)
		if (!strcmp(known, word))
			return 0;
	return err_set(e, ERR_USE, "%s %.60s: not one of %s", t->name, word, t->argument);
}

/* "#1,954" is how the screen writes such a number. */
static int check_whole(const struct typed *t, char *word, struct err *e)
{
	char digits[12];
	size_t n = 0;
	for (const char *c = word + (*word == '#'); *c; c++) {
		if (*c == ',')
			continue;
		if (*c < '0' || *c > '9')
			return err_set(e, ERR_USE, "%s %.60s: not a whole number", t->name, word);
		if (n == 9)
			return err_set(e, ERR_USE, "%s %.60s: too large", t->name, word);
		digits[n++] = *c;
	}
	if (n == 0)
		return err_set(e, ERR_USE, "%s %.60s: not a whole number", t->name, word);
	memcpy(word, digits, n);
	word[n] = '\0';
	return 0;
}

static int check_argument(const struct typed *t, char *word, struct err *e)
{
	if (!*word)
		return typed_is_optional(t) ? 0 : (int)err_set(e, ERR_USE, "%s needs a word: %s %s", t->name, t->name, t->argument);
	if (t->takes == TAKES_WHOLE)
		return check_whole(t, word, e);
	return t->takes == TAKES_CHOICE ? check_choice(t, word, e) : 0;
}

int typed_parse(struct typed_line *out, const char *line, unsigned where, struct err *e)
{
	line += strspn(line, " \t:");
	size_t n = strcspn(line, " \t"), length;
	const char *rest = line + n + strspn(line + n, " \t");
	for (length = strlen(rest); length > 0 && (rest[length - 1] == ' ' || rest[length - 1] == '\t');)
		length--;
	*out = (struct typed_line){.command = find_command(line, n)};
	const struct action *action = find_action(line, n);
	if (length >= sizeof out->argument)
		return err_set(e, ERR_LIMIT, "%.*s: its argument is longer than %zu bytes", (int)(n < 60 ? n : 60), line,
			sizeof out->argument - 1);
	memcpy(out->argument, rest, length);
	if (n == 0)
		return 0;
	if (action && (action->views & where) && (length == 0 || !out->command)) {
		out->action = action->id;
		out->command = NULL;
		return length ? (int)err_set(e, ERR_USE, "%s takes no further word", action->name) : 0;
	}
	if (!out->command || !(out->command->views & where))
		return unknown(line, n, where, e);
	return check_argument(out->command, out->argument, e);
}
