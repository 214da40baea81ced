#include "tui/results.h"

#include <stdio.h>
#include <string.h>

#include "tui/app.h"

/* Exchanges what is shown and what waits. */
static void exchange(struct app *app)
{
	struct kept_result shown = {.snap = snapshot_ref(app->look.snap), .unsaved = app->unsaved};
	snprintf(shown.capture_path, sizeof shown.capture_path, "%s", app->capture_path);
	snprintf(shown.prompt_name, sizeof shown.prompt_name, "%s", app->prompt_name);
	look_take(&app->look, app->other.snap);
	app->unsaved = app->other.unsaved;
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
	app->other = (struct kept_result){.snap = snapshot_ref(app->look.snap), .unsaved = app->unsaved};
	snprintf(app->other.capture_path, sizeof app->other.capture_path, "%s", app->capture_path);
	snprintf(app->other.prompt_name, sizeof app->other.prompt_name, "%s", app->prompt_name);
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
