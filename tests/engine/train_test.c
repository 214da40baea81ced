/* The training of modules: the loop's promises (same seed, going on after a kill, undoing) and the targets that it works on. */
#include "engine/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/forward/session.h"
#include "engine/train/store.h"
#include "tests/support/loose_model.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

/* A tiny model on disk, six prompts of it as targets, and the training of them up to a step. */
struct course {
	struct model *model;
	struct target_store *store;
	int target[6];
};

static void course_open(struct course *c, const char *name)
{
	char folder[300];
	struct target_request request[6];
	const char *path = test_scratch(name);
	snprintf(folder, sizeof folder, "%s.targets", path);
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_Q8_0, .seed = 4});
	c->model = test_model_open(path);
	CHECK_INT(target_store_open(&c->store, c->model, &(struct target_store_options){.folder = folder, .n_threads = 2}, NULL), 0);
	for (int i = 0; i < 6; i++)
		request[i] = (struct target_request){.ids = loose_ids(c->model, 20 + 3 * i, (uint64_t)i), .n = 20 + 3 * i, .n_response = 6};
	CHECK_INT(target_store_make(c->store, request, 6, c->target, NULL, NULL, NULL), 0);
	for (int i = 0; i < 6; i++)
		free((void *)request[i].ids);
}

static void course_close(struct course *c)
{
	target_store_close(c->store);
	model_close(c->model);
}

static struct train_options short_training(const char *checkpoint)
{
	struct train_options o;
	train_options_default(&o);
	o.n_lookahead = 4;
	o.batch = 4;
	o.steps = 12;
	o.warmup = 2;
	o.lr = 1e-2f;
	o.n_threads = 2;
	o.checkpoint = checkpoint;
	o.checkpoint_every = 5;
	return o;
}

/* Steps `until` of the training; the losses of the steps made here go to loss[step - 1]. */
static struct trainer *train_until(struct course *c, const struct train_options *o, int until, double *loss, int *resumed)
{
	struct trainer *t;
	CHECK_INT(trainer_open(&t, c->model, c->store, c->target, 6, o, resumed, NULL), 0);
	for (int step = *resumed; step < until; step++) {
		struct train_report report;
		CHECK_INT(trainer_step(t, &report, NULL), 0);
		CHECK_INT(report.step, step + 1);
		loss[step] = report.loss;
	}
	return t;
}

TEST(train, same_seed_same_losses_and_a_killed_run_goes_on_to_the_same_module)
{
	struct course c;
	double whole[12], again[12], parts[12];
	int resumed;
	course_open(&c, "course.gguf");
	struct train_options alone = short_training(NULL), kept = short_training(test_scratch("course.checkpoint"));
	struct trainer *t = train_until(&c, &alone, 12, whole, &resumed);
	struct lookahead *one = NULL, *other = NULL;
	CHECK_INT(trainer_export(t, &one, NULL), 0);
	trainer_close(t);
	trainer_close(train_until(&c, &alone, 12, again, &resumed));
	trainer_close(train_until(&c, &kept, 8, parts, &resumed)); /* dies after step 8; the last checkpoint is of step 5 */
	CHECK_INT(resumed, 0);
	t = train_until(&c, &kept, 12, parts, &resumed);
	CHECK_INT(resumed, 5);
	CHECK_INT(trainer_export(t, &other, NULL), 0);
	trainer_close(t);
	for (int i = 0; i < 12; i++) {
		CHECK_NEAR(again[i], whole[i], TOL_EXACT);
		CHECK_NEAR(parts[i], whole[i], TOL_EXACT);
	}
	CHECK(whole[11] < whole[0]);
	CHECK(!memcmp(one->embedding, other->embedding, (size_t)one->n_lookahead * (size_t)one->n_embd * sizeof(float)));
	lookahead_free(one);
	lookahead_free(other);
	course_close(&c);
}

TEST(train, a_checkpoint_of_other_options_is_refused)
{
	struct course c;
	double loss[12];
	int resumed;
	struct err e;
	course_open(&c, "other.gguf");
	struct train_options o = short_training(test_scratch("other.checkpoint"));
	trainer_close(train_until(&c, &o, 5, loss, &resumed));
	o.lr = 2e-2f;
	struct trainer *t = NULL;
	CHECK_INT(trainer_open(&t, c.model, c.store, c.target, 6, &o, &resumed, &e), ERR_USE);
	CHECK(strstr(e.text, "checkpoint of other options") != NULL);
	course_close(&c);
}

/* Responses written together are those written alone, and their truth the same up to the rounding of other product shapes. */
TEST(train, targets_are_what_a_session_measures)
{
	struct course c;
	course_open(&c, "targets.gguf");
	const struct model_info *info = model_info(c.model);
	for (int i = 0; i < 6; i++) {
		struct target t;
		struct session *s;
		int32_t ids[6];
		int n;
		bool stopped;
		CHECK_INT(target_get(c.store, c.target[i], &t, NULL), 0);
		CHECK_INT(session_open(&s, c.model, &(struct session_options){.max_tokens = t.n + 6, .n_threads = 1}, NULL), 0);
		CHECK_INT(session_run(s, &(struct run_request){.ids = t.ids, .n = t.n, .stage = "prefill"}, NULL), 0);
		size_t floats = (size_t)info->n_layer * (size_t)info->n_head * (size_t)t.n;
		float *sum = calloc(floats, sizeof *sum);
		struct colsum_request truth = {.first = t.n, .count = 6, .step = 1, .n_key = t.n, .sum = sum};
		struct generate_options go = {.n_max = 6, .colsum = &truth, .n_colsum = 1};
		CHECK_INT(session_generate(s, &go, ids, &n, &stopped, NULL), 0);
		CHECK_INT(t.n_response, n);
		for (int k = 0; k < n; k++)
			CHECK_INT(t.response[k], ids[k]);
		for (size_t k = 0; k < floats; k++)
			CHECK_NEAR(t.truth[k], sum[k] / (float)n, TOL_MEAN_ABS);
		free(sum);
		session_close(s);
	}
	course_close(&c);
}

