#include "tests/support/measured.h"

#include <string.h>

#include "tests/support/test.h"

struct measured measured_model(enum tiny_kind kind, uint64_t seed)
{
	const struct tiny_options tiny = {.kind = kind, .type = TYPE_F32, .seed = seed};
	const char *path = test_scratch("measured.gguf");
	tiny_model_gguf(path, &tiny);
	return (struct measured){.model = test_model_open(path)};
}

void measured_prompt(struct measured *m, const char *text, struct measure_options o)
{
	struct err e = {0};
	o.mode = PROMPT_RAW;
	o.n_threads = 1;
	o.keep = &m->live;
	if (measure_prompt(&m->capture, m->model, text, strlen(text), &o, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
}

void measured_close(struct measured *m)
{
	live_close(m->live);
	capture_unref(m->capture);
	model_close(m->model);
}
