#include "tui/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/words.h"
#include "tui/app.h"
#include "tui/draw/glyph.h"

void words_free(struct word_choice *w)
{
	free(w->chosen);
	*w = (struct word_choice){0};
}

/* ---- choosing ---- */

/* Another response: nothing of it is chosen. False: there is none, or no memory. */
static bool fits(struct app *app)
{
	struct word_choice *w = &app->words;
	int n = app->look.snap->capture->n_response;
	if (w->chosen && w->n == n)
		return true;
	words_free(w);
	w->chosen = n > 0 ? calloc((size_t)n, 1) : NULL;
	w->n = w->chosen ? n : 0;
	return w->chosen;
}

void words_enter(struct app *app)
{
	if (app->words.choosing)
		words_leave(app);
	else if (!fits(app))
		app_say(app, ROLE_WARN, "there is no answer, so none of its words can be chosen");
	else
		app->words.choosing = true;
}

void words_leave(struct app *app)
{
	app->words.choosing = false;
}

void words_go(struct app *app, int at)
{
	if (fits(app))
		app->words.at = at < 0 ? 0 : at >= app->words.n ? app->words.n - 1 : at;
}

void words_move(struct app *app, int by)
{
	words_go(app, app->words.at + by);
}

/* A word goes from the token that starts it to the one before the next start. */
void words_toggle(struct app *app)
{
	struct word_choice *w = &app->words;
	const struct token_text *t = app->look.snap->text;
	if (!fits(app))
		return;
	int first = w->at, end = w->at + 1;
	while (first > 0 && !t->starts_word[t->n_prompt + first])
		first--;
	while (end < w->n && !t->starts_word[t->n_prompt + end])
		end++;
	memset(w->chosen + first, !w->chosen[w->at], (size_t)(end - first));
}

bool words_is_chosen(const struct app *app, int at)
{
	return app->words.chosen && at >= 0 && at < app->words.n && app->words.chosen[at];
}

int words_count(const struct app *app)
{
	int n = 0;
	for (int i = 0; i < app->words.n; i++)
		n += app->words.chosen[i];
	return n;
}

/* ---- the errand ---- */

struct order { /* n 0: all rows */
	int n;
	int row[];
};

static int run(void *state, const struct errand_site *site, struct err *e)
{
	const struct order *order = state;
	const struct words_request chosen = {.base = errand_shown(site), .row = order->row, .n_row = order->n, .progress = site->progress};
	const struct capture *c;
	int rc = order->n > 0 ? words_truth(&c, site->live, &chosen, e) : words_whole(&c, site->live, chosen.base, e);
	if (!rc)
		errand_publish(site, c);
	return rc;
}

static void done(struct app *app, void *state, int rc, const char *why)
{
	const struct order *order = state;
	if (rc == ERR_CANCELLED)
		app_say(app, ROLE_WARN, "stopped: truth is what it was");
	else if (rc)
		app_say(app, ROLE_ERROR, "%s", why);
	else if (order->n == 0)
		app_say(app, ROLE_GOOD, "truth is from the whole answer again");
	else
		app_say(app, ROLE_GOOD, "truth is what %d chosen token%s of the answer read \xc2\xb7 V all again", order->n,
			order->n == 1 ? "" : "s");
	free(state);
}

static void send(struct app *app, struct order *order)
{
	const struct errand errand = {.name = "truth of chosen words", .state = order, .run = run, .done = done, .drop = free};
	struct err e;
	if (!order)
		app_say(app, ROLE_ERROR, "truth of chosen words: out of memory");
	else if (app_errand(app, &errand, &e))
		app_say(app, ROLE_WARN, "%s", e.text);
	else
		app->work.errand = app->work.busy = true;
}

void words_apply(struct app *app)
{
	int n = words_count(app);
	struct order *order = malloc(sizeof *order + (size_t)n * sizeof *order->row);
	if (order)
		order->n = 0;
	for (int i = 0; order && n < app->words.n && i < app->words.n; i++) /* all: what was measured */
		if (app->words.chosen[i])
			order->row[order->n++] = i;
	send(app, order);
}

void words_all(struct app *app)
{
	int *row = calloc((size_t)app->look.snap->capture->n_response + 1, sizeof *row);
	bool whole = row && words_chosen(app->look.snap->capture, row) == 0;
	free(row);
	if (app->words.chosen)
		memset(app->words.chosen, 0, (size_t)app->words.n);
	if (whole)
		app_say(app, ROLE_PLAIN, "truth is from the whole answer");
	else
		send(app, calloc(1, sizeof(struct order)));
}

/* ---- words about it ---- */

/* The chosen tokens' text: blanks between those that do not follow each other, and none at the ends. */
static void say_text(const struct snapshot *s, const int *row, int n, char *out, size_t out_bytes)
{
	size_t used = 0;
	*out = '\0';
	for (int i = 0; i < n; i++) {
		size_t length;
		const char *text = token_text_of(s->text, s->text->n_prompt + row[i], &length);
		bool gap = i > 0 && row[i] != row[i - 1] + 1 && length > 0 && *text != ' ';
		while (used == 0 && length > 0 && (*text == ' ' || *text == '\n')) {
			text++;
			length--;
		}
		if (used + gap + length + 1 > out_bytes)
			break;
		if (gap && used)
			out[used++] = ' ';
		for (size_t k = 0; k < length; k++)
			out[used++] = text[k] == '\n' ? ' ' : text[k];
		out[used] = '\0';
	}
}

bool words_say_truth(const struct snapshot *s, char *out, size_t out_bytes)
{
	enum { MOST = 24 }; /* columns of the words themselves */
	int *row = calloc((size_t)s->capture->n_response + 1, sizeof *row);
	int n = row ? words_chosen(s->capture, row) : 0;
	char text[256];
	if (n > 0) {
		say_text(s, row, n, text, sizeof text);
		size_t length = strlen(text), fit = glyph_fit(text, length, MOST);
		snprintf(out, out_bytes, "%d chosen row%s of %d: '%.*s%s'", n, n == 1 ? "" : "s", s->capture->n_response, (int)fit, text,
			fit < length ? "\xe2\x80\xa6" : "");
	}
	free(row);
	return n > 0;
}
