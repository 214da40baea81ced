/* The trained parameters as one vector, so that optimiser, clipping and checkpoints are loops over floats.
 *
 * Order: soft tokens (T, n_embd), then for every layer and projection that is trained A (r, n_in) and B (n_out, r). Inside the vector the
 * rows of B of q and k are in the model's own order (model.h, rope_pairs); `struct lookahead` and files have Hugging Face order.
 */
#ifndef KVGLASS_ENGINE_TRAIN_PARAMETERS_H
#define KVGLASS_ENGINE_TRAIN_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/lookahead.h"
#include "engine/model/model.h"

#define NO_PARAMETER SIZE_MAX

struct adapter_place {
	size_t a, b; /* offsets; NO_PARAMETER: no adapter here */
};
struct parameters {
	int n_lookahead, n_embd, n_layer, r;
	float scale; /* alpha / r */
	struct adapter_place *place; /* (n_layer, N_PROJ) */
	size_t n;
	float *value; /* (n) */
};

/* targets: bits 1 << PROJ_*. The last layer holds q and k only: nothing else there can reach a score. */
int parameters_new(struct parameters *out, const struct model *m, const struct lookahead *start, unsigned targets, struct err *e);
void parameters_free(struct parameters *p);
/* n when every projection is trained that can be. */
size_t parameters_count(const struct model *m, int n_lookahead, int r);

/* Which tensor a vector like the values is not finite in, first of all those: "layer 3, up, B", "the soft tokens". Layers are searched from the
 * last one, where a backward pass begins. */
void parameters_find_bad(const struct parameters *p, const float *vector, char *out, size_t n_out);

/* A module that can be saved or run: copies, Hugging Face order. */
int parameters_export(const struct parameters *p, const struct model *m, struct lookahead **out, struct err *e);

#endif
