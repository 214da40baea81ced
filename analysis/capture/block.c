/* Counted memory that captures share. */
#include "analysis/capture/box.h"

#include <stdlib.h>
#include <string.h>

struct heap_block {
	struct block b;
	_Alignas(64) unsigned char bytes[];
};

static void heap_release(struct block *b)
{
	free(b);
}

static struct heap_block *heap_block_new(size_t n_bytes)
{
	if (n_bytes > SIZE_MAX - sizeof(struct heap_block) - 63)
		return NULL;
	/* aligned_alloc wants a multiple of the alignment */
	struct heap_block *h = aligned_alloc(64, (sizeof *h + n_bytes + 63) / 64 * 64);
	if (!h)
		return NULL;
	h->b = (struct block){.data = h->bytes, .n_bytes = n_bytes, .release = heap_release};
	atomic_init(&h->b.refs, 1);
	return h;
}

struct block *block_copy(const void *data, size_t n_bytes)
{
	struct heap_block *h = heap_block_new(n_bytes);
	if (!h)
		return NULL;
	if (n_bytes)
		memcpy(h->bytes, data, n_bytes);
	return &h->b;
}

struct block *block_zero(size_t n_bytes)
{
	struct heap_block *h = heap_block_new(n_bytes);
	if (!h)
		return NULL;
	memset(h->bytes, 0, n_bytes);
	return &h->b;
}

struct block *block_ref(struct block *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void block_unref(struct block *b)
{
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		b->release(b);
}

bool block_holds(const struct block *b, const void *data, size_t n_bytes)
{
	uintptr_t begin = (uintptr_t)b->data, at = (uintptr_t)data;
	return at >= begin && at - begin <= b->n_bytes && n_bytes <= b->n_bytes - (at - begin);
}

bool share_holds(const struct share *s, const void *data, size_t n_bytes)
{
	for (int i = 0; s && i < s->n_block; i++)
		if (block_holds(s->block[i], data, n_bytes))
			return true;
	return false;
}
