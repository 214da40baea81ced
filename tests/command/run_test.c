#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/capture.h"
#include "engine/file.h"
#include "tests/support/program.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

/* 220 tokens or so of the tiny tokenizer: beyond sinks and window, below its 512 positions */
static const char prose[] =
	"The harbour office keeps a ledger of every boat that enters the bay. On the 12th of March the Heron came in with 123 crates of "
	"oranges; on the 13th she left again. The office closes at noon, and the keys are kept by the baker.";

static const char *tiny(void)
{
	const char *path = test_scratch("run.gguf");
	struct stat st;
	if (stat(path, &st))
		tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_Q8_0, .seed = 1});
	return path;
}

static json_t *member(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	if (!value)
		test_fail(__FILE__, __LINE__, "no key %s", key);
	return value;
}

static void check_share(json_t *numbers, const char *key)
{
	double x = json_number_value(member(numbers, key));
	if (!(x >= 0 && x <= 1 + 1e-9))
		test_fail(__FILE__, __LINE__, "%s is %g, not a share", key, x);
}

static void check_comparison(json_t *compare, int n_prompt)
{
	static const char *const methods[] = {"snapkv", "oracle", "random", "recency", "ceiling"};
	CHECK_INT(json_integer_value(member(compare, "sink")), 4);
	CHECK_INT(json_integer_value(member(compare, "window")), 32);
	CHECK_STR(json_string_value(member(compare, "pool")), "none");
	CHECK(json_object_get(compare, "kernel"));
	json_t *budgets = member(compare, "budgets"), *of_budget;
	size_t i;
	CHECK_INT(json_array_size(budgets), (n_prompt > 64) + (n_prompt > 128) + (n_prompt > 256));
	json_array_foreach(budgets, i, of_budget) {
		CHECK_INT(json_integer_value(member(of_budget, "budget")), 64 << i);
		for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
			json_t *numbers = member(member(of_budget, "methods"), methods[m]);
			check_share(numbers, "overlap");
			check_share(numbers, "mass");
			check_share(numbers, "mass_ratio");
		}
		json_t *oracle = member(member(of_budget, "methods"), "oracle");
		CHECK_NEAR(json_number_value(member(oracle, "overlap")), 1, 0);
		CHECK_NEAR(json_number_value(member(oracle, "mass_ratio")), 1, 1e-9);
	}
	CHECK(json_number_value(member(member(member(compare, "methods"), "snapkv"), "kl")) > 0);
}

static void check_result(json_t *all)
{
	int n_prompt = (int)json_integer_value(member(all, "n_prompt")), n_response = (int)json_integer_value(member(all, "n_response"));
	CHECK(n_prompt > 64);
	CHECK(n_response > 0);
	CHECK_INT(json_array_size(member(all, "prompt_ids")), n_prompt);
	CHECK_INT(json_array_size(member(all, "response_ids")), n_response);
	CHECK(json_is_string(member(all, "response")));
	CHECK_STR(json_string_value(member(all, "device")), "cpu");
	CHECK_STR(json_string_value(member(all, "precision")), "f32");
	CHECK(json_integer_value(member(all, "peak_memory_bytes")) > 1000000);
	json_t *timings = member(all, "timings_ms");
	CHECK(json_number_value(member(timings, "load")) > 0);
	CHECK(json_number_value(member(timings, "prefill")) > 0);
	CHECK(json_number_value(member(timings, "decode")) > 0);
	CHECK(json_is_number(member(timings, "lookahead")));
	check_comparison(member(all, "compare"), n_prompt);
}

TEST(command_run, json_keeps_the_contract)
{
	struct program_result r;
	program_run(&r, NULL, "run", "--json", "-m", tiny(), "-p", prose, "-n", "40", NULL);
	json_t *all = PROGRAM_JSON(&r);
	if (all)
		check_result(all);
	json_decref(all);
	program_free(&r);
}

TEST(command_run, prompt_is_what_tokenize_shows)
{
	struct program_result r;
	program_run(&r, NULL, "run", "--json", "-m", tiny(), "-p", prose, "-n", "4", "-q", NULL);
	json_t *run = PROGRAM_JSON(&r);
	CHECK_STR(r.err, "");
	program_free(&r);
	program_run(&r, NULL, "tokenize", "--json", "-m", tiny(), "-p", prose, NULL);
	json_t *tokens = PROGRAM_JSON(&r);
	CHECK(json_equal(json_object_get(run, "prompt_ids"), json_object_get(tokens, "ids")));
	json_decref(tokens);
	json_decref(run);
	program_free(&r);
}

