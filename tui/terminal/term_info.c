#include "tui/terminal/term_info.h"

#include <unistd.h>

#include <curses.h>
#include <term.h>

static bool is_text(const char *capability)
{
	return capability && capability != (const char *)-1;
}

int term_info_probe(const char *name, int *colors, struct err *e)
{
	int status = 0;
	if (!name || !*name)
		return err_set(e, ERR_USE, "TERM is not set: which terminal is this? (try TERM=xterm-256color)");
	if (setupterm(name, STDOUT_FILENO, &status) == ERR && status != 1)
		return err_set(e, ERR_USE,
			"terminal \"%s\" (TERM) is not in this machine's terminal database (try TERM=xterm-256color)", name);
	bool moves = is_text(tigetstr("cup"));
	*colors = tigetnum("colors");
	del_curterm(cur_term);
	if (!moves)
		return err_set(e, ERR_USE, "terminal \"%s\" (TERM) cannot place its cursor: no screen can be drawn on it",
			name);
	return 0;
}

bool term_info_is_direct(const char *name)
{
	int status = 0;
	if (setupterm(name, STDOUT_FILENO, &status) == ERR)
		return false;
	int colors = tigetnum("colors");
	del_curterm(cur_term);
	return colors >= 1 << 24;
}

/* tputs() hands over one character at a time and passes no context: the one place where a static is the interface's
 * fault. */
static struct {
	char *bytes;
	size_t n, size;
} sink;

static int collect(int c)
{
	if (sink.n < sink.size)
		sink.bytes[sink.n] = (char)c;
	sink.n++;
	return c;
}

size_t term_info_restore(char *out, size_t out_bytes)
{
	static const char *const capability[] = {"sgr0", "op", "cnorm", "rmkx", "rmcup"};
	sink.bytes = out;
	sink.size = out_bytes;
	sink.n = 0;
	for (size_t i = 0; i < sizeof capability / sizeof *capability; i++) {
		const char *s = tigetstr(capability[i]);
		if (is_text(s))
			tputs(s, 1, collect);
	}
	return sink.n <= out_bytes ? sink.n : 0;
}
