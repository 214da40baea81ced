/* Comparisons: prompts are evaluated one after another, their numbers gathered, then averaged. */
#include "analysis/compare.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/compare/bootstrap.h"
#include "analysis/compare/region_sums.h"
#include "analysis/selection.h"

/* Numbers of one method: 3 per budget (overlap, mass, mass_ratio), then these. */
enum { N_PER_BUDGET = 3, KL = 0, SPEARMAN, AREA, N_OVERALL };

/* One prompt's numbers, methods in the order in which they were first met. */
struct prompt_numbers {
	double *number; /* (n_method, stride) */
	int n_method;
};

/* Sums over prompts of one method's per-head numbers, and how many prompts are in each:
 * (3 n_budget, n_row), then n_head_row of KL; and of its regions (n_budget, REGION_SPAN). */
struct head_sums {
	double *sum;
	int *n;
	struct region_sum *region;
};

struct gather {
	struct comparison *cmp;
	const struct compare_options *o;
	int stride;
	struct prompt_numbers *prompt;
	struct head_sums *heads;   /* (n_method), with per_head or regions only */
	struct regions *regions;   /* of the present prompt, with regions only */
	size_t n_row, n_head_row;  /* n_layer * n_unit, n_layer * n_head */
	bool check_failed;
	int n_lost;                /* warnings that did not fit */
};

static const struct scope everything = {-1, -1};

__attribute__((format(printf, 2, 3))) static void warn(struct gather *g, const char *format, ...)
{
	struct comparison *cmp = g->cmp;
	const int most = sizeof cmp->warning / sizeof *cmp->warning;
	va_list args;
	va_start(args, format);
	if (cmp->n_warning < most - 1)
		vsnprintf(cmp->warning[cmp->n_warning++], sizeof *cmp->warning, format, args);
	else
		snprintf(cmp->warning[most - 1], sizeof *cmp->warning, "%d more warnings", ++g->n_lost);
	va_end(args);
	if (g->n_lost)
		cmp->n_warning = most;
}

/* ---- budgets ---- */

static int shortest_prompt(const struct capture *const *c, int n)
{
	int least = INT_MAX;
	for (int i = 0; i < n; i++)
		least = c[i]->n_prompt < least ? c[i]->n_prompt : least;
	return least;
}

static int choose_budgets(struct comparison *cmp, const struct compare_options *o, int n_prompt, struct err *e)
{
	static const int usual[] = {64, 128, 256, 512, 1024, 2048};
	const int n_usual = sizeof usual / sizeof *usual, n = o->budget ? o->n_budget : n_usual;
	cmp->budget = malloc(((size_t)n + 1) * sizeof *cmp->budget);
	if (!cmp->budget)
		return err_set(e, ERR_MEMORY, "comparison: out of memory");
	for (int i = 0; i < n; i++) {
		int budget = o->budget ? o->budget[i] : usual[i];
		bool fits = selection_k(&cmp->protocol.select, n_prompt, budget, o->budget ? e : NULL) >= 0;
		if (!fits && o->budget)
			return ERR_USE;
		if (fits && (o->budget || budget < n_prompt))
			cmp->budget[cmp->n_budget++] = budget;
	}
	return 0;
}

/* ---- methods ---- */

static void free_method(const struct method *m)
{
	if (m) {
		free((char *)m->name);
		free((char *)m->label);
	}
	free((struct method *)m);
}

/* Evaluations go away, so the comparison keeps descriptions of its own. */
static const struct method *copy_method(const struct method *m)
{
	struct method *copy = malloc(sizeof *copy);
	if (!copy)
		return NULL;
	*copy = *m;
	copy->map = NULL; /* points into a capture */
	copy->name = strdup(m->name);
	copy->label = strdup(m->label);
	if (copy->name && copy->label)
		return copy;
	free_method(copy);
	return NULL;
}

static int find_method(const struct comparison *cmp, const char *name)
{
	for (int m = 0; m < cmp->n_method; m++)
		if (!strcmp(cmp->method[m]->name, name))
			return m;
	return -1;
}

