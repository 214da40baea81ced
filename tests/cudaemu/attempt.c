#include "tests/cudaemu/attempt.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

/* False: the attempt has fewer such calls. */
static bool fail_one(const struct attempt_kind *kind, void *attempt, const char *call, int nth, cudaError_t error, int code)
{
	struct err *e = attempt;
	cudaemu_reset(&cudaemu_usual_machine);
	kind->begin(attempt);
	cudaemu_plan_failure(call, nth, error);
	int rc = kind->run(attempt);
	bool reached = cudaemu_calls(call) >= nth, excused = rc == 0 && code == ERR_MEMORY && kind->makes_room;
	if (reached && rc != code && !excused)
		test_fail(__FILE__, __LINE__, "%s number %d fails: %d, not %d (%s)", call, nth, rc, code, e->text);
	if (rc && !strstr(e->text, "cuda:0"))
		test_fail(__FILE__, __LINE__, "%s number %d fails: \"%s\" does not name the device", call, nth, e->text);
	*e = (struct err){0};
	if (reached)
		CHECK_INT(kind->run(attempt), 0);
	kind->end(attempt);
	CHECK_INT(cudaemu_allocations(), 0);
	return reached;
}

void attempt_fail_each(const struct attempt_kind *kind, const char *call, cudaError_t error, int code)
{
	void *attempt = malloc(kind->n_bytes);
	for (int nth = 1; fail_one(kind, attempt, call, nth, error, code); nth++)
		;
	free(attempt);
	cudaemu_reset(&cudaemu_usual_machine);
}
