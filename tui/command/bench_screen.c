/* kvglass bench --screen: how long the interactive program thinks about a key, in every view, on captures of the sizes that people
 * look at.
 *
 * A frame is what follows a key: the action, and drawing the whole grid anew. Putting cells on a terminal is not in it: that
 * is the terminal's speed, and only changed cells travel.
 */
#include <errno.h>
#include <jansson.h>
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

enum { ROWS = 50, COLUMNS = 160, REPEATS = 24, MOST_ROWS = 160, MOST_SHAPES = 16 };

/* Actions that people repeat, in an order in which each finds something to do; those that a view has are timed in it. */
static const enum action_id actions[] = {
	ACTION_CELL_RIGHT, ACTION_TOKEN_NEXT, ACTION_ROW_DOWN, ACTION_LAYER_NEXT, ACTION_HEAD_NEXT, ACTION_BUDGET_MORE,
	ACTION_BUDGET_LESS, ACTION_METHOD_NEXT, ACTION_SCALE, ACTION_SCOPE, ACTION_ZOOM_IN, ACTION_ZOOM_OUT, ACTION_NEXT,
};
enum { N_ACTION_TIMED = sizeof actions / sizeof *actions };

struct frame_time { /* milliseconds */
	const char *view, *action;
	double median, p95, worst;
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

/* Of this thread, which draws and waits for nobody: what other programs do on the machine meanwhile is not in it. */
static double thread_milliseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static struct frame_time time_action(struct app *app, struct grid *g, enum action_id action)
{
	double ms[REPEATS];
	for (int i = 0; i < REPEATS; i++) {
		double began = thread_milliseconds();
		app_act(app, action);
		app_draw(app, g);
		ms[i] = thread_milliseconds() - began;
		app_wait_until_idle(app);
	}
	qsort(ms, REPEATS, sizeof *ms, by_size);
	return (struct frame_time){.action = action_get(action)->name, .median = ms[REPEATS / 2], .p95 = ms[REPEATS * 95 / 100],
		.worst = ms[REPEATS - 1]};
}

static void time_view(struct screen_bench *b, struct app *app, struct grid *g, enum view_index view)
{
	const struct view *v = app_view(view);
	app_show(app, view);
	app_draw(app, g);
	app_wait_until_idle(app);
	for (int i = 0; i < N_ACTION_TIMED && b->n_frame < MOST_ROWS; i++) {
		if (!(action_get(actions[i])->views & v->bit))
			continue;
		struct frame_time *f = &b->frame[b->n_frame++];
		*f = time_action(app, g, actions[i]);
		f->view = v->title;
		b->n_over += !(f->p95 <= b->limit_ms);
	}
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
	for (int view = 0; view < N_VIEW && !rc; view++)
		if (app_view((enum view_index)view)->bit & AT_RESULT)
			time_view(b, &app, &grid, (enum view_index)view);
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

static void print_text(const struct screen_bench *b)
{
	char n[32];
	format_grouped(n, b->n_prompt);
	printf("screen of %d x %d, synthetic capture of %d layers, %d heads, %s tokens; a frame may take %.0f ms\n\n"
		"  %-10s %-14s %10s %10s %10s\n", ROWS, COLUMNS, b->n_layer, b->n_head, n, b->limit_ms, "", "", "median ms", "p95 ms",
		"worst ms");
	printf("  %-10s %-14s %10.2f\n", "open", "", b->open_ms);
	for (int i = 0; i < b->n_frame; i++)
		printf("  %-10s %-14s %10.2f %10.2f %10.2f%s\n", b->frame[i].view, b->frame[i].action, b->frame[i].median, b->frame[i].p95,
			b->frame[i].worst, b->frame[i].p95 <= b->limit_ms ? "" : "  over");
	printf("\n  %d of %d within %.0f ms in 95 of 100 frames\n\n", b->n_frame - b->n_over, b->n_frame, b->limit_ms);
}

static json_t *to_json(const struct screen_bench *b)
{
	json_t *frames = json_array();
	for (int i = 0; i < b->n_frame; i++)
		json_array_append_new(frames, json_pack("{s:s, s:s, s:f, s:f, s:f}", "view", b->frame[i].view, "action", b->frame[i].action,
			"median_ms", b->frame[i].median, "p95_ms", b->frame[i].p95, "worst_ms", b->frame[i].worst));
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
