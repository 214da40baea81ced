/* The configuration file: what it sets, what it says about lines it does not understand, and how it is written back. */
#include "tui/command/config.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

struct heard {
	char text[1000];
};

static void hear(void *user, const char *text)
{
	struct heard *h = user;
	size_t n = strlen(h->text);
	snprintf(h->text + n, sizeof h->text - n, "%s\n", text);
}

static void read_config(struct options *o, char *text, struct heard *h)
{
	const struct config_ear ear = {hear, h};
	*h = (struct heard){0};
	config_apply(o, text, &ear);
}

TEST(config, the_command_line_comes_first_then_the_file_then_the_default)
{
	char text[] = "# a comment\n pool = max \nkernel=9\nmodel = /a path/with blanks.gguf\r\nbudget = 300";
	char kernel[] = "--kernel", five[] = "5", *words[] = {kernel, five};
	struct options o;
	struct heard h;
	struct err e;
	CHECK_INT(options_parse(&o, COMMAND_VIEW, 2, words, 0, &e), 0);
	read_config(&o, text, &h);
	CHECK_STR(h.text, "");
	CHECK_INT(o.pool, 2);
	CHECK_INT(o.kernel, 5);
	CHECK_INT(o.budget, 300);
	CHECK_STR(o.model, "/a path/with blanks.gguf");
	CHECK_INT(o.sink, 4);
	CHECK(!o.given[OPT_pool] && o.configured[OPT_pool] && !o.configured[OPT_kernel] && !o.configured[OPT_sink]);
	options_free(&o);
}

TEST(config, lines_that_are_not_understood_are_named_and_change_nothing)
{
	char text[] = "pool = mox\nbugdet = 3\njust words\n\nsink = -1\nkernel = 7\n";
	struct options o;
	struct heard h;
	struct err e;
	CHECK_INT(options_parse(&o, COMMAND_VIEW, 0, NULL, 0, &e), 0);
	read_config(&o, text, &h);
	CHECK_STR(h.text, "line 1: pool mox: not one of none|avg|max\nline 2: bugdet: no such setting; did you mean budget?\n"
		"line 3: not of the form name = value\nline 5: sink -1: must be 0 or more\n");
	CHECK(o.pool == 0 && o.sink == 4);
	options_free(&o);
}

TEST(config, the_default_file_sets_nothing_and_names_every_setting)
{
	struct options o;
	struct heard h;
	struct err e;
	char *text, name[80];
	size_t n;
	FILE *out = open_memstream(&text, &n);
	config_write_default(out);
	fclose(out);
	for (int id = 0; id < N_OPTION; id++) {
		if (!(option_table[id].commands & KEPT))
			continue;
		snprintf(name, sizeof name, "\n# %s = ", option_table[id].name);
		CHECK(strstr(text, name) != NULL);
	}
	CHECK_INT(options_parse(&o, COMMAND_VIEW, 0, NULL, 0, &e), 0);
	read_config(&o, text, &h);
	CHECK_STR(h.text, "");
	for (int id = 0; id < N_OPTION; id++)
		CHECK(!o.configured[id]);
	options_free(&o);
	free(text);
}

TEST(config, writing_changes_its_own_lines_and_no_others)
{
	static const char before[] = "# mine\nfuture-setting = 1\npool = avg\n# how many\n# sink = 4\nkernel = 9\nbroken line\nseed = 5";
	static const bool changed[N_OPTION] = {[OPT_pool] = true, [OPT_sink] = true, [OPT_kernel] = true, [OPT_budget] = true};
	struct options o;
	struct err e;
	char *after;
	CHECK_INT(options_parse(&o, COMMAND_VIEW, 0, NULL, 0, &e), 0);
	CHECK_INT(options_set(&o, OPT_pool, "max", &e), 0);
	CHECK_INT(options_set(&o, OPT_sink, "8", &e), 0);
	CHECK_INT(options_set(&o, OPT_budget, "200", &e), 0);
	CHECK_INT(options_set(&o, OPT_kernel, NULL, &e), 0); /* back to the default */
	CHECK_INT(config_merge(&after, before, &o, changed, &e), 0);
	CHECK_STR(after, "# mine\nfuture-setting = 1\npool = max\n# how many\n# sink = 4\nsink = 8\n# kernel = 9\nbroken line\n"
		"seed = 5\nbudget = 200\n");
	free(after);
	options_free(&o);
}
