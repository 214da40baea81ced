/* Two captures at once: one cursor over both when they hold the same prompt, numbers alone when they do not. */
#include "tui/app.h"
#include "tests/support/scene.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#include <string.h>

#include "analysis/synthetic.h"
#include "tui/settings_act.h"

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
static void open_two(struct scene *s, bool same)
{
	struct err e;
	const struct capture *a = synthetic(300), *b = same ? NULL : synthetic(200);
	if (same) {
		struct capture_map map = *capture_find(a, "untrained");
		map.name = "lookahead";
		CHECK_INT(capture_replace(&b, a, &map, 1, NULL, 0, &e), 0);
	}
	*s = (struct scene){.options = {.capture = test_scratch("a.kvg"), .other = test_scratch("b.kvg"), .protocol = protocol_default(),
		.measure = {.seed = 1}}};
	save(a, s->options.capture);
	save(b, s->options.other);
	scene_open(s, &scene_plain, 40, 120);
}

static void press(struct scene *s, const char *name)
{
	scene_press(s, name);
	app_draw(&s->app, &s->grid);
}

/* Counted token by token. */
static void check_swapped(struct scene *s, const char *method)
{
	struct app *app = &s->app;
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
static void check_swapped_everywhere(struct scene *s, const char *method)
{
	struct app *app = &s->app;
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
	struct scene s;
	open_two(&s, true);
	CHECK(pair_is_linked(&s.app));
	CHECK_STR(pair_letter(&s.app, false), "A");
	press(&s, "+");
	press(&s, ".");
	int token = s.app.look.token, layer = s.app.look.layer, budget = s.app.look.budget;
	const struct snapshot *a = s.app.look.snap, *b = s.app.pair.look.snap;
	CHECK(a->serial != b->serial);
	check_swapped(&s, "lookahead");
	check_swapped_everywhere(&s, "lookahead");
	look_set_budget(&s.app.look, budget);
	CHECK(pair_swapped(&s.app, snapshot_find(a, "lookahead")).here > 0);
	CHECK_NEAR(pair_swapped(&s.app, snapshot_find(a, "snapkv")).here, 0, TOL_EXACT);
	press(&s, "x");
	CHECK(s.app.look.snap == b && s.app.pair.look.snap == a);
	CHECK_STR(s.app.capture_path, s.options.other);
	CHECK_STR(pair_letter(&s.app, false), "B");
	CHECK(s.app.look.token == token && s.app.look.layer == layer && s.app.look.budget == budget);
	check_swapped(&s, "lookahead");
	check_swapped_everywhere(&s, "lookahead");
	press(&s, "X");
	CHECK(pair_differs(&s.app));
	press(&s, "2");
	press(&s, "a");
	press(&s, "a");
	press(&s, "8");
	press(&s, "x");
	CHECK_STR(s.app.capture_path, s.options.capture);
	scene_close(&s);
}

TEST(pair, another_protocol_is_that_of_both)
{
	struct scene s;
	open_two(&s, true);
	const struct capture *a = s.app.look.snap->capture, *b = s.app.pair.look.snap->capture;
	int token = s.app.look.token;
	CHECK(settings_change(&s.app, OPT_pool, "max"));
	press(&s, "x"); /* while it is evaluated */
	app_wait_until_idle(&s.app);
	CHECK(s.app.look.snap->capture == b && s.app.pair.look.snap->capture == a);
	CHECK_INT(evaluation_protocol(s.app.look.snap->evaluation)->score.pool, POOL_MAX);
	CHECK_INT(evaluation_protocol(s.app.pair.look.snap->evaluation)->score.pool, POOL_MAX);
	CHECK(s.app.look.snap->serial != s.app.pair.look.snap->serial);
	CHECK_INT(s.app.look.token, token);
	check_swapped(&s, "lookahead");
	scene_close(&s);
}

TEST(pair, different_prompts_keep_their_places)
{
	struct scene s;
	open_two(&s, false);
	CHECK(pair_exists(&s.app) && !pair_is_linked(&s.app));
	press(&s, "End");
	CHECK_INT(s.app.look.token, 299);
	press(&s, "X");
	CHECK(!pair_differs(&s.app));
	CHECK(strstr(s.app.message, "different prompts") != NULL);
	press(&s, "8");
	press(&s, "x");
	CHECK_INT(s.app.look.snap->capture->n_prompt, 200);
	CHECK(s.app.look.token < 200);
	press(&s, "x");
	CHECK_INT(s.app.look.token, 299);
	scene_close(&s);
}

TEST(pair, alone_it_says_how_to_open_two)
{
	struct scene s;
	open_two(&s, true);
	scene_close(&s);
	s.options.other = NULL;
	scene_open(&s, &scene_plain, 24, 80);
	press(&s, "x");
	CHECK(strstr(s.app.message, "A.kvg B.kvg") != NULL);
	press(&s, "8");
	press(&s, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	app_open_other(&s.app, "/no/such/other.kvg");
	app_wait_until_idle(&s.app);
	CHECK(strstr(s.app.message, "/no/such/other.kvg") && !pair_exists(&s.app));
	scene_close(&s);
}
