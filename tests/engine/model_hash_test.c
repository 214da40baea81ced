/* A model's hash, and the list in the cache that remembers it. */
#include "engine/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"

static char *use_cache(const char *folder) /* returns what was there */
{
	char *before = getenv("XDG_CACHE_HOME");
	before = before ? strdup(before) : NULL;
	setenv("XDG_CACHE_HOME", folder, 1);
	return before;
}

static void restore_cache(char *before)
{
	if (before)
		setenv("XDG_CACHE_HOME", before, 1);
	else
		unsetenv("XDG_CACHE_HOME");
	free(before);
}

static void hash_of_file(const char *path, char hex[65])
{
	struct file_map map;
	struct err e;
	CHECK_INT(file_map_open(&map, path, &e), 0);
	sha256_hex(map.data, map.size, hex);
	file_map_close(&map);
}

static void check_hash(const char *path, const char *want)
{
	struct model *m = test_model_open(path);
	const char *hex = "";
	struct err e;
	if (!m)
		return;
	CHECK_INT(model_sha256(m, &hex, &e), 0);
	CHECK_STR(hex, want);
	model_close(m);
}

/* A wrong hash under the right key shows that the list is used; so the second look must give the wrong one. */
static void spoil_hash(const char *list)
{
	FILE *f = fopen(list, "r+b");
	CHECK(f != NULL);
	if (!f)
		return;
	fseek(f, 65, SEEK_SET);
	for (int i = 0; i < 64; i++)
		fputc('0', f);
	fclose(f);
}

TEST(model, hash_is_remembered_until_the_file_changes)
{
	char *before = use_cache(test_scratch("cache"));
	const char *path = test_scratch("hashed.gguf"), *list = test_scratch("cache/kvglass/sha256");
	static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
	struct tiny_options o = {.kind = TINY_LLAMA, .type = TYPE_Q4_0, .seed = 1};
	char hex[65];
	tiny_model_gguf(path, &o);
	hash_of_file(path, hex);
	check_hash(path, hex);
	check_hash(path, hex);
	spoil_hash(list);
	check_hash(path, zeros);
	o.seed = 2; /* the same size, other content */
	tiny_model_gguf(path, &o);
	hash_of_file(path, hex);
	check_hash(path, hex);
	FILE *f = fopen(list, "wb"); /* lines that are damaged, too short, too long, not text */
	fputs("garbage\n\n", f);
	fwrite("\0\xff\x80", 1, 3, f);
	for (int i = 0; i < 300; i++)
		fputc('a', f);
	fclose(f);
	check_hash(path, hex);
	setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
	check_hash(path, hex);
	restore_cache(before);
}

static void *hash_in_thread(void *model)
{
	const char *hex = NULL;
	model_sha256(model, &hex, NULL);
	return (void *)hex;
}

TEST(model, hash_of_a_folder_from_two_threads)
{
	char *before = use_cache(test_scratch("cache2"));
	const char *folder = test_scratch("hashed");
	struct file_map part[2];
	struct err e;
	char want[65], path[1024];
	tiny_model_folder(folder, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_BF16, .seed = 1, .n_shard = 2});
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/model-0000%d-of-00002.safetensors", folder, i + 1);
		CHECK_INT(file_map_open(&part[i], path, &e), 0);
	}
	sha256_hex_parts(part, 2, want);
	struct model *m = test_model_open(folder);
	pthread_t thread[2];
	void *hex[2] = {NULL, NULL};
	for (int i = 0; i < 2 && m; i++)
		CHECK_INT(pthread_create(&thread[i], NULL, hash_in_thread, m), 0);
	for (int i = 0; i < 2 && m; i++) {
		pthread_join(thread[i], &hex[i]);
		CHECK_STR(hex[i], want);
	}
	CHECK(hex[0] == hex[1]);
	model_close(m);
	for (int i = 0; i < 2; i++)
		file_map_close(&part[i]);
	restore_cache(before);
}
