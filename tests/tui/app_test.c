/* The program without a terminal: laws that hold whatever keys come in whatever order, and what happens to runs and
 * files. */
#include "tui/app.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/synthetic.h"
#include "engine/file.h"
#include "tui/saving.h"
#include "tests/support/tiny_model.h"

struct stage_set {
	struct app app;
	struct grid grid;
	struct screen_options options;
	char capture[600];
};

static void open_set(struct stage_set *s, const struct theme *theme)
{
	struct err e;
	s->grid = (struct grid){.ascii = !theme->utf8};
	grid_resize(&s->grid, 24, 80);
	CHECK_INT(app_open(&s->app, &s->options, theme, &e), 0);
	app_wait_until_idle(&s->app);
	app_draw(&s->app, &s->grid);
}

static void open_synthetic(struct stage_set *s, const struct theme *theme, int n_prompt, int n_response, int n_head,
	int n_kv_head)
{
	struct synthetic_spec spec = synthetic_default();
	const struct capture *c;
	struct err e;
	spec.n_layer = 5;
	spec.n_head = n_head;
	spec.n_kv_head = n_kv_head;
	spec.n_prompt = n_prompt;
	spec.n_response = n_response;
	memset(s, 0, sizeof *s);
	snprintf(s->capture, sizeof s->capture, "%s", test_scratch("app.kvg"));
	CHECK_INT(synthetic_capture(&c, &spec, &e), 0);
	CHECK_INT(capture_save(c, s->capture, &e), 0);
	capture_unref(c);
	s->options = (struct screen_options){.capture = s->capture, .protocol = protocol_default(), .measure = {.seed = 1}};
	open_set(s, theme);
}

static void close_set(struct stage_set *s)
{
	app_close(&s->app);
	grid_free(&s->grid);
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

/* Files are not written and the program is not left: those need names and an end. */
static bool is_safe(enum action_id action)
{
	return action != ACTION_SAVE_CAPTURE && action != ACTION_SAVE_FIGURE && action != ACTION_QUIT &&
		action != ACTION_BACK && action != ACTION_ANSWER_YES && action != ACTION_START_RUN && action != ACTION_ACCEPT && action != ACTION_RUN;
}

static void do_anything(struct stage_set *s, uint64_t r)
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
		struct stage_set s;
		open_synthetic(&s, &set[i].theme, set[i].n_prompt, set[i].n_response, set[i].n_head, set[i].n_kv_head);
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
		close_set(&s);
	}
}

static void type(struct app *app, const char *text)
{
	for (; *text; text++)
		app_event(app, &(struct event){.kind = EVENT_KEY, .key = (unsigned char)*text});
}

static void press(struct app *app, const char *name)
{
	app_event(app, &(struct event){.kind = EVENT_KEY, .key = event_key_from_name(name)});
}

static void perform(struct stage_set *s, const char *line)
{
	press(&s->app, ":");
	type(&s->app, line);
	press(&s->app, "Enter");
}

static const struct theme plain = {DEPTH_RGB, true, false};