/* Index of a method, in the order of their appearance; a new one is added. -1: out of memory. */
static int take_method(struct gather *g, const struct method *m)
{
	struct comparison *cmp = g->cmp;
	int at = find_method(cmp, m->name);
	if (at >= 0)
		return at;
	size_t n = (size_t)cmp->n_method + 1;
	const struct method **method = realloc(cmp->method, n * sizeof *method);
	if (method)
		cmp->method = method;
	struct head_sums *heads = method ? realloc(g->heads, n * sizeof *heads) : NULL;
	if (heads)
		g->heads = heads;
	const struct method *copy = heads ? copy_method(m) : NULL;
	if (!copy)
		return -1;
	cmp->method[cmp->n_method] = copy;
	g->heads[cmp->n_method++] = (struct head_sums){0};
	return cmp->n_method - 1;
}

/* ---- one prompt ---- */

static size_t head_numbers(const struct gather *g)
{
	return (size_t)(N_PER_BUDGET * g->cmp->n_budget) * g->n_row + g->n_head_row;
}

static bool room_for_heads(const struct gather *g, struct head_sums *h)
{
	if (!h->sum)
		h->sum = calloc(head_numbers(g) + 1, sizeof *h->sum);
	if (!h->n)
		h->n = calloc(head_numbers(g) + 1, sizeof *h->n);
	return h->sum && h->n;
}

static bool room_for_regions(const struct gather *g, struct head_sums *h)
{
	if (!h->region)
		h->region = calloc((size_t)g->cmp->n_budget * REGION_SPAN + 1, sizeof *h->region);
	return h->region;
}

static void add_head(struct head_sums *h, size_t at, double x)
{
	if (isnan(x))
		return;
	h->sum[at] += x;
	h->n[at]++;
}

static void add_heads(const struct gather *g, struct head_sums *h, const struct evaluation *ev, int m, int budget,
	const int *k)
{
	for (size_t row = 0; row < g->n_row; row++) {
		struct scope s = {(int)(row / (size_t)g->cmp->n_unit), (int)(row % (size_t)g->cmp->n_unit)};
		struct agreement a = evaluation_agreement_at(ev, m, s, k);
		size_t at = (size_t)(N_PER_BUDGET * budget) * g->n_row + row;
		add_head(h, at, a.overlap);
		add_head(h, at + g->n_row, a.mass);
		add_head(h, at + 2 * g->n_row, a.mass_ratio);
	}
}

static void add_head_kl(const struct gather *g, struct head_sums *h, const struct evaluation *ev, int m)
{
	size_t first = (size_t)(N_PER_BUDGET * g->cmp->n_budget) * g->n_row;
	int n_head = g->cmp->n_head;
	for (size_t i = 0; i < g->n_head_row && evaluation_n_candidate(ev, NULL); i++)
		add_head(h, first + i, evaluation_kl(ev, m, (int)i / n_head, (int)i % n_head));
}

/* All numbers of method m of ev into the block of number `at`. k: scratch (n_layer, n_unit). */
static int add_method(struct gather *g, struct prompt_numbers *p, const struct evaluation *ev, int m, int at,
	int *k, struct err *e)
{
	double *number = p->number + (size_t)at * (size_t)g->stride;
	struct agreement a = evaluation_agreement(ev, m, everything, 1);
	double *overall = number + N_PER_BUDGET * g->cmp->n_budget;
	overall[KL] = a.kl;
	overall[SPEARMAN] = a.spearman;
	overall[AREA] = a.area;
	struct head_sums *h = &g->heads[at];
	if (g->o->per_head && !room_for_heads(g, h))
		return err_set(e, ERR_MEMORY, "comparison: out of memory for numbers by head");
	if (g->regions && !room_for_regions(g, h))
		return err_set(e, ERR_MEMORY, "comparison: out of memory for regions");
	for (int b = 0; b < g->cmp->n_budget; b++) {
		int rc = evaluation_allocate(ev, m, g->cmp->budget[b], k, e);
		if (rc)
			return rc;
		a = evaluation_agreement_at(ev, m, everything, k);
		number[N_PER_BUDGET * b] = a.overlap;
		number[N_PER_BUDGET * b + 1] = a.mass;
		number[N_PER_BUDGET * b + 2] = a.mass_ratio;
		if (g->o->per_head)
			add_heads(g, h, ev, m, b, k);
		if (g->regions)
			region_sums_add(h->region + b * REGION_SPAN, g->regions, m, k);
	}
	if (g->o->per_head)
		add_head_kl(g, h, ev, m);
	return 0;
}

