#include "tui/view/frame.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/draw/number.h"
#include "tui/draw/glyph.h"

/* ---- progress ---- */

/* What a person calls a stage. */
static const char *stage_words(const char *name)
{
	static const char *const words[][2] = {
		{"model", "opening the model"}, {"lookahead", "lookahead rows"}, {"untrained", "untrained rows"},
		{"decode", "answer"}, {"response", "answer"}, {"words", "chosen words"},
	};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(words[i][0], name))
			return words[i][1];
	return name;
}

/* "decode 37 of 128 · 3 s left", or "" when nothing runs. */
static void spell_progress(const struct worker_state *w, char *out, size_t out_bytes)
{
	char done[32], total[32], left[32];
	*out = '\0';
	if (!w->running && !w->errand)
		return;
	if (w->n_stage == 0) {
		snprintf(out, out_bytes, "starting");
		return;
	}
	const struct stage *s = &w->stage[w->n_stage - 1];
	int at = snprintf(out, out_bytes, "%s", stage_words(s->name));
	if (s->total > 1)
		at += snprintf(out + at, out_bytes - (size_t)at, " %s of %s", number_grouped(done, s->done),
			number_grouped(total, s->total));
	if (s->done > 0 && s->done < s->total && s->seconds > 0.5 && (size_t)at < out_bytes)
		snprintf(out + at, out_bytes - (size_t)at, " \xc2\xb7 %s left",
			number_duration(left, s->seconds * (double)(s->total - s->done) / (double)s->done));
}

void frame_bar(const struct app *app, struct grid *g, struct rect r, double share)
{
	int full = (int)lround(share * r.cols);
	for (int col = 0; col < r.cols; col++) {
		bool done = col < full;
		struct style s = theme_style(&app->theme, done ? ROLE_DONE : ROLE_RULE);
		grid_text(g, r, 0, col, s, done ? (app->theme.depth == DEPTH_MONO ? "#" : " ") : "\xc2\xb7");
	}
}

/* ---- title and status ---- */

static void say_truth(const struct app *app, char *out, size_t out_bytes)
{
	const struct series *truth = &app->look.snap->series[0];
	char chosen[128];
	if (words_say_truth(app->look.snap, chosen, sizeof chosen))
		snprintf(out, out_bytes, "truth from %s", chosen);
	else if (truth->method < 0)
		snprintf(out, out_bytes, app->work.running ? "truth still to come" : "no truth");
	else if (truth->n_rows_due > truth->n_rows)
		snprintf(out, out_bytes, "truth from %d of %d", truth->n_rows, truth->n_rows_due);
	else if (truth->n_rows > 0)
		snprintf(out, out_bytes, "truth from %d", truth->n_rows);
	else
		snprintf(out, out_bytes, "truth");
}

static void say_right(const struct app *app, char *out, size_t out_bytes)
{
	bool shows_result = app->look.snap && app->view != VIEW_START;
	const char *device = shows_result ? capture_meta(app->look.snap->capture, "device") : NULL;
	const char *precision = shows_result ? capture_meta(app->look.snap->capture, "precision") : NULL;
	const char *key = app_where(app) & AT_FORM ? "F1" : "?";
	char progress[128];
	spell_progress(&app->work, progress, sizeof progress);
	if (*progress)
		snprintf(out, out_bytes, " %s \xc2\xb7 ^C stops ", progress);
	else if (device && precision)
		snprintf(out, out_bytes, " %s %s \xc2\xb7 %s help ", device, precision, key);
	else
		snprintf(out, out_bytes, " %s help ", key);
}

/* Prompt, model, tokens, truth. Where that is too long the model's name is cut, which is longest and least looked
 * at. */
static void say_left(const struct app *app, int room, char *out, size_t out_bytes)
{
	char tail[320], truth[192], count[32];
	say_truth(app, truth, sizeof truth);
	snprintf(tail, sizeof tail, " \xc2\xb7 %s tokens \xc2\xb7 %s%s",
		number_grouped(count, app->look.snap->capture->n_prompt), truth,
		app->unsaved ? " \xc2\xb7 not saved" : "");
	char prompt[300];
	const char *model = app_model_name(app);
	snprintf(prompt, sizeof prompt, pair_exists(app) ? "[%s] %.250s" : "%s%.250s", pair_exists(app) ? pair_letter(app, false) : "",
		app_prompt_name(app));
	int left = room - glyph_width(prompt, strlen(prompt)) - glyph_width(tail, strlen(tail)) - 3;
	size_t n = strlen(model), fit = glyph_width(model, n) <= left ? n : glyph_fit(model, n, left - 1);
	if (left < 8)
		snprintf(out, out_bytes, "%s%s", prompt, tail);
	else
		snprintf(out, out_bytes, "%s \xc2\xb7 %.*s%s%s", prompt, (int)fit, model, fit < n ? "\xe2\x80\xa6" : "", tail);
}

