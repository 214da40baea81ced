#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

static int write_text(const char *path, const char *text, struct err *e)
{
	struct file_writer *w;
	int rc = file_create(&w, path, e);
	if (rc)
		return rc;
	file_printf(w, NULL, "%s", text);
	return file_commit(w, e);
}

static void check_content(const char *path, const char *want)
{
	char *text = NULL;
	size_t n = 0;
	struct err e = {0};
	CHECK_INT(file_read_all(path, 1 << 20, &text, &n, &e), 0);
	CHECK_STR(text, want);
	free(text);
}

TEST(file, map_reads_what_was_written)
{
	const char *path = test_scratch("map");
	struct err e;
	struct file_map map;
	CHECK_INT(write_text(path, "twelve bytes", &e), 0);
	CHECK_INT(file_map_open(&map, path, &e), 0);
	CHECK_INT(map.size, 12);
	CHECK(!memcmp(map.data, "twelve bytes", 12));
	CHECK_STR(map.path, path);
	file_map_close(&map);
	file_map_close(&map);
}

TEST(file, empty_file_maps_to_nothing)
{
	struct err e;
	struct file_map map;
	CHECK_INT(write_text(test_scratch("empty"), "", &e), 0);
	CHECK_INT(file_map_open(&map, test_scratch("empty"), &e), 0);
	CHECK_INT(map.size, 0);
	CHECK(map.data != NULL);
	file_map_close(&map);
}

TEST(file, map_refuses_by_name)
{
	struct err e;
	struct file_map map;
	char want[5000];
	const char *missing = test_scratch("absent"), *pipe_path = test_scratch("map.pipe"), *folder = test_scratch("map.folder");
	CHECK_INT(file_map_open(&map, missing, &e), ERR_SYSTEM);
	snprintf(want, sizeof want, "%s: No such file or directory", missing);
	CHECK_STR(e.text, want);
	CHECK_INT(mkfifo(pipe_path, 0600), 0);
	CHECK_INT(file_map_open(&map, pipe_path, &e), ERR_FORMAT); /* and does not wait for a writer */
	snprintf(want, sizeof want, "%s: is a pipe, not a regular file", pipe_path);
	CHECK_STR(e.text, want);
	CHECK_INT(mkdir(folder, 0700), 0);
	CHECK_INT(file_map_open(&map, folder, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "is a folder") != NULL);
	CHECK_INT(file_map_open(&map, "/dev/null", &e), ERR_FORMAT);
}

TEST(file, read_all_obeys_its_limit)
{
	char *text;
	size_t n;
	struct err e;
	const char *path = test_scratch("limit");
	CHECK_INT(write_text(path, "0123456789", &e), 0);
	CHECK_INT(file_read_all(path, 10, &text, &n, &e), 0);
	CHECK_INT(n, 10);
	free(text);
	CHECK_INT(file_read_all(path, 9, &text, &n, &e), ERR_LIMIT);
	CHECK(strstr(e.text, "more than 9 bytes") != NULL);
	CHECK_INT(file_read_all(test_scratch("."), 9, &text, &n, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, strerror(EISDIR)) != NULL);
}

TEST(file, old_content_stays_until_commit)
{
	struct err e;
	struct file_writer *w;
	const char *path = test_scratch("replace");
	CHECK_INT(write_text(path, "old", &e), 0);
	CHECK_INT(chmod(path, 0640), 0);
	CHECK_INT(file_create(&w, path, &e), 0);
	CHECK_INT(file_write(w, "new", 3, &e), 0);
	check_content(path, "old");
	file_abandon(w);
	check_content(path, "old");
	CHECK_INT(write_text(path, "new", &e), 0);
	check_content(path, "new");
	struct stat st;
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0640);
}

/* Temporary files left behind in the scratch folder by the cases of this suite. */
static int count_temporaries(void)
{
	char command[5000];
	snprintf(command, sizeof command, "ls -a '%s' | grep -c '^\\.kvglass-'", test_scratch("."));
	FILE *list = popen(command, "r");
	int n = -1;
	if (!list || fscanf(list, "%d", &n) != 1)
		n = -1;
	if (list)
		pclose(list);
	return n;
}

TEST(file, links_stay_links)
{
	struct err e;
	struct stat st;
	const char *target = test_scratch("link.target"), *link_path = test_scratch("link");
	CHECK_INT(write_text(target, "old", &e), 0);
	CHECK_INT(symlink("link.target", link_path), 0);
	CHECK_INT(write_text(link_path, "new", &e), 0);
	check_content(target, "new");
	CHECK_INT(lstat(link_path, &st), 0);
	CHECK(S_ISLNK(st.st_mode));
}

