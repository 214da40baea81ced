/* Two captures: what they are, and the numbers of both side by side, method by method. */
#include "tui/view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/app.h"
#include "tui/draw/glyph.h"
#include "tui/draw/layout.h"
#include "tui/draw/number.h"
#include "tui/view/frame.h"

enum { N_FACT = 8, FACT_COLS = 14, METHOD_COLS = 14, MAX_ROW = 32 };

static int pair_open(struct app *app, void **state, struct err *e)
{
	(void)app, (void)e;
	*state = NULL; /* it has none of its own */
	return 0;
}

static void pair_close(void *state)
{
	(void)state;
}

/* ---- what they are ---- */

static const char *const fact_name[N_FACT] = {"file", "model", "modules", "precision", "prompt", "truth from", "window", "made by"};

static void say_fact(const struct look *l, const char *path, int fact, char *out, size_t n_bytes)
{
	const struct capture *c = l->snap->capture;
	static const char *const key[N_FACT] = {[1] = "model_name", [2] = "module_name", [3] = "precision", [7] = "program"};
	char a[32], b[32];
	const char *value = key[fact] ? capture_meta(c, key[fact]) : NULL, *slash = strrchr(path, '/');
	switch (fact) {
	case 0: snprintf(out, n_bytes, "%s", *path ? slash && slash[1] ? slash + 1 : path : "in no file"); break;
	case 4:
		snprintf(out, n_bytes, "%s tokens, answer of %s", number_grouped(a, c->n_prompt), number_grouped(b, c->n_response));
		break;
	case 5:
		if (!words_say_truth(l->snap, out, n_bytes))
			snprintf(out, n_bytes, l->snap->series[0].method < 0 ? "no truth" : "%d rows", l->snap->series[0].n_rows);
		break;
	case 6: snprintf(out, n_bytes, "%d rows of SnapKV", c->window); break;
	default: snprintf(out, n_bytes, "%s", value && *value ? value : "\xe2\x80\x93"); break;
	}
}

static void draw_facts(struct app *app, struct grid *g, struct rect r, struct look *const look[2], const char *const path[2])
{
	struct style dim = theme_style(&app->theme, ROLE_DIM), strong = theme_style(&app->theme, ROLE_STRONG);
	int half = (r.cols - FACT_COLS - 2) / 2;
	for (int side = 0; side < 2; side++) {
		struct rect column = rect_sub(r, 0, FACT_COLS + side * (half + 1), r.rows, half);
		bool shown = look[side] == &app->look;
		grid_text(g, column, 0, 0, strong, side ? "B" : "A");
		grid_text(g, column, 0, 2, dim, shown ? "shown \xc2\xb7 x the other" : "");
		for (int fact = 0; fact < N_FACT; fact++) {
			char mine[300], other[300];
			say_fact(look[side], path[side], fact, mine, sizeof mine);
			say_fact(look[!side], path[!side], fact, other, sizeof other);
			grid_text_cut(g, column, 1 + fact, 0, half, strcmp(mine, other) && fact ? strong : style_plain, mine);
		}
	}
	for (int fact = 0; fact < N_FACT; fact++)
		grid_text(g, r, 1 + fact, 1, dim, fact_name[fact]);
}

/* ---- numbers ---- */

struct columns_at { /* right edges of A's numbers; B's stand right of them */
	int picks, mass, kl, swapped;
};

static void draw_numbers_head(struct app *app, struct grid *g, struct rect r, struct columns_at at)
{
	struct style dim = theme_style(&app->theme, ROLE_DIM), strong = theme_style(&app->theme, ROLE_STRONG);
	const struct look *l = &app->look;
	char scope[64];
	if (l->scope == LOOK_ALL || !pair_is_linked(app))
		snprintf(scope, sizeof scope, "EVERYWHERE");
	else if (l->scope == LOOK_LAYER)
		snprintf(scope, sizeof scope, "HERE L%d", l->layer);
	else
		snprintf(scope, sizeof scope, "HERE L%d\xc2\xb7%s%d", l->layer, *look_unit_word(l) == 'K' ? "KV" : "Q", look_unit(l));
	grid_text(g, r, 0, 1, strong, scope);
	grid_text_before(g, r, 0, at.picks + 8, dim, "truth's picks");
	grid_text_before(g, r, 0, at.mass + 8, dim, "best mass");
	grid_text_before(g, r, 0, at.kl + 8, dim, "KL all tokens");
	const int column[] = {at.picks, at.mass, at.kl};
	for (int i = 0; i < 3; i++) {
		grid_text_before(g, r, 1, column[i], strong, "A");
		grid_text_before(g, r, 1, column[i] + 8, strong, "B");
	}
	if (pair_is_linked(app)) {
		grid_text_before(g, r, 0, at.swapped, dim, "kept by");
		grid_text_before(g, r, 1, at.swapped, dim, "one alone");
	}
}

