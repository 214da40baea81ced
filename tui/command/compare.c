/* kvglass compare: every method against truth, over budgets and over captures. */
#include <stdlib.h>

#include "analysis/compare.h"
#include "export/table.h"
#include "tui/command/command.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"

static int check(const struct options *o, struct err *e)
{
	if (o->json && o->csv)
		return err_set(e, ERR_USE, "--json and --csv exclude each other");
	if (o->per_head && !o->json)
		return err_set(e, ERR_USE, "--per-head needs --json");
	return settings_check(o, e);
}

static int print_comparison(const struct comparison *cmp, const struct options *o, struct err *e)
{
	if (o->csv)
		return o->regions ? table_regions_csv(cmp, "-", e) : table_compare_csv(cmp, "-", e);
	if (!o->json)
		return table_compare_text(cmp, "-", e);
	json_t *value = table_compare_json(cmp);
	if (!value)
		return err_set(e, ERR_MEMORY, "no memory for the comparison");
	int rc = table_write_json(value, "-", e);
	json_decref(value);
	return rc;
}

static int compare(const struct capture *const *capture, const struct options *o, struct err *e)
{
	struct comparison *cmp;
	struct preset preset;
	const struct compare_options options = settings_compare(o, &preset);
	int rc = compare_captures(&cmp, capture, o->argument, o->n_argument, &options, e);
	if (rc)
		return rc;
	for (int i = 0; i < cmp->n_warning; i++)
		remark(o, "%s", cmp->warning[i]);
	rc = print_comparison(cmp, o, e);
	comparison_free(cmp);
	return rc;
}

static int run(const struct options *o, struct err *e)
{
	const struct capture **capture = calloc((size_t)o->n_argument, sizeof *capture);
	if (!capture)
		return err_set(e, ERR_MEMORY, "no memory for %d captures", o->n_argument);
	int rc = 0;
	for (int i = 0; i < o->n_argument && !rc; i++)
		rc = settings_capture(&capture[i], o->argument[i], o, e);
	if (!rc)
		rc = compare(capture, o, e);
	for (int i = 0; i < o->n_argument; i++)
		capture_unref(capture[i]);
	free(capture);
	return rc;
}

const struct command command_compare = {.check = check, .run = run};
