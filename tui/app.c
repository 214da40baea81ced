#include "tui/app.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/view/frame.h"
#include "tui/draw/layout.h"
#include "tui/draw/number.h"
#include "tui/saving.h"
#include "tui/draw/glyph.h"
#include "tui/view/view_start.h"

static const struct view *const views[N_VIEW] = {
	[VIEW_START] = &view_start, [VIEW_MAPS] = &view_maps, [VIEW_TEXT] = &view_text, [VIEW_HELP] = &view_help,
};

const struct view *app_view(enum view_index i)
{
	return views[i];
}

/* ---- opening ---- */

static struct run_order order_of(const struct screen_options *o)
{
	return (struct run_order){.model = o->model, .prompt = o->prompt, .prompt_bytes = o->prompt_bytes,
		.prompt_file = o->prompt_file,
		.modules = o->modules, .load = o->load, .device = o->device, .measure = o->measure};
}

static void begin(struct app *app)
{
	const struct screen_options *o = app->options;
	app->root = app->view = VIEW_START;
	if (o->capture || (o->model && (o->prompt || o->prompt_file))) {
		app->root = app->view = VIEW_MAPS;
		app->asked_by_command_line = true;
		struct run_order order = order_of(o);
		if (o->capture)
			app_open_capture(app, o->capture);
		else
			app_run(app, &order);
	} else {
		start_shown(app, app->state[VIEW_START]);
	}
}

int app_open(struct app *app, const struct screen_options *o, const struct theme *theme, struct err *e)
{
	struct evaluation_options evaluation = {.protocol = o->protocol, .seed = o->measure.seed, .preset = o->preset};
	*app = (struct app){.options = o, .theme = *theme, .rows = LAYOUT_MIN_ROWS, .cols = LAYOUT_MIN_COLS};
	app->look.asked_budget = o->budget;
	int rc = worker_open(&app->worker, &evaluation, e);
	for (int i = 0; !rc && i < N_VIEW; i++)
		rc = views[i]->open(app, &app->state[i], e);
	if (rc)
		app_close(app);
	else
		begin(app);
	return rc;
}

