/* kvglass info: what is known about one file, gathered once and then printed for people or as JSON. */
#ifndef KVGLASS_TUI_COMMAND_INFO_H
#define KVGLASS_TUI_COMMAND_INFO_H

#include "analysis/capture.h"
#include "engine/contents.h"
#include "engine/engine.h"
#include "tui/command/options.h"

enum info_kind { INFO_MODEL, INFO_MODULES, INFO_CAPTURE, INFO_WEIGHTS /* safetensors that are none of these */ };

struct info_modules { /* LookaheadKV modules, as far as names and shapes tell without a model */
	int n_lookahead, n_embd, n_layer, r; /* 0: not told */
	int n_adapter;                       /* LoRA pairs */
	uint64_t n_param;
};

struct info {
	const char *path;
	enum info_kind kind;
	struct contents *contents;
	struct model *model;           /* INFO_MODEL that can be run, else NULL */
	struct err refusal;            /* why it cannot be run; code 0 otherwise */
	const struct capture *capture; /* INFO_CAPTURE */
	struct info_modules modules;   /* INFO_MODULES */
	char sha256[65];               /* "": not asked for */
};

extern const char *const info_kind_name[];

int info_print_json(const struct info *info, struct err *e);
void info_print_text(const struct info *info, const struct options *o);

#endif
