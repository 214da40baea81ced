#include "tui/terminal/term_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

static const int fatal_signal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGQUIT};
static const int flag_signal[] = {SIGTERM, SIGHUP, SIGINT, SIGWINCH, SIGCONT, SIGTSTP};
enum { N_FATAL = sizeof fatal_signal / sizeof *fatal_signal, N_FLAG = sizeof flag_signal / sizeof *flag_signal };

static struct {
	volatile sig_atomic_t active;
	int tty;
	struct termios before;
	char restore[512];
	size_t n_restore;
	int real_stderr, diverted; /* -1: standard error is not ours to divert */
	int wake[2];
	volatile sig_atomic_t resized, continued, suspend, end;
	struct sigaction old_fatal[N_FATAL], old_flag[N_FLAG];
	bool at_exit;
} guard = {.real_stderr = -1, .diverted = -1, .wake = {-1, -1}};

static void write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = write(fd, bytes, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		bytes += done;
		n -= (size_t)done;
	}
}

/* Standard error is the user's again, and shows what was kept from the screen. Only calls that a signal handler may
 * make. */
static void return_stderr(void)
{
	char block[4096];
	ssize_t n;
	if (guard.diverted < 0)
		return;
	dup2(guard.real_stderr, STDERR_FILENO);
	for (off_t at = 0; (n = pread(guard.diverted, block, sizeof block, at)) > 0; at += n)
		write_all(STDERR_FILENO, block, (size_t)n);
	close(guard.diverted);
	close(guard.real_stderr);
	guard.diverted = guard.real_stderr = -1;
}

static void divert_stderr(void)
{
	if (!isatty(STDERR_FILENO))
		return;
	guard.diverted = memfd_create("kvglass-stderr", MFD_CLOEXEC);
	guard.real_stderr = guard.diverted < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (guard.real_stderr >= 0) {
		dup2(guard.diverted, STDERR_FILENO);
	} else if (guard.diverted >= 0) {
		close(guard.diverted);
		guard.diverted = -1;
	}
}

static void emergency(void)
{
	if (!guard.active)
		return;
	guard.active = 0;
	write_all(guard.tty, guard.restore, guard.n_restore);
	tcsetattr(guard.tty, TCSANOW, &guard.before);
	return_stderr();
}

/* The terminal first; then the signal does what it would have done without us. A fault comes again as soon as the
 * handler returns, to whoever handled it before (the default, or a sanitizer that reports it). */
static void on_fatal(int number, siginfo_t *info, void *context)
{
	(void)context;
	int saved = errno;
	emergency();
	for (int i = 0; i < N_FATAL; i++)
		if (fatal_signal[i] == number)
			sigaction(number, &guard.old_fatal[i], NULL);
	if (info->si_code <= 0 || number == SIGABRT || number == SIGQUIT)
		raise(number);
	errno = saved;
}

static void on_flag(int number)
{
	int saved = errno;
	switch (number) {
	case SIGWINCH: guard.resized = 1; break;
	case SIGCONT: guard.continued = 1; break;
	case SIGTSTP: guard.suspend = 1; break;
	default:
		if (guard.end) { /* asked twice: the program does not listen any more */
			emergency();
			signal(number, SIG_DFL);
			raise(number);
		}
		guard.end = number;
	}
	write_all(guard.wake[1], "", 1);
	errno = saved;
}

static void install(void)
{
	struct sigaction fatal = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	struct sigaction flag = {.sa_handler = on_flag, .sa_flags = SA_RESTART};
	sigemptyset(&fatal.sa_mask);
	sigemptyset(&flag.sa_mask);
	for (int i = 0; i < N_FATAL; i++)
		sigaction(fatal_signal[i], &fatal, &guard.old_fatal[i]);
	for (int i = 0; i < N_FLAG; i++)
		sigaction(flag_signal[i], &flag, &guard.old_flag[i]);
}

static void uninstall(void)
{
	for (int i = 0; i < N_FATAL; i++)
		sigaction(fatal_signal[i], &guard.old_fatal[i], NULL);
	for (int i = 0; i < N_FLAG; i++)
		sigaction(flag_signal[i], &guard.old_flag[i], NULL);
}

int guard_open(int fd, struct err *e)
{
	if (tcgetattr(fd, &guard.before))
		return err_set(e, ERR_SYSTEM, "terminal: reading its settings: %s", strerror(errno));
	if (pipe2(guard.wake, O_CLOEXEC | O_NONBLOCK))
		return err_set(e, ERR_SYSTEM, "terminal: making a pipe: %s", strerror(errno));
	guard.tty = fd;
	guard.n_restore = 0;
	guard.resized = guard.continued = guard.suspend = guard.end = 0;
	if (!guard.at_exit)
		guard.at_exit = atexit(emergency) == 0;
	install();
	divert_stderr();
	guard.active = 1;
	return 0;
}

void guard_set_restore(const char *bytes, size_t n)
{
	guard.n_restore = n < sizeof guard.restore ? n : 0;
	memcpy(guard.restore, bytes, guard.n_restore);
}

void guard_close(void)
{
	guard.active = 0;
	tcsetattr(guard.tty, TCSADRAIN, &guard.before);
	uninstall();
	return_stderr();
	close(guard.wake[0]);
	close(guard.wake[1]);
	guard.wake[0] = guard.wake[1] = -1;
}

void guard_pause(void)
{
	guard.active = 0;
	return_stderr();
	uninstall();
}

void guard_resume(void)
{
	install();
	divert_stderr();
	guard.active = 1;
}

/* Cleared only when it was seen set, so a signal in between is not lost: what it asks for is done after this. */
static bool take(volatile sig_atomic_t *flag)
{
	bool was = *flag;
	if (was)
		*flag = 0;
	return was;
}

struct guard_flags guard_take_flags(void)
{
	char drain[64];
	while (read(guard.wake[0], drain, sizeof drain) > 0)
		;
	return (struct guard_flags){
		.resized = take(&guard.resized),
		.continued = take(&guard.continued),
		.suspend = take(&guard.suspend),
		.end = guard.end,
	};
}

int guard_wake_fd(void)
{
	return guard.wake[0];
}
