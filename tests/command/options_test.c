#include "tui/command/options.h"

#include <string.h>

#include "tests/support/test.h"
#include "tui/command/nearest.h"

/* Parses words after "kvglass COMMAND"; they end with NULL. */
static int parse(struct options *o, struct err *e, enum command_id command, const char *const *words)
{
	char *argv[32] = {(char *)"kvglass", (char *)command_table[command].name};
	int argc = 2;
	for (; *words; words++)
		argv[argc++] = (char *)*words;
	return options_parse(o, command, argc, argv, 2, e);
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_refused(enum command_id command, const char *const *words, const char *text, const char *file, int line)
{
	struct options o;
	struct err e = {0};
	if (parse(&o, &e, command, words) == 0) {
		test_fail(file, line, "accepted %s", words[0]);
		options_free(&o);
	} else if (e.code != ERR_USE || strcmp(e.text, text)) {
		test_fail(file, line, "\"%s\" (code %d), not \"%s\"", e.text, (int)e.code, text);
	}
}
#define CHECK_REFUSED(command, text, ...) check_refused((command), WORDS(__VA_ARGS__), (text), __FILE__, __LINE__)

TEST(options, defaults_are_those_of_the_table)
{
	struct options o;
	struct err e;
	CHECK_INT(parse(&o, &e, COMMAND_EXPORT, WORDS("x.kvg")), 0);
	CHECK_INT(o.budget, 128);
	CHECK_INT(o.dpi, 300);
	CHECK_INT(o.sink, 4);
	CHECK_INT(o.window, 32);
	CHECK_INT(o.layer, -1);
	CHECK_INT(o.figure, -1);
	CHECK(o.width < 0);
	CHECK(!o.reproduce && !o.anonymous && !o.method.n);
	CHECK_INT(o.lengths.n, 2);
	CHECK_INT(o.lengths.item[1], 2048);
	CHECK(!GIVEN(&o, budget));
	CHECK_INT(o.n_argument, 1);
	options_free(&o);
}

TEST(options, every_way_to_write_a_value)
{
	static const char *const ways[][4] = {
		{"--tokens", "17", NULL}, {"--tokens=17", NULL}, {"-n", "17", NULL}, {"-n17", NULL}, {"-qn", "17", NULL}, {"-qn17", NULL}};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		struct options o;
		struct err e = {0};
		CHECK_INT(parse(&o, &e, COMMAND_RUN, ways[i]), 0);
		CHECK_INT(o.tokens, 17);
		CHECK(GIVEN(&o, tokens));
		CHECK_INT(o.quiet, i >= 4);
		options_free(&o);
	}
}

TEST(options, every_type)
{
	struct options o;
	struct err e = {0};
	CHECK_INT(parse(&o, &e, COMMAND_EXPORT,
		WORDS("--width", "3.25", "a.kvg", "--figure=curves", "--method", "truth,snapkv", "--range", "10:20", "--anonymous")), 0);
	CHECK_NEAR(o.width, 3.25, 0);
	CHECK_INT(o.figure, 2);
	CHECK_INT(o.method.n, 2);
	CHECK_STR(o.method.item[1], "snapkv");
	CHECK_INT(o.range.first, 10);
	CHECK_INT(o.range.second, 20);
	CHECK(o.anonymous);
	options_free(&o);
	CHECK_INT(parse(&o, &e, COMMAND_COMPARE, WORDS("a.kvg", "--json", "b.kvg", "--", "--odd name", "-")), 0);
	CHECK_INT(o.n_argument, 4);
	CHECK_STR(o.argument[2], "--odd name");
	CHECK_STR(o.argument[3], "-");
	options_free(&o);
	CHECK_INT(parse(&o, &e, COMMAND_RUN, WORDS("--device", "cuda:3", "--budget", "64,128", "-f", "-")), 0);
	CHECK_INT(o.device.choice, DEVICE_CUDA);
	CHECK_INT(o.device.index, 3);
	CHECK_INT(o.budgets.n, 2);
	CHECK_INT(o.budgets.item[1], 128);
	CHECK_STR(o.file, "-");
	options_free(&o);
	CHECK_INT(parse(&o, &e, COMMAND_VIEW, WORDS("--size", "24x80", "--color", "256")), 0);
	CHECK_INT(o.size.second, 80);
	CHECK_INT(o.color, 2);
	options_free(&o);
}

TEST(options, help_and_version_settle_everything)
{
	struct options o;
	struct err e = {0};
	CHECK_INT(parse(&o, &e, COMMAND_COMPARE, WORDS("--help", "--nonsense")), 0);
	CHECK(o.help);
	options_free(&o);
	CHECK_INT(parse(&o, &e, COMMAND_COMPARE, WORDS("--version")), 0);
	CHECK(o.version);
	options_free(&o);
}

