/* A model's weights on its device: made by the first session, used by all, freed with the model.
 *
 * Matrices that read the same rows lie behind one another (K, V, Q; gate, up), and so do their biases, so that one product serves them all.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/cuda.h"

enum { ALIGN = 256 };

struct copy { /* of an array of the host */
	const void *host;
	void *device;
};

struct cuda_weights {
	struct cuda_device device; /* without a stream: whose it is */
	struct copy *copy; /* (n) sorted by host */
	int n;
	void **block; /* (n_block) device memory that copies lie in */
	int n_block;
};

/* K, V and Q come in the order in which forward.c asks for them. */
static const int order[N_PROJ] = {PROJ_K, PROJ_V, PROJ_Q, PROJ_O, PROJ_GATE, PROJ_UP, PROJ_DOWN};

static bool begins_group(int proj)
{
	return proj != PROJ_V && proj != PROJ_Q && proj != PROJ_UP;
}

static bool is_half(const struct model *m)
{
	return !strcmp(m->info.precision, "bf16");
}

static size_t matrix_bytes(const struct model *m, const struct weight *w)
{
	return (size_t)w->n_out * (size_t)w->n_in * (is_half(m) ? sizeof(uint16_t) : sizeof(float));
}

static size_t aligned(size_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Where projection order[k] of a layer begins; k = N_PROJ: how much there is. */
static size_t matrix_at(const struct model *m, const struct layer_weights *layer, int k)
{
	size_t at = 0;
	for (int i = 0; i < k; i++) {
		at += matrix_bytes(m, &layer->proj[order[i]]);
		if (i + 1 == N_PROJ || begins_group(order[i + 1]))
			at = aligned(at);
	}
	return at;
}

struct vectors { /* float32 arrays, one behind the other */
	struct vector {
		const float *host;
		size_t at, bytes;
	} *list; /* or NULL, to count */
	int n;
	size_t bytes;
};

static void add_vector(struct vectors *v, const float *host, int n, bool follows)
{
	if (!host)
		return;
	if (!follows)
		v->bytes = aligned(v->bytes);
	size_t bytes = (size_t)n * sizeof *host;
	if (v->list)
		v->list[v->n] = (struct vector){host, v->bytes, bytes};
	v->n++;
	v->bytes += bytes;
}

static void list_vectors(struct vectors *v, const struct model *m)
{
	v->n = 0;
	v->bytes = 0;
	add_vector(v, m->rope_inv_freq, m->info.head_dim / 2, false);
	add_vector(v, m->output_norm, m->info.n_embd, false);
	for (int i = 0; i < m->info.n_layer; i++) {
		const struct layer_weights *l = &m->layer[i];
		add_vector(v, l->attn_norm, m->info.n_embd, false);
		add_vector(v, l->ffn_norm, m->info.n_embd, false);
		add_vector(v, l->q_norm, m->info.head_dim, false);
		add_vector(v, l->k_norm, m->info.head_dim, false);
		for (int k = 0; k < N_PROJ; k++)
			add_vector(v, l->bias[order[k]], l->proj[order[k]].n_out, !begins_group(order[k]));
	}
}

static uint64_t bytes_of(const struct model *m)
{
	struct vectors v = {0};
	list_vectors(&v, m);
	uint64_t bytes = v.bytes + aligned(matrix_bytes(m, &m->embedding));
	if (m->output.data != m->embedding.data)
		bytes += aligned(matrix_bytes(m, &m->output));
	for (int i = 0; i < m->info.n_layer; i++)
		bytes += matrix_at(m, &m->layer[i], N_PROJ);
	return bytes;
}

/* ---- making ----------------------------------------------------------------------------------------------------- */

static void free_weights(struct model_device *device)
{
	struct cuda_weights *w = (struct cuda_weights *)device;
	cudaSetDevice(w->device.index);
	for (int i = 0; i < w->n_block; i++)
		cuda_release(&w->device, w->block[i]);
	free(w->block);
	free(w->copy);
	free(w);
}

struct maker {
	struct cuda_weights *w;
	const struct model *m;
	struct cuda_upload upload;
};

static uint8_t *take_block(struct maker *k, size_t n_bytes, const char *what)
{
	void *block = cuda_take(k->upload.device, n_bytes, what);
	if (block)
		k->w->block[k->w->n_block++] = block;
	return block;
}

static void put_matrix(struct maker *k, const struct weight *w, void *device)
{
	struct cuda_device *d = k->upload.device;
	k->w->copy[k->w->n++] = (struct copy){w->data, device};
	if (k->m->random_deviation > 0 && w->data != k->m->embedding.data)
		CUDA_TRY(d, cuda_random(&(struct random_args){.to = device, .half = is_half(k->m), .n = (size_t)w->n_out * (size_t)w->n_in,
			.seed = (uint64_t)k->w->n, .deviation = k->m->random_deviation}, d->stream));
	else
		cuda_upload_matrix(&k->upload, device, is_half(k->m), w);
}

static void put_layer(struct maker *k, const struct layer_weights *layer)
{
	uint8_t *block = take_block(k, matrix_at(k->m, layer, N_PROJ), "the weights of a layer");
	for (int i = 0; block && i < N_PROJ; i++)
		put_matrix(k, &layer->proj[order[i]], block + matrix_at(k->m, layer, i));
}

static void put_vectors(struct maker *k, struct vectors *v)
{
	list_vectors(v, k->m);
	uint8_t *block = take_block(k, v->bytes, "norms and biases");
	for (int i = 0; block && i < v->n; i++) {
		k->w->copy[k->w->n++] = (struct copy){v->list[i].host, block + v->list[i].at};
		cuda_upload_bytes(&k->upload, block + v->list[i].at, v->list[i].host, v->list[i].bytes);
	}
}

static int by_host(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct copy *)a)->host, y = (uintptr_t)((const struct copy *)b)->host;
	return x < y ? -1 : x > y;
}

