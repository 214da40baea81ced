#include "tests/support/loose_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/simd/simd.h"
#include "engine/random.h"
#include "tests/support/quantise.h"

enum { MAX_BLOCKS = 4096 };

struct loose_model {
	struct model model;
	struct rng rng;
	void *block[MAX_BLOCKS];
	int n_block;
};

static void *take(struct loose_model *r, size_t n_bytes)
{
	void *p = calloc(1, n_bytes ? n_bytes : 1);
	if (!p || r->n_block == MAX_BLOCKS) {
		fprintf(stderr, "tests: no memory for a random model\n");
		exit(2);
	}
	return r->block[r->n_block++] = p;
}

static float *numbers(struct loose_model *r, size_t n, float mean, float deviation)
{
	float *x = take(r, n * sizeof *x);
	for (size_t i = 0; i < n; i++)
		x[i] = mean + deviation * (float)rng_normal(&r->rng);
	return x;
}

static struct weight matrix(struct loose_model *r, enum tensor_type type, int n_out, int n_in, float deviation)
{
	float *x = numbers(r, (size_t)n_out * (size_t)n_in, 0, deviation);
	size_t row_bytes = tensor_type_bytes(type, (uint64_t)n_in);
	uint8_t *data = take(r, row_bytes * (size_t)n_out + 1);
	data++; /* weights in a mapped file may lie anywhere */
	for (int o = 0; o < n_out; o++)
		quantise(type, x + (size_t)o * (size_t)n_in, (size_t)n_in, data + (size_t)o * row_bytes);
	return (struct weight){.type = type, .data = data, .n_out = n_out, .n_in = n_in};
}

static void fill_layer(struct loose_model *r, struct layer_weights *l, const struct loose_model_options *o)
{
	int q = o->n_head * o->head_dim, k = o->n_kv_head * o->head_dim;
	int n_out[] = {q, k, k, o->n_embd, o->n_ff, o->n_ff, o->n_embd}, n_in[] = {o->n_embd, o->n_embd, o->n_embd, q, o->n_embd,
		o->n_embd, o->n_ff};
	float sharp = o->sharpness > 0 ? sqrtf(o->sharpness) : 1;
	for (int i = 0; i < N_PROJ; i++) {
		float deviation = 1 / sqrtf((float)n_in[i]);
		l->proj[i] = matrix(r, o->type, n_out[i], n_in[i], i == PROJ_Q || i == PROJ_K ? sharp * deviation : deviation);
		if (o->bias && i <= PROJ_V)
			l->bias[i] = numbers(r, (size_t)n_out[i], 0, 0.5f);
	}
	l->attn_norm = numbers(r, (size_t)o->n_embd, 1, 0.2f);
	l->ffn_norm = numbers(r, (size_t)o->n_embd, 1, 0.2f);
	if (o->qk_norm) {
		l->q_norm = numbers(r, (size_t)o->head_dim, sharp, 0.2f);
		l->k_norm = numbers(r, (size_t)o->head_dim, sharp, 0.2f);
	}
}

#ifdef KVGLASS_ON_DEVICE
static const char device[] = "cuda:0";
#else
static const char device[] = "cpu";
#endif

bool loose_model_has_bf16(void)
{
	return strcmp(device, "cpu") || simd_available()[0]->bf16_products;
}

struct loose_model *loose_model_make(const struct loose_model_options *o)
{
	struct loose_model *r = calloc(1, sizeof *r);
	if (!r)
		exit(2);
	rng_seed(&r->rng, o->seed);
	struct model *m = &r->model;
	float *frequency = take(r, (size_t)o->head_dim / 2 * sizeof *frequency);
	for (int i = 0; i < o->head_dim / 2; i++)
		frequency[i] = (float)(1.0 / pow(10000.0, 2.0 * i / o->head_dim));
	m->info = (struct model_info){.path = "random", .name = "random", .format = "memory", .weight_type = tensor_type_info(o->type)->name,
		.arch_name = "llama", .n_layer = o->n_layer, .n_head = o->n_head, .n_kv_head = o->n_kv_head, .head_dim = o->head_dim,
		.n_embd = o->n_embd, .n_ff = o->n_ff, .n_vocab = o->n_vocab, .n_ctx = 1 << 20, .device = device, .precision = "f32"};
	m->norm_eps = 1e-5f;
	m->shared = model_shared_new();
	if (!m->shared)
		exit(2);
	m->rope_pairs = o->rope_pairs;
	m->rope_inv_freq = frequency;
	m->embedding = matrix(r, o->type, o->n_vocab, o->n_embd, 1);
	m->output = matrix(r, o->type, o->n_vocab, o->n_embd, 2 / sqrtf((float)o->n_embd));
	m->output_norm = numbers(r, (size_t)o->n_embd, 1, 0.2f);
	m->layer = take(r, (size_t)o->n_layer * sizeof *m->layer);
	for (int i = 0; i < o->n_layer; i++)
		fill_layer(r, &m->layer[i], o);
	return r;
}

struct model *loose_model_get(struct loose_model *r)
{
	return &r->model;
}

void loose_model_free(struct loose_model *r)
{
	model_shared_free(r->model.shared);
	while (r->n_block)
		free(r->block[--r->n_block]);
	free(r);
}

static float *loose_numbers(struct rng *rng, size_t n, float deviation)
{
	float *x = malloc(n * sizeof *x);
	if (!x)
		exit(2);
	for (size_t i = 0; i < n; i++)
		x[i] = deviation * (float)rng_normal(rng);
	return x;
}

struct lookahead *loose_modules(const struct model *m, int n_lookahead, int r, uint64_t seed)
{
	struct lookahead *l = calloc(1, sizeof *l);
	struct rng rng;
	rng_seed(&rng, seed);
	if (!l)
		exit(2);
	*l = (struct lookahead){.n_lookahead = n_lookahead, .n_embd = m->info.n_embd, .n_layer = m->info.n_layer, .scale = 4,
		.name = strdup("random")};
	l->embedding = loose_numbers(&rng, (size_t)n_lookahead * (size_t)l->n_embd, 1);
	l->lora = calloc((size_t)l->n_layer * N_PROJ, sizeof *l->lora);
	for (int i = 0; i < l->n_layer * N_PROJ; i++) {
		const struct weight *w = &m->layer[i / N_PROJ].proj[i % N_PROJ];
		l->lora[i] = (struct lora){.r = r, .n_in = w->n_in, .n_out = w->n_out};
		l->lora[i].a = loose_numbers(&rng, (size_t)r * (size_t)w->n_in, 1 / sqrtf((float)w->n_in));
		l->lora[i].b = loose_numbers(&rng, (size_t)r * (size_t)w->n_out, 0.1f);
	}
	return l;
}

int32_t *loose_ids(const struct model *m, int n, uint64_t seed)
{
	int32_t *ids = malloc((size_t)n * sizeof *ids);
	struct rng rng;
	rng_seed(&rng, seed);
	for (int i = 0; ids && i < n; i++)
		ids[i] = (int32_t)rng_below(&rng, (uint32_t)m->info.n_vocab);
	return ids;
}
