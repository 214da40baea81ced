/* Regions: where every method's budget goes and where truth's mass lies, by part of the prompt, class of token and
 * marked span. */
#include "tui/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/regions.h"
#include "tui/app.h"
#include "tui/draw/glyph.h"
#include "tui/draw/layout.h"
#include "tui/draw/number.h"
#include "tui/view/frame.h"

enum { NAME_COLS = 24, NUMBER_COLS = 8, METHOD_COLS = 17, MAX_COLUMN = 16 };

/* Made at the desk: reads the whole truth and looks for in-prompt sinks. */
struct study {
	const struct snapshot *snap; /* counted */
	struct region_span *span;
	int n_span;
	struct regions *regions;
};

struct region_view {
	struct study *study;
	struct study_key { /* what was last asked for */
		int serial, n_span, first, last; /* spans only come and go: their number, first and last begin tell them apart */
	} asked;
	int first_line, n_lines, n_shown;
	struct known_numbers { /* of a series, at one place and budget: most keys change neither */
		const struct study *study; /* only compared; new studies clear these */
		int budget, layer, unit;
		struct region_numbers *number; /* NULL: none */
	} known[SNAPSHOT_MAX_SERIES];
	struct rect head; /* of the last frame, for clicks: names of methods */
	int n_column, column[MAX_COLUMN];
};

static int regions_view_open(struct app *app, void **state, struct err *e)
{
	(void)app;
	*state = calloc(1, sizeof(struct region_view));
	return *state ? 0 : (int)err_set(e, ERR_MEMORY, "Regions: out of memory");
}

static void study_free(struct study *s)
{
	if (!s)
		return;
	regions_close(s->regions);
	snapshot_unref(s->snap);
	free(s->span);
	free(s);
}

static void forget_numbers(struct region_view *v)
{
	for (int i = 0; i < SNAPSHOT_MAX_SERIES; i++) {
		free(v->known[i].number);
		v->known[i] = (struct known_numbers){0};
	}
}

static void regions_view_close(void *state)
{
	struct region_view *v = state;
	forget_numbers(v);
	study_free(v->study);
	free(v);
}

/* ---- at the desk ---- */

static int run(void *state, const struct errand_site *site, struct err *e)
{
	struct study *s = state;
	int rc = regions_open(&s->regions, s->snap->evaluation, s->span, s->n_span, e);
	for (int i = 0; !rc && i < s->snap->n_series; i++) {
		if (progress_report(site->progress, "regions", i, s->snap->n_series))
			rc = ERR_CANCELLED;
		else if (s->snap->series[i].method >= 0)
			rc = regions_prepare(s->regions, s->snap->series[i].method, e);
	}
	return rc;
}

static void done(struct app *app, void *state, int rc, const char *why)
{
	struct region_view *v = app->state[VIEW_REGIONS];
	if (rc) {
		study_free(state);
		if (rc != ERR_CANCELLED) /* else a newer one is on its way */
			app_say(app, ROLE_ERROR, "%s", why);
		return;
	}
	study_free(v->study);
	forget_numbers(v);
	v->study = state;
}

static void drop(void *state)
{
	study_free(state);
}

static struct study_key key_of(const struct look *l)
{
	const struct spans *m = &l->marked;
	return (struct study_key){l->snap->serial, m->n, m->n ? m->span[0].begin : -1, spans_count_tokens(m)};
}

static void ask(struct app *app)
{
	const struct look *l = &app->look;
	struct study *s = calloc(1, sizeof *s);
	struct err e = {0};
	if (s)
		s->span = malloc((size_t)l->marked.n * sizeof *s->span + 1);
	if (!s || !s->span) {
		free(s);
		app_say(app, ROLE_ERROR, "Regions: out of memory");
		return;
	}
	s->snap = snapshot_ref(l->snap);
	s->n_span = l->marked.n;
	for (int i = 0; i < s->n_span; i++)
		s->span[i] = (struct region_span){l->marked.span[i].begin, l->marked.span[i].end};
	const struct errand errand = {.name = "regions", .state = s, .run = run, .done = done, .drop = drop};
	if (worker_errand_at_desk(app->worker, &errand, &e))
		app_say(app, ROLE_ERROR, "%s", e.text);
	app->work.busy = true;
}