void app_close(struct app *app)
{
	worker_close(app->worker);
	for (int i = 0; i < N_VIEW; i++)
		if (app->state[i])
			views[i]->close(app->state[i]);
	look_free(&app->look);
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

void app_show(struct app *app, enum view_index view)
{
	app->view = view;
	if (views[view]->bit & AT_RESULT)
		app->from_result = false;
}

unsigned app_where(const struct app *app)
{
	return app->question ? AT_ASK : app->line ? AT_LINE : views[app->view]->bit;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

void app_run(struct app *app, const struct run_order *order)
{
	struct err e;
	if (worker_run(app->worker, order, &e)) {
		app_say(app, ROLE_ERROR, "%s", e.text);
		return;
	}
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
	app->from_run = false;
	app->awaits_result = true;
	app->work.busy = true;
	worker_open_capture(app->worker, path);
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

/* ---- questions ---- */

bool app_may_replace(struct app *app)
{
	if (!app->unsaved)
		return true;
	app->question = ASK_REPLACE_RUN;
	snprintf(app->question_text, sizeof app->question_text,
		"The result on the screen is in no file. Replace it?   y yes   n no   w save it first");
	return false;
}

static void ask_to_leave(struct app *app)
{
	if (!app->unsaved && !app->work.running) {
		app->quit = true;
		return;
	}
	app->question = ASK_LEAVE;
	snprintf(app->question_text, sizeof app->question_text,
		app->look.snap && app->unsaved ? "%s   y leave   n stay   w save first" : "%s   y leave   n stay",
		app->work.running ? "A run is going on. Leave and lose it?" : "This run is in no file. Leave and lose it?");
}

static void answer(struct app *app, enum action_id action)
{
	enum question question = app->question;
	bool yes = action == ACTION_ANSWER_YES;
	if (action == ACTION_ANSWER_SAVE && (question == ASK_OVERWRITE || !app->look.snap))
		return;
	app->question = ASK_NOTHING;
	if (action == ACTION_ANSWER_SAVE) {
		app->leave_when_saved = question == ASK_LEAVE;
		saving_ask_capture(app);
	} else if (question == ASK_LEAVE) {
		app->quit = yes;
	} else if (question == ASK_OVERWRITE) {
		if (yes)
			saving_accept(app, true);
	} else if (yes) {
		app->unsaved = false;
		app_act(app, ACTION_START_RUN);
	}
}

/* ---- actions ---- */

/* What every result view does alike. */
static bool act_on_look(struct app *app, enum action_id action)
{
	struct look *l = &app->look;
	switch ((int)action) {
	case ACTION_TOKEN_PREV: look_move_token(l, -1); break;
	case ACTION_TOKEN_NEXT: look_move_token(l, 1); break;
	case ACTION_LAYER_PREV: look_move_layer(l, -1); break;
	case ACTION_LAYER_NEXT: look_move_layer(l, 1); break;
	case ACTION_HEAD_PREV: look_move_head(l, -1); break;
	case ACTION_HEAD_NEXT: look_move_head(l, 1); break;
	case ACTION_BUDGET_LESS: look_step_budget(l, -1); break;
	case ACTION_BUDGET_MORE: look_step_budget(l, 1); break;
	case ACTION_METHOD_NEXT: look_next_series(l, 1); break;
	case ACTION_METHOD_PREV: look_next_series(l, -1); break;
	case ACTION_SCOPE: look_next_scope(l); break;
	case ACTION_SCALE: look_next_scale(l); break;
	case ACTION_VIEW_MAPS: app_show(app, VIEW_MAPS); break;
	case ACTION_VIEW_TEXT: app_show(app, VIEW_TEXT); break;
	case ACTION_SAVE_CAPTURE: saving_ask_capture(app); break;
	case ACTION_SAVE_FIGURE: saving_ask_figure(app); break;
	default: return false;
	}
	return true;
}

static void act_on_line(struct app *app, enum action_id action)
{
	bool grew;
	*app->line_names = '\0';
	if (action == ACTION_BACK || action == ACTION_CANCEL) {
		app->line = LINE_NOTHING;
		app->leave_when_saved = false;
	} else if (action == ACTION_ACCEPT) {
		saving_accept(app, false);
	} else if (action == ACTION_COMPLETE) {
		if (field_complete(&app->line_field, &grew, app->line_names, sizeof app->line_names) == 0)
			snprintf(app->line_names, sizeof app->line_names, "no such file yet");
	} else {
		field_act(&app->line_field, action);
	}
}

static void cancel(struct app *app)
{
	if (!app->work.running) {
		app_say(app, ROLE_PLAIN, "nothing is running; Q leaves kvglass");
		return;
	}
	worker_cancel(app->worker);
	app_say(app, ROLE_WARN, "stopping at the next step");
}

static bool is_detour(const struct app *app)
{
	return app->view == VIEW_START && app->from_result;
}

static void go_back(struct app *app)
{
	if (app->view != app->root || is_detour(app))
		app_show(app, is_detour(app) ? VIEW_MAPS : app->root);
	else if (app->by_escape) /* everybody presses it once too often */
		app_say(app, ROLE_PLAIN, "%s leaves kvglass", app->view == VIEW_START ? "^Q" : "q");
	else
		ask_to_leave(app);
}

/* What every view does alike. */
static void act_on_program(struct app *app, enum action_id action)
{
	switch ((int)action) {
	case ACTION_RUN:
		app_show(app, VIEW_START);
		app->from_result = true;
		break;
	case ACTION_CANCEL:
		cancel(app);
		break;
	case ACTION_HELP:
		app->under_help = app->view;
		app_show(app, VIEW_HELP);
		break;
	case ACTION_BACK:
		go_back(app);
		break;
	case ACTION_QUIT:
		ask_to_leave(app);
		break;
	default:
		break;
	}
}

void app_act(struct app *app, enum action_id action)
{
	const struct action *a = action_get(action);
	bool result_view = (views[app->view]->bit & AT_RESULT) != 0;
	if (!a || !(a->views & app_where(app)))
		return;
	if (action == ACTION_REDRAW)
		app->redraw = true;
	else if (action == ACTION_SUSPEND)
		app->suspend = true;
	else if (app->question)
		answer(app, action);
	else if (app->line)
		act_on_line(app, action);
	else if (result_view && !app->look.snap)
		act_on_program(app, action); /* nothing to look at yet */
	else if (!views[app->view]->act(app, app->state[app->view], action) && !(result_view && act_on_look(app, action)))
		act_on_program(app, action);
}

/* ---- events ---- */

static bool is_typing(const struct app *app)
{
	const struct view *v = views[app->view];
	return !app->question && (app->line || (v->typing && v->typing(app, app->state[app->view])));
}

static void type(struct app *app, int key)
{
	if (app->line) {
		*app->line_names = '\0';
		if (!field_type(&app->line_field, key))
			app_say(app, ROLE_ERROR, "out of memory");
	} else {
		views[app->view]->type(app, app->state[app->view], key);
	}
}

static void on_key(struct app *app, const struct event *event)
{
	*app->message = '\0';
	if (is_typing(app) && (event->pasted || event_key_types(event->key))) {
		type(app, event->key);
		return;
	}
	if (event->pasted)
		return;
	enum action_id action = action_by_key(event->key, app_where(app));
	app->by_escape = event->key == K_ESCAPE;
	if (action)
		app_act(app, action);
	else if (app_where(app) & (AT_VIEW & ~AT_START))
		app_say(app, ROLE_DIM, "this key does nothing here; ? lists those that do");
}

static void on_point(struct app *app, const struct event *event)
{
	const struct view *v = views[app->view];
	bool ready = !(v->bit & AT_RESULT) || app->look.snap;
	if (v->point && ready && !app->question && !app->line && app->rows >= LAYOUT_MIN_ROWS &&
		app->cols >= LAYOUT_MIN_COLS) {
		*app->message = '\0';
		v->point(app, app->state[app->view], event);
	}
}

void app_event(struct app *app, const struct event *event)
{
	switch (event->kind) {
	case EVENT_KEY: on_key(app, event); break;
	case EVENT_CLICK:
	case EVENT_WHEEL: on_point(app, event); break;
	case EVENT_REDRAW: app->redraw = true; break;
	case EVENT_SIGNAL:
		err_set(&app->failure, ERR_CANCELLED, "ended by signal %d (%s)", event->signal, strsignal(event->signal));
		app->quit = true;
		break;
	default: break;
	}
}

/* ---- news ---- */

static void on_failure(struct app *app, const char *text)
{
	if (app->asked_by_command_line && !app->look.snap) {
		err_set(&app->failure, ERR_SYSTEM, "%s", text);
		app->quit = true;
		return;
	}
	if (!app->look.snap)
		app_show(app, VIEW_START);
	app_say(app, ROLE_ERROR, "%s", text);
}

static void on_note(struct app *app, const struct note *note)
{
	switch (note->kind) {
	case NOTE_DONE:
		app_say(app, ROLE_GOOD, "the run is finished \xc2\xb7 w saves it");
		break;
	case NOTE_CANCELLED:
		if (!app->look.snap)
			app_show(app, VIEW_START);
		app_say(app, ROLE_WARN, "%s", note->text);
		break;
	case NOTE_FAILED:
		on_failure(app, note->text);
		break;
	case NOTE_OPENED:
		snprintf(app->capture_path, sizeof app->capture_path, "%s", note->text);
		app_show(app, app->view == VIEW_START ? VIEW_MAPS : app->view);
		break;
	case NOTE_SAVED:
	case NOTE_FIGURE:
	case NOTE_ERROR:
		saving_note(app, note);
		break;
	case NOTE_PROBE:
	case NOTE_BAD_PROBE:
		start_probed(app->state[VIEW_START], note);
		break;
	}
}

static void on_snapshot(struct app *app, const struct snapshot *s)
{
	if (app->awaits_result)
		/* it opens where it is interesting; later snapshots of it leave the user's place alone */
		app->look.moved = app->look.settled = false;
	bool first = app->awaits_result;
	app->awaits_result = false;
	look_take(&app->look, s);
	if (first && app->look.asked_budget > 0 && app->look.budget != app->look.asked_budget)
		app_say(app, ROLE_WARN, "budget %d: this prompt allows %d to %d", app->look.asked_budget, look_least_budget(&app->look),
			s->capture->n_prompt);
	app->unsaved = app->from_run;
	snprintf(app->prompt_name, sizeof app->prompt_name, "%s", app->from_run ? app->run_name : "");
	if (app->from_run)
		*app->capture_path = '\0';
}

void app_news(struct app *app)
{
	const struct snapshot *snapshot;
	struct note note;
	bool has_note = true;
	while (has_note) {
		worker_take(app->worker, &app->work, &snapshot, &note, &has_note);
		if (snapshot)
			on_snapshot(app, snapshot);
		if (has_note)
			on_note(app, &note);
	}
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
	char done[32], total[32], took[32];
	layout_page(&page, app->rows, app->cols, 0);
	frame_title(app, g, page.title);
	struct rect r = rect_sub(page.body, 1, 4, page.body.rows - 1, page.body.cols - 8);
	if (!app->from_run) {
		grid_text(g, r, 0, 0, style_plain, "opening the capture");
		return;
	}
	grid_printf(g, r, 0, 0, theme_style(&app->theme, ROLE_STRONG), "%s on %s", app->run_model, app->run_name);
	grid_text(g, r, 1, 0, theme_style(&app->theme, ROLE_DIM), "Maps appear as soon as there are any.");
	for (int i = 0; i < app->work.n_stage; i++) {
		const struct stage *s = &app->work.stage[i];
		struct rect line = rect_sub(r, 3 + 2 * i, 0, 1, r.cols);
		grid_text(g, line, 0, 0, style_plain, s->name);
		frame_bar(app, g, rect_sub(line, 0, 12, 1, 30), s->total > 0 ? (double)s->done / (double)s->total : 0);
		grid_printf(g, line, 0, 44, theme_style(&app->theme, ROLE_DIM), "%s of %s \xc2\xb7 %s",
			number_grouped(done, s->done),
			number_grouped(total, s->total), number_duration(took, s->seconds));
	}
}

void app_wait_until_idle(struct app *app)
{
	app_news(app);
	while (app->work.busy && !app->quit) {
		struct pollfd p = {.fd = worker_fd(app->worker), .events = POLLIN};
		poll(&p, 1, 1000);
		app_news(app);
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
	frame_bottom(app, g);
}
