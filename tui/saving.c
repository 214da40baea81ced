#include "tui/saving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tui/figure_command.h"

/* "harbour" from "/data/harbour.txt"; letters that need no quoting in a shell. */
static void stem_of(const struct app *app, char *out, size_t out_bytes)
{
	const char *name = app_prompt_name(app), *slash = strrchr(name, '/');
	snprintf(out, out_bytes, "%s", slash ? slash + 1 : name);
	char *dot = strrchr(out, '.');
	if (dot && dot > out)
		*dot = '\0';
	for (char *c = out; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *c))
			*c = '-';
}

static void stay(struct app *app)
{
	app->leave_when_saved = false;
}

static void write_capture(struct app *app, const char *path);
static void write_figure(struct app *app, const char *path);

static const struct ask ask_capture = {.label = "Save the capture as: ", .accept = saving_capture, .left = stay, .write = write_capture};
static const struct ask ask_figure = {.label = "Save the figure as (.png .pdf .svg): ", .accept = saving_figure, .write = write_figure};

void saving_ask_capture(struct app *app)
{
	char stem[200], name[256];
	stem_of(app, stem, sizeof stem);
	snprintf(name, sizeof name, "%s.kvg", stem);
	app_ask_line(app, &ask_capture, *app->capture_path ? app->capture_path : name);
}

void saving_ask_figure(struct app *app)
{
	const struct view *view = app_view(app->view);
	struct figure_spec spec = figure_spec_default();
	const char *method[VIEW_MAX_FIGURE_METHOD];
	char stem[200], name[256];
	const char *what = view->figure ? view->figure(app, app->state[app->view], &spec, method) : NULL;
	if (!what) {
		app_say(app, ROLE_WARN, "nothing here that could be drawn as a figure");
		return;
	}
	stem_of(app, stem, sizeof stem);
	snprintf(name, sizeof name, "%s-%s.png", stem, what);
	app_ask_line(app, &ask_figure, name);
}

static void write_figure(struct app *app, const char *path)
{
	const struct view *view = app_view(app->view);
	const char *method[VIEW_MAX_FIGURE_METHOD];
	struct figure_command command = {.capture = *app->capture_path ? app->capture_path : NULL,
		.protocol = app->in_force.protocol, .preset = app->in_force.preset ? app->in_force.preset->name : NULL, .seed = app->in_force.seed,
		.spec = figure_spec_default()};
	struct err e;
	command.spec.budget = app->look.budget;
	command.spec.scale = app->look.scale;
	view->figure(app, app->state[app->view], &command.spec, method);
	free(app->figure_command);
	app->figure_command = NULL;
	if (figure_command_write(&app->figure_command, &command, &e)) {
		app_say(app, ROLE_ERROR, "%s", e.text);
		return;
	}
	command.spec.command = app->figure_command;
	worker_save_figure(app->worker, app->look.snap, &command.spec, path);
	app_say(app, ROLE_PLAIN, "drawing %s", path);
}

static void write_capture(struct app *app, const char *path)
{
	app->saving_serial = app->look.snap->serial;
	app->saving_complete = app->look.snap->capture->complete || !app->work.running;
	worker_save_capture(app->worker, app->look.snap, path);
	app_say(app, ROLE_PLAIN, "saving %s", path);
}

bool saving_may_write(struct app *app, const struct ask *ask, const char *path)
{
	if (access(path, F_OK))
		return true;
	app->question = ASK_OVERWRITE;
	app->overwriting = ask;
	snprintf(app->overwritten, sizeof app->overwritten, "%s", path);
	snprintf(app->question_text, sizeof app->question_text, "%.200s is there already. Replace it?   y yes   n no", path);
	return false;
}

void saving_capture(struct app *app, const char *path)
{
	if (*path && saving_may_write(app, &ask_capture, path))
		write_capture(app, path);
}

void saving_figure(struct app *app, const char *path)
{
	const struct view *view = app_view(app->view);
	struct figure_spec spec = figure_spec_default();
	const char *method[VIEW_MAX_FIGURE_METHOD];
	if (!view->figure || !view->figure(app, app->state[app->view], &spec, method))
		app_say(app, ROLE_WARN, "nothing here that could be drawn as a figure");
	else if (*path && saving_may_write(app, &ask_figure, path))
		write_figure(app, path);
}

void saving_overwrite(struct app *app, bool yes)
{
	if (!yes)
		app_ask_line(app, app->overwriting, app->overwritten);
	else
		app->overwriting->write(app, app->overwritten);
}

void saving_note(struct app *app, const struct note *note)
{
	if (note->kind == NOTE_FIGURE) {
		app_say(app, ROLE_GOOD, "saved %s; the same again%s: %s -o %s", note->text,
			*app->capture_path ? "" : " (w saves the capture)", app->figure_command ? app->figure_command : "",
			note->text);
		return;
	}
	if (note->kind == NOTE_REMARK) {
		char said[sizeof app->message];
		snprintf(said, sizeof said, "%s", app->message);
		app_say(app, ROLE_WARN, "%s; but %s", said, note->text);
		return;
	}
	if (note->kind == NOTE_ERROR) {
		app->leave_when_saved = false;
		app_say(app, ROLE_ERROR, "not saved: %s", note->text);
		return;
	}
	snprintf(app->capture_path, sizeof app->capture_path, "%s", note->text);
	if (app->saving_complete)
		app->unsaved = false;
	app_say(app, ROLE_GOOD, "saved %s \xc2\xb7 the same screen: kvglass view %s", note->text, note->text);
	app->quit = app->leave_when_saved && !app->unsaved;
}
