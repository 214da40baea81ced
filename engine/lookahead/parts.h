/* What the parts of engine/lookahead share.
 *
 *     names.c      what a tensor's name says
 *     settings.c   what metadata and PEFT's adapter_config.json say: rank, alpha
 *     match.c      names, shapes and the model together: which tensor goes where
 *     load.c       file and settings -> struct lookahead
 *     save.c, untrained.c, report.c
 */
#ifndef KVGLASS_ENGINE_LOOKAHEAD_PARTS_H
#define KVGLASS_ENGINE_LOOKAHEAD_PARTS_H

#include "engine/lookahead.h"
#include "engine/safetensors.h"

/* ---- names --------------------------------------------------------------------------------------------------- */

enum role { ROLE_NONE, ROLE_A, ROLE_B, ROLE_ALPHA }; /* none: the name does not say; alpha: a scalar beside a pair */

struct name_facts {
	int layer;      /* -1: no layer number */
	int proj;       /* -1: no projection word */
	enum role role;
	const char *doubt; /* why the name has two meanings; NULL: it has one */
};
void name_read(const char *name, struct name_facts *out);

/* ---- settings ------------------------------------------------------------------------------------------------ */

struct settings_exception { /* of one projection, in one layer or (-1) in all */
	int layer, proj;
	bool has_alpha;
	float alpha;
	int r; /* 0: not said */
};

struct module_settings { /* what is said beside the tensors; zeroed: nothing */
	int r;          /* 0: not said */
	bool has_alpha;
	float alpha;
	bool by_root;   /* the scale is alpha / sqrt(r) (rsLoRA), not alpha / r */
	struct settings_exception *exception;
	int n_exception;
	char *base_name;
};
/* The file's own words win over what s says already. */
int settings_from_meta(struct module_settings *s, const struct st_file *f, const char *path, struct err *e);
/* PEFT's adapter_config.json in the module's folder, if there is one; on failure s is empty. */
int settings_beside(struct module_settings *s, const char *module_path, struct err *e);
void settings_free(struct module_settings *s); /* safe on a zeroed struct */
float settings_scale(const struct module_settings *s, float alpha, int r);
int settings_rank(const struct module_settings *s, int layer, int proj); /* 0: not said */
int settings_count(const char *text, const char *key, int limit, int *out, const char *path, struct err *e);

/* ---- shapes -------------------------------------------------------------------------------------------------- */

struct module_shape { /* what tensors must fit; 0 where nothing is known yet */
	int n_layer, n_embd;
	int n_in[N_PROJ], n_out[N_PROJ];
};
void module_shape_of(struct module_shape *out, const struct model_info *i);

struct match { /* one tensor's place */
	const struct st_tensor *tensor;
	int layer, proj; /* -1: the embedding */
	enum role role;
	int rows, columns; /* as they are to be in memory */
	bool transposed;   /* the file has (columns, rows) */
};

struct matches {
	struct match *match; /* (n), sorted by layer, projection, role */
	int n;
	int r;                 /* the settings', else the largest found; 0: no LoRA in the file */
	struct module_shape shape; /* with what the file adds, when no model was given */
};

int match_tensors(struct matches *out, const struct st_file *file, const struct module_shape *known, const struct module_settings *s,
	const char *path, struct err *e);

/* ---- the object ------------------------------------------------------------------------------------------------ */

/* With room for n_layer layers and no arrays yet. */
int lookahead_new(struct lookahead **out, int n_lookahead, int n_embd, int n_layer, struct err *e);
struct lora *lora_at(const struct lookahead *l, int layer, int proj);
void lookahead_count(struct lookahead *l); /* sets n_param */

struct load_source {
	const struct st_file *file;
	const struct module_shape *known;     /* NULL: no model */
	const struct module_settings *beside; /* NULL: no adapter_config.json */
	float alpha;                          /* asked for, wins over every file; 0: not */
	const char *path;
};
/* Pure over the parsed files: everything of loading but opening, hashing and base check. */
int lookahead_from_file(struct lookahead **out, const struct load_source *source, struct err *e);

#endif
