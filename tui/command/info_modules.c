/* kvglass info on lookahead modules: what they hold, norms per layer and projection, faults. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/table.h"
#include "tui/command/info.h"
#include "tui/command/terminal.h"

enum { LABEL = 14, SHOWN_FAULTS = 20 };

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

struct range {
	double least, median, most;
};

/* Sorts in place; NaN first. */
static struct range range_of(double *x, int n)
{
	qsort(x, (size_t)n, sizeof *x, compare_doubles);
	return n ? (struct range){x[0], 0.5 * (x[(n - 1) / 2] + x[n / 2]), x[n - 1]} : (struct range){NAN, NAN, NAN};
}

/* ---- for people ---- */

static void print_counts(const struct info *info)
{
	const struct lookahead *l = info->modules;
	char n[32];
	int r, n_adapter = info_n_adapter(l, &r);
	format_grouped(n, (int64_t)l->n_param);
	printf("%-*s%s\n", LABEL, "parameters", n);
	printf("%-*s%d lookahead tokens of width %d\n", LABEL, "rows", l->n_lookahead, l->n_embd);
	printf("%-*s%d LoRA pairs in %d layers", LABEL, "adapters", n_adapter, l->n_layer);
	if (n_adapter)
		printf(", r %s%d, scale %g", lookahead_one_rank(l) ? "" : "up to ", r, (double)l->scale);
	putchar('\n');
}

static void print_origin(const struct lookahead *l)
{
	const struct {
		const char *label, *text;
	} told[] = {{"warning", l->warning}, {"base", l->base_name}, {"base sha256", l->base_sha256}, {"training", l->training}};
	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		if (!told[i].text || !*told[i].text)
			continue;
		printf("%-*s", LABEL, told[i].label);
		print_visible(stdout, told[i].text, strlen(told[i].text));
		putchar('\n');
	}
}

/* "soft tokens   norm 3.1 (2.8 .. 3.4)" and a line for each projection; with the weights' norms the share that is added to them. */
static void print_norm_ranges(const struct info *info, double *room)
{
	const struct lookahead_report *r = info->report;
	memcpy(room, r->row_norm, (size_t)r->n_lookahead * sizeof *room);
	struct range rows = range_of(room, r->n_lookahead);
	printf("%-*snorm %.3g (%.3g .. %.3g)\n", LABEL, "soft tokens", rows.median, rows.least, rows.most);
	for (int p = 0; p < N_PROJ; p++) {
		int n = 0;
		for (int layer = 0; layer < r->n_layer; layer++)
			if (r->lora[layer * N_PROJ + p].present)
				room[n++] = r->lora[layer * N_PROJ + p].delta / (info->weight_norm ? info->weight_norm[layer * N_PROJ + p] : 1);
		struct range delta = range_of(room, n);
		if (n)
			printf("%-*s%s %.3g (%.3g .. %.3g) in %d layers\n", LABEL, projection_name(p),
				info->weight_norm ? "scale |BA| / |W|" : "scale |BA|", delta.median, delta.least, delta.most, n);
	}
}

/* One line a layer, a column a projection. */
static void print_norm_table(const struct info *info)
{
	const struct lookahead_report *r = info->report;
	puts(info->weight_norm ? "\nscale |BA| / |W| by layer" : "\nscale |BA| by layer");
	fputs("      ", stdout);
	for (int p = 0; p < N_PROJ; p++)
		printf("%9s", projection_name(p));
	putchar('\n');
	for (int layer = 0; layer < r->n_layer; layer++) {
		printf("L %-4d", layer);
		for (int p = 0; p < N_PROJ; p++) {
			const struct lora_norms *n = &r->lora[layer * N_PROJ + p];
			if (n->present)
				printf("%9.3g", n->delta / (info->weight_norm ? info->weight_norm[layer * N_PROJ + p] : 1));
			else
				printf("%9s", "-");
		}
		putchar('\n');
	}
}

static void print_faults(const struct lookahead_report *r)
{
	printf("%-*s", LABEL, "faults");
	if (r->n_fault == 0)
		puts("none found");
	for (int i = 0; i < r->n_listed && i < SHOWN_FAULTS; i++)
		printf("%*s%s\n", i ? LABEL : 0, "", r->fault[i].text);
	if (r->n_fault > SHOWN_FAULTS)
		printf("%*s... and %d more (--json lists up to 1024)\n", LABEL, "", r->n_fault - SHOWN_FAULTS);
}