TEST(file, full_disk_is_reported_once_and_for_all)
{
	struct err e = {0};
	struct file_writer *w;
	char big[1 << 17] = {0};
	CHECK_INT(file_create(&w, "/dev/full", &e), 0);
	CHECK_INT(file_write(w, "few bytes wait in the buffer", 28, &e), 0);
	CHECK_INT(file_write(w, big, sizeof big, &e), ERR_SYSTEM);
	CHECK_STR(e.text, "/dev/full: cannot write byte 0: No space left on device");
	e = (struct err){0};
	CHECK_INT(file_write(w, "x", 1, &e), ERR_SYSTEM);
	CHECK_INT(file_commit(w, &e), ERR_SYSTEM);
	CHECK_STR(e.text, "/dev/full: cannot write byte 0: No space left on device");
}

static void *read_pipe(void *path)
{
	static char text[64];
	int fd = open(path, O_RDONLY);
	ssize_t n = 0, got;
	while (fd >= 0 && n < (ssize_t)sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - (size_t)n)) > 0)
		n += got;
	text[n] = '\0';
	close(fd);
	return text;
}

TEST(file, pipes_are_written_directly)
{
	struct err e;
	pthread_t reader;
	void *got = NULL;
	const char *path = test_scratch("write.pipe");
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK_INT(pthread_create(&reader, NULL, read_pipe, (void *)path), 0);
	CHECK_INT(write_text(path, "through a pipe", &e), 0);
	pthread_join(reader, &got);
	CHECK_STR(got, "through a pipe");
	struct stat st;
	CHECK(!stat(path, &st) && S_ISFIFO(st.st_mode));
}

TEST(file, a_reader_that_leaves_is_an_error_not_a_signal)
{
	struct err e;
	struct file_writer *w;
	int end[2];
	char path[64];
	CHECK_INT(pipe(end), 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", end[1]);
	CHECK_INT(file_create(&w, path, &e), 0);
	close(end[0]);
	file_write(w, "x", 1, &e);
	CHECK_INT(file_commit(w, &e), ERR_SYSTEM);
	CHECK(strstr(e.text, "Broken pipe") != NULL);
	close(end[1]);
}

TEST(file, impossible_targets_are_named)
{
	struct err e;
	struct file_writer *w;
	CHECK_INT(file_create(&w, test_scratch("."), &e), ERR_USE);
	CHECK(strstr(e.text, "is a folder") != NULL);
	CHECK_INT(file_create(&w, test_scratch("no/such/folder/x"), &e), ERR_SYSTEM);
	CHECK(strstr(e.text, "/no/such/folder/: No such file or directory") != NULL);
	CHECK_INT(file_create(&w, "", &e), ERR_USE);
	file_abandon(NULL);
	CHECK_INT(count_temporaries(), 0);
}

TEST(file, sha256_of_published_messages) /* FIPS 180-4 examples */
{
	char hex[65];
	sha256_hex("abc", 3, hex);
	CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	const char *message = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	struct file_map part[3] = {{.data = (const uint8_t *)message, .size = 20}, {.data = (const uint8_t *)"", .size = 0},
		{.data = (const uint8_t *)message + 20, .size = 36}};
	sha256_hex_parts(part, 3, hex);
	CHECK_STR(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(file, places_follow_the_environment)
{
	char *cache_before = getenv("XDG_CACHE_HOME"), *kept = cache_before ? strdup(cache_before) : NULL;
	char want[5000];
	setenv("XDG_CACHE_HOME", test_scratch("new/cache"), 1);
	char *path = file_place(FILE_PLACE_CACHE, "hashes");
	snprintf(want, sizeof want, "%s/kvglass/hashes", test_scratch("new/cache"));
	CHECK_STR(path, want);
	free(path);
	CHECK_INT(access(test_scratch("new/cache/kvglass"), W_OK), 0);
	setenv("XDG_CACHE_HOME", "/dev/null/impossible", 1);
	CHECK(file_place(FILE_PLACE_CACHE, "x") == NULL);
	if (kept)
		setenv("XDG_CACHE_HOME", kept, 1);
	else
		unsetenv("XDG_CACHE_HOME");
	free(kept);
}
