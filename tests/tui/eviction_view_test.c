/* The Eviction view on a tiny model that runs: evicting from the screen, moving about in what comes back, and a new run that ends it. */
#include "tui/app.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/tiny_model.h"
#include "tui/view/eviction.h"

static const char prompt[] = "The harbour office keeps a careful ledger of every boat that enters the bay, and of its cargo.";
static const struct theme dark = {DEPTH_RGB, true, false};

struct set {
	struct app app;
	struct grid grid;
	struct screen_options options;
};

static void open_set(struct set *s)
{
	struct err e;
	const char *path = test_scratch("tiny.gguf");
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 3});
	*s = (struct set){.options = {.model = path, .prompt = prompt, .prompt_bytes = sizeof prompt - 1, .protocol = protocol_default(),
		.measure = {.mode = PROMPT_RAW, .window = 8, .n_response = 20, .seed = 1, .n_threads = 1}}};
	s->options.protocol.select.window = 8;
	grid_resize(&s->grid, 30, 110);
	CHECK_INT(app_open(&s->app, &s->options, &dark, &e), 0);
	app_wait_until_idle(&s->app);
}

static void close_set(struct set *s)
{
	app_close(&s->app);
	grid_free(&s->grid);
}

static bool shows(struct set *s, const char *text)
{
	app_draw(&s->app, &s->grid);
	for (int row = 0; row < s->grid.rows; row++) {
		char line[2048] = "";
		for (int col = 0; col < s->grid.cols; col++)
			strncat(line, grid_at(&s->grid, row, col)->glyph, CELL_BYTES);
		if (strstr(line, text))
			return true;
	}
	return false;
}

static struct eviction_view *view_of(struct set *s)
{
	return s->app.state[VIEW_EVICTION];
}

TEST(eviction_view, evicts_by_one_method_and_by_all)
{
	struct set s;
	open_set(&s);
	app_act(&s.app, ACTION_VIEW_EVICTION);
	CHECK(shows(&s, "Enter evicts by"));
	app_act(&s.app, ACTION_METHOD_NEXT);
	app_act(&s.app, ACTION_ENTER);
	app_wait_until_idle(&s.app);
	CHECK_INT(view_of(&s)->n_row, 1);
	CHECK(shows(&s, "WHOLE CACHE") && shows(&s, "evicted by") && shows(&s, "after token 0"));
	app_act(&s.app, ACTION_EVICT_ALL);
	app_wait_until_idle(&s.app);
	int n = view_of(&s)->n_row;
	CHECK(n > 4); /* and none twice */
	app_act(&s.app, ACTION_BUDGET_MORE);
	app_act(&s.app, ACTION_ENTER);
	app_wait_until_idle(&s.app);
	CHECK_INT(view_of(&s)->n_row, n + 1);
	for (int i = 0; i < 4; i++)
		app_act(&s.app, ACTION_CELL_RIGHT);
	CHECK(shows(&s, "after token 4"));
	app_act(&s.app, ACTION_LINE_END);
	app_act(&s.app, ACTION_CELL_RIGHT);
	CHECK_INT(view_of(&s)->at, view_of(&s)->base->whole->n - 1);
	app_act(&s.app, ACTION_FIRST);
	CHECK_INT(view_of(&s)->shown, 0);
	close_set(&s);
}

TEST(eviction_view, a_run_of_another_length_forgets_it)
{
	struct set s;
	open_set(&s);
	app_act(&s.app, ACTION_VIEW_EVICTION);
	app_act(&s.app, ACTION_ENTER);
	app_wait_until_idle(&s.app);
	CHECK_INT(view_of(&s)->n_row, 1);
	struct run_order order = {.model = s.options.model, .prompt = prompt, .prompt_bytes = sizeof prompt - 1, .measure = s.options.measure};
	order.measure.n_response = 4;
	app_run(&s.app, &order);
	app_wait_until_idle(&s.app);
	app_act(&s.app, ACTION_VIEW_EVICTION);
	CHECK(shows(&s, "Enter evicts by"));
	CHECK_INT(view_of(&s)->n_row, 0);
	close_set(&s);
}
