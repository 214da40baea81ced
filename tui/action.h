/* Actions: everything a key, a click or a script line can ask for, from the one table in tui/actions.def. */
#ifndef KVGLASS_TUI_ACTION_H
#define KVGLASS_TUI_ACTION_H

/* Where an action exists. */
enum {
	AT_START = 1,
	AT_MAPS = 2,
	AT_TEXT = 4,
	AT_HELP = 8,
	AT_LINE = 16, /* a line is being asked for at the bottom (a file's name) */
	AT_ASK = 32,  /* a question is open */
	AT_HEADS = 64,
	AT_CURVES = 128,
	AT_EVICTION = 256,
	AT_MODULES = 1024,
	AT_OPTIONS = 1 << 12, /* the options panel is open, over a result */
	AT_COPY = 1 << 13, /* what is to be copied is being asked for */
	AT_TOKEN = 1 << 14,
	AT_REGIONS = 1 << 15,
	AT_PAIR = 1 << 16,
	AT_RESULT = AT_MAPS | AT_TEXT | AT_HEADS | AT_CURVES | AT_EVICTION | AT_MODULES | AT_TOKEN | AT_REGIONS |
		AT_PAIR,
	AT_VIEW = AT_START | AT_RESULT | AT_HELP,
	AT_FORM = AT_START | AT_LINE,
	AT_ANY = AT_VIEW | AT_OPTIONS | AT_COPY | AT_LINE | AT_ASK,
};

enum action_group { GROUP_MOVE, GROUP_LOOK, GROUP_FILE, GROUP_FORM, GROUP_ASK, GROUP_LEAVE, N_GROUP };

enum action_id {
	ACTION_NONE,
#define ACTION(id, name, keys, group, views, hint, help) ACTION_##id,
#include "tui/actions.def"
#undef ACTION
	N_ACTION,
};

struct action {
	enum action_id id;
	const char *name; /* for scripts, the command line, messages */
	const char *keys; /* names separated by blanks, the first is shown */
	enum action_group group;
	unsigned views;
	const char *hint; /* "" when it is not in the hint bar */
	const char *help;
};

const struct action *action_list(int *n); /* in the order of help */
const struct action *action_get(enum action_id id);
const struct action *action_by_name(const char *name); /* NULL: no such action */
enum action_id action_by_key(int key, unsigned view);  /* ACTION_NONE: the key means nothing there */
const char *action_group_title(enum action_group g);
/* Walks the keys of an action: *at starts at 0; K_NONE at the end. */
int action_next_key(const struct action *a, int *at);

#endif
