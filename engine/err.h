/* Errors: a code for programs and one line of text for people.
 *
 * Every function of kvglass that can fail returns 0 on success and one of the codes below otherwise, and
 * writes one line into its last argument: what failed, where, and the limit that was crossed. Nothing
 * below main() prints or exits. A line is complete in itself ("model.gguf: tensor blk.3.attn_q.weight
 * ends at byte 9000, the file has 8192"), carries no trailing newline, and is safe to show on a screen:
 * control characters and bytes that are no UTF-8, which came from a file, are replaced when the line is written.
 */
#ifndef KVGLASS_ENGINE_ERR_H
#define KVGLASS_ENGINE_ERR_H

enum err_code {
	ERR_NONE = 0,
	ERR_USE,         /* the caller asked for something impossible (budget below sinks + window, ...) */
	ERR_SYSTEM,      /* open, read, write, mmap, thread: text carries strerror */
	ERR_FORMAT,      /* a file is damaged or is not what its name says */
	ERR_UNSUPPORTED, /* a sound file that this program cannot run; the text names what is missing */
	ERR_LIMIT,       /* context length, sizes, counts: the text names value and limit */
	ERR_MEMORY,      /* refused before it was taken, or malloc failed; the text has the figures */
	ERR_CANCELLED,   /* the progress callback asked to stop */
	ERR_DEVICE,      /* driver or accelerator */
	ERR_NUMBER,      /* NaN or infinity where a number was needed */
};

struct err {
	enum err_code code;
	char text[480]; /* NUL-terminated UTF-8, cut at a character's border when too long */
};

/* Fills e (which may be NULL) and returns code, so that failing is one statement:
 *     return err_set(e, ERR_LIMIT, "%s: %zu tokens, the context has %d", path, n, limit); */
enum err_code err_set(struct err *e, enum err_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that is there, once a caller knows more about where it happened. */
enum err_code err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
