#include "tests/support/measured.h"

#include <string.h>

#include "tests/support/test.h"

struct measured measured_model(enum tiny_kind kind, uint64_t seed)
{
	const struct tiny_options tiny = {.kind = kind, .type = TYPE_F32, .seed = seed};
	const char *path = test_scratch("measured.gguf");
	struct measured m = {0};
	struct err e = {0};
	tiny_model_gguf(path, &tiny);
	if (model_open(&m.model, path, &(struct model_options){.device = DEVICE_CPU}, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return m;
}

void measured_prompt(struct measured *m, const char *text, struct measure_options o)
{
	struct err e = {0};
	o.mode = PROMPT_RAW;
	o.n_threads = 1;
	o.keep = &m->live;
	if (measure_prompt(&m->capture, m->model, text, strlen(text), &o, NULL, NULL, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
}

void measured_close(struct measured *m)
{
	live_close(m->live);
	capture_unref(m->capture);
	model_close(m->model);
}
