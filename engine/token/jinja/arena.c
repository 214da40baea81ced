#include "engine/token/jinja/arena.h"

#include <stdlib.h>

enum { BLOCK_BYTES = 1 << 14 };

struct arena_block {
	struct arena_block *older;
	size_t used, size;
	max_align_t data[];
};

void *arena_take(struct arena *a, size_t n)
{
	if (n > a->limit - a->used)
		return NULL;
	n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!a->block || n > a->block->size - a->block->used) {
		size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
		struct arena_block *block = calloc(1, sizeof *block + size);
		if (!block)
			return NULL;
		block->older = a->block;
		block->size = size;
		a->block = block;
	}
	void *taken = (char *)a->block->data + a->block->used;
	a->block->used += n;
	a->used = n > a->limit - a->used ? a->limit : a->used + n;
	return taken;
}

void arena_free(struct arena *a)
{
	while (a->block) {
		struct arena_block *older = a->block->older;
		free(a->block);
		a->block = older;
	}
	a->used = 0;
}
