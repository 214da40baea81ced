/* kvglass view, and kvglass alone: the interactive program. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/file.h"
#include "tui/command/command.h"
#include "tui/command/config.h"
#include "tui/command/prompt.h"
#include "tui/command/settings.h"
#include "tui/screen.h"

static int check(const struct options *o, struct err *e)
{
	const char *capture = o->n_argument ? o->argument[0] : NULL;
	if (prompt_check(o, false, e))
		return ERR_USE;
	if (capture && (o->model || o->file || o->prompt))
		return err_set(e, ERR_USE, "%.100s is a capture, which needs no --%s", capture,
			o->model ? "model" : o->file ? "file" : "prompt");
	if (o->dump && !o->script)
		return err_set(e, ERR_USE, "--dump needs --script");
	if (o->window == 0 && !capture)
		return err_set(e, ERR_USE, "--window 0: SnapKV looks at one row at least");
	return settings_check(o, e);
}

struct texts { /* what files hold that the screen wants as text, and lists it points into */
	const char *names[SETTINGS_MAX_METHODS];
	struct prompt prompt;
	char *response, *script, *history, *config, *copied;
	char *settings; /* the configuration file's text */
	char notice[300]; /* its first line that was not understood */
	size_t response_bytes, script_bytes;
};

static int read_texts(struct texts *t, const struct options *o, struct err *e)
{
	int rc = 0;
	if (o->file || o->prompt)
		rc = prompt_read(&t->prompt, o, e);
	if (!rc && o->response)
		rc = prompt_read_file(&t->response, &t->response_bytes, o->response, e);
	if (!rc && o->script)
		rc = prompt_read_file(&t->script, &t->script_bytes, o->script, e);
	if (!o->script) { /* a script's lines are nobody's typing */
		t->history = file_place(FILE_PLACE_STATE, "history");
		t->copied = file_place(FILE_PLACE_STATE, "copied");
	}
	return rc;
}

static struct screen_options screen_of(const struct options *o, struct texts *t, char color[24], char charset[24],
	char background[24], struct preset *room)
{
	struct screen_options s = {
		.words = o,
		.capture = o->n_argument ? o->argument[0] : NULL,
		.other = o->n_argument > 1 ? o->argument[1] : NULL,
		.model = o->model,
		.prompt = t->prompt.text,
		.prompt_bytes = t->prompt.n_bytes,
		.prompt_file = o->file,
		.modules = o->modules,
		.load = settings_load(o),
		.device = prompt_model_options(o),
		.measure = settings_measure(o, t->names),
		.protocol = settings_protocol(o),
		.budget = GIVEN(o, budget) || o->configured[OPT_budget] ? (int)o->budget : 0,
		.color = color,
		.charset = charset,
		.background = background,
		.history = t->history,
		.notice = *t->notice ? t->notice : NULL,
		.config = t->config,
		.copied = t->copied,
		.script = t->script,
		.dump = o->dump,
		.rows = o->size.first > 0 ? o->size.first : 0,
		.columns = o->size.second > 0 ? o->size.second : 0,
	};
	option_choice_word(OPT_color, o->color, color);
	option_choice_word(OPT_charset, o->charset, charset);
	option_choice_word(OPT_background, o->background, background);
	s.preset = settings_preset(o->preset, &s.protocol, room);
	s.measure.response = t->response;
	s.measure.response_bytes = t->response_bytes;
	return s;
}

static void say_config(void *user, const char *text)
{
	struct texts *t = user;
	fprintf(stderr, "kvglass: %s: %s\n", t->config, text);
	if (!*t->notice)
		snprintf(t->notice, sizeof t->notice, "configuration, %.250s", text);
}

/* What the command line leaves open. A script is told by its words alone. A file that cannot be read is said and no more. */
static void read_config(struct options *o, struct texts *t)
{
	const struct config_ear ear = {.hear = say_config, .user = t};
	size_t n;
	struct err e;
	t->config = o->script ? NULL : file_place(FILE_PLACE_CONFIG, "config");
	if (!t->config || access(t->config, F_OK))
		return;
	if (file_read_all(t->config, CONFIG_MOST_BYTES, &t->settings, &n, &e))
		fprintf(stderr, "kvglass: %s\n", e.text);
	else
		config_apply(o, t->settings, &ear);
}

/* Together they may make no sense: then the file gives way. */
static void configure(struct options *o, const struct options *words, struct texts *t)
{
	struct err e;
	*o = *words;
	read_config(o, t);
	if (!settings_check(o, &e))
		return;
	fprintf(stderr, "kvglass: %s: %s; its settings are left out\n", t->config, e.text);
	*o = *words;
}

static int run(const struct options *words, struct err *e)
{
	struct texts texts = {0};
	struct options with_file;
	const struct options *o = &with_file;
	int rc = 0;
	char color[24], charset[24], background[24];
	struct preset preset;
	configure(&with_file, words, &texts);
	if (!o->script && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		rc = err_set(e, ERR_SYSTEM, "needs a terminal; kvglass run is the same analysis without one");
	if (!rc)
		rc = read_texts(&texts, o, e);
	if (!rc) {
		const struct screen_options s = screen_of(o, &texts, color, charset, background, &preset);
		rc = screen_run(&s, e);
	}
	free(texts.response);
	free(texts.script);
	free(texts.history);
	free(texts.config);
	free(texts.copied);
	free(texts.settings);
	prompt_free(&texts.prompt);
	return rc;
}

const struct command command_view = {.check = check, .run = run};
