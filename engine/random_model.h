/* Models of random weights in well-known shapes, for measuring speed and memory without the file.
 *
 * Speed depends on shapes and stored types, not on what a model has learnt. The model is written as a GGUF into memory that has no
 * name on any disk and is opened like every other file, so what is measured is the way a real file goes.
 */
#ifndef KVGLASS_ENGINE_RANDOM_MODEL_H
#define KVGLASS_ENGINE_RANDOM_MODEL_H

#include "engine/engine.h"

/* "smollm2-135m", "llama3-8b", ... NULL past the last. */
const char *random_model_name(int i);

/* Is this a name that random_model_open() knows? ERR_USE with the known ones if not. A name is one of the above, then optionally : and
 * the type of the matrices (f32, f16, bf16, q8_0, q4_0, q4_1; bf16 without it). */
int random_model_check(const char *name, struct err *e);
/* ERR_MEMORY, with the figures, when the weights do not fit. */
int random_model_open(struct model **out, const char *name, const struct model_options *options, const struct progress *progress,
	struct err *e);

#endif