static int add_methods(struct gather *g, struct prompt_numbers *p, const struct evaluation *ev, struct err *e)
{
	int n = evaluation_n_method(ev), rc = 0;
	const struct capture *c = evaluation_capture(ev);
	int *at = malloc((size_t)n * sizeof *at + 1);
	int *k = malloc((size_t)c->n_layer * (size_t)evaluation_n_unit(ev) * sizeof *k);
	for (int m = 0; at && m < n; m++)
		if ((at[m] = take_method(g, evaluation_method(ev, m)->method)) < 0)
			rc = ERR_MEMORY;
	p->n_method = g->cmp->n_method;
	size_t n_number = (size_t)p->n_method * (size_t)g->stride;
	p->number = malloc(n_number * sizeof *p->number + 1);
	if (rc || !at || !k || !p->number)
		rc = err_set(e, ERR_MEMORY, "comparison: out of memory");
	for (size_t i = 0; !rc && i < n_number; i++)
		p->number[i] = NAN;
	for (int m = 0; !rc && m < n; m++)
		if (evaluation_method(ev, m)->available)
			rc = add_method(g, p, ev, m, at[m], k, e);
	free(at);
	free(k);
	return rc;
}

/* ---- what must be said ---- */

static void warn_about(struct gather *g, const char *label, const struct evaluation *ev)
{
	const struct capture *c = evaluation_capture(ev);
	const struct capture_map *truth = capture_find(c, "truth");
	const struct selection *s = &g->cmp->protocol.select;
	int n_rows = truth && truth->n_rows ? truth->n_rows : c->n_response;
	if (!evaluation_has_truth(ev))
		warn(g, "%s: no response, so there is no truth and agreement is not defined", label);
	else if (n_rows < 32)
		warn(g, "%s: truth from %d response tokens: below 32 it is a rough estimate, see the ceiling", label, n_rows);
	if (!evaluation_n_candidate(ev, NULL))
		warn(g, "%s: all %d prompt tokens lie within the first %d and the last %d, which are always kept: "
			"agreement is not defined", label, c->n_prompt, s->sink, s->window);
	if (!c->complete && truth)
		warn(g, "%s: the run was cut short, truth from %d of %d response tokens", label, n_rows, truth->n_rows_due);
	for (int m = 0; m < evaluation_n_method(ev); m++)
		if (!evaluation_method(ev, m)->available)
			warn(g, "%s: %s cannot be had, the capture has no map %s", label, evaluation_method(ev, m)->method->label,
				evaluation_method(ev, m)->missing);
	int oracle = evaluation_find(ev, "oracle"), silent = 0, pairs = c->n_layer * evaluation_n_unit(ev);
	for (int i = 0; oracle >= 0 && evaluation_n_candidate(ev, NULL) && i < pairs; i++)
		silent += isnan(evaluation_mass_curve(ev, oracle, i / evaluation_n_unit(ev), i % evaluation_n_unit(ev))[1]);
	if (silent)
		warn(g, "%s: in %d of %d heads the answer reads no candidate at all; they are left out", label, silent, pairs);
}

/* Checks of the first capture that fails one, else of the first. */
static void check_prompt(struct gather *g, int i, const struct evaluation *ev)
{
	struct self_check check[SELF_CHECK_MAX];
	int n = evaluation_self_checks(ev, g->cmp->n_budget ? g->cmp->budget[0] : 0, check, SELF_CHECK_MAX);
	bool failed = false;
	for (int k = 0; k < n; k++)
		failed |= check[k].known && !check[k].ok;
	if (i > 0 && (g->check_failed || !failed))
		return;
	memcpy(g->cmp->check, check, (size_t)n * sizeof *check);
	g->cmp->n_check = n;
	g->check_failed = failed;
}