TEST(options, numbers_are_checked)
{
	CHECK_REFUSED(COMMAND_RUN, "--budget abc: not a whole number", "--budget", "abc");
	CHECK_REFUSED(COMMAND_RUN, "--budget 12x: not a whole number", "--budget=12x");
	CHECK_REFUSED(COMMAND_RUN, "--budget +5: not a whole number", "--budget", "+5");
	CHECK_REFUSED(COMMAND_RUN, "--budget  5: not a whole number", "--budget", " 5");
	CHECK_REFUSED(COMMAND_RUN, "--budget 0: must be 1 or more", "--budget", "0");
	CHECK_REFUSED(COMMAND_RUN, "--budget 64,,128: item 2 of the list is empty", "--budget", "64,,128");
	CHECK_REFUSED(COMMAND_RUN, "--budget 64,: item 2 of the list is empty", "--budget", "64,");
	CHECK_REFUSED(COMMAND_RUN, "--budget : item 1 of the list is empty", "--budget=");
	CHECK_REFUSED(COMMAND_RUN, "-n 1.5: not a whole number", "-n", "1.5");
	CHECK_REFUSED(COMMAND_RUN, "-n -1: must be 0 or more", "-n", "-1");
	CHECK_REFUSED(COMMAND_RUN, "--tokens 9999999999: must be 1048576 or less", "--tokens", "9999999999");
	CHECK_REFUSED(COMMAND_RUN, "--tokens 99999999999999999999: must be 1048576 or less", "--tokens", "99999999999999999999");
	CHECK_REFUSED(COMMAND_RUN, "--temperature nan: not a number", "--temperature", "nan");
	CHECK_REFUSED(COMMAND_RUN, "--temperature 0x10: not a number", "--temperature", "0x10");
	CHECK_REFUSED(COMMAND_RUN, "--temperature 1e999: not a number", "--temperature", "1e999");
	CHECK_REFUSED(COMMAND_RUN, "--temperature 101: must be 100 or less", "--temperature", "101");
	CHECK_REFUSED(COMMAND_EXPORT, "--range 5: not of the form FIRST:LAST", "--range", "5");
	CHECK_REFUSED(COMMAND_EXPORT, "--range 1:2:3: not of the form FIRST:LAST", "--range", "1:2:3");
}

TEST(options, words_are_checked)
{
	CHECK_REFUSED(COMMAND_RUN, "--pool mean: not one of none|avg|max", "--pool", "mean");
	CHECK_REFUSED(COMMAND_RUN, "--pool ma: not one of none|avg|max", "--pool", "ma");
	CHECK_REFUSED(COMMAND_RUN, "--pool none|avg: not one of none|avg|max", "--pool", "none|avg");
	CHECK_REFUSED(COMMAND_RUN, "--device gpu: not one of auto|cpu|cuda or cuda:N", "--device", "gpu");
	CHECK_REFUSED(COMMAND_RUN, "--device cuda:x: not one of auto|cpu|cuda or cuda:N", "--device", "cuda:x");
	CHECK_REFUSED(COMMAND_RUN, "--bugdet: unknown option; did you mean --budget?", "--bugdet", "5");
	CHECK_REFUSED(COMMAND_RUN, "--xyzzy: unknown option", "--xyzzy");
	CHECK_REFUSED(COMMAND_RUN, "--: unknown option", "--=5");
	CHECK_REFUSED(COMMAND_RUN, "-z: unknown option", "-z");
	CHECK_REFUSED(COMMAND_RUN, "--figure belongs to export, not to run", "--figure", "curves");
	CHECK_REFUSED(COMMAND_RUN, "--json takes no value", "--json=yes");
	CHECK_REFUSED(COMMAND_RUN, "--budget needs a value: LIST", "--budget");
	CHECK_REFUSED(COMMAND_RUN, "-n needs a value: TOKENS, and --json is an option (--tokens=--json if it was meant)", "-n", "--json");
	CHECK_REFUSED(COMMAND_RUN, "-n given twice", "--tokens=5", "-n", "6");
	CHECK_REFUSED(COMMAND_RUN, "a.txt: unexpected word; usage: kvglass run -m MODEL (-f FILE | -p TEXT) [option]...", "a.txt");
	CHECK_REFUSED(COMMAND_COMPARE, "the file is missing: kvglass compare CAPTURE.kvg... [option]...", "--json");
}

TEST(options, tables_are_consistent)
{
	for (int id = 0; id < N_OPTION; id++) {
		const struct option_info *a = &option_table[id];
		CHECK(a->commands != 0 && (a->commands & ~(unsigned)(IN_EVERY | KEPT)) == 0);
		CHECK((a->argument == NULL) == (a->type == OPTION_FLAG));
		CHECK(a->low <= a->high);
		for (int other = id + 1; other < N_OPTION; other++) {
			const struct option_info *b = &option_table[other];
			bool together = a->commands & b->commands;
			if (together && !strcmp(a->name, b->name))
				test_fail(__FILE__, __LINE__, "--%s stands twice for one command", a->name);
			if (together && a->letter && a->letter == b->letter)
				test_fail(__FILE__, __LINE__, "-%c stands twice for one command", a->letter);
			if (other == id + 1 && b->group < a->group)
				test_fail(__FILE__, __LINE__, "--%s: groups of options out of order", b->name);
		}
	}
}

TEST(options, nearest_word)
{
	struct nearest n = nearest_begin("tokenise", 8);
	char hint[80];
	nearest_offer(&n, "compare");
	CHECK(!n.best);
	nearest_offer(&n, "tokenize");
	CHECK_STR(n.best, "tokenize");
	CHECK_INT(n.distance, 1);
	nearest_hint(&n, "--", hint, sizeof hint);
	CHECK_STR(hint, "; did you mean --tokenize?");
	n = nearest_begin("veiw", 4);
	nearest_offer(&n, "view");
	CHECK_INT(n.distance, 1); /* neighbours swapped */
	n = nearest_begin("q", 1);
	nearest_offer(&n, "run");
	CHECK(!n.best);
	n = nearest_begin("a-word-that-is-much-longer-than-any-name-of-an-option", 53);
	nearest_offer(&n, "anonymous");
	CHECK(!n.best);
}
