/* SHA-256 of a model's files, remembered in the cache folder: hashing 16 GB takes ten seconds and more.
 *
 * The list holds one line per model, "<key> <hash>\n", 64 hex digits each. The key is the hash of every file's real path, size and
 * times of change, so that neither odd file names nor a file replaced under its old name can mislead it. */
#include "engine/model/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 64 + 1 + 64 + 1, MAX_LINES = 512 };

static bool compute_key(const struct file_map *map, int n_map, char key[65])
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return false;
	for (int i = 0; i < n_map; i++) {
		char *real = realpath(map[i].path, NULL);
		fprintf(f, "%s%c%zu %lld %lld\n", real ? real : map[i].path, 0, map[i].size, (long long)map[i].modified_ns,
			(long long)map[i].changed_ns);
		free(real);
	}
	bool whole = !ferror(f);
	if (fclose(f) || !whole) {
		free(text);
		return false;
	}
	sha256_hex(text, n, key);
	free(text);
	return true;
}

static bool is_hex(const char *text, int n)
{
	for (int i = 0; i < n; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

/* Steps to the next whole line and past it; damaged ones are passed over. NULL at the end. */
static const char *next_line(const char **at)
{
	while (**at) {
		const char *line = *at, *end = strchrnul(line, '\n');
		*at = *end ? end + 1 : end;
		if (*end && end - line == LINE_BYTES - 1 && is_hex(line, 64) && line[64] == ' ' && is_hex(line + 65, 64))
			return line;
	}
	return NULL;
}

static bool look_up(const char *list, const char *key, char out[65])
{
	const char *line;
	while ((line = next_line(&list)))
		if (!memcmp(line, key, 64)) {
			memcpy(out, line + 65, 64);
			out[64] = '\0';
			return true;
		}
	return false;
}

/* Newest first; the oldest fall off. Another process writing at the same time may win: then a hash is computed once more. */
static void remember(const char *path, const char *list, const char *key, const char *hash)
{
	struct file_writer *w;
	if (file_create(&w, path, NULL))
		return;
	file_printf(w, NULL, "%s %s\n", key, hash);
	const char *line;
	for (int n = 1; n < MAX_LINES && (line = next_line(&list)); n++)
		file_write(w, line, LINE_BYTES, NULL);
	file_commit(w, NULL);
}

static int hash_now(const struct file_map *map, int n_map, char out[65], struct err *e)
{
	int rc = 0;
	sha256_hex_parts(map, n_map, out);
	for (int i = 0; i < n_map && !rc; i++)
		rc = file_map_check(&map[i], e);
	return rc;
}

int fingerprint(const struct file_map *map, int n_map, char out[65], struct err *e)
{
	int rc = 0;
	char key[65];
	char *path = compute_key(map, n_map, key) ? file_place(FILE_PLACE_CACHE, "sha256") : NULL;
	char *list = NULL;
	size_t n = 0;
	if (path && file_read_all(path, (size_t)4 * MAX_LINES * LINE_BYTES, &list, &n, NULL))
		list = NULL;
	if (!list || !look_up(list, key, out)) {
		rc = hash_now(map, n_map, out, e);
		if (!rc && path)
			remember(path, list ? list : "", key, out);
	}
	free(list);
	free(path);
	return rc;
}
