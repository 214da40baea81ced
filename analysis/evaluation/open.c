/* Which methods an evaluation holds, and room for their tables. */
#include "analysis/evaluation/tables.h"

#include <stdlib.h>
#include <string.h>

/* ---- methods ---- */

static const char *needed_map(const struct evaluation *ev, const struct method *m)
{
	switch (m->kind) {
	case METHOD_ORACLE:
		return ev->truth ? NULL : "truth";
	case METHOD_CEILING:
		return !ev->truth ? "truth" : !ev->even || ev->n_odd < 1 ? "truth_even" : NULL;
	case METHOD_MAP:
		return capture_find(ev->capture, m->map) ? NULL : m->map;
	case METHOD_RANDOM:
	case METHOD_RECENCY:
		return NULL;
	}
	return m->map;
}

static void add_method(struct evaluation *ev, const struct method *m)
{
	const char *missing = needed_map(ev, m);
	const struct capture_map *map = m->map && !missing ? capture_find(ev->capture, m->map) : NULL;
	ev->method[ev->n_method++] = (struct eval_method){.method = m, .available = !missing, .missing = missing,
		.n_rows = map ? map->n_rows : 0, .n_rows_due = map ? map->n_rows_due : 0};
}

static bool in_table(const char *map)
{
	int n;
	const struct method *m = method_list(&n);
	for (int i = 0; i < n; i++)
		if (m[i].map && !strcmp(m[i].map, map))
			return true;
	return false;
}

/* Weights and other windows are judged only when they are asked for. */
static bool on_request(const char *map)
{
	return !strncmp(map, "value_", 6) || !strncmp(map, "snapkv_w", 8);
}

/* A description for a map that only its name describes. */
static const struct method *make_method(struct evaluation *ev, int *n_made, const struct method *what)
{
	struct method *made = &ev->made[(*n_made)++];
	*made = *what;
	return made;
}

static void add_all(struct evaluation *ev, int *n_made)
{
	int n;
	const struct method *m = method_list(&n);
	for (int i = 0; i < n; i++)
		if (!m[i].on_request && !needed_map(ev, &m[i]))
			add_method(ev, &m[i]);
	const struct capture *c = ev->capture;
	for (int i = 0; i < c->n_map; i++)
		if (!in_table(c->map[i].name) && !on_request(c->map[i].name) && capture_find(c, c->map[i].name) == &c->map[i])
			add_method(ev, make_method(ev, n_made, &(struct method){.name = c->map[i].name, .label = c->map[i].name,
				.kind = METHOD_MAP, .map = c->map[i].name, .source = "a map of the capture"}));
}

static bool is_listed(const struct evaluation *ev, const char *name)
{
	for (int m = 0; m < ev->n_method; m++)
		if (!strcmp(ev->method[m].method->name, name))
			return true;
	return false;
}

static int add_named(struct evaluation *ev, int *n_made, const struct evaluation_options *o, struct err *e)
{
	for (int i = 0; i < o->n_method; i++) {
		if (is_listed(ev, o->method[i]) || (o->preset && !strcmp(o->method[i], o->preset->name)))
			continue; /* a preset is a method of its own, added last */
		const struct method *m = method_find(o->method[i]);
		const struct capture_map *map = m ? NULL : capture_find(ev->capture, o->method[i]);
		if (!m && (!map || in_table(map->name)))
			return err_set(e, ERR_USE, "\"%s\" is no method and no map of this capture", o->method[i]);
		if (!m)
			m = make_method(ev, n_made, &(struct method){.name = map->name, .label = map->name, .kind = METHOD_MAP,
				.map = map->name, .source = "a map of the capture"});
		add_method(ev, m);
	}
	return 0;
}

static int add_methods(struct evaluation *ev, const struct evaluation_options *o, struct err *e)
{
	int n_known, n_made = 0, rc = 0;
	method_list(&n_known);
	size_t most = (size_t)n_known + (size_t)ev->capture->n_map + (size_t)(o->method ? o->n_method : 0) + 1;
	ev->method = calloc(most, sizeof *ev->method);
	ev->made = calloc(most, sizeof *ev->made);
	ev->table = calloc(most, sizeof *ev->table);
	if (!ev->method || !ev->made || !ev->table)
		return err_set(e, ERR_MEMORY, "evaluation: out of memory for %zu methods", most);
	if (o->method)
		rc = add_named(ev, &n_made, o, e);
	else
		add_all(ev, &n_made);
	const struct preset *p = o->preset;
	if (!rc && p) {
		const char *map = preset_map(p, ev->capture);
		add_method(ev, make_method(ev, &n_made, &(struct method){.name = p->name, .label = p->name, .source = p->source,
			.map = map ? map : p->map, .kind = p->map ? METHOD_MAP : METHOD_RECENCY, .shared = p->protocol.select.shared}));
	}
	return rc;
}