void info_print_modules(const struct info *info)
{
	const struct lookahead_report *r = info->report;
	int most = r->n_layer > r->n_lookahead ? r->n_layer : r->n_lookahead;
	double *room = calloc((size_t)most + 1, sizeof *room);
	print_counts(info);
	print_origin(info->modules);
	if (room)
		print_norm_ranges(info, room);
	free(room);
	print_faults(r);
	if (info->modules->n_layer > 0)
		print_norm_table(info);
}

/* ---- JSON ---- */

static json_t *layers_json(const struct info *info, int proj, double (*of)(const struct info *, int at))
{
	json_t *list = json_array();
	for (int layer = 0; layer < info->report->n_layer; layer++) {
		int at = layer * N_PROJ + proj;
		if (json_array_append_new(list, table_json_number(info->report->lora[at].present ? of(info, at) : NAN)))
			return NULL;
	}
	return list;
}

static double norm_a(const struct info *info, int at)
{
	return info->report->lora[at].a;
}

static double norm_b(const struct info *info, int at)
{
	return info->report->lora[at].b;
}

static double norm_delta(const struct info *info, int at)
{
	return info->report->lora[at].delta;
}

static double norm_share(const struct info *info, int at)
{
	return info->report->lora[at].delta / info->weight_norm[at];
}

static json_t *norms_json(const struct info *info)
{
	json_t *all = json_object();
	for (int p = 0; p < N_PROJ; p++) {
		json_t *one = json_pack("{s:o, s:o, s:o}", "a", layers_json(info, p, norm_a), "b", layers_json(info, p, norm_b), "delta",
			layers_json(info, p, norm_delta));
		int failed = info->weight_norm && json_object_set_new(one, "delta_of_weight", layers_json(info, p, norm_share));
		if (failed || json_object_set_new(all, projection_name(p), one))
			return NULL;
	}
	return all;
}

static json_t *index_json(int index)
{
	return index < 0 ? json_null() : json_integer(index);
}

static json_t *faults_json(const struct lookahead_report *r)
{
	json_t *list = json_array();
	for (int i = 0; i < r->n_listed; i++) {
		const struct lookahead_fault *f = &r->fault[i];
		json_t *proj = f->proj < 0 ? json_null() : json_string(projection_name(f->proj));
		if (json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "kind", lookahead_fault_name(f->kind), "layer",
				index_json(f->layer), "proj", proj, "row", index_json(f->row), "value", table_json_number(f->value), "text",
				table_json_text(f->text, strlen(f->text)))))
			return NULL;
	}
	return list;
}

static json_t *row_norms_json(const struct lookahead_report *r)
{
	json_t *list = json_array();
	for (int i = 0; i < r->n_lookahead; i++)
		if (json_array_append_new(list, table_json_number(r->row_norm[i])))
			return NULL;
	return list;
}

static json_t *text_or_null(const char *text)
{
	return text ? table_json_text(text, strlen(text)) : json_null();
}

json_t *info_modules_json(const struct info *info)
{
	const struct lookahead *l = info->modules;
	int r;
	if (!l)
		return json_pack("{s:b, s:o}", "usable", 0, "refusal", table_json_text(info->refusal.text, strlen(info->refusal.text)));
	int n_adapter = info_n_adapter(l, &r);
	json_t *rank = n_adapter ? json_integer(r) : json_null(), *scale = n_adapter ? table_json_number((double)l->scale) : json_null();
	return json_pack("{s:b, s:i, s:i, s:i, s:i, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o}",
		"usable", 1,
		"n_lookahead", l->n_lookahead,
		"n_embd", l->n_embd,
		"n_layer", l->n_layer,
		"n_adapter", n_adapter,
		"r", rank,
		"scale", scale,
		"n_param", (json_int_t)l->n_param,
		"base_name", text_or_null(l->base_name),
		"base_sha256", text_or_null(l->base_sha256),
		"training", text_or_null(l->training),
		"warning", text_or_null(l->warning),
		"row_norm", row_norms_json(info->report),
		"norms", norms_json(info),
		"n_fault", info->report->n_fault,
		"faults", faults_json(info->report));
}
