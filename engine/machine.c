#include "engine/machine.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/cpu/gemm.h"
#include "engine/cpu/threads.h"
#include "engine/cuda/device.h"
#include "engine/model/model.h"

enum {
	SIZE = 2048,      /* large enough that packing is paid for, small enough for a tenth of a second */
	ROUNDS = 4,
	READ_MIB = 192,   /* several times the last cache of a desktop; of a large server's it is a part, and the rate says so */
	PIECE_MIB = 1,
};

static double seconds_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- product ---- */

struct product_job {
	const float *a, *b;
	float *c;
	int rows; /* of one piece */
	int rc;   /* of any piece that failed; pieces only ever write one value */
};

static void multiply(void *context, int piece, int thread)
{
	(void)thread;
	struct product_job *job = context;
	int first = piece * job->rows, n = SIZE - first < job->rows ? SIZE - first : job->rows;
	const struct gemm g = {
		.m = n, .n = SIZE, .k = SIZE,
		.a = job->a + (size_t)first * SIZE, .lda = SIZE,
		.b = job->b, .ldb = SIZE,
		.c = job->c + (size_t)first * SIZE, .ldc = SIZE,
	};
	if (gemm_run(&g))
		job->rc = ERR_MEMORY;
}

static int measure_product(struct machine_rates *out, struct threads *pool, const struct progress *progress, struct err *e)
{
	size_t n = (size_t)SIZE * SIZE;
	int n_threads = threads_count(pool);
	float *values = malloc(3 * n * sizeof *values);
	if (!values)
		return err_set(e, ERR_MEMORY, "no memory for a matrix product of %d cubed", SIZE);
	for (size_t i = 0; i < 3 * n; i++)
		values[i] = (float)(i % 7) - 3; /* no denormals, no overflow */
	struct product_job job = {.a = values, .b = values + n, .c = values + 2 * n, .rows = (SIZE + n_threads - 1) / n_threads};
	int rc = 0;
	for (int round = 0; round < ROUNDS && !rc && !job.rc; round++) {
		double began = seconds_now();
		threads_run(pool, n_threads, multiply, &job);
		double rate = 2.0 * SIZE * SIZE * SIZE / (seconds_now() - began) * 1e-9;
		out->gflops = rate > out->gflops ? rate : out->gflops;
		if (progress_report(progress, "matrix product", round + 1, ROUNDS))
			rc = err_set(e, ERR_CANCELLED, "stopped while measuring the matrix product");
	}
	free(values);
	if (!rc && job.rc)
		rc = err_set(e, ERR_MEMORY, "the matrix product of %d cubed found no memory", SIZE);
	return rc;
}

/* ---- read ---- */

typedef uint64_t lane __attribute__((vector_size(64)));

struct read_job {
	const lane *data;
	lane *sum; /* one a piece, so that the reading is not left out */
};

static void read_piece(void *context, int piece, int thread)
{
	(void)thread;
	enum { LANES = PIECE_MIB * 1024 * 1024 / (int)sizeof(lane) };
	struct read_job *job = context;
	const lane *at = job->data + (size_t)piece * LANES;
	lane s[4] = {at[0], at[1], at[2], at[3]};
	for (int i = 4; i < LANES; i += 4)
		for (int k = 0; k < 4; k++)
			s[k] ^= at[i + k];
	job->sum[piece] = s[0] ^ s[1] ^ s[2] ^ s[3];
}

static int measure_read(struct machine_rates *out, struct threads *pool, const struct progress *progress, struct err *e)
{
	size_t n_bytes = (size_t)READ_MIB << 20;
	int n_piece = READ_MIB / PIECE_MIB;
	lane *data = aligned_alloc(sizeof(lane), n_bytes), *sum = aligned_alloc(sizeof(lane), (size_t)n_piece * sizeof(lane));
	int rc = 0;
	if (!data || !sum)
		rc = err_set(e, ERR_MEMORY, "no memory for reading %d MiB", READ_MIB);
	else
		memset(data, 1, n_bytes); /* pages that were never written are all the same one */
	struct read_job job = {data, sum};
	for (int round = 0; round < ROUNDS && !rc; round++) {
		double began = seconds_now();
		threads_run(pool, n_piece, read_piece, &job);
		double rate = (double)n_bytes / (seconds_now() - began) * 1e-9;
		out->read_gbs = rate > out->read_gbs ? rate : out->read_gbs;
		if (progress_report(progress, "memory read", round + 1, ROUNDS))
			rc = err_set(e, ERR_CANCELLED, "stopped while measuring memory");
	}
	free(data);
	free(sum);
	return rc;
}

int machine_measure(struct machine_rates *out, const struct model *m, int n_threads, const struct progress *progress, struct err *e)
{
	struct threads *pool;
	if (m && strcmp(m->info.device, "cpu"))
		return cuda_measure(out, m, e);
	*out = (struct machine_rates){.n_threads = n_threads > 0 ? n_threads : threads_default_count(), .product_size = SIZE,
		.product_type = "float32"};
	int rc = threads_open(&pool, out->n_threads, e);
	if (rc)
		return rc;
	rc = measure_product(out, pool, progress, e);
	if (!rc)
		rc = measure_read(out, pool, progress, e);
	threads_close(pool);
	return rc;
}