/* ---- tables ---- */

/* Rows of size n; false when the product overflows or memory is out. */
static bool rows_of(void *out, size_t n_row, size_t n, size_t size)
{
	void *p = n && n_row > SIZE_MAX / n ? NULL : calloc(n_row * n + 1, size);
	memcpy(out, &p, sizeof p);
	return p;
}

static bool room_for_ranks(const struct evaluation *ev, struct method_tables *t, bool alike)
{
	size_t n_row = alike ? 1 : (size_t)ev->capture->n_layer * (size_t)ev->n_unit, n = (size_t)ev->n_cand;
	t->rank_stride = alike ? 0 : n;
	return rows_of(&t->order, n_row, n, sizeof *t->order) && rows_of(&t->rank, n_row, n, sizeof *t->rank);
}

static bool room_against_truth(const struct evaluation *ev, struct method_tables *t)
{
	const struct capture *c = ev->capture;
	size_t n_row = (size_t)c->n_layer * (size_t)ev->n_unit, n = (size_t)ev->n_cand + 1;
	t->hits_stride = n;
	return rows_of(&t->hits, n_row, n, sizeof *t->hits) && rows_of(&t->mass, n_row, n, sizeof *t->mass)
		&& rows_of(&t->spearman, n_row, 1, sizeof *t->spearman) && rows_of(&t->area, n_row, 1, sizeof *t->area)
		&& rows_of(&t->kl, (size_t)c->n_layer, (size_t)c->n_head, sizeof *t->kl);
}

static bool room_for_sums(const struct evaluation *ev, struct method_tables *t)
{
	return rows_of(&t->row_sum, (size_t)ev->capture->n_layer, (size_t)ev->capture->n_head, sizeof *t->row_sum);
}

static bool room_for_sorted(const struct evaluation *ev, struct method_tables *t)
{
	size_t n_row = (size_t)ev->capture->n_layer * (size_t)ev->n_unit;
	return ev->protocol.select.head == HEAD_UNIFORM || rows_of(&t->sorted, n_row, (size_t)ev->n_cand, sizeof *t->sorted);
}

static bool room_for_oracle(struct evaluation *ev)
{
	struct method_tables *t = &ev->oracle;
	ev->identity = calloc((size_t)ev->n_cand + 1, sizeof *ev->identity);
	for (int k = 0; ev->identity && k <= ev->n_cand; k++)
		ev->identity[k] = (uint32_t)k;
	if (!ev->identity || !room_for_ranks(ev, t, false) || !room_against_truth(ev, t) || !room_for_sorted(ev, t)
		|| !room_for_sums(ev, t))
		return false;
	free(t->hits); /* it agrees with itself everywhere */
	t->hits = ev->identity;
	t->hits_stride = 0;
	t->best = t->mass;
	return true;
}

static bool room_for(struct evaluation *ev, int m)
{
	struct method_tables *t = &ev->table[m];
	enum method_kind kind = ev->method[m].method->kind;
	if (!ev->method[m].available)
		return true;
	if (kind == METHOD_ORACLE) {
		*t = ev->oracle; /* borrowed */
		return true;
	}
	if (!room_for_ranks(ev, t, kind == METHOD_RECENCY) || (ev->truth && !room_against_truth(ev, t)))
		return false;
	if (kind == METHOD_MAP && !room_for_sums(ev, t))
		return false;
	if ((kind == METHOD_MAP || kind == METHOD_CEILING) && !room_for_sorted(ev, t))
		return false;
	t->best = ev->oracle.mass;
	if (kind != METHOD_CEILING)
		return true;
	size_t n_row = (size_t)ev->capture->n_layer * (size_t)ev->n_unit;
	if (!rows_of(&t->own_best, n_row, (size_t)ev->n_cand + 1, sizeof *t->own_best))
		return false;
	t->best = t->own_best;
	return true;
}

