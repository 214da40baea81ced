#include "engine/train/parameters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of B between the two orders; to_model says which way. */
static void copy_b(const struct model *m, const struct lora *shape, int proj, const float *from, float *to, bool to_model)
{
	for (int row = 0; row < shape->n_out; row++) {
		int other = model_stored_row(m, proj, row);
		size_t file_at = (size_t)row * (size_t)shape->r, model_at = (size_t)other * (size_t)shape->r;
		memcpy(to + (to_model ? model_at : file_at), from + (to_model ? file_at : model_at), (size_t)shape->r * sizeof *to);
	}
}

static bool reaches_scores(int n_layer, int layer, int proj)
{
	return layer < n_layer - 1 || proj == PROJ_Q || proj == PROJ_K;
}

size_t parameters_count(const struct model *m, int n_lookahead, int r)
{
	size_t n = (size_t)n_lookahead * (size_t)m->info.n_embd;
	for (int i = 0; i < m->info.n_layer * N_PROJ; i++) {
		const struct weight *w = &m->layer[i / N_PROJ].proj[i % N_PROJ];
		if (reaches_scores(m->info.n_layer, i / N_PROJ, i % N_PROJ))
			n += (size_t)r * ((size_t)w->n_in + (size_t)w->n_out);
	}
	return n;
}

static const struct lora *lora_of(const struct lookahead *l, int layer, int proj)
{
	return &l->lora[layer * N_PROJ + proj];
}

/* Gives every trained adapter its place. */
static void place_adapters(struct parameters *p, const struct lookahead *start, unsigned targets)
{
	for (int layer = 0; layer < p->n_layer; layer++)
		for (int proj = 0; proj < N_PROJ; proj++) {
			const struct lora *lora = lora_of(start, layer, proj);
			struct adapter_place *place = &p->place[layer * N_PROJ + proj];
			*place = (struct adapter_place){NO_PARAMETER, NO_PARAMETER};
			if (!lora->a || !(targets >> proj & 1) || !reaches_scores(p->n_layer, layer, proj))
				continue;
			p->r = lora->r;
			place->a = p->n;
			p->n += (size_t)lora->r * (size_t)lora->n_in;
			place->b = p->n;
			p->n += (size_t)lora->r * (size_t)lora->n_out;
		}
}

static int from_one_rank(struct parameters *out, const struct model *m, const struct lookahead *start, unsigned targets, struct err *e)
{
	struct parameters p = {.n_lookahead = start->n_lookahead, .n_embd = start->n_embd, .n_layer = start->n_layer, .scale = start->scale,
		.n = (size_t)start->n_lookahead * (size_t)start->n_embd};
	p.place = calloc((size_t)p.n_layer * N_PROJ, sizeof *p.place);
	if (!p.place)
		return err_set(e, ERR_MEMORY, "no memory for training parameters");
	place_adapters(&p, start, targets);
	p.value = malloc(p.n * sizeof *p.value);
	if (!p.value) {
		parameters_free(&p);
		return err_set(e, ERR_MEMORY, "no memory for %zu training parameters", p.n);
	}
	memcpy(p.value, start->embedding, (size_t)p.n_lookahead * (size_t)p.n_embd * sizeof *p.value);
	for (int layer = 0; layer < p.n_layer; layer++)
		for (int proj = 0; proj < N_PROJ; proj++) {
			const struct lora *lora = lora_of(start, layer, proj);
			const struct adapter_place *place = &p.place[layer * N_PROJ + proj];
			if (place->a == NO_PARAMETER)
				continue;
			memcpy(p.value + place->a, lora->a, (size_t)lora->r * (size_t)lora->n_in * sizeof *p.value);
			copy_b(m, lora, proj, lora->b, p.value + place->b, true);
		}
	*out = p;
	return 0;
}

/* A training has one rank: smaller adapters are padded, and what was zero in both A and B stays zero. */
int parameters_new(struct parameters *out, const struct model *m, const struct lookahead *start, unsigned targets, struct err *e)
{
	struct lookahead *padded;
	if (lookahead_one_rank(start))
		return from_one_rank(out, m, start, targets, e);
	int rc = lookahead_padded(&padded, start, e);
	rc = rc ? rc : from_one_rank(out, m, padded, targets, e);
	lookahead_free(padded);
	return rc;
}

void parameters_free(struct parameters *p)
{
	free(p->place);
	free(p->value);
	*p = (struct parameters){0};
}

static bool is_finite(const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

void parameters_find_bad(const struct parameters *p, const float *vector, char *out, size_t n_out)
{
	size_t end = p->n;
	snprintf(out, n_out, "the soft tokens");
	for (int i = p->n_layer * N_PROJ - 1; i >= 0; i--) {
		const struct adapter_place *place = &p->place[i];
		if (place->a == NO_PARAMETER)
			continue;
		bool a = is_finite(vector + place->a, place->b - place->a), b = is_finite(vector + place->b, end - place->b);
		if (!a || !b) {
			snprintf(out, n_out, "layer %d, %s, %c", i / N_PROJ, projection_name(i % N_PROJ), b ? 'A' : 'B');
			return;
		}
		end = place->a;
	}
}

int parameters_export(const struct parameters *p, const struct model *m, struct lookahead **out, struct err *e)
{
	struct lookahead *l = NULL;
	int rc = lookahead_untrained(&l, m, p->n_lookahead, p->r, p->scale * (float)p->r, 0, e);
	if (rc)
		return rc;
	memcpy(l->embedding, p->value, (size_t)p->n_lookahead * (size_t)p->n_embd * sizeof *p->value);
	for (int layer = 0; layer < p->n_layer; layer++)
		for (int proj = 0; proj < N_PROJ; proj++) {
			struct lora *lora = &l->lora[layer * N_PROJ + proj];
			const struct adapter_place *place = &p->place[layer * N_PROJ + proj];
			if (place->a == NO_PARAMETER) { /* the last layer's, or switched off by the targets */
				free(lora->a);
				free(lora->b);
				*lora = (struct lora){0};
				continue;
			}
			memcpy(lora->a, p->value + place->a, (size_t)lora->r * (size_t)lora->n_in * sizeof *lora->a);
			copy_b(m, lora, proj, p->value + place->b, lora->b, false);
		}
	*out = l;
	return 0;
}
