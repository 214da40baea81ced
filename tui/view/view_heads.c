/* Heads: one number for every layer and head, as a grid that the cursor walks in, and as a list with the worst first. */
#include "tui/view/heads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tui/view/frame.h"

static int heads_open(struct app *app, void **state, struct err *e)
{
	(void)app;
	*state = calloc(1, sizeof(struct heads));
	return *state ? 0 : (int)err_set(e, ERR_MEMORY, "Heads: out of memory");
}

static void heads_close(void *state)
{
	struct heads *h = state;
	free(h->value);
	free(h->list);
	free(h);
}

/* ---- numbers ---- */

bool heads_of_query(enum head_number number)
{
	return number == HEAD_KL;
}

int heads_column(const struct heads *h, const struct look *l)
{
	return heads_of_query(h->number) ? l->head : look_unit(l);
}

/* Truth itself is judged by its halves: how far it can be trusted. */
int heads_method(const struct look *l)
{
	return l->focus > 0 ? l->snap->series[l->focus].method : snapshot_method(l->snap, "ceiling");
}

double heads_of_method(struct look *l, enum head_number number, int method, int layer, int column)
{
	struct scope s = {layer, column};
	if (number == HEAD_KL)
		return method < 0 ? NAN : evaluation_kl(l->snap->evaluation, method, layer, column);
	struct agreement a = look_agreement(l, method, s);
	return number == HEAD_PICKS ? a.overlap : a.mass_ratio;
}

static double gain(struct look *l, struct scope s)
{
	int ours, theirs;
	difference_sides(l, DIFFERENCE_SAVED, &ours, &theirs);
	if (ours < 0 || theirs < 0)
		return NAN;
	return look_agreement(l, l->snap->series[ours].method, s).mass_ratio -
		look_agreement(l, l->snap->series[theirs].method, s).mass_ratio;
}

static double gap(struct look *l, struct scope s)
{
	int ceiling = snapshot_method(l->snap, "ceiling"), method = l->focus > 0 ? heads_method(l) : -1;
	return look_agreement(l, ceiling, s).overlap - look_agreement(l, method, s).overlap;
}

double heads_number(struct look *l, enum head_number number, int layer, int column)
{
	struct scope s = {layer, column};
	return number == HEAD_GAIN ? gain(l, s)
		: number == HEAD_GAP   ? gap(l, s)
							   : heads_of_method(l, number, heads_method(l), layer, column);
}

/* How bad a value is, in its own unit: of KL and of the gap more is worse. */
static double badness(enum head_number number, double value)
{
	return number == HEAD_KL || number == HEAD_GAP ? value : -value;
}

static int worst_first(const void *a, const void *b)
{
	const struct head_place *x = a, *y = b;
	if (x->badness != y->badness)
		return x->badness < y->badness ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index);
}

static void make_list(struct heads *h)
{
	double sum = 0;
	h->n_list = 0;
	h->largest = 0;
	for (int i = 0; i < h->n_layer * h->n_col; i++) {
		if (isnan(h->value[i]))
			continue;
		sum += h->value[i];
		h->largest = fabs(h->value[i]) > h->largest ? fabs(h->value[i]) : h->largest;
		h->list[h->n_list++] = (struct head_place){badness(h->number, h->value[i]), i};
	}
	h->mean = h->n_list ? sum / h->n_list : NAN;
	qsort(h->list, (size_t)h->n_list, sizeof *h->list, worst_first);
}

/* Values and their order, when anything changed that they depend on. */
static bool update(struct heads *h, struct look *l)
{
	struct heads_key key;
	memset(&key, 0, sizeof key); /* compared as bytes */
	key.serial = l->snap->serial;
	key.focus = l->focus;
	key.budget = l->budget;
	key.number = h->number;
	if (h->value && !memcmp(&key, &h->key, sizeof key))
		return true;
	h->n_layer = l->snap->capture->n_layer;
	h->n_col = heads_of_query(h->number) ? l->snap->capture->n_head : look_n_unit(l);
	size_t n = (size_t)h->n_layer * (size_t)h->n_col;
	free(h->value);
	free(h->list);
	h->value = malloc(n * sizeof *h->value);
	h->list = malloc(n * sizeof *h->list);
	if (!h->value || !h->list) {
		free(h->value);
		h->value = NULL;
		return false;
	}
	h->key = key;
	for (size_t i = 0; i < n; i++)
		h->value[i] = heads_number(l, h->number, (int)i / h->n_col, (int)i % h->n_col);
	make_list(h);
	return true;
}

