/* The terminal itself, on a pseudo-terminal: what it is sent, and that it is given back whatever happens. Each case
 * runs in a child, as a user's shell would start it. */
#include "tui/terminal/term.h"
#include "tests/support/test.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

struct session {
	pid_t child;
	int master;
	struct termios before;
	char *output;
	size_t n, room;
	int status;
	bool ended;
};

static void keep(struct session *s, const char *bytes, size_t n)
{
	if (s->n + n + 1 > s->room) {
		s->room = 2 * (s->n + n + 1);
		s->output = realloc(s->output, s->room);
	}
	memcpy(s->output + s->n, bytes, n);
	s->n += n;
	s->output[s->n] = '\0';
}

/* Reads what comes for a while, or until text has come or the child is gone. Returns whether the text was there. */
static bool read_until(struct session *s, const char *text, int timeout_ms)
{
	struct timespec begin, now;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		char bytes[4096];
		struct pollfd p = {.fd = s->master, .events = POLLIN};
		if (text && s->n && memmem(s->output, s->n, text, strlen(text)))
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (1000 * (now.tv_sec - begin.tv_sec) + (now.tv_nsec - begin.tv_nsec) / 1000000 > timeout_ms)
			return false;
		if (poll(&p, 1, 50) > 0) {
			ssize_t n = read(s->master, bytes, sizeof bytes);
			if (n <= 0)
				return false;
			keep(s, bytes, (size_t)n);
		}
	}
}

static void (*body)(struct term *t); /* of the child */

static void child_main(const char *term_name, const char *colorterm)
{
	struct term *t;
	struct err e;
	struct term_options o = {.charset = "utf8"};
	setenv("TERM", term_name, 1);
	if (colorterm)
		setenv("COLORTERM", colorterm, 1);
	else
		unsetenv("COLORTERM");
	unsetenv("NO_COLOR");
	unsetenv("TMUX");
	if (term_open(&t, &o, &e)) {
		printf("refused: %s\n", e.text);
		fflush(stdout);
		_exit(3);
	}
	body(t);
	term_close(t);
	_exit(0);
}

static void start(struct session *s, const char *term_name, const char *colorterm, void (*run)(struct term *))
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	int slave;
	memset(s, 0, sizeof *s);
	body = run;
	CHECK_INT(openpty(&s->master, &slave, NULL, NULL, &size), 0);
	tcgetattr(slave, &s->before);
	s->child = fork();
	if (s->child == 0) {
		close(s->master);
		login_tty(slave);
		child_main(term_name, colorterm);
	}
	close(slave);
}

/* Waits for the child; then looks at the terminal through the master, which shares its settings. */
static void finish(struct session *s)
{
	read_until(s, NULL, 300);
	for (int i = 0; i < 100 && !s->ended; i++) {
		s->ended = waitpid(s->child, &s->status, WNOHANG) == s->child;
		if (!s->ended) {
			read_until(s, NULL, 20);
			nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		}
	}
	read_until(s, NULL, 50); /* what it said last */
	if (!s->ended) {
		kill(s->child, SIGKILL);
		waitpid(s->child, &s->status, 0);
		test_fail(__FILE__, __LINE__, "the child did not end");
	}
}

static void check_restored(struct session *s)
{
	struct termios after;
	CHECK_INT(tcgetattr(s->master, &after), 0);
	CHECK(after.c_lflag == s->before.c_lflag);
	CHECK(after.c_iflag == s->before.c_iflag);
	CHECK(after.c_oflag == s->before.c_oflag);
	/* alternate screen left after it was entered, cursor shown, mouse and paste modes off: in this order of time */
	const char *in = strstr(s->output, "\033[?1049h"), *out = NULL;
	for (const char *at = in; at && (at = strstr(at, "\033[?1049l")); at++)
		out = at;
	CHECK(in != NULL);
	CHECK(out != NULL);
	const char *paste = NULL;
	for (const char *at = s->output; (at = strstr(at, "\033[?2004l")); at++)
		paste = at;
	CHECK(paste != NULL);
	CHECK(strstr(s->output, "\033[?25h") != NULL);
	close(s->master);
	free(s->output);
}

static void show(struct term *t, const char *text)
{
	struct grid g = {0};
	int rows, cols;
	term_size(t, &rows, &cols);
	grid_resize(&g, rows, cols);
	struct style s = theme_on_level(term_theme(t), RAMP_VIRIDIS, 1, style_plain);
	grid_text(&g, grid_whole(&g), 2, 3, s, text);
	term_show(t, &g);
	grid_free(&g);
}

