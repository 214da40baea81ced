/* Curves: what every method, control and the ceiling keep of truth at every budget, in the present scope. */
#include "tui/view/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tui/draw/layout.h"
#include "tui/view/frame.h"

static int curves_open(struct app *app, void **state, struct err *e)
{
	(void)app;
	*state = calloc(1, sizeof(struct curves));
	return *state ? 0 : (int)err_set(e, ERR_MEMORY, "Curves: out of memory");
}

static void curves_close(void *state)
{
	struct curves *c = state;
	plot_free(&c->plot);
	free(c);
}

/* ---- the axis ---- */

int curves_least(const struct look *l)
{
	return look_least_budget(l);
}

int curves_most(const struct look *l)
{
	return l->snap->capture->n_prompt;
}

/* Where a budget stands between the ends, 0 .. 1. */
static double share_of(const struct look *l, double budget)
{
	double low = log(curves_least(l)), high = log(curves_most(l));
	return high > low ? (log(budget) - low) / (high - low) : 0;
}

static int budget_at(const struct look *l, double share)
{
	double low = curves_least(l), high = curves_most(l);
	return (int)lround(low * pow(high / low, share));
}

int curves_column(const struct look *l, int budget, int cols)
{
	int col = (int)lround(share_of(l, budget) * (cols - 1));
	return col < 0 ? 0 : col >= cols ? cols - 1 : col;
}

/* The other way round. */
static int column_budget(const struct look *l, int col, int cols)
{
	return budget_at(l, cols > 1 ? (double)col / (cols - 1) : 0);
}

/* ---- curves ---- */

/* A letter of the method's name that no line before it has. */
static char letter_of(const struct curve_set *set, const char *name)
{
	for (const char *c = name; *c; c++) {
		bool taken = *c < 'a' || *c > 'z';
		for (int i = 0; i < set->n_line; i++)
			taken |= set->line[i].letter == *c;
		if (!taken)
			return *c;
	}
	return '*';
}

static void list_lines(struct curve_set *set, const struct look *l)
{
	const struct evaluation *ev = l->snap->evaluation;
	set->n_line = 0;
	for (int m = 0; m < evaluation_n_method(ev) && set->n_line < CURVES_MAX_LINE; m++) {
		const struct eval_method *method = evaluation_method(ev, m);
		if (!method->available)
			continue;
		char letter = letter_of(set, method->method->kind == METHOD_ORACLE ? "truth" : method->method->name);
		set->line[set->n_line++] = (struct curve_line){.method = m, .letter = letter};
	}
}

struct sums {
	double y[N_CURVE][CURVES_POINT];
	int n, n_ratio[CURVES_POINT];
};

static void add_unit(struct sums *s, const struct curve_set *set, const struct look *l, int method, int layer, int unit)
{
	const struct evaluation *ev = l->snap->evaluation;
	const float *mass = evaluation_mass_curve(ev, method, layer, unit);
	const float *best = evaluation_mass_curve(ev, snapshot_method(l->snap, "oracle"), layer, unit);
	const uint32_t *hits = evaluation_hits_curve(ev, method, layer, unit);
	s->n++;
	for (int i = 0; i < CURVES_POINT; i++) {
		int k = set->k[i];
		s->y[CURVE_MASS][i] += (double)mass[k];
		s->y[CURVE_FOUND][i] += (double)hits[k] / k;
		if (best[k] > 0) {
			s->y[CURVE_RATIO][i] += (double)mass[k] / (double)best[k];
			s->n_ratio[i]++;
		}
	}
}

static void make_line(struct curve_line *line, const struct curve_set *set, struct look *l)
{
	struct sums s = {0};
	struct scope scope = look_scope(l);
	int layer = scope.layer < 0 ? 0 : scope.layer, last = scope.layer < 0 ? l->snap->capture->n_layer - 1 : layer;
	for (; layer <= last; layer++)
		for (int unit = scope.kv_head < 0 ? 0 : scope.kv_head;
			unit <= (scope.kv_head < 0 ? look_n_unit(l) - 1 : scope.kv_head); unit++)
			add_unit(&s, set, l, line->method, layer, unit);
	for (int i = 0; i < CURVES_POINT; i++) {
		line->y[CURVE_MASS][i] = (float)(s.y[CURVE_MASS][i] / s.n);
		line->y[CURVE_FOUND][i] = (float)(s.y[CURVE_FOUND][i] / s.n);
		line->y[CURVE_RATIO][i] = s.n_ratio[i] ? (float)(s.y[CURVE_RATIO][i] / s.n_ratio[i]) : NAN;
	}
}

/* Curves of the scope, made when they are first asked for. */
static struct curve_set *update(struct curves *c, struct look *l)
{
	struct scope scope = look_scope(l);
	struct curve_set *set = &c->set[l->scope];
	struct curves_key key = {l->snap->serial, scope.layer, scope.kv_head};
	if (!memcmp(&key, &set->key, sizeof key))
		return set;
	set->key = key;
	set->known = look_k(l) > 0 && evaluation_has_truth(l->snap->evaluation) && snapshot_method(l->snap, "oracle") >= 0;
	if (!set->known)
		return set;
	for (int i = 0; i < CURVES_POINT; i++) {
		struct err e;
		int k = evaluation_k(l->snap->evaluation, column_budget(l, i, CURVES_POINT), &e), most = l->snap->n_candidate;
		set->k[i] = k < 1 ? 1 : k > most ? most : k;
	}
	list_lines(set, l);
	for (int i = 0; i < set->n_line; i++)
		make_line(&set->line[i], set, l);
	return set;
}

