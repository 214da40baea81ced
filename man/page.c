/* Writes kvglass(1): the template man/kvglass.1.in with the tables of commands, options, keys, methods and presets filled in.
 *
 *     page TEMPLATE > kvglass.1
 *
 * Lines of the template that are exactly @commands@, @options@, @keys@, @typed@, @methods@ or @presets@ are replaced by the table,
 * @version@ anywhere by the version.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/protocol.h"
#include "tui/action.h"
#include "tui/command/options.h"
#include "tui/typed.h"

/* roff: a leading dot or quote is a request, a backslash an escape, and an option's hyphen a minus sign. */
static void print_text(const char *text)
{
	bool line_start = true;
	for (; *text; text++) {
		if (text[0] == '\n' && text[1] == '\n') {
			fputs("\n.PP\n", stdout);
			text++;
			line_start = true;
			continue;
		}
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
		line_start = *text == '\n';
	}
}

static void print_commands(void)
{
	for (int i = 0; i < N_COMMAND; i++) {
		const struct command_info *c = &command_table[i];
		fputs(".SS \"kvglass ", stdout);
		printf("%s ", c->name);
		print_text(c->arguments);
		fputs("\"\n", stdout);
		print_text(c->description);
		putchar('\n');
	}
}

static void print_option_commands(const struct option_info *o)
{
	if (o->commands == IN_EVERY)
		return;
	const char *before = " (";
	for (int i = 0; i < N_COMMAND; i++) {
		if (o->commands & (1u << i)) {
			printf("%s\\fB%s\\fR", before, command_table[i].name);
			before = ", ";
		}
	}
	putchar(')');
}

static void print_option(const struct option_info *o)
{
	fputs(".TP\n", stdout);
	if (o->letter)
		printf("\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", stdout);
	print_text(o->name);
	fputs("\\fR", stdout);
	if (o->argument) {
		bool words = o->type == OPTION_CHOICE || o->type == OPTION_DEVICE;
		fputs(words ? " " : " \\fI", stdout);
		print_text(o->argument);
		fputs(words ? "" : "\\fR", stdout);
	}
	putchar('\n');
	print_text(o->help);
	if (o->initial)
		printf("; default \\fB"), print_text(o->initial), printf("\\fR");
	print_option_commands(o);
	fputs(".\n", stdout);
}

static void print_options(void)
{
	int group = -1;
	for (int id = 0; id < N_OPTION; id++) {
		if ((int)option_table[id].group != group) {
			group = (int)option_table[id].group;
			printf(".SS %s\n", option_group_title[group]);
		}
		print_option(&option_table[id]);
	}
}

/* Every view's keys in one list, as the help screen groups them. */
static void print_keys(void)
{
	int n, group = -1;
	const struct action *list = action_list(&n);
	for (int i = 0; i < n; i++) {
		if ((int)list[i].group != group) {
			group = (int)list[i].group;
			printf(".SS %s\n", action_group_title(list[i].group));
		}
		fputs(".TP\n.B \"", stdout);
		print_text(list[i].keys);
		fputs("\"\n", stdout);
		print_text(list[i].help);
		fputs(" (", stdout);
		print_text(list[i].name);
		fputs(").\n", stdout);
	}
}

static void print_typed(void)
{
	int n;
	const struct typed *list = typed_list(&n);
	for (int i = 0; i < n; i++) {
		fputs(".TP\n.B \":", stdout);
		print_text(list[i].name);
		putchar(' ');
		print_text(list[i].argument);
		fputs("\"\n", stdout);
		print_text(list[i].help);
		fputs(".\n", stdout);
	}
}

static void print_methods(void)
{
	int n;
	const struct method *list = method_list(&n);
	for (int i = 0; i < n; i++) {
		printf(".TP\n.B ");
		print_text(list[i].name);
		putchar('\n');
		print_text(list[i].label);
		if (list[i].source) {
			fputs(": ", stdout);
			print_text(list[i].source);
		}
		fputs(list[i].on_request ? "; only when it is named.\n" : ".\n", stdout);
	}
}

/* Every switch is stated: papers' settings differ in more than their names tell. */
static void print_presets(void)
{
	int n;
	const struct preset *list = preset_list(&n);
	for (int i = 0; i < n; i++) {
		char switches[400];
		protocol_describe(&list[i].protocol, switches, sizeof switches);
		printf(".TP\n.B ");
		print_text(list[i].name);
		printf("\nscores from \\fB%s\\fR: ", list[i].map ? list[i].map : "recency");
		print_text(switches);
		fputs(";\n", stdout);
		print_text(list[i].note);
		fputs(" (", stdout);
		print_text(list[i].source);
		fputs(").\n", stdout);
	}
}

static void print_line(const char *line)
{
	const char *mark;
	while ((mark = strstr(line, "@version@"))) {
		printf("%.*s%s", (int)(mark - line), line, KVGLASS_VERSION);
		line = mark + strlen("@version@");
	}
	fputs(line, stdout);
}

int main(int argc, char **argv)
{
	FILE *template = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (!template) {
		fprintf(stderr, "usage: page TEMPLATE\n");
		return 2;
	}
	char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, template) > 0) {
		if (!strcmp(line, "@commands@\n"))
			print_commands();
		else if (!strcmp(line, "@options@\n"))
			print_options();
		else if (!strcmp(line, "@keys@\n"))
			print_keys();
		else if (!strcmp(line, "@typed@\n"))
			print_typed();
		else if (!strcmp(line, "@methods@\n"))
			print_methods();
		else if (!strcmp(line, "@presets@\n"))
			print_presets();
		else
			print_line(line);
	}
	free(line);
	fclose(template);
	return fflush(stdout) || ferror(stdout);
}
