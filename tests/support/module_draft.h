/* Files of lookahead modules under construction: tensors of random values that every stored type keeps exactly. */
#ifndef KVGLASS_TESTS_MODULE_DRAFT_H
#define KVGLASS_TESTS_MODULE_DRAFT_H

#include <stdbool.h>

#include "engine/lookahead/parts.h"
#include "engine/safetensors.h"

enum { DRAFT_RANK = 3, DRAFT_ROWS = 5 };
/* A base model of 2 layers: 6 wide, 4 query heads of 2, 2 KV heads, feed-forward 10. */
extern const struct module_shape draft_shape;

struct draft { /* zeroed but for the seed: empty */
	struct st_tensor tensor[64];
	char name[64][96];
	int n;
	uint64_t seed;
	enum st_dtype dtype; /* of what is added from now on: ST_F32, ST_F16 or ST_BF16; ST_F64 (0) is taken as F32 */
};
void draft_add(struct draft *d, const char *name, int rows, int columns);
void draft_add_scalar(struct draft *d, const char *name, float value);
/* A and B of a projection, their names made of `before` and a, b; turned: both transposed. */
void draft_add_pair(struct draft *d, const char *before, const char *a, const char *b, int proj, bool turned);
void draft_add_whole(struct draft *d); /* written names; the last layer with q and k alone */
void draft_drop(struct draft *d);
/* Written to path and dropped. */
void draft_write(struct draft *d, const char *path, const struct st_pair *meta, int n_meta);

#endif
