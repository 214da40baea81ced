/* kvglass bench --train: steps of training on the prompt that was just run. */
#include "engine/train.h"
#include "tui/command/bench.h"

int bench_lesson_open(struct bench_lesson *out, const struct bench_lesson_prompt *p, struct err *e)
{
	const struct target_measured measured = {.ids = p->ids, .n = p->n, .response = p->ids + p->n, .n_response = p->n_response,
		.truth = p->truth};
	struct train_options o;
	int number, resumed;
	*out = (struct bench_lesson){0};
	train_options_default(&o);
	o.start = p->modules;
	o.batch = 1;
	o.n_threads = p->n_threads;
	int rc = target_store_open(&out->store, p->model, &(struct target_store_options){.n_threads = p->n_threads}, e);
	rc = rc ? rc : target_store_add(out->store, p->session, &measured, &number, e);
	return rc ? rc : trainer_open(&out->trainer, p->model, out->store, &number, 1, &o, &resumed, e);
}

void bench_lesson_close(struct bench_lesson *l)
{
	trainer_close(l->trainer);
	target_store_close(l->store);
	*l = (struct bench_lesson){0};
}

int bench_lesson_step(struct bench_lesson *l, double *ms, struct err *e)
{
	struct train_report report;
	int rc = trainer_step(l->trainer, &report, e);
	*ms = rc ? 0 : 1e3 * report.seconds;
	return rc;
}
