/* The program without a terminal: what happens to runs, their results and the protocol they are evaluated under. */
#include "tests/support/scene.h"
#include "tests/support/tiny_model.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "tests/support/test.h"
#include "tui/saving.h"

TEST(app_runs, a_run_from_the_start_screen_is_not_lost_without_asking)
{
	struct scene s;
	scene_open_start(&s);
	CHECK_INT(s.app.view, VIEW_START);
	scene_run_typed(&s);
	CHECK(s.app.look.snap && s.app.look.snap->capture->complete);
	CHECK(s.app.unsaved);
	CHECK_STR(app_prompt_name(&s.app), "typed prompt");
	scene_press(&s, "Q");
	CHECK_INT(s.app.question, ASK_LEAVE);
	scene_press(&s, "n");
	CHECK(!s.app.quit && s.app.question == ASK_NOTHING);
	scene_press(&s, "Q");
	scene_press(&s, "w"); /* save first, then leave */
	CHECK(s.app.line && s.app.line->accept == saving_capture);
	scene_press(&s, "^U");
	char path[600];
	snprintf(path, sizeof path, "%s", test_scratch("saved.kvg"));
	scene_type(&s, path);
	scene_press(&s, "Enter");
	app_wait_until_idle(&s.app);
	CHECK(s.app.quit && !s.app.unsaved);
	CHECK(access(path, R_OK) == 0);
	scene_close(&s);
}

TEST(app_runs, a_run_may_be_replaced_by_another)
{
	struct scene s;
	scene_open_start(&s);
	scene_run_typed(&s);
	int serial = s.app.look.snap->serial;
	const struct capture *first = s.app.look.snap->capture;
	scene_press(&s, "r");
	scene_press(&s, "^R"); /* nothing is lost: the first one is kept */
	app_wait_until_idle(&s.app);
	CHECK(s.app.look.snap->serial > serial);
	CHECK(s.app.unsaved && s.app.look.snap->capture != first);
	scene_press(&s, "P");
	CHECK(s.app.look.snap->capture == first && s.app.shows_previous && s.app.unsaved);
	scene_press(&s, "P");
	CHECK(s.app.look.snap->capture != first && !s.app.shows_previous);
	scene_press(&s, "r");
	scene_press(&s, "^R"); /* now it would be */
	CHECK_INT(s.app.question, ASK_REPLACE_RUN);
	scene_press(&s, "n");
	scene_press(&s, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	scene_press(&s, "r");
	scene_press(&s, "^R");
	scene_press(&s, "y");
	app_wait_until_idle(&s.app);
	CHECK(s.app.unsaved && s.app.other.unsaved);
	scene_close(&s);
}

TEST(app_runs, what_cannot_run_is_said_and_the_start_screen_stays)
{
	struct scene s;
	scene_open_start(&s);
	scene_press(&s, "^R"); /* no prompt */
	CHECK_INT(s.app.view, VIEW_START);
	CHECK(strstr(s.app.message, "Prompt file") != NULL);
	scene_type(&s, "/no/such/prompt.txt");
	scene_press(&s, "^R");
	CHECK(strstr(s.app.message, "/no/such/prompt.txt") && strstr(s.app.message, "No such file"));
	CHECK_INT(s.app.view, VIEW_START);
	scene_press(&s, "^U");
	scene_type(&s, s.capture); /* a model is no prompt */
	scene_press(&s, "^R");
	app_wait_until_idle(&s.app);
	CHECK_INT(s.app.view, VIEW_START);
	CHECK(strstr(s.app.message, "UTF-8") != NULL);
	CHECK(!s.app.quit);
	scene_close(&s);
}

/* On which device, how fast each stage; nothing is made up for a capture from a file. */
TEST(app_runs, says_how_fast_the_run_was)
{
	struct scene s;
	scene_open_start(&s);
	scene_run_typed(&s);
	scene_press(&s, "S");
	CHECK(strstr(s.app.message, s.app.work.device.id) && *s.app.work.device.id);
	CHECK(strstr(s.app.message, "prefill ") && strstr(s.app.message, "decode ") && strstr(s.app.message, " tokens/s"));
	scene_close(&s);
	scene_open_synthetic(&s, &scene_plain, 60, 10, 4, 2);
	scene_press(&s, "S");
	CHECK(strstr(s.app.message, "no run was made here") != NULL);
	scene_close(&s);
}

/* A device that refuses is asked about with its reason; yes runs on the CPU, no is the failure that it was. */
TEST(app_runs, a_device_that_refuses_is_asked_about)
{
	for (int yes = 0; yes < 2; yes++) {
		struct scene s = {0};
		snprintf(s.capture, sizeof s.capture, "%s", test_scratch("tiny.gguf"));
		tiny_model_gguf(s.capture, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 3});
		s.options = (struct screen_options){.model = s.capture, .prompt = "What is said here?", .prompt_bytes = 18,
			.protocol = protocol_default(), .measure = {.seed = 1, .n_response = 2},
			.device = {.device = DEVICE_CUDA, .device_index = 99}};
		scene_open(&s, &scene_plain, 24, 80);
		CHECK_INT(s.app.question, ASK_CPU);
		CHECK(strstr(s.app.refusal, "cuda:99") != NULL);
		app_act(&s.app, ACTION_ANSWER_SAVE);
		CHECK_INT(s.app.question, ASK_CPU);
		app_act(&s.app, yes ? ACTION_ANSWER_YES : ACTION_ANSWER_NO);
		app_wait_until_idle(&s.app);
		CHECK_INT(s.app.question, ASK_NOTHING);
		CHECK_INT(s.app.look.snap != NULL, yes);
		CHECK_INT(s.app.failure.code != ERR_NONE, !yes);
		CHECK_INT(s.app.quit, !yes);
		scene_close(&s);
	}
}

