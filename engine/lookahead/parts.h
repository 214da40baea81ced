/* What the parts of engine/lookahead share.
 *
 *     names.c      what a tensor's name says
 *     match.c      names, shapes and the model together: which tensor goes where
 *     load.c       file and metadata -> struct lookahead
 *     save.c, untrained.c, report.c
 */
#ifndef KVGLASS_ENGINE_LOOKAHEAD_PARTS_H
#define KVGLASS_ENGINE_LOOKAHEAD_PARTS_H

#include "engine/lookahead.h"
#include "engine/safetensors.h"

/* ---- names --------------------------------------------------------------------------------------------------- */

enum role { ROLE_NONE, ROLE_A, ROLE_B }; /* none: the name does not say */

struct name_facts {
	int layer;      /* -1: no layer number */
	int proj;       /* -1: no projection word */
	enum role role;
	const char *doubt; /* why the name has two meanings; NULL: it has one */
};
void name_read(const char *name, struct name_facts *out);

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
	int r;                 /* 0: no LoRA in the file */
	struct module_shape shape; /* with what the file adds, when no model was given */
};

/* r: from metadata, 0 when it does not say. */
int match_tensors(struct matches *out, const struct st_file *file, const struct module_shape *known, int r, const char *path,
	struct err *e);

/* ---- the object ------------------------------------------------------------------------------------------------ */

/* With room for n_layer layers and no arrays yet. */
int lookahead_new(struct lookahead **out, int n_lookahead, int n_embd, int n_layer, struct err *e);
struct lora *lora_at(const struct lookahead *l, int layer, int proj);
void lookahead_count(struct lookahead *l); /* sets n_param */

/* Pure over the parsed file: everything of loading but opening, hashing and base check. known NULL: no model. */
int lookahead_from_file(struct lookahead **out, const struct st_file *file, const struct module_shape *known, float alpha,
	const char *path, struct err *e);

#endif
