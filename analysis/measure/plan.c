/* Which maps a run measures, and the slots that take those that are finished. */
#include "analysis/measure/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/protocol.h"

static const char *const value_map[] = {"value_l2", "value_l1_wo", "value_l2_wo"};
static const int preset_window[] = {8, 32, 64}; /* what published settings use */
enum { MAX_NAMED_WINDOW = MAX_WINDOW - 3 }; /* beside snapkv's own, TOVA's and H2O's */
enum { N_VALUE = sizeof value_map / sizeof *value_map, N_PRESET_WINDOW = sizeof preset_window / sizeof *preset_window };

/* Rows of "snapkv_w<rows>"; 0 when it is no such name. */
static int rows_of_name(const char *name)
{
	if (strncmp(name, "snapkv_w", 8) || name[8] < '1' || name[8] > '9')
		return 0;
	char *end;
	long rows = strtol(name + 8, &end, 10);
	return *end || rows > 1 << 20 ? 0 : (int)rows;
}

static bool is_value_map(const char *name)
{
	for (int i = 0; i < N_VALUE; i++)
		if (!strcmp(name, value_map[i]))
			return true;
	return false;
}

int measure_check_methods(const struct measure_options *o, struct err *e)
{
	int n_window = 0;
	for (int i = 0; o->method && i < o->n_method; i++) {
		const char *name = o->method[i];
		n_window += rows_of_name(name) > 0;
		if (!method_find(name) && !rows_of_name(name) && !is_value_map(name))
			return err_set(e, ERR_USE, "\"%s\" is no method that can be measured", name);
	}
	if (n_window > MAX_NAMED_WINDOW)
		return err_set(e, ERR_LIMIT, "%d windows of SnapKV, the limit is %d", n_window, MAX_NAMED_WINDOW);
	return 0;
}

static bool wants(const struct measure_options *o, const char *method)
{
	if (!o->method)
		return strcmp(method, "h2o") && !is_value_map(method);
	for (int i = 0; i < o->n_method; i++)
		if (!strcmp(o->method[i], method) || (!strcmp(method, "h2o") && !strcmp(o->method[i], "observed")))
			return true;
	return false;
}

bool measure_scores(const struct measure_options *o, const char *method)
{
	const struct method *known = method_find(method);
	if (known && (!known->map || !strcmp(known->map, "truth") || !strcmp(known->map, "truth_even")))
		return true; /* truth is measured with the response, whatever is listed */
	return wants(o, known ? known->map : method);
}

bool run_wants(const struct run *r, const char *method)
{
	return wants(r->o, method);
}

int run_add_slot(struct run *r, const char *name, const struct slot *map, struct err *e)
{
	const struct capture shape = {.n_layer = r->info->n_layer, .n_head = r->info->n_head, .n_kv_head = r->info->n_kv_head,
		.n_prompt = r->n_prompt};
	int rc = capture_check_values(&shape, &(struct capture_map){.name = name, .kind = map->kind, .data = map->block->data}, e);
	if (rc)
		return rc;
	if (r->n_slot == MAX_SLOT)
		return err_set(e, ERR_LIMIT, "more than %d maps in one run", MAX_SLOT);
	struct slot *s = &r->slot[r->n_slot++];
	*s = *map;
	snprintf(s->name, sizeof s->name, "%s", name);
	block_ref(s->block);
	return 0;
}

/* ---- windows ---- */

struct named_window {
	char name[32];
	int size;
};

static void add_named(struct named_window *list, int *n, const char *name, int size)
{
	for (int i = 0; i < *n; i++)
		if (!strcmp(list[i].name, name))
			return;
	struct named_window *w = &list[(*n)++];
	snprintf(w->name, sizeof w->name, "%s", name);
	w->size = size;
}

/* The windows of a run by name, in the order in which maps are listed. list has room for MAX_WINDOW. */
static int list_windows(const struct measure_options *o, int n_prompt, struct named_window *list)
{
	int window = o->window > 0 ? o->window : 32, n = 0;
	if (wants(o, "snapkv"))
		add_named(list, &n, "snapkv", window < n_prompt ? window : n_prompt);
	for (int i = 0; i < N_PRESET_WINDOW && !o->method; i++) {
		char name[32];
		snprintf(name, sizeof name, "snapkv_w%d", preset_window[i]);
		if (preset_window[i] != window && preset_window[i] < n_prompt)
			add_named(list, &n, name, preset_window[i]);
	}
	for (int i = 0; o->method && i < o->n_method; i++) {
		int rows = rows_of_name(o->method[i]);
		if (rows)
			add_named(list, &n, o->method[i], rows < n_prompt ? rows : n_prompt);
	}
	if (wants(o, "tova"))
		add_named(list, &n, "tova", 1);
	if (wants(o, "h2o"))
		add_named(list, &n, "h2o", n_prompt);
	return n;
}

int plan_windows(struct run *r, struct err *e)
{
	struct named_window list[MAX_WINDOW];
	int n = list_windows(r->o, r->n_prompt, list);
	for (int i = 0; i < n; i++) {
		int at = 0;
		while (at < r->n_window && r->win[at].size < list[i].size)
			at++;
		if (at < r->n_window && r->win[at].size == list[i].size)
			continue;
		memmove(r->win + at + 1, r->win + at, (size_t)(r->n_window++ - at) * sizeof *r->win);
		r->win[at] = (struct window){.size = list[i].size};
	}
	for (int i = 0; i < r->n_window; i++) {
		r->win[i].block = block_zero(run_map_bytes(r, MAP_ROWS));
		if (!r->win[i].block)
			return err_set(e, ERR_MEMORY, "no memory for %d maps of %d tokens", r->n_window, r->n_prompt);
	}
	return 0;
}

int plan_name_windows(struct run *r, struct err *e)
{
	struct named_window list[MAX_WINDOW];
	int n = list_windows(r->o, r->n_prompt, list), rc = 0;
	for (int i = 0; i < n && !rc; i++)
		for (int w = 0; w < r->n_window && !rc; w++)
			if (r->win[w].size == list[i].size)
				rc = run_add_slot(r, list[i].name, &(struct slot){.kind = MAP_ROWS, .block = r->win[w].block, .n_rows = list[i].size,
					.row_error = r->win[w].row_error}, e);
	return rc;
}

int plan_count_maps(const struct run *r)
{
	const struct measure_options *o = r->o;
	struct named_window list[MAX_WINDOW];
	int n = list_windows(o, r->n_prompt, list) + 2 * wants(o, "lookahead") + wants(o, "keynorm");
	for (int i = 0; i < N_VALUE; i++)
		n += wants(o, value_map[i]);
	return n + 4; /* truth's two halves, and the two means that a capture is given */
}
