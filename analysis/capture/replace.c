/* A capture with some of its maps and metadata replaced; everything else is shared with the one it comes from. */
#include <stdlib.h>
#include <string.h>

#include "analysis/capture/box.h"

static int find_map(const struct capture_map *map, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(map[i].name, name))
			return i;
	return n;
}

static int find_key(const struct capture_pair *pair, int n, const char *key)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(pair[i].key, key))
			return i;
	return n;
}

static void replace_maps(struct capture_map *to, int *n, const struct capture_map *map, int n_map)
{
	for (int i = 0; i < n_map; i++) {
		int at = find_map(to, *n, map[i].name);
		to[at] = map[i];
		*n += at == *n;
	}
}

static void replace_meta(struct capture_pair *to, int *n, const struct capture_pair *meta, int n_meta)
{
	for (int i = 0; i < n_meta; i++) {
		int at = find_key(to, *n, meta[i].key);
		if (meta[i].value) {
			to[at] = meta[i];
			*n += at == *n;
		} else if (at < *n) {
			memmove(to + at, to + at + 1, (size_t)(--*n - at) * sizeof *to);
		}
	}
}

int capture_replace(const struct capture **out, const struct capture *base, const struct capture_map *map, int n_map,
	const struct capture_pair *meta, int n_meta, struct err *e)
{
	struct capture_map *maps = calloc((size_t)(base->n_map + n_map) + 1, sizeof *maps);
	struct capture_pair *pairs = calloc((size_t)(base->n_meta + n_meta) + 1, sizeof *pairs);
	struct capture parts = *base;
	int rc = 0;
	*out = NULL;
	if (!maps || !pairs)
		rc = err_set(e, ERR_MEMORY, "capture: out of memory for %d maps", base->n_map + n_map);
	if (!rc) {
		if (base->n_map)
			memcpy(maps, base->map, (size_t)base->n_map * sizeof *maps);
		if (base->n_meta)
			memcpy(pairs, base->meta, (size_t)base->n_meta * sizeof *pairs);
		replace_maps(maps, &parts.n_map, map, n_map);
		replace_meta(pairs, &parts.n_meta, meta, n_meta);
		parts.map = maps;
		parts.meta = pairs;
		rc = capture_extend(out, base, &parts, e);
	}
	free(maps);
	free(pairs);
	return rc;
}
