#include "tui/copying.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "tui/typed.h"

void copying_ask(struct app *app)
{
	app->question = ASK_COPY;
	snprintf(app->question_text, sizeof app->question_text,
		"Copy   n the numbers here   p Python that loads this slice of the capture   Esc nothing");
}

/* ---- numbers ---- */

static void write_number(FILE *out, double value)
{
	fputc('\t', out);
	if (!isnan(value))
		fprintf(out, "%.6g", value);
}

static void write_series(FILE *out, struct app *app, int series)
{
	struct look *l = &app->look;
	const struct series *s = &l->snap->series[series];
	struct scope scope = look_scope(l);
	struct agreement a = look_agreement(l, s->method, scope);
	fprintf(out, "%s", s->name);
	write_number(out, a.hits);
	write_number(out, a.mass_ratio);
	write_number(out, a.mass);
	write_number(out, a.kl);
	write_number(out, snapshot_token_lift(l->snap, series, scope, l->token));
	fprintf(out, "\t%d/%d", look_votes(l, s->method, scope, l->token), look_n_heads(l));
	if (l->scope == LOOK_HEAD)
		fprintf(out, "\t%d", evaluation_survival(l->snap->evaluation, s->method, l->layer, look_unit(l), l->token));
	fputc('\n', out);
}

static void write_numbers(FILE *out, struct app *app)
{
	struct look *l = &app->look;
	char budget[200], scope[200], switches[400];
	look_say_budget(l, budget, sizeof budget);
	look_say_scope(l, LOOK_FULL, scope, sizeof scope);
	protocol_describe(evaluation_protocol(l->snap->evaluation), switches, sizeof switches);
	fprintf(out, "# %s, %s\n# %s\n# %s\n# %s\n", app_prompt_name(app), app_model_name(app), budget, scope, switches);
	fprintf(out, "method\ttruth_picks\tmass_ratio\tmass\tkl\tlift_%d\tkept_%d%s\n", l->token, l->token,
		l->scope == LOOK_HEAD ? "\tsurvives_from" : "");
	for (int i = 0; i < l->snap->n_series; i++)
		if (l->snap->series[i].method >= 0)
			write_series(out, app, i);
}

/* ---- Python ---- */

/* A text in Python's quotes, whatever bytes a path has. */
static void write_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

/* Python's name for a map: what is no letter, digit or _ becomes _. */
static void write_name(FILE *out, const char *name)
{
	for (; *name; name++)
		fputc(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *name) ? *name : '_', out);
}

static void write_python(FILE *out, struct app *app)
{
	const struct look *l = &app->look;
	int group = look_group(l), first = look_unit(l) * group;
	char *path = *app->capture_path ? realpath(app->capture_path, NULL) : NULL;
	fputs("from safetensors.numpy import load_file\n", out);
	if (!path)
		fputs("# this result is in no file yet: w saves it\n", out);
	fputs("capture = load_file(", out);
	write_quoted(out, path ? path : "CAPTURE.kvg");
	fputs(")\n", out);
	for (int i = 0; i < l->snap->n_series; i++) {
		if (l->snap->series[i].method < 0)
			continue;
		write_name(out, l->snap->series[i].name);
		fprintf(out, " = capture[\"rows.%s\"]", l->snap->series[i].map);
		if (l->scope == LOOK_HEAD)
			fprintf(out, "[%d, %d:%d]", l->layer, first, first + group);
		else if (l->scope == LOOK_LAYER)
			fprintf(out, "[%d]", l->layer);
		fputc('\n', out);
	}
	fprintf(out, "# %s%s, prompt token; the cursor is on token %d\n", l->scope == LOOK_ALL ? "layer, " : "",
		l->scope == LOOK_HEAD ? "query head of the KV head" : "query head", l->token);
	free(path);
}

/* ---- where it goes ---- */

static int keep(const struct app *app, const char *text, struct err *e)
{
	struct file_writer *w;
	int rc = file_create(&w, app->options->copied, e);
	if (!rc) {
		file_write(w, text, strlen(text), e);
		rc = file_commit(w, e);
	}
	return rc;
}

static int count_lines(const char *text)
{
	int n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void copy(struct app *app, void (*write)(FILE *out, struct app *app))
{
	char *text = NULL;
	size_t n;
	struct err e;
	FILE *out = open_memstream(&text, &n);
	if (out) {
		write(out, app);
		if (fclose(out)) {
			free(text);
			text = NULL;
		}
	}
	if (!text) {
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	free(app->clipboard);
	app->clipboard = text;
	if (!app->options->copied)
		app_say(app, ROLE_GOOD, "copied %d lines to the terminal's clipboard, if it takes them", count_lines(text));
	else if (keep(app, text, &e))
		app_say(app, ROLE_WARN, "copied %d lines to the terminal's clipboard, if it takes them; %s", count_lines(text), e.text);
	else
		app_say(app, ROLE_GOOD, "copied %d lines to the terminal's clipboard, and for terminals that refuse to %s", count_lines(text),
			app->options->copied);
}

void copying_act(struct app *app, enum action_id action)
{
	app->question = ASK_NOTHING;
	if (action == ACTION_COPY_NUMBERS)
		copy(app, write_numbers);
	else if (action == ACTION_COPY_PYTHON)
		copy(app, write_python);
}

void typed_copy(struct app *app, const char *text)
{
	copy(app, strcmp(text, "python") ? write_numbers : write_python);
}
