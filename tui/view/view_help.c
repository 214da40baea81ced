/* Help: the keys of the screen it was called from, and how to read it. */
#include "tui/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/app.h"
#include "tui/typed.h"
#include "tui/view/frame.h"
#include "tui/draw/layout.h"
#include "tui/draw/glyph.h"

struct help {
	int first; /* line scrolled to */
	int n_lines, n_shown;
};

static int help_open(struct app *app, void **state, struct err *e)
{
	(void)app;
	*state = calloc(1, sizeof(struct help));
	return *state ? 0 : (int)err_set(e, ERR_MEMORY, "help: out of memory");
}

static void help_close(void *state)
{
	free(state);
}

/* Text that flows from one column into the next where there is room for several. */
struct page {
	struct app *app;
	struct grid *g;
	struct rect r;
	int n_column;
	int first, line;
};

enum { COLUMN_COLS = 79 };

/* Where the present line stands; without columns when it is scrolled off. */
static struct rect line_of(const struct page *p)
{
	int at = p->line - p->first, column = at < 0 ? -1 : at / p->r.rows, cols = p->r.cols / p->n_column;
	return column < 0 || column >= p->n_column ? (struct rect){0} : rect_sub(p->r, at % p->r.rows, column * cols, 1, cols);
}

static void put_line(struct page *p, int col, struct style s, const char *text)
{
	struct rect line = line_of(p);
	if (line.cols > 0)
		grid_text_cut(p->g, line, 0, col, line.cols - col - 1, s, text);
}

/* Broken between words, every line from the same column on; ends on its last line. */
static void put_words(struct page *p, int left, struct style s, const char *text)
{
	int room = p->r.cols / p->n_column - left - 2, col = 0;
	for (const char *word = text; *word;) {
		size_t n = strcspn(word, " ");
		int width = glyph_width(word, n);
		if (col > 0 && col + 1 + width > room) {
			p->line++;
			col = 0;
		}
		struct rect line = line_of(p);
		col += col > 0;
		if (line.cols > 0)
			grid_bytes(p->g, line, 0, left + col, s, word, n);
		col += width;
		word += n + strspn(word + n, " ");
	}
}

static void put_prose(struct page *p, const char *const *paragraph)
{
	for (; *paragraph; paragraph++, p->line += 2)
		put_words(p, 3, style_plain, *paragraph);
}

static void say_keys(const struct action *a, char *out, size_t out_bytes)
{
	char name[16];
	int at = 0, n = 0;
	*out = '\0';
	for (int key = action_next_key(a, &at); key != K_NONE; key = action_next_key(a, &at))
		n += snprintf(out + n, out_bytes - (size_t)n, "%s%s", n ? " " : "", event_key_sign(key, name));
}

static void put_group(struct page *p, enum action_group group, unsigned where)
{
	int n;
	bool titled = false;
	const struct action *list = action_list(&n);
	for (int i = 0; i < n; i++) {
		char keys[64];
		if (list[i].group != group || !(list[i].views & where))
			continue;
		if (!titled)
			put_line(p, 1, theme_style(&p->app->theme, ROLE_STRONG), action_group_title(group));
		p->line += !titled;
		titled = true;
		say_keys(&list[i], keys, sizeof keys);
		put_line(p, 3, theme_style(&p->app->theme, ROLE_HIGH), keys);
		put_words(p, 16, style_plain, list[i].help);
		p->line++;
	}
	p->line += titled;
}

static void put_typed(struct page *p, unsigned where)
{
	int n;
	const struct typed *list = typed_list(&n);
	put_line(p, 1, theme_style(&p->app->theme, ROLE_STRONG), "Commands, after :");
	p->line++;
	for (int i = 0; i < n; i++) {
		char words[120];
		if (!(list[i].views & where))
			continue;
		int width = snprintf(words, sizeof words, "%s %s", list[i].name, list[i].argument);
		put_line(p, 3, theme_style(&p->app->theme, ROLE_HIGH), words);
		if (width > 22) /* the help goes below */
			p->line++;
		put_words(p, 27, style_plain, list[i].help);
		p->line++;
	}
	put_words(p, 3, theme_style(&p->app->theme, ROLE_DIM), "and every action of this list by its name; Tab completes, \xe2\x86\x91 is what was typed before");
	p->line += 2;
}

