#include "engine/lookahead/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/model.h"
#include "engine/random.h"

enum { SAMPLED_ROWS = 4096, STREAM_EMBEDDING = 0, STREAM_LORA = 1 };

/* Standard deviation over all elements of up to SAMPLED_ROWS rows, evenly spread: milliseconds whatever the vocabulary,
 * and the same on every machine. */
static int embedding_spread(const struct weight *w, double *out, struct err *e)
{
	size_t n_in = (size_t)w->n_in, row_bytes = tensor_type_bytes(w->type, n_in);
	int n_row = w->n_out < SAMPLED_ROWS ? w->n_out : SAMPLED_ROWS;
	float *row = malloc(n_in * sizeof *row);
	if (!row)
		return err_set(e, ERR_MEMORY, "out of memory for a row of the embedding");
	double sum = 0, square = 0;
	for (int i = 0; i < n_row; i++) {
		size_t at = (size_t)((int64_t)i * w->n_out / n_row);
		tensor_unpack(w->type, w->data + at * row_bytes, n_in, row);
		for (size_t k = 0; k < n_in; k++) {
			sum += (double)row[k];
			square += (double)row[k] * (double)row[k];
		}
	}
	free(row);
	double n = (double)n_row * (double)n_in, mean = sum / n, variance = square / n - mean * mean;
	if (!(variance >= 0 && variance < INFINITY))
		return err_set(e, ERR_NUMBER, "the model's embedding has values that are not finite");
	*out = sqrt(variance);
	return 0;
}

static int add_adapter(struct lora *lora, int r, int n_in, int n_out, struct rng *rng, struct err *e)
{
	*lora = (struct lora){.r = r, .n_in = n_in, .n_out = n_out};
	lora->a = malloc((size_t)r * (size_t)n_in * sizeof *lora->a);
	lora->b = calloc((size_t)n_out * (size_t)r, sizeof *lora->b);
	if (!lora->a || !lora->b)
		return err_set(e, ERR_MEMORY, "out of memory for adapters of rank %d", r);
	double bound = 1 / sqrt(n_in);
	for (size_t i = 0; i < (size_t)r * (size_t)n_in; i++)
		lora->a[i] = (float)(bound * (2 * rng_uniform(rng) - 1));
	return 0;
}

/* The last layer's rows are needed up to their queries and keys only: nothing reads what v, o and the feed-forward would make. */
static int add_adapters(struct lookahead *l, const struct module_shape *shape, int r, uint64_t seed, struct err *e)
{
	for (int layer = 0; layer < l->n_layer; layer++)
		for (int p = 0; p < N_PROJ; p++) {
			if (layer == l->n_layer - 1 && p > PROJ_K)
				continue;
			struct rng rng;
			rng_seed_stream(&rng, seed, STREAM_LORA + (uint64_t)(layer * N_PROJ + p));
			int rc = add_adapter(lora_at(l, layer, p), r, shape->n_in[p], shape->n_out[p], &rng, e);
			if (rc)
				return rc;
		}
	return 0;
}

static int build(struct lookahead *l, const struct model *m, int r, uint64_t seed, struct err *e)
{
	double spread = 0;
	int rc = embedding_spread(&m->embedding, &spread, e);
	if (rc)
		return rc;
	struct rng rng;
	rng_seed_stream(&rng, seed, STREAM_EMBEDDING);
	for (size_t i = 0; i < (size_t)l->n_lookahead * (size_t)l->n_embd; i++)
		l->embedding[i] = (float)(spread * rng_normal(&rng));
	l->name = strdup("untrained");
	l->base_name = strdup(m->info.name);
	if (!l->name || !l->base_name)
		return err_set(e, ERR_MEMORY, "out of memory for lookahead modules");
	struct module_shape shape;
	module_shape_of(&shape, &m->info);
	rc = r ? add_adapters(l, &shape, r, seed, e) : 0;
	lookahead_count(l);
	return rc;
}

int lookahead_untrained(struct lookahead **out, const struct model *m, int n_lookahead, int r, float alpha, uint64_t seed,
	struct err *e)
{
	*out = NULL;
	if (n_lookahead < 1 || n_lookahead > 4096 || r < 0 || r > 4096)
		return err_set(e, ERR_USE, "%d lookahead tokens of rank %d; 1 to 4096 tokens and ranks up to 4096 are possible", n_lookahead, r);
	int rc = lookahead_new(out, n_lookahead, m->info.n_embd, m->info.n_layer, e);
	if (!rc)
		rc = build(*out, m, r, seed, e);
	if (rc) {
		lookahead_free(*out);
		*out = NULL;
		return rc;
	}
	(*out)->scale = r ? alpha / (float)r : 0;
	return 0;
}
