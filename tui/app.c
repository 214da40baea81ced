#include "tui/app.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/settings_act.h"
#include "tui/speed.h"
#include "tui/view/frame.h"
#include "tui/draw/layout.h"
#include "tui/draw/number.h"
#include "tui/draw/glyph.h"
#include "tui/view/view_start.h"

static const struct view *const views[N_VIEW] = {
	[VIEW_START] = &view_start, [VIEW_MAPS] = &view_maps, [VIEW_TEXT] = &view_text,
	[VIEW_HEADS] = &view_heads, [VIEW_CURVES] = &view_curves,
	[VIEW_EVICTION] = &view_eviction, [VIEW_MODULES] = &view_modules,
	[VIEW_TOKEN] = &view_token, [VIEW_REGIONS] = &view_regions,
	[VIEW_PAIR] = &view_pair, [VIEW_HELP] = &view_help,
};

const struct view *app_view(enum view_index i)
{
	return views[i];
}

/* ---- opening ---- */

static struct run_order order_of(struct app *app)
{
	const struct screen_options *o = app->options;
	struct run_order order = {.model = o->model, .prompt = o->prompt, .prompt_bytes = o->prompt_bytes,
		.prompt_file = o->prompt_file, .modules = o->modules};
	settings_of_run(app, &order);
	return order;
}

static void begin(struct app *app)
{
	const struct screen_options *o = app->options;
	app->root = app->view = VIEW_START;
	if (o->capture || (o->model && (o->prompt || o->prompt_file))) {
		app->root = app->view = VIEW_MAPS;
		app->asked_by_command_line = true;
		struct run_order order = order_of(app);
		if (o->capture)
			app_open_capture(app, o->capture);
		else
			app_run(app, &order);
		if (o->other)
			app_open_other(app, o->other);
	} else {
		start_shown(app, app->state[VIEW_START]);
	}
}

int app_open(struct app *app, const struct screen_options *o, const struct theme *theme, struct err *e)
{
	struct evaluation_options evaluation = {.protocol = o->protocol, .seed = o->measure.seed, .preset = o->preset};
	*app = (struct app){.options = o, .theme = *theme, .rows = LAYOUT_MIN_ROWS, .cols = LAYOUT_MIN_COLS};
	app->in_force = (struct in_force){o->preset ? o->preset->protocol : o->protocol, o->preset, o->measure.seed};
	app->look.asked_budget = o->budget;
	if (o->history)
		history_load(&app->history, o->history);
	int rc = switches_open(&app->switches, o->words, e);
	if (!rc)
		rc = worker_open(&app->worker, &evaluation, e);
	for (int i = 0; !rc && i < N_VIEW; i++)
		rc = views[i]->open(app, &app->state[i], e);
	if (!rc && o->notice)
		app_say(app, ROLE_WARN, "%s", o->notice);
	if (rc)
		app_close(app);
	else
		begin(app);
	return rc;
}

void app_close(struct app *app)
{
	struct err e;
	worker_close(app->worker);
	for (int i = 0; i < N_VIEW; i++)
		if (app->state[i])
			views[i]->close(app->state[i]);
	switches_close(&app->switches);
	results_free(app);
	free(app->clipboard);
	look_free(&app->look);
	words_free(&app->words);
	pair_free(&app->pair);
	if (app->options->history && history_save(&app->history, app->options->history, &e))
		fprintf(stderr, "%s\n", e.text); /* kept from the screen and shown after it */
	history_free(&app->history);
	differences_free(&app->differences);
	field_free(&app->line_field);
	free(app->figure_command);
	*app = (struct app){0};
}

/* ---- for views ---- */

void app_say(struct app *app, enum role role, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(app->message, sizeof app->message, format, args);
	va_end(args);
	app->message_role = role;
}

static bool is_detail(enum view_index view)
{
	return view == VIEW_TOKEN || view == VIEW_REGIONS || view == VIEW_PAIR;
}

void app_show(struct app *app, enum view_index view)
{
	app->panel.open &= (views[view]->bit & AT_RESULT) != 0;
	if (is_detail(view) && !is_detail(app->view) && (views[app->view]->bit & AT_RESULT))
		app->under_detail = app->view;
	app->view = view;
	if (views[view]->bit & AT_RESULT)
		app->from_result = false;
}

