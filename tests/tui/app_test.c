/* The program without a terminal: laws that hold whatever keys come in whatever order, and what is saved. */
#include "tests/support/scene.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "tests/support/test.h"
#include "tui/saving.h"
#include "tui/view/text.h"

/* Files are not written and the program is not left: those need names and an end. */
static bool is_safe(enum action_id action)
{
	return action != ACTION_SAVE_CAPTURE && action != ACTION_SAVE_FIGURE && action != ACTION_QUIT &&
		action != ACTION_BACK && action != ACTION_ANSWER_YES && action != ACTION_START_RUN && action != ACTION_ACCEPT && action != ACTION_RUN;
}

static void do_anything(struct scene *s, uint64_t r)
{
	struct event event = {.row = (int)(r >> 20) % s->grid.rows, .col = (int)(r >> 32) % s->grid.cols};
	enum action_id action = (enum action_id)(1 + r % (N_ACTION - 1));
	switch (r >> 8 & 15) {
	case 0:
		event.kind = EVENT_CLICK;
		app_event(&s->app, &event);
		break;
	case 1:
		event.kind = EVENT_WHEEL;
		event.wheel = r >> 60 & 1 ? 1 : -1;
		event.control = r >> 61 & 1;
		app_event(&s->app, &event);
		break;
	case 2:
		grid_resize(&s->grid, 1 + (int)(r >> 24) % 70, 1 + (int)(r >> 40) % 230);
		break;
	default:
		if (is_safe(action))
			app_act(&s->app, action);
	}
}

static void check_grid(const struct grid *g)
{
	for (int row = 0; row < g->rows; row++) {
		for (int col = 0; col < g->cols; col++) {
			const struct cell *c = grid_at(g, row, col);
			CHECK(c->width == 1 || (c->width == 2 && col + 1 < g->cols && c[1].width == 0) ||
				(c->width == 0 && c[-1].width == 2));
			if (g->ascii)
				CHECK((unsigned char)c->glyph[0] < 0x80 && c->glyph[1] == '\0');
		}
	}
}

TEST(app, no_order_of_keys_breaks_a_screen)
{
	static const struct {
		int n_prompt, n_response, n_head, n_kv_head;
		struct theme theme;
	} set[] = {
		{400, 40, 9, 3, {DEPTH_RGB, true, false}}, {60, 40, 8, 8, {DEPTH_MONO, false, false}},
		{20, 5, 4, 1, {DEPTH_16, true, true}},
		{300, 0, 6, 2, {DEPTH_256, false, true}},  {37, 3, 2, 2, {DEPTH_RGB, true, true}},
	};
	uint64_t x = test_seed() * 2654435761u + 1;
	for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
		struct scene s;
		scene_open_synthetic(&s, &set[i].theme, set[i].n_prompt, set[i].n_response, set[i].n_head, set[i].n_kv_head);
		const struct look *l = &s.app.look;
		for (int step = 0; step < 600; step++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			do_anything(&s, x ^ x >> 29);
			app_draw(&s.app, &s.grid);
			check_grid(&s.grid);
			CHECK(l->token >= 0 && l->token < set[i].n_prompt);
			CHECK(l->layer >= 0 && l->layer < 5 && l->head >= 0 && l->head < set[i].n_head);
			CHECK(l->focus >= 0 && l->focus < l->snap->n_series);
			CHECK(!s.app.quit);
		}
		scene_close(&s);
	}
}

TEST(app, leaving_a_saved_capture_asks_nothing)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 200, 40, 9, 3);
	CHECK(!s.app.unsaved);
	scene_press(&s, "Q");
	CHECK(s.app.quit);
	CHECK_INT(s.app.failure.code, ERR_NONE);
	scene_close(&s);
	scene_open_synthetic(&s, &scene_plain, 200, 40, 9, 3);
	scene_press(&s, "2");
	CHECK_INT(s.app.view, VIEW_TEXT);
	scene_press(&s, "q");
	CHECK_INT(s.app.view, VIEW_MAPS);
	scene_press(&s, "?");
	CHECK_INT(s.app.view, VIEW_HELP);
	scene_press(&s, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	scene_press(&s, "Esc"); /* once too often */
	CHECK(!s.app.quit);
	scene_press(&s, "q");
	CHECK(s.app.quit);
	scene_close(&s);
}

TEST(app, pasted_text_commands_nothing)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 200, 40, 9, 3);
	int budget = s.app.look.budget;
	for (const char *c = "++2Qq"; *c; c++)
		app_event(&s.app, &(struct event){.kind = EVENT_KEY, .key = *c, .pasted = true});
	CHECK(!s.app.quit);
	CHECK_INT(s.app.view, VIEW_MAPS);
	CHECK_INT(s.app.look.budget, budget);
	scene_close(&s);
}

TEST(app, a_span_that_was_begun_can_be_forgotten)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 400, 40, 9, 3);
	scene_press(&s, "2");
	scene_press(&s, "m");
	CHECK(s.app.look.marking);
	scene_press(&s, "Esc");
	CHECK(!s.app.look.marking);
	CHECK_INT(s.app.view, VIEW_TEXT);
	scene_press(&s, "m");
	scene_press(&s, ".");
	scene_press(&s, "m");
	CHECK_INT(s.app.look.marked.n, 1);
	CHECK_INT(spans_count_tokens(&s.app.look.marked), 2);
	scene_press(&s, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	scene_close(&s);
}

