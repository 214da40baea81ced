/* The worker against tiny models, without a screen. */
#include "tui/worker/worker.h"
#include "tests/support/test.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analysis/synthetic.h"
#include "tests/support/tiny_model.h"

struct seen {
	int n_snapshot, n_incomplete;
	const struct snapshot *last;
	struct note note[8];
	int n_note;
	struct worker_state state;
};

static void take(struct worker *w, struct seen *s)
{
	bool has_note = true;
	while (has_note) {
		const struct snapshot *snapshot;
		struct note note;
		worker_take(w, &s->state, &snapshot, &note, &has_note);
		if (snapshot) {
			snapshot_unref(s->last);
			s->last = snapshot;
			s->n_snapshot++;
			s->n_incomplete += !snapshot->capture->complete;
		}
		if (has_note && s->n_note < 8)
			s->note[s->n_note++] = note;
	}
}

static void wait_until_idle(struct worker *w, struct seen *s)
{
	for (int i = 0; i < 6000; i++) {
		take(w, s);
		if (!s->state.busy)
			return;
		struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
		poll(&p, 1, 10);
	}
	test_fail(__FILE__, __LINE__, "the worker did not come to rest");
}

static const struct note *find_note(const struct seen *s, enum note_kind kind)
{
	for (int i = 0; i < s->n_note; i++)
		if (s->note[i].kind == kind)
			return &s->note[i];
	return NULL;
}

static struct worker *open_worker(void)
{
	struct worker *w = NULL;
	struct evaluation_options o = {.protocol = protocol_default(), .seed = 1};
	struct err e;
	o.protocol.select.window = 8; /* tiny contexts */
	CHECK_INT(worker_open(&w, &o, &e), 0);
	return w;
}

static const char *tiny_path(void)
{
	const char *path = test_scratch("tiny.gguf");
	if (access(path, R_OK))
		tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 1});
	return path;
}

static const char prompt[] = "The harbour office keeps a careful ledger of every boat that enters the bay.";

static struct run_order order_for(const char *model)
{
	return (struct run_order){.model = model, .prompt = prompt, .prompt_bytes = sizeof prompt - 1,
		.modules = "untrained",
		.measure = {.mode = PROMPT_RAW, .window = 8, .n_response = 12, .seed = 1, .n_threads = 1}};
}

TEST(worker, a_run_publishes_and_finishes)
{
	struct worker *w = open_worker();
	struct seen s = {0};
	struct err e;
	struct run_order order = order_for(tiny_path());
	CHECK_INT(worker_run(w, &order, &e), 0);
	CHECK_INT(worker_run(w, &order, &e), ERR_USE); /* one at a time */
	wait_until_idle(w, &s);
	CHECK(find_note(&s, NOTE_DONE) != NULL);
	CHECK(!s.state.running);
	CHECK(s.last && s.last->capture->complete);
	if (s.last) {
		CHECK(s.last->n_series >= 3);
		CHECK_STR(s.last->series[0].name, "truth");
		CHECK_STR(s.last->series[1].name, "snapkv");
		CHECK_STR(s.last->series[2].name, "lookahead");
		CHECK(s.last->series[2].method >= 0);
		CHECK_INT(s.last->text->n, s.last->capture->n_prompt + s.last->capture->n_response);
	}
	bool decoded = false;
	for (int i = 0; i < s.state.n_stage; i++)
		decoded |= !strcmp(s.state.stage[i].name, "decode");
	CHECK(decoded);
	snapshot_unref(s.last);
	worker_close(w);
}

TEST(worker, a_second_run_follows_the_first)
{
	struct worker *w = open_worker();
	struct seen s = {0};
	struct err e;
	struct run_order order = order_for(tiny_path());
	worker_run(w, &order, &e);
	wait_until_idle(w, &s);
	int serial = s.last ? s.last->serial : 0;
	order.measure.n_response = 5;
	CHECK_INT(worker_run(w, &order, &e), 0);
	wait_until_idle(w, &s);
	CHECK(s.last && s.last->serial > serial);
	CHECK(s.last && s.last->capture->n_response <= 5);
	snapshot_unref(s.last);
	worker_close(w);
}

