#include "tui/terminal/term.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <curses.h>
#include <utf8proc.h>

#include "tui/terminal/term_guard.h"
#include "tui/terminal/term_info.h"

enum { ESC_DELAY_MS = 50, KEY_PASTE_BEGIN = 0x7001, KEY_PASTE_END = 0x7002 };
#define PASTE_ON "\033[?2004h" /* pasted text comes between two marks; terminals that do not know it ignore it */
#define PASTE_OFF "\033[?2004l"

struct term {
	struct theme theme;
	SCREEN *screen;
	FILE *in;          /* /dev/tty when standard input is something else */
	bool owns_in;
	int colors;        /* that curses has: palette entries, or 2^24 */
	char notice[160];
	struct grid shown; /* what curses was told last */
	bool forget;
	bool pasting;
	bool pending_redraw;
};

/* ---- opening ---- */

/* The charset a flag and the locale ask for; sets LC_CTYPE so that characters have widths. */
static bool charset_is_utf8(const char *flag)
{
	setlocale(LC_CTYPE, "");
	bool locale_is_utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	if (flag && !strcmp(flag, "ascii"))
		return false;
	if (flag && !strcmp(flag, "utf8"))
		return locale_is_utf8 || setlocale(LC_CTYPE, "C.UTF-8");
	return locale_is_utf8;
}

static int check_flags(const struct term_options *o, struct err *e)
{
	if (o->color && !colour_flag_known(o->color))
		return err_set(e, ERR_USE, "colours \"%s\": not one of auto, 24bit, 256, 16, mono", o->color);
	if (o->charset && strcmp(o->charset, "auto") && strcmp(o->charset, "utf8") && strcmp(o->charset, "ascii"))
		return err_set(e, ERR_USE, "charset \"%s\": not one of auto, utf8, ascii", o->charset);
	if (o->background && strcmp(o->background, "auto") && strcmp(o->background, "dark") &&
		strcmp(o->background, "light"))
		return err_set(e, ERR_USE, "background \"%s\": not one of auto, dark, light", o->background);
	return 0;
}

int term_theme_plain(struct theme *out, const struct term_options *o, struct err *e)
{
	if (check_flags(o, e))
		return e ? (int)e->code : ERR_USE;
	struct colour_world w = {.flag = o->color, .terminfo_colors = 1 << 24};
	out->depth = colour_depth(&w);
	out->utf8 = !o->charset || strcmp(o->charset, "ascii");
	out->light = colour_background_is_light(o->background, NULL);
	return 0;
}

static int open_input(struct term *t, struct err *e)
{
	if (!isatty(STDOUT_FILENO))
		return err_set(e, ERR_USE,
			"standard output is not a terminal (kvglass run and kvglass export do the same without a screen)");
	if (isatty(STDIN_FILENO)) {
		t->in = stdin;
		return 0;
	}
	t->in = fopen("/dev/tty", "r+e");
	t->owns_in = t->in != NULL;
	if (!t->in)
		return err_set(e, ERR_USE, "standard input is not a terminal and there is none behind it: %s", strerror(errno));
	return 0;
}

/* The database's entry to start curses with: TERM's own, or for 24 bits a relative of it that has them. */
static void choose_entry(struct term *t, const char *name, int colors, char *entry, size_t entry_bytes)
{
	struct colour_entries direct;
	snprintf(entry, entry_bytes, "%s", name);
	if (t->theme.depth != DEPTH_RGB || colors >= 1 << 24)
		return;
	colour_direct_entries(name, getenv("TMUX"), &direct);
	for (int i = 0; i < direct.n; i++) {
		if (term_info_is_direct(direct.name[i])) {
			snprintf(entry, entry_bytes, "%s", direct.name[i]);
			return;
		}
	}
	snprintf(t->notice, sizeof t->notice,
		"no 24-bit entry for %s in the terminal database: fewer colours (install ncurses-term)", name);
}

/* The depth that curses really has: it decides, whatever was asked. */
static void settle_colours(struct term *t)
{
	t->colors = 0;
	if (t->theme.depth != DEPTH_MONO && has_colors() && start_color() == OK && use_default_colors() == OK)
		t->colors = COLORS;
	enum depth most = colour_depth_of(t->colors);
	if (t->theme.depth > most) {
		if (!*t->notice)
			snprintf(t->notice, sizeof t->notice, "this terminal has %d colours", t->colors);
		t->theme.depth = most;
	}
	if (t->theme.depth == DEPTH_MONO)
		t->colors = 0;
}

