/* Errands on the session of a finished run, with a tiny model. */
#include "tui/worker/errand.h"
#include "tests/support/test.h"
#include "tui/worker/worker.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/tiny_model.h"

static const char prompt[] = "The harbour office keeps a careful ledger of every boat that enters the bay.";

struct seen {
	const struct snapshot *last;
	struct worker_state state;
	int n_done, rc, n_device; /* n_device: times that the CPU was offered */
	char why[512], device_why[512];
};

struct task { /* an errand's state */
	struct seen *seen;
	atomic_int begun;
	bool forever;
	enum err_code fails; /* 0: it does not */
	int n_key; /* what run() found */
	int dropped;
};

static void take(struct worker *w, struct seen *s)
{
	struct errand_result r;
	bool has_note = true;
	while (has_note) {
		const struct snapshot *snapshot;
		struct note note;
		worker_take(w, &s->state, &snapshot, &note, &has_note);
		if (snapshot) {
			snapshot_unref(s->last);
			s->last = snapshot;
		}
		if (has_note && note.kind == NOTE_DEVICE) {
			s->n_device++;
			snprintf(s->device_why, sizeof s->device_why, "%s", note.text);
		}
	}
	while (worker_take_errand(w, &r))
		r.errand.done(NULL, r.errand.state, r.rc, r.why);
}

static void wait_for(struct worker *w, struct seen *s, atomic_int *begun)
{
	for (int i = 0; i < 6000; i++) {
		take(w, s);
		if (begun ? atomic_load(begun) : !s->state.busy)
			return;
		struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
		poll(&p, 1, 10);
	}
	test_fail(__FILE__, __LINE__, "the worker did not come to rest");
}

/* Puts half of truth in its place and shows it; or goes on until it is stopped. */
static int run_task(void *state, const struct errand_site *site, struct err *e)
{
	struct task *t = state;
	const struct capture *base = live_capture(site->live), *c;
	t->n_key = session_length(live_session(site->live));
	atomic_store(&t->begun, 1);
	while (t->forever)
		if (progress_report(site->progress, "forever", 0, 1))
			return err_set(e, ERR_CANCELLED, "stopped");
	if (t->fails)
		return err_set(e, t->fails, "device cuda:0: planted");
	const struct capture_map *truth = capture_find(base, "truth");
	const struct capture_pair meta = {"kvglass.note", "replaced"};
	int rc = capture_replace(&c, base, truth, 1, &meta, 1, e);
	if (!rc)
		errand_publish(site, c);
	return rc;
}

static void task_done(struct app *app, void *state, int rc, const char *why)
{
	struct task *t = state;
	(void)app;
	t->seen->n_done++;
	t->seen->rc = rc;
	snprintf(t->seen->why, sizeof t->seen->why, "%s", why);
}

static void task_drop(void *state)
{
	((struct task *)state)->dropped++;
}

static struct errand errand_of(struct task *t, const char *name)
{
	return (struct errand){.name = name, .state = t, .run = run_task, .done = task_done, .drop = task_drop};
}

static struct worker *after_a_run(struct seen *s)
{
	struct worker *w = NULL;
	struct evaluation_options o = {.protocol = protocol_default(), .seed = 1};
	const struct run_order order = {.model = test_scratch("tiny.gguf"), .prompt = prompt, .prompt_bytes = strlen(prompt),
		.measure = {.mode = PROMPT_RAW, .n_response = 6, .n_threads = 1}};
	o.protocol.select.window = 8; /* tiny contexts */
	tiny_model_gguf(order.model, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 1});
	CHECK_INT(worker_open(&w, &o, NULL), 0);
	CHECK_INT(worker_run(w, &order, NULL), 0);
	wait_for(w, s, NULL);
	CHECK(s->state.live && s->last);
	return w;
}

static void finish(struct worker *w, struct seen *s)
{
	worker_close(w);
	snapshot_unref(s->last);
}

TEST(errand, works_on_the_run_s_session_and_shows_what_it_made)
{
	struct seen s = {0};
	struct task t = {.seen = &s};
	struct worker *w = after_a_run(&s);
	const struct errand errand = errand_of(&t, "task");
	CHECK_INT(worker_errand(w, &errand, NULL), 0);
	wait_for(w, &s, NULL);
	CHECK(s.n_done == 1 && s.rc == 0 && t.dropped == 0);
	CHECK_INT(t.n_key, s.last->capture->n_prompt);
	CHECK(capture_meta(s.last->capture, "note"));
	finish(w, &s);
}

