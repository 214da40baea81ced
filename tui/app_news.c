/* What the worker has to tell, taken into the program's state. */
#include "tui/app.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tui/saving.h"
#include "tui/view/view_start.h"

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

/* Views say where a map would be needed that is not there; this says it once for all, of maps that do not fit... */
static void say_set_aside(struct app *app)
{
	char why[256], other[8];
	if (*app->message || !capture_set_aside(app->look.snap->capture, 0, why, sizeof why))
		return;
	bool several = capture_set_aside(app->look.snap->capture, 1, other, sizeof other);
	app_say(app, ROLE_WARN, "%s: left out%s", why, several ? "; others too, see kvglass info" : "");
}

/* ... and of those that a capture could be expected to hold. */
static void say_missing(struct app *app)
{
	const struct capture *c = app->look.snap->capture;
	const char *modules = capture_meta(c, "module_name");
	const struct {
		const char *map;
		bool due;
	} expected[] = {{"truth", true}, {"truth_even", capture_find(c, "truth")}, {"snapkv", true}, {"lookahead", modules && *modules}};
	char list[80] = "";
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		size_t at = strlen(list);
		if (expected[i].due && !capture_find(c, expected[i].map))
			snprintf(list + at, sizeof list - at, "%srows.%s", at ? ", " : "", expected[i].map);
	}
	if (*list && !*app->message)
		app_say(app, ROLE_WARN, "this capture has no %s: what needs that is left out", list);
}

static void say_lacks(struct app *app)
{
	say_set_aside(app);
	say_missing(app);
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
	case NOTE_DEVICE:
		app->question = ASK_CPU;
		snprintf(app->refusal, sizeof app->refusal, "%s", note->text);
		snprintf(app->question_text, sizeof app->question_text, "%s, on the CPU?   y yes   n no",
			app->awaits_result ? "Run it again" : "Measure the prompt again"); /* under an errand the run behind it is what can be had */
		break;
	case NOTE_OPENED:
		snprintf(app->capture_path, sizeof app->capture_path, "%s", note->text);
		app_show(app, app->view == VIEW_START ? VIEW_MAPS : app->view);
		if (app->look.snap)
			say_lacks(app);
		break;
	case NOTE_SAVED:
	case NOTE_FIGURE:
	case NOTE_REMARK:
	case NOTE_ERROR:
		saving_note(app, note);
		break;
	case NOTE_PROBE:
	case NOTE_BAD_PROBE:
		start_probed(app->state[VIEW_START], note);
		break;
	}
}

/* The same capture under another protocol: in the place where it is now, which may be another one than when it was asked for. */
static bool take_again(struct app *app, const struct snapshot *s)
{
	if (app->look.snap && s->capture == app->look.snap->capture)
		look_take(&app->look, s);
	else if (app->pair.look.snap && s->capture == app->pair.look.snap->capture)
		look_take(&app->pair.look, s);
	else
		return false;
	return true;
}

static void on_snapshot(struct app *app, const struct snapshot *s)
{
	if (take_again(app, s))
		return;
	if (app->awaits_result)
		results_begin(app);
	else if (results_take_hidden(app, s))
		return;
	if (app->awaits_result)
		/* it opens where it is interesting; later snapshots of it leave the user's place alone */
		app->look.moved = app->look.settled = false;
	bool first = app->awaits_result;
	if (first)
		words_free(&app->words);
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

void app_go_on_with_cpu(struct app *app, bool yes)
{
	struct err e;
	app->question = ASK_NOTHING;
	if (!yes) {
		on_failure(app, app->refusal);
	} else if (worker_again_on_cpu(app->worker, &e)) {
		app_say(app, ROLE_ERROR, "%s", e.text);
	} else {
		app->from_run = app->awaits_result = true;
		app->work.running = app->work.busy = true;
		app->work.n_stage = 0;
	}
}

void app_news(struct app *app)
{
	const struct snapshot *snapshot;
	struct note note;
	struct errand_result errand;
	bool has_note = true;
	while (has_note) {
		worker_take(app->worker, &app->work, &snapshot, &note, &has_note);
		if (snapshot)
			on_snapshot(app, snapshot);
		if (has_note)
			on_note(app, &note);
	}
	const struct snapshot *other = worker_take_other(app->worker);
	if (other && !take_again(app, other))
		pair_take(app, other);
	while (worker_take_errand(app->worker, &errand))
		errand.errand.done(app, errand.errand.state, errand.rc, errand.why);
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