/* Everything that full-screen mode changed, undone, for an end that curses does not see. */
static void prepare_restore(void)
{
	static const char modes_off[] = "\033[?1006l\033[?1003l\033[?1000l" PASTE_OFF; /* mouse, paste */
	char bytes[400];
	size_t n = sizeof modes_off - 1;
	memcpy(bytes, modes_off, n);
	n += term_info_restore(bytes + n, sizeof bytes - n - 1);
	bytes[n++] = '\n';
	guard_set_restore(bytes, n);
}

static void send(const char *s)
{
	(void)!write(STDOUT_FILENO, s, strlen(s));
}

static int start_curses(struct term *t, const char *entry, struct err *e)
{
	t->screen = newterm(entry, stdout, t->in);
	if (!t->screen)
		return err_set(e, ERR_SYSTEM, "terminal \"%s\": curses cannot start on it", entry);
	set_term(t->screen);
	settle_colours(t);
	raw();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESC_DELAY_MS);
	curs_set(0);
	define_key("\033[200~", KEY_PASTE_BEGIN);
	define_key("\033[201~", KEY_PASTE_END);
	mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED | BUTTON_CTRL, NULL);
	mouseinterval(0);
	prepare_restore();
	send(PASTE_ON);
	return 0;
}

int term_open(struct term **out, const struct term_options *o, struct err *e)
{
	const char *name = getenv("TERM");
	char entry[128];
	struct colour_world w = {.flag = o->color, .no_color = getenv("NO_COLOR"), .colorterm = getenv("COLORTERM"),
		.term = name,
		.tmux = getenv("TMUX")};
	struct term *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_MEMORY, "terminal: out of memory");
	int rc = check_flags(o, e);
	if (!rc)
		rc = open_input(t, e);
	if (!rc)
		rc = term_info_probe(name, &w.terminfo_colors, e);
	if (rc)
		goto failed;
	t->theme.depth = colour_depth(&w);
	t->theme.light = colour_background_is_light(o->background, getenv("COLORFGBG"));
	t->theme.utf8 = charset_is_utf8(o->charset);
	choose_entry(t, name, w.terminfo_colors, entry, sizeof entry);
	rc = guard_open(fileno(t->in), e);
	if (rc)
		goto failed;
	rc = start_curses(t, entry, e);
	if (rc) {
		guard_close();
		goto failed;
	}
	t->forget = true;
	*out = t;
	return 0;
failed:
	if (t->owns_in)
		fclose(t->in);
	free(t);
	return rc;
}

/* Leaves an empty screen behind: tmux, when its window was resized meanwhile, brings lines of it back among the
 * shell's. */
static void leave_full_screen(void)
{
	send(PASTE_OFF);
	erase();
	refresh();
	endwin();
}

void term_close(struct term *t)
{
	if (!t)
		return;
	leave_full_screen();
	delscreen(t->screen);
	guard_close();
	if (t->owns_in)
		fclose(t->in);
	grid_free(&t->shown);
	free(t);
}

const struct theme *term_theme(const struct term *t)
{
	return &t->theme;
}

const char *term_notice(const struct term *t)
{
	return *t->notice ? t->notice : NULL;
}

void term_size(const struct term *t, int *rows, int *cols)
{
	(void)t;
	getmaxyx(stdscr, *rows, *cols);
}

/* ---- drawing ---- */

/* A colour's number for curses. In 24-bit entries 0 .. 7 are the palette's: those eight nearly black blues become
 * their neighbour. */
static int colour_number(const struct term *t, uint32_t colour, attr_t *attr, bool fg)
{
	if (colour == COLOUR_DEFAULT)
		return -1;
	if (!(colour & COLOUR_PALETTE))
		return colour < 8 ? 8 : (int)colour;
	int n = (int)(colour & 0xff);
	if (n < 8 || n >= 16 || t->colors >= 16)
		return n;
	if (!fg)
		return n - 8;
	*attr |= n == 8 ? A_DIM : A_BOLD; /* eight colours: bright is bold; but bold black is black on many */
	return n == 8 ? -1 : n - 8;
}

