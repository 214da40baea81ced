/* Help, versions, wrong use: what the program says before it does anything. */
#include <stdio.h>
#include <string.h>

#include "tests/support/program.h"
#include "tests/support/test.h"
#include "tui/command/options.h"

TEST(command_usage, help_of_the_program_lists_every_command)
{
	struct program_result r;
	program_run(&r, NULL, "--help", NULL);
	CHECK_INT(r.status, 0);
	CHECK_INT(r.n_err, 0);
	for (int i = 0; i < N_COMMAND; i++) {
		char line[40];
		snprintf(line, sizeof line, "\n  %-10s", command_table[i].name);
		CHECK(strstr(r.out, line));
	}
	program_free(&r);
}

TEST(command_usage, help_of_a_command_lists_its_options)
{
	for (int i = 0; i < N_COMMAND; i++) {
		struct program_result r;
		program_run(&r, NULL, command_table[i].name, "--help", NULL);
		CHECK_INT(r.status, 0);
		CHECK_INT(r.n_err, 0);
		for (int id = 0; id < N_OPTION; id++) {
			char name[40];
			snprintf(name, sizeof name, "%s--%s%s", option_table[id].letter ? ", " : "      ", option_table[id].name,
				option_table[id].argument ? " " : "");
			bool listed = strstr(r.out, name) != NULL;
			if (option_table[id].commands & (1u << i) && !listed)
				test_fail(__FILE__, __LINE__, "%s --help does not list --%s", command_table[i].name, option_table[id].name);
		}
		for (const char *line = r.out; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
			if (strcspn(line, "\n") > 100)
				test_fail(__FILE__, __LINE__, "%s --help: a line of %zu columns", command_table[i].name, strcspn(line, "\n"));
		program_free(&r);
	}
}

TEST(command_usage, version_names_what_it_is_built_with)
{
	struct program_result r, of_command;
	program_run(&r, NULL, "--version", NULL);
	CHECK_INT(r.status, 0);
	CHECK_INT(r.n_err, 0);
	CHECK(!strncmp(r.out, "kvglass " KVGLASS_VERSION "\n", strlen("kvglass " KVGLASS_VERSION "\n")));
	CHECK(strstr(r.out, "\noneDNN ") && strstr(r.out, "\nsimd: ") && strstr(r.out, "\ncuda: "));
	program_run(&of_command, NULL, "info", "--version", NULL);
	CHECK_INT(of_command.status, 0);
	CHECK_STR(of_command.out, r.out);
	program_free(&of_command);
	program_free(&r);
}

TEST(command_usage, wrong_use_is_status_2_and_one_line)
{
	static const struct {
		const char *words[5];
		const char *text;
	} wrong[] = {
		{{"veiw"}, "kvglass: veiw: unknown command; did you mean view?"},
		{{"frobnicate"}, "kvglass: frobnicate: unknown command; kvglass --help lists them"},
		{{"--jsn"}, "kvglass: --jsn: unknown option"},
		{{"run", "--budget", "abc"}, "kvglass run: --budget abc: not a whole number"},
		{{"run", "-mm", "-px", "--evict", "snapkv,truth"}, "kvglass run: --evict: \"truth\" is no method that can be measured"},
		{{"run", "-mm", "-px", "--evict", "h2o"}, "kvglass run: --evict h2o: this run does not measure it, --methods has to name it too"},
		{{"run", "-mm", "-px", "--methods=tova", "--evict=snapkv"},
			"kvglass run: --evict snapkv: this run does not measure it, --methods has to name it too"},
		{{"run", "-mm", "-px", "--evict", "lookahead"}, "kvglass run: --evict lookahead: this run does not measure it, it needs --modules"},
		{{"run", "-mm", "-px", "--methods", "snapkv,nope"}, "kvglass run: --methods: \"nope\" is no method that can be measured"},
		{{"run", "-mm", "-px", "-o-"}, "kvglass run: -o -: standard output has the results already"},
		{{"run", "--figure", "curves"}, "kvglass run: --figure belongs to export, not to run"},
		{{"run"}, "kvglass run: no model: -m MODEL names a .gguf file or a Hugging Face folder"},
		{{"run", "-m", "x.gguf"}, "kvglass run: no prompt: -f FILE or -p TEXT gives one"},
		{{"run", "-mx", "-py", "-fz"}, "kvglass run: --file and --prompt exclude each other"},
		{{"run", "-mx", "-py", "--chat", "--raw"}, "kvglass run: --chat and --raw exclude each other"},
		{{"run", "-mx", "-py", "--per-head"}, "kvglass run: --per-head needs --json"},
		{{"run", "-mx", "-py", "--kernel", "4"}, "kvglass run: --kernel 4: must be odd"},
		{{"run", "-mx", "-py", "--preset", "snapkv-papr"}, "kvglass run: --preset snapkv-papr: not one of "},
		{{"run", "-mx", "-py", "--preset=snapkv-papr"}, "; did you mean snapkv-paper?"},
		{{"tokenize", "-m", "x"}, "kvglass tokenize: no prompt: "},
		{{"compare"}, "kvglass compare: the file is missing: "},
		{{"compare", "x.kvg", "--json", "--csv"}, "kvglass compare: --json and --csv exclude each other"},
		{{"info"}, "kvglass info: the file is missing: "},
		{{"info", "a", "b"}, "kvglass info: b: unexpected word"},
		{{"info", "--places", "a"}, "kvglass info: --places is about no file"},
		{{"export"}, "kvglass export: no capture: "},
		{{"export", "x.kvg"}, "kvglass export: --figure is missing: heatmap|overlay|curves"},
		{{"export", "x.kvg", "--figure=curves"}, "kvglass export: -o is missing"},
		{{"export", "x.kvg", "--figure=heatmap", "--head=3", "-oa.png"}, "kvglass export: --head 3 of which layer?"},
		{{"export", "x.kvg", "--figure=heatmap", "--venue=icmll", "-oa.png"}, "kvglass export: --venue icmll: not one of "},
		{{"export", "x.kvg", "--figure=heatmap", "--range=9:9", "-oa.png"}, "kvglass export: --range 9:9: nothing in it"},
		{{"export", "--reproduce=a.png", "--dpi=72", "-ob.png"}, "kvglass export: --dpi beside --reproduce"},
		{{"view", "x.kvg", "-m", "y"}, "kvglass view: x.kvg is a capture, which needs no --model"},
		{{"view", "--dump", "y"}, "kvglass view: --dump needs --script"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct program_result r;
		const char *const *w = wrong[i].words;
		program_run(&r, NULL, w[0], w[1], w[2], w[3], w[4], NULL);
		CHECK_PROGRAM_ERROR(&r, 2, wrong[i].text);
		program_free(&r);
	}
}

TEST(command_usage, a_file_is_no_command)
{
	struct program_result r;
	program_run(&r, NULL, test_tree("Makefile"), NULL);
	CHECK_PROGRAM_ERROR(&r, 2, "a file, not a command; to look at it: kvglass view ");
	program_free(&r);
}

TEST(command_usage, without_a_terminal_view_names_run)
{
	struct program_result r;
	program_run(&r, NULL, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "needs a terminal; kvglass run");
	program_free(&r);
	program_run(&r, NULL, "view", "x.kvg", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "kvglass view: needs a terminal; kvglass run");
	program_free(&r);
}

TEST(command_usage, a_reader_that_leaves_is_no_error)
{
	struct program_result r;
	program_run(&r, &(struct program_setting){.close_output = 1}, "--help", NULL);
	CHECK_INT(r.status, 1);
	CHECK_STR(r.err, "");
	program_free(&r);
}

TEST(command_usage, output_that_cannot_be_written_is_named)
{
	struct program_result r;
	program_run(&r, &(struct program_setting){.out_path = "/dev/full"}, "--help", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "standard output: No space left on device");
	program_free(&r);
	program_run(&r, &(struct program_setting){.no_output = 1}, "--help", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "standard output: Bad file descriptor");
	program_free(&r);
}