unsigned app_where(const struct app *app)
{
	return app->question == ASK_COPY ? AT_COPY : app->question ? AT_ASK : app->line ? AT_LINE : app->panel.open ? AT_OPTIONS : views[app->view]->bit;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

int app_errand(struct app *app, const struct errand *errand, struct err *e)
{
	if (!app->shows_previous && !app->pair.swapped)
		return worker_errand(app->worker, errand, e);
	errand->drop(errand->state);
	return err_set(e, ERR_USE, "%s: the model holds the other result's prompt; %s shows that", errand->name, app->shows_previous ? "P" : "x");
}

void app_run(struct app *app, const struct run_order *order)
{
	struct err e;
	if (worker_run(app->worker, order, &e)) {
		app_say(app, ROLE_ERROR, "%s", e.text);
		return;
	}
	*app->opening = '\0';
	app->from_run = app->awaits_result = true;
	app->work.running = true;
	app->work.n_stage = 0;
	snprintf(app->run_name, sizeof app->run_name, "%s",
		order->prompt_file ? last_part(order->prompt_file) : "typed prompt");
	snprintf(app->run_model, sizeof app->run_model, "%s", last_part(order->model));
	app_show(app, VIEW_MAPS);
}

void app_open_capture(struct app *app, const char *path)
{
	*app->opening = '\0';
	app->from_run = false;
	app->awaits_result = true;
	app->work.busy = true;
	worker_open_capture(app->worker, path);
}

void app_open_other(struct app *app, const char *path)
{
	snprintf(app->pair.asked, sizeof app->pair.asked, "%s", path);
	app->work.busy = true;
	worker_open_other(app->worker, path);
}

const char *app_model_name(const struct app *app)
{
	const char *name = capture_meta(app->look.snap->capture, "model_name");
	return name && *name ? name : "model unknown";
}

const char *app_prompt_name(const struct app *app)
{
	const char *name = capture_meta(app->look.snap->capture, "prompt_name");
	if (name && *name)
		return last_part(name);
	if (*app->prompt_name)
		return app->prompt_name;
	return *app->capture_path ? last_part(app->capture_path) : "prompt";
}

/* ---- drawing ---- */

static void draw_too_small(const struct app *app, struct grid *g)
{
	char text[120];
	snprintf(text, sizeof text, "kvglass needs %d x %d; this window is %d x %d.", LAYOUT_MIN_COLS, LAYOUT_MIN_ROWS,
		app->cols, app->rows);
	struct rect whole = grid_whole(g);
	size_t at = 0, n = strlen(text);
	for (int row = 0; row < app->rows && at < n; row++) { /* a sentence fits everywhere, wrapped */
		size_t fit = glyph_fit(text + at, n - at, app->cols);
		grid_bytes(g, whole, row, 0, style_plain, text + at, fit);
		at += fit ? fit : n;
	}
}

/* Before there is anything to see: how far the work is. */
static void draw_waiting(struct app *app, struct grid *g)
{
	struct layout_page page;
	char done[32], total[32], took[32], speed[160];
	layout_page(&page, app->rows, app->cols, 0);
	frame_title(app, g, page.title);
	struct rect r = rect_sub(page.body, 1, 4, page.body.rows - 1, page.body.cols - 8);
	if (!app->from_run) {
		grid_text(g, r, 0, 0, style_plain, "opening the capture");
		return;
	}
	grid_printf(g, r, 0, 0, theme_style(&app->theme, ROLE_STRONG), "%s on %s", app->run_model, app->run_name);
	grid_text(g, r, 1, 0, theme_style(&app->theme, ROLE_DIM), "Maps appear as soon as there are any.");
	speed_of_device(&app->work, speed, sizeof speed);
	grid_text(g, r, 2, 0, theme_style(&app->theme, ROLE_DIM), speed);
	for (int i = 0; i < app->work.n_stage; i++) {
		const struct stage *s = &app->work.stage[i];
		struct rect line = rect_sub(r, 4 + 2 * i, 0, 1, r.cols);
		grid_text(g, line, 0, 0, style_plain, s->name);
		frame_bar(app, g, rect_sub(line, 0, 12, 1, 30), s->total > 0 ? (double)s->done / (double)s->total : 0);
		speed_of_stage(s, speed, sizeof speed);
		grid_printf(g, line, 0, 44, theme_style(&app->theme, ROLE_DIM), *speed ? "%s of %s \xc2\xb7 %s \xc2\xb7 %s" : "%s of %s \xc2\xb7 %s",
			number_grouped(done, s->done), number_grouped(total, s->total), number_duration(took, s->seconds), speed);
	}
}

void app_draw(struct app *app, struct grid *g)
{
	app->rows = g->rows;
	app->cols = g->cols;
	grid_clear(g, style_plain);
	if (app->rows < LAYOUT_MIN_ROWS || app->cols < LAYOUT_MIN_COLS) {
		draw_too_small(app, g);
		return;
	}
	if ((views[app->view]->bit & AT_RESULT) && !app->look.snap)
		draw_waiting(app, g);
	else
		views[app->view]->draw(app, app->state[app->view], g);
	if (app->panel.open)
		panel_draw(app, g);
	frame_bottom(app, g);
}
