/* How tests set up the emulated device and plan its failures. */
#ifndef KVGLASS_CUDAEMU_CONTROL_H
#define KVGLASS_CUDAEMU_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "tests/cudaemu/include/cuda_runtime_api.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cudaemu_machine {
	int driver;      /* as cudaDriverGetVersion() gives it; 0: no driver */
	int n_device;
	int major, minor; /* compute capability */
	size_t memory;    /* bytes of the device */
};
extern const struct cudaemu_machine cudaemu_usual_machine;

/* Everything as in the beginning, on this machine: planned failures, last errors and every allocation are forgotten. */
void cudaemu_reset(const struct cudaemu_machine *machine);
/* The nth call from now (1: the next) of a name fails once. "kernel" is any launch; "*" is any call. */
void cudaemu_plan_failure(const char *call, int nth, cudaError_t error);
/* From the nth launch on every call gives this error, as after a fault of the device. 0: never. */
void cudaemu_lose_device(int nth_launch, cudaError_t error);
int cudaemu_calls(const char *call);  /* since the reset, failed ones too */
size_t cudaemu_allocated_bytes(void); /* device memory alive now */
int cudaemu_allocations(void);

#ifdef __cplusplus
}
#endif

#endif
