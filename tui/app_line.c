/* The line at the bottom, and what can be typed on it after a colon. */
#include "tui/app_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/marking.h"
#include "tui/saving.h"
#include "tui/typed.h"
#include "tui/view/view_start.h"

/* ---- the line ---- */

void app_ask_line(struct app *app, const struct ask *ask, const char *text)
{
	if (!field_set(&app->line_field, text)) {
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	app->line = ask;
	*app->line_names = '\0';
	history_rest(&app->history);
}

static void close_line(struct app *app)
{
	app->line = NULL;
	*app->line_names = '\0';
}

static void changed(struct app *app)
{
	*app->line_names = '\0';
	if (app->line->changed)
		app->line->changed(app, app->line_field.text);
}

void line_type(struct app *app, int key)
{
	history_rest(&app->history);
	if (field_type(&app->line_field, key))
		changed(app);
	else
		app_say(app, ROLE_ERROR, "out of memory");
}

static void accept(struct app *app)
{
	const struct ask *ask = app->line;
	char *text = strdup(app->line_field.text);
	close_line(app);
	if (!text) {
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	if (ask->history)
		history_add(&app->history, ask->history, text);
	ask->accept(app, text);
	free(text);
}

static void leave(struct app *app)
{
	const struct ask *ask = app->line;
	close_line(app);
	if (ask->left)
		ask->left(app);
}

static void complete(struct app *app)
{
	bool grew;
	if (app->line->complete)
		app->line->complete(app);
	else if (field_complete(&app->line_field, &grew, app->line_names, sizeof app->line_names) == 0)
		snprintf(app->line_names, sizeof app->line_names, "no such file yet");
}

static void walk(struct app *app, int by)
{
	const char *line = app->line->history ? history_walk(&app->history, app->line->history, by, app->line_field.text) : NULL;
	if (!line)
		return;
	field_set(&app->line_field, line); /* a line that does not fit into memory is not shown */
	changed(app);
}

void line_act(struct app *app, enum action_id action)
{
	switch ((int)action) {
	case ACTION_BACK:
	case ACTION_CANCEL: leave(app); break;
	case ACTION_ACCEPT: accept(app); break;
	case ACTION_COMPLETE: complete(app); break;
	case ACTION_HISTORY_PREV: walk(app, -1); break;
	case ACTION_HISTORY_NEXT: walk(app, 1); break;
	default:
		if (app->line->history && *app->line_field.text == '\0' && action == ACTION_EDIT_RUBOUT) {
			leave(app); /* as editors do: the colon itself is erased */
		} else if (field_act(&app->line_field, action)) {
			history_rest(&app->history);
			changed(app);
		}
	}
}

/* ---- commands ---- */

void app_perform(struct app *app, const char *line)
{
	struct typed_line typed;
	struct err e;
	if (typed_parse(&typed, line, app_where(app), &e))
		app_say(app, ROLE_ERROR, "%s", e.text);
	else if (typed.command && (typed.command->views & AT_RESULT) && !(typed.command->views & ~AT_RESULT) && !app->look.snap)
		app_say(app, ROLE_WARN, "%s: nothing is shown yet", typed.command->name);
	else if (typed.command)
		typed.command->run(app, typed.argument);
	else if (typed.action)
		app_act(app, typed.action);
}

/* Where on the command line the word at the cursor begins. */
static size_t word_begin(const struct field *f)
{
	size_t at = f->at;
	while (at > 0 && f->text[at - 1] != ' ')
		at--;
	return at;
}

struct words {
	const struct typed *command; /* NULL: names of commands */
	unsigned where;
	char before[40];
};

static const char *word_at(void *user, int i, char room[40])
{
	const struct words *w = user;
	return w->command ? typed_word(w->command, w->before, i, room) : typed_name(i, w->where);
}

static const struct typed *command_of(const char *text)
{
	int n_table;
	size_t n = strcspn(text, " ");
	const struct typed *list = typed_list(&n_table);
	for (int i = 0; i < n_table; i++)
		if (strlen(list[i].name) == n && !strncmp(list[i].name, text, n))
			return &list[i];
	return NULL;
}

static unsigned where_typed(const struct app *app)
{
	return app_view(app->view)->bit;
}

static void complete_command(struct app *app)
{
	struct field *f = &app->line_field;
	struct words w = {.where = where_typed(app)};
	size_t begin = word_begin(f);
	bool grew;
	int n = 0;
	if (begin > 0) {
		size_t n_name = strcspn(f->text, " ");
		w.command = command_of(f->text);
		if (begin > n_name + 1)
			snprintf(w.before, sizeof w.before, "%.*s", (int)(begin - n_name - 2), f->text + n_name + 1);
	}
	if (begin > 0 && w.command && w.command->takes == TAKES_FILE)
		n = field_complete_from(f, strcspn(f->text, " ") + 1, &grew, app->line_names, sizeof app->line_names);
	else if (begin == 0 || w.command)
		n = field_complete_word(f, begin, word_at, &w, app->line_names, sizeof app->line_names);
	if (n == 0)
		snprintf(app->line_names, sizeof app->line_names, "nothing begins like that");
	else if (n == 1)
		*app->line_names = '\0';
}

static const struct ask ask_command = {.label = ":", .accept = app_perform, .complete = complete_command, .history = ':'};

void line_ask_command(struct app *app, const char *text)
{
	app_ask_line(app, &ask_command, text);
}

/* ---- what they do ---- */

/* The table has checked that it is a whole number. */
static int whole(const char *text)
{
	return atoi(text);
}

static bool refuse(struct app *app, const char *what, int value, int first, int last)
{
	if (value >= first && value <= last)
		return false;
	app_say(app, ROLE_ERROR, "%s %d: there are %d to %d", what, value, first, last);
	return true;
}

void typed_goto_token(struct app *app, const char *text)
{
	if (!refuse(app, "token", whole(text), 0, app->look.snap->capture->n_prompt - 1))
		look_set_token(&app->look, whole(text));
}

void typed_layer(struct app *app, const char *text)
{
	if (!refuse(app, "layer", whole(text), 0, app->look.snap->capture->n_layer - 1))
		look_set_head(&app->look, whole(text), app->look.head);
}

void typed_head(struct app *app, const char *text)
{
	if (!refuse(app, "head", whole(text), 0, app->look.snap->capture->n_head - 1))
		look_set_head(&app->look, app->look.layer, whole(text));
}

void typed_budget(struct app *app, const char *text)
{
	if (!refuse(app, "budget", whole(text), look_least_budget(&app->look), app->look.snap->capture->n_prompt))
		look_set_budget(&app->look, whole(text));
}

void typed_panes(struct app *app, const char *text)
{
	struct err e;
	if (look_set_panes(&app->look, strcmp(text, "default") ? text : "", &e))
		app_say(app, ROLE_ERROR, "%s", e.text);
	else
		app_show(app, VIEW_MAPS);
}

void typed_search(struct app *app, const char *text)
{
	marking_search(app, text);
}

void typed_method(struct app *app, const char *text)
{
	const struct snapshot *s = app->look.snap;
	const struct method *m = method_find(text);
	for (int i = 0; i < s->n_series; i++) {
		bool same = !strcmp(s->series[i].name, text) || (m && i == 0 && m->kind == METHOD_ORACLE);
		if (same) {
			app->look.focus = i;
			return;
		}
	}
	app_say(app, ROLE_ERROR, "method %.60s: %s", text, m ? "this capture has no map of it" : "no such method");
}

/* Number of a word among "a|b|c"; the table has checked that it is one of them. */
static int choice_of(const char *const *words, const char *text)
{
	int i = 0;
	while (words[i] && strcmp(words[i], text))
		i++;
	return i;
}

void typed_scope(struct app *app, const char *text)
{
	static const char *const words[] = {[LOOK_HEAD] = "head", [LOOK_LAYER] = "layer", [LOOK_ALL] = "all", NULL};
	app->look.scope = (enum look_scope)choice_of(words, text);
}

void typed_scale(struct app *app, const char *text)
{
	static const char *const words[] = {[RAMP_LIFT] = "lift", [RAMP_PERCENTILE] = "percentile", [RAMP_RAW] = "raw",
		[RAMP_DIFFERENCE] = "difference", NULL};
	app->look.scale = (enum ramp_scale)choice_of(words, text);
}

void typed_save(struct app *app, const char *text)
{
	saving_capture(app, text);
}

void typed_figure(struct app *app, const char *text)
{
	saving_figure(app, text);
}

void typed_other(struct app *app, const char *text)
{
	app_open_other(app, text);
}

void typed_open(struct app *app, const char *text)
{
	snprintf(app->opening, sizeof app->opening, "%s", text);
	if (app_may_replace(app))
		app_open_capture(app, text);
}