TEST(app, leaving_a_saved_capture_asks_nothing)
{
	struct stage_set s;
	open_synthetic(&s, &plain, 200, 40, 9, 3);
	CHECK(!s.app.unsaved);
	press(&s.app, "Q");
	CHECK(s.app.quit);
	CHECK_INT(s.app.failure.code, ERR_NONE);
	close_set(&s);
	open_synthetic(&s, &plain, 200, 40, 9, 3);
	press(&s.app, "2");
	CHECK_INT(s.app.view, VIEW_TEXT);
	press(&s.app, "q");
	CHECK_INT(s.app.view, VIEW_MAPS);
	press(&s.app, "?");
	CHECK_INT(s.app.view, VIEW_HELP);
	press(&s.app, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	press(&s.app, "Esc"); /* once too often */
	CHECK(!s.app.quit);
	press(&s.app, "q");
	CHECK(s.app.quit);
	close_set(&s);
}

TEST(app, pasted_text_commands_nothing)
{
	struct stage_set s;
	open_synthetic(&s, &plain, 200, 40, 9, 3);
	int budget = s.app.look.budget;
	for (const char *c = "++2Qq"; *c; c++)
		app_event(&s.app, &(struct event){.kind = EVENT_KEY, .key = *c, .pasted = true});
	CHECK(!s.app.quit);
	CHECK_INT(s.app.view, VIEW_MAPS);
	CHECK_INT(s.app.look.budget, budget);
	close_set(&s);
}

TEST(app, saving_asks_before_it_replaces)
{
	struct stage_set s;
	char path[600];
	open_synthetic(&s, &plain, 200, 40, 9, 3);
	snprintf(path, sizeof path, "%s", test_scratch("copy.kvg"));
	press(&s.app, "w");
	CHECK(s.app.line && s.app.line->accept == saving_capture);
	press(&s.app, "^U");
	type(&s.app, path);
	press(&s.app, "Enter");
	app_wait_until_idle(&s.app);
	CHECK(access(path, R_OK) == 0);
	CHECK_STR(s.app.capture_path, path);
	press(&s.app, "w");
	press(&s.app, "Enter");
	CHECK_INT(s.app.question, ASK_OVERWRITE);
	press(&s.app, "n");
	CHECK_INT(s.app.question, ASK_NOTHING);
	CHECK(s.app.line && s.app.line->accept == saving_capture); /* another name may be given */
	press(&s.app, "Esc");
	CHECK(!s.app.line);
	press(&s.app, "w");
	press(&s.app, "^U");
	type(&s.app, "/no/such/folder/x.kvg");
	press(&s.app, "Enter");
	app_wait_until_idle(&s.app);
	CHECK(strstr(s.app.message, "not saved") && strstr(s.app.message, "/no/such/folder"));
	CHECK_STR(s.app.capture_path, path);
	close_set(&s);
}

TEST(app, figures_say_the_command_that_draws_them_again)
{
	struct stage_set s;
	char path[600];
	open_synthetic(&s, &plain, 200, 40, 9, 3);
	snprintf(path, sizeof path, "%s", test_scratch("figure.svg"));
	press(&s.app, "2");
	press(&s.app, "Tab");
	app_draw(&s.app, &s.grid);
	press(&s.app, "s");
	CHECK(s.app.line && s.app.line->accept == saving_figure);
	press(&s.app, "^U");
	type(&s.app, path);
	press(&s.app, "Enter");
	app_wait_until_idle(&s.app);
	CHECK(access(path, R_OK) == 0);
	CHECK(strstr(s.app.message, "kvglass export ") && strstr(s.app.message, "--figure overlay") &&
		strstr(s.app.message, "--method snapkv"));
	CHECK(strstr(s.app.message, s.capture) && strstr(s.app.message, path));
	close_set(&s);
}

/* ---- runs from the start screen ---- */

static void open_start(struct stage_set *s)
{
	static const char model[] = "tiny.gguf";
	const char *path = test_scratch(model);
	memset(s, 0, sizeof *s);
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_F32, .seed = 1});
	snprintf(s->capture, sizeof s->capture, "%s", path);
	s->options = (struct screen_options){.model = s->capture, .protocol = protocol_default(),
		.measure = {.mode = PROMPT_RAW, .window = 8, .n_response = 8, .seed = 1, .n_threads = 1}};
	s->options.protocol.select.window = 8;
	open_set(s, &plain);
}

static void run_typed(struct stage_set *s)
{
	press(&s->app, "Up"); /* from the prompt's file to where it comes from */
	press(&s->app, "Space");
	press(&s->app, "Down");
	type(&s->app, "The harbour office keeps a careful ledger of every boat?Q");
	press(&s->app, "^R");
	CHECK_INT(s->app.view, VIEW_MAPS);
	app_wait_until_idle(&s->app);
	app_draw(&s->app, &s->grid);
}

TEST(app, a_run_from_the_start_screen_is_not_lost_without_asking)
{
	struct stage_set s;
	open_start(&s);
	CHECK_INT(s.app.view, VIEW_START);
	run_typed(&s);
	CHECK(s.app.look.snap && s.app.look.snap->capture->complete);
	CHECK(s.app.unsaved);
	CHECK_STR(app_prompt_name(&s.app), "typed prompt");
	press(&s.app, "Q");
	CHECK_INT(s.app.question, ASK_LEAVE);
	press(&s.app, "n");
	CHECK(!s.app.quit && s.app.question == ASK_NOTHING);
	press(&s.app, "Q");
	press(&s.app, "w"); /* save first, then leave */
	CHECK(s.app.line && s.app.line->accept == saving_capture);
	press(&s.app, "^U");
	char path[600];
	snprintf(path, sizeof path, "%s", test_scratch("saved.kvg"));
	type(&s.app, path);
	press(&s.app, "Enter");
	app_wait_until_idle(&s.app);
	CHECK(s.app.quit && !s.app.unsaved);
	CHECK(access(path, R_OK) == 0);
	close_set(&s);
}

