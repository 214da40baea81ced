/* Encodes float32 rows into every stored type, plainly: round to the nearest level of a scale taken from the block's extremes.
 * Not what a good quantiser does; enough to make files whose unpacked values are close to the input. */
#ifndef KVGLASS_TESTS_QUANTISE_H
#define KVGLASS_TESTS_QUANTISE_H

#include "engine/file/tensor_type.h"

/* n: multiple of the type's block. out: tensor_type_bytes(t, n). */
void quantise(enum tensor_type t, const float *x, size_t n, void *out);

#endif
