#include "tests/support/evaluated.h"

#include "analysis/synthetic.h"
#include "tests/support/test.h"

struct evaluation *evaluated(int n_prompt, int n_response)
{
	struct synthetic_spec spec = synthetic_default();
	spec.n_layer = 4;
	spec.n_head = 6;
	spec.n_kv_head = 2;
	spec.n_prompt = n_prompt;
	spec.n_response = n_response;
	const struct capture *c = NULL;
	struct evaluation *ev = NULL;
	struct err e = {0};
	const struct evaluation_options o = {.protocol = protocol_default(), .seed = 7};
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	if (c)
		CHECK_INT(evaluation_open(&ev, c, &o, NULL, &e), 0);
	capture_unref(c);
	return ev;
}
