#include <math.h>
#include <stdlib.h>

#include "analysis/inspect.h"

const char *objective_name(enum objective_of which)
{
	static const char *const name[N_OBJECTIVE] = {"lookahead", "snapkv", "untrained"};
	return name[which];
}

struct ranked {
	double kl;
	int head;
};

/* Worst first; what is not defined comes last, in order. */
static int worse(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (isnan(x->kl) != isnan(y->kl))
		return isnan(x->kl) ? 1 : -1;
	if (x->kl < y->kl || x->kl > y->kl)
		return x->kl < y->kl ? 1 : -1;
	return x->head - y->head;
}

static int rank_heads(struct objective *o, struct err *e)
{
	int n = o->n_layer * o->n_head;
	struct ranked *list = malloc((size_t)n * sizeof *list);
	o->worst = malloc((size_t)n * sizeof *o->worst);
	if (!list || !o->worst) {
		free(list);
		return err_set(e, ERR_MEMORY, "objective: out of memory for %d heads", n);
	}
	for (int i = 0; i < n; i++)
		list[i] = (struct ranked){o->kl[OBJECTIVE_LOOKAHEAD][i], i};
	qsort(list, (size_t)n, sizeof *list, worse);
	for (int i = 0; i < n; i++)
		o->worst[i] = list[i].head;
	free(list);
	return 0;
}

static double mean_defined(const double *x, int n)
{
	double sum = 0;
	int defined = 0;
	for (int i = 0; i < n; i++)
		if (!isnan(x[i])) {
			sum += x[i];
			defined++;
		}
	return defined ? sum / defined : NAN;
}

int objective_make(struct objective *out, const struct evaluation *ev, struct err *e)
{
	const struct capture *c = evaluation_capture(ev);
	int n = c->n_layer * c->n_head;
	*out = (struct objective){.n_layer = c->n_layer, .n_head = c->n_head};
	for (int which = 0; which < N_OBJECTIVE; which++) {
		int method = evaluation_has_truth(ev) ? evaluation_find(ev, objective_name(which)) : -1;
		out->mean[which] = NAN;
		if (method < 0)
			continue;
		double *kl = out->kl[which] = malloc((size_t)n * sizeof *kl);
		if (!kl) {
			objective_free(out);
			return err_set(e, ERR_MEMORY, "objective: out of memory for %d heads", n);
		}
		for (int i = 0; i < n; i++)
			kl[i] = evaluation_kl(ev, method, i / c->n_head, i % c->n_head);
		out->mean[which] = mean_defined(kl, n);
	}
	int rc = out->kl[OBJECTIVE_LOOKAHEAD] ? rank_heads(out, e) : 0;
	if (rc)
		objective_free(out);
	return rc;
}

double objective_layer(const struct objective *o, enum objective_of which, int layer)
{
	return o->kl[which] ? mean_defined(o->kl[which] + (size_t)layer * (size_t)o->n_head, o->n_head) : NAN;
}

void objective_free(struct objective *o)
{
	for (int which = 0; which < N_OBJECTIVE; which++)
		free(o->kl[which]);
	free(o->worst);
	*o = (struct objective){0};
}
