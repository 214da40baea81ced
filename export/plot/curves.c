#include "export/plot/curves.h"

#include <math.h>
#include <stdlib.h>

#include "export/table.h"

#define POINTS 96 /* along the logarithmic axis, besides the powers of two */

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

/* Budgets evenly spaced on a logarithmic axis, every power of two among them. */
static int choose_budgets(struct curves *c, struct err *e)
{
	const struct selection *s = &evaluation_protocol(c->ev)->select;
	int low = s->sink + s->window + 1, high = s->sink + s->window + c->n_cand, n = 0;
	c->budget = malloc(sizeof(int) * (POINTS + 33));
	c->k = malloc(sizeof(int) * (POINTS + 33));
	if (!c->budget || !c->k)
		return err_set(e, ERR_MEMORY, "figure: out of memory");
	for (int i = 0; i <= POINTS; i++)
		c->budget[n++] = (int)lround(low * pow((double)high / low, (double)i / POINTS));
	for (int power = 1; power <= high / 2; power *= 2)
		if (power * 2 > low)
			c->budget[n++] = power * 2;
	qsort(c->budget, (size_t)n, sizeof *c->budget, compare_ints);
	for (int i = 0; i < n; i++)
		if (c->n_point == 0 || c->budget[i] > c->budget[c->n_point - 1])
			c->budget[c->n_point++] = c->budget[i];
	for (int i = 0; i < c->n_point; i++)
		if ((c->k[i] = evaluation_k(c->ev, c->budget[i], e)) < 0)
			return ERR_USE;
	return 0;
}

static struct curves_line *add_line(struct curves *c, int method, const char *name, const char *label, struct err *e)
{
	struct curves_line *l = &c->line[c->n_line++];
	*l = (struct curves_line){.method = method, .name = name, .label = label};
	l->mass = malloc(sizeof(double) * (size_t)c->n_point);
	l->overlap = malloc(sizeof(double) * (size_t)c->n_point);
	l->mass_ratio = malloc(sizeof(double) * (size_t)c->n_point);
	if (l->mass && l->overlap && l->mass_ratio)
		return l;
	err_set(e, ERR_MEMORY, "figure: out of memory for %d budgets", c->n_point);
	return NULL;
}

static int add_method(struct curves *c, int m, struct err *e)
{
	const struct method *method = evaluation_method(c->ev, m)->method;
	bool oracle = method->kind == METHOD_ORACLE;
	struct curves_line *l = add_line(c, m, plot_method_name(c->ev, m), oracle ? "oracle (truth)" : method->label, e);
	if (!l)
		return ERR_MEMORY;
	for (int i = 0; i < c->n_point; i++) {
		int *k, rc = plot_allocate(&k, c->ev, m, c->budget[i], e);
		if (rc)
			return rc;
		struct agreement a = evaluation_agreement_at(c->ev, m, c->scope, k);
		free(k);
		l->mass[i] = a.mass;
		l->overlap[i] = a.overlap;
		l->mass_ratio[i] = a.mass_ratio;
	}
	return 0;
}

/* What picking blindly would reach on average: k of n_cand, in both measures. */
static int add_chance(struct curves *c, struct err *e)
{
	struct curves_line *l = add_line(c, -1, "chance", "chance", e);
	if (!l)
		return ERR_MEMORY;
	for (int i = 0; i < c->n_point; i++) {
		l->mass[i] = l->overlap[i] = (double)c->k[i] / c->n_cand;
		l->mass_ratio[i] = NAN;
	}
	return 0;
}

static int choose_methods(const struct curves *c, int method[PLOT_MAX_PANEL], int *n, struct err *e)
{
	if (c->spec->method)
		return plot_methods(c->ev, c->spec, method, n, e);
	*n = 0;
	for (int m = 0; m < evaluation_n_method(c->ev) && *n < PLOT_MAX_PANEL; m++)
		if (evaluation_method(c->ev, m)->available)
			method[(*n)++] = m;
	return 0;
}

static int fill(struct curves *c, struct err *e)
{
	int method[PLOT_MAX_PANEL], n_method;
	int rc = choose_methods(c, method, &n_method, e);
	if (!rc)
		rc = choose_budgets(c, e);
	for (int i = 0; !rc && i < n_method; i++)
		rc = add_method(c, method[i], e);
	return rc ? rc : add_chance(c, e);
}

