/* Prompts on the device: what a step attends to is uploaded once and stays as long as there is room, because training comes back to it. */
#include <stdlib.h>

#include "engine/cuda/train.h"

struct prompt_copy {
	struct step_prompt host; /* whose it is */
	uint8_t *data;           /* device: truth, keys, values, all layers each */
	uint64_t bytes, used;
	int n_layer; /* layers 0 .. n_layer - 1 are there */
};

struct piece { /* of one layer */
	size_t bytes, at; /* at: where layer 0 begins in the copy */
};
struct layout {
	struct piece truth, key, value;
	size_t bytes;
};

static struct layout layout_of(const struct model_info *info, int n, bool half)
{
	size_t tokens = (size_t)n, layers = (size_t)info->n_layer;
	size_t map = (size_t)info->n_head * tokens * sizeof(float);
	size_t cache = (size_t)info->n_kv_head * tokens * (size_t)info->head_dim * (half ? sizeof(uint16_t) : sizeof(float));
	return (struct layout){.truth = {map, 0}, .key = {cache, layers * map}, .value = {cache, layers * (map + cache)},
		.bytes = layers * (map + 2 * cache)};
}

uint64_t cuda_prompt_bytes(const struct model_info *info, int n_token, bool half)
{
	return layout_of(info, n_token, half).bytes;
}

void cuda_prompts_free(struct cuda_train *t)
{
	for (int i = 0; i < t->prompts.n; i++)
		cuda_release(&t->device, t->prompts.copy[i].data);
	free(t->prompts.copy);
	t->prompts = (struct cuda_prompts){0};
}

/* ---- room ------------------------------------------------------------------------------------------------------------ */

static void drop_oldest(struct cuda_train *t)
{
	struct cuda_prompts *p = &t->prompts;
	int oldest = 0;
	for (int i = 1; i < p->n; i++)
		oldest = p->copy[i].used < p->copy[oldest].used ? i : oldest;
	cudaStreamSynchronize(t->device.stream); /* kernels may still read it */
	cuda_release(&t->device, p->copy[oldest].data);
	p->bytes -= p->copy[oldest].bytes;
	p->copy[oldest] = p->copy[--p->n];
}

/* Half of what is free when the first prompt comes: sessions of the same program want some too. */
static void set_limit(struct cuda_train *t)
{
	size_t available = 0, total;
	if (!t->prompts.limit && CUDA_TRY(&t->device, cudaMemGetInfo(&available, &total)))
		t->prompts.limit = available / 2 + 1;
}

/* Device memory of a prompt; others go for it. NULL after a failure. */
static uint8_t *make_room(struct cuda_train *t, uint64_t bytes)
{
	struct cuda_prompts *p = &t->prompts;
	set_limit(t);
	while (p->n && p->bytes + bytes > p->limit)
		drop_oldest(t);
	for (;;) {
		uint8_t *data = cuda_take(&t->device, bytes, "a prompt to train on");
		if (data || !p->n || t->device.failure.code != ERR_MEMORY)
			return data;
		t->device.failure = (struct err){0};
		drop_oldest(t);
	}
}

static struct prompt_copy *add_copy(struct cuda_train *t, const struct step_prompt *host, uint64_t bytes)
{
	struct cuda_prompts *p = &t->prompts;
	uint8_t *data = make_room(t, bytes);
	struct prompt_copy *grown = data ? realloc(p->copy, (size_t)(p->n + 1) * sizeof *grown) : NULL;
	if (!grown) {
		cuda_release(&t->device, data);
		if (data)
			err_set(&t->device.failure, ERR_MEMORY, "no memory for a list of prompts");
		return NULL;
	}
	p->copy = grown;
	p->bytes += bytes;
	p->copy[p->n] = (struct prompt_copy){.host = *host, .data = data, .bytes = bytes};
	return &p->copy[p->n++];
}

static bool same_prompt(const struct step_prompt *a, const struct step_prompt *b)
{
	return a->n == b->n && a->truth == b->truth && a->key == b->key && a->half_key == b->half_key;
}

static struct prompt_copy *find_copy(struct cuda_train *t, const struct step_prompt *host, uint64_t bytes)
{
	for (int i = 0; i < t->prompts.n; i++)
		if (same_prompt(&t->prompts.copy[i].host, host))
			return &t->prompts.copy[i];
	return add_copy(t, host, bytes);
}

/* ---- a layer ---------------------------------------------------------------------------------------------------------- */

static void upload_piece(struct cuda_train *t, const struct prompt_copy *c, struct piece piece, const void *host)
{
	size_t at = (size_t)c->n_layer * piece.bytes;
	cuda_upload_bytes(&t->upload, c->data + piece.at + at, (const uint8_t *)host + at, piece.bytes);
}

bool cuda_prompt_layer(struct cuda_train *t, const struct step_prompt *p, int layer, struct prompt_layer *out)
{
	bool half = !p->key;
	const struct layout layout = layout_of(&t->shape.model->info, p->n, half);
	struct prompt_copy *c = t->device.failure.code ? NULL : find_copy(t, p, layout.bytes);
	if (!c)
		return false;
	c->used = ++t->prompts.clock;
	for (; c->n_layer <= layer; c->n_layer++) {
		upload_piece(t, c, layout.truth, p->truth);
		upload_piece(t, c, layout.key, half ? (const void *)p->half_key : p->key);
		upload_piece(t, c, layout.value, half ? (const void *)p->half_value : p->value);
		if (t->device.failure.code)
			return false;
	}
	*out = (struct prompt_layer){.half = half, .truth = (const float *)(void *)(c->data + layout.truth.at + (size_t)layer * layout.truth.bytes),
		.key = c->data + layout.key.at + (size_t)layer * layout.key.bytes,
		.value = c->data + layout.value.at + (size_t)layer * layout.value.bytes};
	return true;
}
