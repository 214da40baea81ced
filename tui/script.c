#include "tui/script.h"

#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

#include "tui/draw/dump.h"
#include "tui/typed.h"
#include "tui/terminal/term.h"

struct stage_hand {
	struct app app;
	struct grid grid;
	int line; /* of the script, for messages */
};

static void press(struct stage_hand *h, int key)
{
	struct event event = {.kind = EVENT_KEY, .key = key};
	app_event(&h->app, &event);
}

static void type_text(struct stage_hand *h, const char *text)
{
	utf8proc_int32_t code;
	utf8proc_ssize_t used;
	for (; *text && (used = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &code)) > 0; text += used)
		press(h, code);
}

/* Other colours, characters or background than before. */
static void dress(struct stage_hand *h)
{
	char color[24], charset[24], background[24];
	struct term_options look = {.color = color, .charset = charset, .background = background};
	struct err e;
	option_choice_word(OPT_color, h->app.switches.now.color, color);
	option_choice_word(OPT_charset, h->app.switches.now.charset, charset);
	option_choice_word(OPT_background, h->app.switches.now.background, background);
	term_theme_plain(&h->app.theme, &look, &e); /* the table has checked its words */
	h->grid.ascii = !h->app.theme.utf8;
	h->app.reopen = false;
}

/* Views know where things are from the last frame, as for a person. */
static void draw(struct stage_hand *h)
{
	if (h->app.reopen)
		dress(h);
	app_draw(&h->app, &h->grid);
}

static int point(struct stage_hand *h, const char *step)
{
	struct event event = {0};
	char word[16];
	if (sscanf(step, "%15s %d %d", word, &event.row, &event.col) != 3)
		return ERR_USE;
	event.kind = !strcmp(word, "click") ? EVENT_CLICK : EVENT_WHEEL;
	event.wheel = !strcmp(word, "wheel-up") ? -1 : 1;
	app_event(&h->app, &event);
	return 0;
}

static int resize(struct stage_hand *h, const char *step)
{
	int rows, cols;
	if (sscanf(step, "resize %d %d", &rows, &cols) != 2 || rows < 1 || cols < 1 || rows > 1000 || cols > 1000)
		return ERR_USE;
	return grid_resize(&h->grid, rows, cols) ? 0 : ERR_MEMORY;
}

static bool begins(const char *s, const char *word)
{
	return !strncmp(s, word, strlen(word));
}

/* A typed command without its colon? */
static bool is_typed(const char *step)
{
	int n;
	const struct typed *list = typed_list(&n);
	for (int i = 0; i < n; i++)
		if (strcspn(step, " ") == strlen(list[i].name) && begins(step, list[i].name))
			return true;
	return false;
}

static int take_step(struct stage_hand *h, const char *step, struct err *e)
{
	const struct action *action = action_by_name(step);
	int rc = 0;
	if (action)
		app_act(&h->app, action->id);
	else if (step[0] == ':' && step[1])
		app_perform(&h->app, step + 1);
	else if (event_key_from_name(step) != K_NONE)
		press(h, event_key_from_name(step));
	else if (!strcmp(step, "wait"))
		app_wait_until_idle(&h->app);
	else if (begins(step, "type "))
		type_text(h, step + 5);
	else if (begins(step, "click ") || begins(step, "wheel-up ") || begins(step, "wheel-down "))
		rc = point(h, step);
	else if (begins(step, "resize "))
		rc = resize(h, step);
	else if (begins(step, "dump "))
		return dump_write(step + 5, &h->grid, &h->app.theme, e);
	else
		rc = ERR_USE;
	if (rc)
		return err_set(e, (enum err_code)rc, "script line %d: \"%s\" is no action, key or step%s", h->line, step,
			is_typed(step) ? "; commands begin with :" : "");
	draw(h);
	return 0;
}

static int perform(struct stage_hand *h, const char *script, struct err *e)
{
	int rc = 0;
	draw(h);
	while (*script && !rc && !h->app.quit) {
		char step[1024];
		size_t n = strcspn(script, "\n");
		h->line++;
		if (n >= sizeof step)
			return err_set(e, ERR_USE, "script line %d: longer than %zu bytes", h->line, sizeof step - 1);
		snprintf(step, sizeof step, "%.*s", (int)n, script);
		step[strcspn(step, "\r")] = '\0';
		if (*step && *step != '#')
			rc = take_step(h, step, e);
		script += n + (script[n] == '\n');
	}
	if (!rc) {
		app_wait_until_idle(&h->app);
		if (h->app.question == ASK_CPU) /* nobody is there to answer */
			app_go_on_with_cpu(&h->app, false);
		draw(h);
	}
	return rc;
}

int script_run(const struct screen_options *o, struct err *e)
{
	struct term_options look = {.color = o->color, .charset = o->charset, .background = o->background};
	struct stage_hand h = {0};
	struct theme theme;
	int rc = term_theme_plain(&theme, &look, e);
	if (rc)
		return rc;
	if (!grid_resize(&h.grid, o->rows > 0 ? o->rows : 24, o->columns > 0 ? o->columns : 80))
		return err_set(e, ERR_MEMORY, "a screen of %d x %d: out of memory", o->rows, o->columns);
	h.grid.ascii = !theme.utf8;
	rc = app_open(&h.app, o, &theme, e);
	if (!rc) {
		rc = perform(&h, o->script, e);
		if (!rc && h.app.failure.code)
			rc = err_set(e, h.app.failure.code, "%s", h.app.failure.text);
		if (!rc && o->dump)
			rc = dump_write(o->dump, &h.grid, &h.app.theme, e);
		app_close(&h.app);
	}
	grid_free(&h.grid);
	return rc;
}