static void put_everything(struct maker *k, struct vectors *v)
{
	const struct model *m = k->m;
	put_vectors(k, v);
	uint8_t *table = take_block(k, matrix_bytes(m, &m->embedding), "the embedding");
	if (table)
		put_matrix(k, &m->embedding, table);
	if (m->output.data != m->embedding.data && (table = take_block(k, matrix_bytes(m, &m->output), "the output matrix")))
		put_matrix(k, &m->output, table);
	for (int i = 0; i < m->info.n_layer; i++)
		put_layer(k, &m->layer[i]);
	qsort(k->w->copy, (size_t)k->w->n, sizeof *k->w->copy, by_host);
	if (!k->upload.device->failure.code)
		CUDA_TRY(k->upload.device, cudaStreamSynchronize(k->upload.device->stream));
}

/* NULL after a failure, which is the device's or ERR_MEMORY. */
static struct cuda_weights *make_weights(const struct model *m, struct cuda_device *d)
{
	struct vectors v = {0};
	list_vectors(&v, m);
	size_t n_layer = (size_t)m->info.n_layer;
	struct maker k = {.m = m, .w = calloc(1, sizeof *k.w)};
	v.list = calloc((size_t)v.n, sizeof *v.list);
	if (k.w) {
		k.w->device = *d;
		k.w->copy = calloc((size_t)v.n + n_layer * N_PROJ + 2, sizeof *k.w->copy);
		k.w->block = calloc(n_layer + 3, sizeof *k.w->block);
	}
	if (!k.w || !v.list || !k.w->copy || !k.w->block)
		err_set(&d->failure, ERR_MEMORY, "no memory for the list of %s's weights", m->info.name);
	else if (cuda_upload_open(&k.upload, d))
		put_everything(&k, &v);
	if (k.upload.device)
		cuda_upload_close(&k.upload);
	free(v.list);
	if (d->failure.code && k.w) {
		free_weights((struct model_device *)k.w);
		return NULL;
	}
	return k.w;
}

/* ---- the model's one copy --------------------------------------------------------------------------------------- */

int cuda_weights_of(const struct cuda_weights **out, const struct model *m, struct cuda_device *d, struct err *e)
{
	struct model_shared *shared = m->shared;
	pthread_mutex_lock(&shared->lock);
	if (!shared->device) {
		shared->device = (struct model_device *)make_weights(m, d);
		shared->free_device = free_weights;
	}
	*out = (const struct cuda_weights *)shared->device;
	pthread_mutex_unlock(&shared->lock);
	return cuda_failure(d, e);
}

uint64_t cuda_weights_bytes(const struct model *m, bool *resident)
{
	pthread_mutex_lock(&m->shared->lock);
	*resident = m->shared->device != NULL;
	pthread_mutex_unlock(&m->shared->lock);
	return bytes_of(m);
}

const void *cuda_weight_at(const struct cuda_weights *w, const void *host)
{
	struct copy wanted = {.host = host};
	const struct copy *found = host ? bsearch(&wanted, w->copy, (size_t)w->n, sizeof wanted, by_host) : NULL;
	return found ? found->device : NULL;
}
