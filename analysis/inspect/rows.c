/* Running the lookahead rows again over a live prompt, under switches. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "analysis/inspect.h"

/* ---- maps of rows ---------------------------------------------------------------------------------------------- */

uint64_t inspect_rows_bytes(const struct capture *c, int n_rows)
{
	return (uint64_t)c->n_layer * (uint64_t)c->n_head * (uint64_t)n_rows * (uint64_t)c->n_prompt * sizeof(float);
}

static struct inspect_rows *rows_new(const struct capture *c, int n_rows)
{
	struct inspect_rows *rows = malloc(sizeof *rows);
	if (!rows)
		return NULL;
	*rows = (struct inspect_rows){.n_layer = c->n_layer, .n_head = c->n_head, .n_rows = n_rows, .n_prompt = c->n_prompt,
		.data = malloc(inspect_rows_bytes(c, n_rows))};
	if (!rows->data) {
		free(rows);
		return NULL;
	}
	return rows;
}

void inspect_rows_free(struct inspect_rows *rows)
{
	if (rows)
		free(rows->data);
	free(rows);
}

const float *inspect_row(const struct inspect_rows *rows, int layer, int head, int row)
{
	size_t at = ((size_t)layer * (size_t)rows->n_head + (size_t)head) * (size_t)rows->n_rows + (size_t)row;
	return rows->data + at * (size_t)rows->n_prompt;
}

/* ---- switches in words ------------------------------------------------------------------------------------------- */

struct words {
	char *out;
	size_t n, used;
};

static void put(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct words *w, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (w->used < w->n)
		w->used += (size_t)vsnprintf(w->out + w->used, w->n - w->used, format, args);
	va_end(args);
}

/* "3 7-9" */
static void put_layers_off(struct words *w, const uint8_t *on, int n_layer)
{
	for (int i = 0; i < n_layer; i++) {
		int end = i;
		while (end < n_layer && !on[end])
			end++;
		if (end - i > 1)
			put(w, " %d-%d", i, end - 1);
		else if (end > i)
			put(w, " %d", i);
		i = end > i ? end : i;
	}
}

static bool any_layer_off(const struct lookahead_switches *sw, int n_layer)
{
	for (int i = 0; sw->layer_on && i < n_layer; i++)
		if (!sw->layer_on[i])
			return true;
	return false;
}

void inspect_say_switches(const struct lookahead *modules, const struct lookahead_switches *sw, char *out, size_t out_bytes)
{
	struct words w = {out, out_bytes, 0};
	*out = '\0';
	if (!sw)
		return;
	bool layers = any_layer_off(sw, modules->n_layer);
	if (sw->proj_off || layers)
		put(&w, "LoRA off:");
	for (int p = 0; p < N_PROJ; p++)
		if (sw->proj_off >> p & 1)
			put(&w, " %s", projection_name(p));
	if (layers) {
		put(&w, "%s", sw->proj_off ? ", layers" : " layers");
		put_layers_off(&w, sw->layer_on, modules->n_layer);
	}
	if (sw->scale < 1 || sw->scale > 1)
		put(&w, "%salpha x %.3g", w.used ? "; " : "", (double)sw->scale);
	if (sw->n_rows && sw->n_rows != modules->n_lookahead)
		put(&w, "%s%d of %d rows", w.used ? "; " : "", sw->n_rows, modules->n_lookahead);
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static int check(const struct live *live, const struct lookahead *modules, int n_rows, struct err *e)
{
	const struct model_info *info = model_info(live_model(live));
	if (modules->n_embd != info->n_embd || modules->n_layer != info->n_layer)
		return err_set(e, ERR_USE, "%s: modules for width %d and %d layers, the model has width %d and %d layers", modules->name,
			modules->n_embd, modules->n_layer, info->n_embd, info->n_layer);
	if (n_rows > live_room(live))
		return err_set(e, ERR_LIMIT, "%s has %d rows, behind this prompt there is room for %d", modules->name, n_rows, live_room(live));
	return 0;
}

static int replace(const struct capture **out, struct live *live, const struct inspect_request *r, const struct capture_map *map,
	struct err *e)
{
	char switches[400];
	inspect_say_switches(r->modules, r->switches, switches, sizeof switches);
	const struct capture_pair meta[] = {
		{"kvglass.module_name", r->modules->name},
		{"kvglass.module_sha256", *r->modules->sha256 ? r->modules->sha256 : NULL},
		{"kvglass.module_switches", *switches ? switches : NULL},
	};
	return capture_replace(out, r->base ? r->base : live_capture(live), map, 1, meta, sizeof meta / sizeof *meta, e);
}

int inspect_run(const struct capture **out, struct inspect_rows **rows, struct live *live, const struct inspect_request *r, struct err *e)
{
	const struct capture *c = live_capture(live);
	int n_rows = r->switches && r->switches->n_rows ? r->switches->n_rows : r->modules->n_lookahead;
	size_t n = (size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt;
	double row_error = 0;
	*out = NULL;
	int rc = check(live, r->modules, n_rows, e);
	if (rc)
		return rc;
	float *sum = calloc(n, sizeof *sum);
	struct inspect_rows *maps = r->rows ? rows_new(c, n_rows) : NULL;
	if (!sum || (r->rows && !maps))
		rc = err_set(e, ERR_MEMORY, "maps of %d rows over %d tokens need %.0f MiB", n_rows, c->n_prompt,
			(double)inspect_rows_bytes(c, n_rows) / 1048576);
	if (!rc) {
		const struct lookahead_request request = {.modules = r->modules, .switches = r->switches, .sum = sum,
			.per_row = maps ? maps->data : NULL, .row_error = &row_error, .progress = r->progress};
		rc = session_lookahead(live_session(live), &request, e);
	}
	if (!rc) {
		for (size_t i = 0; i < n; i++)
			sum[i] *= 1.0f / (float)n_rows;
		const struct capture_map map = {.name = "lookahead", .kind = MAP_ROWS, .data = sum, .n_rows = n_rows, .n_rows_due = n_rows,
			.row_error = row_error};
		rc = replace(out, live, r, &map, e);
	}
	free(sum);
	if (rc || !rows)
		inspect_rows_free(maps);
	else
		*rows = maps;
	return rc;
}