/* What was saved says the same about the methods as the run that saved it, and is the same every time. */
TEST(command_run, capture_compares_as_the_run_did)
{
	struct program_result r;
	const char *first = test_scratch("first.kvg"), *second = test_scratch("second.kvg");
	program_run(&r, NULL, "run", "--json", "-m", tiny(), "-p", prose, "-n", "40", "-l", "untrained", "-o", first, "--budget", "48,100",
		"--per-head", NULL);
	json_t *run = PROGRAM_JSON(&r);
	program_free(&r);
	program_run(&r, NULL, "compare", "--json", "--budget", "48,100", "--per-head", first, NULL);
	json_t *compare = PROGRAM_JSON(&r);
	json_t *of_run = json_object_get(json_object_get(run, "compare"), "budgets"), *of_file = json_object_get(compare, "budgets");
	CHECK_INT(json_array_size(of_file), 2);
	CHECK(json_equal(of_run, of_file));
	CHECK(json_object_get(member(member(json_array_get(of_file, 0), "methods"), "lookahead"), "overlap"));
	json_decref(compare);
	json_decref(run);
	program_free(&r);
	program_run(&r, NULL, "run", "--json", "-m", tiny(), "-p", prose, "-n", "40", "-l", "untrained", "-o", second, NULL);
	CHECK_INT(r.status, 0);
	program_free(&r);
	struct file_map a = {0}, b = {0};
	struct err e;
	CHECK_INT(file_map_open(&a, first, &e), 0);
	CHECK_INT(file_map_open(&b, second, &e), 0);
	CHECK(a.size > 1000 && a.size == b.size && !memcmp(a.data, b.data, a.size));
	file_map_close(&a);
	file_map_close(&b);
}

TEST(command_run, text_for_people)
{
	struct program_result r;
	program_run(&r, NULL, "run", "-m", tiny(), "-p", prose, "-n", "40", "-o", test_scratch("text.kvg"), NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "3 layers, 4 query heads on 2 KV heads, cpu f32"));
	CHECK(strstr(r.out, "response of 40 tokens") || strstr(r.out, "response of "));
	CHECK(strstr(r.out, "SnapKV"));
	CHECK(strstr(r.out, "prefill") && strstr(r.out, "of memory\n"));
	CHECK(!strchr(r.out, '\x1b') && !strchr(r.err, '\x1b') && !strchr(r.err, '\r')); /* neither stream is a terminal */
	CHECK(strstr(r.err, "kvglass run: saved "));
	program_free(&r);
}

/* On a terminal one line tells how far the run is, and is gone at the end. */
TEST(command_run, progress_on_a_terminal)
{
	struct program_result r;
	program_run(&r, &(struct program_setting){.terminal = 1}, "run", "--json", "-m", tiny(), "-p", prose, "-n", "40", NULL);
	json_decref(PROGRAM_JSON(&r));
	CHECK(strstr(r.err, "\rprefill 100 %") && strstr(r.err, "\rdecode 100 %"));
	const char *last = strrchr(r.err, '%');
	CHECK(last && !last[1 + strspn(last + 1, " \r")]); /* blanks over what was there */
	program_free(&r);
	program_run(&r, &(struct program_setting){.terminal = 1}, "run", "--json", "-q", "-m", tiny(), "-p", prose, "-n", "40", NULL);
	CHECK_STR(r.err, "");
	program_free(&r);
}

TEST(command_run, given_response)
{
	struct program_result r;
	const char *path = test_scratch("response.txt");
	FILE *out = fopen(path, "w");
	CHECK(out && fputs("The baker keeps <|im_end|> them.", out) >= 0 && !fclose(out));
	program_run(&r, NULL, "run", "--json", "-m", tiny(), "-p", prose, "--response", path, NULL);
	json_t *all = PROGRAM_JSON(&r);
	CHECK_STR(json_string_value(json_object_get(all, "response")), "The baker keeps <|im_end|> them.");
	CHECK(json_integer_value(json_object_get(all, "n_response")) > 12); /* the control token's text is no token */
	json_decref(all);
	program_free(&r);
}

