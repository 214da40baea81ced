/* Comparisons as CSV (RFC 4180: commas, quotes doubled; lines end in a plain newline). */
#include "export/table.h"

#include <math.h>
#include <string.h>

#include "export/table/csv.h"

void csv_field(struct sheet *s, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		sheet_write(s, text, strlen(text));
		return;
	}
	sheet_write(s, "\"", 1);
	for (const char *c = text; *c; c++)
		sheet_write(s, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
	sheet_write(s, "\"", 1);
}

void csv_number(struct sheet *s, double x)
{
	sheet_write(s, ",", 1);
	if (isfinite(x))
		sheet_printf(s, "%.9g", x);
}

static void with_interval(struct sheet *s, const struct interval *x)
{
	csv_number(s, x->mean);
	csv_number(s, x->low);
	csv_number(s, x->high);
}

static void means(struct sheet *s, const struct comparison *cmp, const char *label)
{
	for (int b = 0; b < cmp->n_budget; b++)
		for (int m = 0; m < cmp->n_method; m++) {
			const struct compare_cell *cell = &cmp->cell[b * cmp->n_method + m];
			csv_field(s, label);
			sheet_printf(s, ",%d,%s", cmp->budget[b], cmp->method[m]->name);
			const struct interval *const column[] = {&cell->overlap, &cell->mass, &cell->mass_ratio, &cmp->kl[m],
				&cmp->spearman[m], &cmp->area[m]};
			for (size_t i = 0; i < sizeof column / sizeof *column; i++)
				with_interval(s, column[i]);
			sheet_write(s, "\n", 1);
		}
}

static void one_prompt(struct sheet *s, const struct comparison *cmp, const struct compare_prompt *p)
{
	for (int b = 0; b < cmp->n_budget; b++)
		for (int m = 0; m < cmp->n_method; m++) {
			int at = b * cmp->n_method + m;
			csv_field(s, p->label);
			sheet_printf(s, ",%d,%s", cmp->budget[b], cmp->method[m]->name);
			const double column[] = {p->overlap[at], p->mass[at], p->mass_ratio[at], p->kl[m], p->spearman[m], p->area[m]};
			for (size_t i = 0; i < sizeof column / sizeof *column; i++)
				with_interval(s, &(struct interval){column[i], NAN, NAN});
			sheet_write(s, "\n", 1);
		}
}

int table_compare_csv(const struct comparison *cmp, const char *path, struct err *e)
{
	struct sheet s;
	int rc = sheet_open(&s, path, e);
	if (rc)
		return rc;
	sheet_printf(&s, "prompt,budget,method");
	const char *const column[] = {"overlap", "mass", "mass_ratio", "kl", "spearman", "area"};
	for (size_t i = 0; i < sizeof column / sizeof *column; i++)
		sheet_printf(&s, ",%s,%s_low,%s_high", column[i], column[i], column[i]);
	sheet_write(&s, "\n", 1);
	means(&s, cmp, cmp->n_prompt > 1 ? "all" : cmp->prompt[0].label);
	for (int i = 0; cmp->n_prompt > 1 && i < cmp->n_prompt; i++)
		one_prompt(&s, cmp, &cmp->prompt[i]);
	return sheet_close(&s, e);
}
