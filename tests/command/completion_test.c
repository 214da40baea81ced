/* The completion script, run by the shell that it is for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"
#include "tests/support/test.h"

static bool has_bash(void)
{
	return system("bash -c : >/dev/null 2>&1") == 0;
}

static void write_script(const char *path)
{
	struct program_result r;
	FILE *f = fopen(path, "w");
	program_run(&r, NULL, "completion", "bash", NULL);
	CHECK_INT(r.status, 0);
	CHECK(f && fwrite(r.out, 1, r.n_out, f) == r.n_out);
	if (f)
		fclose(f);
	program_free(&r);
}

/* What Tab offers behind these words (the last one is being typed), blanks between; words as bash divides them, so = is one. compopt
 * speaks of a completion that goes on, which none does here. */
static void complete(char *out, size_t n_out, const char *script, const char *words)
{
	char command[1024];
	snprintf(command, sizeof command,
		"cd '%s' && bash -c 'compopt() { :; }; source \"$0\"; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _kvglass; "
		"echo \"${COMPREPLY[*]}\"' '%s'", test_tree("samples"), words, script);
	FILE *f = popen(command, "r");
	size_t n = f ? fread(out, 1, n_out - 1, f) : 0;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	CHECK(f && pclose(f) == 0);
}

TEST(command_completion, words_options_and_every_item_of_a_list)
{
	static const struct {
		const char *words, *offered;
	} each[] = {
		{"kvglass comp", "compare completion"},
		{"kvglass completion \"\"", "bash"},
		{"kvglass view --charset \"\"", "auto utf8 ascii"},
		{"kvglass run --meth", "--methods"},
		{"kvglass run --methods snapkv_", "snapkv_w8 snapkv_w64"},
		{"kvglass run --methods lookahead,snapkv_w8,snapkv", "lookahead,snapkv_w8,snapkv lookahead,snapkv_w8,snapkv_w64"},
		{"kvglass run --methods = tova,look", "tova,lookahead"},
		{"kvglass run -b 128,2", "128,256 128,2048"},
		{"kvglass export -b 2", "256 2048"},
		{"kvglass inspect --lora-off q,ga", "q,gate"},
		{"kvglass export --venue icml-", "icml-full"},
		{"kvglass train --prompts prompts/bees.txt,prompts/need", "prompts/bees.txt,prompts/needle.txt"},
		{"kvglass train --prompts prompts/bees.txt,promp", "prompts/bees.txt,prompts/"},
		{"kvglass train --prompts nothing", ""},
		{"kvglass compare x", ""}, /* the shell's own: files */
	};
	const char *script = test_scratch("completion");
	char offered[4096];
	if (!has_bash()) {
		test_skip("no bash");
		return;
	}
	write_script(script);
	for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
		complete(offered, sizeof offered, script, each[i].words);
		if (strcmp(offered, each[i].offered))
			test_fail(__FILE__, __LINE__, "%s: offers \"%s\", not \"%s\"", each[i].words, offered, each[i].offered);
	}
}
