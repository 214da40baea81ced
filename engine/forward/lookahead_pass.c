/* The LookaheadKV pass (arXiv 2603.10899): soft tokens behind the prompt, LoRA on their rows alone, their attention measured.
 *
 * Soft tokens run over the finished cache, so prompt rows cannot depend on them; their own keys and values go behind the cache's
 * end, where the next tokens overwrite them.
 */
#include "engine/forward/session.h"

#include <stdlib.h>

#include "engine/lookahead.h"

/* ---- adapters as the products take them ---------------------------------------------------------------------------- */

static const struct lookahead_switches all_on = {.scale = 1};

static int fill_adapter(struct adapter *out, const struct model *m, const struct lora *l, int proj, float scale)
{
	size_t r = (size_t)l->r;
	*out = (struct adapter){.r = l->r, .n_in = l->n_in, .n_out = l->n_out, .a = l->a};
	out->b = malloc(r * (size_t)l->n_out * sizeof *out->b);
	if (!out->b)
		return ERR_MEMORY;
	for (int row = 0; row < l->n_out; row++)
		for (size_t k = 0; k < r; k++)
			out->b[k * (size_t)l->n_out + (size_t)model_stored_row(m, proj, row)] = scale * l->b[(size_t)row * r + k];
	return 0;
}

struct adapter_set { /* of modules under switches */
	uint64_t identity; /* of the modules; 0: not to be used again */
	float scale;
	int n;
	struct adapter *adapter; /* (n_layer, N_PROJ) */
};

void adapter_set_free(struct adapter_set *set)
{
	if (!set)
		return;
	for (int i = 0; set->adapter && i < set->n; i++)
		free(set->adapter[i].b);
	free(set->adapter);
	free(set);
}

static bool is_used(const struct lookahead *modules, const struct lookahead_switches *sw, int layer, int proj)
{
	const struct lora *l = &modules->lora[(size_t)layer * N_PROJ + (size_t)proj];
	bool last = layer == modules->n_layer - 1;
	if (!l->a || !l->b || (sw->layer_on && !sw->layer_on[layer]) || sw->proj_off >> proj & 1)
		return false;
	return !last || proj == PROJ_Q || proj == PROJ_K;
}

static int fill_set(struct adapter_set *set, const struct model *m, const struct lookahead *modules, const struct lookahead_switches *sw,
	struct err *e)
{
	for (int i = 0; i < set->n; i++) {
		const struct lora *l = &modules->lora[i];
		if (!is_used(modules, sw, i / N_PROJ, i % N_PROJ))
			continue;
		if (l->r > ADAPTER_MAX_RANK)
			return err_set(e, ERR_LIMIT, "%s: a LoRA of rank %d, the limit is %d", modules->name, l->r, ADAPTER_MAX_RANK);
		if (fill_adapter(&set->adapter[i], m, l, i % N_PROJ, set->scale))
			return err_set(e, ERR_MEMORY, "no memory for the adapters of %s", modules->name);
	}
	return 0;
}

static int make_set(struct adapter_set **out, const struct model *m, const struct lookahead *modules, const struct lookahead_switches *sw,
	struct err *e)
{
	struct adapter_set *set = calloc(1, sizeof *set);
	if (set) {
		*set = (struct adapter_set){.identity = modules->identity, .scale = modules->scale * sw->scale, .n = modules->n_layer * N_PROJ};
		set->adapter = calloc((size_t)set->n, sizeof *set->adapter);
	}
	int rc = set && set->adapter ? fill_set(set, m, modules, sw, e) : (int)err_set(e, ERR_MEMORY, "no memory for the adapters of %s",
		modules->name);
	if (rc)
		adapter_set_free(set);
	else
		*out = set;
	return rc;
}

static bool is_of(const struct adapter_set *set, const struct lookahead *modules, const struct lookahead_switches *sw)
{
	bool same = set && set->identity && set->identity == modules->identity && !(set->scale != modules->scale * sw->scale);
	for (int i = 0; same && i < set->n; i++)
		same = !set->adapter[i].a == !is_used(modules, sw, i / N_PROJ, i % N_PROJ);
	return same;
}

/* The session's set becomes that of these modules under these switches, unless it is so already. */
static int use_adapters(struct session *s, const struct lookahead *modules, const struct lookahead_switches *sw, struct err *e)
{
	struct adapter_set *set = NULL;
	if (is_of(s->adapters, modules, sw))
		return 0;
	int rc = make_set(&set, s->model, modules, sw, e);
	if (rc)
		return rc;
	rc = s->ops->adapt(s->backend, set->adapter, e);
	adapter_set_free(s->adapters);
	s->adapters = rc ? NULL : set;
	if (rc)
		adapter_set_free(set);
	return rc;
}

/* ---- the pass --------------------------------------------------------------------------------------------------------- */

static int check_modules(const struct session *s, const struct lookahead *modules, int n_rows, struct err *e)
{
	const struct model_info *info = &s->model->info;
	if (modules->n_embd != info->n_embd || modules->n_layer != info->n_layer)
		return err_set(e, ERR_USE, "%s: modules for width %d and %d layers, the model has width %d and %d layers", modules->name,
			modules->n_embd, modules->n_layer, info->n_embd, info->n_layer);
	if (s->length < 1)
		return err_set(e, ERR_USE, "lookahead: the cache is empty, run a prompt first");
	if (n_rows < 1 || n_rows > modules->n_lookahead)
		return err_set(e, ERR_USE, "lookahead: %d rows asked for, %s has %d", n_rows, modules->name, modules->n_lookahead);
	if (n_rows > s->max_tokens - s->length)
		return err_set(e, ERR_LIMIT, "lookahead: %d rows after %d tokens do not fit a session of %d", n_rows, s->length, s->max_tokens);
	return 0;
}

static int run_rows(struct session *s, const struct lookahead_request *r, const struct adapter *adapter, int n_rows, struct err *e)
{
	int chunk = s->ops->max_rows(s->backend);
	struct capture capture = {.first = s->length, .count = n_rows, .step = 1, .n_key = s->length, .sum = r->sum, .per_row = r->per_row,
		.row_error = r->row_error};
	for (int at = 0; at < n_rows; at += chunk) {
		struct pass p = {.position = s->length + at, .n_rows = n_rows - at < chunk ? n_rows - at : chunk,
			.embedding = r->modules->embedding + (size_t)at * (size_t)r->modules->n_embd, .capture = &capture, .n_capture = 1,
			.adapter = adapter, .soft = true, .progress = r->progress, .stage = "lookahead", .rows_before = at, .rows_total = n_rows};
		int rc = forward_pass(s, &p, e);
		if (rc)
			return rc;
	}
	int changed = model_check(s->model, e);
	if (!changed) /* a cancel that comes with the last report comes too late */
		progress_report(r->progress, "lookahead", n_rows, n_rows);
	return changed;
}

int session_lookahead(struct session *s, const struct lookahead_request *r, struct err *e)
{
	const struct lookahead_switches *sw = r->switches ? r->switches : &all_on;
	int n_rows = sw->n_rows ? sw->n_rows : r->modules->n_lookahead;
	int rc = check_modules(s, r->modules, n_rows, e);
	if (!rc && r->modules->lora)
		rc = use_adapters(s, r->modules, sw, e);
	if (rc)
		return rc;
	rc = run_rows(s, r, r->modules->lora ? s->adapters->adapter : NULL, n_rows, e);
	int collected = s->ops->collect(s->backend, rc ? NULL : e);
	return rc ? rc : collected;
}
