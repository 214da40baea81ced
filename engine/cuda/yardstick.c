/* What the device reaches now: a large product of cuBLAS in the model's precision, and a copy from device memory to device memory. */
#include <string.h>

#include "engine/cuda/cuda.h"
#include "engine/machine.h"

enum { ROUNDS = 5 };

struct yardstick {
	struct cuda_device device;
	cudaEvent_t begin, end;
	int size;     /* the product is this cubed */
	char *memory; /* three matrices (size, size) side by side; the copy goes from the first half of it all to the second */
	size_t matrix_bytes, n_bytes;
	cublasHandle_t blas;
	bool half;
};

static bool multiply(struct yardstick *y)
{
	const float one = 1, nothing = 0;
	cudaDataType type = y->half ? CUDA_R_16BF : CUDA_R_32F;
	return CUBLAS_TRY(&y->device, cublas_find(NULL)->gemm(y->blas, CUBLAS_OP_T, CUBLAS_OP_N, y->size, y->size, y->size, &one, y->memory, type, y->size,
		y->memory + y->matrix_bytes, type, y->size, &nothing, y->memory + 2 * y->matrix_bytes, type, y->size,
		y->half ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT));
}

static bool copy(struct yardstick *y)
{
	size_t n = y->n_bytes / 2;
	return CUDA_TRY(&y->device, cudaMemcpyAsync(y->memory + n, y->memory, n, cudaMemcpyDeviceToDevice, y->device.stream));
}

/* The least milliseconds of several rounds; 0 after a failure. */
static double least_ms(struct yardstick *y, bool (*work)(struct yardstick *y))
{
	struct cuda_device *d = &y->device;
	double least = 0;
	for (int round = 0; round < ROUNDS; round++) {
		float ms = 0;
		if (!(CUDA_TRY(d, cudaEventRecord(y->begin, d->stream)) && work(y) && CUDA_TRY(d, cudaEventRecord(y->end, d->stream)) &&
			CUDA_TRY(d, cudaEventSynchronize(y->end)) && CUDA_TRY(d, cudaEventElapsedTime(&ms, y->begin, y->end))))
			return 0;
		if (round && (least <= 0 || ms < least)) /* the first one warms up */
			least = ms;
	}
	return least;
}

/* Random numbers, because a device that multiplies zeros runs cooler and faster. */
static bool fill(struct yardstick *y)
{
	return CUDA_TRY(&y->device, cuda_random(&(struct random_args){.to = y->memory, .half = y->half, .n = 2 * (size_t)y->size * (size_t)y->size,
		.seed = 1, .deviation = 1}, y->device.stream));
}

static bool open_parts(struct yardstick *y, size_t copied)
{
	struct cuda_device *d = &y->device;
	y->matrix_bytes = (size_t)y->size * (size_t)y->size * (y->half ? sizeof(uint16_t) : sizeof(float));
	y->n_bytes = 3 * y->matrix_bytes > 2 * copied ? 3 * y->matrix_bytes : 2 * copied;
	const struct cublas *blas = cublas_find(&d->failure);
	y->memory = cuda_take(d, y->n_bytes, "a large product");
	return blas && y->memory && CUBLAS_TRY(d, blas->create(&y->blas)) && CUBLAS_TRY(d, blas->set_stream(y->blas, d->stream)) &&
		CUDA_TRY(d, cudaEventCreateWithFlags(&y->begin, cudaEventDefault)) &&
		CUDA_TRY(d, cudaEventCreateWithFlags(&y->end, cudaEventDefault)) && fill(y);
}

static void close_parts(struct yardstick *y)
{
	if (y->begin)
		cudaEventDestroy(y->begin);
	if (y->end)
		cudaEventDestroy(y->end);
	if (y->blas)
		cublas_find(NULL)->destroy(y->blas);
	cuda_release(&y->device, y->memory);
	cuda_device_close(&y->device);
}

int cuda_measure_with(struct machine_rates *out, const struct model *m, int size, size_t n_copied, struct err *e)
{
	struct yardstick y = {.half = !strcmp(m->info.precision, "bf16"), .size = size};
	int rc = cuda_device_open(&y.device, m, e);
	if (rc)
		return rc;
	double product = 0, copied = 0;
	if (open_parts(&y, n_copied)) {
		product = least_ms(&y, multiply);
		copied = least_ms(&y, copy);
	}
	rc = cuda_failure(&y.device, e);
	if (!rc)
		*out = (struct machine_rates){.product_size = size, .product_type = y.half ? "bfloat16" : "float32",
			.gflops = 2e-6 * size * size * size / product, .read_gbs = 1e-6 * (double)y.n_bytes / copied};
	close_parts(&y);
	return rc;
}

int cuda_measure(struct machine_rates *out, const struct model *m, struct err *e)
{
	enum { SIZE = 8192, COPY_MIB = 512 };
	return cuda_measure_with(out, m, SIZE, (size_t)COPY_MIB << 20, e);
}
