#include "tui/screen.h"

#include <stdlib.h>

#include "tui/app.h"
#include "tui/editor.h"
#include "tui/script.h"
#include "tui/terminal/term.h"
#include "tui/view/view_start.h"

static void frame(struct app *app, struct term *t, struct grid *g)
{
	int rows, cols;
	term_size(t, &rows, &cols);
	if (!grid_resize(g, rows, cols))
		return; /* the frame before stays; a smaller window may come */
	if (app->redraw)
		term_forget(t);
	app->redraw = false;
	app_draw(app, g);
	term_show(t, g);
}

static void edit_prompt(struct app *app, struct term *t)
{
	struct err e;
	char *text = start_prompt(app, app->state[VIEW_START]);
	app->edit = false;
	if (!text)
		return;
	term_lend(t);
	int rc = editor_edit(&text, &e);
	term_take_back(t);
	if (rc)
		app_say(app, ROLE_ERROR, "%s", e.text);
	else
		start_set_prompt(app, app->state[VIEW_START], text);
	free(text);
}

/* What the program wants of the terminal besides a frame. */
static void serve(struct app *app, struct term *t)
{
	if (app->suspend)
		term_suspend(t);
	app->suspend = false;
	if (app->edit)
		edit_prompt(app, t);
	if (app->clipboard)
		term_copy(t, app->clipboard);
	free(app->clipboard);
	app->clipboard = NULL;
}

/* Everything that is there is taken before the next frame is drawn, so a slow terminal never lags behind the keys. */
static void turn(struct app *app, struct term *t, struct grid *g)
{
	struct event event;
	while (!app->quit && term_next(t, &event)) {
		app_event(app, &event);
		serve(app, t);
	}
	app_news(app);
	if (!app->quit)
		frame(app, t, g);
}

/* Colours, characters or background were changed while the program runs. */
static int open_anew(struct app *app, struct term **t, struct grid *g, struct err *e)
{
	char color[24], charset[24], background[24];
	struct term_options look = {.color = color, .charset = charset, .background = background};
	option_choice_word(OPT_color, app->switches.now.color, color);
	option_choice_word(OPT_charset, app->switches.now.charset, charset);
	option_choice_word(OPT_background, app->switches.now.background, background);
	app->reopen = false;
	term_close(*t);
	*t = NULL;
	int rc = term_open(t, &look, e);
	if (rc)
		return rc;
	app->theme = *term_theme(*t);
	g->ascii = !app->theme.utf8;
	if (term_notice(*t))
		app_say(app, ROLE_WARN, "%s", term_notice(*t));
	return 0;
}

static int converse(struct term **t, const struct screen_options *o, struct err *e)
{
	struct app app;
	struct grid g = {.ascii = !term_theme(*t)->utf8};
	int rc = app_open(&app, o, term_theme(*t), e);
	if (rc)
		return rc;
	if (term_notice(*t))
		app_say(&app, ROLE_WARN, "%s", term_notice(*t));
	while (!rc) {
		turn(&app, *t, &g);
		if (app.quit)
			break;
		if (app.reopen)
			rc = open_anew(&app, t, &g, e);
		else
			term_wait(*t, worker_fd(app.worker), -1);
	}
	if (!rc && app.failure.code)
		rc = err_set(e, app.failure.code, "%s", app.failure.text);
	app_close(&app);
	grid_free(&g);
	return rc;
}

int screen_run(const struct screen_options *o, struct err *e)
{
	struct term_options look = {.color = o->color, .charset = o->charset, .background = o->background};
	struct term *t;
	if (o->script)
		return script_run(o, e);
	int rc = term_open(&t, &look, e);
	if (rc)
		return rc;
	rc = converse(&t, o, e);
	term_close(t);
	return rc;
}
