#include "engine/train/step_cpu.h"

#include <stdlib.h>
#include <string.h>

/* ---- life and memory ---- */

static size_t task_floats(const struct step_shape *shape)
{
	return (row_attention_floats(shape) + 15) / 16 * 16; /* a cache line's start for each */
}

static uint64_t scratch_bytes(const struct step_shape *shape)
{
	return (uint64_t)shape->limits.n_threads * task_floats(shape) * sizeof(float);
}

static void close_device(struct step_device *device)
{
	struct step_on_cpu *d = (struct step_on_cpu *)device;
	if (!d)
		return;
	if (d->cpu)
		backend_cpu.close((struct backend *)d->cpu);
	for (int i = 0; i < d->n_taken; i++)
		free(d->taken[i]);
	free(d->taken);
	free(d->task);
	free(d);
}

static int open_device(struct step_device **out, const struct step_shape *shape, struct err *e)
{
	struct step_on_cpu *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(e, ERR_MEMORY, "no memory for a training step");
	*d = (struct step_on_cpu){.base.ops = &step_cpu, .shape = *shape, .task_floats = task_floats(shape)};
	d->task = aligned_alloc(64, scratch_bytes(shape));
	/* A backend of one row lends its threads, kernels and panel buffers. */
	struct backend_config config = {.model = shape->model, .max_tokens = 1, .max_rows = 1, .n_threads = shape->limits.n_threads};
	int rc = d->task ? backend_cpu.open((struct backend **)&d->cpu, &config, e)
		: (int)err_set(e, ERR_MEMORY, "no memory for the attention of a training step: %zu MiB", (size_t)scratch_bytes(shape) >> 20);
	if (rc) {
		close_device((struct step_device *)d);
		return rc;
	}
	*out = (struct step_device *)d;
	return 0;
}

static void fail(struct step_device *d)
{
	atomic_store(&cpu_of(d)->failure, ERR_MEMORY);
}

static void *take(struct step_device *device, size_t n_bytes)
{
	struct step_on_cpu *d = (struct step_on_cpu *)device;
	void **grown = realloc(d->taken, (size_t)(d->n_taken + 1) * sizeof *grown);
	if (grown)
		d->taken = grown;
	void *p = grown ? aligned_alloc(64, (n_bytes + 63) / 64 * 64) : NULL;
	if (p)
		d->taken[d->n_taken++] = p;
	else
		fail(device);
	return p;
}

static void put(struct step_device *d, void *to, const void *host, size_t n_bytes)
{
	(void)d;
	memcpy(to, host, n_bytes);
}

static void get(struct step_device *d, void *host, const void *from, size_t n_bytes)
{
	(void)d;
	memcpy(host, from, n_bytes);
}

static int finish(struct step_device *d, struct err *e)
{
	return atomic_exchange(&cpu_of(d)->failure, 0) ? (int)err_set(e, ERR_MEMORY, "no memory for a part of a training step") : 0;
}

/* ---- vectors ---- */

static void zero(struct step_device *d, float *x, size_t n)
{
	(void)d;
	memset(x, 0, n * sizeof *x);
}

static void copy(struct step_device *d, const float *from, size_t n, float *to)
{
	(void)d;
	memcpy(to, from, n * sizeof *to);
}

static void scale(struct step_device *d, float *x, float factor, size_t n)
{
	cpu_of(d)->simd->rows->scale(x, factor, (int)n);
}

static void add(struct step_device *d, const float *a, const float *b, size_t n, float *out)
{
	(void)d;
	for (size_t i = 0; i < n; i++)
		out[i] = a[i] + b[i];
}

static double square_sum(struct step_device *d, const float *x, size_t n)
{
	(void)d;
	return vector_square_sum(x, n);
}

static void adamw(struct step_device *d, const struct adamw *op)
{
	(void)d;
	adamw_update(op);
}

/* ---- products with stored weights ---- */

/* In float32 whatever the model's precision: the way back is, and the lent backend has no room for rows rounded to bfloat16. */
static void product(struct step_device *d, const struct row_product *op)
{
	cpu_products(cpu_of(d), &(struct product){.in = op->in, .n_row = op->n_row, .weight = op->weight, .bias = op->bias, .out = op->out,
		.ld_out = op->weight->n_out, .exact = true}, 1);
}

static void product_back(struct step_device *d, const struct row_product_back *op)
{
	cpu_product_back(cpu_of(d), &(struct product_back){.d_out = op->d_out, .n_row = op->n_row, .weight = op->weight, .d_in = op->d_in});
}

const struct step_ops step_cpu = {
	.name = "cpu",
	.bytes = scratch_bytes,
	.open = open_device,
	.close = close_device,
	.take = take,
	.put = put,
	.get = get,
	.finish = finish,
	.zero = zero,
	.copy = copy,
	.scale = scale,
	.add = add,
	.product = product,
	.product_back = product_back,
	.gemm = row_gemm,
	.norm = row_norm,
	.norm_back = row_norm_back,
	.swiglu = row_swiglu,
	.swiglu_back = row_swiglu_back,
	.rope = row_rope,
	.attend = row_attend,
	.attend_back = row_attend_back,
	.square_sum = square_sum,
	.adamw = adamw,
};
