/* The store of targets as its two halves know it: what it holds (store.c) and how what is missing is made (target.c). Private. */
#ifndef KVGLASS_ENGINE_TRAIN_STORE_H
#define KVGLASS_ENGINE_TRAIN_STORE_H

#include "engine/model/model.h"
#include "engine/safetensors.h"
#include "engine/train.h"

struct stored { /* one target: a mapped file, or memory of its own */
	char *path;
	struct file_map map;
	struct st_file file;
	void *memory;
	struct target view;
};

struct target_store {
	const struct model *model;
	const char *model_sha256; /* NULL without a folder */
	char *folder;             /* NULL: in memory alone */
	uint64_t limit_bytes, bytes;
	int n_threads;
	struct stored *target;
	int n_target;
};

size_t target_map_floats(const struct model_info *info, int n);   /* of truth */
size_t target_cache_halves(const struct model_info *info, int n); /* of keys, or of values */

/* Keys and values of a session's positions 0 .. n-1 in half precision, target_cache_halves() each. */
int target_read_cache(struct session *s, int n, uint16_t *key, uint16_t *value, struct err *e);

/* Maps a target's file, checks that it is of this model's shape, and gives it a number. */
int store_open_file(struct target_store *s, const char *path, int *number, struct err *e);

#endif
