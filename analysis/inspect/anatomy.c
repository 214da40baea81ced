#include <math.h>
#include <stdlib.h>

#include "analysis/inspect.h"

static int measure_spectra(struct anatomy *a, const struct lookahead *l, struct err *e)
{
	size_t n = (size_t)l->n_layer * N_PROJ, r = (size_t)a->r;
	a->spectrum = malloc((n * r + 1) * sizeof *a->spectrum);
	if (!a->spectrum)
		return err_set(e, ERR_MEMORY, "anatomy: out of memory for %zu spectra", n);
	for (size_t i = 0; i < n; i++) {
		double *s = a->spectrum + i * r;
		const struct lora *lora = &l->lora[i];
		for (size_t k = 0; k < r; k++)
			s[k] = NAN;
		if (!lora->a || lora->r > LORA_MAX_SPECTRUM)
			continue;
		int rc = lora_spectrum(lora, s, e);
		if (rc)
			return rc;
		for (int k = 0; k < lora->r; k++)
			s[k] *= (double)l->scale;
	}
	return 0;
}

static int measure(struct anatomy *a, const struct lookahead *l, const struct model *m, int n_threads, const struct progress *progress,
	struct err *e)
{
	size_t rows = (size_t)l->n_lookahead;
	a->weight_norm = malloc(((size_t)l->n_layer * N_PROJ + 1) * sizeof *a->weight_norm);
	a->cosine = malloc((rows * rows + 1) * sizeof *a->cosine);
	a->near = malloc((rows * ANATOMY_NEAR + 1) * sizeof *a->near);
	if (!a->weight_norm || !a->cosine || !a->near)
		return err_set(e, ERR_MEMORY, "anatomy: out of memory for %d soft tokens", l->n_lookahead);
	int rc = lookahead_report_make(&a->report, l, m, e);
	rc = rc ? rc : measure_spectra(a, l, e);
	rc = rc ? rc : model_weight_norms(m, n_threads, a->weight_norm, progress, e);
	const struct nearest_request near = {.n_near = ANATOMY_NEAR, .n_threads = n_threads, .out = a->near, .mean_norm = &a->word_norm,
		.progress = progress};
	rc = rc ? rc : lookahead_nearest(l, m, &near, e);
	if (!rc)
		lookahead_cosines(l, l, a->cosine);
	return rc;
}

int anatomy_make(struct anatomy **out, const struct lookahead *l, const struct model *m, int n_threads, const struct progress *progress,
	struct err *e)
{
	struct anatomy *a = calloc(1, sizeof *a);
	*out = NULL;
	if (!a)
		return err_set(e, ERR_MEMORY, "anatomy: out of memory");
	if (l->n_layer != model_info(m)->n_layer) {
		free(a);
		return err_set(e, ERR_USE, "%s: modules for %d layers, the model has %d", l->name, l->n_layer, model_info(m)->n_layer);
	}
	a->r = lookahead_rank(l);
	int rc = measure(a, l, m, n_threads, progress, e);
	if (rc)
		anatomy_free(a);
	else
		*out = a;
	return rc;
}

void anatomy_free(struct anatomy *a)
{
	if (!a)
		return;
	lookahead_report_free(a->report);
	free(a->weight_norm);
	free(a->spectrum);
	free(a->cosine);
	free(a->near);
	free(a);
}

double anatomy_effective_rank(const struct anatomy *a, int layer, int proj)
{
	const double *s = a->spectrum + ((size_t)layer * N_PROJ + (size_t)proj) * (size_t)a->r;
	double sum = 0, square = 0;
	for (int k = 0; k < a->r && !(k > 0 && isnan(s[k])); k++) { /* a smaller rank ends early */
		sum += s[k];
		square += s[k] * s[k];
	}
	return a->r && square > 0 ? sum * sum / square : NAN;
}

double anatomy_alike(const struct lookahead *x, const struct lookahead *y, int layer, int proj)
{
	if (layer >= x->n_layer || layer >= y->n_layer)
		return NAN;
	const struct lora *a = &x->lora[layer * N_PROJ + proj], *b = &y->lora[layer * N_PROJ + proj];
	if (!a->a || !b->a || a->n_in != b->n_in || a->n_out != b->n_out)
		return NAN;
	double size = sqrt(lora_inner(a, a)) * sqrt(lora_inner(b, b));
	return size > 0 ? lora_inner(a, b) / size : NAN;
}
