#include "tui/editor.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/utf8.h"

enum { MOST_BYTES = 64 << 20 };

static void become_editor(const char *path)
{
	static const int own[] = {SIGINT, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		signal(own[i], SIG_DFL);
	execl("/bin/sh", "sh", "-c", "exec ${VISUAL:-${EDITOR:-vi}} \"$1\"", "sh", path, (char *)NULL);
	_exit(127);
}

/* ^C and ^\ in the editor are the editor's. */
static int wait_for(pid_t child, int *status)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old_int, old_quit;
	pid_t ended;
	sigaction(SIGINT, &ignore, &old_int);
	sigaction(SIGQUIT, &ignore, &old_quit);
	do
		ended = waitpid(child, status, 0);
	while (ended < 0 && errno == EINTR);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGQUIT, &old_quit, NULL);
	return ended < 0 ? errno : 0;
}

static int run_editor(const char *path, struct err *e)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0)
		become_editor(path);
	int failed = child < 0 ? errno : wait_for(child, &status);
	if (failed)
		return err_set(e, ERR_SYSTEM, "starting the editor: %s", strerror(failed));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_SYSTEM, "there is no such editor: VISUAL or EDITOR names one");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, ERR_SYSTEM, "the editor failed: the prompt is as before");
	return 0;
}

static int write_text(int fd, const char *path, const char *text, struct err *e)
{
	size_t n = strlen(text);
	while (n) {
		ssize_t done = write(fd, text, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return err_set(e, ERR_SYSTEM, "%s: %s", path, strerror(errno));
		text += done;
		n -= (size_t)done;
	}
	return 0;
}

static int read_text(char **text, const char *path, struct err *e)
{
	char *left;
	size_t n;
	int rc = file_read_all(path, MOST_BYTES, &left, &n, e);
	if (rc)
		return rc;
	bool ended = **text && (*text)[strlen(*text) - 1] == '\n';
	if (strlen(left) != n || utf8_first_invalid(left, n) != n) {
		free(left);
		return err_set(e, ERR_FORMAT, "what the editor left is not valid UTF-8 text: the prompt is as before");
	}
	if (!ended && n && left[n - 1] == '\n')
		left[n - 1] = '\0';
	free(*text);
	*text = left;
	return 0;
}

int editor_edit(char **text, struct err *e)
{
	char path[400];
	const char *folder = getenv("TMPDIR");
	snprintf(path, sizeof path, "%.300s/kvglass-prompt-XXXXXX.txt", folder && *folder ? folder : "/tmp");
	int fd = mkstemps(path, (int)strlen(".txt"));
	if (fd < 0)
		return err_set(e, ERR_SYSTEM, "%s: no temporary file can be made there: %s", path, strerror(errno));
	int rc = write_text(fd, path, *text, e);
	close(fd);
	if (!rc)
		rc = run_editor(path, e);
	if (!rc)
		rc = read_text(text, path, e);
	unlink(path);
	return rc;
}
