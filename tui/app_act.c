/* What actions, keys and the mouse do to the program. */
#include "tui/app.h"

#include <stdio.h>
#include <string.h>

#include "tui/app_line.h"
#include "tui/copying.h"
#include "tui/draw/layout.h"
#include "tui/marking.h"
#include "tui/saving.h"
#include "tui/settings_act.h"
#include "tui/speed.h"

/* ---- questions ---- */

bool app_may_replace(struct app *app)
{
	if (!results_would_lose(app))
		return true;
	app->question = ASK_REPLACE_RUN;
	snprintf(app->question_text, sizeof app->question_text,
		"The result before is in no file, and a new one takes its place. Go on?   y yes   n no   w save it first");
	return false;
}

static void ask_to_leave(struct app *app)
{
	bool unsaved = app->unsaved || (app->other.snap && app->other.unsaved);
	if (!unsaved && !app->work.running) {
		app->quit = true;
		return;
	}
	app->question = ASK_LEAVE;
	snprintf(app->question_text, sizeof app->question_text,
		app->look.snap && unsaved ? "%s   y leave   n stay   w save first" : "%s   y leave   n stay",
		app->work.running ? "A run is going on. Leave and lose it?" : app->unsaved ? "This run is in no file. Leave and lose it?" : "The other result (P) is in no file. Leave and lose it?");
}

/* The result before may go: what waited for that. */
static void replace(struct app *app)
{
	if (app->shows_previous)
		app->unsaved = false;
	else
		app->other.unsaved = false;
	if (*app->opening)
		app_open_capture(app, app->opening);
	else
		app_act(app, ACTION_START_RUN);
}

static void answer(struct app *app, enum action_id action)
{
	enum question question = app->question;
	bool yes = action == ACTION_ANSWER_YES;
	if (action == ACTION_ANSWER_SAVE && (question == ASK_OVERWRITE || question == ASK_CPU || !app->look.snap))
		return;
	app->question = ASK_NOTHING;
	if (action == ACTION_ANSWER_SAVE) {
		bool other = question == ASK_REPLACE_RUN ? !app->shows_previous : !app->unsaved;
		if (other && app->other.snap)
			results_switch(app);
		app->leave_when_saved = question == ASK_LEAVE;
		saving_ask_capture(app);
	} else if (question == ASK_LEAVE) {
		app->quit = yes;
	} else if (question == ASK_CPU) {
		app_go_on_with_cpu(app, yes);
	} else if (question == ASK_OVERWRITE) {
		saving_overwrite(app, yes);
	} else if (yes) {
		replace(app);
	}
}

/* ---- actions ---- */

/* What every result view does alike. */
static bool act_on_look(struct app *app, enum action_id action)
{
	char speed[sizeof app->message];
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
	case ACTION_SINKS: l->no_sinks = !l->no_sinks; break;
	case ACTION_VIEW_MAPS: app_show(app, VIEW_MAPS); break;
	case ACTION_VIEW_TEXT: app_show(app, VIEW_TEXT); break;
	case ACTION_VIEW_HEADS: app_show(app, VIEW_HEADS); break;
	case ACTION_VIEW_CURVES: app_show(app, VIEW_CURVES); break;
	case ACTION_VIEW_EVICTION: app_show(app, VIEW_EVICTION); break;
	case ACTION_VIEW_MODULES: app_show(app, VIEW_MODULES); break;
	case ACTION_COPY: copying_ask(app); break;
	case ACTION_PREVIOUS: results_switch(app); break;
	case ACTION_EDIT_PROMPT:
		app_show(app, VIEW_START);
		app->from_result = app->edit = true;
		break;
	case ACTION_OPTIONS: app->panel.open = true; break;
	case ACTION_OPTION_DEFAULTS: settings_reset_protocol(app); break;
	case ACTION_VIEW_TOKEN: app_show(app, VIEW_TOKEN); break;
	case ACTION_VIEW_PAIR: app_show(app, VIEW_PAIR); break;
	case ACTION_EXCHANGE: pair_exchange(app); break;
	case ACTION_DIFFER: pair_toggle_differ(app); break;
	case ACTION_ALL_WORDS: words_all(app); break;
	case ACTION_VIEW_REGIONS: app_show(app, VIEW_REGIONS); break;
	case ACTION_SAVE_CAPTURE: saving_ask_capture(app); break;
	case ACTION_SAVE_FIGURE: saving_ask_figure(app); break;
	case ACTION_SPEED:
		speed_say(&app->work, speed, sizeof speed);
		app_say(app, ROLE_PLAIN, "%s", speed);
		break;
	default: return marking_act(app, action);
	}
	return true;
}

static void cancel(struct app *app)
{
	if (!app->work.running && !app->work.errand) {
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
	case ACTION_COMMAND_LINE:
		line_ask_command(app, "");
		break;
	case ACTION_HELP:
		app->under_help = app->view;
		app->help_bit = app_where(app);
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

/* There is nothing to look at yet, but a view may be chosen that will show it. */
static void act_before_result(struct app *app, enum action_id action)
{
	switch ((int)action) {
	case ACTION_VIEW_MAPS:
	case ACTION_VIEW_TEXT:
	case ACTION_VIEW_HEADS:
	case ACTION_VIEW_CURVES:
	case ACTION_VIEW_EVICTION:
	case ACTION_VIEW_MODULES:
	case ACTION_VIEW_REGIONS:
	case ACTION_VIEW_TOKEN:
		act_on_look(app, action);
		break;
	default:
		if (action_get(action)->group == GROUP_LEAVE || action == ACTION_RUN || action == ACTION_CANCEL)
			act_on_program(app, action);
		else
			app_say(app, ROLE_DIM, "there is nothing to look at yet");
	}
}

void app_act(struct app *app, enum action_id action)
{
	const struct action *a = action_get(action);
	bool result_view = (app_view(app->view)->bit & AT_RESULT) != 0;
	if (!a || !(a->views & app_where(app)))
		return;
	if (action == ACTION_REDRAW)
		app->redraw = true;
	else if (action == ACTION_SUSPEND)
		app->suspend = true;
	else if (app->question == ASK_COPY)
		copying_act(app, action);
	else if (app->question)
		answer(app, action);
	else if (app->line)
		line_act(app, action);
	else if (result_view && !app->look.snap)
		act_before_result(app, action);
	else if (app->panel.open && panel_act(app, action))
		return;
	else if (app->panel.open && action != ACTION_HELP && act_on_look(app, action))
		return;
	else if (action == ACTION_BACK && result_view && app->look.marking)
		app->look.marking = false;
	else if (!app_view(app->view)->act(app, app->state[app->view], action) && !(result_view && act_on_look(app, action)))
		act_on_program(app, action);
}

/* ---- events ---- */

static bool is_typing(const struct app *app)
{
	const struct view *v = app_view(app->view);
	return !app->question && (app->line || (v->typing && v->typing(app, app->state[app->view])));
}

static void type(struct app *app, int key)
{
	if (app->line)
		line_type(app, key);
	else
		app_view(app->view)->type(app, app->state[app->view], key);
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
	const struct view *v = app_view(app->view);
	bool ready = !(v->bit & AT_RESULT) || app->look.snap;
	if (app->panel.open && !app->question && !app->line) {
		panel_point(app, event);
		return;
	}
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
