/* kvglass completion: a script with which a shell completes commands, options and their words. Written from the tables. */
#include <string.h>

#include "analysis/protocol.h"
#include "tui/command/command.h"

static int check(const struct options *o, struct err *e)
{
	if (!strcmp(o->argument[0], "bash"))
		return 0;
	return err_set(e, ERR_USE, "%.60s: bash is the shell that this is written for", o->argument[0]);
}

static void print_options(enum command_id command)
{
	for (int id = 0; id < N_OPTION; id++)
		if (option_table[id].commands & (1u << command))
			printf(" --%s", option_table[id].name);
}

/* Words that an option's value can be; false: anything, as files. */
static bool print_words(enum option_id id)
{
	const struct option_info *o = &option_table[id];
	int n;
	if (o->type == OPTION_CHOICE || o->type == OPTION_DEVICE) {
		for (const char *c = o->argument; *c; c++)
			putchar(*c == '|' ? ' ' : *c);
	} else if (id == OPT_preset) {
		const struct preset *list = preset_list(&n);
		for (int i = 0; i < n; i++)
			printf("%s%s", i ? " " : "", list[i].name);
	} else if (id == OPT_methods || id == OPT_method) {
		const struct method *list = method_list(&n);
		for (int i = 0; i < n; i++)
			printf("%s%s", i ? " " : "", list[i].name);
	} else {
		return false;
	}
	return true;
}

static bool has_words(enum option_id id)
{
	return option_table[id].type == OPTION_CHOICE || option_table[id].type == OPTION_DEVICE || id == OPT_preset ||
		id == OPT_methods || id == OPT_method;
}

static void print_values(enum command_id command)
{
	for (int id = 0; id < N_OPTION; id++) {
		const struct option_info *o = &option_table[id];
		if (!(o->commands & (1u << command)) || !has_words((enum option_id)id))
			continue;
		printf("\t'%s --%s'", command_table[command].name, o->name);
		if (o->letter)
			printf(" | '%s -%c'", command_table[command].name, o->letter);
		fputs(") words='", stdout);
		print_words((enum option_id)id);
		fputs("' ;;\n", stdout);
	}
}

static int run(const struct options *o, struct err *e)
{
	(void)o;
	(void)e;
	fputs("# bash completion for kvglass, written by: kvglass completion bash\n"
		"_kvglass()\n{\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=view words=\n"
		"\tCOMPREPLY=()\n"
		"\tif [ \"$cur\" = = ]; then cur=; elif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
		"\tcase ${COMP_WORDS[1]} in", stdout);
	for (int i = 0; i < N_COMMAND; i++)
		printf("%s%s", i ? "|" : " ", command_table[i].name);
	fputs(") [ \"$COMP_CWORD\" -gt 1 ] && command=${COMP_WORDS[1]} ;; esac\n"
		"\tcase \"$command $prev\" in\n", stdout);
	for (int i = 0; i < N_COMMAND; i++)
		print_values((enum command_id)i);
	fputs("\t*)\n\t\tcase $cur in\n\t\t-*)\n\t\t\tcase $command in\n", stdout);
	for (int i = 0; i < N_COMMAND; i++) {
		printf("\t\t\t%s) words='", command_table[i].name);
		print_options((enum command_id)i);
		fputs("' ;;\n", stdout);
	}
	fputs("\t\t\tesac ;;\n\t\t*) [ \"$COMP_CWORD\" = 1 ] && words='", stdout);
	for (int i = 0; i < N_COMMAND; i++)
		printf("%s%s", i ? " " : "", command_table[i].name);
	fputs("' ;;\n\t\tesac ;;\n\tesac\n"
		"\t[ -z \"$words\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
		"complete -o bashdefault -o default -F _kvglass kvglass\n", stdout);
	return 0;
}

const struct command command_completion = {.check = check, .run = run};
