/* The devices that a model can be run on, and why one of them cannot be used. */
#ifndef KVGLASS_ENGINE_DEVICE_H
#define KVGLASS_ENGINE_DEVICE_H

#include <stdint.h>

#include "engine/err.h"

struct device_info {
	char id[16];       /* as --device takes it: "cpu", "cuda:0" */
	char name[96];     /* of the product */
	uint64_t memory, available; /* bytes; available 0 when unknown */
	int compute_major, compute_minor; /* compute capability; 0 for the CPU */
	int n_unit;        /* threads, multiprocessors */
	/* What the device can do at its highest clocks, from its shape, not measured: 1e9 operations a second in bfloat16 products with float32 sums,
	 * 1e9 bytes a second from its memory. 0: unknown, as for the CPU (kvglass bench measures it). */
	double peak_gflops, peak_gbs;
	char unusable[160]; /* why models cannot run there; "" when they can */
};

enum { MAX_DEVICES = 17 };
struct device_list {
	struct device_info device[MAX_DEVICES]; /* the CPU first */
	int n;
	char driver[16];   /* CUDA version that the driver knows: "13.0"; "" without a driver */
	char problem[200]; /* why there is no CUDA device at all; "" when there is one */
};
void engine_devices(struct device_list *out);
/* One of them by its id; all of its fields are empty when there is none of that name. */
void engine_device(const char *id, struct device_info *out);

#endif
