/* Memory that is given back all at once: for trees whose parts live exactly as long as the whole. */
#ifndef KVGLASS_ENGINE_TOKEN_ARENA_H
#define KVGLASS_ENGINE_TOKEN_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_block *block; /* newest first */
	size_t limit, used;        /* bytes */
};
/* n zeroed bytes, aligned for anything; NULL past the limit or when memory is out. */
void *arena_take(struct arena *a, size_t n);
void arena_free(struct arena *a);

#endif