static const char *say_kl(char *out, double kl)
{
	snprintf(out, 32, isnan(kl) ? "\xe2\x80\x93" : "%.3f", kl);
	return out;
}

/* Places of different prompts are no one place: those compare everywhere. */
static struct scope scope_of(struct app *app)
{
	return pair_is_linked(app) ? look_scope(&app->look) : (struct scope){-1, -1};
}

static void draw_side(struct grid *g, struct rect r, int right, struct look *l, int series, struct scope scope)
{
	struct agreement a = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};
	char text[64], count[32];
	const struct columns_at at = {right, right + 18, right + 38, 0};
	if (series >= 0)
		a = look_agreement(l, l->snap->series[series].method, scope);
	snprintf(text, sizeof text, "%s", number_count(count, a.hits));
	grid_text_before(g, r, 0, at.picks, style_plain, text);
	grid_text_before(g, r, 0, at.mass, style_plain, number_percent(text, a.mass_ratio));
	grid_text_before(g, r, 0, at.kl, style_plain, say_kl(text, a.kl));
}

static void draw_row(struct app *app, struct grid *g, struct rect r, struct columns_at at, int series)
{
	bool b_shown = app->pair.swapped;
	struct look *here = &app->look, *there = pair_look(app);
	const struct series *s = &here->snap->series[series];
	char text[64], count[32];
	grid_text_cut(g, r, 0, 1, METHOD_COLS - 2, theme_style(&app->theme, series == here->focus ? ROLE_LABEL_HERE : ROLE_PLAIN),
		series == 0 ? "truth" : s->label);
	draw_side(g, r, at.picks + (b_shown ? 8 : 0), here, s->method < 0 ? -1 : series, scope_of(app));
	draw_side(g, r, at.picks + (b_shown ? 0 : 8), there, pair_series(app, series), scope_of(app));
	struct pair_swap swap = pair_swapped(app, series);
	if (!swap.known)
		return;
	snprintf(text, sizeof text, "%s of %d", number_count(count, swap.here), look_k(here));
	grid_text_before(g, r, 0, at.swapped, theme_style(&app->theme, swap.here > 0 ? ROLE_HIGH : ROLE_DIM), text);
}

static void pair_draw(struct app *app, void *state, struct grid *g)
{
	struct layout_page page;
	(void)state;
	layout_page(&page, app->rows, app->cols, 0);
	frame_title(app, g, page.title);
	frame_status(app, g, page.status);
	struct rect body = page.body;
	if (!pair_exists(app)) {
		grid_text(g, body, 1, 3, style_plain, "One capture is open. :other FILE opens a second, kvglass view A B two.");
		return;
	}
	struct look *there = pair_look(app);
	struct look *const look[2] = {app->pair.swapped ? there : &app->look, app->pair.swapped ? &app->look : there};
	const char *const path[2] = {app->pair.swapped ? app->pair.path : app->capture_path,
		app->pair.swapped ? app->capture_path : app->pair.path};
	draw_facts(app, g, rect_sub(body, 0, 0, N_FACT + 1, body.cols), look, path);
	const struct columns_at at = {METHOD_COLS + 6, METHOD_COLS + 24, METHOD_COLS + 44, METHOD_COLS + 64};
	struct rect table = rect_sub(body, N_FACT + 2, 0, body.rows, body.cols);
	draw_numbers_head(app, g, table, at);
	for (int i = 0; i < app->look.snap->n_series; i++)
		draw_row(app, g, rect_sub(table, 2 + i, 0, 1, table.cols), at, i);
}

static bool pair_act(struct app *app, void *state, enum action_id action)
{
	(void)state;
	if (action != ACTION_BACK)
		return false;
	app_show(app, app->under_detail);
	return true;
}

static const char *const reading[] = {
	"Two captures of one prompt or of two: what each is, and every method's numbers in both, side by side. x exchanges which of them is shown "
	"elsewhere. Numbers of different prompts or models stand beside each other; they are not differences of one thing.",
	NULL,
};

const struct view view_pair = {
	.reading = reading,
	.bit = AT_PAIR,
	.title = "Two captures",
	.open = pair_open,
	.close = pair_close,
	.draw = pair_draw,
	.act = pair_act,
};
