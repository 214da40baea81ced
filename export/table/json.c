/* Comparisons as JSON. */
#include "export/table.h"

#include <string.h>

#include "analysis/selection.h"
#include "export/table/regions.h"

static json_t *text_json(const char *text)
{
	return table_json_text(text, strlen(text));
}

/* (rows, columns) floats as nested arrays. */
static json_t *grid_json(const float *x, int rows, int columns)
{
	json_t *out = json_array();
	for (int r = 0; r < rows; r++) {
		json_t *row = json_array();
		for (int c = 0; c < columns; c++)
			json_array_append_new(row, table_json_number((double)x[(size_t)r * (size_t)columns + (size_t)c]));
		json_array_append_new(out, row);
	}
	return out;
}

/* Mean over the query heads of each head that chooses: (n_layer, n_unit). */
static json_t *kl_by_unit(const struct comparison *cmp, const float *kl)
{
	json_t *out = json_array();
	int per_unit = cmp->n_head / cmp->n_unit;
	for (int layer = 0; layer < cmp->n_layer; layer++) {
		json_t *row = json_array();
		for (int unit = 0; unit < cmp->n_unit; unit++) {
			double sum = 0;
			for (int h = unit * per_unit; h < (unit + 1) * per_unit; h++)
				sum += (double)kl[layer * cmp->n_head + h];
			json_array_append_new(row, table_json_number(sum / per_unit));
		}
		json_array_append_new(out, row);
	}
	return out;
}

struct named {
	const char *name;
	const struct interval *value;
};

static void set_numbers(json_t *out, const struct named *x, int n, bool intervals)
{
	json_t *interval = intervals ? json_object() : NULL;
	for (int i = 0; i < n; i++) {
		json_object_set_new(out, x[i].name, table_json_number(x[i].value->mean));
		if (intervals)
			json_object_set_new(interval, x[i].name,
				json_pack("[o, o]", table_json_number(x[i].value->low), table_json_number(x[i].value->high)));
	}
	if (intervals)
		json_object_set_new(out, "interval", interval);
}

static json_t *cell_json(const struct comparison *cmp, const struct compare_cell *cell)
{
	json_t *out = json_object();
	const struct named number[] = {{"overlap", &cell->overlap}, {"mass", &cell->mass}, {"mass_ratio", &cell->mass_ratio}};
	set_numbers(out, number, 3, cmp->n_prompt > 1);
	if (cell->overlap_head)
		json_object_set_new(out, "per_head",
			json_pack("{s:o, s:o, s:o}", "overlap", grid_json(cell->overlap_head, cmp->n_layer, cmp->n_unit), "mass",
				grid_json(cell->mass_head, cmp->n_layer, cmp->n_unit), "mass_ratio",
				grid_json(cell->mass_ratio_head, cmp->n_layer, cmp->n_unit)));
	return out;
}

static json_t *method_json(const struct comparison *cmp, int m)
{
	json_t *out = json_pack("{s:o}", "label", text_json(cmp->method[m]->label));
	const struct named number[] = {{"kl", &cmp->kl[m]}, {"spearman", &cmp->spearman[m]}, {"area", &cmp->area[m]}};
	set_numbers(out, number, 3, cmp->n_prompt > 1);
	if (cmp->kl_head[m])
		json_object_set_new(out, "per_head", json_pack("{s:o, s:o}", "kl", kl_by_unit(cmp, cmp->kl_head[m]),
			"kl_query_head", grid_json(cmp->kl_head[m], cmp->n_layer, cmp->n_head)));
	return out;
}

/* {budget, chosen, candidates}: of one prompt. */
static json_t *budget_json(const struct comparison *cmp, int b, const struct compare_prompt *p)
{
	int k = selection_k(&cmp->protocol.select, p->n_prompt, cmp->budget[b], NULL);
	return json_pack("{s:i, s:i, s:i}", "budget", cmp->budget[b], "chosen", k, "candidates", p->n_candidate);
}