void frame_title(const struct app *app, struct grid *g, struct rect r)
{
	struct style bar = theme_style(&app->theme, ROLE_BAR), strong = theme_style(&app->theme, ROLE_BAR_STRONG);
	char left[512] = "", right[256];
	grid_fill(g, r, bar);
	say_right(app, right, sizeof right);
	int name = grid_text(g, r, 0, 1, strong, "kvglass"), width = glyph_width(right, strlen(right));
	int room = r.cols - width - name - 4;
	if (app->look.snap && app->view != VIEW_START)
		say_left(app, room, left, sizeof left);
	grid_text_cut(g, r, 0, name + 3, room, bar, left);
	grid_text_right(g, r, 0, app->work.running ? strong : bar, right);
}

void frame_status(const struct app *app, struct grid *g, struct rect r)
{
	struct style strong = theme_style(&app->theme, ROLE_STRONG);
	char budget[200], scope[200];
	look_say_budget(&app->look, budget, sizeof budget);
	int used = 3 + glyph_width(budget, strlen(budget)), width = 0;
	for (enum look_detail detail = LOOK_FULL; detail <= LOOK_LEAST; detail++) {
		look_say_scope(&app->look, detail, scope, sizeof scope);
		width = glyph_width(scope, strlen(scope));
		if (used + width < r.cols)
			break;
	}
	grid_text_cut(g, r, 0, 1, r.cols - width - 3, strong, budget);
	grid_text(g, r, 0, r.cols - width - 1, strong, scope);
}

void frame_box(const struct app *app, struct grid *g, struct rect box, const char *title)
{
	struct style rule = theme_style(&app->theme, ROLE_RULE);
	int right = box.cols - 1, bottom = box.rows - 1;
	grid_fill(g, box, style_plain);
	for (int col = 1; col < right; col++) {
		grid_text(g, box, 0, col, rule, "\xe2\x94\x80");
		grid_text(g, box, bottom, col, rule, "\xe2\x94\x80");
	}
	for (int row = 1; row < bottom; row++) {
		grid_text(g, box, row, 0, rule, "\xe2\x94\x82");
		grid_text(g, box, row, right, rule, "\xe2\x94\x82");
	}
	grid_text(g, box, 0, 0, rule, "\xe2\x94\x8c");
	grid_text(g, box, 0, right, rule, "\xe2\x94\x90");
	grid_text(g, box, bottom, 0, rule, "\xe2\x94\x94");
	grid_text(g, box, bottom, right, rule, "\xe2\x94\x98");
	grid_text_cut(g, box, 0, 2, box.cols - 4, theme_style(&app->theme, ROLE_STRONG), title);
}

/* ---- the last line ---- */

static bool types_now(const struct app *app, int key)
{
	const struct view *v = app_view(app->view);
	return v->typing && v->typing(app, app->state[app->view]) && event_key_types(key);
}

/* The key that is shown: the first one that is a command now, not a character to be typed. */
static int shown_key(const struct app *app, const struct action *a)
{
	int at = 0, key = action_next_key(a, &at);
	while (key != K_NONE && types_now(app, key))
		key = action_next_key(a, &at);
	return key;
}

struct hint { /* "-+ keep": the keys of neighbours in the table that share a word */
	char keys[32];
	const char *word;
	int width;
	int urgency; /* 0 first */
	bool digit;  /* a view's */
	bool shown;
};
enum { MAX_HINTS = 64, N_URGENCY = 5, HINT_GAP = 2 };

/* Where there is no room for all: how to get help, what this screen alone has, what is turned most, the rest, and the keys that
 * everybody tries anyway. */
static int urgency(const struct action *a)
{
	bool own = __builtin_popcount(a->views & AT_RESULT) <= 2;
	if (a->id == ACTION_HELP)
		return 0;
	if (a->group == GROUP_MOVE && (a->views & AT_RESULT))
		return 4;
	if (own)
		return 1;
	return a->group != GROUP_LOOK || a->id >= ACTION_VIEW_MAPS ? 3 : 2;
}

/* While there is nothing to look at yet, only what works without it. */
static bool works_now(const struct app *app, const struct action *a)
{
	bool waits = !app->look.snap && (app_view(app->view)->bit & AT_RESULT);
	return (a->views & app_where(app)) && (!waits || a->group == GROUP_LEAVE);
}

/* A view's digit. */
static bool is_digit(int key)
{
	return key >= '1' && key <= '9';
}

