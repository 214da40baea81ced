/* kvglass bench --screen: how long the interactive program thinks about a key, in every view, on captures of the sizes that people
 * look at, two of them at once.
 *
 * A frame is what follows a key: the action, and drawing the whole grid anew. Putting cells on a terminal is not in it: that
 * is the terminal's speed, and only changed cells travel. Every key is timed in every scope, budget keys over all budgets there are. Wall time is what a person
 * waits, so it judges; the thread's own time stands beside it, to tell a slow frame from a machine that others use.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "analysis/synthetic.h"
#include "export/table.h"
#include "tui/app.h"
#include "tui/command/bench.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"
#include "tui/terminal/term.h"

enum { ROWS = 50, COLUMNS = 160, REPEATS = 8, BUDGETS = 24, MOST_ROWS = 256, MOST_SHAPES = 16, MOMENT_MS = 40, N_SCOPE = LOOK_ALL + 1 };

/* Actions that people repeat, in an order in which each finds something to do; those that a view has are timed in it. */
static const enum action_id actions[] = {
	ACTION_CELL_RIGHT, ACTION_TOKEN_NEXT, ACTION_ROW_DOWN, ACTION_LAYER_NEXT, ACTION_HEAD_NEXT, ACTION_BUDGET_LESS,
	ACTION_BUDGET_MORE, ACTION_METHOD_NEXT, ACTION_SCALE, ACTION_ZOOM_IN, ACTION_ZOOM_OUT, ACTION_NEXT, ACTION_EXCHANGE,
};
enum { N_ACTION_TIMED = sizeof actions / sizeof *actions };

struct frame_time { /* milliseconds, over all scopes; worst_scope: of the slowest frame */
	const char *view, *action, *worst_scope;
	double median, p95, worst, p95_own, worst_own;
};

struct screen_bench {
	int n_layer, n_head, n_prompt;
	double limit_ms; /* what a frame may take */
	double open_ms;  /* from the file to the first frame that shows it */
	int n_frame, n_over;
	struct frame_time frame[MOST_ROWS];
};

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* As when a person turns to another scope: what it needs is there when the next key comes. */
static void settle(struct app *app, struct grid *g, enum look_scope scope)
{
	app->look.scope = scope;
	for (int i = 0; i < 2; i++) {
		app_draw(app, g);
		app_wait_until_idle(app);
	}
}

static double own_milliseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Until the next key of a person in a hurry: what the desk has by then is taken. */
static void wait_a_moment(struct app *app)
{
	double until = milliseconds_now() + MOMENT_MS;
	app_news(app);
	while (app->work.busy && milliseconds_now() < until) {
		struct pollfd p = {.fd = worker_fd(app->worker), .events = POLLIN};
		poll(&p, 1, 5);
		app_news(app);
	}
}

static void time_key(struct app *app, struct grid *g, enum action_id action, double *ms, double *own)
{
	double began = milliseconds_now(), own_began = own_milliseconds();
	app_act(app, action);
	app_draw(app, g);
	*own = own_milliseconds() - own_began;
	*ms = milliseconds_now() - began;
	wait_a_moment(app);
}

/* Budget keys walk the whole ladder, down from all tokens and up again; the others find an eighth of the prompt kept. */
static void set_budget(struct app *app, enum action_id action)
{
	int n = app->look.snap->capture->n_prompt;
	look_set_budget(&app->look, action == ACTION_BUDGET_LESS ? n : action == ACTION_BUDGET_MORE ? 1 : n / 8);
}

