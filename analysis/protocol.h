/* The switches of an eviction method and the published settings by name.
 *
 * Two things are kept apart. A `scoring` turns maps into one score per KV head and candidate. A `selection` turns
 * scores and a budget into kept tokens. kvglass compares all methods under one protocol
 * (protocol_default()); papers' own settings are presets that state every switch.
 */
#ifndef KVGLASS_ANALYSIS_PROTOCOL_H
#define KVGLASS_ANALYSIS_PROTOCOL_H

#include <stdbool.h>

#include "analysis/capture.h"
#include "engine/err.h"

#define PROTOCOL_KERNEL_MAX 1023

enum reduce { REDUCE_MEAN, REDUCE_MAX, REDUCE_SUM, REDUCE_NONE };
enum pool { POOL_NONE, POOL_AVG, POOL_MAX };
enum value_weight { WEIGHT_NONE, WEIGHT_L2, WEIGHT_L1_WO, WEIGHT_L2_WO };
enum layer_alloc { LAYER_UNIFORM, LAYER_PYRAMID_INT, LAYER_PYRAMID_FLOAT };
enum head_alloc { HEAD_UNIFORM, HEAD_ADA_BLEND, HEAD_ADA_SAFEGUARD };

struct scoring {
	enum reduce group;       /* query heads of a group -> KV head; NONE: every query head chooses for itself */
	bool pool_before_group;  /* kvpress order; the same for avg, different for max */
	enum pool pool;
	int kernel;              /* odd; used when pool is not NONE */
	bool per_visible_rows;   /* divide column j by the rows that can see it, n - j (observed attention) */
	enum value_weight value; /* multiply by a value norm, from score.value_l2 / value_l1_wo / value_l2_wo */
	bool cut_window;         /* pool the candidates j < n - window only (SnapKV), not the whole row */
};

struct selection {
	int sink;               /* first positions always kept */
	int window;             /* last positions always kept */
	bool window_in_budget;  /* the budget counts sinks and window */
	enum layer_alloc layer;
	int pyramid_beta;       /* 20 */
	enum head_alloc head;
	double ada_floor;       /* a or alpha of Ada-KV, 0 .. 1 */
	bool ada_normalize;     /* blend: weigh a head's scores by the share of its best ones */
	bool shared;            /* one set for all heads of a layer (TOVA) */
	int full_layers;        /* layers below this one keep everything */
};

struct protocol {
	struct scoring score;
	struct selection select;
};

/* sink 4, window 32, group mean, no pooling, uniform. */
struct protocol protocol_default(void);
/* ERR_USE that names the switch, its value and what is allowed: even kernels, negative counts, shares outside 0 ..
 * 1, ... */
int protocol_check(const struct protocol *p, struct err *e);
/* Every switch in one line, for help, tables and figures. Returns what snprintf would. */
int protocol_describe(const struct protocol *p, char *out, size_t n_bytes);
/* "none", "avg", "max" */
const char *pool_name(enum pool pool);

struct preset {
	const char *name;    /* "snapkv-paper", "snapkv-factory", "snapkv-kvpress", "lookaheadkv", ... */
	const char *map;     /* what it scores from: "snapkv_w64", "lookahead", ... (see preset_map); NULL: recency */
	int window_rows;     /* query rows that map needs at the prompt's end; 0: not a window method */
	struct protocol protocol;
	const char *source;  /* paper or repository and file */
	const char *note;    /* what differs from the others, in one line */
};
const struct preset *preset_list(int *n);
const struct preset *preset_find(const char *name); /* NULL: unknown */
/* The map of c that a preset scores from: for SnapKV's, whichever was measured over the preset's number of rows.
 * NULL: c has none. */
const char *preset_map(const struct preset *p, const struct capture *c);

/* ---- methods under the common protocol ---- */

enum method_kind {
	METHOD_MAP,     /* from rows.<map> or score.<map> of the capture */
	METHOD_ORACLE,  /* truth itself */
	METHOD_CEILING, /* truth of the odd rows, judged against truth of the even rows */
	METHOD_RANDOM,  /* a seeded permutation in every KV head */
	METHOD_RECENCY, /* the newest candidates first (StreamingLLM: sinks + last) */
};

struct method {
	const char *name;  /* key in JSON and on the command line */
	const char *label; /* on screens and figures: "SnapKV", "LookaheadKV", "untrained", ... */
	enum method_kind kind;
	const char *map;
	const char *source; /* paper, equation */
	bool per_visible_rows;
	bool shared;
	bool on_request; /* offered only when named: SnapKV with other windows */
};
/* Every method the program knows, in display order: truth's oracle, snapkv, lookahead, untrained, random, recency,
 * keynorm, h2o, observed, tova, ceiling. A map the table does not know is offered under its own name (methods_of). */
const struct method *method_list(int *n);
const struct method *method_find(const char *name);

#endif
