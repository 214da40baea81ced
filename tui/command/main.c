/* Which command is meant, how it ended, and what the caller of the program is told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "tui/command/command.h"
#include "tui/command/nearest.h"

enum { DONE = 0, FAILED = 1, WRONG_USE = 2 };

static const struct command *const dispatch[N_COMMAND] = {
#define COMMAND(ID, name, arguments, fewest, most, summary, description) [COMMAND_##ID] = &command_##name,
#include "tui/commands.def"
#undef COMMAND
};

/* A closed standard descriptor would be given to the next file that is opened, and results would be written into it. The
 * stand-ins refuse what the real ones are for: writing to 0 and reading from 1 and 2. */
static void fill_standard_descriptors(void)
{
	static const int mode[] = {O_WRONLY, O_RDONLY, O_RDONLY};
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", mode[fd]) != fd)
			return;
}

static int finish_output(struct err *e)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return err_set(e, ERR_SYSTEM, "standard output: %s", errno ? strerror(errno) : "not everything could be written");
}

/* Whoever read our output has seen enough (| head): nothing to complain about. */
static bool reader_left(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

static int fail(int status, const char *command, const struct err *e)
{
	if (status == FAILED && reader_left())
		return status;
	fprintf(stderr, "kvglass%s%s: %s\n", command ? " " : "", command ? command : "", e->text);
	return status;
}

static int run_command(enum command_id id, const char *shown, int argc, char **argv, int first)
{
	const struct command *command = dispatch[id];
	struct options o;
	struct err e = {0};
	if (options_parse(&o, id, argc, argv, first, &e))
		return fail(WRONG_USE, shown, &e);
	int status = DONE;
	if (o.help)
		shown ? help_command(stdout, id) : help_program(stdout);
	else if (o.version)
		help_version(stdout);
	else if (command->check && command->check(&o, &e))
		status = WRONG_USE;
	else if (command->run(&o, &e))
		status = FAILED;
	if (status == DONE && finish_output(&e))
		status = FAILED;
	options_free(&o);
	return status == DONE ? DONE : fail(status, shown, &e);
}

static int unknown_command(const char *word)
{
	struct err e;
	struct nearest near = nearest_begin(word, strlen(word));
	char hint[80];
	for (int i = 0; i < N_COMMAND; i++)
		nearest_offer(&near, command_table[i].name);
	nearest_hint(&near, "", hint, sizeof hint);
	if (!near.best && access(word, F_OK) == 0)
		err_set(&e, ERR_USE, "%.200s: a file, not a command; to look at it: kvglass view %.200s", word, word);
	else
		err_set(&e, ERR_USE, "%.200s: unknown command%s", word, *hint ? hint : "; kvglass --help lists them");
	return fail(WRONG_USE, NULL, &e);
}

int command_main(int argc, char **argv)
{
	fill_standard_descriptors();
	file_guard_begin();
	signal(SIGPIPE, SIG_IGN); /* a write says EPIPE instead, so that nothing half-done is left behind */
	if (argc < 2 || argv[1][0] == '-')
		return run_command(0, NULL, argc, argv, 1);
	for (int i = 0; i < N_COMMAND; i++)
		if (!strcmp(argv[1], command_table[i].name))
			return run_command(i, command_table[i].name, argc, argv, 2);
	return unknown_command(argv[1]);
}
