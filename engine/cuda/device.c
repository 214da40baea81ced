#include "engine/cuda/device.h"

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdio.h>

#include "engine/cuda/kernels.h"

enum { LEAST_MAJOR = 8 }; /* bfloat16 in tensor cores, asynchronous copies: Ampere */

const char *cuda_version(void)
{
	static char text[16]; /* the same every time */
	snprintf(text, sizeof text, "%d.%d", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
	return text;
}

const char *cuda_code(void)
{
	return KVGLASS_CUDA_CODE;
}

/* Why nothing of CUDA works here; false: it does, and there are *n devices. */
static bool has_problem(int *n, char *driver, char *problem, size_t n_bytes)
{
	int version = 0;
	*n = 0;
	*driver = 0;
	if (!cudaDriverGetVersion(&version) && version > 0)
		snprintf(driver, 16, "%d.%d", version / 1000, version % 1000 / 10);
	cudaError_t rc = cudaGetDeviceCount(n);
	if (!rc && *n > 0)
		return false;
	if (version <= 0)
		snprintf(problem, n_bytes, "no NVIDIA driver was found");
	else if (rc == cudaErrorInsufficientDriver)
		snprintf(problem, n_bytes, "the NVIDIA driver knows CUDA %s, this build needs %s", driver, cuda_version());
	else
		snprintf(problem, n_bytes, "the driver shows no CUDA device%s%s", rc ? ": " : "", rc ? cudaGetErrorString(rc) : "");
	*n = 0;
	return true;
}

/* Dense bfloat16 operations with float32 sums of one multiprocessor and clock, by compute capability (NVIDIA's architecture papers). */
static double operations_a_clock(int major, int minor)
{
	static const struct {
		int major, minor, operations;
	} known[] = {{8, 0, 2048}, {8, 6, 1024}, {8, 9, 1024}, {9, 0, 4096}, {10, 0, 8192}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].major == major && known[i].minor == minor)
			return known[i].operations;
	return 0;
}

static double attribute_of(int index, enum cudaDeviceAttr attribute)
{
	int value = 0;
	return cudaDeviceGetAttribute(&value, attribute, index) ? 0 : value;
}

static void find_peaks(int index, struct device_info *out)
{
	double clock = attribute_of(index, cudaDevAttrClockRate), memory_clock = attribute_of(index, cudaDevAttrMemoryClockRate);
	out->peak_gflops = 1e-6 * clock * out->n_unit * operations_a_clock(out->compute_major, out->compute_minor);
	out->peak_gbs = 1e-6 * memory_clock * 2 * attribute_of(index, cudaDevAttrGlobalMemoryBusWidth) / 8; /* two transfers a clock */
	cudaGetLastError();
}

void cuda_look_at(int index, struct device_info *out)
{
	struct cudaDeviceProp p;
	*out = (struct device_info){0};
	snprintf(out->id, sizeof out->id, "cuda:%d", index);
	cudaError_t rc = cudaGetDeviceProperties(&p, index);
	if (rc) {
		snprintf(out->unusable, sizeof out->unusable, "cudaGetDeviceProperties: %s", cudaGetErrorString(rc));
		return;
	}
	snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, p.name);
	out->memory = p.totalGlobalMem;
	out->compute_major = p.major;
	out->compute_minor = p.minor;
	out->n_unit = p.multiProcessorCount;
	find_peaks(index, out);
	if (p.major < LEAST_MAJOR) {
		snprintf(out->unusable, sizeof out->unusable, "compute capability %d.%d, %d.0 is needed", p.major, p.minor, LEAST_MAJOR);
		return;
	}
	size_t available, total;
	rc = cudaSetDevice(index);
	rc = rc ? rc : cudaMemGetInfo(&available, &total);
	if (rc) { /* busy in exclusive mode, lost, ... */
		snprintf(out->unusable, sizeof out->unusable, "%s", cudaGetErrorString(rc));
		return;
	}
	out->available = available;
	rc = cuda_find_code();
	cudaGetLastError(); /* it is not to be found again by the first launch */
	if (rc == cudaErrorNoKernelImageForDevice || rc == cudaErrorInvalidDeviceFunction)
		snprintf(out->unusable, sizeof out->unusable, "compute capability %d.%d, this build has code for %s (CUDA_ARCH of make)", p.major,
			p.minor, cuda_code());
	else if (rc)
		snprintf(out->unusable, sizeof out->unusable, "%s", cudaGetErrorString(rc));
}

void cuda_list_devices(struct device_list *out)
{
	int n;
	if (has_problem(&n, out->driver, out->problem, sizeof out->problem))
		return;
	for (int i = 0; i < n && out->n < MAX_DEVICES; i++)
		cuda_look_at(i, &out->device[out->n++]);
}

int cuda_check_device(int index, struct err *e)
{
	int n;
	char driver[16], problem[200];
	if (has_problem(&n, driver, problem, sizeof problem))
		return err_set(e, ERR_DEVICE, "device cuda:%d cannot be used: %s", index, problem);
	if (index >= n)
		return err_set(e, ERR_DEVICE, "there is no device cuda:%d, the driver shows %d", index, n);
	struct device_info info;
	cuda_look_at(index, &info);
	return *info.unusable ? (int)err_set(e, ERR_DEVICE, "device cuda:%d (%s) cannot be used: %s", index, info.name, info.unusable) : 0;
}