/* ---- frame ---- */

static void draw_nothing(const struct app *app, struct grid *g, struct rect body)
{
	const struct look *l = &app->look;
	const char *why = look_k(l) < 0 ? "not defined: nothing to choose from in so short a prompt"
		: app->work.running ? "curves come with the answer" : "not defined: no answer was measured";
	grid_text_cut(g, body, 2, 3, body.cols - 4, theme_style(&app->theme, ROLE_WARN), why);
}

static void curves_draw(struct app *app, void *state, struct grid *g)
{
	struct curves *c = state;
	struct layout_page page;
	const struct selection *select = &evaluation_protocol(app->look.snap->evaluation)->select;
	bool uneven = select->layer != LAYER_UNIFORM || select->head != HEAD_UNIFORM || select->full_layers > 0;
	layout_page(&page, app->rows, app->cols, 0);
	frame_title(app, g, page.title);
	frame_status(app, g, page.status);
	int col = 1 + grid_text(g, page.body, 0, 1, theme_style(&app->theme, ROLE_STRONG), "CURVES ");
	grid_text_cut(g, page.body, 0, col, page.body.cols - col - 1, theme_style(&app->theme, ROLE_PLAIN),
		uneven ? "over the budget, as many tokens in every head; numbers below: as the preset deals them out"
		       : "over the budget, every method, the controls and the ceiling");
	c->area[0].rows = c->area[1].rows = 0;
	struct curve_set *set = update(c, &app->look);
	if (!set->known) {
		draw_nothing(app, g, page.body);
		return;
	}
	int legend = curves_legend_lines(app, set), rows = page.body.rows - legend - 1;
	curves_draw_plots(app, c, g, rect_sub(page.body, 1, 0, rows, page.body.cols), rows);
	curves_draw_legend(app, c, g, rect_sub(page.body, rows + 1, 0, legend, page.body.cols));
}

/* ---- keys and mouse ---- */

static bool curves_act(struct app *app, void *state, enum action_id action)
{
	struct curves *c = state;
	struct look *l = &app->look;
	switch ((int)action) {
	case ACTION_CELL_LEFT: look_step_budget(l, -1); break;
	case ACTION_CELL_RIGHT: look_step_budget(l, 1); break;
	case ACTION_PAGE_UP: look_step_budget(l, 2); break;
	case ACTION_PAGE_DOWN: look_step_budget(l, -2); break;
	case ACTION_LINE_START: look_set_budget(l, curves_least(l)); break;
	case ACTION_LINE_END: look_set_budget(l, curves_most(l)); break;
	case ACTION_ROW_UP: look_move_layer(l, -1); break;
	case ACTION_ROW_DOWN: look_move_layer(l, 1); break;
	case ACTION_SCALE: c->mass = !c->mass; break;
	case ACTION_BACK: app_show(app, VIEW_MAPS); break;
	default: return false;
	}
	return true;
}

static void curves_point(struct app *app, void *state, const struct event *at)
{
	struct curves *c = state;
	struct look *l = &app->look;
	if (at->kind == EVENT_WHEEL) {
		look_step_budget(l, -at->wheel);
		return;
	}
	for (int i = 0; i < 2; i++)
		if (rect_holds(c->area[i], at->row, at->col))
			look_set_budget(l, column_budget(l, at->col - c->area[i].col, c->area[i].cols));
}

/* ---- figure ---- */

static const char *curves_figure(const struct app *app, const void *state, struct figure_spec *spec,
	const char *method[VIEW_MAX_FIGURE_METHOD])
{
	const struct look *l = &app->look;
	(void)state;
	(void)method;
	spec->kind = FIGURE_CURVES;
	spec->layer = l->scope == LOOK_ALL ? -1 : l->layer;
	spec->head = l->scope == LOOK_HEAD ? l->head : -1;
	return l->snap->series[0].method < 0 || look_k(l) < 0 ? NULL : "curves";
}

static const char *const reading[] = {
	"Left: truth's mass on what a method keeps, as a share of the best choice of as many tokens; c shows the share of all "
	"of the candidates' mass instead, truth's own among it. Right: the share of truth's picks that it keeps. The axis is "
	"logarithmic; the upright line is the present budget, and the numbers below are those at it.",
	"Every curve carries a letter, named below. Unbroken: methods. Broken: controls, which nobody should lose to. Dotted: "
	"the ceiling, truth of odd answer rows against truth of even ones.",
	NULL,
};

const struct view view_curves = {
	.bit = AT_CURVES,
	.title = "Curves",
	.reading = reading,
	.open = curves_open,
	.close = curves_close,
	.draw = curves_draw,
	.act = curves_act,
	.point = curves_point,
	.figure = curves_figure,
};