TEST(app, a_run_may_be_replaced_by_another)
{
	struct stage_set s;
	open_start(&s);
	run_typed(&s);
	int serial = s.app.look.snap->serial;
	const struct capture *first = s.app.look.snap->capture;
	press(&s.app, "r");
	press(&s.app, "^R"); /* nothing is lost: the first one is kept */
	app_wait_until_idle(&s.app);
	CHECK(s.app.look.snap->serial > serial);
	CHECK(s.app.unsaved && s.app.look.snap->capture != first);
	press(&s.app, "P");
	CHECK(s.app.look.snap->capture == first && s.app.shows_previous && s.app.unsaved);
	press(&s.app, "P");
	CHECK(s.app.look.snap->capture != first && !s.app.shows_previous);
	press(&s.app, "r");
	press(&s.app, "^R"); /* now it would be */
	CHECK_INT(s.app.question, ASK_REPLACE_RUN);
	press(&s.app, "n");
	press(&s.app, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	press(&s.app, "r");
	press(&s.app, "^R");
	press(&s.app, "y");
	app_wait_until_idle(&s.app);
	CHECK(s.app.unsaved && s.app.other.unsaved);
	close_set(&s);
}

TEST(app, what_cannot_run_is_said_and_the_start_screen_stays)
{
	struct stage_set s;
	open_start(&s);
	press(&s.app, "^R"); /* no prompt */
	CHECK_INT(s.app.view, VIEW_START);
	CHECK(strstr(s.app.message, "Prompt file") != NULL);
	type(&s.app, "/no/such/prompt.txt");
	press(&s.app, "^R");
	CHECK(strstr(s.app.message, "/no/such/prompt.txt") && strstr(s.app.message, "No such file"));
	CHECK_INT(s.app.view, VIEW_START);
	press(&s.app, "^U");
	type(&s.app, s.capture); /* a model is no prompt */
	press(&s.app, "^R");
	app_wait_until_idle(&s.app);
	CHECK_INT(s.app.view, VIEW_START);
	CHECK(strstr(s.app.message, "UTF-8") != NULL);
	CHECK(!s.app.quit);
	close_set(&s);
}

TEST(app, what_the_command_line_asked_for_ends_the_program_when_it_cannot_be_done)
{
	struct stage_set s = {.options = {.model = "/no/such/model.gguf", .prompt = "x", .prompt_bytes = 1,
		.protocol = protocol_default()}};
	open_set(&s, &plain);
	CHECK(s.app.quit);
	CHECK(s.app.failure.code != ERR_NONE && strstr(s.app.failure.text, "/no/such/model.gguf"));
	close_set(&s);
}

TEST(app, typed_commands_do_what_they_say)
{
	struct stage_set s;
	open_synthetic(&s, &plain, 300, 40, 9, 3);
	perform(&s, "goto 123");
	CHECK_INT(s.app.look.token, 123);
	perform(&s, "goto #1,23");
	CHECK_INT(s.app.look.token, 123);
	perform(&s, "  layer   4 ");
	CHECK_INT(s.app.look.layer, 4);
	perform(&s, "head 8");
	CHECK_INT(s.app.look.head, 8);
	perform(&s, "budget 200");
	CHECK_INT(s.app.look.budget, 200);
	perform(&s, "scope all");
	CHECK_INT(s.app.look.scope, LOOK_ALL);
	perform(&s, "scale percentile");
	CHECK_INT(s.app.look.scale, RAMP_PERCENTILE);
	perform(&s, "method snapkv");
	CHECK_STR(s.app.look.snap->series[s.app.look.focus].name, "snapkv");
	perform(&s, "view-text");
	CHECK_INT(s.app.view, VIEW_TEXT);
	perform(&s, "quit");
	CHECK(s.app.quit);
	close_set(&s);
}

TEST(app, typed_commands_that_cannot_be_are_said_in_a_line)
{
	static const struct {
		const char *line, *says;
	} wrong[] = {
		{"bugdet 200", "did you mean budget?"}, {"budget", "needs a word"}, {"budget 2oo", "not a whole number"},
		{"budget 5000", "there are 37 to 300"}, {"budget 99999999999", "too large"}, {"goto 300", "there are 0 to 299"},
		{"layer 5", "there are 0 to 4"}, {"head 9", "there are 0 to 8"}, {"scope body", "not one of head|layer|all"},
		{"method none-such", "no such method"}, {"view-text now", "takes no further word"},
		{"start-run", "means nothing on this screen"}, {"open", "needs a word"},
	};
	struct stage_set s;
	open_synthetic(&s, &plain, 300, 40, 9, 3);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		int budget = s.app.look.budget, token = s.app.look.token;
		perform(&s, wrong[i].line);
		if (!strstr(s.app.message, wrong[i].says) || strchr(s.app.message, '\n'))
			test_fail(__FILE__, __LINE__, ":%s says \"%s\"", wrong[i].line, s.app.message);
		CHECK_INT(s.app.message_role, ROLE_ERROR);
		CHECK(s.app.look.budget == budget && s.app.look.token == token && !s.app.line && !s.app.quit);
	}
	close_set(&s);
}

