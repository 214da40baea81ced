/* The least work of a stage, to hold its time against what a device can do: operations and bytes that cannot be avoided. */
#ifndef KVGLASS_TUI_WORK_H
#define KVGLASS_TUI_WORK_H

#include "engine/engine.h"

double work_layer_weights(const struct model_info *m); /* elements of the matrices of all layers */
/* n rows behind `before` others: products with the weights, scores and sums over the visible keys, the output matrix on its rows. An
 * addition and a multiplication are two. */
double work_flop(const struct model_info *m, double n, double before, double output_rows);
/* One sweep over the weights, as the model's device holds them, and so much of the KV cache. The embedding itself is not swept, only rows of
 * it are taken, unless it is the output matrix too. */
double work_bytes(const struct model_info *m, double kv_bytes);

#endif
