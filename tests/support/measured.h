/* A prompt measured on a tiny model, its session kept: where tests of what happens after a run begin. */
#ifndef KVGLASS_TESTS_MEASURED_H
#define KVGLASS_TESTS_MEASURED_H

#include "analysis/live.h"
#include "analysis/measure.h"
#include "tests/support/tiny_model.h"

struct measured {
	struct model *model;
	const struct capture *capture;
	struct live *live;
};

/* The model alone, float32 on the CPU; options that need it (modules) are made in between. */
struct measured measured_model(enum tiny_kind kind, uint64_t seed);
/* The prompt as raw text, on one thread; the rest as o says. Anything that goes wrong is a failed check. */
void measured_prompt(struct measured *m, const char *text, struct measure_options o);
void measured_close(struct measured *m);

#endif