/* Self-checks of the result on the screen, each with what was found. */
static void put_checks(struct page *p, const struct snapshot *s)
{
	if (!s || s->n_check == 0)
		return;
	put_line(p, 1, theme_style(&p->app->theme, ROLE_STRONG), "Self-checks of this result");
	p->line++;
	for (int i = 0; i < s->n_check; i++) {
		const struct self_check *c = &s->check[i];
		enum role role = !c->known ? ROLE_DIM : c->ok ? ROLE_GOOD : ROLE_WARN;
		put_line(p, 3, theme_style(&p->app->theme, role), !c->known ? "unknown" : c->ok ? "holds" : "FAILS");
		put_line(p, 11, style_plain, c->name);
		put_words(p, 33, theme_style(&p->app->theme, ROLE_DIM), c->detail);
		p->line++;
	}
	p->line++;
}

static void scroll(struct help *h, int by)
{
	int last = h->n_lines - h->n_shown;
	h->first += by;
	h->first = h->first > last ? last : h->first;
	h->first = h->first < 0 ? 0 : h->first;
}

static void help_draw(struct app *app, void *state, struct grid *g)
{
	struct help *h = state;
	struct layout_page page;
	char title[80];
	layout_page(&page, app->rows, app->cols, 0);
	const struct view *under = app_view(app->under_help);
	struct page p = {.app = app, .g = g, .r = page.body, .first = h->first,
		.n_column = page.body.cols < 2 * COLUMN_COLS ? 1 : page.body.cols / COLUMN_COLS};
	frame_title(app, g, page.title);
	snprintf(title, sizeof title, app->help_bit == AT_OPTIONS ? "Keys of the options panel" : "Keys of the %s screen", under->title);
	grid_text(g, page.status, 0, 1, theme_style(&app->theme, ROLE_STRONG), title);
	for (int group = 0; group < N_GROUP; group++)
		put_group(&p, (enum action_group)group, app->help_bit);
	put_typed(&p, app->help_bit);
	put_line(&p, 1, theme_style(&app->theme, ROLE_STRONG), "How to read it");
	p.line++;
	put_prose(&p, under->reading);
	if (under->bit & AT_RESULT)
		put_checks(&p, app->look.snap);
	h->n_lines = p.line;
	h->n_shown = page.body.rows * p.n_column;
	scroll(h, 0);
	if (h->n_lines > h->n_shown)
		grid_text_right(g, rect_sub(page.status, 0, 0, 1, page.status.cols - 1), 0, theme_style(&app->theme, ROLE_DIM),
			h->first + h->n_shown < h->n_lines ? "\xe2\x86\x93 more" : "\xe2\x86\x91 end");
}

static bool help_act(struct app *app, void *state, enum action_id action)
{
	struct help *h = state;
	switch ((int)action) {
	case ACTION_ROW_UP: scroll(h, -1); break;
	case ACTION_ROW_DOWN: scroll(h, 1); break;
	case ACTION_PAGE_UP: scroll(h, -h->n_shown); break;
	case ACTION_PAGE_DOWN: scroll(h, h->n_shown); break;
	case ACTION_HALF_UP: scroll(h, -h->n_shown / 2); break;
	case ACTION_HALF_DOWN: scroll(h, h->n_shown / 2); break;
	case ACTION_FIRST: h->first = 0; break;
	case ACTION_LAST: scroll(h, h->n_lines); break;
	case ACTION_HELP:
	case ACTION_BACK:
		h->first = 0;
		app_show(app, app->under_help);
		break;
	default: return false;
	}
	return true;
}

static void help_point(struct app *app, void *state, const struct event *at)
{
	(void)app;
	if (at->kind == EVENT_WHEEL)
		scroll(state, 3 * at->wheel);
}

const struct view view_help = {
	.bit = AT_HELP,
	.title = "Help",
	.open = help_open,
	.close = help_close,
	.draw = help_draw,
	.act = help_act,
	.point = help_point,
};
