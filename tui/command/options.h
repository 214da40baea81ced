/* The command line as data: tui/commands.def and tui/options.def, and what parsing them gives.
 *
 * A parsed line is immutable. Texts point into argv (or into the tables, for defaults); only lists are owned.
 */
#ifndef KVGLASS_TUI_COMMAND_OPTIONS_H
#define KVGLASS_TUI_COMMAND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/err.h"

/* ---- commands ---- */

enum command_id {
#define COMMAND(ID, name, arguments, fewest, most, summary, description) COMMAND_##ID,
#include "tui/commands.def"
#undef COMMAND
	N_COMMAND
};

enum { /* sets of commands */
#define COMMAND(ID, name, arguments, fewest, most, summary, description) IN_##ID = 1 << COMMAND_##ID,
#include "tui/commands.def"
#undef COMMAND
	IN_EVERY = (1 << N_COMMAND) - 1,
	KEPT = 1 << 30 /* no command: may stand in the configuration file, and :set changes it */
};

struct command_info {
	const char *name, *arguments;
	int fewest, most; /* words that are not options; most < 0: any number */
	const char *summary, *description;
};
extern const struct command_info command_table[N_COMMAND];

/* ---- options ---- */

enum option_group { OPTIONS_MODEL, OPTIONS_PROMPT, OPTIONS_RESPONSE, OPTIONS_MEASURE, OPTIONS_COMPARE, OPTIONS_FIGURE,
	OPTIONS_TRAIN, OPTIONS_INSPECT, OPTIONS_BENCH, OPTIONS_INFO, OPTIONS_SCREEN, OPTIONS_OUTPUT, N_OPTION_GROUP };
extern const char *const option_group_title[N_OPTION_GROUP];

enum option_type { OPTION_FLAG, OPTION_TEXT, OPTION_WHOLE, OPTION_REAL, OPTION_CHOICE, OPTION_TEXTS, OPTION_WHOLES, OPTION_PAIR,
	OPTION_DEVICE };

struct option_texts {
	char **item;
	int n;
};
struct option_wholes {
	int *item;
	int n;
};
struct option_pair {
	int first, second;
};
struct option_device {
	enum device_choice choice;
	int index; /* cuda:N, else 0 */
};
typedef bool option_flag;
typedef const char *option_text;
typedef int64_t option_whole;
typedef double option_real;
typedef int option_choice; /* index of the word; -1: not given and no default */

enum option_id {
#define OPTION(GROUP, field, name, letter, TYPE, argument, initial, low, high, commands, help) OPT_##field,
#include "tui/options.def"
#undef OPTION
	N_OPTION
};

struct option_info {
	enum option_group group;
	const char *name;
	char letter; /* 0: none */
	enum option_type type;
	const char *argument; /* word for the help; the choices of a CHOICE; NULL for a FLAG */
	const char *initial;  /* default as typed, or NULL */
	double low, high;
	unsigned commands; /* IN_* */
	const char *help;
};
extern const struct option_info option_table[N_OPTION];

#define option_type_FLAG   option_flag
#define option_type_TEXT   option_text
#define option_type_WHOLE  option_whole
#define option_type_REAL   option_real
#define option_type_CHOICE option_choice
#define option_type_TEXTS  struct option_texts
#define option_type_WHOLES struct option_wholes
#define option_type_PAIR   struct option_pair
#define option_type_DEVICE struct option_device

struct options {
	enum command_id command;
	const char **argument; /* words that are not options, in order */
	int n_argument;
	bool given[N_OPTION]; /* on the command line or by options_set(), not by default */
	bool configured[N_OPTION]; /* by the configuration file, where the command line is silent */
#define OPTION(GROUP, field, name, letter, TYPE, argument, initial, low, high, commands, help) option_type_##TYPE field;
#include "tui/options.def"
#undef OPTION
};

/* Was this option typed? GIVEN(o, budget) */
#define GIVEN(options, field) ((options)->given[OPT_##field])

/* Reads argv[first] .. argv[argc-1] as the words of a command. Long options as --name VALUE or --name=VALUE, short ones as -n VALUE or
 * -nVALUE, flags may stand together, options and other words in any order, -- ends options. An option typed twice is an error, for
 * one of the two values would be lost. ERR_USE names option, value and what was expected. --help or --version anywhere
 * ends parsing without further complaint. On failure nothing needs freeing. */
int options_parse(struct options *out, enum command_id command, int argc, char **argv, int first, struct err *e);
void options_free(struct options *o);

/* The option of that name that may be kept in the configuration file; N_OPTION: there is none. */
enum option_id option_kept(const char *name, size_t n_bytes);
/* Another value for one option, which is then given; NULL: its default, and it is not. A text points to `value`. On failure, which
 * begins with the value, the option is as before. Not for lists. */
int options_set(struct options *o, enum option_id id, const char *value, struct err *e);
/* A value as it would be typed, "" for none. */
void options_say(const struct options *o, enum option_id id, char *out, size_t size);

/* The word of a choice as typed, for messages and for writing command lines. Owned by nobody: copied into out (24 bytes). */
void option_choice_word(enum option_id id, int value, char out[24]);

#endif