/* Of the cursor in the list, -1: not in it. */
static int cursor_place(const struct heads *h, const struct look *l)
{
	int index = l->layer * h->n_col + heads_column(h, l);
	for (int i = 0; i < h->n_list; i++)
		if (h->list[i].index == index)
			return i;
	return -1;
}

/* ---- frame ---- */

enum { LIST_COLS = 30, LIST_LEAST = 24, MEAN_COLS = 6 };

static void make_layout(struct app *app, struct heads *h, struct rect body)
{
	struct look *l = &app->look;
	int room = body.cols - HEADS_LABEL_COLS, rows = body.rows - 2;
	bool listed = room - h->n_col >= LIST_LEAST;
	int grid = room - (listed ? LIST_COLS : 0) - MEAN_COLS;
	h->width = grid / h->n_col;
	h->width = h->width < 1 ? 1 : h->width > 5 ? 5 : h->width;
	h->half = h->n_layer > rows && theme_half_blocks(&app->theme);
	int lines = h->half ? (h->n_layer + 1) / 2 : h->n_layer, shown = grid / h->width;
	shown = shown < h->n_col ? shown : h->n_col;
	h->grid = rect_sub(body, 2, HEADS_LABEL_COLS, lines, shown * h->width);
	h->first_line = layout_scroll(h->first_line, h->half ? l->layer / 2 : l->layer, 1, h->grid.rows, lines);
	h->first_col = layout_scroll(h->first_col, heads_column(h, l), 1, shown, h->n_col);
	int left = HEADS_LABEL_COLS + h->grid.cols + MEAN_COLS + 2;
	h->list_rect = rect_sub(body, 2, left, listed ? rows : 0, body.cols - left);
	int at = cursor_place(h, l);
	h->first_listed = layout_scroll(h->first_listed, at < 0 ? 0 : at, 1, h->list_rect.rows, h->n_list);
}

static void heads_draw(struct app *app, void *state, struct grid *g)
{
	struct heads *h = state;
	struct layout_page page;
	layout_page(&page, app->rows, app->cols, 2);
	frame_title(app, g, page.title);
	frame_status(app, g, page.status);
	if (!update(h, &app->look)) {
		app_say(app, ROLE_ERROR, "Heads: out of memory");
		return;
	}
	make_layout(app, h, page.body);
	heads_draw_heading(app, h, g, page.body);
	if (h->n_list > 0) {
		heads_draw_grid(app, h, g, page.body);
		heads_draw_list(app, h, g, page.body);
		heads_draw_place(app, h, g, page.info);
	}
}

/* ---- keys and mouse ---- */

static void go_to(struct app *app, const struct heads *h, int layer, int column)
{
	struct look *l = &app->look;
	column = column < 0 ? 0 : column >= h->n_col ? h->n_col - 1 : column;
	if (heads_of_query(h->number) || column != look_unit(l))
		look_set_head(l, layer, heads_of_query(h->number) ? column : column * look_group(l));
	else
		look_set_head(l, layer, l->head);
}

static void go_to_listed(struct app *app, const struct heads *h, int place)
{
	if (h->n_list == 0)
		return;
	place = place < 0 ? 0 : place >= h->n_list ? h->n_list - 1 : place;
	go_to(app, h, h->list[place].index / h->n_col, h->list[place].index % h->n_col);
}

