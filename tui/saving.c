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

static void ask(struct app *app, enum line_purpose purpose, const char *name)
{
	if (!field_set(&app->line_field, name)) {
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	app->line = purpose;
	*app->line_names = '\0';
}

void saving_ask_capture(struct app *app)
{
	char stem[200], name[256];
	stem_of(app, stem, sizeof stem);
	snprintf(name, sizeof name, "%s.kvg", stem);
	ask(app, LINE_CAPTURE, *app->capture_path ? app->capture_path : name);
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
	ask(app, LINE_FIGURE, name);
}

static void save_figure(struct app *app, const char *path)
{
	const struct view *view = app_view(app->view);
	const char *method[VIEW_MAX_FIGURE_METHOD];
	struct figure_command command = {.capture = *app->capture_path ? app->capture_path : NULL,
		.protocol = app->options->protocol,
		.preset = app->options->preset ? app->options->preset->name : NULL, .seed = app->options->measure.seed,
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

void saving_accept(struct app *app, bool sure)
{
	const char *path = app->line_field.text;
	if (!*path) {
		app->line = LINE_NOTHING;
		return;
	}
	if (!sure && access(path, F_OK) == 0) {
		app->question = ASK_OVERWRITE;
		snprintf(app->question_text, sizeof app->question_text,
			"%.200s is there already. Replace it?   y yes   n no", path);
		return;
	}
	enum line_purpose purpose = app->line;
	app->line = LINE_NOTHING;
	if (purpose == LINE_CAPTURE) {
		app->saving_serial = app->look.snap->serial;
		app->saving_complete = app->look.snap->capture->complete || !app->work.running;
		worker_save_capture(app->worker, app->look.snap, path);
		app_say(app, ROLE_PLAIN, "saving %s", path);
	} else {
		save_figure(app, path);
	}
}

void saving_note(struct app *app, const struct note *note)
{
	if (note->kind == NOTE_FIGURE) {
		app_say(app, ROLE_GOOD, "saved %s; the same again%s: %s -o %s", note->text,
			*app->capture_path ? "" : " (w saves the capture)", app->figure_command ? app->figure_command : "",
			note->text);
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