/* A page down and the one before it share a line, whatever the cursor does; a jump far away has text on both sides. */
TEST(app, text_turns_pages_and_skips_nothing)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 3000, 40, 9, 3);
	const struct text *t = s.app.state[VIEW_TEXT];
	scene_press(&s, "2");
	scene_perform(&s, "goto 0");
	app_draw(&s.app, &s.grid);
	CHECK_INT(t->first_line, 0);
	for (int page = 0, before = 0; page < 4; page++, before = t->first_line) {
		scene_press(&s, "PgDn");
		app_draw(&s.app, &s.grid);
		CHECK(t->first_line > before && t->first_line < before + t->n_shown);
	}
	scene_perform(&s, "goto 1500");
	app_draw(&s.app, &s.grid);
	int line = t->flow.line[1500] - t->first_line;
	CHECK(line >= t->n_shown / 3 && line <= 2 * t->n_shown / 3);
	int first = t->first_line;
	scene_press(&s, "Down");
	app_draw(&s.app, &s.grid);
	CHECK_INT(t->first_line, first);
	scene_close(&s);
}

/* Before there is a result its view can be chosen already; what needs one says so. */
TEST(app, a_view_can_be_chosen_while_it_waits)
{
	struct scene s;
	struct app app;
	struct err e;
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	CHECK_INT(app_open(&app, &s.options, &scene_plain, &e), 0);
	if (!app.look.snap) {
		app_act(&app, ACTION_BUDGET_MORE);
		CHECK(strstr(app.message, "nothing to look at yet") != NULL);
		app_act(&app, ACTION_VIEW_HEADS);
		app_draw(&app, &s.grid);
		app_wait_until_idle(&app);
		CHECK(app.look.snap != NULL);
		CHECK_INT(app.view, VIEW_HEADS);
	}
	app_close(&app);
	scene_close(&s);
}

TEST(app, what_a_capture_lacks_is_said_when_it_is_opened)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 300, 0, 9, 3);
	CHECK(strstr(s.app.message, "no rows.truth:") != NULL);
	scene_close(&s);
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	CHECK_STR(s.app.message, "");
	scene_close(&s);
}

TEST(app, the_token_screen_goes_back_where_it_came_from)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	scene_press(&s, "t");
	CHECK_INT(s.app.view, VIEW_TOKEN);
	scene_press(&s, "7");
	CHECK_INT(s.app.view, VIEW_REGIONS);
	scene_press(&s, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	scene_press(&s, "2");
	scene_press(&s, "Enter");
	CHECK_INT(s.app.view, VIEW_TOKEN);
	app_wait_until_idle(&s.app);
	app_draw(&s.app, &s.grid);
	app_wait_until_idle(&s.app); /* for what the frame asked of the desk */
	scene_press(&s, "q");
	CHECK_INT(s.app.view, VIEW_TEXT);
	scene_close(&s);
}

TEST(app, saving_asks_before_it_replaces)
{
	struct scene s;
	char path[600];
	scene_open_synthetic(&s, &scene_plain, 200, 40, 9, 3);
	snprintf(path, sizeof path, "%s", test_scratch("copy.kvg"));
	scene_press(&s, "w");
	CHECK(s.app.line && s.app.line->accept == saving_capture);
	scene_press(&s, "^U");
	scene_type(&s, path);
	scene_press(&s, "Enter");
	app_wait_until_idle(&s.app);
	CHECK(access(path, R_OK) == 0);
	CHECK_STR(s.app.capture_path, path);
	scene_press(&s, "w");
	scene_press(&s, "Enter");
	CHECK_INT(s.app.question, ASK_OVERWRITE);
	scene_press(&s, "n");
	CHECK_INT(s.app.question, ASK_NOTHING);
	CHECK(s.app.line && s.app.line->accept == saving_capture); /* another name may be given */
	scene_press(&s, "Esc");
	CHECK(!s.app.line);
	scene_press(&s, "w");
	scene_press(&s, "^U");
	scene_type(&s, "/no/such/folder/x.kvg");
	scene_press(&s, "Enter");
	app_wait_until_idle(&s.app);
	CHECK(strstr(s.app.message, "not saved") && strstr(s.app.message, "/no/such/folder"));
	CHECK_STR(s.app.capture_path, path);
	scene_close(&s);
}

TEST(app, figures_say_the_command_that_draws_them_again)
{
	struct scene s;
	char path[600];
	scene_open_synthetic(&s, &scene_plain, 200, 40, 9, 3);
	snprintf(path, sizeof path, "%s", test_scratch("figure.svg"));
	scene_press(&s, "2");
	scene_press(&s, "Tab");
	app_draw(&s.app, &s.grid);
	scene_press(&s, "s");
	CHECK(s.app.line && s.app.line->accept == saving_figure);
	scene_press(&s, "^U");
	scene_type(&s, path);
	scene_press(&s, "Enter");
	app_wait_until_idle(&s.app);
	CHECK(access(path, R_OK) == 0);
	CHECK(strstr(s.app.message, "kvglass export ") && strstr(s.app.message, "--figure overlay") &&
		strstr(s.app.message, "--method snapkv"));
	CHECK(strstr(s.app.message, s.capture) && strstr(s.app.message, path));
	scene_close(&s);
}

/* Help is there for every view of a result, with how to read it. */
TEST(app, every_view_has_its_help)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 60, 10, 4, 2);
	for (int view = 0; view < N_VIEW; view++) {
		if (view == VIEW_HELP)
			continue;
		CHECK(app_view((enum view_index)view)->reading != NULL);
		app_show(&s.app, (enum view_index)view);
		app_act(&s.app, ACTION_HELP);
		CHECK_INT(s.app.view, VIEW_HELP);
		app_draw(&s.app, &s.grid);
		app_act(&s.app, ACTION_BACK);
		CHECK_INT(s.app.view, view);
	}
	scene_close(&s);
}