TEST(app, the_line_completes_and_remembers)
{
	struct stage_set s;
	char path[600];
	snprintf(path, sizeof path, "%s", test_scratch("line-history"));
	unlink(path);
	open_synthetic(&s, &plain, 300, 40, 9, 3);
	s.options.history = path;
	press(&s.app, ":");
	type(&s.app, "budg");
	press(&s.app, "Tab");
	CHECK_STR(s.app.line_field.text, "budget");
	CHECK(strstr(s.app.line_names, "budget  budget-more  budget-less") != NULL);
	type(&s.app, " 150");
	press(&s.app, "Enter");
	CHECK_INT(s.app.look.budget, 150);
	press(&s.app, ":");
	type(&s.app, "scope l");
	press(&s.app, "Tab");
	CHECK_STR(s.app.line_field.text, "scope layer ");
	press(&s.app, "Enter");
	CHECK_INT(s.app.look.scope, LOOK_LAYER);
	press(&s.app, ":");
	type(&s.app, "b");
	press(&s.app, "Up");
	CHECK_STR(s.app.line_field.text, "budget 150"); /* the newest that begins with what was written */
	press(&s.app, "Down");
	CHECK_STR(s.app.line_field.text, "b");
	press(&s.app, "BS");
	CHECK(s.app.line != NULL);
	press(&s.app, "BS");
	CHECK(!s.app.line);
	close_set(&s);
	CHECK(access(path, R_OK) == 0);
	open_set(&s, &plain);
	press(&s.app, ":");
	press(&s.app, "Up");
	press(&s.app, "Up");
	CHECK_STR(s.app.line_field.text, "budget 150");
	press(&s.app, "Esc");
	CHECK(!s.app.line);
	close_set(&s);
}

TEST(app, another_protocol_is_evaluated_beside_the_common_one_and_back)
{
	struct stage_set s;
	struct swap swap;
	open_synthetic(&s, &plain, 300, 40, 9, 3);
	const struct look *l = &s.app.look;
	const struct evaluation *usual = l->snap->evaluation;
	int snapkv = snapshot_find(l->snap, "snapkv");
	CHECK(!l->snap->common && !swap_count(&s.app.look, snapkv, look_scope(l), &swap));
	perform(&s, "set pool max");
	perform(&s, "set kernel 8");
	CHECK(strstr(s.app.message, "must be odd") != NULL);
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->score.pool, POOL_MAX);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->score.kernel, 7);
	CHECK(l->snap->common == usual); /* not computed twice */
	CHECK(swap_count(&s.app.look, snapkv, look_scope(l), &swap));
	CHECK(swap.in > 0 && swap.in == swap.out); /* as many protected: what comes in pushes as much out */
	int in = 0, out = 0;
	for (int token = 0; token < 300; token++) {
		in += swap_of(&s.app.look, snapkv, token) > 0;
		out += swap_of(&s.app.look, snapkv, token) < 0;
	}
	CHECK(in == (int)swap.in && out == (int)swap.out);
	perform(&s, "preset snapkv-kvpress");
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->select.window, 64);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->select.sink, 0);
	CHECK(l->snap->common == usual && l->budget >= 65);
	perform(&s, "set sink 3"); /* over the preset */
	app_wait_until_idle(&s.app);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->select.window, 64);
	CHECK_INT(evaluation_protocol(l->snap->evaluation)->select.sink, 3);
	press(&s.app, "D");
	app_wait_until_idle(&s.app);
	CHECK(l->snap->evaluation == usual && !l->snap->common);
	perform(&s, "set colour 16");
	CHECK(strstr(s.app.message, "did you mean color?") != NULL);
	close_set(&s);
}

