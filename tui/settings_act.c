#include "tui/settings_act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "tui/command/config.h"
#include "tui/command/prompt.h"
#include "tui/typed.h"

static void evaluate_again(struct app *app)
{
	app->in_force.protocol = switches_protocol(&app->switches);
	app->in_force.preset = switches_preset(&app->switches);
	struct evaluation_options o = {.protocol = app->in_force.protocol, .seed = (uint64_t)app->switches.now.seed, .preset = app->in_force.preset};
	app->in_force.seed = o.seed;
	worker_set_evaluation(app->worker, &o, app->look.snap, app->pair.look.snap);
	app->work.busy = true; /* until its news are taken */
}

static void take_budget(struct app *app)
{
	app->look.asked_budget = GIVEN(&app->switches.now, budget) ? (int)app->switches.now.budget : 0;
	if (app->look.snap)
		app->look.budget = look_first_budget(app->look.snap, app->look.asked_budget);
}

static void follow(struct app *app, enum option_id id)
{
	app->settings_changed = true;
	if (switches_is_protocol(id) || id == OPT_seed)
		evaluate_again(app);
	else if (id == OPT_budget)
		take_budget(app);
	else if (id == OPT_color || id == OPT_charset || id == OPT_background)
		app->reopen = true;
}

/* The result before keeps the protocol that it was evaluated under: it is what the newest is held against. */
static bool is_refused(struct app *app, enum option_id id)
{
	bool refused = app->shows_previous && (switches_is_protocol(id) || id == OPT_seed);
	if (refused)
		app_say(app, ROLE_WARN, "the result before stays under the protocol it was evaluated under; P is back to the newest");
	return refused;
}

bool settings_change(struct app *app, enum option_id id, const char *value)
{
	struct err e;
	if (is_refused(app, id))
		return false;
	if (switches_set(&app->switches, id, value, &e)) {
		app_say(app, ROLE_ERROR, "%s", e.text);
		return false;
	}
	follow(app, id);
	return true;
}

void settings_reset_protocol(struct app *app)
{
	settings_change(app, OPT_preset, NULL);
}

void settings_of_run(struct app *app, struct run_order *order)
{
	const struct screen_options *o = app->options;
	order->load = o->load;
	order->device = o->device;
	order->measure = o->measure;
	if (!app->settings_changed)
		return;
	order->device = prompt_model_options(&app->switches.now);
	order->measure = switches_measure(&app->switches);
	order->measure.response = o->measure.response;
	order->measure.response_bytes = o->measure.response_bytes;
}

/* ---- typed ---- */

/* What a changed setting will do, where that does not show at once. */
static const char *when(enum option_id id)
{
	switch (id) {
	case OPT_model:
	case OPT_modules:
	case OPT_device:
	case OPT_precision:
	case OPT_threads:
	case OPT_tokens:
	case OPT_temperature: return " for the next run";
	case OPT_window: return "; SnapKV's rows follow with the next run";
	default: return "";
	}
}

static void say_setting(struct app *app, enum option_id id)
{
	char value[200];
	options_say(&app->switches.now, id, value, sizeof value);
	app_say(app, ROLE_PLAIN, "%s = %s%s \xc2\xb7 %s", option_table[id].name, *value ? value : "none",
		app->switches.now.given[id] ? "" : " (default)", option_table[id].help);
}

void typed_set(struct app *app, const char *text)
{
	char name[40], value[200];
	struct err e;
	enum option_id id;
	size_t n = strcspn(text, " =");
	const char *rest = text + n + strspn(text + n, " =");
	snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), text);
	id = option_kept(name, strlen(name));
	if (id != N_OPTION && !*rest) {
		say_setting(app, id);
		return;
	}
	if (id != N_OPTION && is_refused(app, id))
		return;
	if (switches_set_named(&app->switches, name, !strcmp(rest, "default") ? NULL : rest, &id, &e)) {
		app_say(app, ROLE_ERROR, "%s", e.text);
		return;
	}
	follow(app, id);
	options_say(&app->switches.now, id, value, sizeof value);
	app_say(app, ROLE_PLAIN, "%s = %s%s", name, *value ? value : "none", when(id));
}

void typed_preset(struct app *app, const char *text)
{
	settings_change(app, OPT_preset, text);
}

static void list_changed(const struct switches *s, char *out, size_t out_bytes)
{
	size_t n = 0;
	*out = '\0';
	for (int id = 0; id < N_OPTION && n < out_bytes; id++)
		if (s->changed[id])
			n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", n ? ", " : "", option_table[id].name);
}

/* The file as it is, or as it would be. */
static int present_config(char **text, const char *path, struct err *e)
{
	size_t n;
	if (access(path, F_OK) == 0)
		return file_read_all(path, CONFIG_MOST_BYTES, text, &n, e);
	FILE *out = open_memstream(text, &n);
	if (!out)
		return err_set(e, ERR_MEMORY, "no memory for the configuration file");
	config_write_default(out);
	return fclose(out) ? (int)err_set(e, ERR_MEMORY, "no memory for the configuration file") : 0;
}

static int write_config(const struct app *app, const char *path, struct err *e)
{
	char *before = NULL, *after = NULL;
	struct file_writer *w;
	int rc = present_config(&before, path, e);
	if (!rc)
		rc = config_merge(&after, before, &app->switches.now, app->switches.changed, e);
	if (!rc)
		rc = file_create(&w, path, e);
	if (!rc) {
		file_write(w, after, strlen(after), e);
		rc = file_commit(w, e);
	}
	free(before);
	free(after);
	return rc;
}

void typed_write_config(struct app *app, const char *text)
{
	const char *path = *text ? text : app->options->config;
	char names[200];
	struct err e;
	list_changed(&app->switches, names, sizeof names);
	if (!path)
		app_say(app, ROLE_ERROR, "there is no place for the configuration file; :write-config FILE names one");
	else if (!*names)
		app_say(app, ROLE_PLAIN, "nothing was changed by :set or the options panel; %s is as it was", path);
	else if (write_config(app, path, &e))
		app_say(app, ROLE_ERROR, "not kept: %s", e.text);
	else
		app_say(app, ROLE_GOOD, "kept in %s: %s", path, names);
}