static int describe_jobs(struct evaluation *ev, struct err *e)
{
	struct scoring plain = {.group = ev->protocol.score.group == REDUCE_NONE ? REDUCE_NONE : REDUCE_MEAN};
	int window = ev->protocol.select.window;
	ev->oracle.job = (struct score_job){.capture = ev->capture, .map = ev->truth, .how = plain, .window = window};
	for (int m = 0; m < ev->n_method; m++) {
		const struct method *method = ev->method[m].method;
		struct score_job *job = &ev->table[m].job;
		if (method->kind == METHOD_ORACLE)
			*job = ev->oracle.job;
		if (!ev->method[m].available || method->kind != METHOD_MAP)
			continue;
		*job = (struct score_job){.capture = ev->capture, .map = capture_find(ev->capture, method->map),
			.how = ev->protocol.score, .window = window, .shared = method->shared || ev->protocol.select.shared};
		job->how.per_visible_rows |= method->per_visible_rows;
		int rc = scoring_prepare(job, e);
		if (rc)
			return rc;
	}
	return 0;
}

static bool room(struct evaluation *ev)
{
	if (ev->truth && !room_for_oracle(ev))
		return false;
	for (int m = 0; m < ev->n_method; m++)
		if (!room_for(ev, m))
			return false;
	return true;
}

/* ---- opening ---- */

/* Truth is there when there are response rows behind it. */
static void find_truth(struct evaluation *ev)
{
	const struct capture *c = ev->capture;
	const struct capture_map *truth = capture_find(c, "truth"), *even = capture_find(c, "truth_even");
	if (!truth || truth->kind != MAP_ROWS || c->n_response < 1)
		return;
	int n_rows = truth->n_rows ? truth->n_rows : c->n_response;
	ev->truth = truth;
	ev->even = even && even->kind == MAP_ROWS ? even : NULL;
	ev->n_even = (n_rows + 1) / 2;
	ev->n_odd = n_rows / 2;
}

static int prepare(struct evaluation *ev, const struct evaluation_options *o, struct err *e)
{
	const struct capture *c = ev->capture;
	int rc = protocol_check(&ev->protocol, e);
	if (rc)
		return rc;
	int protected = selection_protected(&ev->protocol.select, c->n_prompt);
	ev->n_cand = c->n_prompt - protected;
	ev->first = ev->protocol.select.sink < protected ? ev->protocol.select.sink : protected;
	ev->n_unit = scoring_n_unit(c, &ev->protocol.score);
	find_truth(ev);
	rc = add_methods(ev, o, e);
	if (rc)
		return rc;
	if (!room(ev))
		return err_set(e, ERR_MEMORY, "evaluation: out of memory for %d methods x %d layers x %d heads x %d tokens",
			ev->n_method, c->n_layer, ev->n_unit, ev->n_cand);
	return describe_jobs(ev, e);
}

int evaluation_open(struct evaluation **out, const struct capture *c, const struct evaluation_options *o,
	const struct progress *progress, struct err *e)
{
	*out = NULL;
	struct evaluation *ev = calloc(1, sizeof *ev);
	if (!ev)
		return err_set(e, ERR_MEMORY, "evaluation: out of memory");
	ev->capture = capture_ref(c);
	ev->protocol = o->preset ? o->preset->protocol : o->protocol;
	ev->seed = o->seed;
	int rc = prepare(ev, o, e);
	if (!rc)
		rc = evaluation_fill(ev, o->n_threads, progress, e);
	if (!rc)
		rc = capture_intact(c, e);
	if (rc) {
		evaluation_close(ev);
		return rc;
	}
	*out = ev;
	return 0;
}

static void free_tables(struct method_tables *t)
{
	free(t->order);
	free(t->rank);
	free(t->hits);
	free(t->mass);
	free(t->own_best);
	free(t->sorted);
	free(t->spearman);
	free(t->area);
	free(t->kl);
	free(t->row_sum);
}

void evaluation_close(struct evaluation *ev)
{
	if (!ev)
		return;
	for (int m = 0; m < ev->n_method; m++)
		if (ev->method[m].method->kind != METHOD_ORACLE) /* its tables are borrowed */
			free_tables(&ev->table[m]);
	if (ev->oracle.hits == ev->identity)
		ev->oracle.hits = NULL;
	free_tables(&ev->oracle);
	free(ev->identity);
	free(ev->method);
	free(ev->table);
	free(ev->made);
	capture_unref(ev->capture);
	free(ev);
}
