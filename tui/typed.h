/* Typed commands: what may stand on the line that : opens. A line is the name of an action (tui/actions.def), or of a command of
 * tui/typed.def and its argument. Knows the tables, not the program.
 */
#ifndef KVGLASS_TUI_TYPED_H
#define KVGLASS_TUI_TYPED_H

#include <stdbool.h>

#include "engine/err.h"
#include "tui/action.h"

struct app;

enum typed_takes { TAKES_WHOLE, TAKES_TEXT, TAKES_FILE, TAKES_CHOICE, TAKES_METHOD, TAKES_PRESET, TAKES_SETTING };

struct typed {
	const char *name, *argument;
	enum typed_takes takes;
	unsigned views;
	const char *help;
	/* argument: blanks around it taken off; "" when it may be left out and was */
	void (*run)(struct app *app, const char *argument);
};
const struct typed *typed_list(int *n); /* in the order of help */
bool typed_is_optional(const struct typed *t);

/* One line: either an action or a command with its argument. ERR_USE names what is wrong and the nearest name there is. A WHOLE
 * and a CHOICE are checked here. */
struct typed_line {
	enum action_id action; /* or ACTION_NONE */
	const struct typed *command;
	char argument[4096];
};
int typed_parse(struct typed_line *out, const char *line, unsigned where, struct err *e);

/* Names that may stand at the line's beginning, of actions and commands: number i there, NULL after the last. */
const char *typed_name(int i, unsigned where);
/* Words an argument may be, as far as tables know them: number i or NULL after the last. `before` is the word before it, or "". */
const char *typed_word(const struct typed *t, const char *before, int i, char out[40]);

#define TYPED(id, name, argument, takes, views, help) void typed_##id(struct app *app, const char *text);
#include "tui/typed.def"
#undef TYPED

#endif