static json_t *budgets_json(const struct comparison *cmp)
{
	json_t *out = json_array();
	for (int b = 0; b < cmp->n_budget; b++) {
		json_t *budget = budget_json(cmp, b, &cmp->prompt[0]), *methods = json_object();
		for (int m = 0; m < cmp->n_method; m++) {
			json_t *cell = cell_json(cmp, &cmp->cell[b * cmp->n_method + m]);
			if (cmp->region)
				json_object_set_new(cell, "regions", regions_kept_json(cmp, b, m));
			json_object_set_new(methods, cmp->method[m]->name, cell);
		}
		json_object_set_new(budget, "methods", methods);
		json_array_append_new(out, budget);
	}
	return out;
}

static json_t *methods_json(const struct comparison *cmp)
{
	json_t *out = json_object();
	for (int m = 0; m < cmp->n_method; m++)
		json_object_set_new(out, cmp->method[m]->name, method_json(cmp, m));
	return out;
}

static json_t *prompt_json(const struct comparison *cmp, const struct compare_prompt *p)
{
	json_t *budgets = json_array(), *methods = json_object();
	for (int b = 0; b < cmp->n_budget; b++) {
		json_t *budget = budget_json(cmp, b, p), *row = json_object();
		for (int m = 0; m < cmp->n_method; m++) {
			int at = b * cmp->n_method + m;
			json_object_set_new(row, cmp->method[m]->name, json_pack("{s:o, s:o, s:o}", "overlap",
				table_json_number(p->overlap[at]), "mass", table_json_number(p->mass[at]), "mass_ratio",
				table_json_number(p->mass_ratio[at])));
		}
		json_object_set_new(budget, "methods", row);
		json_array_append_new(budgets, budget);
	}
	for (int m = 0; m < cmp->n_method; m++)
		json_object_set_new(methods, cmp->method[m]->name, json_pack("{s:o, s:o, s:o}", "kl",
			table_json_number(p->kl[m]), "spearman", table_json_number(p->spearman[m]), "area",
			table_json_number(p->area[m])));
	return json_pack("{s:o, s:i, s:i, s:i, s:o, s:o}", "label", text_json(p->label), "n_prompt", p->n_prompt,
		"n_response", p->n_response, "candidates", p->n_candidate, "budgets", budgets, "methods", methods);
}

static json_t *checks_json(const struct comparison *cmp)
{
	json_t *out = json_array();
	for (int i = 0; i < cmp->n_check; i++) {
		const struct self_check *c = &cmp->check[i];
		json_array_append_new(out, json_pack("{s:s, s:o, s:o}", "name", c->name, "ok",
			c->known ? json_boolean(c->ok) : json_null(), "detail", text_json(c->detail)));
	}
	return out;
}

json_t *table_compare_json(const struct comparison *cmp)
{
	char text[400];
	const struct protocol *p = &cmp->protocol;
	protocol_describe(p, text, sizeof text);
	json_t *warnings = json_array(), *out = json_pack("{s:i, s:i, s:s, s:o, s:s, s:i, s:i, s:i}", "sink",
		p->select.sink, "window", p->select.window, "pool", pool_name(p->score.pool), "kernel",
		p->score.pool == POOL_NONE ? json_null() : json_integer(p->score.kernel), "protocol", text, "n_layer",
		cmp->n_layer, "n_head", cmp->n_head, "n_kv_head", cmp->n_kv_head);
	if (!out)
		return NULL;
	for (int i = 0; i < cmp->n_warning; i++)
		json_array_append_new(warnings, text_json(cmp->warning[i]));
	json_object_set_new(out, "budgets", budgets_json(cmp));
	json_object_set_new(out, "methods", methods_json(cmp));
	if (cmp->n_prompt > 1) {
		json_t *prompts = json_array();
		for (int i = 0; i < cmp->n_prompt; i++)
			json_array_append_new(prompts, prompt_json(cmp, &cmp->prompt[i]));
		json_object_set_new(out, "prompts", prompts);
	}
	if (cmp->region)
		json_object_set_new(out, "regions", regions_json(cmp));
	json_object_set_new(out, "checks", checks_json(cmp));
	json_object_set_new(out, "warnings", warnings);
	return out;
}
