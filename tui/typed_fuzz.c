/* A typed line, any bytes, on any screen: parsing ends with an action, a command whose argument is what it takes, nothing for a blank
 * line, or a sentence; and so does completion of what follows. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/typed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const struct typed_line *l, unsigned where)
{
	if (l->action) {
		const struct action *a = action_get(l->action);
		if (l->command || *l->argument || !a || !(a->views & where))
			abort();
		return;
	}
	if (!l->command)
		return; /* a blank line */
	if (!(l->command->views & where) || (!*l->argument && !typed_is_optional(l->command)))
		abort();
	size_t n = strlen(l->argument);
	if (l->command->takes == TAKES_WHOLE && n > 0 && (n > 9 || strspn(l->argument, "0123456789") != n))
		abort();
}

/* Every word that an argument may be is one that parsing takes. */
static void check_words(const struct typed *t, const char *before, unsigned where)
{
	char room[40], line[200];
	struct typed_line l;
	struct err e;
	const char *word;
	for (int i = 0; (word = typed_word(t, before, i, room)); i++) {
		snprintf(line, sizeof line, "%s %s%s%s", t->name, before, *before ? " " : "", word);
		if (strlen(before) < 40 && typed_parse(&l, line, where, &e))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct typed_line *l = malloc(sizeof *l);
	char *line = malloc(size + 1);
	struct err e = {0};
	if (!l || !line)
		abort();
	unsigned where = size ? 1u << data[0] % 17 : AT_MAPS; /* the first byte chooses the screen */
	memcpy(line, size ? data + 1 : data, size ? size - 1 : 0);
	line[size ? size - 1 : 0] = '\0';
	if (typed_parse(l, line, where, &e)) {
		if (!*e.text)
			abort(); /* refused without a word */
	} else {
		check_line(l, where);
		if (l->command)
			check_words(l->command, l->command->takes == TAKES_SETTING ? l->argument : "", where);
	}
	free(line);
	free(l);
	return 0;
}
