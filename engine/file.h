/* Files: mapping them to read, replacing them whole, hashing them.
 *
 * Reading is always by memory map, so weights stay as the file stores them and pages come on demand.
 * Writing never leaves half a file: bytes go to a temporary name in the same folder, are flushed to the
 * disk and renamed over the target; a target that is not a regular file (pipe, device) is written
 * directly. Until file_commit() the old file is untouched.
 */
#ifndef KVGLASS_ENGINE_FILE_H
#define KVGLASS_ENGINE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/err.h"

struct file_guard;
struct file_map {
	const uint8_t *data; /* size bytes, read-only; never NULL after success (an empty file maps to "") */
	size_t size;
	char *path; /* owned copy, for messages */
	int64_t modified_ns, changed_ns; /* of the file that is mapped, when it was mapped: its content's and its record's last change */
	uint64_t device, inode;          /* which file that was */
	struct file_guard *guard;        /* tells whether pages of it have gone missing */
};

/* Maps a regular file read-only. Directories, missing files and other kinds are refused by name. */
int file_map_open(struct file_map *out, const char *path, struct err *e);
void file_map_close(struct file_map *map); /* safe on a zeroed struct */

/* Is the file still what was mapped? ERR_SYSTEM when it was cut short or written to since: what was read from it may be wrong then.
 * A name that leads elsewhere by now is fine: the old file stays as long as it is mapped. */
int file_map_check(const struct file_map *map, struct err *e);

/* Called once by a program, before threads: reading behind the end of a mapped file that somebody cut short gives zeros, which
 * file_map_check() tells, and no longer ends the process. Sets the handler of SIGBUS. */
void file_guard_begin(void);

/* Whole small file into memory, NUL-terminated (the NUL is not counted). *out is owned by the caller (free).
 * "-" reads standard input. More than limit bytes is ERR_LIMIT. */
int file_read_all(const char *path, size_t limit, char **out, size_t *n_bytes, struct err *e);

struct file_writer; /* one file being written */

/* A link to a regular file stays a link (its target is replaced), a write-protected target is refused, a replaced file keeps its
 * mode. A pipe whose reader has gone is an error, not a signal. */
int file_create(struct file_writer **out, const char *path, struct err *e);
/* After the first failure every further write fails with the same text (sticky), so callers may check once, at commit. */
int file_write(struct file_writer *w, const void *data, size_t n_bytes, struct err *e);
int file_printf(struct file_writer *w, struct err *e, const char *format, ...) __attribute__((format(printf, 3, 4)));
int file_commit(struct file_writer *w, struct err *e); /* flush, rename, free w; on failure the target is as before */
void file_abandon(struct file_writer *w);              /* remove the temporary, free w; NULL is allowed */

/* SHA-256 as 64 lower-case hex digits and NUL. Pure over bytes (nettle, SHA-NI where the machine has it). */
void sha256_hex(const void *data, size_t n_bytes, char out[65]);
/* The same over several pieces in order (a model folder's weight files). */
void sha256_hex_parts(const struct file_map *part, int n_part, char out[65]);

/* Path of `name` below $XDG_CACHE_HOME/kvglass (or ~/.cache/kvglass), likewise config and state; the folder is created on demand.
 * Returns a string owned by the caller (free), NULL when the environment names no place or it cannot be made. */
enum file_place { FILE_PLACE_CACHE, FILE_PLACE_CONFIG, FILE_PLACE_STATE };
char *file_place(enum file_place place, const char *name);

#endif