static void type_line(struct app *app, const char *text)
{
	press(app, ":");
	type(app, text);
	press(app, "Enter");
}

TEST(app, panes_and_searches_can_be_typed)
{
	struct stage_set s;
	int pane[LOOK_MAX_PANE];
	open_synthetic(&s, &plain, 400, 40, 9, 3);
	press(&s.app, "2");
	type_line(&s.app, "panes tova,truth");
	CHECK_INT(s.app.view, VIEW_MAPS);
	CHECK_INT(look_panes(&s.app.look, pane), 2);
	CHECK_STR(s.app.look.snap->series[pane[0]].name, "tova");
	type_line(&s.app, "panes nothing");
	CHECK(strstr(s.app.message, "nothing") && strstr(s.app.message, "snapkv"));
	type_line(&s.app, "panes default");
	CHECK_INT(s.app.look.n_pane, 0);
	type_line(&s.app, "search harbour|ledger");
	CHECK(s.app.look.search.match.n > 0);
	CHECK(spans_find(&s.app.look.search.match, s.app.look.token) >= 0);
	int token = s.app.look.token;
	press(&s.app, "n");
	CHECK(s.app.look.token != token);
	press(&s.app, "M");
	CHECK_INT(s.app.look.marked.n, s.app.look.search.match.n);
	press(&s.app, "m"); /* in a span: that one is no longer marked */
	CHECK_INT(s.app.look.marked.n, s.app.look.search.match.n - 1);
	press(&s.app, "U");
	CHECK_INT(s.app.look.marked.n, 0);
	close_set(&s);
}