/* A device that fails under an errand: the errand says so, and its run can be had again on the CPU, once; what else fails is no such case. */
TEST(errand, one_that_its_device_fails_offers_the_run_again_on_the_cpu)
{
	struct seen s = {0};
	struct task lost = {.seen = &s, .fails = ERR_DEVICE}, full = {.seen = &s, .fails = ERR_MEMORY}, well = {.seen = &s};
	struct worker *w = after_a_run(&s);
	struct err e;
	const struct errand a = errand_of(&lost, "task"), b = errand_of(&full, "task"), c = errand_of(&well, "task");
	CHECK_INT(worker_errand(w, &b, NULL), 0); /* memory of the CPU: there is nothing to go to */
	wait_for(w, &s, NULL);
	CHECK(s.n_done == 1 && s.rc == ERR_MEMORY && s.n_device == 0);
	CHECK_INT(worker_again_on_cpu(w, &e), ERR_USE);
	for (int i = 1; i <= 2; i++) { /* as often as it fails */
		CHECK_INT(worker_errand(w, &a, NULL), 0);
		wait_for(w, &s, NULL);
		CHECK(s.n_done == 1 + i && s.rc == ERR_DEVICE && s.n_device == i);
	}
	CHECK(strstr(s.device_why, "planted") && strstr(s.why, "planted"));
	CHECK_INT(worker_again_on_cpu(w, &e), 0);
	wait_for(w, &s, NULL);
	CHECK(s.state.live && s.n_device == 2);
	CHECK_STR(s.state.device.id, "cpu");
	CHECK_INT(worker_again_on_cpu(w, &e), ERR_USE);
	CHECK_INT(worker_errand(w, &c, NULL), 0); /* and the errand again, on that */
	wait_for(w, &s, NULL);
	CHECK(s.n_done == 4 && s.rc == 0);
	finish(w, &s);
}

TEST(errand, a_newer_one_of_the_same_name_replaces_the_one_that_waits)
{
	struct seen s = {0};
	struct task first = {.seen = &s, .forever = true}, second = {.seen = &s}, third = {.seen = &s};
	struct worker *w = after_a_run(&s);
	const struct errand a = errand_of(&first, "long"), b = errand_of(&second, "task"), c = errand_of(&third, "task");
	CHECK_INT(worker_errand(w, &a, NULL), 0);
	wait_for(w, &s, &first.begun);
	CHECK_INT(worker_errand(w, &b, NULL), 0);
	CHECK_INT(worker_errand(w, &c, NULL), 0);
	CHECK_INT(second.dropped, 1);
	worker_cancel(w); /* the one that goes on, and those that wait */
	wait_for(w, &s, NULL);
	CHECK(s.n_done == 1 && s.rc == ERR_CANCELLED && third.dropped == 1 && !atomic_load(&second.begun));
	CHECK_INT(worker_errand(w, &b, NULL), 0); /* the session is still good */
	wait_for(w, &s, NULL);
	CHECK(s.n_done == 2 && s.rc == 0);
	finish(w, &s);
}

TEST(errand, a_run_stops_it_and_another_capture_ends_the_session)
{
	struct seen s = {0};
	struct task first = {.seen = &s, .forever = true}, second = {.seen = &s};
	struct err e = {0};
	struct worker *w = after_a_run(&s);
	const struct errand a = errand_of(&first, "long"), b = errand_of(&second, "task");
	const struct run_order order = {.model = test_scratch("tiny.gguf"), .prompt = prompt, .prompt_bytes = strlen(prompt),
		.measure = {.mode = PROMPT_RAW, .n_response = 6, .n_threads = 1}};
	CHECK_INT(worker_errand(w, &a, NULL), 0);
	wait_for(w, &s, &first.begun);
	CHECK_INT(worker_run(w, &order, NULL), 0);
	wait_for(w, &s, NULL);
	CHECK(s.n_done == 1 && s.rc == ERR_CANCELLED && s.state.live);
	worker_save_capture(w, s.last, test_scratch("a.kvg"));
	worker_open_capture(w, test_scratch("a.kvg"));
	wait_for(w, &s, NULL);
	CHECK(!s.state.live);
	CHECK_INT(worker_errand(w, &b, &e), ERR_USE);
	CHECK(strstr(e.text, "needs the model") && second.dropped == 1);
	finish(w, &s);
}
