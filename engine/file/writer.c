/* Writing: whole or not at all (engine/file.h). */
#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 16 };

struct file_writer {
	int fd;
	char *target;    /* as given, links resolved when it exists */
	char *temporary; /* NULL: the target is a pipe or a device and is written directly */
	uint64_t n_written;
	size_t n_buffered;
	struct err failure; /* sticky: the first one */
	uint8_t buffer[BUFFER_BYTES];
};

static void writer_free(struct file_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	free(w->target);
	free(w->temporary);
	free(w);
}

/* "folder/.kvglass-<16 hex digits>.tmp": short whatever the target's name, hidden, in the target's own folder so that
 * rename() stays on one file system. Opened by hand, not by mkstemp, so that the user's umask decides the mode. */
static int open_temporary(struct file_writer *w, struct err *e)
{
	const char *slash = strrchr(w->target, '/');
	int n_folder = slash ? (int)(slash - w->target) + 1 : 0;
	for (int attempt = 0; attempt < 16; attempt++) {
		uint64_t salt;
		if (getrandom(&salt, sizeof salt, 0) != sizeof salt)
			salt = (uint64_t)clock() * 0x9e3779b97f4a7c15u + (uint64_t)attempt;
		free(w->temporary);
		if (asprintf(&w->temporary, "%.*s.kvglass-%016llx.tmp", n_folder, w->target, (unsigned long long)salt) < 0) {
			w->temporary = NULL;
			return err_set(e, ERR_MEMORY, "%s: out of memory for a temporary name", w->target);
		}
		w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (w->fd >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	int reason = errno;
	free(w->temporary);
	w->temporary = NULL;
	return err_set(e, ERR_SYSTEM, "%s: cannot write in folder %.*s: %s", w->target, n_folder ? n_folder : 1,
		n_folder ? w->target : ".", strerror(reason));
}

static int open_existing(struct file_writer *w, const struct stat *st, struct err *e)
{
	if (S_ISDIR(st->st_mode))
		return err_set(e, ERR_USE, "%s: is a folder, a file name is needed", w->target);
	if (!S_ISREG(st->st_mode)) {
		w->fd = open(w->target, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return w->fd >= 0 ? 0 : (int)err_set(e, ERR_SYSTEM, "%s: %s", w->target, strerror(errno));
	}
	if (access(w->target, W_OK)) /* rename() would replace a write-protected file without asking */
		return err_set(e, ERR_SYSTEM, "%s: %s", w->target, strerror(errno));
	int rc = open_temporary(w, e);
	if (!rc)
		fchmod(w->fd, st->st_mode & 07777); /* best effort: the content matters more than its mode */
	return rc;
}

int file_create(struct file_writer **out, const char *path, struct err *e)
{
	*out = NULL;
	if (!*path)
		return err_set(e, ERR_USE, "an empty file name cannot be written");
	struct file_writer *w = malloc(sizeof *w);
	if (!w)
		return err_set(e, ERR_MEMORY, "%s: out of memory for a write buffer", path);
	w->fd = -1;
	w->temporary = NULL;
	w->n_written = w->n_buffered = 0;
	w->failure.code = ERR_NONE;
	struct stat st;
	bool exists = stat(path, &st) == 0;
	/* A symbolic link to a regular file keeps being a link: its target is replaced. Pipes and devices are opened by the given
	 * name, since links under /proc (/dev/stdout) lead to names that cannot be opened. */
	w->target = exists && S_ISREG(st.st_mode) ? realpath(path, NULL) : strdup(path);
	int rc = !w->target ? (int)err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno))
		: exists ? open_existing(w, &st, e) : open_temporary(w, e);
	if (rc) {
		writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

/* write(2) that reports a reader's departure as EPIPE and does not let SIGPIPE end the process. */
static ssize_t write_quietly(int fd, const void *data, size_t n)
{
	sigset_t pipe_set, before, pending;
	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &before);
	ssize_t put = write(fd, data, n);
	int reason = errno;
	if (put < 0 && reason == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_set, NULL, &(struct timespec){0, 0});
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = reason;
	return put;
}

static int fail(struct file_writer *w, struct err *e)
{
	if (e)
		*e = w->failure;
	return w->failure.code;
}

static int write_out(struct file_writer *w, const uint8_t *data, size_t n_bytes, struct err *e)
{
	while (n_bytes) {
		ssize_t put = w->temporary ? write(w->fd, data, n_bytes) : write_quietly(w->fd, data, n_bytes);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			err_set(&w->failure, ERR_SYSTEM, "%s: cannot write byte %llu: %s", w->target, (unsigned long long)w->n_written,
				put ? strerror(errno) : "nothing was taken");
			return fail(w, e);
		}
		data += put;
		n_bytes -= (size_t)put;
		w->n_written += (size_t)put;
	}
	return 0;
}

static int flush(struct file_writer *w, struct err *e)
{
	size_t n = w->n_buffered;
	w->n_buffered = 0;
	return write_out(w, w->buffer, n, e);
}

int file_write(struct file_writer *w, const void *data, size_t n_bytes, struct err *e)
{
	if (w->failure.code)
		return fail(w, e);
	if (n_bytes > sizeof w->buffer - w->n_buffered) {
		int rc = flush(w, e);
		if (rc)
			return rc;
	}
	if (n_bytes >= sizeof w->buffer)
		return write_out(w, data, n_bytes, e);
	if (n_bytes)
		memcpy(w->buffer + w->n_buffered, data, n_bytes);
	w->n_buffered += n_bytes;
	return 0;
}

int file_printf(struct file_writer *w, struct err *e, const char *format, ...)
{
	if (w->failure.code)
		return fail(w, e);
	char *text = NULL;
	va_list args;
	va_start(args, format);
	int n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		err_set(&w->failure, ERR_MEMORY, "%s: out of memory for a line of text", w->target);
		return fail(w, e);
	}
	int rc = file_write(w, text, (size_t)n, e);
	free(text);
	return rc;
}

/* The rename itself must survive a power cut. Best effort: some file systems cannot sync a folder. */
static void sync_folder(const char *path)
{
	char *folder = strdup(path);
	if (!folder)
		return;
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

static int finish_regular(struct file_writer *w, struct err *e)
{
	const char *step = fsync(w->fd) ? "flush it to the disk" : NULL;
	int reason = errno, fd = w->fd;
	w->fd = -1;
	if (close(fd) && !step) {
		step = "close it";
		reason = errno;
	}
	if (!step && rename(w->temporary, w->target)) {
		step = "give it its name";
		reason = errno;
	}
	if (step)
		return err_set(e, ERR_SYSTEM, "%s: written, but cannot %s: %s", w->target, step, strerror(reason));
	sync_folder(w->target);
	return 0;
}

int file_commit(struct file_writer *w, struct err *e)
{
	int rc = w->failure.code ? fail(w, e) : flush(w, e);
	if (!rc && w->temporary)
		rc = finish_regular(w, e);
	if (rc && w->temporary)
		unlink(w->temporary);
	writer_free(w);
	return rc;
}

void file_abandon(struct file_writer *w)
{
	if (!w)
		return;
	if (w->temporary)
		unlink(w->temporary);
	writer_free(w);
}
