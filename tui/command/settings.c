#include "tui/command/settings.h"

#include <stdio.h>
#include <string.h>

#include "tui/command/nearest.h"
#include "tui/command/prompt.h"
#include "tui/command/terminal.h"

_Static_assert(REDUCE_MEAN == 0 && REDUCE_MAX == 1 && REDUCE_SUM == 2 && REDUCE_NONE == 3, "order of --group in tui/options.def");
_Static_assert(POOL_NONE == 0 && POOL_AVG == 1 && POOL_MAX == 2, "order of --pool in tui/options.def");

static int unknown_preset(const char *name, struct err *e)
{
	struct nearest near = nearest_begin(name, strlen(name));
	char hint[80], known[300] = "";
	size_t used = 0;
	int n;
	const struct preset *list = preset_list(&n);
	for (int i = 0; i < n; i++) {
		nearest_offer(&near, list[i].name);
		if (used < sizeof known)
			used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", list[i].name);
	}
	nearest_hint(&near, "", hint, sizeof hint);
	return err_set(e, ERR_USE, "--preset %.60s: not one of %s%s", name, known, hint);
}

int settings_check(const struct options *o, struct err *e)
{
	if (o->kernel % 2 == 0)
		return err_set(e, ERR_USE, "--kernel %d: must be odd", (int)o->kernel);
	if (o->preset && !preset_find(o->preset))
		return unknown_preset(o->preset, e);
	const struct protocol p = settings_protocol(o);
	return protocol_check(&p, e);
}

/* A preset states every switch: one of the command line is not changed by what a file says besides. */
static bool counts(const struct options *o, enum option_id id)
{
	return o->given[id] || (o->configured[id] && !GIVEN(o, preset));
}

struct protocol settings_protocol(const struct options *o)
{
	struct protocol p = o->preset ? preset_find(o->preset)->protocol : protocol_default();
	if (counts(o, OPT_sink))
		p.select.sink = (int)o->sink;
	if (counts(o, OPT_window))
		p.select.window = (int)o->window;
	if (counts(o, OPT_pool))
		p.score.pool = (enum pool)o->pool;
	if (counts(o, OPT_kernel))
		p.score.kernel = (int)o->kernel;
	if (counts(o, OPT_group))
		p.score.group = (enum reduce)o->group;
	return p;
}

const struct preset *settings_preset(const char *name, const struct protocol *protocol, struct preset *room)
{
	if (!name)
		return NULL;
	*room = *preset_find(name);
	room->protocol = *protocol;
	return room;
}

/* Every known method but those that take all prompt rows to measure, and the map that the preset scores from. */
static int name_methods(const struct preset *preset, const char *names[SETTINGS_MAX_METHODS])
{
	int n_known, n = 0;
	const struct method *known = method_list(&n_known);
	for (int i = 0; i < n_known && n < SETTINGS_MAX_METHODS - 1; i++)
		if (!known[i].map || strcmp(known[i].map, "h2o"))
			names[n++] = known[i].name;
	if (preset->map)
		names[n++] = preset->map;
	return n;
}

struct measure_options settings_measure(const struct options *o, const char *names[SETTINGS_MAX_METHODS])
{
	const struct preset *preset = o->preset ? preset_find(o->preset) : NULL;
	struct measure_options m = {
		.mode = prompt_mode_of(o),
		.window = (int)o->window,
		.n_response = (int)o->tokens,
		.temperature = (float)o->temperature,
		.seed = (uint64_t)o->seed,
		.method = (const char *const *)o->methods.item,
		.n_method = o->methods.n,
		.n_threads = (int)o->threads,
	};
	if (preset && !o->methods.n) {
		m.n_method = name_methods(preset, names);
		m.method = names;
	}
	return m;
}

struct compare_options settings_compare(const struct options *o, struct preset *room)
{
	struct compare_options c = {
		.eval = {
			.protocol = settings_protocol(o),
			.seed = (uint64_t)o->seed,
			.method = (const char *const *)o->methods.item,
			.n_method = o->methods.n,
			.n_threads = (int)o->threads,
		},
		.budget = o->budgets.item,
		.n_budget = o->budgets.n,
		.per_head = o->per_head,
		.regions = o->regions,
	};
	c.eval.preset = settings_preset(o->preset, &c.eval.protocol, room);
	return c;
}

struct lookahead_load_options settings_load(const struct options *o)
{
	return (struct lookahead_load_options){
		.alpha = GIVEN(o, alpha) ? (float)o->alpha : 0,
		.ignore_base_hash = o->any_base,
	};
}

int settings_projections(unsigned *out, const struct option_texts *names, const char *option, struct err *e)
{
	*out = 0;
	for (int i = 0; i < names->n; i++) {
		int proj = 0;
		while (proj < N_PROJ && strcmp(projection_name(proj), names->item[i]))
			proj++;
		if (proj == N_PROJ)
			return err_set(e, ERR_USE, "%s %.40s: not one of q, k, v, o, gate, up, down", option, names->item[i]);
		*out |= 1u << proj;
	}
	return 0;
}

int settings_capture(const struct capture **out, const char *path, const struct options *o, struct err *e)
{
	char why[256];
	int rc = capture_open(out, path, e);
	for (int i = 0; !rc && capture_set_aside(*out, i, why, sizeof why); i++)
		remark(o, "%s: %s: left out", path, why);
	return rc;
}

int settings_modules_named(struct lookahead **out, const struct model *m, const char *name, const struct options *o, struct err *e)
{
	enum { N_LOOKAHEAD = 32 }; /* soft tokens of LookaheadKV; the control has as many */
	*out = NULL;
	if (!name)
		return 0;
	if (!strcmp(name, "untrained"))
		return lookahead_untrained(out, m, N_LOOKAHEAD, 0, 0, (uint64_t)o->seed, e);
	const struct lookahead_load_options load = settings_load(o);
	return lookahead_load(out, m, name, &load, e);
}

int settings_modules(struct lookahead **out, const struct model *m, const struct options *o, struct err *e)
{
	return settings_modules_named(out, m, o->modules, o, e);
}
