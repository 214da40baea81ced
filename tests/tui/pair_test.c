/* Two captures at once: one cursor over both when they hold the same prompt, numbers alone when they do not. */
#include "tui/app.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <stdio.h>
#include <string.h>

#include "analysis/synthetic.h"
#include "tui/settings_act.h"

static const struct theme plain = {DEPTH_RGB, true, false};

struct two {
	struct app app;
	struct grid grid;
	struct screen_options options;
	char a[600], b[600];
};

static void save(const struct capture *c, const char *path)
{
	struct err e;
	CHECK_INT(capture_save(c, path, &e), 0);
	capture_unref(c);
}

static const struct capture *synthetic(int n_prompt)
{
	struct synthetic_spec spec = synthetic_default();
	const struct capture *c = NULL;
	spec.n_layer = 4, spec.n_head = 6, spec.n_kv_head = 2, spec.n_prompt = n_prompt, spec.n_response = 40;
	CHECK_INT(synthetic_capture(&c, &spec, NULL), 0);
	return c;
}

/* B is A with another method's rows as LookaheadKV's, or another prompt. */
static void open_two(struct two *t, bool same)
{
	struct err e;
	memset(t, 0, sizeof *t);
	snprintf(t->a, sizeof t->a, "%s", test_scratch("a.kvg"));
	snprintf(t->b, sizeof t->b, "%s", test_scratch("b.kvg"));
	const struct capture *a = synthetic(300), *b = same ? NULL : synthetic(200);
	if (same) {
		struct capture_map map = *capture_find(a, "untrained");
		map.name = "lookahead";
		CHECK_INT(capture_replace(&b, a, &map, 1, NULL, 0, &e), 0);
	}
	save(a, t->a);
	save(b, t->b);
	t->options = (struct screen_options){.capture = t->a, .other = t->b, .protocol = protocol_default(), .measure = {.seed = 1}};
	grid_resize(&t->grid, 40, 120);
	CHECK_INT(app_open(&t->app, &t->options, &plain, &e), 0);
	app_wait_until_idle(&t->app);
	app_draw(&t->app, &t->grid);
}

static void close_two(struct two *t)
{
	app_close(&t->app);
	grid_free(&t->grid);
}

static void press(struct two *t, const char *name)
{
	app_event(&t->app, &(struct event){.kind = EVENT_KEY, .key = event_key_from_name(name)});
	app_draw(&t->app, &t->grid);
}

/* Counted token by token. */
static void check_swapped(struct two *t, const char *method)
{
	struct app *app = &t->app;
	int series = snapshot_find(app->look.snap, method), here = 0, there = 0;
	struct pair_swap swap = pair_swapped(app, series);
	CHECK(swap.known);
	CHECK_INT(app->look.scope, LOOK_HEAD);
	for (int j = 0; j < app->look.snap->capture->n_prompt; j++) {
		here += pair_side(app, series, j) == PAIR_HERE;
		there += pair_side(app, series, j) == PAIR_THERE;
	}
	CHECK_NEAR(swap.here, here, TOL_EXACT);
	CHECK_NEAR(swap.there, there, TOL_EXACT);
	CHECK_INT(here, there); /* as many tokens are kept */
}

/* Over many heads: what the desk has counted ahead is what counting one by one gives, at every budget. */
static void check_swapped_everywhere(struct two *t, const char *method)
{
	struct app *app = &t->app;
	int series = snapshot_find(app->look.snap, method);
	app->look.scope = LOOK_ALL;
	struct pair_common *counted;
	pair_swapped(app, series);
	app_wait_until_idle(app);
	CHECK(app->pair.common != NULL);
	for (int budget = 37; budget <= 300; budget += 7) {
		look_set_budget(&app->look, budget);
		struct pair_swap quick = pair_swapped(app, series);
		counted = app->pair.common;
		app->pair.common = NULL;
		struct pair_swap slow = pair_swapped(app, series);
		app->pair.common = counted;
		CHECK(quick.known && slow.known);
		CHECK_NEAR(quick.here, slow.here, TOL_EXACT);
		CHECK_NEAR(quick.there, slow.there, TOL_EXACT);
	}
	look_set_budget(&app->look, 150);
	app->look.scope = LOOK_HEAD;
}