static void body_wait_for_end(struct term *t)
{
	struct event event = {0};
	show(t, "ready");
	while (event.kind != EVENT_SIGNAL) {
		term_wait(t, -1, 1000);
		while (term_next(t, &event) && event.kind != EVENT_SIGNAL)
			;
	}
}

static void body_show(struct term *t)
{
	show(t, "ready \xe4\xbd\xa0 e\xcc\x81 end");
}

static void body_crash(struct term *t)
{
	show(t, "ready");
	fprintf(stderr, "a library spoke\n");
	signal(SIGABRT, SIG_DFL); /* whatever handlers there are, the fault is what counts */
	raise(SIGSEGV);
}

static void body_abort(struct term *t)
{
	show(t, "ready");
	abort();
}

static void body_exit(struct term *t)
{
	show(t, "ready");
	exit(7);
}

static void body_speak(struct term *t)
{
	show(t, "ready");
	fprintf(stderr, "a library spoke\n");
	show(t, "later");
}

TEST(term, a_good_end_gives_everything_back)
{
	struct session s;
	start(&s, "xterm-256color", "truecolor", body_show);
	finish(&s);
	CHECK(WIFEXITED(s.status) && WEXITSTATUS(s.status) == 0);
	char brightest[40];
	uint32_t rgb = ramp_rgb(RAMP_VIRIDIS, 1);
	snprintf(brightest, sizeof brightest, "48:2::%u:%u:%u", rgb >> 16, rgb >> 8 & 255, rgb & 255);
	CHECK(strstr(s.output, brightest) != NULL);
	CHECK(strstr(s.output, "\xe4\xbd\xa0") != NULL);
	CHECK(strstr(s.output, "e\xcc\x81") != NULL);
	check_restored(&s);
}

TEST(term, colours_follow_what_the_terminal_can)
{
	struct session s;
	start(&s, "xterm-256color", NULL, body_show);
	finish(&s);
	CHECK(strstr(s.output, "8:2:") == NULL && strstr(s.output, "8;2;") == NULL);
	CHECK(strstr(s.output, "48;5;226") != NULL);
	check_restored(&s);
}

TEST(term, signals_that_end_give_it_back)
{
	static const int number[] = {SIGTERM, SIGHUP, SIGINT};
	for (int i = 0; i < 3; i++) {
		struct session s;
		start(&s, "xterm-256color", "truecolor", body_wait_for_end);
		CHECK(read_until(&s, "ready", 5000));
		kill(s.child, number[i]);
		finish(&s);
		CHECK(WIFEXITED(s.status));
		check_restored(&s);
	}
}

TEST(term, a_crash_gives_it_back_and_shows_what_was_said)
{
	struct session s;
	start(&s, "xterm-256color", "truecolor", body_crash);
	finish(&s);
	CHECK(!WIFEXITED(s.status) || WEXITSTATUS(s.status) != 0); /* killed, or reported by a sanitizer */
	const char *said = strstr(s.output, "a library spoke"), *out = strstr(s.output, "\033[?1049l");
	CHECK(said && out && said > out);
	check_restored(&s);
	start(&s, "xterm-256color", "truecolor", body_abort);
	finish(&s);
	CHECK(WIFSIGNALED(s.status) && WTERMSIG(s.status) == SIGABRT);
	check_restored(&s);
}

TEST(term, exit_from_anywhere_gives_it_back)
{
	struct session s;
	start(&s, "xterm-256color", "truecolor", body_exit);
	finish(&s);
	CHECK(WIFEXITED(s.status) && WEXITSTATUS(s.status) == 7);
	check_restored(&s);
}

TEST(term, libraries_do_not_write_over_the_screen)
{
	struct session s;
	start(&s, "xterm-256color", "truecolor", body_speak);
	finish(&s);
	const char *said = strstr(s.output, "a library spoke"), *later = strstr(s.output, "later"),
		*out = strstr(s.output, "\033[?1049l");
	CHECK(said && later && out && later < out && out < said);
	check_restored(&s);
}

/* ---- events ---- */

static void report(const char *text)
{
	(void)!write(STDOUT_FILENO, text, strlen(text));
}

