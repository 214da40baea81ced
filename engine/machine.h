/* What this machine reaches, measured now: the yardsticks that kvglass bench holds its stages against. Clock rates, neighbours on
 * the same host and memory differ between machines and minutes, so only shares of these can be compared. */
#ifndef KVGLASS_ENGINE_MACHINE_H
#define KVGLASS_ENGINE_MACHINE_H

#include "engine/engine.h"
#include "engine/progress.h"

struct machine_rates {
	int n_threads;
	int product_size;  /* the matrix product is this cubed, */
	const char *product_type; /* of "float32" or "bfloat16" */
	double gflops;     /* 1e9 operations a second, a multiplication and an addition being two */
	double read_gbs;   /* 1e9 bytes a second: read from memory; on a device, read and written by a copy */
};

/* Of the device that m is on; the CPU for NULL. n_threads 0: all cores this process may use. Takes about two seconds and a quarter of a gigabyte; the best of several rounds. */
int machine_measure(struct machine_rates *out, const struct model *m, int n_threads, const struct progress *progress, struct err *e);

#endif
