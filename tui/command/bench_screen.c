/* kvglass bench --screen: how long the interactive program thinks about a key, on a capture of the size that people look at.
 *
 * A frame is what follows a key: the action, and drawing the whole grid anew. Putting cells on a terminal is not in it: that
 * is the terminal's speed, and only changed cells travel.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/synthetic.h"
#include "export/table.h"
#include "tui/app.h"
#include "tui/command/bench.h"
#include "tui/command/settings.h"
#include "tui/command/terminal.h"
#include "tui/terminal/term.h"

enum { ROWS = 50, COLUMNS = 160, REPEATS = 40 };

/* Actions that people repeat, in an order in which each finds something to do. */
static const enum action_id actions[] = {
	ACTION_CELL_RIGHT, ACTION_TOKEN_NEXT, ACTION_ROW_DOWN, ACTION_HEAD_NEXT, ACTION_BUDGET_MORE, ACTION_BUDGET_LESS, ACTION_SCALE,
	ACTION_SCOPE, ACTION_ZOOM_IN, ACTION_ZOOM_OUT, ACTION_VIEW_TEXT, ACTION_TOKEN_NEXT, ACTION_METHOD_NEXT, ACTION_VIEW_MAPS,
};
enum { N_ACTION_TIMED = sizeof actions / sizeof *actions };

struct frame_time {
	const char *name;
	double median_ms, worst_ms;
};

struct screen_bench {
	int n_layer, n_head, n_prompt;
	double open_ms; /* from the file to the first frame that shows it */
	struct frame_time frame[N_ACTION_TIMED];
};

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void time_action(struct app *app, struct grid *g, enum action_id action, struct frame_time *out)
{
	double ms[REPEATS];
	for (int i = 0; i < REPEATS; i++) {
		double began = milliseconds_now();
		app_act(app, action);
		app_draw(app, g);
		ms[i] = milliseconds_now() - began;
		app_wait_until_idle(app);
	}
	qsort(ms, REPEATS, sizeof *ms, by_size);
	*out = (struct frame_time){action_get(action)->name, ms[REPEATS / 2], ms[REPEATS - 1]};
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
	for (int i = 0; i < N_ACTION_TIMED && !rc; i++)
		time_action(&app, &grid, actions[i], &b->frame[i]);
	app_close(&app);
	grid_free(&grid);
	return rc;
}

/* The capture as a file, as people have it; gone again when this returns. */
static int with_capture(struct screen_bench *b, struct screen_options *o, const struct theme *theme, struct err *e)
{
	const struct synthetic_spec spec = synthetic_default();
	const struct capture *c;
	char path[] = "/tmp/kvglass-bench-XXXXXX";
	int rc = synthetic_capture(&c, &spec, e);
	if (rc)
		return rc;
	b->n_layer = c->n_layer;
	b->n_head = c->n_head;
	b->n_prompt = c->n_prompt;
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

static void print_text(const struct screen_bench *b)
{
	char n[32];
	format_grouped(n, b->n_prompt);
	printf("screen of %d x %d, synthetic capture of %d layers, %d heads, %s tokens\n\n  %-24s %10s %10s\n", ROWS, COLUMNS, b->n_layer,
		b->n_head, n, "", "median ms", "worst ms");
	printf("  %-24s %10.2f\n", "open", b->open_ms);
	for (int i = 0; i < N_ACTION_TIMED; i++)
		printf("  %-24s %10.2f %10.2f\n", b->frame[i].name, b->frame[i].median_ms, b->frame[i].worst_ms);
}

static int print_json(const struct screen_bench *b, struct err *e)
{
	json_t *frames = json_array();
	int failed = 0;
	for (int i = 0; i < N_ACTION_TIMED; i++)
		failed |= json_array_append_new(frames, json_pack("{s:s, s:f, s:f}", "action", b->frame[i].name, "median_ms",
			b->frame[i].median_ms, "worst_ms", b->frame[i].worst_ms));
	json_t *all = json_pack("{s:i, s:i, s:i, s:i, s:i, s:f, s:o}", "rows", ROWS, "columns", COLUMNS, "n_layer", b->n_layer, "n_head",
		b->n_head, "n_prompt", b->n_prompt, "open_ms", b->open_ms, "frames", frames);
	int rc = ERR_MEMORY;
	if (all && !failed)
		rc = table_write_json(all, "-", e);
	else
		err_set(e, ERR_MEMORY, "no memory for %d frame times", (int)N_ACTION_TIMED);
	json_decref(all);
	return rc;
}

int bench_screen(const struct options *o, struct err *e)
{
	struct term_options look = {.color = "24bit", .charset = "utf8", .background = "dark"};
	struct theme theme;
	struct screen_bench b = {0};
	struct screen_options screen = {.protocol = protocol_default(), .color = look.color, .charset = look.charset,
		.background = look.background, .measure.seed = (uint64_t)o->seed};
	int rc = term_theme_plain(&theme, &look, e);
	if (!rc)
		rc = with_capture(&b, &screen, &theme, e);
	if (rc)
		return rc;
	if (o->json)
		return print_json(&b, e);
	print_text(&b);
	return 0;
}
