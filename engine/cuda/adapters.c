/* LoRA pairs on the device. They are taken over once for all passes that use them (adapt), so that a pass moves nothing but its rows: at
 * the published rank of 8 the pairs of an 8B model are 84 MB, which would take longer than the pass. */
#include <stdlib.h>

#include "engine/cuda/cuda.h"

struct cuda_adapters {
	const struct adapter *host; /* (n) as adapt() was told */
	size_t *at;                 /* (n) where A begins on the device, in floats; B lies behind it */
	int n;
	float *device;
	float *low; /* (max_rows, ld_low): rows between A and B of one operation */
	int ld_low;
};

bool cuda_adapters_open(struct cuda *c)
{
	struct cuda_adapters *d = c->adapters = calloc(1, sizeof *d);
	if (d) {
		d->n = c->model->info.n_layer * N_PROJ;
		d->at = calloc((size_t)d->n, sizeof *d->at);
	}
	if (!d || !d->at)
		err_set(&c->device.failure, ERR_MEMORY, "no memory for the list of adapters");
	return !c->device.failure.code;
}

static void forget(struct cuda *c)
{
	struct cuda_adapters *d = c->adapters;
	cuda_release(&c->device, d->device);
	cuda_release(&c->device, d->low);
	d->device = d->low = NULL;
	d->host = NULL;
}

void cuda_adapters_close(struct cuda *c)
{
	if (!c->adapters)
		return;
	forget(c);
	free(c->adapters->at);
	free(c->adapters);
	c->adapters = NULL;
}

static size_t down_floats(const struct adapter *a)
{
	return (size_t)a->r * (size_t)a->n_in;
}

/* Where every pair goes; how many floats they all are. rank: the largest. */
static size_t place(struct cuda_adapters *d, const struct adapter *host, int *rank)
{
	size_t n = 0;
	*rank = 0;
	for (int i = 0; i < d->n; i++) {
		d->at[i] = n;
		if (!host[i].a)
			continue;
		n += down_floats(&host[i]) + (size_t)host[i].r * (size_t)host[i].n_out;
		*rank = host[i].r > *rank ? host[i].r : *rank;
	}
	return n;
}

int cuda_adapt(struct backend *b, const struct adapter *adapter, struct err *e)
{
	struct cuda *c = (struct cuda *)b;
	struct cuda_adapters *d = c->adapters;
	int rank;
	size_t n = place(d, adapter, &rank);
	c->device.failure = (struct err){0};
	CUDA_TRY(&c->device, cudaSetDevice(c->device.index));
	forget(c);
	d->ld_low = MOST_LORA_PARTS * rank;
	d->device = cuda_take(&c->device, n * sizeof(float), "the adapters of lookahead modules");
	d->low = cuda_take(&c->device, (size_t)c->max_rows * (size_t)d->ld_low * sizeof(float), "rows between the adapters' two products");
	for (int i = 0; i < d->n && d->device && d->low; i++) {
		const struct adapter *a = &adapter[i];
		if (!a->a)
			continue;
		cuda_upload_bytes(&c->upload, d->device + d->at[i], a->a, down_floats(a) * sizeof(float));
		cuda_upload_bytes(&c->upload, d->device + d->at[i] + down_floats(a), a->b, (size_t)a->r * (size_t)a->n_out * sizeof(float));
	}
	if (c->device.failure.code)
		forget(c);
	else
		d->host = adapter;
	return cuda_failure(&c->device, e);
}

void cuda_do_lora(struct cuda *c, const struct lora_op *op)
{
	struct cuda_adapters *d = c->adapters;
	struct lora_args args = {.in = cuda_rows_from(c, op->in, op->rows.first), .low = d->low, .ld_low = d->ld_low, .n_rows = op->rows.n,
		.n_in = op->part[0].adapter->n_in, .n_part = op->n_part};
	for (int i = 0, low_at = 0; i < op->n_part; i++) {
		const struct adapter *a = op->part[i].adapter;
		const float *down = d->device + d->at[a - d->host];
		struct cuda_rows out = cuda_rows_from(c, op->part[i].out, op->rows.first);
		args.a[i] = down;
		args.b[i] = down + down_floats(a);
		args.out[i] = out.data;
		args.ld_out[i] = out.ld;
		args.r[i] = a->r;
		args.n_out[i] = a->n_out;
		args.low_at[i] = low_at;
		args.out_half = out.half; /* of one matmul: all of one kind */
		low_at += a->r;
	}
	CUDA_TRY(&c->device, cuda_lora_rows(&args, c->device.stream));
}
