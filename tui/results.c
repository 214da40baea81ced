#include "tui/results.h"

#include <stdio.h>

#include "tui/app.h"

static struct kept_result shown_result(const struct app *app)
{
	struct kept_result r = {.snap = snapshot_ref(app->look.snap), .in_force = app->in_force, .unsaved = app->unsaved};
	if (r.in_force.preset) /* the program's own copy changes with the next option */
		r.in_force.preset = preset_find(r.in_force.preset->name);
	snprintf(r.capture_path, sizeof r.capture_path, "%s", app->capture_path);
	snprintf(r.prompt_name, sizeof r.prompt_name, "%s", app->prompt_name);
	return r;
}

/* Exchanges what is shown and what waits. */
static void exchange(struct app *app)
{
	struct kept_result shown = shown_result(app);
	look_take(&app->look, app->other.snap);
	app->unsaved = app->other.unsaved;
	app->in_force = app->other.in_force;
	snprintf(app->capture_path, sizeof app->capture_path, "%s", app->other.capture_path);
	snprintf(app->prompt_name, sizeof app->prompt_name, "%s", app->other.prompt_name);
	app->other = shown;
	app->shows_previous = !app->shows_previous;
}

void results_begin(struct app *app)
{
	if (!app->look.snap)
		return;
	if (app->shows_previous)
		exchange(app);
	snapshot_unref(app->other.snap);
	app->other = shown_result(app);
}

bool results_take_hidden(struct app *app, const struct snapshot *s)
{
	if (!app->shows_previous)
		return false;
	snapshot_unref(app->other.snap);
	app->other.snap = s;
	app->other.unsaved |= app->from_run;
	return true;
}

void results_switch(struct app *app)
{
	if (!app->other.snap) {
		app_say(app, ROLE_PLAIN, "there is one result only; r runs again, and this one is kept");
		return;
	}
	if (app->work.busy && !app->work.running) {
		app_say(app, ROLE_WARN, "not yet: the result that is shown is being worked on");
		return;
	}
	exchange(app);
	app_say(app, ROLE_PLAIN, app->shows_previous ? "the result before \xc2\xb7 P is back to the newest" : "the newest result");
}

void results_free(struct app *app)
{
	snapshot_unref(app->other.snap);
	app->other.snap = NULL;
}

bool results_would_lose(const struct app *app)
{
	return app->shows_previous ? app->unsaved : app->other.snap && app->other.unsaved;
}