/* joined: the views' digits share one hint. */
static int list_hints(const struct app *app, bool joined, struct hint *out)
{
	int n, n_out = 0, views = -1;
	const struct action *list = action_list(&n);
	char sign[16];
	for (int i = 0; i < n && n_out < MAX_HINTS; i++) {
		const char *word = list[i].hint;
		int key = *word && works_now(app, &list[i]) ? shown_key(app, &list[i]) : K_NONE;
		if (key == K_NONE)
			continue;
		if (joined && is_digit(key) && views >= 0) {
			snprintf(out[views].keys, sizeof out[views].keys, "1\xe2\x80\x93%c", key);
			continue;
		}
		struct hint *last = n_out > 0 ? &out[n_out - 1] : NULL;
		if (!last || strcmp(last->word, word)) {
			last = &out[n_out++];
			*last = (struct hint){.word = word, .urgency = urgency(&list[i]), .digit = is_digit(key)};
		}
		if (joined && is_digit(key)) {
			views = n_out - 1;
			last->word = "views";
			last->urgency = 0;
		}
		size_t used = strlen(last->keys);
		snprintf(last->keys + used, sizeof last->keys - used, "%s", event_key_sign(key, sign));
	}
	for (int i = 0; i < n_out; i++)
		out[i].width = glyph_width(out[i].keys, strlen(out[i].keys)) + 1 + glyph_width(out[i].word, strlen(out[i].word));
	return n_out;
}

/* Those that there is room for; false when a view is not among them. */
static bool choose_hints(struct hint *hint, int n, int room)
{
	bool views = true;
	for (int level = 0; level < N_URGENCY; level++)
		for (int i = 0; i < n; i++)
			if (hint[i].urgency == level && hint[i].width <= room) { /* a shorter one may still fit */
				hint[i].shown = true;
				room -= hint[i].width + HINT_GAP;
			}
	for (int i = 0; i < n; i++)
		views &= hint[i].shown || !hint[i].digit;
	return views;
}

static void draw_hints(const struct app *app, struct grid *g, struct rect r)
{
	struct style bar = theme_style(&app->theme, ROLE_BAR), strong = theme_style(&app->theme, ROLE_BAR_STRONG);
	struct hint hint[MAX_HINTS];
	int n = list_hints(app, false, hint), col = 1;
	if (!choose_hints(hint, n, r.cols - 2)) { /* where some views would go unnamed, none is */
		n = list_hints(app, true, hint);
		choose_hints(hint, n, r.cols - 2);
	}
	for (int i = 0; i < n; i++) {
		if (!hint[i].shown)
			continue;
		grid_text(g, r, 0, col, strong, hint[i].keys);
		grid_text(g, r, 0, col + glyph_width(hint[i].keys, strlen(hint[i].keys)) + 1, bar, hint[i].word);
		col += hint[i].width + HINT_GAP;
	}
}

static void draw_line(struct app *app, struct grid *g, struct rect r)
{
	struct style strong = theme_style(&app->theme, ROLE_BAR_STRONG), bar = theme_style(&app->theme, ROLE_BAR);
	int col = 1 + grid_text(g, r, 0, 1, strong, app->line->label);
	int names = glyph_width(app->line_names, strlen(app->line_names));
	int room = r.cols - col - 1 - (*app->line_names ? (names < r.cols / 2 ? names : r.cols / 2) + 2 : 0);
	field_draw(&app->line_field, g, rect_sub(r, 0, col, 1, room), theme_style(&app->theme, ROLE_FIELD_FOCUS), true);
	if (*app->line_names)
		grid_text_cut(g, r, 0, col + room + 1, r.cols - col - room - 2, bar, app->line_names);
}

enum { MAX_MESSAGE_LINES = 4 };

/* A message that is longer than a line is a command to be copied: all of it is shown. below: lines under it. */
static void draw_message(const struct app *app, struct grid *g, enum role role, const char *text, int below)
{
	struct style s = theme_style(&app->theme, role), bar = theme_style(&app->theme, ROLE_BAR);
	size_t n = strlen(text), at = 0;
	int room = g->cols - 2, lines = 0;
	if (app->theme.depth != DEPTH_MONO)
		s.bg = bar.bg;
	for (; at < n && lines < MAX_MESSAGE_LINES; lines++)
		at += glyph_fit(text + at, n - at, room);
	struct rect r = {g->rows - below - lines, 0, lines, g->cols};
	grid_fill(g, r, bar);
	at = 0;
	for (int line = 0; line < lines; line++) {
		size_t fit = glyph_fit(text + at, n - at, room);
		grid_bytes(g, r, line, 1, s, text + at, fit);
		at += fit;
	}
}

void frame_bottom(struct app *app, struct grid *g)
{
	struct style bar = theme_style(&app->theme, ROLE_BAR);
	struct rect r = {g->rows - 1, 0, 1, g->cols};
	grid_fill(g, r, bar);
	if (app->question == ASK_CPU)
		draw_message(app, g, ROLE_ERROR, app->refusal, 1);
	else if (app->line && *app->message)
		draw_message(app, g, app->message_role, app->message, 1);
	if (app->line)
		draw_line(app, g, r);
	else if (app->question)
		grid_text_cut(g, r, 0, 1, r.cols - 2, theme_style(&app->theme, ROLE_BAR_STRONG), app->question_text);
	else if (*app->message)
		draw_message(app, g, app->message_role, app->message, 0);
	else
		draw_hints(app, g, r);
}