static struct frame_time time_action(struct app *app, struct grid *g, enum action_id action)
{
	static const char *const scope_name[N_SCOPE] = {"head", "layer", "all"};
	struct frame_time f = {.action = action_get(action)->name};
	double ms[N_SCOPE * BUDGETS], own[N_SCOPE * BUDGETS];
	int repeats = action == ACTION_BUDGET_LESS || action == ACTION_BUDGET_MORE ? BUDGETS : REPEATS, n = 0;
	for (int scope = 0; scope < N_SCOPE; scope++) {
		set_budget(app, action);
		settle(app, g, (enum look_scope)scope);
		for (int i = 0; i < repeats; i++, n++) {
			time_key(app, g, action, &ms[n], &own[n]);
			if (ms[n] > f.worst) {
				f.worst = ms[n];
				f.worst_scope = scope_name[scope];
			}
		}
	}
	qsort(ms, (size_t)n, sizeof *ms, by_size);
	qsort(own, (size_t)n, sizeof *own, by_size);
	f.median = ms[n / 2];
	f.p95 = ms[n * 95 / 100];
	f.p95_own = own[n * 95 / 100];
	f.worst_own = own[n - 1];
	return f;
}

static void time_view(struct screen_bench *b, struct app *app, struct grid *g, enum view_index view, const char *title)
{
	const struct view *v = app_view(view);
	app_show(app, view);
	for (int i = 0; i < N_ACTION_TIMED && b->n_frame < MOST_ROWS; i++) {
		if (!(action_get(actions[i])->views & v->bit))
			continue;
		struct frame_time *f = &b->frame[b->n_frame++];
		*f = time_action(app, g, actions[i]);
		f->view = title ? title : v->title;
		b->n_over += !(f->p95 <= b->limit_ms);
	}
}

/* One capture in every view, then what a second one beside it adds: its numbers, and marks of what only one keeps. */
static int time_views(struct screen_bench *b, struct app *app, struct grid *g, const char *other, struct err *e)
{
	for (int view = 0; view < N_VIEW; view++)
		if ((app_view((enum view_index)view)->bit & AT_RESULT) && view != VIEW_PAIR)
			time_view(b, app, g, (enum view_index)view, NULL);
	app_open_other(app, other);
	app_wait_until_idle(app);
	if (!pair_is_linked(app))
		return err_set(e, ERR_SYSTEM, "%s", app->message);
	app_act(app, ACTION_DIFFER);
	time_view(b, app, g, VIEW_PAIR, NULL);
	time_view(b, app, g, VIEW_MAPS, "Maps of two");
	time_view(b, app, g, VIEW_TEXT, "Text of two");
	return 0;
}

static int time_frames(struct screen_bench *b, const struct screen_options *o, const struct theme *theme, struct err *e)
{
	struct app app;
	struct grid grid = {0};
	double began = milliseconds_now();
	if (!grid_resize(&grid, ROWS, COLUMNS))
		return err_set(e, ERR_MEMORY, "no memory for a screen of %d x %d", ROWS, COLUMNS);
	int rc = app_open(&app, o, theme, e);
	if (rc) {
		grid_free(&grid);
		return rc;
	}
	app_wait_until_idle(&app);
	app_draw(&app, &grid);
	b->open_ms = milliseconds_now() - began;
	if (app.failure.code)
		rc = err_set(e, app.failure.code, "%s", app.failure.text);
	else
		rc = time_views(b, &app, &grid, o->capture, e);
	app_close(&app);
	grid_free(&grid);
	return rc;
}

/* The capture as a file, as people have it; gone again when this returns. */
static int with_capture(struct screen_bench *b, const struct synthetic_spec *spec, struct screen_options *o,
	const struct theme *theme, struct err *e)
{
	const struct capture *c;
	char path[] = "/tmp/kvglass-bench-XXXXXX";
	int rc = synthetic_capture(&c, spec, e);
	if (rc)
		return rc;
	*b = (struct screen_bench){.n_layer = c->n_layer, .n_head = c->n_head, .n_prompt = c->n_prompt,
		.limit_ms = c->n_layer * c->n_head > 30 * 9 ? 33 : 16};
	int fd = mkstemp(path);
	if (fd < 0)
		rc = err_set(e, ERR_SYSTEM, "%s: no temporary file can be made there: %s", path, strerror(errno));
	else
		rc = capture_save(c, path, e);
	capture_unref(c);
	o->capture = path;
	if (!rc)
		rc = time_frames(b, o, theme, e);
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	return rc;
}

/* ---- printing ---- */

