#include "tui/command/config.h"

#include <stdlib.h>
#include <string.h>

#include "tui/command/nearest.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

struct pair { /* of one line; name NULL: none */
	const char *name, *value;
	size_t n_name, n_value;
};

/* "  name = value  " taken apart; the value may hold blanks. An empty value is one. */
static struct pair take_apart(const char *line, size_t n)
{
	const char *end = line + n, *equals = memchr(line, '=', n);
	struct pair p = {0};
	while (line < end && is_blank(*line))
		line++;
	if (!equals || equals < line)
		return p;
	p.name = line;
	for (p.n_name = (size_t)(equals - line); p.n_name && is_blank(line[p.n_name - 1]);)
		p.n_name--;
	p.value = equals + 1;
	while (p.value < end && is_blank(*p.value))
		p.value++;
	for (p.n_value = (size_t)(end - p.value); p.n_value && is_blank(p.value[p.n_value - 1]);)
		p.n_value--;
	return p;
}

static char first_char(const char *line, size_t n)
{
	size_t i = 0;
	while (i < n && is_blank(line[i]))
		i++;
	return i < n ? line[i] : '\0';
}

/* ---- reading ---- */

static void hint_at(const struct pair *p, char *out, size_t size)
{
	struct nearest near = nearest_begin(p->name, p->n_name);
	for (int id = 0; id < N_OPTION; id++)
		if (option_table[id].commands & KEPT)
			nearest_offer(&near, option_table[id].name);
	nearest_hint(&near, "", out, size);
}

static void take_line(struct options *o, char *line, size_t n, int number, const struct config_ear *ear)
{
	struct pair p = take_apart(line, n);
	char said[600], hint[80];
	struct err e;
	if (!p.name || !p.n_name) {
		snprintf(said, sizeof said, "line %d: not of the form name = value", number);
		ear->hear(ear->user, said);
		return;
	}
	enum option_id id = option_kept(p.name, p.n_name);
	if (id == N_OPTION) {
		hint_at(&p, hint, sizeof hint);
		snprintf(said, sizeof said, "line %d: %.*s: no such setting%s", number, (int)(p.n_name < 60 ? p.n_name : 60), p.name, hint);
		ear->hear(ear->user, said);
		return;
	}
	line[(size_t)(p.value - line) + p.n_value] = '\0';
	if (o->given[id])
		return; /* the command line comes first */
	if (options_set(o, id, p.n_value ? p.value : NULL, &e)) {
		snprintf(said, sizeof said, "line %d: %s %s", number, option_table[id].name, e.text);
		ear->hear(ear->user, said);
	} else {
		o->given[id] = false;
		o->configured[id] = p.n_value > 0;
	}
}

void config_apply(struct options *o, char *text, const struct config_ear *ear)
{
	for (int number = 1; *text; number++) {
		size_t n = strcspn(text, "\n");
		bool last = !text[n];
		char first = first_char(text, n);
		if (first && first != '#')
			take_line(o, text, n, number, ear);
		if (last)
			return;
		text += n + 1;
	}
}

/* ---- writing ---- */

/* The option's help on lines of a readable width. */
static void write_help(FILE *out, const struct option_info *info)
{
	enum { COLUMNS = 76 };
	int at = fprintf(out, "#");
	for (const char *word = info->help; *word;) {
		int n = (int)strcspn(word, " ");
		if (at + 1 + n > COLUMNS) {
			fputs("\n#", out);
			at = 1;
		}
		at += fprintf(out, " %.*s", n, word);
		word += n;
		word += strspn(word, " ");
	}
	fputc('\n', out);
	if (info->type == OPTION_CHOICE || info->type == OPTION_DEVICE)
		fprintf(out, "# one of: %s\n", info->argument);
}

void config_write_default(FILE *out)
{
	int group = -1;
	fputs("# Settings of the interactive program. Remove the # of a line to change what it says.\n"
		"# The command line comes first, then this file, then the environment (NO_COLOR, COLORTERM), then the defaults below.\n"
		"# :set changes a setting while the program runs, :write-config keeps it here.\n", out);
	for (int id = 0; id < N_OPTION; id++) {
		const struct option_info *info = &option_table[id];
		if (!(info->commands & KEPT))
			continue;
		if ((int)info->group != group)
			fprintf(out, "\n# ---- %s ----\n", option_group_title[group = (int)info->group]);
		fputc('\n', out);
		write_help(out, info);
		fprintf(out, "# %s = %s\n", info->name, info->initial ? info->initial : "");
	}
}

static void write_setting(FILE *out, const struct options *o, enum option_id id)
{
	char value[4200];
	options_say(o, id, value, sizeof value);
	fprintf(out, "%s = %s\n", option_table[id].name, value);
}

/* The setting a line speaks of: active, or commented out. */
static enum option_id line_setting(const char *line, size_t n, bool *active)
{
	char first = first_char(line, n);
	const char *from = line;
	*active = first != '#';
	if (!*active)
		from = (const char *)memchr(line, '#', n) + 1;
	struct pair p = take_apart(from, n - (size_t)(from - line));
	return p.name ? option_kept(p.name, p.n_name) : N_OPTION;
}

static void find_active(const char *text, bool present[N_OPTION])
{
	bool active;
	while (*text) {
		size_t n = strcspn(text, "\n");
		enum option_id id = n ? line_setting(text, n, &active) : N_OPTION;
		if (id != N_OPTION && active)
			present[id] = true;
		text += n + (text[n] == '\n');
	}
}

static void merge_line(FILE *out, const char *line, size_t n, const struct options *o, const bool changed[N_OPTION],
	bool written[N_OPTION], const bool present[N_OPTION])
{
	bool active = false;
	enum option_id id = n ? line_setting(line, n, &active) : N_OPTION;
	if (id == N_OPTION || !changed[id]) {
		fprintf(out, "%.*s\n", (int)n, line);
	} else if (active && !o->given[id]) {
		fprintf(out, "# %.*s\n", (int)n, line);
	} else if (active) {
		write_setting(out, o, id);
		written[id] = true;
	} else {
		fprintf(out, "%.*s\n", (int)n, line);
		if (o->given[id] && !present[id] && !written[id]) {
			write_setting(out, o, id); /* under the line that explains it */
			written[id] = true;
		}
	}
}

int config_merge(char **out, const char *before, const struct options *o, const bool changed[N_OPTION], struct err *e)
{
	bool present[N_OPTION] = {false}, written[N_OPTION] = {false};
	size_t size;
	FILE *text = open_memstream(out, &size);
	if (!text)
		return err_set(e, ERR_MEMORY, "no memory for the configuration file");
	find_active(before, present);
	for (const char *line = before; *line;) {
		size_t n = strcspn(line, "\n");
		merge_line(text, line, n, o, changed, written, present);
		line += n + (line[n] == '\n');
	}
	for (int id = 0; id < N_OPTION; id++)
		if (changed[id] && o->given[id] && !written[id])
			write_setting(text, o, (enum option_id)id);
	bool failed = ferror(text);
	if (fclose(text) || failed) {
		free(*out);
		*out = NULL;
		return err_set(e, ERR_MEMORY, "no memory for the configuration file");
	}
	return 0;
}