static void body_report_keys(struct term *t)
{
	struct event event;
	char name[16], line[64];
	show(t, "ready");
	for (bool on = true; on; term_wait(t, -1, 1000)) {
		while (on && term_next(t, &event)) {
			*line = '\0';
			if (event.kind == EVENT_KEY)
				snprintf(line, sizeof line, "<%s%s>", event.pasted ? "pasted " : "", event_key_name(event.key, name));
			else if (event.kind == EVENT_CLICK)
				snprintf(line, sizeof line, "<click %d %d>", event.row, event.col);
			else if (event.kind == EVENT_WHEEL)
				snprintf(line, sizeof line, "<wheel %d>", event.wheel);
			else if (event.kind == EVENT_RESIZE) {
				int rows, cols;
				term_size(t, &rows, &cols);
				snprintf(line, sizeof line, "<size %d %d>", rows, cols);
			}
			report(line);
			on = event.kind != EVENT_SIGNAL && !(event.kind == EVENT_KEY && event.key == 'Q' && !event.pasted);
		}
		if (!on)
			break;
	}
}

static void send_keys(struct session *s, const char *bytes, const char *want)
{
	(void)!write(s->master, bytes, strlen(bytes));
	if (!read_until(s, want, 5000))
		test_fail(__FILE__, __LINE__, "%s did not come", want);
}

TEST(term, keys_mouse_paste_and_size_become_events)
{
	struct session s;
	start(&s, "xterm-256color", "truecolor", body_report_keys);
	CHECK(read_until(&s, "ready", 5000));
	send_keys(&s, "x", "<x>");
	send_keys(&s, "\033OA", "<Up>");
	send_keys(&s, "\033[6~", "<PgDn>");
	send_keys(&s, "\033[Z", "<S-Tab>");
	send_keys(&s, "\r", "<Enter>");
	send_keys(&s, "\n", "<^J>");
	send_keys(&s, "\x03", "<^C>");
	send_keys(&s, "\x7f", "<BS>");
	send_keys(&s, "\xc3\xa9", "<\xc3\xa9>");
	send_keys(&s, "\033", "<Esc>");
	send_keys(&s, "\033OP", "<F1>");
	send_keys(&s, "\033[200~aQ\033[201~", "<pasted Q>"); /* pasted text commands nothing */
	send_keys(&s, "\033[<0;11;6M\033[<0;11;6m", "<click 5 10>");
	send_keys(&s, "\033[<64;11;6M", "<wheel -1>");
	send_keys(&s, "\033[<65;11;6M", "<wheel 1>");
	size_t before = s.n;
	send_keys(&s, "\033[27;5;9~y", "<y>"); /* a sequence nobody knows types nothing */
	CHECK(!memmem(s.output + before, s.n - before, "<9>", 3) && !memmem(s.output + before, s.n - before, "<[>", 3));
	struct winsize size = {.ws_row = 40, .ws_col = 132};
	ioctl(s.master, TIOCSWINSZ, &size);
	CHECK(read_until(&s, "<size 40 132>", 5000));
	for (unsigned short i = 1; i < 60; i++) { /* a storm */
		size = (struct winsize){.ws_row = i, .ws_col = (unsigned short)(200 - i)};
		ioctl(s.master, TIOCSWINSZ, &size);
	}
	CHECK(read_until(&s, "<size 59 141>", 5000));
	(void)!write(s.master, "Q", 1);
	finish(&s);
	CHECK(WIFEXITED(s.status) && WEXITSTATUS(s.status) == 0);
	check_restored(&s);
}

/* In the way that tmux sends them, in one place and in others. */
TEST(term, no_click_is_lost)
{
	struct session s;
	int n = 0;
	start(&s, "tmux-256color", "truecolor", body_report_keys);
	CHECK(read_until(&s, "ready", 5000));
	for (int i = 0; i < 6; i++) {
		(void)!write(s.master, i % 2 ? "\033[M M%" : "\033[M 5&", 6);
		usleep(4 * 1000);
		(void)!write(s.master, i % 2 ? "\033[M#M%" : "\033[M#5&", 6);
		usleep(60 * 1000);
	}
	(void)!write(s.master, "Q", 1);
	finish(&s);
	for (const char *at = s.output; (at = memmem(at, s.n - (size_t)(at - s.output), "<click 5 20>", 12)); at++)
		n++;
	CHECK_INT(n, 3);
	check_restored(&s);
}

static void body_suspend(struct term *t)
{
	show(t, "ready");
	signal(SIGTTOU, SIG_IGN);
	term_suspend(t);
	struct event event;
	report(term_next(t, &event) && (event.kind == EVENT_REDRAW || event.kind == EVENT_RESIZE) ? "<back>" : "<lost>");
	show(t, "again");
}