static int stop_at(void *user, const char *stage, int64_t done, int64_t total)
{
	(void)stage;
	(void)total;
	return done > *(const int64_t *)user;
}

/* ^C while responses are written: prompts that brought theirs are kept, and going on gives what would have been there. */
TEST(train, targets_that_are_complete_outlive_a_stop)
{
	struct course c;
	struct target_request request[6];
	struct target_store *store;
	struct err e;
	int made[6];
	char folder[300];
	course_open(&c, "stop.gguf");
	snprintf(folder, sizeof folder, "%s", test_scratch("stopped.targets"));
	CHECK_INT(target_store_open(&store, c.model, &(struct target_store_options){.folder = folder, .n_threads = 2}, NULL), 0);
	int64_t before_responses = 0;
	for (int i = 0; i < 6; i++) {
		request[i] = (struct target_request){.ids = loose_ids(c.model, 20 + 3 * i, (uint64_t)i), .n = 20 + 3 * i, .n_response = 6};
		request[i].response = i % 2 ? request[i].ids : NULL;
		before_responses += request[i].n + (i % 2 ? 6 : 0);
	}
	const struct progress progress = {stop_at, &before_responses};
	CHECK_INT(target_store_make(store, request, 6, made, NULL, &progress, &e), ERR_CANCELLED);
	CHECK(strstr(e.text, "those of 3 of 6 prompts are kept"));
	CHECK_INT(target_store_make(store, request, 6, made, NULL, NULL, NULL), 0);
	for (int i = 0; i < 6; i += 2) {
		struct target t, whole;
		CHECK_INT(target_get(store, made[i], &t, NULL), 0);
		CHECK_INT(target_get(c.store, c.target[i], &whole, NULL), 0);
		CHECK_INT(t.n_response, whole.n_response);
		CHECK(t.n == whole.n && !memcmp(t.key, whole.key, target_cache_halves(model_info(c.model), t.n) * sizeof *t.key));
	}
	for (int i = 0; i < 6; i++)
		free((void *)request[i].ids);
	target_store_close(store);
	course_close(&c);
}

/* Training on the prompt of a live session: no folder, the same target, and undo leads back to the same losses. */
TEST(train, a_live_session_gives_a_target_and_training_can_be_undone)
{
	struct course c;
	struct target made, live;
	struct target_store *memory;
	struct session *s;
	struct err e;
	int number, resumed;
	double loss[2][3];
	course_open(&c, "live.gguf");
	CHECK_INT(target_get(c.store, c.target[3], &made, NULL), 0);
	CHECK_INT(target_store_open(&memory, c.model, &(struct target_store_options){.n_threads = 1}, NULL), 0);
	CHECK_INT(session_open(&s, c.model, &(struct session_options){.max_tokens = made.n + 1, .n_threads = 1}, NULL), 0);
	CHECK_INT(session_run(s, &(struct run_request){.ids = made.ids, .n = made.n, .stage = "prefill"}, NULL), 0);
	struct target_measured m = {.ids = made.ids, .n = made.n + 1, .response = made.response, .n_response = made.n_response, .truth = made.truth};
	CHECK_INT(target_store_add(memory, s, &m, &number, &e), ERR_USE);
	m.n = made.n;
	CHECK_INT(target_store_add(memory, s, &m, &number, NULL), 0);
	session_close(s);
	CHECK_INT(target_get(memory, number, &live, NULL), 0);
	CHECK(live.n == made.n && live.n_response == made.n_response && !memcmp(live.ids, made.ids, (size_t)made.n * sizeof *made.ids));
	size_t halves = live.bytes / 64; /* a stretch of both; the whole is compared by the losses below */
	CHECK(!memcmp(live.key, made.key, halves) && !memcmp(live.value, made.value, halves));
	CHECK_INT(target_store_make(memory, &(struct target_request){.ids = made.ids, .n = made.n, .n_response = 1}, 1, &number, NULL, NULL, &e),
		ERR_USE);
	struct train_options o = short_training(NULL);
	struct trainer *t;
	o.batch = 1;
	CHECK_INT(trainer_open(&t, c.model, memory, &number, 1, &o, &resumed, NULL), 0);
	for (int round = 0; round < 2; round++) {
		for (int step = 0; step < 3; step++) {
			struct train_report report;
			CHECK_INT(trainer_step(t, &report, NULL), 0);
			CHECK_INT(report.step, step + 1);
			loss[round][step] = report.loss;
		}
		trainer_rewind(t);
	}
	CHECK(loss[0][2] < loss[0][0]);
	CHECK(!memcmp(loss[0], loss[1], sizeof loss[0]));
	trainer_close(t);
	target_store_close(memory);
	course_close(&c);
}
