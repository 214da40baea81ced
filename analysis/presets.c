/* Published settings, every switch stated (each row names its source): what a line does not name is off, zero or uniform
 * (protocol_describe spells it out). */
#include "analysis/protocol.h"

#include <string.h>

#define WINDOW(w) .window = (w), .window_in_budget = true, .pyramid_beta = 20
#define SCORE(group_, pool_, kernel_) .group = (group_), .pool = (pool_), .kernel = (kernel_), .cut_window = true

static const struct preset presets[] = {
	{"snapkv-paper", "snapkv_w32", 32, {{SCORE(REDUCE_NONE, POOL_MAX, 7)}, {WINDOW(32)}},
		"FasterDecoding/SnapKV, LongBench configurations",
		"query heads choose for themselves: R times the cache of a KV head"},
	{"snapkv-init", "snapkv_w32", 32, {{SCORE(REDUCE_NONE, POOL_AVG, 5)}, {WINDOW(32)}},
		"FasterDecoding/SnapKV, snapkv_utils.py, empty configuration", "average pooling with kernel 5 instead of max 7"},
	{"snapkv-factory", "snapkv_w8", 8, {{SCORE(REDUCE_NONE, POOL_MAX, 7)}, {WINDOW(8)}},
		"Zefan-Cai/KVCache-Factory, LongBench and RULER runners", "a window of 8 rows"},
	{"snapkv-factory-kv", "snapkv_w8", 8, {{SCORE(REDUCE_MEAN, POOL_MAX, 7)}, {WINDOW(8)}},
		"Zefan-Cai/KVCache-Factory, kv_head mode", "group mean before pooling, one set per KV head"},
	{"snapkv-kvpress", "snapkv_w64", 64, {{SCORE(REDUCE_MEAN, POOL_AVG, 5), .pool_before_group = true}, {WINDOW(64)}},
		"NVIDIA/kvpress, snapkv_press.py", "a window of 64 rows, average pooling, group mean after it"},
	{"snapkv-adakv", "snapkv_w32", 32, {{SCORE(REDUCE_MEAN, POOL_MAX, 7)}, {WINDOW(32)}},
		"FFY0/AdaKV, README, GQA support on", "group mean before max pooling"},
	{"snapkv-rescue", "snapkv_w32", 32, {{SCORE(REDUCE_SUM, POOL_AVG, 7)}, {WINDOW(32)}},
		"malmong/RESCUE", "group sum, average pooling with kernel 7"},
	{"pyramidkv", "snapkv_w8", 8, {{SCORE(REDUCE_NONE, POOL_MAX, 7)}, {WINDOW(8), .layer = LAYER_PYRAMID_INT}},
		"arXiv 2406.02069; KVCache-Factory, pyramidkv_utils.py, runners",
		"lower layers keep more; floored steps miss the budget a little"},
	{"pyramidkv-kvpress", "snapkv_w64", 64,
		{{SCORE(REDUCE_MEAN, POOL_AVG, 5), .pool_before_group = true}, {WINDOW(64), .layer = LAYER_PYRAMID_FLOAT}},
		"NVIDIA/kvpress, pyramidkv_press.py", "uniform unless the smallest layer keeps more than the window"},
	{"adakv", "snapkv_w32", 32,
		{{SCORE(REDUCE_MEAN, POOL_MAX, 7)}, {WINDOW(32), .head = HEAD_ADA_BLEND, .ada_floor = 0.5, .ada_normalize = true}},
		"arXiv 2407.11550; FFY0/AdaKV, README", "heads of a layer compete, half of the budget is dealt out evenly"},
	{"adakv-factory", "snapkv_w32", 32,
		{{SCORE(REDUCE_MEAN, POOL_MAX, 7)}, {WINDOW(32), .head = HEAD_ADA_BLEND, .ada_floor = 0.2, .ada_normalize = true}},
		"Zefan-Cai/KVCache-Factory, initial values", "a fifth is dealt out evenly"},
	{"adakv-kvpress", "snapkv_w64", 64,
		{{SCORE(REDUCE_MEAN, POOL_AVG, 5), .pool_before_group = true},
			{WINDOW(64), .head = HEAD_ADA_SAFEGUARD, .ada_floor = 0.2}},
		"NVIDIA/kvpress, adakv_press.py over SnapKVPress", "each head's best fifth is safe, no re-weighting"},
	{"ada-pyramid", "snapkv_w32", 32,
		{{SCORE(REDUCE_MEAN, POOL_MAX, 7)},
			{WINDOW(32), .layer = LAYER_PYRAMID_INT, .head = HEAD_ADA_BLEND, .ada_floor = 0.5, .ada_normalize = true}},
		"FFY0/AdaKV, Ada-PyramidKV", "the pyramid first, then the heads of each layer compete"},
	{"h2o-factory", "h2o", 0, {{SCORE(REDUCE_NONE, POOL_NONE, 1)}, {WINDOW(8)}},
		"Zefan-Cai/KVCache-Factory, H2O", "all prompt rows, last 8 kept (the original keeps as many recent as heavy ones)"},
	{"observed-kvpress", "h2o", 0, {{SCORE(REDUCE_MEAN, POOL_NONE, 1), .per_visible_rows = true}, {WINDOW(0)}},
		"NVIDIA/kvpress, observed_attention_press.py", "column sums per row that sees the column; nothing protected"},
	{"tova-original", "tova", 1, {{SCORE(REDUCE_MEAN, POOL_NONE, 1)}, {WINDOW(0), .shared = true}},
		"arXiv 2401.06104; schwartz-lab-NLP/TOVA, tova_cache.py",
		"one set for all heads of a layer; the last token is not forced"},
	{"tova-kvpress", "tova", 1, {{SCORE(REDUCE_MEAN, POOL_NONE, 1)}, {WINDOW(1), .shared = true}},
		"NVIDIA/kvpress, tova_press.py", "the last token is forced"},
	{"streamingllm", NULL, 0, {{SCORE(REDUCE_MEAN, POOL_NONE, 1)}, {WINDOW(0), .sink = 4, .shared = true}},
		"arXiv 2309.17453; kvpress streaming_llm_press.py", "first 4 and the newest, keys keep their positions"},
	{"knorm", "keynorm", 0, {{SCORE(REDUCE_MEAN, POOL_NONE, 1)}, {WINDOW(0)}},
		"arXiv 2406.11430; NVIDIA/kvpress, knorm_press.py", "keys of small norm, no attention needed"},
	{"l2norm-factory", "keynorm", 0, {{SCORE(REDUCE_MEAN, POOL_NONE, 1)}, {WINDOW(0), .full_layers = 2}},
		"Zefan-Cai/KVCache-Factory, L2Norm", "layers 0 and 1 keep everything"},
	{"lookaheadkv", "lookahead", 0, {{SCORE(REDUCE_MEAN, POOL_MAX, 7)}, {WINDOW(0)}},
		"arXiv 2603.10899", "nothing forced; the paper leaves the kind of pooling open, max is what third parties pass"},
	{"lookaheadkv-avg", "lookahead", 0, {{SCORE(REDUCE_MEAN, POOL_AVG, 7)}, {WINDOW(0)}},
		"arXiv 2603.10899", "the same with average pooling"},
};

const struct preset *preset_list(int *n)
{
	*n = sizeof presets / sizeof *presets;
	return presets;
}

const struct preset *preset_find(const char *name)
{
	for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
		if (!strcmp(presets[i].name, name))
			return &presets[i];
	return NULL;
}

const char *preset_map(const struct preset *p, const struct capture *c)
{
	if (!p->map)
		return NULL;
	/* the run's own window may have the preset's rows; a file that does not say how many is taken to have the usual 32 */
	const struct capture_map *own = capture_find(c, "snapkv"), *named = capture_find(c, p->map);
	bool window = !strncmp(p->map, "snapkv_w", 8);
	if (window && own && (own->n_rows ? own->n_rows : 32) == p->window_rows)
		return own->name;
	return named ? named->name : NULL;
}