static int add_prompt(struct gather *g, int i, const struct capture *c, const char *label, struct err *e)
{
	struct evaluation *ev;
	int rc = evaluation_open(&ev, c, &g->o->eval, NULL, e);
	if (rc)
		return rc;
	if (i == 0) {
		g->cmp->n_unit = evaluation_n_unit(ev);
		g->n_row = (size_t)c->n_layer * (size_t)g->cmp->n_unit;
		g->n_head_row = (size_t)c->n_layer * (size_t)c->n_head;
	}
	if (g->o->regions)
		rc = regions_open(&g->regions, ev, NULL, 0, e);
	if (!rc)
		rc = add_methods(g, &g->prompt[i], ev, e);
	regions_close(g->regions);
	g->regions = NULL;
	struct compare_prompt *p = &g->cmp->prompt[i];
	p->n_prompt = c->n_prompt;
	p->n_response = c->n_response;
	p->n_candidate = evaluation_n_candidate(ev, NULL);
	if (!rc) {
		warn_about(g, label, ev);
		check_prompt(g, i, ev);
	}
	evaluation_close(ev);
	return rc;
}

/* ---- means ---- */

/* Place in display order: that of the table, then as they came; named ones stay as named. */
static int display_place(const struct method *m)
{
	int n;
	const struct method *list = method_list(&n);
	for (int i = 0; i < n; i++)
		if (!strcmp(list[i].name, m->name))
			return i;
	return n;
}

/* place[m]: which method in order of appearance comes at m. */
static void display_order(const struct gather *g, int *place)
{
	for (int i = 0; i < g->cmp->n_method; i++) {
		int at = i;
		while (!g->o->eval.method && at > 0
			&& display_place(g->cmp->method[place[at - 1]]) > display_place(g->cmp->method[i])) {
			place[at] = place[at - 1];
			at--;
		}
		place[at] = i;
	}
}

static double prompt_number(const struct gather *g, int prompt, int method, int number)
{
	const struct prompt_numbers *p = &g->prompt[prompt];
	return method < p->n_method ? p->number[(size_t)method * (size_t)g->stride + (size_t)number] : NAN;
}

struct averager {
	const struct gather *g;
	double *value, *scratch;
};

static struct interval average(const struct averager *a, int method, int number)
{
	int n = a->g->cmp->n_prompt;
	for (int i = 0; i < n; i++)
		a->value[i] = prompt_number(a->g, i, method, number);
	return bootstrap_mean(a->value, n, a->g->o->eval.seed, a->scratch);
}

static bool room_for_results(struct comparison *cmp)
{
	size_t n_method = (size_t)cmp->n_method + 1, n_cell = (size_t)cmp->n_budget * n_method + 1;
	cmp->cell = calloc(n_cell, sizeof *cmp->cell);
	cmp->kl = calloc(n_method, sizeof *cmp->kl);
	cmp->spearman = calloc(n_method, sizeof *cmp->spearman);
	cmp->area = calloc(n_method, sizeof *cmp->area);
	cmp->kl_head = calloc(n_method, sizeof *cmp->kl_head);
	bool ok = cmp->cell && cmp->kl && cmp->spearman && cmp->area && cmp->kl_head;
	for (int i = 0; i < cmp->n_prompt; i++) {
		struct compare_prompt *p = &cmp->prompt[i];
		double **const array[] = {&p->overlap, &p->mass, &p->mass_ratio, &p->kl, &p->spearman, &p->area};
		for (int k = 0; k < 6; k++) {
			*array[k] = calloc(k < N_PER_BUDGET ? n_cell : n_method, sizeof **array[k]);
			ok = ok && *array[k];
		}
	}
	return ok;
}

/* n means from `first` on, as floats; NULL: out of memory. */
static float *head_means(const struct head_sums *h, size_t first, size_t n)
{
	float *out = malloc(n * sizeof *out + 1);
	for (size_t i = 0; out && i < n; i++)
		out[i] = h->n && h->n[first + i] ? (float)(h->sum[first + i] / h->n[first + i]) : NAN;
	return out;
}