/* Esc forgets a span that was begun, and only then goes back. */
TEST(app, a_span_that_was_begun_can_be_forgotten)
{
	struct stage_set s;
	open_synthetic(&s, &plain, 400, 40, 9, 3);
	press(&s.app, "2");
	press(&s.app, "m");
	CHECK(s.app.look.marking);
	press(&s.app, "Esc");
	CHECK(!s.app.look.marking);
	CHECK_INT(s.app.view, VIEW_TEXT);
	press(&s.app, "m");
	press(&s.app, ".");
	press(&s.app, "m");
	CHECK_INT(s.app.look.marked.n, 1);
	CHECK_INT(spans_count_tokens(&s.app.look.marked), 2);
	press(&s.app, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	close_set(&s);
}

TEST(app, copies_numbers_and_python)
{
	struct stage_set s;
	char path[600], *text;
	size_t n;
	struct err e;
	snprintf(path, sizeof path, "%s", test_scratch("copied"));
	open_synthetic(&s, &plain, 300, 40, 9, 3);
	s.options.copied = path;
	perform(&s, "layer 2");
	perform(&s, "head 4");
	press(&s.app, "y");
	press(&s.app, "p");
	CHECK(s.app.clipboard && strstr(s.app.clipboard, "load_file(\"") && strstr(s.app.clipboard, "app.kvg\")"));
	CHECK(strstr(s.app.clipboard, "snapkv = capture[\"rows.snapkv\"][2, 3:6]\n") != NULL);
	CHECK_INT(file_read_all(path, 1 << 16, &text, &n, &e), 0);
	CHECK_STR(text, s.app.clipboard);
	free(text);
	perform(&s, "copy numbers");
	CHECK(strstr(s.app.clipboard, "\nsnapkv\t") && strstr(s.app.clipboard, "L2"));
	press(&s.app, "y");
	press(&s.app, "Esc");
	CHECK_INT(s.app.question, ASK_NOTHING);
	close_set(&s);
}

TEST(app, settings_are_kept_when_asked)
{
	struct stage_set s;
	char path[600], line[700], *text;
	size_t n;
	struct err e;
	snprintf(path, sizeof path, "%s", test_scratch("kept-config"));
	unlink(path);
	open_synthetic(&s, &plain, 300, 40, 9, 3);
	perform(&s, "write-config");
	CHECK(strstr(s.app.message, "no place") != NULL);
	snprintf(line, sizeof line, "write-config %s", path);
	perform(&s, line);
	CHECK(strstr(s.app.message, "nothing was changed") && access(path, F_OK));
	perform(&s, "set pool max");
	perform(&s, "set budget 77");
	perform(&s, line);
	CHECK(strstr(s.app.message, "pool, budget") || strstr(s.app.message, "budget, pool"));
	CHECK_INT(file_read_all(path, 1 << 16, &text, &n, &e), 0);
	CHECK(strstr(text, "\npool = max\n") && strstr(text, "\nbudget = 77\n") && strstr(text, "\n# pool = none\n"));
	free(text);
	close_set(&s);
}

/* ---- truth of chosen words ---- */

TEST(app, truth_of_chosen_words_and_back_to_all)
{
	struct stage_set s;
	open_start(&s);
	run_typed(&s);
	const struct capture *whole = capture_ref(s.app.look.snap->capture);
	CHECK(whole->n_response > 2);
	press(&s.app, "2");
	press(&s.app, "v");
	press(&s.app, ".");
	press(&s.app, "Space");
	CHECK(words_is_chosen(&s.app, 1));
	memset(s.app.words.chosen, 0, (size_t)s.app.words.n); /* the tiny model's answer may be one word */
	s.app.words.chosen[1] = 1;
	int n = words_count(&s.app);
	app_draw(&s.app, &s.grid);
	press(&s.app, "Enter");
	app_wait_until_idle(&s.app);
	app_draw(&s.app, &s.grid);
	const struct capture *c = s.app.look.snap->capture;
	CHECK_INT(capture_find(c, "truth")->n_rows, n);
	CHECK_STR(capture_meta(c, "truth_rows"), "1");
	CHECK(strstr(s.app.message, "chosen token") != NULL);
	char said[128];
	CHECK(words_say_truth(s.app.look.snap, said, sizeof said) && strstr(said, "1 chosen row of"));
	CHECK_INT(c->n_response, whole->n_response);
	press(&s.app, "V");
	app_wait_until_idle(&s.app);
	app_draw(&s.app, &s.grid);
	CHECK(!capture_meta(s.app.look.snap->capture, "truth_rows"));
	CHECK(capture_find(s.app.look.snap->capture, "truth")->data == capture_find(whole, "truth")->data);
	CHECK_INT(words_count(&s.app), 0);
	press(&s.app, "Esc"); /* out of the answer, still on the text */
	CHECK(!s.app.words.choosing && s.app.view == VIEW_TEXT);
	capture_unref(whole);
	close_set(&s);
}

TEST(app, words_of_a_saved_capture_need_a_run_and_it_says_so)
{
	struct stage_set s;
	open_synthetic(&s, &plain, 300, 40, 9, 3);
	press(&s.app, "2");
	press(&s.app, "v");
	press(&s.app, "Space");
	press(&s.app, "Enter");
	CHECK(strstr(s.app.message, "needs the model") && strstr(s.app.message, "r runs the prompt"));
	press(&s.app, "V");
	CHECK(strstr(s.app.message, "whole answer") != NULL);
	close_set(&s);
	open_synthetic(&s, &plain, 300, 0, 9, 3);
	press(&s.app, "2");
	press(&s.app, "v");
	CHECK(strstr(s.app.message, "no answer") != NULL);
	CHECK(!s.app.words.choosing);
	close_set(&s);
}

TEST(app, the_token_screen_goes_back_where_it_came_from)
{
	struct stage_set s;
	open_synthetic(&s, &plain, 300, 40, 9, 3);
	press(&s.app, "t");
	CHECK_INT(s.app.view, VIEW_TOKEN);
	press(&s.app, "7");
	CHECK_INT(s.app.view, VIEW_REGIONS);
	press(&s.app, "Esc");
	CHECK_INT(s.app.view, VIEW_MAPS);
	press(&s.app, "2");
	press(&s.app, "Enter");
	CHECK_INT(s.app.view, VIEW_TOKEN);
	app_wait_until_idle(&s.app);
	app_draw(&s.app, &s.grid);
	app_wait_until_idle(&s.app); /* for what the frame asked of the desk */
	press(&s.app, "q");
	CHECK_INT(s.app.view, VIEW_TEXT);
	close_set(&s);
}
