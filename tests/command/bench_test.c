#include <string.h>

#include "tests/support/program.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

TEST(command_bench, every_stage_has_its_share)
{
	static const char *const stages[] = {"prefill", "prefill_capture", "lookahead", "decode", "decode_capture"};
	const char *model = test_scratch("bench.gguf");
	struct program_result r;
	tiny_model_gguf(model, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_Q4_1, .seed = 1});
	program_run(&r, NULL, "bench", "--json", "-m", model, "--length", "128,64", NULL);
	json_t *all = PROGRAM_JSON(&r), *machine = json_object_get(all, "machine"), *lengths = json_object_get(all, "lengths");
	double product = json_number_value(json_object_get(machine, "product_gflops"));
	double read = json_number_value(json_object_get(machine, "memory_read_gbs"));
	CHECK(product > 0 && read > 0);
	CHECK_INT(json_array_size(lengths), 2);
	for (size_t i = 0; i < json_array_size(lengths); i++) {
		json_t *one = json_array_get(lengths, i);
		CHECK_INT(json_integer_value(json_object_get(one, "length")), 64 << i); /* ascending */
		CHECK(json_integer_value(json_object_get(one, "peak_memory_bytes")) > 0);
		for (size_t s = 0; s < sizeof stages / sizeof *stages; s++) {
			json_t *stage = json_object_get(one, stages[s]);
			CHECK(json_number_value(json_object_get(stage, "ms")) > 0);
			double gflops = json_number_value(json_object_get(stage, "gflops")), gbs = json_number_value(json_object_get(stage, "gbs"));
			CHECK(gflops > 0 && gbs > 0);
			CHECK_NEAR(json_number_value(json_object_get(stage, "gflops_share")), gflops / product, 1e-6 * gflops / product);
			CHECK_NEAR(json_number_value(json_object_get(stage, "gbs_share")), gbs / read, 1e-6 * gbs / read);
		}
	}
	json_decref(all);
	program_free(&r);
}

/* A step of training is a stage like the others when it is asked for. */
TEST(command_bench, a_step_of_training)
{
	const char *model = test_scratch("bench.gguf");
	struct program_result r;
	tiny_model_gguf(model, &(struct tiny_options){.kind = TINY_QWEN3, .type = TYPE_F16, .seed = 1});
	program_run(&r, NULL, "bench", "--json", "--train", "-m", model, "--length", "64", NULL);
	json_t *all = PROGRAM_JSON(&r), *step = json_object_get(json_array_get(json_object_get(all, "lengths"), 0), "train_step");
	CHECK(json_number_value(json_object_get(step, "ms")) > 0);
	CHECK(json_number_value(json_object_get(step, "gflops")) > 0);
	CHECK_INT(json_integer_value(json_object_get(step, "n_tokens")), 32);
	json_decref(all);
	program_free(&r);
	program_run(&r, NULL, "bench", "--train", "-m", model, "--length", "64", NULL);
	CHECK_INT(r.status, 0);
	CHECK(strstr(r.out, "training step") != NULL);
	program_free(&r);
	program_run(&r, NULL, "bench", "--screen", "--train", NULL);
	CHECK_PROGRAM_ERROR(&r, 2, "--screen and --train exclude each other");
	program_free(&r);
}

TEST(command_bench, random_models)
{
	struct program_result r;
	program_run(&r, NULL, "bench", "--synthetic", "llama9", NULL);
	CHECK_PROGRAM_ERROR(&r, 2, "--synthetic: llama9: not one of smollm2-135m, ");
	program_free(&r);
	program_run(&r, NULL, "bench", "--synthetic", "llama3-8b:q9", NULL);
	CHECK_PROGRAM_ERROR(&r, 2, "llama3-8b:q9: the type after : is not one of bf16, ");
	program_free(&r);
	program_run(&r, NULL, "bench", "--synthetic", "llama3-70b:f32", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "llama3-70b:f32: 282.2 GB of random weights are kept in memory");
	program_free(&r);
	program_run(&r, NULL, "bench", "--synthetic", "smollm2-135m", "--length", "9000", NULL);
	CHECK_PROGRAM_ERROR(&r, 1, "--length 9000: from 32 to 8176 fit the model's 8192 positions");
	program_free(&r);
}

TEST(command_bench, frames_of_the_screen)
{
	struct program_result r;
	program_run(&r, NULL, "bench", "--screen", "--json", NULL);
	json_t *all = PROGRAM_JSON(&r), *frames = json_object_get(all, "frames");
	CHECK(json_number_value(json_object_get(all, "open_ms")) > 0);
	CHECK(json_array_size(frames) > 10);
	for (size_t i = 0; i < json_array_size(frames); i++) {
		double median = json_number_value(json_object_get(json_array_get(frames, i), "median_ms"));
		CHECK(median > 0 && median <= json_number_value(json_object_get(json_array_get(frames, i), "worst_ms")));
	}
	json_decref(all);
	program_free(&r);
	program_run(&r, NULL, "bench", "--screen", "-m", "x", NULL);
	CHECK_PROGRAM_ERROR(&r, 2, "--screen needs no model");
	program_free(&r);
}