static void fill(struct term *t, char sign, int odd_col)
{
	struct grid g = {0};
	int rows, cols;
	term_size(t, &rows, &cols);
	grid_resize(&g, rows, cols);
	for (int row = 0; row < rows; row++)
		for (int col = 0; col < cols; col++)
			grid_text(&g, grid_whole(&g), row, col, theme_on_level(term_theme(t), RAMP_VIRIDIS, (float)col / (float)cols, style_plain),
				(char[]){(char)(col == odd_col && row == 5 ? '#' : sign), '\0'});
	term_show(t, &g);
	grid_free(&g);
}

static void body_move(struct term *t)
{
	fill(t, '.', 10);
	fputs("[one]", stdout);
	fflush(stdout);
	fill(t, '.', 10); /* the same again */
	fputs("[two]", stdout);
	fflush(stdout);
	fill(t, '.', 11); /* two cells differ */
	fputs("[three]", stdout);
	fflush(stdout);
	term_forget(t);
	fill(t, '.', 11);
	fputs("[four]", stdout);
	fflush(stdout);
}

/* Over a slow link what matters is how much is sent: nothing for the same frame, two cells for a cursor that moved. */
TEST(term, a_frame_sends_only_what_changed)
{
	struct session s;
	start(&s, "xterm-256color", "truecolor", body_move);
	finish(&s);
	const char *one = strstr(s.output, "[one]"), *two = strstr(s.output, "[two]"), *three = strstr(s.output, "[three]"),
		*four = strstr(s.output, "[four]");
	CHECK(one && two && three && four);
	if (one && two && three && four) {
		CHECK(one - s.output > 24 * 80);
		CHECK_INT(two - one, (int)strlen("[one]"));
		CHECK(three - two > 0 && three - two < 200);
		CHECK(four - three > 24 * 80); /* ^L sends everything */
	}
	check_restored(&s);
}

TEST(term, suspending_gives_it_to_the_shell_and_comes_back)
{
	struct session s;
	start(&s, "xterm-256color", "truecolor", body_suspend);
	CHECK(read_until(&s, "ready", 5000));
	/* the child leads its own session: there is no shell to stop for, so the system lets it go on at once */
	CHECK(read_until(&s, "<back>", 5000));
	finish(&s);
	const char *out = strstr(s.output, "\033[?1049l"), *in = strstr(s.output, "\033[?1049h");
	CHECK(in && out && in < out && strstr(out, "\033[?1049h") != NULL); /* entered, left, entered again */
	CHECK(WIFEXITED(s.status) && WEXITSTATUS(s.status) == 0);
	check_restored(&s);
}

/* ---- what cannot be used ---- */

TEST(term, useless_terminals_are_refused_by_name)
{
	static const char *const name[] = {"dumb", "no-such-terminal", ""};
	static const char *const word[] = {"dumb", "no-such-terminal", "TERM is not set"};
	for (int i = 0; i < 3; i++) {
		struct session s;
		start(&s, name[i], NULL, body_show);
		finish(&s);
		CHECK(WIFEXITED(s.status) && WEXITSTATUS(s.status) == 3);
		CHECK(s.output && strstr(s.output, word[i]) != NULL);
		CHECK(s.output && strchr(s.output, '\033') == NULL);
		close(s.master);
		free(s.output);
	}
}

TEST(term, flags_are_checked)
{
	struct theme theme;
	struct err e;
	CHECK_INT(term_theme_plain(&theme, &(struct term_options){.color = "many"}, &e), ERR_USE);
	CHECK(strstr(e.text, "many") != NULL);
	CHECK_INT(term_theme_plain(&theme, &(struct term_options){.charset = "latin1"}, &e), ERR_USE);
	CHECK_INT(term_theme_plain(&theme, &(struct term_options){.background = "grey"}, &e), ERR_USE);
	CHECK_INT(term_theme_plain(&theme, &(struct term_options){.color = "256", .charset = "ascii",
		.background = "light"}, &e), 0);
	CHECK(theme.depth == DEPTH_256 && !theme.utf8 && theme.light);
	CHECK_INT(term_theme_plain(&theme, &(struct term_options){0}, &e), 0);
	CHECK(theme.depth == DEPTH_RGB && theme.utf8 && !theme.light);
}

TEST(term, what_is_copied_goes_once_to_the_terminal_and_once_through_tmux)
{
	char *plain = term_copy_sequence("h\xc3\xa9\n", 4, false), *twice = term_copy_sequence("h\xc3\xa9\n", 4, true);
	CHECK_STR(plain, "\033]52;c;aMOpCg==\a");
	CHECK_STR(twice, "\033]52;c;aMOpCg==\a\033Ptmux;\033\033]52;c;aMOpCg==\a\033\\");
	free(plain);
	free(twice);
}
