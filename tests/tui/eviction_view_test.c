/* The Eviction view on a tiny model that runs: evicting from the screen, moving about in what comes back, and a new run that ends it. */
#include "tui/app.h"
#include "tests/support/test.h"

#include "tests/support/scene.h"
#include "tui/view/eviction.h"

static const char prompt[] = "The harbour office keeps a careful ledger of every boat that enters the bay, and of its cargo.";
static struct eviction_view *view_of(struct scene *s)
{
	return s->app.state[VIEW_EVICTION];
}

TEST(eviction_view, evicts_by_one_method_and_by_all)
{
	struct scene s;
	scene_open_run(&s, prompt, &(struct measure_options){.n_response = 20}, NULL);
	scene_act(&s, ACTION_VIEW_EVICTION);
	CHECK(scene_shows(&s, "Enter evicts by"));
	scene_act(&s, ACTION_METHOD_NEXT);
	scene_act(&s, ACTION_ENTER);
	CHECK_INT(view_of(&s)->n_row, 1);
	CHECK(scene_shows(&s, "WHOLE CACHE") && scene_shows(&s, "evicted by") && scene_shows(&s, "after token 0"));
	scene_act(&s, ACTION_EVICT_ALL);
	int n = view_of(&s)->n_row;
	CHECK(n > 4); /* and none twice */
	scene_act(&s, ACTION_BUDGET_MORE);
	scene_act(&s, ACTION_ENTER);
	CHECK_INT(view_of(&s)->n_row, n + 1);
	for (int i = 0; i < 4; i++)
		scene_act(&s, ACTION_CELL_RIGHT);
	CHECK(scene_shows(&s, "after token 4"));
	scene_act(&s, ACTION_LINE_END);
	scene_act(&s, ACTION_CELL_RIGHT);
	CHECK_INT(view_of(&s)->at, view_of(&s)->base->whole->n - 1);
	scene_act(&s, ACTION_FIRST);
	CHECK_INT(view_of(&s)->shown, 0);
	scene_close(&s);
}

TEST(eviction_view, a_run_of_another_length_forgets_it)
{
	struct scene s;
	scene_open_run(&s, prompt, &(struct measure_options){.n_response = 20}, NULL);
	scene_act(&s, ACTION_VIEW_EVICTION);
	scene_act(&s, ACTION_ENTER);
	CHECK_INT(view_of(&s)->n_row, 1);
	struct run_order order = {.model = s.options.model, .prompt = prompt, .prompt_bytes = sizeof prompt - 1, .measure = s.options.measure};
	order.measure.n_response = 4;
	app_run(&s.app, &order);
	app_wait_until_idle(&s.app);
	scene_act(&s, ACTION_VIEW_EVICTION);
	CHECK(scene_shows(&s, "Enter evicts by"));
	CHECK_INT(view_of(&s)->n_row, 0);
	scene_close(&s);
}
