#include "export/table/regions.h"

#include <math.h>
#include <stdio.h>

#include "export/table/csv.h"

static const struct region_numbers *numbers(const struct comparison *cmp, int b, int m)
{
	return &cmp->region[(size_t)(b * cmp->n_method + m) * REGION_SPAN];
}

static bool is_part(int i)
{
	return i < REGION_CLASS;
}

static const char *name(int i)
{
	return is_part(i) ? prompt_part_name((enum prompt_part)(i - REGION_PART))
	                  : token_class_name((enum token_class)(i - REGION_CLASS));
}

/* Tokens and truth's mass are the prompts' own: any method that was judged has them. NULL: none was. */
static const struct region_numbers *of_prompt(const struct comparison *cmp)
{
	for (int i = 0; i < cmp->n_budget * cmp->n_method; i++)
		if (!isnan(numbers(cmp, 0, i)->tokens))
			return numbers(cmp, 0, i);
	return NULL;
}

static bool shown(const struct region_numbers *of_all, int i)
{
	return of_all && of_all[i].tokens > 0;
}

/* ---- JSON ---- */

typedef json_t *one_json(const struct region_numbers *r);

static json_t *prompt_json(const struct region_numbers *r)
{
	return json_pack("{s:o, s:o}", "tokens", table_json_number(r->tokens), "truth", table_json_number(r->truth));
}

static json_t *kept_json(const struct region_numbers *r)
{
	return json_pack("{s:o, s:o, s:o}", "kept", table_json_number(r->kept), "share", table_json_number(r->share),
		"covered", table_json_number(r->covered));
}

static json_t *by_name(const struct comparison *cmp, const struct region_numbers *r, one_json *one)
{
	json_t *parts = json_object(), *classes = json_object();
	const struct region_numbers *of_all = of_prompt(cmp);
	for (int i = 0; i < REGION_SPAN; i++)
		if (shown(of_all, i))
			json_object_set_new(is_part(i) ? parts : classes, name(i), one(&r[i]));
	return json_pack("{s:o, s:o}", "parts", parts, "classes", classes);
}

json_t *regions_json(const struct comparison *cmp)
{
	return by_name(cmp, of_prompt(cmp), prompt_json);
}

json_t *regions_kept_json(const struct comparison *cmp, int budget, int method)
{
	return by_name(cmp, numbers(cmp, budget, method), kept_json);
}

/* ---- CSV ---- */

int table_regions_csv(const struct comparison *cmp, const char *path, struct err *e)
{
	struct sheet s;
	const struct region_numbers *of_all = of_prompt(cmp);
	int rc = sheet_open(&s, path, e);
	if (rc)
		return rc;
	sheet_printf(&s, "prompt,budget,method,division,region,tokens,kept,share,truth,covered\n");
	for (int b = 0; b < cmp->n_budget; b++)
		for (int m = 0; m < cmp->n_method; m++)
			for (int i = 0; i < REGION_SPAN; i++) {
				const struct region_numbers *r = &numbers(cmp, b, m)[i];
				const double column[] = {r->tokens, r->kept, r->share, r->truth, r->covered};
				if (!shown(of_all, i))
					continue;
				csv_field(&s, cmp->n_prompt > 1 ? "all" : cmp->prompt[0].label);
				sheet_printf(&s, ",%d,%s,%s,%s", cmp->budget[b], cmp->method[m]->name, is_part(i) ? "part" : "class", name(i));
				for (size_t c = 0; c < sizeof column / sizeof *column; c++)
					csv_number(&s, column[c]);
				sheet_write(&s, "\n", 1);
			}
	return sheet_close(&s, e);
}

/* ---- text ---- */

enum { REGION_WIDTH = 16, NUMBER_WIDTH = 11 };

static void percent(struct sheet *s, double share)
{
	char text[32] = "-";
	if (!isnan(share))
		snprintf(text, sizeof text, "%.1f %%", 100 * share);
	sheet_printf(s, "  %*s", NUMBER_WIDTH, text);
}

static bool in_table(const struct comparison *cmp, int b, int m)
{
	return cmp->method[m]->kind != METHOD_CEILING && !isnan(numbers(cmp, b, m)->tokens);
}

static void one_budget(struct sheet *s, const struct comparison *cmp, const struct region_numbers *of_all, int b)
{
	sheet_printf(s, "\nSHARE OF %d KEPT TOKENS\n%*s  %*s  %*s", cmp->budget[b], REGION_WIDTH, "", NUMBER_WIDTH, "of prompt",
		NUMBER_WIDTH, "truth mass");
	for (int m = 0; m < cmp->n_method; m++)
		if (in_table(cmp, b, m))
			sheet_printf(s, "  %*s", NUMBER_WIDTH, cmp->method[m]->label);
	sheet_printf(s, "\n");
	double all = 0;
	for (int i = 0; i < REGION_CLASS; i++)
		all += of_all[i].tokens;
	for (int i = 0; i < REGION_SPAN; i++) {
		if (!shown(of_all, i))
			continue;
		sheet_printf(s, "%-*s", REGION_WIDTH, name(i));
		percent(s, of_all[i].tokens / all);
		percent(s, of_all[i].truth);
		for (int m = 0; m < cmp->n_method; m++)
			if (in_table(cmp, b, m))
				percent(s, numbers(cmp, b, m)[i].share);
		sheet_printf(s, "\n");
	}
}

void regions_text(struct sheet *s, const struct comparison *cmp)
{
	const struct region_numbers *of_all = of_prompt(cmp);
	for (int b = 0; of_all && b < cmp->n_budget; b++)
		one_budget(s, cmp, of_all, b);
}
