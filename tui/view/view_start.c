/* The start screen: a saved capture to open, or model, modules and prompt to run. */
#include "tui/view/view_start.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "tui/settings_act.h"
#include "tui/view/frame.h"
#include "tui/draw/layout.h"

enum row { ROW_CAPTURE, ROW_MODEL, ROW_MODULES, ROW_SOURCE, ROW_FILE, ROW_TYPED, ROW_MODE, ROW_LENGTH, ROW_RUN, N_ROW };
enum kind { KIND_PATH, KIND_TEXT, KIND_NUMBER, KIND_CHOICE, KIND_BUTTON };
enum { LABEL_COLS = 16, TYPED_ROWS = 4, MAX_RESPONSE = 1 << 20, MAX_EDITED = 64 << 20 };

static const char *const source_words[] = {"a file", "typed here", NULL};
static const char *const mode_words[] = {"chat if the model has a template", "chat", "raw text", NULL};

static const struct {
	const char *label;
	enum kind kind;
	const char *const *words; /* of a choice */
	const char *about;
} form[N_ROW] = {
	[ROW_CAPTURE] = {"Saved capture", KIND_PATH, NULL, "a .kvg file; Enter opens it, no model is needed"},
	[ROW_MODEL] = {"Model", KIND_PATH, NULL, "a .gguf file or a Hugging Face folder"},
	[ROW_MODULES] = {"Modules", KIND_PATH, NULL, "LookaheadKV modules (.safetensors), the word untrained, or nothing"},
	[ROW_SOURCE] = {"Prompt from", KIND_CHOICE, source_words, "\xe2\x86\x90 \xe2\x86\x92 or Space changes it"},
	[ROW_FILE] = {"Prompt file", KIND_PATH, NULL, "a text file, UTF-8; its bytes are taken as they are"},
	[ROW_TYPED] = {"Prompt", KIND_TEXT, NULL, "^J starts a new line; pasted text keeps its lines"},
	[ROW_MODE] = {"Prompt is", KIND_CHOICE, mode_words,
		"raw text recognises control tokens; chat wraps it in the model's template"},
	[ROW_LENGTH] = {"Answer", KIND_NUMBER, NULL, "tokens at most; truth is what they read: below 32 it is noisy"},
	[ROW_RUN] = {"Run", KIND_BUTTON, NULL, "Enter starts; ^R from any field"},
};

struct start {
	enum row focus;
	struct field field[N_ROW];
	int choice[N_ROW];
	char names[600];      /* completion's list */
	char probed[4096];    /* the model that was looked at last */
	struct note probe;    /* what it is */
	bool has_probe;
	struct rect place[N_ROW]; /* of the last frame */
};

/* ---- opening ---- */

