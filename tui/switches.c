#include "tui/switches.h"

#include <stdlib.h>
#include <string.h>

#include "tui/command/nearest.h"

static const enum option_id of_protocol[] = {OPT_preset, OPT_group, OPT_pool, OPT_kernel, OPT_sink, OPT_window};
enum { N_OF_PROTOCOL = sizeof of_protocol / sizeof *of_protocol };

int switches_open(struct switches *l, const struct options *words, struct err *e)
{
	*l = (struct switches){.owns_words = words == NULL};
	if (!words)
		return options_parse(&l->now, COMMAND_VIEW, 0, NULL, 0, e);
	l->now = *words;
	return 0;
}

void switches_close(struct switches *l)
{
	for (int id = 0; id < N_OPTION; id++)
		free(l->text[id]);
	if (l->owns_words)
		options_free(&l->now);
	*l = (struct switches){0};
}

/* Another preset states every switch anew. */
static void forget_switches(struct switches *l)
{
	struct err e;
	for (int i = 0; i < N_OF_PROTOCOL; i++) {
		if (of_protocol[i] == OPT_preset)
			continue;
		l->now.configured[of_protocol[i]] = false;
		options_set(&l->now, of_protocol[i], NULL, &e); /* a default is never refused */
		l->changed[of_protocol[i]] = true;
	}
}

int switches_set(struct switches *l, enum option_id id, const char *value, struct err *e)
{
	struct options before = l->now;
	char *copy = value && *value ? strdup(value) : NULL;
	if (value && *value && !copy)
		return err_set(e, ERR_MEMORY, "%s: out of memory", option_table[id].name);
	if (copy && id == OPT_preset && !strcmp(copy, "none")) {
		free(copy);
		copy = NULL;
	}
	if (id == OPT_preset)
		forget_switches(l);
	int rc = options_set(&l->now, id, copy, e);
	if (rc) {
		struct err value_error = *e;
		err_set(e, value_error.code, "%s %s", option_table[id].name, value_error.text);
	} else {
		rc = settings_check(&l->now, e);
	}
	if (rc) {
		l->now = before;
		free(copy);
		return rc;
	}
	l->now.configured[id] = false;
	l->changed[id] = true;
	free(l->text[id]);
	l->text[id] = copy;
	return 0;
}

static int unknown(const char *name, struct err *e)
{
	struct nearest near = nearest_begin(name, strlen(name));
	char hint[80];
	for (int id = 0; id < N_OPTION; id++)
		if (option_table[id].commands & KEPT)
			nearest_offer(&near, option_table[id].name);
	nearest_hint(&near, "", hint, sizeof hint);
	return err_set(e, ERR_USE, "%.60s: no such setting%s", name, hint);
}

int switches_set_named(struct switches *l, const char *name, const char *value, enum option_id *id, struct err *e)
{
	enum option_id found = option_kept(name, strlen(name));
	if (found == N_OPTION)
		return unknown(name, e);
	if (id)
		*id = found;
	return switches_set(l, found, value, e);
}

bool switches_is_protocol(enum option_id id)
{
	for (int i = 0; i < N_OF_PROTOCOL; i++)
		if (of_protocol[i] == id)
			return true;
	return false;
}

struct protocol switches_protocol(const struct switches *l)
{
	return settings_protocol(&l->now);
}

const struct preset *switches_preset(struct switches *l)
{
	const struct protocol p = switches_protocol(l);
	return settings_preset(l->now.preset, &p, &l->preset);
}

struct measure_options switches_measure(struct switches *l)
{
	return settings_measure(&l->now, l->method);
}
