/* Options that change while the program runs: the parsed command line, with later values in place of its own. The options panel
 * and :set write here; the worker, the next run and the configuration file are told from here.
 */
#ifndef KVGLASS_TUI_SWITCHES_H
#define KVGLASS_TUI_SWITCHES_H

#include "tui/command/settings.h"

struct switches {
	struct options now;
	char *text[N_OPTION]; /* owned: values set here */
	bool changed[N_OPTION]; /* by switches_set(): for the configuration file */
	bool owns_words;
	const char *method[SETTINGS_MAX_METHODS]; /* for switches_measure() */
	struct preset preset;                     /* for switches_preset() */
};

/* words: the command line, which must stay, or NULL: every option at its default. */
int switches_open(struct switches *l, const struct options *words, struct err *e);
void switches_close(struct switches *l);

/* value NULL: the default. The whole is checked as a command line would be; on failure nothing has changed. */
int switches_set(struct switches *l, enum option_id id, const char *value, struct err *e);
/* The same by name, with the nearest one told for an unknown name. *id may be NULL. */
int switches_set_named(struct switches *l, const char *name, const char *value, enum option_id *id, struct err *e);
bool switches_is_protocol(enum option_id id);

struct protocol switches_protocol(const struct switches *l);
const struct preset *switches_preset(struct switches *l); /* with that protocol; NULL: none */
struct measure_options switches_measure(struct switches *l);

#endif