static bool heads_act(struct app *app, void *state, enum action_id action)
{
	struct heads *h = state;
	struct look *l = &app->look;
	if (!update(h, l))
		return false;
	int column = heads_column(h, l), place = cursor_place(h, l), page = h->list_rect.rows > 1 ? h->list_rect.rows - 1 : 1;
	switch ((int)action) {
	case ACTION_CELL_LEFT: go_to(app, h, l->layer, column - 1); break;
	case ACTION_CELL_RIGHT: go_to(app, h, l->layer, column + 1); break;
	case ACTION_LINE_START: go_to(app, h, l->layer, 0); break;
	case ACTION_LINE_END: go_to(app, h, l->layer, h->n_col - 1); break;
	case ACTION_ROW_UP: look_move_layer(l, -1); break;
	case ACTION_ROW_DOWN: look_move_layer(l, 1); break;
	case ACTION_NEXT: go_to_listed(app, h, place + 1); break;
	case ACTION_PREV: go_to_listed(app, h, place - 1); break;
	case ACTION_FIRST: go_to_listed(app, h, 0); break;
	case ACTION_LAST: go_to_listed(app, h, h->n_list - 1); break;
	case ACTION_PAGE_UP: go_to_listed(app, h, place - page); break;
	case ACTION_PAGE_DOWN: go_to_listed(app, h, place + page); break;
	case ACTION_HALF_UP: go_to_listed(app, h, place - (page + 1) / 2); break;
	case ACTION_HALF_DOWN: go_to_listed(app, h, place + (page + 1) / 2); break;
	case ACTION_SCALE: h->number = (enum head_number)((h->number + 1) % N_HEAD_NUMBER); break;
	case ACTION_ENTER:
	case ACTION_BACK: app_show(app, VIEW_MAPS); break;
	default: return false;
	}
	return true;
}

static void heads_point(struct app *app, void *state, const struct event *at)
{
	struct heads *h = state;
	struct look *l = &app->look;
	if (!update(h, l))
		return;
	if (at->kind == EVENT_WHEEL) {
		look_move_layer(l, at->wheel);
	} else if (rect_holds(h->list_rect, at->row, at->col)) {
		go_to_listed(app, h, h->first_listed + at->row - h->list_rect.row);
	} else if (rect_holds(h->grid, at->row, at->col)) {
		int line = h->first_line + at->row - h->grid.row;
		int column = h->first_col + (at->col - h->grid.col) / h->width;
		/* a second click on a line of two layers: the other one */
		int layer = h->half ? 2 * line + (l->layer == 2 * line && column == heads_column(h, l)) : line;
		go_to(app, h, layer, column);
	}
}

/* ---- figure ---- */

_Static_assert((int)HEAD_MASS == FIGURE_MASS && (int)HEAD_PICKS == FIGURE_PICKS && (int)HEAD_GAIN == FIGURE_GAIN &&
	(int)HEAD_GAP == FIGURE_GAP && (int)HEAD_KL == FIGURE_KL, "numbers of the screen and of figures");

static int add_name(const char **method, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(method[i], name))
			return n;
	method[n] = name;
	return n + 1;
}

/* The method in focus first (truth: its own two halves), then those that everybody asks about. */
static const char *heads_figure(const struct app *app, const void *state, struct figure_spec *spec,
	const char *method[VIEW_MAX_FIGURE_METHOD])
{
	static const char *const others[] = {"lookahead", "snapkv", "ceiling"};
	const struct heads *h = state;
	const struct look *l = &app->look;
	const struct snapshot *s = l->snap;
	int focus = l->focus > 0 ? s->series[l->focus].method : snapshot_method(s, "ceiling"), n = 0;
	if (focus < 0 || !evaluation_has_truth(s->evaluation))
		return NULL;
	spec->kind = FIGURE_GRID;
	spec->measure = (enum figure_measure)h->number;
	n = add_name(method, n, evaluation_method(s->evaluation, focus)->method->name);
	for (int i = 0; i < 3; i++) {
		bool itself = h->number == HEAD_GAIN ? i == 1 : h->number == HEAD_GAP && i == 2; /* against itself nothing is to be seen */
		if (!itself && snapshot_method(s, others[i]) >= 0)
			n = add_name(method, n, others[i]);
	}
	spec->method = method;
	spec->n_method = n;
	return "heads";
}

static const char *const reading[] = {
	"One number for every layer (rows) and KV head (columns), for the method that Tab chooses; TRUTH stands for its own two "
	"halves. c turns the number: best mass, truth's picks found, gain over SnapKV, gap to the ceiling, KL (a query head a "
	"column). The list beside it has the worst first: n and N walk it. Enter goes to the maps of that head.",
	NULL,
};

const struct view view_heads = {
	.bit = AT_HEADS,
	.title = "Heads",
	.reading = reading,
	.open = heads_open,
	.close = heads_close,
	.draw = heads_draw,
	.act = heads_act,
	.point = heads_point,
	.figure = heads_figure,
};
