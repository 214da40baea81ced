#include "tui/marking.h"

#include "tui/draw/number.h"

static void say_marked(struct app *app, const char *done)
{
	const struct spans *s = &app->look.marked;
	char spans[32], tokens[32];
	app_say(app, ROLE_PLAIN, "%s \xc2\xb7 %s span%s marked, %s tokens", done, number_grouped(spans, s->n),
		s->n == 1 ? "" : "s", number_grouped(tokens, spans_count_tokens(s)));
}

static void mark(struct app *app)
{
	struct look *l = &app->look;
	int here = spans_find(&l->marked, l->token);
	char from[32];
	if (l->marking) {
		struct span s = look_marking(l);
		l->marking = false;
		if (spans_add(&l->marked, s.begin, s.end))
			say_marked(app, "marked");
		else
			app_say(app, ROLE_ERROR, "out of memory");
	} else if (here >= 0) {
		spans_remove(&l->marked, here);
		say_marked(app, "unmarked");
	} else {
		l->marking = true;
		l->mark_from = l->token;
		app_say(app, ROLE_PLAIN, "a span begins at #%s: move to where it ends, m marks it, Esc forgets it",
			number_grouped(from, l->token));
	}
}

static void mark_found(struct app *app)
{
	struct look *l = &app->look;
	if (l->search.match.n == 0)
		app_say(app, ROLE_WARN, l->search.pattern ? "nothing was found, so nothing is marked" : "nothing is searched for: / searches");
	else if (spans_add_all(&l->marked, &l->search.match))
		say_marked(app, "marked what was found");
	else
		app_say(app, ROLE_ERROR, "out of memory");
}

static void unmark(struct app *app)
{
	spans_clear(&app->look.marked);
	app->look.marking = false;
	app_say(app, ROLE_PLAIN, "no span is marked");
}

/* ---- searching ---- */

/* To the place found behind (or before) the cursor. */
static void go_to_match(struct app *app, int by)
{
	struct look *l = &app->look;
	char at[32], of[32], tokens[32];
	int to = spans_next(&l->search.match, l->token, by);
	if (to < 0) {
		app_say(app, ROLE_WARN, "/%.200s: not in this prompt", l->search.pattern);
		return;
	}
	look_set_token(l, to);
	app_say(app, ROLE_PLAIN, "/%.200s \xc2\xb7 %s of %s places, %s tokens \xc2\xb7 n N go on, M marks them all",
		l->search.pattern, number_grouped(at, spans_find(&l->search.match, to) + 1),
		number_grouped(of, l->search.match.n), number_grouped(tokens, spans_count_tokens(&l->search.match)));
}

static const struct ask ask_search = {.label = "/", .accept = marking_search, .history = '/'};

void marking_search(struct app *app, const char *pattern)
{
	struct look *l = &app->look;
	struct err e;
	if (search_set(&l->search, l->snap->capture, pattern, &e)) {
		app_say(app, ROLE_ERROR, "%s", e.text);
		app_ask_line(app, &ask_search, pattern);
		return;
	}
	l->jump = l->search.pattern ? JUMP_MATCH : JUMP_DIFFERENCE;
	if (l->search.pattern)
		go_to_match(app, 1);
}

static void ask(struct app *app)
{
	app_ask_line(app, &ask_search, app->look.search.pattern ? app->look.search.pattern : "");
}

/* ---- differences ---- */

static const char *say_kind(enum difference kind)
{
	static const char *const words[N_DIFFERENCE] = {
		[DIFFERENCE_MISSED] = "truth picks it, the method does not",
		[DIFFERENCE_SAVED] = "truth picks it, LookaheadKV does, SnapKV does not",
		[DIFFERENCE_WASTED] = "the method picks it, truth does not",
		[DIFFERENCE_LOST] = "truth picks it, SnapKV does, LookaheadKV does not",
		[DIFFERENCE_NONE] = "no differences are shown",
	};
	return words[kind];
}

static void next_kind(struct app *app)
{
	struct differences *d = &app->differences;
	d->kind = (enum difference)((d->kind + 1) % N_DIFFERENCE);
	app->look.jump = JUMP_DIFFERENCE;
	app_say(app, ROLE_PLAIN, d->kind == DIFFERENCE_NONE ? "%s: %s" : "%s: %s \xc2\xb7 n N go there",
		difference_word(d->kind), say_kind(d->kind));
}

static void go_to_difference(struct app *app, int by)
{
	struct look *l = &app->look;
	struct differences *d = &app->differences;
	const char *word = difference_word(d->kind);
	if (d->kind == DIFFERENCE_NONE)
		app_say(app, ROLE_PLAIN, "no differences are shown: d chooses a kind");
	else if (!differences_update(d, l))
		app_say(app, ROLE_WARN, "what is %s cannot be told: not measured, or nothing to choose from", word);
	else if (differences_next(d, l, by) < 0)
		app_say(app, ROLE_PLAIN, "nothing is %s here", word);
	else
		look_set_token(l, differences_next(d, l, by));
}

bool marking_act(struct app *app, enum action_id action)
{
	struct look *l = &app->look;
	switch ((int)action) {
	case ACTION_SEARCH: ask(app); break;
	case ACTION_MARK: mark(app); break;
	case ACTION_MARK_FOUND: mark_found(app); break;
	case ACTION_UNMARK: unmark(app); break;
	case ACTION_NEXT:
	case ACTION_PREV:
		(l->jump == JUMP_MATCH ? go_to_match : go_to_difference)(app, action == ACTION_NEXT ? 1 : -1);
		break;
	case ACTION_DIFFERENCE: next_kind(app); break;
	default: return false;
	}
	return true;
}
