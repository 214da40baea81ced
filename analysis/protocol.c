#include "analysis/protocol.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

struct protocol protocol_default(void)
{
	return (struct protocol){
		.score = {.group = REDUCE_MEAN, .pool = POOL_NONE, .kernel = 7, .cut_window = true},
		.select = {.sink = 4, .window = 32, .window_in_budget = true, .pyramid_beta = 20, .ada_floor = 0.2,
			.ada_normalize = true},
	};
}

/* ---- checks and words ---- */

int protocol_check(const struct protocol *p, struct err *e)
{
	const struct {
		const char *name;
		int value, least, most;
	} number[] = {
		{"sink", p->select.sink, 0, INT_MAX},
		{"window", p->select.window, 0, INT_MAX},
		{"pyramid beta", p->select.pyramid_beta, 1, INT_MAX},
		{"full layers", p->select.full_layers, 0, INT_MAX},
		{"group reduction", (int)p->score.group, REDUCE_MEAN, REDUCE_NONE},
		{"pool", (int)p->score.pool, POOL_NONE, POOL_MAX},
		{"value weight", (int)p->score.value, WEIGHT_NONE, WEIGHT_L2_WO},
		{"layer allocation", (int)p->select.layer, LAYER_UNIFORM, LAYER_PYRAMID_FLOAT},
		{"head allocation", (int)p->select.head, HEAD_UNIFORM, HEAD_ADA_SAFEGUARD},
	};
	for (size_t i = 0; i < sizeof number / sizeof *number; i++)
		if (number[i].value < number[i].least || number[i].value > number[i].most)
			return err_set(e, ERR_USE, "%s is %d, allowed are %d to %d", number[i].name, number[i].value,
				number[i].least, number[i].most);
	if (p->score.pool != POOL_NONE && (p->score.kernel < 1 || p->score.kernel % 2 == 0
		|| p->score.kernel > PROTOCOL_KERNEL_MAX))
		return err_set(e, ERR_USE, "pooling kernel is %d, allowed are odd numbers from 1 to %d", p->score.kernel,
			PROTOCOL_KERNEL_MAX);
	if (!(p->select.ada_floor >= 0 && p->select.ada_floor <= 1))
		return err_set(e, ERR_USE, "Ada-KV's floor is %g, allowed are 0 to 1", p->select.ada_floor);
	return 0;
}

const char *pool_name(enum pool pool)
{
	static const char *const word[] = {[POOL_NONE] = "none", [POOL_AVG] = "avg", [POOL_MAX] = "max"};
	return word[pool];
}

int protocol_describe(const struct protocol *p, char *out, size_t n_bytes)
{
	static const char *const group[] = {[REDUCE_MEAN] = "group mean", [REDUCE_MAX] = "group max",
		[REDUCE_SUM] = "group sum", [REDUCE_NONE] = "every query head for itself"};
	static const char *const value[] = {[WEIGHT_NONE] = "", [WEIGHT_L2] = ", times |V|2",
		[WEIGHT_L1_WO] = ", times |V Wo|1", [WEIGHT_L2_WO] = ", times |V Wo|2"};
	static const char *const layer[] = {[LAYER_UNIFORM] = "uniform layers", [LAYER_PYRAMID_INT] = "pyramid (floored)",
		[LAYER_PYRAMID_FLOAT] = "pyramid (rounded)"};
	static const char *const head[] = {[HEAD_UNIFORM] = "uniform heads", [HEAD_ADA_BLEND] = "Ada blend",
		[HEAD_ADA_SAFEGUARD] = "Ada safeguard"};
	char pool[64] = "no pool", share[64] = "", whole[64] = "";
	const struct scoring *s = &p->score;
	const struct selection *c = &p->select;
	if (s->pool != POOL_NONE)
		snprintf(pool, sizeof pool, "%s pool %d%s%s", pool_name(s->pool), s->kernel,
			s->group == REDUCE_NONE ? "" : s->pool_before_group ? " before the group" : " after the group",
			s->cut_window ? "" : ", window included");
	if (c->head != HEAD_UNIFORM)
		snprintf(share, sizeof share, " (floor %g%s)", c->ada_floor,
			c->head == HEAD_ADA_BLEND && c->ada_normalize ? ", normalised" : "");
	if (c->full_layers)
		snprintf(whole, sizeof whole, ", first %d layers whole", c->full_layers);
	return snprintf(out, n_bytes, "%s, %s%s%s; sinks %d, window %d %s the budget, %s, %s%s%s%s", group[s->group],
		pool, s->per_visible_rows ? ", per visible row" : "", value[s->value], c->sink, c->window,
		c->window_in_budget ? "inside" : "outside", layer[c->layer], head[c->head], share,
		c->shared ? ", one set for all heads" : "", whole);
}

/* ---- methods ---- */

static const struct method methods[] = {
	{.name = "oracle", .label = "truth", .kind = METHOD_ORACLE, .map = "truth",
		.source = "the response's own attention (LookaheadKV, arXiv 2603.10899, s_GT)"},
	{.name = "snapkv", .label = "SnapKV", .kind = METHOD_MAP, .map = "snapkv", .source = "arXiv 2404.14469"},
	{.name = "lookahead", .label = "LookaheadKV", .kind = METHOD_MAP, .map = "lookahead", .source = "arXiv 2603.10899"},
	{.name = "untrained", .label = "untrained", .kind = METHOD_MAP, .map = "untrained",
		.source = "control: random soft tokens, adapters without effect"},
	{.name = "random", .label = "random", .kind = METHOD_RANDOM, .source = "control: a seeded permutation in every head"},
	{.name = "recency", .label = "recency", .kind = METHOD_RECENCY,
		.source = "StreamingLLM, arXiv 2309.17453: sinks and newest"},
	{.name = "keynorm", .label = "key norm", .kind = METHOD_MAP, .map = "keynorm",
		.source = "arXiv 2406.11430: small keys first"},
	{.name = "h2o", .label = "H2O", .kind = METHOD_MAP, .map = "h2o",
		.source = "arXiv 2306.14048: column sums over all prompt rows"},
	{.name = "observed", .label = "observed", .kind = METHOD_MAP, .map = "h2o", .per_visible_rows = true,
		.source = "kvpress ObservedAttention: column sums per row that sees the column"},
	{.name = "tova", .label = "TOVA", .kind = METHOD_MAP, .map = "tova", .shared = true,
		.source = "arXiv 2401.06104: last row, one set for all heads of a layer"},
	{.name = "ceiling", .label = "ceiling", .kind = METHOD_CEILING, .map = "truth_even",
		.source = "truth of the odd response rows against truth of the even ones"},
	{.name = "snapkv_w8", .label = "SnapKV w8", .kind = METHOD_MAP, .map = "snapkv_w8",
		.source = "arXiv 2404.14469", .on_request = true},
	{.name = "snapkv_w64", .label = "SnapKV w64", .kind = METHOD_MAP, .map = "snapkv_w64",
		.source = "arXiv 2404.14469", .on_request = true},
};

const struct method *method_list(int *n)
{
	*n = sizeof methods / sizeof *methods;
	return methods;
}

const struct method *method_find(const char *name)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (!strcmp(methods[i].name, name))
			return &methods[i];
	return NULL;
}
