/* Arrays on the device for tests, and what there is to run on. The tests of this folder are compiled twice: against the emulator of
 * tests/cudaemu and, where there is a toolkit, against the real thing (make test-gpu). */
#ifndef KVGLASS_TESTS_CUDA_ON_DEVICE_H
#define KVGLASS_TESTS_CUDA_ON_DEVICE_H

#include "engine/cuda/kernels.h"
#include "engine/random.h"

/* True when a device can be used; else the running test is marked as skipped, with the reason. */
bool device_is_there(void);

/* Device memory until device_free_all(): a copy of n bytes, or n bytes of 0xff when from is NULL. A failure ends the test program. */
void *device_put(const void *from, size_t n_bytes);
void device_get(void *to, const void *from, size_t n_bytes); /* after everything that was queued */
void device_free_all(void);

/* A matrix of activations (n_rows, width), rows ld apart with NaN between them, as bfloat16 or float32; x NULL: all NaN. */
struct cuda_rows device_rows(const float *x, int n_rows, int width, int ld, bool half);
void device_get_rows(float *to, struct cuda_rows from, int n_rows, int width);
/* The same into rows that are there already. */
void device_set_rows(struct cuda_rows to, const float *x, int n_rows, int width);

float bf16_rounded(float x); /* to nearest even, as the device stores it */
/* n normal numbers; half: rounded to bfloat16, so that what the device reads is known exactly. free(). */
float *random_floats(struct rng *rng, size_t n, float deviation, bool half);

#endif