/* The study of what is shown; NULL while it is not there yet. */
static const struct study *study_here(struct app *app, struct region_view *v)
{
	struct study_key key = key_of(&app->look);
	if (memcmp(&key, &v->asked, sizeof key)) {
		v->asked = key;
		ask(app);
	}
	bool same = v->study && v->study->snap == app->look.snap && v->study->n_span == app->look.marked.n;
	for (int i = 0; same && i < v->study->n_span; i++)
		same = v->study->span[i].first == app->look.marked.span[i].begin &&
			v->study->span[i].end == app->look.marked.span[i].end;
	return same ? v->study : NULL;
}

/* ---- numbers ---- */

static struct region_numbers *make_numbers(struct look *l, const struct study *s, int series)
{
	int units = look_n_unit(l), rows = l->snap->capture->n_layer * units, method = l->snap->series[series].method;
	struct region_numbers *out = malloc((size_t)regions_count(s->regions) * sizeof *out);
	int *k = malloc((size_t)rows * sizeof *k);
	for (int row = 0; k && row < rows; row++)
		k[row] = look_k_of(l, method, row / units, row % units);
	if (out && k)
		regions_numbers(s->regions, method, look_scope(l), look_k(l) < 0 ? NULL : k, out);
	free(k);
	if (k)
		return out;
	free(out);
	return NULL;
}

/* Of a series' method in the scope, at the budget, the view's; NULL: out of memory. */
static const struct region_numbers *numbers_of(struct region_view *v, struct look *l, int series)
{
	struct known_numbers *known = &v->known[series];
	struct scope scope = look_scope(l);
	if (known->number && known->study == v->study && known->budget == l->budget && known->layer == scope.layer &&
		known->unit == scope.kv_head)
		return known->number;
	free(known->number);
	*known = (struct known_numbers){v->study, l->budget, scope.layer, scope.kv_head, make_numbers(l, v->study, series)};
	return known->number;
}

/* ---- drawing ---- */

struct sheet {
	struct app *app;
	struct grid *g;
	struct rect r;
	const struct region_view *view;
	const struct study *study;
	const struct region_numbers *number[MAX_COLUMN]; /* by column */
	int line;
};

/* The methods that fit; the one in focus is among them. */
static void choose_columns(struct region_view *v, const struct look *l, int cols)
{
	int room = (cols - NAME_COLS - 2 * NUMBER_COLS - 1) / METHOD_COLS;
	bool focus = false;
	v->n_column = 0;
	for (int i = 0; i < l->snap->n_series && v->n_column < room && v->n_column < MAX_COLUMN; i++) {
		if (l->snap->series[i].method < 0)
			continue;
		v->column[v->n_column++] = i;
		focus |= i == l->focus;
	}
	if (!focus && v->n_column > 0 && l->snap->series[l->focus].method >= 0)
		v->column[v->n_column - 1] = l->focus;
}

static int column_at(int i)
{
	return NAME_COLS + 2 * NUMBER_COLS + i * METHOD_COLS;
}

static void draw_head(const struct sheet *s)
{
	const struct look *l = &s->app->look;
	struct style dim = theme_style(&s->app->theme, ROLE_DIM);
	grid_text(s->g, s->r, 0, 1, theme_style(&s->app->theme, ROLE_STRONG), "REGIONS");
	for (int i = 0; i < s->view->n_column; i++) {
		int series = s->view->column[i];
		grid_text_before(s->g, s->r, 0, column_at(i) + METHOD_COLS - 1,
			theme_style(&s->app->theme, series == l->focus ? ROLE_PANE_FOCUS : ROLE_PANE),
			series == 0 ? "best choice" : l->snap->series[series].label);
		grid_text_before(s->g, s->r, 1, column_at(i) + 8, dim, "keeps");
		grid_text_before(s->g, s->r, 1, column_at(i) + METHOD_COLS - 1, dim, "of mass");
	}
	grid_text_before(s->g, s->r, 1, NAME_COLS + NUMBER_COLS - 1, dim, "prompt");
	grid_text_before(s->g, s->r, 1, NAME_COLS + 2 * NUMBER_COLS - 1, dim, "truth");
}

