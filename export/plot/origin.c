#include "export/plot/origin.h"

#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

struct collector {
	struct provenance *out;
	bool anonymous;
	int rc;
	struct err *e;
};

static void add(struct collector *k, const char *name, const char *value)
{
	if (!k->rc)
		k->rc = provenance_add(k->out, name, value, k->e);
}

static void add_int(struct collector *k, const char *name, long long value)
{
	char text[32];
	snprintf(text, sizeof text, "%lld", value);
	add(k, name, text);
}

/* Names from the capture: a model's or a module's name may be a path. */
static void add_name(struct collector *k, const char *name, const char *value)
{
	const char *slash = value && k->anonymous ? strrchr(value, '/') : NULL;
	add(k, name, slash && slash[1] ? slash + 1 : value);
}

static void add_command(struct collector *k, const struct figure_spec *spec)
{
	if (!spec->command || k->rc)
		return;
	char *kept = shell_to_keep(spec->command, k->anonymous);
	if (kept)
		add(k, "command", kept);
	else
		k->rc = err_set(k->e, ERR_MEMORY, "figure: out of memory");
	free(kept);
}

static void add_protocol(struct collector *k, const struct protocol *p)
{
	static const char *const groups[] = {[REDUCE_MEAN] = "mean over the query heads of a KV head",
		[REDUCE_MAX] = "max over the query heads of a KV head",
		[REDUCE_SUM] = "sum over the query heads of a KV head",
		[REDUCE_NONE] = "none, every query head for itself"};
	add_int(k, "sink", p->select.sink);
	add_int(k, "window", p->select.window);
	add(k, "pool", pool_name(p->score.pool));
	if (p->score.pool != POOL_NONE)
		add_int(k, "kernel", p->score.kernel);
	add(k, "gqa", groups[p->score.group]);
	char all[400];
	protocol_describe(p, all, sizeof all);
	add(k, "protocol", all);
}

int origin_collect(struct provenance *out, const struct evaluation *ev, const struct figure_spec *spec, struct err *e)
{
	static const char *const kinds[] = {
		[FIGURE_HEATMAP] = "heatmap", [FIGURE_OVERLAY] = "overlay", [FIGURE_CURVES] = "curves",
		[FIGURE_GRID] = "heads"};
	static const char *const names[] = {"model_name", "module_name"};
	static const char *const facts[] = {
		"model_sha256", "module_sha256", "arch", "prompt_mode", "response_source", "precision", "device"};
	const struct capture *c = evaluation_capture(ev);
	struct collector k = {.out = out, .anonymous = spec->anonymous, .e = e};
	char prompt[65];
	sha256_hex(c->text + c->offset[0], (size_t)(c->offset[c->n_prompt] - c->offset[0]), prompt);
	add(&k, "figure", kinds[spec->kind]);
	add_command(&k, spec);
	add(&k, "capture_sha256", capture_sha256(c));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		add_name(&k, names[i], capture_meta(c, names[i]));
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		add(&k, facts[i], capture_meta(c, facts[i]));
	add(&k, "prompt_sha256", prompt);
	add_int(&k, "n_prompt", c->n_prompt);
	add_int(&k, "n_response", c->n_response);
	if (c->window > 0)
		add_int(&k, "window_rows", c->window);
	add_protocol(&k, evaluation_protocol(ev));
	add_int(&k, "budget", spec->budget);
	add_int(&k, "seed", (long long)evaluation_seed(ev));
	return k.rc;
}

int origin_collect_log(struct provenance *out, const struct training_log *log, const struct figure_spec *spec, struct err *e)
{
	struct collector k = {.out = out, .anonymous = spec->anonymous, .e = e};
	add(&k, "figure", "training");
	add_command(&k, spec);
	add(&k, "log_sha256", log->sha256);
	add_int(&k, "n_step", log->n_step);
	return k.rc;
}