TEST(command_run, folders_are_models_too)
{
	struct program_result r;
	const char *folder = test_scratch("run-folder");
	tiny_model_folder(folder, &(struct tiny_options){.kind = TINY_QWEN2, .type = TYPE_BF16, .seed = 1});
	program_run(&r, NULL, "run", "--json", "-m", folder, "-p", prose, "-n", "3", NULL);
	json_decref(PROGRAM_JSON(&r));
	program_free(&r);
}

/* A prompt within sinks and window is still measured; agreement is not defined, and that is said. */
TEST(command_run, short_prompt)
{
	struct program_result r;
	program_run(&r, NULL, "run", "--json", "--raw", "-m", tiny(), "-p", "abc", "-n", "3", NULL);
	json_t *all = PROGRAM_JSON(&r);
	CHECK_INT(json_integer_value(json_object_get(all, "n_prompt")), 3);
	CHECK(strstr(r.err, "kvglass run: "));
	json_decref(all);
	program_free(&r);
}

TEST(command_run, no_response_leaves_numbers_undefined)
{
	struct program_result r;
	program_run(&r, NULL, "run", "--json", "-m", tiny(), "-p", prose, "-n", "0", "--budget", "64", NULL);
	json_t *all = PROGRAM_JSON(&r), *snapkv;
	CHECK_INT(json_integer_value(json_object_get(all, "n_response")), 0);
	snapkv = json_object_get(
		json_object_get(json_array_get(json_object_get(json_object_get(all, "compare"), "budgets"), 0), "methods"), "snapkv");
	CHECK(json_is_null(json_object_get(snapkv, "overlap")));
	CHECK(strstr(r.err, "response"));
	json_decref(all);
	program_free(&r);
}