static char *sample_model(void)
{
	char *path = file_place(FILE_PLACE_CACHE, "SmolLM2-135M-Instruct.Q4_1.gguf");
	if (path && access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static int fill(struct start *s, const struct screen_options *o, struct err *e)
{
	char length[24];
	char *sample = o->model ? NULL : sample_model();
	bool from_file = o->prompt_file || !o->prompt;
	snprintf(length, sizeof length, "%d", o->measure.n_response > 0 ? o->measure.n_response : 128);
	s->choice[ROW_SOURCE] = !from_file;
	s->choice[ROW_MODE] = (int)o->measure.mode;
	s->field[ROW_TYPED].many_lines = true;
	bool ok = field_set(&s->field[ROW_CAPTURE], "") &&
		field_set(&s->field[ROW_MODEL], o->model ? o->model : sample ? sample : "") &&
		field_set(&s->field[ROW_MODULES], o->modules ? o->modules : "") &&
		field_set(&s->field[ROW_FILE], o->prompt_file ? o->prompt_file : "") &&
		field_set(&s->field[ROW_TYPED], o->prompt && !from_file ? o->prompt : "") &&
		field_set(&s->field[ROW_LENGTH], length);
	free(sample);
	s->focus = *s->field[ROW_MODEL].text ? from_file ? ROW_FILE : ROW_TYPED : ROW_MODEL;
	return ok ? 0 : (int)err_set(e, ERR_MEMORY, "the start screen: out of memory");
}

static void probe(struct app *app, struct start *s)
{
	const char *model = s->field[ROW_MODEL].text;
	if (!*model || !strcmp(model, s->probed))
		return;
	snprintf(s->probed, sizeof s->probed, "%s", model);
	s->has_probe = false;
	worker_probe(app->worker, model, &app->options->device);
}

static void start_close(void *state)
{
	struct start *s = state;
	for (int i = 0; i < N_ROW; i++)
		field_free(&s->field[i]);
	free(s);
}

static int start_open(struct app *app, void **state, struct err *e)
{
	struct start *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_MEMORY, "the start screen: out of memory");
	int rc = fill(s, app->options, e);
	if (rc)
		start_close(s);
	else
		*state = s;
	return rc;
}

void start_shown(struct app *app, void *state)
{
	probe(app, state);
}

void start_probed(void *state, const struct note *note)
{
	struct start *s = state;
	s->probe = *note;
	s->has_probe = true;
}

/* ---- moving between fields ---- */

static bool is_shown(const struct start *s, enum row row)
{
	return row == ROW_FILE ? s->choice[ROW_SOURCE] == 0 : row == ROW_TYPED ? s->choice[ROW_SOURCE] == 1 : true;
}

static void move(struct app *app, struct start *s, int by)
{
	int row = (int)s->focus;
	if (row == ROW_MODEL)
		probe(app, s);
	do
		row = (row + by + N_ROW) % N_ROW;
	while (!is_shown(s, (enum row)row));
	s->focus = (enum row)row;
	*s->names = '\0';
}

static void turn(struct start *s, int by)
{
	int n = 0;
	while (form[s->focus].words[n])
		n++;
	s->choice[s->focus] = (s->choice[s->focus] + by + n) % n;
}

/* ---- running ---- */

static bool refuse(struct app *app, struct start *s, enum row row, const char *what)
{
	s->focus = row;
	app_say(app, ROLE_ERROR, "%s: %s", form[row].label, what);
	return false;
}

static bool is_readable(struct app *app, struct start *s, enum row row)
{
	const char *path = s->field[row].text;
	if (access(path, R_OK) == 0)
		return true;
	app_say(app, ROLE_ERROR, "%s: %s", path, strerror(errno));
	s->focus = row;
	return false;
}

static bool read_length(struct app *app, struct start *s, int *out)
{
	const char *text = s->field[ROW_LENGTH].text;
	char *end;
	long n = strtol(text, &end, 10);
	if (end == text || *end || n < 0 || n > MAX_RESPONSE)
		return refuse(app, s, ROW_LENGTH, "not a whole number from 0 to 1,048,576");
	*out = (int)n;
	return true;
}

static bool is_complete(struct app *app, struct start *s)
{
	const char *modules = s->field[ROW_MODULES].text;
	if (!*s->field[ROW_MODEL].text)
		return refuse(app, s, ROW_MODEL, "which? A .gguf file or a Hugging Face folder");
	if (!is_readable(app, s, ROW_MODEL))
		return false;
	if (*modules && strcmp(modules, "untrained") && !is_readable(app, s, ROW_MODULES))
		return false;
	if (s->choice[ROW_SOURCE] == 1)
		return *s->field[ROW_TYPED].text || refuse(app, s, ROW_TYPED, "empty");
	if (!*s->field[ROW_FILE].text)
		return refuse(app, s, ROW_FILE, "which? A text file");
	return is_readable(app, s, ROW_FILE);
}

static void run(struct app *app, struct start *s)
{
	bool typed = s->choice[ROW_SOURCE] == 1;
	const char *modules = s->field[ROW_MODULES].text;
	struct run_order order = {
		.model = s->field[ROW_MODEL].text,
		.prompt = typed ? s->field[ROW_TYPED].text : NULL,
		.prompt_bytes = typed ? s->field[ROW_TYPED].n : 0,
		.prompt_file = typed ? NULL : s->field[ROW_FILE].text,
		.modules = *modules ? modules : NULL,
	};
	settings_of_run(app, &order);
	if (!is_complete(app, s) || !read_length(app, s, &order.measure.n_response) || !app_may_replace(app))
		return;
	order.measure.mode = (enum prompt_mode)s->choice[ROW_MODE];
	app_run(app, &order);
}

static void accept(struct app *app, struct start *s)
{
	if (s->focus == ROW_RUN)
		run(app, s);
	else if (s->focus == ROW_CAPTURE && *s->field[ROW_CAPTURE].text) {
		if (is_readable(app, s, ROW_CAPTURE) && app_may_replace(app))
			app_open_capture(app, s->field[ROW_CAPTURE].text);
	} else {
		move(app, s, 1);
	}
}

static void complete(struct app *app, struct start *s)
{
	bool grew;
	if (form[s->focus].kind != KIND_PATH || !*s->field[s->focus].text) {
		move(app, s, 1);
		return;
	}
	int n = field_complete(&s->field[s->focus], &grew, s->names, sizeof s->names);
	if (n == 1)
		*s->names = '\0';
	if (n == 1 && !grew)
		move(app, s, 1);
	else if (n == 0)
		snprintf(s->names, sizeof s->names, "no file begins like that");
}

char *start_prompt(struct app *app, void *state)
{
	struct start *s = state;
	char *text;
	size_t n;
	struct err e;
	if (s->choice[ROW_SOURCE] == 1 || !*s->field[ROW_FILE].text)
		return strdup(s->field[ROW_TYPED].text);
	if (!file_read_all(s->field[ROW_FILE].text, MAX_EDITED, &text, &n, &e))
		return text;
	app_say(app, ROLE_ERROR, "%s", e.text);
	return NULL;
}

void start_set_prompt(struct app *app, void *state, const char *text)
{
	struct start *s = state;
	if (!field_set(&s->field[ROW_TYPED], text))
		app_say(app, ROLE_ERROR, "out of memory");
	s->choice[ROW_SOURCE] = 1;
	s->focus = ROW_RUN;
}

static bool start_act(struct app *app, void *state, enum action_id action)
{
	struct start *s = state;
	bool choice = form[s->focus].kind == KIND_CHOICE, button = form[s->focus].kind == KIND_BUTTON;
	switch ((int)action) {
	case ACTION_FIELD_UP: move(app, s, -1); return true;
	case ACTION_FIELD_DOWN: move(app, s, 1); return true;
	case ACTION_ACCEPT: accept(app, s); return true;
	case ACTION_START_RUN: run(app, s); return true;
	case ACTION_COMPLETE: complete(app, s); return true;
	case ACTION_EDIT_PROMPT: app->edit = true; return true;
	case ACTION_NEW_LINE:
		if (s->focus == ROW_TYPED)
			field_type(&s->field[ROW_TYPED], '\n');
		return true;
	case ACTION_TOGGLE:
		if (choice)
			turn(s, 1);
		return true;
	default: break;
	}
	if (choice && (action == ACTION_EDIT_LEFT || action == ACTION_EDIT_RIGHT))
		turn(s, action == ACTION_EDIT_LEFT ? -1 : 1);
	else if (!choice && !button && field_act(&s->field[s->focus], action))
		*s->names = '\0';
	else
		return false;
	return true;
}

static bool start_typing(const struct app *app, const void *state)
{
	const struct start *s = state;
	(void)app;
	return form[s->focus].kind != KIND_CHOICE && form[s->focus].kind != KIND_BUTTON;
}

static void start_type(struct app *app, void *state, int key)
{
	struct start *s = state;
	*s->names = '\0';
	if (!field_type(&s->field[s->focus], key))
		app_say(app, ROLE_ERROR, "out of memory");
}

/* ---- drawing ---- */

static void draw_choice(const struct app *app, const struct start *s, struct grid *g, enum row row, struct rect r)
{
	bool focus = s->focus == row;
	int col = 0;
	for (int i = 0; form[row].words[i]; i++) {
		bool chosen = s->choice[row] == i;
		struct style style = theme_style(&app->theme, chosen ? focus ? ROLE_CURSOR : ROLE_STRONG : ROLE_DIM);
		col += grid_text(g, r, 0, col, style, chosen ? "\xe2\x97\x8f " : "\xe2\x97\x8b ");
		col += 3 + grid_text(g, r, 0, col, style, form[row].words[i]);
	}
}

static void draw_row(struct app *app, struct start *s, struct grid *g, enum row row, struct rect line)
{
	bool focus = s->focus == row;
	const struct theme *t = &app->theme;
	struct rect r = rect_sub(line, 0, LABEL_COLS, line.rows, line.cols - LABEL_COLS);
	s->place[row] = line;
	if (focus)
		grid_text(g, line, 0, 0, theme_style(t, ROLE_MARK), "\xe2\x96\xb8");
	switch (form[row].kind) {
	case KIND_BUTTON:
		grid_text(g, line, 0, LABEL_COLS, theme_style(t, focus ? ROLE_CURSOR : ROLE_FIELD), "  Run  ");
		return;
	case KIND_CHOICE:
		draw_choice(app, s, g, row, r);
		break;
	case KIND_NUMBER:
		r = rect_sub(r, 0, 0, 1, 9);
		grid_text(g, line, 0, LABEL_COLS + 11, theme_style(t, ROLE_DIM), "tokens at most");
		field_draw(&s->field[row], g, r, theme_style(t, focus ? ROLE_FIELD_FOCUS : ROLE_FIELD), focus);
		break;
	default:
		field_draw(&s->field[row], g, r, theme_style(t, focus ? ROLE_FIELD_FOCUS : ROLE_FIELD), focus);
	}
	grid_text(g, line, 0, 2, theme_style(t, focus ? ROLE_STRONG : ROLE_LABEL), form[row].label);
}

static void draw_probe(struct app *app, const struct start *s, struct grid *g, struct rect line)
{
	bool bad = s->has_probe && s->probe.kind == NOTE_BAD_PROBE;
	if (s->has_probe && !strcmp(s->probed, s->field[ROW_MODEL].text))
		grid_text_cut(g, line, 0, LABEL_COLS, line.cols - LABEL_COLS,
			theme_style(&app->theme, bad ? ROLE_ERROR : ROLE_DIM), s->probe.text);
}

static void start_draw(struct app *app, void *state, struct grid *g)
{
	struct start *s = state;
	struct layout_page page;
	layout_page(&page, app->rows, app->cols, 1);
	struct rect body = rect_sub(page.body, 0, 2, page.body.rows, page.body.cols - 4);
	const struct theme *t = &app->theme;
	int row = 1;
	frame_title(app, g, page.title);
	grid_text_cut(g, page.status, 0, 2, page.status.cols - 4, style_plain,
		"Which prompt tokens matter, and which ones does the KV cache keep?");
	for (int i = 0; i < N_ROW; i++)
		s->place[i] = (struct rect){0};
	draw_row(app, s, g, ROW_CAPTURE, rect_sub(body, row, 0, 1, body.cols));
	grid_text(g, body, row += 2, 2, theme_style(t, ROLE_DIM), "or run a model on a prompt:");
	draw_row(app, s, g, ROW_MODEL, rect_sub(body, row += 2, 0, 1, body.cols));
	draw_probe(app, s, g, rect_sub(body, ++row, 0, 1, body.cols));
	draw_row(app, s, g, ROW_MODULES, rect_sub(body, ++row, 0, 1, body.cols));
	draw_row(app, s, g, ROW_SOURCE, rect_sub(body, row += 2, 0, 1, body.cols));
	enum row prompt = s->choice[ROW_SOURCE] ? ROW_TYPED : ROW_FILE;
	int prompt_rows = prompt == ROW_TYPED ? TYPED_ROWS + page.body.rows - (LAYOUT_MIN_ROWS - 4) : 1;
	draw_row(app, s, g, prompt, rect_sub(body, ++row, 0, prompt_rows, body.cols));
	row += prompt_rows;
	draw_row(app, s, g, ROW_MODE, rect_sub(body, row, 0, 1, body.cols));
	draw_row(app, s, g, ROW_LENGTH, rect_sub(body, ++row, 0, 1, body.cols));
	draw_row(app, s, g, ROW_RUN, rect_sub(body, row += 2, 0, 1, body.cols));
	grid_text_cut(g, page.info, 0, 2, page.info.cols - 4, theme_style(t, *s->names ? ROLE_PLAIN : ROLE_DIM),
		*s->names ? s->names : form[s->focus].about);
}

static void start_point(struct app *app, void *state, const struct event *at)
{
	struct start *s = state;
	if (at->kind == EVENT_WHEEL) {
		move(app, s, at->wheel);
		return;
	}
	for (int row = 0; row < N_ROW; row++) {
		if (!rect_holds(s->place[row], at->row, at->col))
			continue;
		bool again = s->focus == (enum row)row;
		while (s->focus != (enum row)row)
			move(app, s, 1);
		if (form[row].kind == KIND_BUTTON)
			run(app, s);
		else if (form[row].kind == KIND_CHOICE && again)
			turn(s, 1);
		return;
	}
}

static const char *const reading[] = {
	"Name a saved capture, or a model (.gguf or a Hugging Face folder) and a prompt. Modules are LookaheadKV "
	"modules (.safetensors), or the word untrained: random lookahead rows, a control. Tab completes names of "
	"files.",
	NULL,
};

const struct view view_start = {
	.bit = AT_START,
	.title = "Start",
	.reading = reading,
	.open = start_open,
	.close = start_close,
	.draw = start_draw,
	.act = start_act,
	.point = start_point,
	.typing = start_typing,
	.type = start_type,
};