static attr_t curses_attributes(uint32_t attr)
{
	return (attr & ATTR_BOLD ? A_BOLD : 0) | (attr & ATTR_DIM ? A_DIM : 0) | (attr & ATTR_UNDERLINE ? A_UNDERLINE : 0) |
		(attr & ATTR_REVERSE ? A_REVERSE : 0) | (attr & ATTR_ITALIC ? A_ITALIC : 0);
}

/* alloc_pair() finds a pair that is there and gives the least recently used one away when the table is full. */
static int pair_for(const struct term *t, const struct style *s, attr_t *attr)
{
	if (t->colors == 0)
		return 0;
	int fg = colour_number(t, s->fg, attr, true), bg = colour_number(t, s->bg, attr, false);
	int pair = fg < 0 && bg < 0 ? 0 : alloc_pair(fg, bg);
	return pair < 0 ? 0 : pair;
}

/* The glyph as wide characters; false when the C library would give its base another width than the grid did. */
static bool widen(const struct cell *c, wchar_t out[CCHARW_MAX + 1])
{
	int n = 0;
	const utf8proc_uint8_t *s = (const utf8proc_uint8_t *)c->glyph;
	while (*s && n < CCHARW_MAX) {
		utf8proc_int32_t code;
		utf8proc_ssize_t used = utf8proc_iterate(s, -1, &code);
		if (used <= 0 || (n > 0 && wcwidth((wchar_t)code) != 0))
			break;
		out[n++] = (wchar_t)code;
		s += used;
	}
	out[n] = L'\0';
	return n > 0 && wcwidth(out[0]) == (int)c->width;
}

static void put_cell(const struct term *t, int row, int col, const struct cell *c)
{
	wchar_t wide[CCHARW_MAX + 1];
	cchar_t out;
	attr_t attr = curses_attributes(c->style.attr);
	int pair = pair_for(t, &c->style, &attr);
	bool fits = widen(c, wide);
	if (!fits)
		wcscpy(wide, L"?");
	setcchar(&out, wide, attr, 0, &pair);
	mvadd_wchnstr(row, col, &out, 1);
	if (!fits && c->width == 2)
		mvadd_wchnstr(row, col + 1, &out, 1);
}

static bool same_cell(const struct cell *a, const struct cell *b)
{
	return !memcmp(a, b, sizeof *a); /* no padding in it, and glyphs are zero behind their end */
}

static void place_cursor(const struct grid *g)
{
	if (g->cursor_row < 0) {
		curs_set(0);
		return;
	}
	curs_set(1);
	move(g->cursor_row, g->cursor_col);
}

void term_show(struct term *t, const struct grid *g)
{
	int rows, cols;
	getmaxyx(stdscr, rows, cols);
	if (t->shown.rows != g->rows || t->shown.cols != g->cols)
		t->forget = true;
	if (t->forget && grid_resize(&t->shown, g->rows, g->cols)) {
		erase();
		clearok(curscr, TRUE);
	}
	for (int row = 0; row < g->rows && row < rows; row++) {
		for (int col = 0; col < g->cols && col < cols; col++) {
			const struct cell *c = grid_at(g, row, col);
			struct cell *old = grid_at(&t->shown, row, col);
			if (old && !t->forget && same_cell(c, old))
				continue;
			if (c->width)
				put_cell(t, row, col, c);
			if (old)
				*old = *c;
		}
	}
	t->forget = false;
	place_cursor(g);
	wnoutrefresh(stdscr);
	doupdate();
}

void term_forget(struct term *t)
{
	t->forget = true;
}

/* ---- input ---- */