/* A device that is not there (no machine has a hundred): said as such, and the same run goes on without it, once. */
TEST(worker, a_run_that_its_device_refuses_can_go_on_with_the_cpu)
{
	struct worker *w = open_worker();
	struct seen s = {0};
	struct err e;
	struct run_order order = order_for(tiny_path());
	CHECK_INT(worker_again_on_cpu(w, &e), ERR_USE);
	order.device = (struct model_options){.device = DEVICE_CUDA, .device_index = 99};
	CHECK_INT(worker_run(w, &order, &e), 0);
	wait_until_idle(w, &s);
	const struct note *note = find_note(&s, NOTE_DEVICE);
	CHECK(note && strstr(note->text, "cuda:99"));
	CHECK(find_note(&s, NOTE_FAILED) == NULL && s.last == NULL);
	s.n_note = 0;
	CHECK_INT(worker_again_on_cpu(w, &e), 0);
	wait_until_idle(w, &s);
	CHECK(find_note(&s, NOTE_DONE) != NULL);
	const char *device = s.last ? capture_meta(s.last->capture, "device") : NULL;
	CHECK(device && !strncmp(device, "cpu", 3));
	CHECK_INT(worker_again_on_cpu(w, &e), ERR_USE);
	snapshot_unref(s.last);
	worker_close(w);
}

TEST(worker, what_cannot_run_is_said_and_the_worker_goes_on)
{
	struct worker *w = open_worker();
	struct seen s = {0};
	struct err e;
	struct run_order order = order_for("/no/such/model.gguf");
	worker_run(w, &order, &e);
	wait_until_idle(w, &s);
	const struct note *note = find_note(&s, NOTE_FAILED);
	CHECK(note && strstr(note->text, "/no/such/model.gguf"));
	CHECK(s.last == NULL);
	s.n_note = 0;
	order = order_for(tiny_path());
	order.prompt = "half a character \xe4";
	order.prompt_bytes = strlen(order.prompt);
	worker_run(w, &order, &e);
	wait_until_idle(w, &s);
	CHECK(find_note(&s, NOTE_FAILED) != NULL);
	s.n_note = 0;
	order = order_for(tiny_path());
	order.prompt = NULL;
	order.prompt_file = "/no/such/prompt.txt";
	worker_run(w, &order, &e);
	wait_until_idle(w, &s);
	note = find_note(&s, NOTE_FAILED);
	CHECK(note && strstr(note->text, "/no/such/prompt.txt"));
	s.n_note = 0;
	order = order_for(tiny_path());
	order.modules = "/no/such/modules.safetensors";
	worker_run(w, &order, &e);
	wait_until_idle(w, &s);
	CHECK(find_note(&s, NOTE_FAILED) != NULL);
	s.n_note = 0;
	order = order_for(tiny_path());
	worker_run(w, &order, &e);
	wait_until_idle(w, &s);
	CHECK(find_note(&s, NOTE_DONE) != NULL);
	snapshot_unref(s.last);
	worker_close(w);
}

TEST(worker, a_stopped_run_keeps_what_there_is)
{
	struct worker *w = open_worker();
	struct seen s = {0};
	struct err e;
	struct run_order order = order_for(tiny_path());
	order.measure.n_response = 100;
	worker_run(w, &order, &e);
	for (int i = 0; i < 6000 && !s.n_snapshot && !find_note(&s, NOTE_DONE); i++) {
		struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
		poll(&p, 1, 10);
		take(w, &s);
	}
	worker_cancel(w);
	wait_until_idle(w, &s);
	CHECK(find_note(&s, NOTE_CANCELLED) || find_note(&s, NOTE_DONE)); /* a tiny model may have been quicker */
	CHECK(s.last != NULL);
	snapshot_unref(s.last);
	worker_close(w);
}

