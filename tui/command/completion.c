/* kvglass completion: a script with which a shell completes commands, options and their words. Written from the tables. */
#include <string.h>

#include "analysis/protocol.h"
#include "engine/engine.h"
#include "engine/lookahead.h"
#include "engine/random_model.h"
#include "export/figure.h"
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

/* ---- words that an option's value can be: the index-th, NULL behind the last ---- */

static const char *method_word(int index)
{
	int n;
	const struct method *list = method_list(&n);
	return index < n ? list[index].name : NULL;
}

static const char *preset_word(int index)
{
	int n;
	const struct preset *list = preset_list(&n);
	return index < n ? list[index].name : NULL;
}

static const char *venue_word(int index)
{
	int n;
	const char *const *list = figure_venues(&n);
	return index < n ? list[index] : NULL;
}

static const char *projection_word(int index)
{
	return index < N_PROJ ? projection_name(index) : NULL;
}

/* Any number is allowed; these are what papers report. */
static const char *budget_word(int index)
{
	static const char *const word[] = {"64", "128", "256", "512", "1024", "2048"};
	return index < (int)(sizeof word / sizeof *word) ? word[index] : NULL;
}

typedef const char *word_source(int index);

static word_source *source_of(enum option_id id)
{
	switch ((int)id) {
	case OPT_methods:
	case OPT_method:
	case OPT_evict: return method_word;
	case OPT_preset: return preset_word;
	case OPT_venue: return venue_word;
	case OPT_targets:
	case OPT_lora_off: return projection_word;
	case OPT_budget:
	case OPT_budgets: return budget_word;
	case OPT_synthetic: return random_model_name;
	default: return NULL;
	}
}

static void print_words(enum option_id id)
{
	const struct option_info *o = &option_table[id];
	word_source *word = source_of(id);
	if (word) {
		for (int i = 0; word(i); i++)
			printf("%s%s", i ? " " : "", word(i));
		return;
	}
	for (const char *c = o->argument; *c; c++)
		putchar(*c == '|' ? ' ' : *c);
}

static bool has_words(enum option_id id)
{
	return option_table[id].type == OPTION_CHOICE || option_table[id].type == OPTION_DEVICE || source_of(id);
}

/* What stands behind the option: list says that commas separate several of them. */
static void print_values(enum command_id command)
{
	for (int id = 0; id < N_OPTION; id++) {
		const struct option_info *o = &option_table[id];
		bool is_list = o->type == OPTION_TEXTS || o->type == OPTION_WHOLES, words = has_words((enum option_id)id);
		if (!(o->commands & (1u << command)) || !(words || o->type == OPTION_TEXTS))
			continue;
		printf("\t'%s --%s'", command_table[command].name, o->name);
		if (o->letter)
			printf(" | '%s -%c'", command_table[command].name, o->letter);
		printf(") %s", is_list ? words ? "list=words " : "list=files " : "");
		if (words) {
			fputs("words='", stdout);
			print_words((enum option_id)id);
			fputs("' ", stdout);
		}
		fputs(";;\n", stdout);
	}
}

/* ---- the script ---- */

/* The word at the cursor, the one before it ("=" stands as a word of its own), and the command. */
static void print_beginning(void)
{
	fputs("# bash completion for kvglass, written by: kvglass completion bash\n"
		"_kvglass()\n{\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=view words= list= head= word\n"
		"\tCOMPREPLY=()\n"
		"\tif [ \"$cur\" = = ]; then cur=; elif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
		"\tcase ${COMP_WORDS[1]} in", stdout);
	for (int i = 0; i < N_COMMAND; i++)
		printf("%s%s", i ? "|" : " ", command_table[i].name);
	fputs(") [ \"$COMP_CWORD\" -gt 1 ] && command=${COMP_WORDS[1]} ;; esac\n", stdout);
}

static void print_choice(void)
{
	fputs("\tcase \"$command $prev\" in\n", stdout);
	for (int i = 0; i < N_COMMAND; i++)
		print_values((enum command_id)i);
	fputs("\t'completion completion') words=bash ;;\n"
		"\t*)\n\t\tcase $cur in\n\t\t-*)\n\t\t\tcase $command in\n", stdout);
	for (int i = 0; i < N_COMMAND; i++) {
		printf("\t\t\t%s) words='", command_table[i].name);
		print_options((enum command_id)i);
		fputs("' ;;\n", stdout);
	}
	fputs("\t\t\tesac ;;\n\t\t*) [ \"$COMP_CWORD\" = 1 ] && words='", stdout);
	for (int i = 0; i < N_COMMAND; i++)
		printf("%s%s", i ? " " : "", command_table[i].name);
	fputs("' ;;\n\t\tesac ;;\n\tesac\n", stdout);
}

/* Of a list the last item is completed, to a word that is not in it yet; no blank follows, as another comma may. */
static void print_ending(void)
{
	fputs("\tif [ \"$list\" ]; then\n"
		"\t\tcompopt -o nospace\n"
		"\t\tcase $cur in *,*) head=${cur%,*}, cur=${cur##*,} ;; esac\n"
		"\tfi\n"
		"\tif [ \"$list\" = files ]; then\n"
		"\t\twhile IFS= read -r word; do\n"
		"\t\t\t[ ! -d \"$word\" ] || word+=/\n"
		"\t\t\tprintf -v word '%s%q' \"$head\" \"$word\"\n"
		"\t\t\tCOMPREPLY+=(\"$word\")\n"
		"\t\tdone < <(compgen -f -- \"$cur\")\n"
		"\telif [ \"$words\" ]; then\n"
		"\t\tfor word in $(compgen -W \"$words\" -- \"$cur\"); do\n"
		"\t\t\tcase ,$head in *,\"$word\",*) ;; *) COMPREPLY+=(\"$head$word\") ;; esac\n"
		"\t\tdone\n"
		"\tfi\n"
		"}\n"
		"complete -o bashdefault -o default -F _kvglass kvglass\n", stdout);
}

static int run(const struct options *o, struct err *e)
{
	(void)o;
	(void)e;
	print_beginning();
	print_choice();
	print_ending();
	return 0;
}

const struct command command_completion = {.check = check, .run = run};