static bool average_heads(const struct gather *g, int m, int from)
{
	struct comparison *cmp = g->cmp;
	const struct head_sums *h = &g->heads[from];
	for (int b = 0; b < cmp->n_budget; b++) {
		struct compare_cell *cell = &cmp->cell[b * cmp->n_method + m];
		size_t at = (size_t)(N_PER_BUDGET * b) * g->n_row;
		cell->overlap_head = head_means(h, at, g->n_row);
		cell->mass_head = head_means(h, at + g->n_row, g->n_row);
		cell->mass_ratio_head = head_means(h, at + 2 * g->n_row, g->n_row);
		if (!cell->overlap_head || !cell->mass_head || !cell->mass_ratio_head)
			return false;
	}
	cmp->kl_head[m] = head_means(h, (size_t)(N_PER_BUDGET * cmp->n_budget) * g->n_row, g->n_head_row);
	return cmp->kl_head[m];
}

static void average_regions(const struct gather *g, int m, int from)
{
	struct comparison *cmp = g->cmp;
	for (int b = 0; b < cmp->n_budget; b++)
		for (int i = 0; i < REGION_SPAN; i++) {
			struct region_sum none = {0};
			const struct region_sum *sums = g->heads[from].region;
			cmp->region[(b * cmp->n_method + m) * REGION_SPAN + i] =
				region_sums_mean(sums ? &sums[b * REGION_SPAN + i] : &none);
		}
}

static void average_method(const struct averager *a, int m, int from)
{
	struct comparison *cmp = a->g->cmp;
	for (int b = 0; b < cmp->n_budget; b++) {
		int at = b * cmp->n_method + m, number = N_PER_BUDGET * b;
		struct compare_cell *cell = &cmp->cell[at];
		cell->overlap = average(a, from, number);
		cell->mass = average(a, from, number + 1);
		cell->mass_ratio = average(a, from, number + 2);
		cell->defined = !isnan(cell->overlap.mean);
		for (int i = 0; i < cmp->n_prompt; i++) {
			cmp->prompt[i].overlap[at] = prompt_number(a->g, i, from, number);
			cmp->prompt[i].mass[at] = prompt_number(a->g, i, from, number + 1);
			cmp->prompt[i].mass_ratio[at] = prompt_number(a->g, i, from, number + 2);
		}
	}
	int overall = N_PER_BUDGET * cmp->n_budget;
	cmp->kl[m] = average(a, from, overall + KL);
	cmp->spearman[m] = average(a, from, overall + SPEARMAN);
	cmp->area[m] = average(a, from, overall + AREA);
	for (int i = 0; i < cmp->n_prompt; i++) {
		cmp->prompt[i].kl[m] = prompt_number(a->g, i, from, overall + KL);
		cmp->prompt[i].spearman[m] = prompt_number(a->g, i, from, overall + SPEARMAN);
		cmp->prompt[i].area[m] = prompt_number(a->g, i, from, overall + AREA);
	}
}

static int average_all(struct gather *g, struct err *e)
{
	struct comparison *cmp = g->cmp;
	size_t n = (size_t)cmp->n_method;
	int *place = malloc(n * sizeof *place + 1);
	const struct method **ordered = malloc(n * sizeof *ordered + 1);
	struct averager a = {g, malloc((size_t)cmp->n_prompt * sizeof(double)), malloc(BOOTSTRAP_ROUNDS * sizeof(double))};
	bool ok = place && ordered && a.value && a.scratch && room_for_results(cmp);
	if (ok && g->o->regions) {
		cmp->region = calloc((size_t)cmp->n_budget * n * REGION_SPAN + 1, sizeof *cmp->region);
		ok = cmp->region;
	}
	if (ok)
		display_order(g, place);
	for (int m = 0; ok && m < cmp->n_method; m++) {
		average_method(&a, m, place[m]);
		if (cmp->region)
			average_regions(g, m, place[m]);
		ordered[m] = cmp->method[place[m]];
		ok = !g->o->per_head || average_heads(g, m, place[m]);
	}
	if (ok)
		memcpy(cmp->method, ordered, n * sizeof *ordered);
	free(place);
	free(ordered);
	free(a.value);
	free(a.scratch);
	return ok ? 0 : err_set(e, ERR_MEMORY, "comparison: out of memory");
}

/* ---- the whole ---- */