TEST(worker, closing_stops_everything)
{
	for (int i = 0; i < 8; i++) { /* at different moments */
		struct worker *w = open_worker();
		struct err e;
		struct run_order order = order_for(tiny_path());
		order.measure.n_response = 100;
		worker_run(w, &order, &e);
		worker_probe(w, tiny_path(), &order.device);
		usleep((useconds_t)(1000 * i * i));
		worker_close(w);
	}
}

TEST(worker, captures_are_opened_saved_and_drawn)
{
	struct worker *w = open_worker();
	struct seen s = {0};
	struct err e;
	struct synthetic_spec spec = synthetic_default();
	const struct capture *c;
	char first[600], second[600], figure[600];
	spec.n_layer = 3;
	spec.n_prompt = 120;
	snprintf(first, sizeof first, "%s", test_scratch("first.kvg"));
	snprintf(second, sizeof second, "%s", test_scratch("second.kvg"));
	snprintf(figure, sizeof figure, "%s", test_scratch("figure.svg"));
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(capture_save(c, first, &e), 0);
	capture_unref(c);
	worker_open_capture(w, first);
	wait_until_idle(w, &s);
	CHECK(find_note(&s, NOTE_OPENED) != NULL);
	CHECK(s.last != NULL);
	if (s.last) {
		struct figure_spec f = figure_spec_default();
		f.budget = 60;
		f.command = "kvglass export x";
		worker_save_capture(w, s.last, second);
		worker_save_figure(w, s.last, &f, figure);
		worker_save_capture(w, s.last, "/no/such/folder/x.kvg");
		wait_until_idle(w, &s);
	}
	CHECK(find_note(&s, NOTE_SAVED) && access(second, R_OK) == 0);
	CHECK(find_note(&s, NOTE_FIGURE) && access(figure, R_OK) == 0);
	const struct note *bad = find_note(&s, NOTE_ERROR);
	CHECK(bad && strstr(bad->text, "/no/such/folder"));
	s.n_note = 0;
	worker_open_capture(w, figure); /* not a capture */
	wait_until_idle(w, &s);
	CHECK(find_note(&s, NOTE_FAILED) != NULL);
	snapshot_unref(s.last);
	worker_close(w);
}

TEST(worker, models_are_looked_at)
{
	struct worker *w = open_worker();
	struct seen s = {0};
	worker_probe(w, tiny_path(), &(struct model_options){0});
	worker_probe(w, "/no/such/model.gguf", &(struct model_options){0});
	wait_until_idle(w, &s);
	const struct note *good = find_note(&s, NOTE_PROBE), *bad = find_note(&s, NOTE_BAD_PROBE);
	CHECK(good && strstr(good->text, "layers"));
	CHECK(bad && strstr(bad->text, "/no/such/model.gguf"));
	worker_close(w);
}

/* Snapshots share what did not change. */
TEST(worker, snapshots_share)
{
	struct synthetic_spec spec = synthetic_default();
	struct evaluation_options o = {.protocol = protocol_default(), .seed = 1};
	const struct capture *c;
	const struct snapshot *a, *b;
	struct err e;
	spec.n_layer = 3;
	spec.n_prompt = 200;
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(snapshot_make(&a, c, NULL, &o, false, &e), 0);
	CHECK_INT(snapshot_make(&b, c, a, &o, false, &e), 0);
	CHECK(a->series[1].lift == b->series[1].lift);
	CHECK(a->text == b->text);
	CHECK_INT(b->serial, a->serial + 1);
	snapshot_unref(a);
	float largest;
	CHECK(snapshot_layer_lift(b, 1, 1, &largest) != NULL && largest > 1);
	snapshot_unref(b);
	capture_unref(c);
}
