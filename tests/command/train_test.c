#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/lookahead.h"
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
		"{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief and keep to the ledger of the harbour office.\"}, {\"role\": \"user\", "
		"\"content\": \"Who keeps the keys of the boat, and who keeps the mill?\"}, {\"role\": \"assistant\", \"content\": \"One sister.\"}]}\n"
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
		"--lookahead", "4", "--response-tokens", "8", "--target-folder", test_scratch("train.targets"), NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.err, "1 of 4 prompts left out: 1 shorter than 48 tokens (first: ") && strstr(r.err, "train.jsonl line 5, "));
	CHECK(strstr(r.out, "1 prompts held out"));
	program_free(&r);
	CHECK_INT(n_lines(log), 3 + 4); /* a line a step, and a judgement before the first and after each */
	program_run(&r, NULL, "info", out, NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "4 lookahead tokens") && strstr(r.out, "--steps 3") && strstr(r.out, "base sha256"));
	program_free(&r);
	const char *more = test_scratch("more.safetensors");
	program_run(&r, NULL, "train", "-m", tiny(), "-l", out, "--prompts", prompts(), "-o", more, "--steps", "1", "--batch", "1",
		"--response-tokens", "8", "--target-folder", test_scratch("train.targets"), NULL);
	CHECK_INT(r.status, 0);
	program_free(&r);
	program_run(&r, NULL, "info", more, NULL);
	CHECK(strstr(r.out, "4 lookahead tokens") && strstr(r.out, " train -l trained.safetensors (sha256 "));
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
	CHECK_PROGRAM_ERROR(&r, 1, "bad.jsonl line 2: no object with a text \"prompt\" or a list \"messages\"");
	program_free(&r);
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", write_text("few.txt", "a b"), "-o", out, "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "no usable prompts: 1 shorter than 48 tokens (first: ");
	program_free(&r);
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", prompts(), "-o", "/dev/full", "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "/dev/full: is no regular file"); /* before anything is trained or written beside it */
	program_free(&r);
	write_text("never.safetensors.checkpoint", "half");
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", prompts(), "-o", out, "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "--resume goes on with it");
	program_free(&r);
	CHECK(access(out, F_OK) != 0);
}

TEST(command_train, messages_that_cannot_be_used)
{
	static const struct {
		const char *line, *error;
	} bad[] = {
		{"{\"messages\": []}", "line 1: no object with"},
		{"{\"messages\": [{\"role\": \"user\"}]}", "line 1: no object with"},
		{"{\"messages\": 3}", "line 1: no object with"},
		{"{\"prompt\": \"a\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", "line 1: no object with"},
		{"{\"messages\": [{\"role\": \"user\", \"content\": \"\"}]}", "line 1: message 0: the text is empty"},
	};
	struct program_result r;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		program_run(&r, NULL, "train", "-m", tiny(), "--prompts", write_text("messages.jsonl", bad[i].line), "-o",
			test_scratch("never.safetensors"), "-q", NULL);
		CHECK_PROGRAM_ERROR(&r, 1, bad[i].error);
		program_free(&r);
	}
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts",
		write_text("messages.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}"), "--raw", "-o",
		test_scratch("never.safetensors"), "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "line 1: messages need the model's chat template");
	program_free(&r);
}

/* Adapters whose product overflows: the first step finds it, nothing is lost. */
TEST(command_train, a_loss_that_is_not_finite_keeps_the_last_good_checkpoint)
{
	struct program_result r;
	struct model *m = test_model_open(tiny());
	struct lookahead *huge;
	const char *path = test_scratch("huge.safetensors"), *out = test_scratch("lost.safetensors");
	CHECK_INT(lookahead_untrained(&huge, m, 4, 2, 2, 1, NULL), 0);
	for (int i = 0; i < huge->lora[0].r * huge->lora[0].n_in; i++)
		huge->lora[0].a[i] = 1e30f;
	for (int i = 0; i < huge->lora[0].r * huge->lora[0].n_out; i++)
		huge->lora[0].b[i] = 1e30f;
	CHECK_INT(lookahead_save(huge, path, false, NULL), 0);
	lookahead_free(huge);
	model_close(m);
	program_run(&r, NULL, "train", "-m", tiny(), "-l", path, "--any-base", "--prompts", prompts(), "-o", out, "--response-tokens", "8", "--target-folder",
		test_scratch("train.targets"), "-q", NULL);
	CHECK_INT(r.status, 1);
	CHECK(strstr(r.err, "step 1: the loss of prompt ") && strstr(r.err, "is not finite in layer 0, head "));
	CHECK(strstr(r.err, "; the parameters after step 0 are in ") && strstr(r.err, "lost.safetensors.checkpoint"));
	CHECK(access(test_scratch("lost.safetensors.checkpoint"), R_OK) == 0 && access(out, F_OK) != 0);
	program_free(&r);
}

TEST(command_train, a_full_disk_is_said)
{
	struct program_result r;
	const char *out = test_scratch("full.safetensors"), *log = test_scratch("full.safetensors.log");
	unlink(log);
	CHECK_INT(symlink("/dev/full", log), 0);
	program_run(&r, NULL, "train", "-m", tiny(), "--prompts", prompts(), "-o", out, "--steps", "2", "--batch", "1", "--response-tokens", "8",
		"--target-folder", test_scratch("train.targets"), "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "full.safetensors.log: cannot be written: No space left on device");
	program_free(&r);
}