void term_wait(struct term *t, int fd, int timeout_ms)
{
	struct pollfd p[3] = {
		{.fd = fileno(t->in), .events = POLLIN},
		{.fd = guard_wake_fd(), .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};
	poll(p, 3, timeout_ms);
	if (p[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		raise(SIGHUP); /* the terminal is gone; nobody else may tell us */
}

static void follow_size(void)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		resizeterm(size.ws_row, size.ws_col);
}

static bool event_from_signals(struct term *t, struct event *out)
{
	struct guard_flags f = guard_take_flags();
	if (f.end) {
		*out = (struct event){.kind = EVENT_SIGNAL, .signal = f.end};
		return true;
	}
	if (f.suspend)
		term_suspend(t);
	if (f.continued) {
		reset_prog_mode();
		t->pending_redraw = true;
	}
	if (f.resized || t->pending_redraw)
		follow_size();
	if (t->pending_redraw || f.resized) {
		t->forget |= t->pending_redraw;
		*out = (struct event){.kind = f.resized ? EVENT_RESIZE : EVENT_REDRAW};
		t->pending_redraw = false;
		return true;
	}
	return false;
}

static int key_from_curses(wint_t code)
{
	static const struct {
		wint_t code;
		int key;
	} table[] = {
		{KEY_UP, K_UP}, {KEY_DOWN, K_DOWN}, {KEY_LEFT, K_LEFT}, {KEY_RIGHT, K_RIGHT}, {KEY_PPAGE, K_PAGE_UP},
		{KEY_NPAGE, K_PAGE_DOWN}, {KEY_HOME, K_HOME}, {KEY_FIND, K_HOME}, {KEY_END, K_END}, {KEY_SELECT, K_END},
		{KEY_ENTER, K_ENTER}, {KEY_BTAB, K_BACK_TAB}, {KEY_BACKSPACE, K_BACKSPACE}, {KEY_DC, K_DELETE},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].code == code)
			return table[i].key;
	if (code >= KEY_F(1) && code <= KEY_F(12))
		return K_F1 + (int)(code - KEY_F(1));
	return K_NONE;
}

static int key_from_char(wint_t c)
{
	switch (c) {
	case '\r': return K_ENTER;
	case '\t': return K_TAB;
	case 27: return K_ESCAPE;
	case 127: return K_BACKSPACE;
	default: return c < K_NONE ? (int)c : K_NONE;
	}
}

/* After an escape that curses did not recognise: Alt with a key, or a sequence nobody told it about. Its bytes must
 * not be taken for keys, so they are dropped. Returns whether there were any. */
static bool drop_escape_sequence(void)
{
	wint_t c;
	if (get_wch(&c) != OK)
		return false;
	if (c == '[' || c == 'O')
		while (get_wch(&c) == OK && (c < 0x40 || c > 0x7e))
			;
	return true;
}

static bool mouse_event(struct event *out)
{
	MEVENT m;
	if (getmouse(&m) != OK)
		return false;
	*out = (struct event){.row = m.y, .col = m.x, .control = (m.bstate & BUTTON_CTRL) != 0};
	if (m.bstate & BUTTON4_PRESSED) {
		out->kind = EVENT_WHEEL;
		out->wheel = -1;
	} else if (m.bstate & BUTTON5_PRESSED) {
		out->kind = EVENT_WHEEL;
		out->wheel = 1;
	} else if (m.bstate & BUTTON1_PRESSED) {
		out->kind = EVENT_CLICK;
	}
	return out->kind != EVENT_NONE;
}

static bool event_from_code(struct term *t, wint_t code, struct event *out)
{
	if (code == KEY_PASTE_BEGIN || code == KEY_PASTE_END) {
		t->pasting = code == KEY_PASTE_BEGIN;
		return false;
	}
	if (code == KEY_MOUSE)
		return mouse_event(out);
	*out = (struct event){.kind = EVENT_KEY, .key = key_from_curses(code)};
	return out->key != K_NONE;
}

bool term_next(struct term *t, struct event *out)
{
	if (event_from_signals(t, out))
		return true;
	for (;;) {
		wint_t c;
		int kind = get_wch(&c);
		if (kind == ERR)
			return false;
		if (kind == KEY_CODE_YES) {
			if (event_from_code(t, c, out))
				return true;
			continue;
		}
		if (c == 27 && !t->pasting && drop_escape_sequence())
			continue;
		*out = (struct event){.kind = EVENT_KEY, .key = key_from_char(c), .pasted = t->pasting};
		return true;
	}
}

void term_lend(struct term *t)
{
	(void)t;
	leave_full_screen();
	guard_pause();
}

void term_take_back(struct term *t)
{
	guard_resume();
	send(PASTE_ON);
	reset_prog_mode();
	follow_size();
	t->pending_redraw = true;
	guard_take_flags();
}

void term_suspend(struct term *t)
{
	term_lend(t);
	kill(0, SIGTSTP); /* the whole job, as the terminal's own ^Z does: a make that waits for us stops too */
	term_take_back(t);
}
