/* Calls that fail: the first is remembered and reported when a step ends. Device memory, because that is what fails most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/cuda.h"

bool cuda_note(struct cuda_device *d, cudaError_t rc, const char *call, const char *file, int line)
{
	if (!rc)
		return !d->failure.code;
	cudaGetLastError(); /* errors of a call are not to be found again by the next check */
	if (d->failure.code)
		return false;
	int n_name = (int)strcspn(call, "(");
	err_set(&d->failure, rc == cudaErrorMemoryAllocation ? ERR_MEMORY : ERR_DEVICE,
		"device %s: %.*s: %s (%s:%d); --device cpu goes on without it", d->name, n_name, call, cudaGetErrorString(rc), file, line);
	return false;
}

bool cuda_note_blas(struct cuda_device *d, cublasStatus_t rc, const char *call, const char *file, int line)
{
	const struct cublas *blas = cublas_find(NULL);
	int n_name = (int)strcspn(call, "(");
	if (rc && !d->failure.code)
		err_set(&d->failure, rc == CUBLAS_STATUS_ALLOC_FAILED ? ERR_MEMORY : ERR_DEVICE,
			"device %s: %.*s: %s (%s:%d); --device cpu goes on without it", d->name, n_name, call, blas ? blas->status(rc) : "no cuBLAS",
			file, line);
	return !d->failure.code;
}

int cuda_failure(const struct cuda_device *d, struct err *e)
{
	return d->failure.code ? (int)err_set(e, d->failure.code, "%s", d->failure.text) : 0;
}

int cuda_device_open(struct cuda_device *d, const struct model *m, struct err *e)
{
	struct cudaDeviceProp p;
	*d = (struct cuda_device){.index = atoi(m->info.device + strlen("cuda:"))};
	snprintf(d->name, sizeof d->name, "%s", m->info.device);
	if (CUDA_TRY(d, cudaSetDevice(d->index)) && CUDA_TRY(d, cudaGetDeviceProperties(&p, d->index))) {
		snprintf(d->name, sizeof d->name, "%s (%.60s)", m->info.device, p.name);
		d->n_unit = p.multiProcessorCount;
		CUDA_TRY(d, cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking));
	}
	return cuda_failure(d, e);
}

void cuda_device_close(struct cuda_device *d)
{
	if (!d->stream)
		return;
	cudaStreamSynchronize(d->stream);
	cudaStreamDestroy(d->stream);
	d->stream = NULL;
}

void *cuda_take(struct cuda_device *d, size_t n_bytes, const char *what)
{
	void *p = NULL;
	size_t available = 0, total = 0;
	if (!n_bytes || d->failure.code)
		return NULL;
	cudaError_t rc = cudaMalloc(&p, n_bytes);
	if (rc == cudaErrorMemoryAllocation) {
		const double mib = 1024.0 * 1024.0;
		cudaGetLastError();
		cudaMemGetInfo(&available, &total);
		err_set(&d->failure, ERR_MEMORY, "device %s: %.0f MiB for %s, %.0f MiB of %.0f are free; --device cpu goes on without it", d->name,
			(double)n_bytes / mib, what, (double)available / mib, (double)total / mib);
	} else {
		cuda_note(d, rc, "cudaMalloc", __FILE__, __LINE__);
	}
	return d->failure.code ? NULL : p;
}

void cuda_release(struct cuda_device *d, void *p)
{
	(void)d;
	if (p)
		cudaFree(p); /* after a fault this fails too, and there is nothing left to free */
}
