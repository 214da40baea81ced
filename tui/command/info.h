/* kvglass info: what is known about one file, gathered once and then printed for people or as JSON. */
#ifndef KVGLASS_TUI_COMMAND_INFO_H
#define KVGLASS_TUI_COMMAND_INFO_H

#include <jansson.h>

#include "analysis/capture.h"
#include "engine/contents.h"
#include "engine/engine.h"
#include "engine/lookahead_report.h"
#include "tui/command/options.h"

enum info_kind { INFO_MODEL, INFO_MODULES, INFO_CAPTURE, INFO_WEIGHTS /* safetensors that are none of these */ };

struct info {
	const char *path;
	enum info_kind kind;
	struct contents *contents;
	struct model *model;           /* INFO_MODEL that can be run; the one of -m for INFO_MODULES; else NULL */
	struct lookahead *modules;     /* INFO_MODULES that can be read, else NULL */
	struct lookahead_report *report; /* of the modules */
	double *weight_norm;           /* (n_layer, N_PROJ) of the model that -m names, or NULL */
	struct err refusal;            /* why a model or modules cannot be used; code 0 otherwise */
	const struct capture *capture; /* INFO_CAPTURE */
	char sha256[65];               /* "": not asked for */
};

extern const char *const info_kind_name[];

/* LoRA pairs of modules, and their rank (0 without any). */
int info_n_adapter(const struct lookahead *l, int *r);

json_t *info_modules_json(const struct info *info);
void info_print_modules(const struct info *info);

int info_print_json(const struct info *info, struct err *e);
void info_print_text(const struct info *info, const struct options *o);
int info_print_devices(bool json, struct err *e);

#endif