TEST(app_runs, what_the_command_line_asked_for_ends_the_program_when_it_cannot_be_done)
{
	struct scene s = {.options = {.model = "/no/such/model.gguf", .prompt = "x", .prompt_bytes = 1,
		.protocol = protocol_default()}};
	scene_open(&s, &scene_plain, 24, 80);
	CHECK(s.app.quit);
	CHECK(s.app.failure.code != ERR_NONE && strstr(s.app.failure.text, "/no/such/model.gguf"));
	scene_close(&s);
}

TEST(app_runs, another_protocol_is_evaluated_beside_the_common_one_and_back)
{
	struct scene s;
	struct swap swap;
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	const struct look *l = &s.app.look;
	const struct evaluation *usual = l->snap->evaluation;
	int snapkv = snapshot_find(l->snap, "snapkv");
	CHECK(!l->snap->common && !swap_count(&s.app.look, snapkv, look_scope(l), &swap));
	scene_perform(&s, "set pool max");
	scene_perform(&s, "set kernel 8");
	CHECK(strstr(s.app.message, "must be odd") != NULL);
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->score.pool, POOL_MAX);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->score.kernel, 7);
	CHECK(l->snap->common == usual); /* not computed twice */
	CHECK(swap_count(&s.app.look, snapkv, look_scope(l), &swap));
	CHECK(swap.in > 0 && swap.in == swap.out); /* as many protected: what comes in pushes as much out */
	int in = 0, out = 0;
	for (int token = 0; token < 300; token++) {
		in += swap_of(&s.app.look, snapkv, token) > 0;
		out += swap_of(&s.app.look, snapkv, token) < 0;
	}
	CHECK(in == (int)swap.in && out == (int)swap.out);
	scene_perform(&s, "preset snapkv-kvpress");
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->select.window, 64);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->select.sink, 0);
	CHECK(l->snap->common == usual && l->budget >= 65);
	scene_perform(&s, "set sink 3"); /* over the preset */
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->select.window, 64);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->select.sink, 3);
	scene_press(&s, "D");
	app_wait_until_idle(&s.app);
	CHECK(l->snap->evaluation == usual && !l->snap->common);
	scene_perform(&s, "set colour 16");
	CHECK(strstr(s.app.message, "did you mean color?") != NULL);
	scene_close(&s);
}