TEST(pair, the_same_prompt_is_one_cursor_over_both)
{
	struct two t;
	open_two(&t, true);
	CHECK(pair_is_linked(&t.app));
	CHECK_STR(pair_letter(&t.app, false), "A");
	press(&t, "+");
	press(&t, ".");
	int token = t.app.look.token, layer = t.app.look.layer, budget = t.app.look.budget;
	const struct snapshot *a = t.app.look.snap, *b = t.app.pair.look.snap;
	CHECK(a->serial != b->serial);
	check_swapped(&t, "lookahead");
	check_swapped_everywhere(&t, "lookahead");
	look_set_budget(&t.app.look, budget);
	CHECK(pair_swapped(&t.app, snapshot_find(a, "lookahead")).here > 0);
	CHECK_NEAR(pair_swapped(&t.app, snapshot_find(a, "snapkv")).here, 0, TOL_EXACT);
	press(&t, "x");
	CHECK(t.app.look.snap == b && t.app.pair.look.snap == a);
	CHECK_STR(t.app.capture_path, t.b);
	CHECK_STR(pair_letter(&t.app, false), "B");
	CHECK(t.app.look.token == token && t.app.look.layer == layer && t.app.look.budget == budget);
	check_swapped(&t, "lookahead");
	check_swapped_everywhere(&t, "lookahead");
	press(&t, "X");
	CHECK(pair_differs(&t.app));
	press(&t, "2");
	press(&t, "a");
	press(&t, "a");
	press(&t, "8");
	press(&t, "x");
	CHECK_STR(t.app.capture_path, t.a);
	close_two(&t);
}

TEST(pair, another_protocol_is_that_of_both)
{
	struct two t;
	open_two(&t, true);
	const struct capture *a = t.app.look.snap->capture, *b = t.app.pair.look.snap->capture;
	int token = t.app.look.token;
	CHECK(settings_change(&t.app, OPT_pool, "max"));
	press(&t, "x"); /* while it is evaluated */
	app_wait_until_idle(&t.app);
	CHECK(t.app.look.snap->capture == b && t.app.pair.look.snap->capture == a);
	CHECK_INT(evaluation_protocol(t.app.look.snap->evaluation)->score.pool, POOL_MAX);
	CHECK_INT(evaluation_protocol(t.app.pair.look.snap->evaluation)->score.pool, POOL_MAX);
	CHECK(t.app.look.snap->serial != t.app.pair.look.snap->serial);
	CHECK_INT(t.app.look.token, token);
	check_swapped(&t, "lookahead");
	close_two(&t);
}

TEST(pair, different_prompts_keep_their_places)
{
	struct two t;
	open_two(&t, false);
	CHECK(pair_exists(&t.app) && !pair_is_linked(&t.app));
	press(&t, "End");
	CHECK_INT(t.app.look.token, 299);
	press(&t, "X");
	CHECK(!pair_differs(&t.app));
	CHECK(strstr(t.app.message, "different prompts") != NULL);
	press(&t, "8");
	press(&t, "x");
	CHECK_INT(t.app.look.snap->capture->n_prompt, 200);
	CHECK(t.app.look.token < 200);
	press(&t, "x");
	CHECK_INT(t.app.look.token, 299);
	close_two(&t);
}

TEST(pair, alone_it_says_how_to_open_two)
{
	struct two t;
	open_two(&t, true);
	close_two(&t);
	t.options.other = NULL;
	CHECK_INT(app_open(&t.app, &t.options, &plain, NULL), 0);
	app_wait_until_idle(&t.app);
	grid_resize(&t.grid, 24, 80);
	press(&t, "x");
	CHECK(strstr(t.app.message, "A.kvg B.kvg") != NULL);
	press(&t, "8");
	press(&t, "Esc");
	CHECK_INT(t.app.view, VIEW_MAPS);
	app_open_other(&t.app, "/no/such/other.kvg");
	app_wait_until_idle(&t.app);
	CHECK(strstr(t.app.message, "/no/such/other.kvg") && !pair_exists(&t.app));
	close_two(&t);
}
