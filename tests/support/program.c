#include "tests/support/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { MOST_WORDS = 64, MOST_SECONDS = 120 };

static void give_up(const char *what)
{
	perror(what);
	exit(2);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Input goes through an unlinked file: a pipe would need a writer beside the two readers. */
static int input_file(const char *text)
{
	if (!text)
		return open("/dev/null", O_RDONLY);
	char name[] = "/tmp/kvglass-test-input-XXXXXX";
	int fd = mkstemp(name);
	if (fd < 0 || unlink(name) || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || lseek(fd, 0, SEEK_SET))
		give_up("standard input for the program");
	return fd;
}

static _Noreturn void become(const struct program_setting *s, int in, int out, int err, char **words)
{
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	if (s->no_output)
		close(1);
	if (s->cache)
		setenv("XDG_CACHE_HOME", s->cache, 1);
	/* whoever runs the tests in the background ignores SIGINT; the program under test must hear it */
	static const int heard[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < sizeof heard / sizeof *heard; i++)
		signal(heard[i], SIG_DFL);
	execv(words[0], words);
	perror(words[0]);
	_exit(127);
}

struct stream {
	int fd;
	char **text;
	size_t *n, room;
};

/* False at its end. */
static bool read_some(struct stream *s)
{
	if (s->room - *s->n < 4096) {
		s->room = s->room ? 2 * s->room : 16384;
		*s->text = realloc(*s->text, s->room);
		if (!*s->text)
			give_up("output of the program");
	}
	ssize_t got = read(s->fd, *s->text + *s->n, s->room - *s->n - 1);
	if (got > 0)
		*s->n += (size_t)got;
	(*s->text)[*s->n] = '\0';
	return got > 0 || (got < 0 && errno == EINTR);
}

static void read_both(struct stream stream[2], pid_t child, const struct program_setting *s)
{
	double began = now();
	bool interrupted = false;
	struct pollfd p[2] = {{.fd = stream[0].fd, .events = POLLIN}, {.fd = stream[1].fd, .events = POLLIN}};
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int n = poll(p, 2, 20);
		for (int i = 0; n > 0 && i < 2; i++)
			if (p[i].fd >= 0 && p[i].revents && !read_some(&stream[i]))
				p[i].fd = -1;
		if (s->interrupt_at && !interrupted && strstr(*stream[1].text, s->interrupt_at)) {
			kill(child, SIGINT);
			interrupted = true;
		}
		if (now() - began > MOST_SECONDS) {
			test_fail(__FILE__, __LINE__, "the program ran longer than %d s and was killed", MOST_SECONDS);
			kill(child, SIGKILL);
			break;
		}
	}
}

/* Both ends of the program's standard error: end[0] to read. */
static void open_errors(int end[2], bool terminal)
{
	if (!terminal) {
		if (pipe2(end, O_CLOEXEC))
			give_up("pipe");
		return;
	}
	end[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (end[0] < 0 || grantpt(end[0]) || unlockpt(end[0]))
		give_up("terminal for the program");
	end[1] = open(ptsname(end[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (end[1] < 0)
		give_up("terminal for the program");
}

static void run_words(struct program_result *r, const struct program_setting *s, char **words)
{
	int out[2], err[2], status, in = input_file(s->input);
	if (pipe2(out, O_CLOEXEC))
		give_up("pipe");
	open_errors(err, s->terminal);
	if (s->close_output)
		close(out[0]);
	int to = s->out_path ? open(s->out_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : out[1];
	if (to < 0)
		give_up(s->out_path);
	fflush(stdout);
	pid_t child = fork();
	if (child < 0)
		give_up("fork");
	if (child == 0)
		become(s, in, to, err[1], words);
	close(out[1]);
	close(err[1]);
	close(in);
	if (s->out_path)
		close(to);
	r->out = calloc(1, 1);
	r->err = calloc(1, 1);
	struct stream stream[2] = {{s->close_output ? -1 : out[0], &r->out, &r->n_out, 1}, {err[0], &r->err, &r->n_err, 1}};
	read_both(stream, child, s);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (!s->close_output)
		close(out[0]);
	close(err[0]);
}

void program_run(struct program_result *r, const struct program_setting *s, const char *first, ...)
{
	static const struct program_setting usual;
	char *words[MOST_WORDS + 2] = {(char *)KVGLASS_PROGRAM};
	int n = 1;
	va_list args;
	va_start(args, first);
	for (const char *word = first; word && n < MOST_WORDS; word = va_arg(args, const char *))
		words[n++] = (char *)word;
	va_end(args);
	*r = (struct program_result){0};
	run_words(r, s ? s : &usual, words);
}

void program_free(struct program_result *r)
{
	free(r->out);
	free(r->err);
	*r = (struct program_result){0};
}

void program_check_error(const char *file, int line, const struct program_result *r, int status, const char *text)
{
	const char *end = strchr(r->err, '\n');
	if (r->status != status)
		test_fail(file, line, "exit status %d, not %d (%s)", r->status, status, r->err);
	if (r->n_out)
		test_fail(file, line, "%zu bytes on standard output, not 0", r->n_out);
	if (!end || end[1])
		test_fail(file, line, "not one line on standard error: \"%s\"", r->err);
	if (!strstr(r->err, text))
		test_fail(file, line, "\"%s\" does not say \"%s\"", r->err, text);
}

json_t *program_json(const char *file, int line, const struct program_result *r)
{
	json_error_t error;
	if (r->status)
		test_fail(file, line, "exit status %d: %s", r->status, r->err);
	json_t *value = r->status ? NULL : json_loadb(r->out, r->n_out, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!value && !r->status)
		test_fail(file, line, "no JSON: %s in line %d", error.text, error.line);
	return value;
}
