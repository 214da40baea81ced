#include "tests/support/module_draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file/tensor_type.h"
#include "engine/random.h"
#include "tests/support/test.h"

const struct module_shape draft_shape = {
	.n_layer = 2, .n_embd = 6, .n_in = {6, 6, 6, 8, 6, 6, 10}, .n_out = {8, 4, 4, 6, 10, 10, 6}};

static void store(uint8_t *out, enum st_dtype dtype, int i, float value)
{
	uint16_t half = dtype == ST_F16 ? f32_to_f16(value) : f32_to_bf16(value);
	if (dtype == ST_F32)
		memcpy(out + 4 * (size_t)i, &value, 4);
	else
		memcpy(out + 2 * (size_t)i, &half, 2);
}

void draft_add(struct draft *d, const char *name, int rows, int columns)
{
	struct st_tensor *t = &d->tensor[d->n];
	enum st_dtype dtype = d->dtype == ST_F64 ? ST_F32 : d->dtype;
	size_t n = (size_t)rows * (size_t)columns;
	uint8_t *values = malloc(n * st_dtype_size(dtype));
	struct rng r;
	rng_seed_stream(&r, d->seed, (uint64_t)d->n);
	for (size_t i = 0; i < n; i++)
		store(values, dtype, (int)i, (float)(rng_below(&r, 255)) / 64 - 2); /* eight bits: exact in every type */
	snprintf(d->name[d->n], sizeof d->name[0], "%s", name);
	*t = (struct st_tensor){.name = d->name[d->n], .dtype = dtype, .n_dim = 2, .dim = {rows, columns}, .data = values,
		.n_bytes = n * st_dtype_size(dtype)};
	d->n++;
}

void draft_add_scalar(struct draft *d, const char *name, float value)
{
	draft_add(d, name, 1, 1);
	struct st_tensor *t = &d->tensor[d->n - 1];
	t->n_dim = 0;
	store((uint8_t *)t->data, t->dtype, 0, value);
}

void draft_drop(struct draft *d)
{
	while (d->n)
		free((void *)d->tensor[--d->n].data);
}

void draft_add_pair(struct draft *d, const char *before, const char *a, const char *b, int p, bool turned)
{
	char name[96];
	int n_in = draft_shape.n_in[p], n_out = draft_shape.n_out[p];
	snprintf(name, sizeof name, "%s%s", before, a);
	draft_add(d, name, turned ? n_in : DRAFT_RANK, turned ? DRAFT_RANK : n_in);
	snprintf(name, sizeof name, "%s%s", before, b);
	draft_add(d, name, turned ? DRAFT_RANK : n_out, turned ? n_out : DRAFT_RANK);
}

void draft_add_whole(struct draft *d)
{
	draft_add(d, "lookahead.embedding", DRAFT_ROWS, draft_shape.n_embd);
	for (int p = 0; p < N_PROJ; p++) {
		char before[48];
		snprintf(before, sizeof before, "layers.0.%s.", projection_name(p));
		draft_add_pair(d, before, "lora_a", "lora_b", p, false);
	}
	draft_add_pair(d, "layers.1.q.", "lora_a", "lora_b", PROJ_Q, false);
	draft_add_pair(d, "layers.1.k.", "lora_a", "lora_b", PROJ_K, false);
}

void draft_write(struct draft *d, const char *path, const struct st_pair *meta, int n_meta)
{
	struct err e;
	if (st_write(path, d->tensor, d->n, meta, n_meta, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	draft_drop(d);
}
