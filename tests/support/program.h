/* Runs the built program as a user would, and keeps what it said. For black-box tests.
 *
 *     struct program_result r;
 *     program_run(&r, NULL, "run", "-m", model, "--budget", "abc", NULL);
 *     CHECK_INT(r.status, 2);
 *     program_free(&r);
 */
#ifndef KVGLASS_TESTS_PROGRAM_H
#define KVGLASS_TESTS_PROGRAM_H

#include <jansson.h>
#include <stddef.h>

struct program_result {
	int status; /* exit status; 128 + signal when one ended it */
	char *out, *err; /* NUL-terminated; the length counts bytes before the NUL */
	size_t n_out, n_err;
};

struct program_setting { /* all may be left 0 */
	const char *input;     /* standard input; NULL: empty */
	const char *out_path;  /* standard output goes to this file ("/dev/full"); then .out is "" */
	const char *cache;     /* XDG_CACHE_HOME; NULL: as it is */
	int close_output;      /* the reader of standard output leaves before the program starts */
	int no_output;         /* standard output is closed */
	int terminal;          /* standard error is a terminal (its line ends read \r\n) */
	const char *interrupt_at; /* SIGINT is sent once standard error holds this */
};

/* A run of more than two minutes is killed and fails the case. Words end with NULL. */
void program_run(struct program_result *r, const struct program_setting *s, const char *first, ...);
void program_free(struct program_result *r);

/* Standard output as one JSON value (json_decref it), NULL after a failed check when the program failed or it is none. jansson
 * refuses what is not valid UTF-8. */
json_t *program_json(const char *file, int line, const struct program_result *r);
#define PROGRAM_JSON(r) program_json(__FILE__, __LINE__, (r))

/* Checks: status, nothing on standard output, and exactly one line on standard error that holds `text`. */
void program_check_error(const char *file, int line, const struct program_result *r, int status, const char *text);
#define CHECK_PROGRAM_ERROR(r, status, text) program_check_error(__FILE__, __LINE__, (r), (status), (text))

#endif
