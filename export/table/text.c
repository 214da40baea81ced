/* Comparisons for people, in the words of the screen: overlap as a count of truth's picks, mass as a share of the
 * best possible, chance and ceiling beside. The oracle agrees with itself and is left out. */
#include "export/table.h"

#include <math.h>
#include <stdio.h>

#include "analysis/selection.h"
#include "export/table/regions.h"
#include "export/table/sheet.h"

enum { LABEL_WIDTH = 14, COLUMN_WIDTH = 22 };

/* 1954 -> "1,954" */
static const char *grouped(int n, char *out, size_t size)
{
	char plain[16];
	int length = snprintf(plain, sizeof plain, "%d", n), at = 0;
	for (int i = 0; i < length && at + 2 < (int)size; i++) {
		if (i && (length - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = plain[i];
	}
	out[at] = '\0';
	return out;
}

/* Columns are padded by bytes: all of their text is ASCII. */
static void column(struct sheet *s, const char *text)
{
	sheet_printf(s, "  %*s", COLUMN_WIDTH, text);
}

static void ranged(struct sheet *s, const struct interval *x, double scale, int decimals, const char *unit)
{
	char text[96];
	if (isnan(x->mean))
		snprintf(text, sizeof text, "-");
	else if (isnan(x->low))
		snprintf(text, sizeof text, "%.*f%s", decimals, scale * x->mean, unit);
	else
		snprintf(text, sizeof text, "%.*f%s [%.*f, %.*f]", decimals, scale * x->mean, unit, decimals,
			scale * x->low, decimals, scale * x->high);
	column(s, text);
}

static bool shown(const struct method *m)
{
	return m->kind != METHOD_ORACLE;
}

/* "KEEP 128 per KV head = 4 first + 32 last + 92 chosen of 1,954" */
static int keep_line(struct sheet *s, const struct comparison *cmp, int b)
{
	const struct selection *sel = &cmp->protocol.select;
	const struct compare_prompt *p = &cmp->prompt[0];
	const char *head = cmp->n_unit == cmp->n_kv_head ? "KV head" : "query head";
	int k = selection_k(sel, p->n_prompt, cmp->budget[b], NULL);
	char n[16];
	sheet_printf(s, "KEEP %d per %s = %d first + %d last + ", cmp->budget[b], head, sel->sink, sel->window);
	bool alike = true;
	for (int i = 1; i < cmp->n_prompt; i++)
		alike &= cmp->prompt[i].n_candidate == p->n_candidate;
	if (alike)
		sheet_printf(s, "%d chosen of %s\n", k, grouped(p->n_candidate, n, sizeof n));
	else
		sheet_printf(s, "%d chosen of the rest\n", cmp->budget[b] - (sel->window_in_budget ? sel->sink + sel->window : 0));
	return k;
}

static void budget_table(struct sheet *s, const struct comparison *cmp, int b)
{
	int k = keep_line(s, cmp, b);
	char unit[48];
	sheet_printf(s, "%*s", LABEL_WIDTH, "");
	column(s, "truth's picks");
	column(s, "best mass");
	sheet_printf(s, "\n");
	snprintf(unit, sizeof unit, " of %d", k);
	for (int m = 0; m < cmp->n_method; m++) {
		const struct compare_cell *cell = &cmp->cell[b * cmp->n_method + m];
		if (!shown(cmp->method[m]))
			continue;
		sheet_printf(s, "%-*s", LABEL_WIDTH, cmp->method[m]->label);
		ranged(s, &cell->overlap, k, 0, unit);
		ranged(s, &cell->mass_ratio, 100, 0, " %");
		sheet_printf(s, "%s\n", cmp->method[m]->kind == METHOD_RANDOM ? "   chance"
			: cmp->method[m]->kind == METHOD_CEILING ? "   odd against even answer rows" : "");
	}
	sheet_printf(s, "\n");
}

static void overall_table(struct sheet *s, const struct comparison *cmp)
{
	sheet_printf(s, "%-*s", LABEL_WIDTH, "EVERY BUDGET");
	column(s, "KL all tokens");
	column(s, "rank correlation");
	column(s, "area under mass");
	sheet_printf(s, "\n");
	for (int m = 0; m < cmp->n_method; m++) {
		if (!shown(cmp->method[m]))
			continue;
		sheet_printf(s, "%-*s", LABEL_WIDTH, cmp->method[m]->label);
		ranged(s, &cmp->kl[m], 1, 3, "");
		ranged(s, &cmp->spearman[m], 1, 3, "");
		ranged(s, &cmp->area[m], 1, 3, "");
		sheet_printf(s, "\n");
	}
}

static void failed_checks(struct sheet *s, const struct comparison *cmp)
{
	for (int i = 0; i < cmp->n_check; i++)
		if (cmp->check[i].known && !cmp->check[i].ok)
			sheet_printf(s, "CHECK failed: %s: %s\n", cmp->check[i].name, cmp->check[i].detail);
}

int table_compare_text(const struct comparison *cmp, const char *path, struct err *e)
{
	struct sheet s;
	char text[400];
	int rc = sheet_open(&s, path, e);
	if (rc)
		return rc;
	protocol_describe(&cmp->protocol, text, sizeof text);
	sheet_printf(&s, "Agreement with truth, mean of %d layers x %d heads", cmp->n_layer, cmp->n_unit);
	if (cmp->n_prompt > 1)
		sheet_printf(&s, " and %d prompts [95 %% of resamples]", cmp->n_prompt);
	sheet_printf(&s, "\n%s\n\n", text);
	for (int b = 0; b < cmp->n_budget; b++)
		budget_table(&s, cmp, b);
	overall_table(&s, cmp);
	if (cmp->region)
		regions_text(&s, cmp);
	failed_checks(&s, cmp);
	return sheet_close(&s, e);
}