static int check_shapes(const struct capture *const *c, const char *const *label, int n, struct err *e)
{
	for (int i = 1; i < n; i++)
		if (c[i]->n_layer != c[0]->n_layer || c[i]->n_head != c[0]->n_head || c[i]->n_kv_head != c[0]->n_kv_head)
			return err_set(e, ERR_USE,
				"numbers by head need captures of one shape: %s has %d layers and %d heads on %d, %s has %d and %d on %d",
				label ? label[0] : "the first", c[0]->n_layer, c[0]->n_head, c[0]->n_kv_head,
				label ? label[i] : "another", c[i]->n_layer, c[i]->n_head, c[i]->n_kv_head);
	return 0;
}

static int gather_all(struct gather *g, const struct capture *const *c, const char *const *label, int n, struct err *e)
{
	int rc = choose_budgets(g->cmp, g->o, shortest_prompt(c, n), e);
	g->stride = N_PER_BUDGET * g->cmp->n_budget + N_OVERALL;
	for (int i = 0; !rc && i < n; i++) {
		char number[32];
		snprintf(number, sizeof number, "capture %d", i + 1);
		const char *name = label && label[i] ? label[i] : number;
		g->cmp->prompt[i].label = strdup(name);
		if (!g->cmp->prompt[i].label)
			return err_set(e, ERR_MEMORY, "comparison: out of memory");
		rc = add_prompt(g, i, c[i], name, e);
		if (rc && n > 1)
			err_prefix(e, "%s", name);
		if (!rc && progress_report(g->o->progress, "compare", i + 1, n))
			rc = err_set(e, ERR_CANCELLED, "comparison: stopped");
	}
	return rc ? rc : average_all(g, e);
}

int compare_captures(struct comparison **out, const struct capture *const *c, const char *const *label, int n,
	const struct compare_options *o, struct err *e)
{
	*out = NULL;
	if (n < 1)
		return err_set(e, ERR_USE, "nothing to compare");
	int rc = o->per_head ? check_shapes(c, label, n, e) : 0;
	if (rc)
		return rc;
	struct comparison *cmp = calloc(1, sizeof *cmp);
	struct gather g = {.cmp = cmp, .o = o, .prompt = calloc((size_t)n, sizeof *g.prompt)};
	if (cmp)
		cmp->prompt = calloc((size_t)n, sizeof *cmp->prompt);
	if (!cmp || !cmp->prompt || !g.prompt) {
		rc = err_set(e, ERR_MEMORY, "comparison: out of memory for %d captures", n);
	} else {
		cmp->n_prompt = n;
		cmp->protocol = o->eval.preset ? o->eval.preset->protocol : o->eval.protocol;
		cmp->n_layer = c[0]->n_layer;
		cmp->n_head = c[0]->n_head;
		cmp->n_kv_head = c[0]->n_kv_head;
		rc = gather_all(&g, c, label, n, e);
	}
	for (int i = 0; g.prompt && i < n; i++)
		free(g.prompt[i].number);
	for (int m = 0; g.heads && m < cmp->n_method; m++) {
		free(g.heads[m].sum);
		free(g.heads[m].n);
		free(g.heads[m].region);
	}
	free(g.prompt);
	free(g.heads);
	if (rc)
		comparison_free(cmp);
	else
		*out = cmp;
	return rc;
}

static void free_prompt(struct compare_prompt *p)
{
	free((char *)p->label);
	free(p->overlap);
	free(p->mass);
	free(p->mass_ratio);
	free(p->kl);
	free(p->spearman);
	free(p->area);
}

void comparison_free(struct comparison *cmp)
{
	if (!cmp)
		return;
	for (int i = 0; cmp->cell && i < cmp->n_budget * cmp->n_method; i++) {
		free(cmp->cell[i].overlap_head);
		free(cmp->cell[i].mass_head);
		free(cmp->cell[i].mass_ratio_head);
	}
	for (int m = 0; m < cmp->n_method; m++) {
		free_method(cmp->method[m]);
		if (cmp->kl_head)
			free(cmp->kl_head[m]);
	}
	for (int i = 0; cmp->prompt && i < cmp->n_prompt; i++)
		free_prompt(&cmp->prompt[i]);
	free(cmp->budget);
	free(cmp->method);
	free(cmp->cell);
	free(cmp->kl);
	free(cmp->spearman);
	free(cmp->area);
	free(cmp->kl_head);
	free(cmp->region);
	free(cmp->prompt);
	free(cmp);
}