static const char *percent(char *out, double share)
{
	if (share > 0 && share < 0.0995)
		snprintf(out, 32, "%.1f %%", 100 * share);
	else
		number_percent(out, share);
	return out;
}

/* An eighth of a block for every eighth of all that is kept, so that a column can be read at a glance. */
static const char *bar(double share)
{
	static const char *const step[] = {" ", "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84", "\xe2\x96\x85",
		"\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
	return step[isnan(share) ? 0 : (int)ceil(8 * fmin(share, 1))];
}

/* Beside the best choice as many tokens could be: less than two thirds of its share, or more than half as much again. */
static enum role role_beside(double share, double best)
{
	return isnan(best) || share >= 2.0 / 3 * best ? ROLE_PLAIN : ROLE_LOW;
}

static void put_numbers(const struct sheet *s, int row, int region)
{
	const struct region_numbers *any = s->number[0];
	char text[32];
	double n = s->app->look.snap->capture->n_prompt;
	grid_text_before(s->g, s->r, row, NAME_COLS + NUMBER_COLS - 1, style_plain, percent(text, any[region].tokens / n));
	grid_text_before(s->g, s->r, row, NAME_COLS + 2 * NUMBER_COLS - 1, style_plain, percent(text, any[region].truth));
	bool truth_first = s->view->column[0] == 0;
	for (int i = 0; i < s->view->n_column; i++) {
		const struct region_numbers *x = s->number[i] ? &s->number[i][region] : NULL;
		int series = s->view->column[i];
		if (!x)
			continue;
		double best = truth_first && series > 0 && s->number[0] ? s->number[0][region].covered : NAN;
		struct style bold = theme_style(&s->app->theme, series == s->app->look.focus ? ROLE_STRONG : ROLE_PLAIN);
		struct style low = theme_style(&s->app->theme, role_beside(x->covered, best));
		low.attr |= bold.attr;
		grid_text_before(s->g, s->r, row, column_at(i) + 8, bold, percent(text, x->share));
		grid_text(s->g, s->r, row, column_at(i) + 9, theme_style(&s->app->theme, ROLE_HIGH), bar(x->share));
		grid_text_before(s->g, s->r, row, column_at(i) + METHOD_COLS - 1, low, percent(text, x->covered));
	}
}

static int row_of(struct sheet *s)
{
	int row = 2 + s->line++ - s->view->first_line;
	return row >= 2 && row < s->r.rows ? row : -1;
}

static void put_title(struct sheet *s, const char *title)
{
	int row = row_of(s);
	if (row >= 0)
		grid_text(s->g, s->r, row, 1, theme_style(&s->app->theme, ROLE_STRONG), title);
}

/* "class " and the first words of a span. */
static void put_span_name(const struct sheet *s, int row, int span)
{
	const struct region_span *at = &s->study->span[span];
	struct rect r = rect_sub(s->r, row, 0, 1, NAME_COLS - 1);
	char index[32];
	int col = 3 + grid_printf(s->g, r, 0, 3, theme_style(&s->app->theme, ROLE_DIM), "#%s ", number_grouped(index, at->first));
	for (int i = at->first; i < at->end && col < NAME_COLS; i++)
		col += token_text_draw(s->app->look.snap->text, i, s->g, r, col, theme_style(&s->app->theme, ROLE_SPAN));
}

static void put_region(struct sheet *s, int region, const char *name)
{
	if (!(s->number[0][region].tokens > 0))
		return;
	int row = row_of(s);
	if (row < 0)
		return;
	if (name)
		grid_text_cut(s->g, s->r, row, 3, NAME_COLS - 4, style_plain, name);
	else
		put_span_name(s, row, region - REGION_SPAN);
	put_numbers(s, row, region);
}

static void put_all(struct sheet *s)
{
	put_title(s, "Parts of the prompt");
	for (int i = 0; i < N_PROMPT_PART; i++)
		put_region(s, REGION_PART + i, i == PROMPT_UNKNOWN ? "not recorded" : prompt_part_name((enum prompt_part)i));
	s->line++;
	put_title(s, "Classes of token");
	for (int i = 0; i < N_TOKEN_CLASS; i++)
		put_region(s, REGION_CLASS + i, token_class_name((enum token_class)i));
	s->line++;
	put_title(s, "Marked spans");
	if (s->study->n_span == 0) {
		int row = row_of(s);
		if (row >= 0)
			grid_text(s->g, s->r, row, 3, theme_style(&s->app->theme, ROLE_DIM), "none: m marks one in Maps or Text, M what / has found");
	}
	for (int i = 0; i < s->study->n_span; i++)
		put_region(s, REGION_SPAN + i, NULL);
}

static void regions_view_draw(struct app *app, void *state, struct grid *g)
{
	struct region_view *v = state;
	struct look *l = &app->look;
	struct layout_page page;
	layout_page(&page, app->rows, app->cols, 0);
	frame_title(app, g, page.title);
	frame_status(app, g, page.status);
	struct sheet s = {.app = app, .g = g, .r = page.body, .view = v, .study = study_here(app, v)};
	choose_columns(v, l, page.body.cols);
	v->head = rect_sub(page.body, 0, 0, 2, page.body.cols);
	draw_head(&s);
	if (!s.study || v->n_column == 0) {
		grid_text(g, page.body, 3, 3, theme_style(&app->theme, ROLE_DIM), s.study ? "no method has been measured" : "counting");
		return;
	}
	for (int i = 0; i < v->n_column; i++)
		s.number[i] = numbers_of(v, l, v->column[i]);
	if (s.number[0])
		put_all(&s);
	v->n_lines = s.line;
	v->n_shown = page.body.rows - 2;
}

/* ---- keys and mouse ---- */

static void scroll(struct region_view *v, int by)
{
	int last = v->n_lines - v->n_shown;
	v->first_line += by;
	v->first_line = v->first_line > last ? last : v->first_line;
	v->first_line = v->first_line < 0 ? 0 : v->first_line;
}

static bool regions_view_act(struct app *app, void *state, enum action_id action)
{
	struct region_view *v = state;
	int page = v->n_shown > 1 ? v->n_shown - 1 : 1;
	switch ((int)action) {
	case ACTION_ROW_UP: scroll(v, -1); break;
	case ACTION_ROW_DOWN: scroll(v, 1); break;
	case ACTION_PAGE_UP: scroll(v, -page); break;
	case ACTION_PAGE_DOWN: scroll(v, page); break;
	case ACTION_HALF_UP: scroll(v, -(page + 1) / 2); break;
	case ACTION_HALF_DOWN: scroll(v, (page + 1) / 2); break;
	case ACTION_FIRST: scroll(v, -v->n_lines); break;
	case ACTION_LAST: scroll(v, v->n_lines); break;
	case ACTION_BACK: app_show(app, app->under_detail); break;
	default: return false;
	}
	return true;
}

static void regions_view_point(struct app *app, void *state, const struct event *at)
{
	struct region_view *v = state;
	if (at->kind == EVENT_WHEEL) {
		scroll(v, 3 * at->wheel);
		return;
	}
	int i = (at->col - v->head.col - NAME_COLS - 2 * NUMBER_COLS) / METHOD_COLS;
	if (rect_holds(v->head, at->row, at->col) && at->col >= v->head.col + column_at(0) && i < v->n_column)
		app->look.focus = v->column[i];
}

static const char *const reading[] = {
	"Where the budget goes. prompt: share of the prompt's tokens. truth: share of truth's mass on the prompt. Under "
	"a method, keeps: share of the tokens that it keeps; of mass: how much of truth's mass in the region lies on kept "
	"tokens.",
	"Parts say who wrote a token; classes what it is: first and last tokens, in-prompt sinks of the layer, else by its "
	"text, in any script. Spans are those that you marked (m, M).",
	NULL,
};

const struct view view_regions = {
	.reading = reading,
	.bit = AT_REGIONS,
	.title = "Regions",
	.open = regions_view_open,
	.close = regions_view_close,
	.draw = regions_view_draw,
	.act = regions_view_act,
	.point = regions_view_point,
};