static double slowest(const struct screen_bench *b, bool own)
{
	double most = 0;
	for (int i = 0; i < b->n_frame; i++)
		most = fmax(most, own ? b->frame[i].worst_own : b->frame[i].worst);
	return most;
}

static void print_text(const struct screen_bench *b)
{
	char n[32];
	format_grouped(n, b->n_prompt);
	printf("screen of %d x %d, synthetic capture of %d layers, %d heads, %s tokens; a frame may take %.0f ms\n"
		"each key %d times in each scope (one head, its layer, all), those of the budget %d times; wall time\n\n"
		"  %-14s %-14s %10s %10s %10s  %-8s %10s %12s\n", ROWS, COLUMNS, b->n_layer, b->n_head, n, b->limit_ms, REPEATS, BUDGETS, "", "",
		"median ms", "p95 ms", "worst ms", "in scope", "own p95 ms", "own worst ms");
	printf("  %-14s %-14s %10.2f\n", "open", "", b->open_ms);
	for (int i = 0; i < b->n_frame; i++) {
		const struct frame_time *f = &b->frame[i];
		printf("  %-14s %-14s %10.2f %10.2f %10.2f  %-8s %10.2f %12.2f%s\n", f->view, f->action, f->median, f->p95, f->worst, f->worst_scope,
			f->p95_own, f->worst_own, f->p95 <= b->limit_ms ? "" : "  over");
	}
	printf("\n  %d of %d within %.0f ms in 95 of 100 frames; the slowest of all frames took %.1f ms, %.1f of its own\n\n", b->n_frame - b->n_over,
		b->n_frame, b->limit_ms, slowest(b, false), slowest(b, true));
}

static json_t *to_json(const struct screen_bench *b)
{
	json_t *frames = json_array();
	for (int i = 0; i < b->n_frame; i++)
		json_array_append_new(frames, json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:s}", "view", b->frame[i].view, "action", b->frame[i].action,
			"median_ms", b->frame[i].median, "p95_ms", b->frame[i].p95, "worst_ms", b->frame[i].worst, "own_p95_ms", b->frame[i].p95_own, "own_worst_ms",
			b->frame[i].worst_own, "worst_scope", b->frame[i].worst_scope));
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:o}", "rows", ROWS, "columns", COLUMNS, "n_layer", b->n_layer, "n_head",
		b->n_head, "n_prompt", b->n_prompt, "limit_ms", b->limit_ms, "open_ms", b->open_ms, "frames", frames);
}

/* Without --length the shape of the sample model; with it, each length in that and in a wide shape. */
static int list_shapes(const struct options *o, struct synthetic_spec *shape)
{
	int n = 0;
	shape[n++] = synthetic_default();
	for (int i = 0; GIVEN(o, lengths) && i < o->lengths.n && 2 * i + 1 < MOST_SHAPES; i++) {
		n = 2 * i;
		shape[n] = synthetic_default();
		shape[n].n_prompt = o->lengths.item[i];
		shape[n + 1] = shape[n];
		n++;
		shape[n].n_layer = shape[n].n_head = 32;
		shape[n].n_kv_head = 8;
		shape[n++].every_method = false;
	}
	return n;
}

int bench_screen(const struct options *o, struct err *e)
{
	struct term_options look = {.color = "24bit", .charset = "utf8", .background = "dark"};
	struct theme theme;
	struct screen_bench b;
	struct synthetic_spec shape[MOST_SHAPES];
	struct screen_options screen = {.protocol = protocol_default(), .color = look.color, .charset = look.charset,
		.background = look.background, .measure.seed = (uint64_t)o->seed};
	json_t *all = json_array();
	int n = list_shapes(o, shape), rc = term_theme_plain(&theme, &look, e);
	for (int i = 0; !rc && i < n; i++) {
		rc = with_capture(&b, &shape[i], &screen, &theme, e);
		if (!rc && o->json)
			json_array_append_new(all, to_json(&b));
		else if (!rc)
			print_text(&b);
		fflush(stdout);
	}
	if (!rc && o->json)
		rc = table_write_json(n == 1 ? json_array_get(all, 0) : all, "-", e);
	json_decref(all);
	return rc;
}
