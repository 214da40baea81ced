#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/file.h"
#include "tests/support/program.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

static const char *tiny(void)
{
	const char *path = test_scratch("train.gguf");
	if (access(path, R_OK))
		tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_Q8_0, .seed = 1});
	return path;
}

static const char *write_text(const char *name, const char *text)
{
	const char *path = test_scratch(name);
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
	return path;
}

static const char *prompts(void)
{
	return write_text("train.jsonl",
		"{\"prompt\": \"The harbour office keeps a ledger of every boat that enters the bay. On the 12th the Heron came.\"}\n"
		"\n"
		"{\"prompt\": \"Two sisters kept the mill by the river, and one of them kept the keys of the boat as well.\", "
		"\"response\": \"The keys of the boat.\"}\n"
		"{\"prompt\": \"a b\"}\n");
}

static int n_lines(const char *path)
{
	char *text;
	size_t n;
	int lines = 0;
	CHECK_INT(file_read_all(path, 1 << 20, &text, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	free(text);
	return lines;
}

TEST(command_train, modules_are_trained_judged_and_saved)
{
	struct program_result r;
	const char *out = test_scratch("trained.safetensors"), *log = test_scratch("trained.safetensors.log");
	const char *held = write_text("held.txt", "A ledger of boats is kept by the baker, who closes the office at noon and reads.");
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", prompts(), "--eval", held, "-o", out, "--steps", "3", "--batch", "2",
		"--lookahead", "4", "--response-tokens", "8", "--target-folder", test_scratch("train.targets"), "--raw", NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.err, "1 of 3 prompts left out") && strstr(r.err, "line 4: it has fewer than 48 tokens"));
	CHECK(strstr(r.out, "1 prompts held out"));
	program_free(&r);
	CHECK_INT(n_lines(log), 3 + 4); /* a line a step, and a judgement before the first and after each */
	program_run(&r, NULL, "info", out, NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "4 lookahead tokens") && strstr(r.out, "--steps 3"));
	program_free(&r);
}

TEST(command_train, wrong_use_and_bad_files)
{
	struct program_result r;
	const char *out = test_scratch("never.safetensors");
	program_run(&r, NULL, "train", "-m", tiny(), "-o", out, NULL);
	CHECK_PROGRAM_ERROR(&r, 2, "no prompts: --prompts names .jsonl or text files");
	program_free(&r);
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", prompts(), "-o", out, "--targets", "q,x", NULL);
	CHECK_PROGRAM_ERROR(&r, 2, "--targets x: not one of q, k, v, o, gate, up, down");
	program_free(&r);
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", write_text("bad.jsonl", "{\"prompt\": \"a\"}\n{\"promt\": 1}\n"), "-o", out,
		"-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "bad.jsonl line 2: no object with a text named \"prompt\"");
	program_free(&r);
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", write_text("few.txt", "a b"), "-o", out, "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "no usable prompts");
	program_free(&r);
	write_text("never.safetensors.checkpoint", "half");
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", prompts(), "-o", out, "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "--resume goes on with it");
	program_free(&r);
	CHECK(access(out, F_OK) != 0);
}
