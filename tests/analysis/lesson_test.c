#include "analysis/lesson.h"

#include <stdio.h>
#include <string.h>

#include "analysis/training_log.h"
#include "tests/support/measured.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

static const char text[] = "The harbour office keeps a careful ledger of every boat that enters the bay, and of the hour at which "
	"it leaves again.\n";
static const char answer[] = "The clerk keeps it still.";

static struct measured open_scene(bool answered)
{
	struct measured m = measured_model(TINY_LLAMA, 3);
	measured_prompt(&m, text, (struct measure_options){.window = 8, .response = answered ? answer : "",
		.response_bytes = answered ? strlen(answer) : 0, .seed = 5});
	return m;
}

/* The same steps give the same losses, the loss falls, and rewinding gives the start back. */
TEST(lesson, steps_fall_and_can_be_undone)
{
	struct measured s = open_scene(true);
	struct lesson *l = NULL;
	struct lookahead *start = NULL, *back = NULL;
	struct train_report r;
	struct err e = {0};
	double loss[6];
	CHECK_INT(lesson_open(&l, s.live, &(struct lesson_options){.lr = 5e-3f, .seed = 1, .n_threads = 1}, NULL, &e), 0);
	if (!l) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		return;
	}
	CHECK_INT(lesson_modules(l, &start, &e), 0);
	CHECK_STR(start->name, "trained here");
	CHECK(start->base_sha256 && start->n_lookahead == 32);
	for (int i = 0; i < 6; i++) {
		CHECK_INT(lesson_step(l, &r, &e), 0);
		loss[i] = r.loss;
	}
	CHECK(loss[5] < loss[0]);
	lesson_rewind(l);
	CHECK_INT(lesson_modules(l, &back, &e), 0);
	CHECK(!memcmp(back->embedding, start->embedding, (size_t)start->n_lookahead * (size_t)start->n_embd * sizeof(float)));
	for (int i = 0; i < 6; i++) {
		CHECK_INT(lesson_step(l, &r, &e), 0);
		CHECK_NEAR(r.loss, loss[i], 0);
	}
	CHECK_INT(session_length(live_session(s.live)), s.capture->n_prompt); /* the live prompt is as it was */
	lookahead_free(start);
	lookahead_free(back);
	lesson_close(l);
	measured_close(&s);
}

/* A rate that blows up: the step that finds a loss which is no number says so, and what it had stays. */
TEST(lesson, a_loss_that_is_no_number_stops)
{
	struct measured s = open_scene(true);
	struct lesson *l = NULL;
	struct lookahead *modules = NULL;
	struct train_report r;
	struct err e = {0};
	int rc = 0;
	CHECK_INT(lesson_open(&l, s.live, &(struct lesson_options){.lr = 1e30f, .seed = 1, .n_threads = 1}, NULL, &e), 0);
	for (int i = 0; i < 8 && !rc; i++)
		rc = lesson_step(l, &r, &e);
	CHECK_INT(rc, ERR_NUMBER);
	CHECK(strstr(e.text, "step "));
	CHECK_INT(lesson_modules(l, &modules, &e), 0);
	lookahead_free(modules);
	lesson_rewind(l);
	CHECK_INT(lesson_step(l, &r, &e), 0);
	lesson_close(l);
	measured_close(&s);
}

TEST(lesson, needs_an_answer)
{
	struct measured s = open_scene(false);
	struct lesson *l = NULL;
	struct err e;
	CHECK_INT(lesson_open(&l, s.live, &(struct lesson_options){.seed = 1}, NULL, &e), ERR_USE);
	CHECK_STR(e.text, "training needs truth, and this prompt has no response");
	CHECK(!l);
	measured_close(&s);
}

/* ---- the log of kvglass train ------------------------------------------------------------------------------------- */

static const char *write_log(const char *content)
{
	const char *path = test_scratch("training.log");
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(content, f) >= 0);
	if (f)
		fclose(f);
	return path;
}

TEST(training_log, steps_and_held_out_prompts)
{
	struct training_log *l = NULL;
	struct err e;
	CHECK_INT(training_log_open(&l, write_log("{\"step\": 0, \"held_out\": {\"snapkv\": {\"kl\": 0.6}, \"lookahead\": {\"kl\": 0.4}}}\n"
		"{\"step\": 1, \"loss\": 0.5, \"norm\": 1}\n\n{\"note\": \"x\"}\n{\"step\": 2, \"loss\": null}\n{\"step\": 3, \"loss\": 0.25}\n{\"step\": 4, \"lo"), &e), 0);
	CHECK_INT(l->n_step, 3);
	CHECK(l->step[2] == 3 && isnan(l->loss[1]));
	CHECK_NEAR(l->loss[2], 0.25, 0);
	CHECK_INT(l->n_held, 1);
	CHECK_NEAR(l->held[0][0].kl, 0.4, 0);
	CHECK(isnan(l->held[2][0].kl));
	training_log_free(l);
}

TEST(training_log, what_is_none)
{
	struct training_log *l = NULL;
	struct err e;
	CHECK_INT(training_log_open(&l, write_log("step 1 loss 0.5\nstep 2\n"), &e), ERR_FORMAT);
	CHECK(strstr(e.text, "line 1 is no JSON object: not a training log"));
	CHECK_INT(training_log_open(&l, write_log(""), &e), ERR_FORMAT);
	CHECK_INT(training_log_open(&l, write_log("{\"step\": 1}\n[1]\n{}\n"), &e), ERR_FORMAT);
	CHECK(strstr(e.text, "line 2"));
	CHECK_INT(training_log_open(&l, "/no/such.log", &e), ERR_SYSTEM);
	CHECK(!l);
}
