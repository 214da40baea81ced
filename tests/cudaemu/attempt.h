/* Work on a device that is tried again and again while one call after the other fails under it. */
#ifndef KVGLASS_CUDAEMU_ATTEMPT_H
#define KVGLASS_CUDAEMU_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/err.h"
#include "tests/cudaemu/control.h"

struct attempt_kind {
	size_t n_bytes;              /* of an attempt, which begins with its struct err */
	void (*begin)(void *attempt); /* on a device as it usually is */
	int (*run)(void *attempt);
	void (*end)(void *attempt);  /* leaves nothing on the device */
	bool makes_room; /* memory that one thing lacks may be had from another: an attempt may be well without it */
};

/* Every call of that name in turn fails once: the attempt's result is `code`, its error names the device, nothing leaks, and the same attempt
 * run again is well. */
void attempt_fail_each(const struct attempt_kind *kind, const char *call, cudaError_t error, int code);

#endif