int curves_make(struct curves *out, const struct evaluation *ev, const struct figure_spec *spec, struct err *e)
{
	*out = (struct curves){.ev = ev, .spec = spec};
	const struct selection *s = &evaluation_protocol(ev)->select;
	int rc = plot_scope(ev, spec, &out->scope, e);
	if (rc)
		return rc;
	if (evaluation_find(ev, "oracle") < 0)
		return err_set(
			e, ERR_USE, "figure: curves need truth, which the capture does not have (no response was measured)");
	int first;
	out->n_cand = evaluation_n_candidate(ev, &first);
	if (out->n_cand == 0)
		return err_set(e, ERR_USE,
			"figure: curves need candidates; %d prompt tokens are all among the first %d and last %d",
			evaluation_capture(ev)->n_prompt, s->sink, s->window);
	rc = fill(out, e);
	if (rc)
		curves_free(out);
	return rc;
}

void curves_free(struct curves *c)
{
	for (int i = 0; i < c->n_line; i++) {
		free(c->line[i].mass);
		free(c->line[i].overlap);
		free(c->line[i].mass_ratio);
	}
	free(c->budget);
	free(c->k);
	text_block_free(c->layout.note);
	*c = (struct curves){0};
}

/* ---- tables ---- */

static void write_csv(const void *plot, FILE *f)
{
	const struct curves *c = plot;
	fputs("method,budget,k,mass,overlap,mass_ratio\n", f);
	for (int i = 0; i < c->n_line; i++)
		for (int p = 0; p < c->n_point; p++) {
			const struct curves_line *l = &c->line[i];
			fprintf(f, "%s,%d,%d,", l->name, c->budget[p], c->k[p]);
			plot_csv_number(f, l->mass[p]);
			fputc(',', f);
			plot_csv_number(f, l->overlap[p]);
			fputc(',', f);
			plot_csv_number(f, l->mass_ratio[p]);
			fputc('\n', f);
		}
}

static json_t *json_numbers(const double *x, int n)
{
	json_t *array = json_array();
	int failed = 0;
	for (int i = 0; i < n; i++)
		failed |= json_array_append_new(array, table_json_number(x[i]));
	if (!failed)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *json_ints(const int *x, int n)
{
	json_t *array = json_array();
	int failed = 0;
	for (int i = 0; i < n; i++)
		failed |= json_array_append_new(array, json_integer(x[i]));
	if (!failed)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *json_line(const struct curves *c, const struct curves_line *l)
{
	int failed = 0;
	json_t *object = plot_json_method(l->name, l->label, &failed);
	failed |= plot_json_set(object, "mass", json_numbers(l->mass, c->n_point));
	failed |= plot_json_set(object, "overlap", json_numbers(l->overlap, c->n_point));
	failed |= plot_json_set(object, "mass_ratio", json_numbers(l->mass_ratio, c->n_point));
	return plot_json_unless(failed, object);
}

static int write_json(const void *plot, json_t *root)
{
	const struct curves *c = plot;
	json_t *lines = json_array();
	int failed = 0;
	for (int i = 0; i < c->n_line; i++)
		failed |= json_array_append_new(lines, json_line(c, &c->line[i]));
	failed |= plot_json_set(root, "layer", c->scope.layer < 0 ? json_null() : json_integer(c->scope.layer));
	failed |= plot_json_set(root, "kv_head", c->scope.kv_head < 0 ? json_null() : json_integer(c->scope.kv_head));
	failed |= plot_json_set(root, "n_candidate", json_integer(c->n_cand));
	failed |= plot_json_set(root, "budget", json_ints(c->budget, c->n_point));
	failed |= plot_json_set(root, "k", json_ints(c->k, c->n_point));
	failed |= plot_json_set(root, "curves", lines);
	return failed ? -1 : 0;
}

/* ---- as a plot ---- */

static int make(void *plot, const struct evaluation *ev, const struct figure_spec *spec, struct err *e)
{
	return curves_make(plot, ev, spec, e);
}

static void release(void *plot)
{
	curves_free(plot);
}

static int lay_out(void *plot, struct text_engine *t, double *width, double *height, struct err *e)
{
	struct curves *c = plot;
	int rc = curves_lay_out(c, t, e);
	*width = c->layout.width;
	*height = c->layout.height;
	return rc;
}

static void draw(const void *plot, struct text_engine *t, struct canvas *c)
{
	curves_draw(plot, t, c);
}

const struct plot_ops plot_curves = {
	.name = "curves",
	.bytes = sizeof(struct curves),
	.make = make,
	.free = release,
	.lay_out = lay_out,
	.draw = draw,
	.csv = write_csv,
	.json = write_json,
};
