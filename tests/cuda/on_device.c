#include "tests/cuda/on_device.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/cuda/device.h"
#include "engine/file/tensor_type.h"
#include "tests/support/test.h"

enum { MAX_ARRAYS = 256 };
static void *arrays[MAX_ARRAYS];
static int n_array;

bool device_is_there(void)
{
	static struct err e;
	if (!cuda_check_device(0, &e))
		return true;
	test_skip(e.text);
	return false;
}

static void must(cudaError_t rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "tests: %s: %s\n", what, cudaGetErrorString(rc));
	exit(2);
}

void *device_put(const void *from, size_t n_bytes)
{
	void *p = NULL;
	if (n_array == MAX_ARRAYS)
		must(cudaErrorMemoryAllocation, "arrays of one test");
	must(cudaMalloc(&p, n_bytes ? n_bytes : 1), "device memory");
	arrays[n_array++] = p;
	must(from ? cudaMemcpy(p, from, n_bytes, cudaMemcpyHostToDevice) : cudaMemset(p, 0xff, n_bytes), "to the device");
	return p;
}

void device_get(void *to, const void *from, size_t n_bytes)
{
	must(cudaDeviceSynchronize(), "kernels");
	must(cudaMemcpy(to, from, n_bytes, cudaMemcpyDeviceToHost), "from the device");
}

void device_free_all(void)
{
	while (n_array)
		must(cudaFree(arrays[--n_array]), "freeing");
}

float bf16_rounded(float x)
{
	return bf16_to_f32(f32_to_bf16(x));
}

/* What a row of elements is in memory. */
static void encode(void *to, const float *x, int n, bool half)
{
	for (int i = 0; i < n; i++)
		if (half)
			((uint16_t *)to)[i] = f32_to_bf16(x[i]);
		else
			((float *)to)[i] = x[i];
}

static void decode(float *x, const void *from, int n, bool half)
{
	for (int i = 0; i < n; i++)
		x[i] = half ? bf16_to_f32(((const uint16_t *)from)[i]) : ((const float *)from)[i];
}

static size_t element(bool half)
{
	return half ? sizeof(uint16_t) : sizeof(float);
}

struct cuda_rows device_rows(const float *x, int n_rows, int width, int ld, bool half)
{
	struct cuda_rows rows = {.data = device_put(NULL, (size_t)n_rows * (size_t)ld * element(half)), .ld = ld, .half = half};
	if (x)
		device_set_rows(rows, x, n_rows, width);
	return rows;
}

void device_set_rows(struct cuda_rows to, const float *x, int n_rows, int width)
{
	size_t bytes = (size_t)width * element(to.half);
	void *packed = malloc((size_t)n_rows * bytes);
	for (int i = 0; i < n_rows; i++)
		encode((char *)packed + (size_t)i * bytes, x + (size_t)i * (size_t)width, width, to.half);
	must(cudaMemcpy2D(to.data, (size_t)to.ld * element(to.half), packed, bytes, bytes, (size_t)n_rows, cudaMemcpyHostToDevice), "rows");
	free(packed);
}

void device_get_rows(float *to, struct cuda_rows from, int n_rows, int width)
{
	size_t bytes = (size_t)width * element(from.half);
	void *packed = malloc((size_t)n_rows * bytes);
	must(cudaDeviceSynchronize(), "kernels");
	must(cudaMemcpy2D(packed, bytes, from.data, (size_t)from.ld * element(from.half), bytes, (size_t)n_rows, cudaMemcpyDeviceToHost), "rows");
	for (int i = 0; i < n_rows; i++)
		decode(to + (size_t)i * (size_t)width, (char *)packed + (size_t)i * bytes, width, from.half);
	free(packed);
}

float *random_floats(struct rng *rng, size_t n, float deviation, bool half)
{
	float *x = malloc((n ? n : 1) * sizeof *x);
	for (size_t i = 0; i < n; i++) {
		x[i] = deviation * (float)rng_normal(rng);
		if (half)
			x[i] = bf16_rounded(x[i]);
	}
	return x;
}
