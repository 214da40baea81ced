#include <string.h>

#include "tests/support/program.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

static const char *tiny(void)
{
	const char *path = test_scratch("tokenize.gguf");
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_Q8_0, .seed = 1});
	return path;
}

TEST(command_tokenize, people_see_positions_ids_and_pieces)
{
	struct program_result r;
	program_run(&r, NULL, "tokenize", "-m", tiny(), "--raw", "-p", "a\t\xe2\x82\xac<|im_end|>", NULL);
	CHECK_INT(r.status, 0);
	CHECK_INT(r.n_err, 0);
	CHECK(strstr(r.out, "     0      97  user      \"a\"\n") == r.out);
	CHECK(strstr(r.out, "\"\\t\"\n"));
	CHECK(strstr(r.out, "\"<E2>\"\n") && strstr(r.out, "\"<82>\"\n") && strstr(r.out, "\"<AC>\"\n"));
	CHECK(strstr(r.out, "<|im_end|> (control)\n"));
	program_free(&r);
}

TEST(command_tokenize, json_is_valid_whatever_the_pieces)
{
	struct program_result r;
	program_run(&r, NULL, "tokenize", "--json", "-m", tiny(), "--raw", "-p", "the \xf0\x9f\x90\x9d", NULL);
	json_t *all = PROGRAM_JSON(&r), *ids = json_object_get(all, "ids"), *pieces = json_object_get(all, "pieces");
	CHECK_INT(json_array_size(ids), json_array_size(pieces));
	CHECK(json_array_size(ids) >= 5); /* "the", and the bee's four bytes, one of them with the space at most */
	CHECK_STR(json_string_value(json_array_get(pieces, json_array_size(pieces) - 1)), "\xef\xbf\xbd");
	CHECK_STR(json_string_value(json_object_get(all, "mode")), "raw");
	for (size_t i = 0; i < json_array_size(ids); i++)
		CHECK(json_is_integer(json_array_get(ids, i)));
	json_decref(all);
	program_free(&r);
}

TEST(command_tokenize, chat_is_the_default_and_says_which_part_a_token_is_of)
{
	struct program_result r;
	program_run(&r, &(struct program_setting){.input = "hello <|im_end|>"}, "tokenize", "--json", "-m", tiny(), "-f", "-", NULL);
	json_t *all = PROGRAM_JSON(&r), *parts = json_object_get(all, "parts"), *pieces = json_object_get(all, "pieces");
	CHECK_STR(json_string_value(json_object_get(all, "mode")), "chat");
	CHECK_STR(json_string_value(json_array_get(pieces, 0)), "<|im_start|>");
	CHECK_STR(json_string_value(json_array_get(parts, 0)), "template");
	char user[64] = "";
	for (size_t i = 0; i < json_array_size(parts); i++)
		if (!strcmp(json_string_value(json_array_get(parts, i)), "user"))
			strncat(user, json_string_value(json_array_get(pieces, i)), sizeof user - strlen(user) - 1);
	CHECK_STR(user, "hello <|im_end|>"); /* text of a control token inside a message stays text */
	json_decref(all);
	program_free(&r);
}

TEST(command_tokenize, bad_prompts)
{
	struct program_result r;
	const char *model = tiny();
	program_run(&r, NULL, "tokenize", "-m", model, "-p", "", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "kvglass tokenize: the prompt is empty");
	program_free(&r);
	program_run(&r, NULL, "tokenize", "-m", model, "-f", "/dev/null", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "/dev/null is empty");
	program_free(&r);
	program_run(&r, NULL, "tokenize", "-m", model, "-p", "abc\xff", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "byte 0xff at offset 3");
	program_free(&r);
	program_run(&r, NULL, "tokenize", "-m", model, "-f", test_scratch("nowhere.txt"), NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "nowhere.txt: No such file or directory");
	program_free(&r);
	program_run(&r, NULL, "tokenize", "-m", test_scratch("nowhere.gguf"), "-p", "x", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "nowhere.gguf: No such file or directory");
	program_free(&r);
}

TEST(command_tokenize, the_sample_model)
{
	const char *model = test_sample_model();
	if (!model) {
		test_skip("the sample model is not in the cache (make model)");
		return;
	}
	/* ids of llama.cpp for the same file and text, special tokens recognised, no BOS */
	static const int want[] = {504, 3575, 282, 4649, 281, 216, 33, 39, 40, 41, 436, 13223, 132, 129, 180, 136, 232, 15107, 234, 247, 2};
	const size_t n = sizeof want / sizeof *want;
	struct program_result r;
	program_run(&r, NULL, "tokenize", "--json", "-m", model, "--raw", "-p",
		"The capital of France in 1789 was \xe5\xb7\xb4\xe9\xbb\x8e \xf0\x9f\x90\x9d<|im_end|>", NULL);
	json_t *all = PROGRAM_JSON(&r), *ids = json_object_get(all, "ids");
	CHECK_INT(json_array_size(ids), n);
	for (size_t i = 0; i < n; i++)
		CHECK_INT(json_integer_value(json_array_get(ids, i)), want[i]);
	json_decref(all);
	program_free(&r);
}
