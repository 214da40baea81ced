/* Reading: memory maps of regular files, and small files whole. */
#include "engine/file/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_name(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a folder";
	if (S_ISFIFO(mode))
		return "a pipe";
	if (S_ISSOCK(mode))
		return "a socket";
	return "a device";
}

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The map outlives the descriptor, so this opens, maps and closes. */
static int map_descriptor(struct file_map *out, int fd, const char *path, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st))
		return err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FORMAT, "%s: is %s, not a regular file", path, kind_name(st.st_mode));
	out->size = (size_t)st.st_size;
	out->modified_ns = nanoseconds(st.st_mtim);
	out->changed_ns = nanoseconds(st.st_ctim);
	out->device = st.st_dev;
	out->inode = st.st_ino;
	out->data = (const uint8_t *)"";
	if (out->size == 0) /* mmap refuses length 0 */
		return 0;
	void *data = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return err_set(e, ERR_SYSTEM, "%s: cannot map %zu bytes: %s", path, out->size, strerror(errno));
	out->data = data;
	out->guard = file_guard_add(data, out->size);
	return 0;
}

int file_map_open(struct file_map *out, const char *path, struct err *e)
{
	*out = (struct file_map){0};
	/* O_NONBLOCK: opening a pipe that nobody writes would wait for ever; regular files ignore it. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	int rc = map_descriptor(out, fd, path, e);
	close(fd);
	if (!rc && !(out->path = strdup(path)))
		rc = err_set(e, ERR_MEMORY, "%s: out of memory for its name", path);
	if (rc)
		file_map_close(out);
	return rc;
}

void file_map_close(struct file_map *map)
{
	file_guard_remove(map->guard);
	if (map->size && map->data)
		munmap((void *)map->data, map->size);
	free(map->path);
	*map = (struct file_map){0};
}

int file_map_check(const struct file_map *map, struct err *e)
{
	struct stat st;
	bool there = map->path && !stat(map->path, &st) && st.st_dev == map->device && st.st_ino == map->inode;
	if (there && (size_t)st.st_size < map->size)
		return err_set(e, ERR_SYSTEM, "%s: was cut to %lld bytes while it was open, it had %zu", map->path, (long long)st.st_size, map->size);
	if (file_guard_cut(map->guard))
		return err_set(e, ERR_SYSTEM, "%s: was cut short while it was open, it had %zu bytes", map->path, map->size);
	if (there && nanoseconds(st.st_mtim) != map->modified_ns)
		return err_set(e, ERR_SYSTEM, "%s: was written to while it was open", map->path);
	return 0;
}

/* Reads to the end of fd. Grows by doubling: pipes do not tell their size. */
static int read_descriptor(int fd, const char *path, size_t limit, char **out, size_t *n_bytes, struct err *e)
{
	size_t n = 0, capacity = 0;
	char *text = NULL;
	for (;;) {
		if (n + 1 >= capacity) {
			size_t want = capacity ? 2 * capacity : 16384;
			char *grown = realloc(text, want);
			if (!grown) {
				free(text);
				return err_set(e, ERR_MEMORY, "%s: out of memory after %zu bytes", path, n);
			}
			text = grown;
			capacity = want;
		}
		ssize_t got = read(fd, text + n, capacity - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(text);
			return err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno));
		}
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > limit) {
			free(text);
			return err_set(e, ERR_LIMIT, "%s: more than %zu bytes, the limit here", path, limit);
		}
	}
	text[n] = '\0';
	*out = text;
	*n_bytes = n;
	return 0;
}

int file_read_all(const char *path, size_t limit, char **out, size_t *n_bytes, struct err *e)
{
	if (!strcmp(path, "-"))
		return read_descriptor(STDIN_FILENO, "standard input", limit, out, n_bytes, e);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	int rc = read_descriptor(fd, path, limit, out, n_bytes, e);
	close(fd);
	return rc;
}
