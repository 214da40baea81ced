/* How a capture owns what it shows: private to analysis/capture/ and to analysis/measure/, which fills blocks in
 * place.
 *
 * Memory lies in counted blocks, either from the heap or a whole mapped file. A capture holds one count on every
 * block that it points into, so snapshots of one run share what did not change and a large .kvg is never copied.
 */
#ifndef KVGLASS_ANALYSIS_CAPTURE_BOX_H
#define KVGLASS_ANALYSIS_CAPTURE_BOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "analysis/capture.h"
#include "engine/safetensors.h"

struct block {
	atomic_int refs;
	const void *data;
	size_t n_bytes;
	void (*release)(struct block *b); /* frees what it holds and b itself */
	int (*check)(const struct block *b, struct err *e); /* is it still what it was? NULL: nobody else can touch it */
};

/* ---- block.c ---- */
struct block *block_copy(const void *data, size_t n_bytes); /* one count, the caller's; NULL: out of memory */
struct block *block_zero(size_t n_bytes);                    /* the same, zeroed; its maker may write until it is shared */
struct block *block_ref(struct block *b);                    /* one count more, the caller's; b itself */
void block_unref(struct block *b);                           /* NULL is allowed */
bool block_holds(const struct block *b, const void *data, size_t n_bytes); /* does all of data lie in it? */

struct capture_box {
	struct capture c; /* what is handed out; must stay first */
	atomic_int refs;
	struct block **block;
	int n_block;
	struct capture_map *map;   /* c.map; names are owned */
	struct capture_pair *meta; /* c.meta; keys and values are owned */
	struct st_tensor *extra;   /* tensors that this program does not know, and maps that were set aside; names are owned */
	int n_extra;
	const struct block *file;  /* the file it was opened from, one of block; NULL: none */
	pthread_mutex_t hashing;
	char sha256[65];           /* of file, once asked for */
};

/* Where the pointers of parts may lie already. */
struct share {
	struct block *const *block;
	int n_block;
	bool checked; /* values were checked when they were first taken in */
	const struct st_tensor *extra;
	int n_extra;
};
bool share_holds(const struct share *s, const void *data, size_t n_bytes); /* in one of its blocks; s may be NULL */

/* ---- lookup.c ---- */
/* Is a tensor of this name a map? Then of which kind, and called what (in the tensor's name). */
bool map_of_tensor(const char *tensor, enum map_kind *kind, const char **name);
bool map_fits(const struct capture *c, enum map_kind kind, const struct st_tensor *t);
/* "rows.snapkv is F32 (30, 9, 52), not F32 (30, 9, 53)" of a map that does not fit; false: t is no map. */
bool map_misfit(const struct capture *c, const struct st_tensor *t, char *out, size_t size);

/* ---- build.c ---- */
/* Checks parts and makes a capture of them: what lies inside a block of share is counted, everything else copied. */
int box_assemble(struct capture_box **out, const struct capture *parts, const struct share *share, struct err *e);
void box_free(struct capture_box *b);
/* Says which file the capture was opened from, and keeps a count on it. False: out of memory. */
bool box_set_file(struct capture_box *b, struct block *file);

/* ---- check.c ---- */
/* Shapes, offsets, names, metadata and (unless share says so) values; the error names what, where, value and limit. */
int capture_check(const struct capture *parts, const struct share *share, struct err *e);
/* Values alone: finite, attention not negative. c gives the shape. */
int capture_check_values(const struct capture *c, const struct capture_map *m, struct err *e);

static inline int map_heads(const struct capture *c, enum map_kind kind)
{
	return kind == MAP_SCORE ? c->n_kv_head : c->n_head;
}
static inline size_t map_elements(const struct capture *c, enum map_kind kind)
{
	return (size_t)c->n_layer * (size_t)map_heads(c, kind) * (size_t)c->n_prompt;
}
static inline const char *map_prefix(enum map_kind kind)
{
	return kind == MAP_SCORE ? "score" : "rows";
}

#endif
