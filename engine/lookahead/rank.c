/* Modules whose adapters have several ranks, made one. */
#include <stdlib.h>
#include <string.h>

#include "engine/lookahead/parts.h"

int lookahead_rank(const struct lookahead *l)
{
	int r = 0;
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		if (l->lora[i].a && l->lora[i].r > r)
			r = l->lora[i].r;
	return r;
}

bool lookahead_one_rank(const struct lookahead *l)
{
	int r = lookahead_rank(l);
	for (int i = 0; i < l->n_layer * N_PROJ; i++)
		if (l->lora[i].a && l->lora[i].r != r)
			return false;
	return true;
}

static int pad(struct lora *to, const struct lora *from, int r)
{
	*to = *from;
	to->r = r;
	to->a = calloc((size_t)r * (size_t)from->n_in, sizeof *to->a);
	to->b = calloc((size_t)r * (size_t)from->n_out, sizeof *to->b);
	if (!to->a || !to->b)
		return ERR_MEMORY;
	memcpy(to->a, from->a, (size_t)from->r * (size_t)from->n_in * sizeof *to->a);
	for (int i = 0; i < from->n_out; i++)
		memcpy(to->b + (size_t)i * (size_t)r, from->b + (size_t)i * (size_t)from->r, (size_t)from->r * sizeof *to->b);
	return 0;
}

static int copy_text(char **to, const char *from)
{
	return from && !(*to = strdup(from)) ? ERR_MEMORY : 0;
}

static int copy_texts(struct lookahead *to, const struct lookahead *from)
{
	memcpy(to->sha256, from->sha256, sizeof to->sha256);
	return copy_text(&to->name, from->name) | copy_text(&to->path, from->path) | copy_text(&to->base_name, from->base_name) |
		copy_text(&to->base_sha256, from->base_sha256) | copy_text(&to->training, from->training) | copy_text(&to->warning, from->warning);
}

int lookahead_padded(struct lookahead **out, const struct lookahead *l, struct err *e)
{
	int rc = lookahead_new(out, l->n_lookahead, l->n_embd, l->n_layer, e), r = lookahead_rank(l), failed = 0;
	if (!rc) {
		(*out)->scale = l->scale;
		memcpy((*out)->embedding, l->embedding, (size_t)l->n_lookahead * (size_t)l->n_embd * sizeof *l->embedding);
		failed = copy_texts(*out, l);
		for (int i = 0; i < l->n_layer * N_PROJ && !failed; i++)
			failed = l->lora[i].a ? pad(&(*out)->lora[i], &l->lora[i], r) : 0;
		lookahead_count(*out);
	}
	if (failed)
		rc = err_set(e, ERR_MEMORY, "out of memory for adapters of rank %d", r);
	if (rc) {
		lookahead_free(*out);
		*out = NULL;
	}
	return rc;
}