TEST(app_runs, truth_of_chosen_words_and_back_to_all)
{
	struct scene s;
	scene_open_start(&s);
	scene_run_typed(&s);
	const struct capture *whole = capture_ref(s.app.look.snap->capture);
	CHECK(whole->n_response > 2);
	scene_press(&s, "2");
	scene_press(&s, "v");
	scene_press(&s, ".");
	scene_press(&s, "Space");
	CHECK(words_is_chosen(&s.app, 1));
	memset(s.app.words.chosen, 0, (size_t)s.app.words.n); /* the tiny model's answer may be one word */
	s.app.words.chosen[1] = 1;
	int n = words_count(&s.app);
	app_draw(&s.app, &s.grid);
	scene_press(&s, "Enter");
	app_wait_until_idle(&s.app);
	app_draw(&s.app, &s.grid);
	const struct capture *c = s.app.look.snap->capture;
	CHECK_INT(capture_find(c, "truth")->n_rows, n);
	CHECK_STR(capture_meta(c, "truth_rows"), "1");
	CHECK(strstr(s.app.message, "chosen token") != NULL);
	char said[128];
	CHECK(words_say_truth(s.app.look.snap, said, sizeof said) && strstr(said, "1 chosen row of"));
	CHECK_INT(c->n_response, whole->n_response);
	scene_press(&s, "V");
	app_wait_until_idle(&s.app);
	app_draw(&s.app, &s.grid);
	CHECK(!capture_meta(s.app.look.snap->capture, "truth_rows"));
	size_t n_bytes = (size_t)whole->n_layer * (size_t)whole->n_head * (size_t)whole->n_prompt * sizeof(float);
	CHECK(!memcmp(capture_find(s.app.look.snap->capture, "truth")->data, capture_find(whole, "truth")->data, n_bytes));
	CHECK_INT(words_count(&s.app), 0);
	scene_press(&s, "Esc"); /* out of the answer, still on the text */
	CHECK(!s.app.words.choosing && s.app.view == VIEW_TEXT);
	capture_unref(whole);
	scene_close(&s);
}

TEST(app_runs, words_of_a_saved_capture_need_a_run_and_it_says_so)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	scene_press(&s, "2");
	scene_press(&s, "v");
	scene_press(&s, "Space");
	scene_press(&s, "Enter");
	CHECK(strstr(s.app.message, "needs the model") && strstr(s.app.message, "r runs the prompt"));
	scene_press(&s, "V");
	CHECK(strstr(s.app.message, "whole answer") != NULL);
	scene_close(&s);
	scene_open_synthetic(&s, &scene_plain, 300, 0, 9, 3);
	scene_press(&s, "2");
	scene_press(&s, "v");
	CHECK(strstr(s.app.message, "no answer") != NULL);
	CHECK(!s.app.words.choosing);
	scene_close(&s);
}

/* ---- what each result is evaluated under ---- */

TEST(app_runs, the_result_before_keeps_its_protocol)
{
	struct scene s;
	scene_open_start(&s);
	scene_run_typed(&s);
	scene_press(&s, "r");
	scene_press(&s, "^R");
	app_wait_until_idle(&s.app);
	int layer = s.app.look.layer, token = s.app.look.token;
	scene_perform(&s, "set pool max");
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(s.app.look.snap->evaluation)->score.pool, POOL_MAX);
	CHECK(s.app.look.layer == layer && s.app.look.token == token);
	scene_press(&s, "P");
	CHECK_INT(s.app.in_force.protocol.score.pool, POOL_NONE);
	CHECK_INT(evaluation_protocol(s.app.look.snap->evaluation)->score.pool, POOL_NONE);
	scene_perform(&s, "set pool avg"); /* it is what the newest is held against */
	CHECK(strstr(s.app.message, "the result before"));
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(s.app.look.snap->evaluation)->score.pool, POOL_NONE);
	scene_press(&s, "P");
	CHECK_INT(s.app.in_force.protocol.score.pool, POOL_MAX);
	CHECK_INT(evaluation_protocol(s.app.look.snap->evaluation)->score.pool, POOL_MAX);
	scene_close(&s);
}

TEST(app_runs, another_protocol_does_not_unsave_a_result)
{
	struct scene s;
	char path[600];
	snprintf(path, sizeof path, "%s", test_scratch("kept.kvg"));
	unlink(path);
	scene_open_start(&s);
	scene_run_typed(&s);
	saving_capture(&s.app, path);
	app_wait_until_idle(&s.app);
	CHECK(!s.app.unsaved);
	scene_perform(&s, "set group max");
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(s.app.look.snap->evaluation)->score.group, REDUCE_MAX);
	CHECK(!s.app.unsaved);
	CHECK_STR(s.app.capture_path, path);
	scene_close(&s);
}