TEST(command_run, refusals)
{
	static char long_prompt[2000];
	struct program_result r;
	const char *model = tiny(), *kvg = test_scratch("run-refused.kvg");
	struct stat st;
	memset(long_prompt, 'x', sizeof long_prompt - 1);
	program_run(&r, NULL, "run", "-m", model, "-p", long_prompt, "-o", kvg, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "512"); /* the limit */
	program_free(&r);
	program_run(&r, NULL, "run", "-m", model, "-p", "", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "the prompt is empty");
	program_free(&r);
	program_run(&r, NULL, "run", "-m", model, "-p", "ab\xc3", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "byte 0xc3 at offset 2");
	program_free(&r);
	const char *text = test_scratch("half.txt");
	FILE *out = fopen(text, "w");
	CHECK(out && fputs("abc\xe2\x82", out) >= 0 && !fclose(out));
	program_run(&r, NULL, "run", "-m", model, "-p", prose, "--response", text, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "half.txt: not valid UTF-8: byte 0xe2 at offset 3");
	program_free(&r);
	program_run(&r, NULL, "run", "-m", model, "-f", text, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "half.txt: not valid UTF-8: byte 0xe2 at offset 3");
	program_free(&r);
	program_run(&r, NULL, "run", "-m", model, "-p", prose, "--budget", "36", "-o", kvg, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "budget 36: nothing to choose");
	program_free(&r);
	program_run(&r, NULL, "run", "-m", model, "-p", prose, "-l", test_scratch("no-modules.safetensors"), "-o", kvg, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "no-modules.safetensors");
	program_free(&r);
	program_run(&r, NULL, "run", "-m", test_tree("Makefile"), "-p", prose, "-o", kvg, NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "Makefile");
	program_free(&r);
	CHECK(stat(kvg, &st) != 0); /* nothing half-written */
	program_run(&r, NULL, "run", "-m", model, "-p", prose, "-n", "2", "-q", "-o", "/dev/full", NULL);
	CHECK_INT(r.status, 1); /* what was measured is said all the same */
	CHECK(strstr(r.out, "response of 2 tokens") && strstr(r.err, "/dev/full: ") && strchr(r.err, '\n') == r.err + r.n_err - 1);
	program_free(&r);
	program_run(&r, NULL, "run", "-m", model, "-p", prose, "-n", "2", "-q", "-o", test_scratch("no/folder/x.kvg"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "no/folder/x.kvg");
	program_free(&r);
	program_run(&r, &(struct program_setting){.out_path = "/dev/full"}, "run", "--json", "-m", model, "-p", prose, "-n", "2", "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "No space left on device");
	program_free(&r);
}

/* ^C keeps what was measured, but only where it was asked to. The program is stopped at a place that its progress tells; the prompt of the
 * prefill is long, so that a signal that comes late on a busy machine still comes within it. */
TEST(command_run, interrupted)
{
	const char *model = test_sample_model();
	char long_prose[32 * sizeof prose];
	if (!model) {
		test_skip("the sample model is not in the cache (make model)");
		return;
	}
	struct program_result r;
	struct stat st;
	const struct capture *c = NULL;
	struct err e;
	const char *kvg = test_scratch("interrupted.kvg");
	const struct program_setting in_prefill = {.terminal = 1, .interrupt_at = "prefill"};
	const struct program_setting in_decode = {.terminal = 1, .interrupt_at = "decode"};
	program_run(&r, &in_decode, "run", "-m", model, "-p", prose, "-n", "4000", "--temperature", "1", NULL);
	CHECK_INT(r.status, 1);
	CHECK_INT(r.n_out, 0);
	CHECK(strstr(r.err, "kvglass run: stopped; nothing is kept without -o"));
	program_free(&r);
	for (size_t i = 0; i < 32; i++)
		memcpy(long_prose + i * (sizeof prose - 1), prose, sizeof prose);
	program_run(&r, &in_prefill, "run", "-m", model, "-p", long_prose, "-n", "4000", "-o", kvg, NULL);
	CHECK_INT(r.status, 1);
	CHECK(strstr(r.err, "kvglass run: stopped before anything was measured"));
	CHECK(stat(kvg, &st) != 0);
	program_free(&r);
	program_run(&r, &in_decode, "run", "-m", model, "-p", prose, "-n", "4000", "--temperature", "1", "-o", kvg, NULL);
	CHECK_INT(r.status, 1);
	CHECK(strstr(r.err, "kvglass run: stopped; what was measured until then is in "));
	program_free(&r);
	CHECK_INT(capture_open(&c, kvg, &e), 0);
	CHECK(c && !c->complete && c->n_prompt > 64);
	capture_unref(c);
}

static const json_t *eviction_result(const json_t *all, const char *method, int budget)
{
	const json_t *list = json_object_get(json_object_get(all, "eviction"), "results"), *one;
	size_t i;
	json_array_foreach(list, i, one)
		if (!strcmp(json_string_value(json_object_get(one, "method")), method) && json_integer_value(json_object_get(one, "budget")) == budget)
			return one;
	return NULL;
}

TEST(command_run, continues_from_evicted_caches)
{
	struct program_result r;
	const char *model = test_scratch("evicted.gguf");
	tiny_model_gguf(model, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 2});
	program_run(&r, NULL, "run", "--json", "--raw", "-m", model, "-p", prose, "-n", "9", "--sink", "2", "--window", "8", "-b", "16,1000",
		"--evict", "snapkv,random", "-q", NULL);
	json_t *all = PROGRAM_JSON(&r);
	const json_t *little = eviction_result(all, "random", 16), *everything = eviction_result(all, "snapkv", 1000);
	CHECK(json_real_value(json_object_get(json_object_get(little, "kl"), "mean")) > 0);
	CHECK(json_real_value(json_object_get(little, "kept")) < 0.5);
	CHECK(json_is_null(json_object_get(everything, "first_different")));
	CHECK(json_string_value(json_object_get(everything, "response")) &&
		!strcmp(json_string_value(json_object_get(everything, "response")), json_string_value(json_object_get(all, "response"))));
	CHECK(!(json_real_value(json_object_get(json_object_get(everything, "kl"), "mean")) != 0));
	CHECK(!(json_real_value(json_object_get(everything, "kept")) != 1));
	json_decref(all);
	program_free(&r);
	program_run(&r, NULL, "run", "--raw", "-m", model, "-p", prose, "-n", "3", "--methods", "snapkv", "--evict", "oracle,random,snapkv",
		"-b", "64", "-q", NULL);
	CHECK_INT(r.status, 0); /* truth and the controls need not be listed */
	program_free(&r);
	program_run(&r, NULL, "run", "--json", "--raw", "-m", model, "-p", prose, "-n", "3", "--preset", "snapkv-kvpress", "--evict",
		"snapkv-kvpress,snapkv", "-b", "80", "-q", NULL);
	all = PROGRAM_JSON(&r);
	CHECK(eviction_result(all, "snapkv-kvpress", 80) && eviction_result(all, "snapkv", 80));
	json_decref(all);
	program_free(&r);
	program_run(&r, NULL, "run", "--raw", "-m", model, "-p", prose, "-n", "0", "--evict", "snapkv", "-q", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "no response to compare with");
	program_free(&r);
}
