/* --help and --version, from the tables. */
#include <stdio.h>
#include <string.h>

#include "analysis/protocol.h"
#include "engine/engine.h"
#include "tui/command/command.h"

enum { COLUMNS = 100, TEXT_COLUMN = 30 };

/* Words of text, filled from column `at` to COLUMNS with further lines indented; ends the line. An empty line parts paragraphs. */
static void print_filled(FILE *out, const char *text, int at, int indent)
{
	bool first = true;
	while (*text) {
		if (text[0] == '\n' && text[1] == '\n') {
			fputs("\n\n", out);
			text += 2;
			at = fprintf(out, "%*s", indent, "");
			first = true;
			continue;
		}
		int n = (int)strcspn(text, " \n");
		if (!first && at + 1 + n > COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
			first = true;
		}
		at += fprintf(out, "%s%.*s", first ? "" : " ", n, text);
		first = false;
		text += n;
		text += *text == ' ';
	}
	fputc('\n', out);
}

/* "-n, --tokens TOKENS" */
static void spell_option(enum option_id id, char *out, size_t size)
{
	const struct option_info *o = &option_table[id];
	char letter[5] = "    ";
	if (o->letter)
		snprintf(letter, sizeof letter, "-%c, ", o->letter);
	snprintf(out, size, "%s--%s%s%s", letter, o->name, o->argument ? " " : "", o->argument ? o->argument : "");
}

/* The option's help with its default. */
static void spell_option_help(enum option_id id, char *out, size_t size)
{
	const struct option_info *o = &option_table[id];
	snprintf(out, size, "%s%s%s%s", o->help, o->initial ? " (default " : "", o->initial ? o->initial : "", o->initial ? ")" : "");
}

static void print_option(FILE *out, enum option_id id)
{
	char text[400];
	spell_option(id, text, sizeof text);
	int at = fprintf(out, "  %s", text);
	if (at + 2 > TEXT_COLUMN) {
		fputc('\n', out);
		at = 0;
	}
	at += fprintf(out, "%*s", TEXT_COLUMN - at, "");
	spell_option_help(id, text, sizeof text);
	print_filled(out, text, at, TEXT_COLUMN);
}

static void print_options(FILE *out, enum command_id command)
{
	int group = -1;
	for (int id = 0; id < N_OPTION; id++) {
		const struct option_info *o = &option_table[id];
		if (!(o->commands & (1u << command)))
			continue;
		if ((int)o->group != group)
			fprintf(out, "\n%s\n", option_group_title[group = (int)o->group]);
		print_option(out, id);
	}
}

/* One name of a filled list; returns the column after it. */
static int print_item(FILE *out, const char *name, int at, bool last)
{
	if (at + (int)strlen(name) + 1 > COLUMNS)
		at = fprintf(out, "\n  ") - 1;
	return at + fprintf(out, "%s%s", name, last ? "\n" : ", ");
}

static void print_method_names(FILE *out)
{
	int n, at = 2;
	fputs("\nNames of methods\n  ", out);
	const struct method *list = method_list(&n);
	for (int i = 0; i < n; i++)
		at = print_item(out, list[i].name, at, i + 1 == n);
}

static void print_preset_names(FILE *out)
{
	int n, at = 2;
	fputs("\nNames of presets (kvglass(1) states every switch)\n  ", out);
	const struct preset *list = preset_list(&n);
	for (int i = 0; i < n; i++)
		at = print_item(out, list[i].name, at, i + 1 == n);
}

void help_command(FILE *out, enum command_id command)
{
	const struct command_info *c = &command_table[command];
	fprintf(out, "usage: kvglass %s %s\n\n", c->name, c->arguments);
	print_filled(out, c->description, 0, 0);
	print_options(out, command);
	if (option_table[OPT_methods].commands & (1u << command) || option_table[OPT_method].commands & (1u << command))
		print_method_names(out);
	if (option_table[OPT_preset].commands & (1u << command))
		print_preset_names(out);
}

void help_program(FILE *out)
{
	fputs("kvglass " KVGLASS_VERSION ": a looking glass for KV caches\n\n"
		"usage: kvglass                    the start screen: pick a model, a prompt, a saved capture\n"
		"       kvglass COMMAND [word]...\n\n",
		out);
	for (int i = 0; i < N_COMMAND; i++) {
		const struct command_info *c = &command_table[i];
		fprintf(out, "  %-10s%s\n", c->name, c->summary);
	}
	fputs("\nkvglass COMMAND --help lists a command's options; kvglass(1) has definitions, file formats and examples.\n"
		"Exit status: 0 done, 1 failed, 2 wrong use.\n",
		out);
}

void help_version(FILE *out)
{
	const struct engine_build *build = engine_build();
	fprintf(out, "kvglass %s\n%s\nsimd: %s\ncuda: %s", KVGLASS_VERSION, build->matmul, build->simd, build->cuda ? build->cuda : "no");
	if (build->cuda)
		fprintf(out, " (%s and later)", build->cuda_code);
	putc('\n', out);
}
