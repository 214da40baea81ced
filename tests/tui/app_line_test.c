/* The program without a terminal: the line at the bottom, typed commands, copying, settings. */
#include "tests/support/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "tests/support/test.h"
#include "tui/saving.h"

TEST(app_line, typed_commands_do_what_they_say)
{
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	scene_perform(&s, "goto 123");
	CHECK_INT(s.app.look.token, 123);
	scene_perform(&s, "goto #1,23");
	CHECK_INT(s.app.look.token, 123);
	scene_perform(&s, "  layer   4 ");
	CHECK_INT(s.app.look.layer, 4);
	scene_perform(&s, "head 8");
	CHECK_INT(s.app.look.head, 8);
	scene_perform(&s, "budget 200");
	CHECK_INT(s.app.look.budget, 200);
	scene_perform(&s, "scope all");
	CHECK_INT(s.app.look.scope, LOOK_ALL);
	scene_perform(&s, "scale percentile");
	CHECK_INT(s.app.look.scale, RAMP_PERCENTILE);
	scene_perform(&s, "method snapkv");
	CHECK_STR(s.app.look.snap->series[s.app.look.focus].name, "snapkv");
	scene_perform(&s, "view-text");
	CHECK_INT(s.app.view, VIEW_TEXT);
	scene_perform(&s, "quit");
	CHECK(s.app.quit);
	scene_close(&s);
}

TEST(app_line, typed_commands_that_cannot_be_are_said_in_a_line)
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
	struct scene s;
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		int budget = s.app.look.budget, token = s.app.look.token;
		scene_perform(&s, wrong[i].line);
		if (!strstr(s.app.message, wrong[i].says) || strchr(s.app.message, '\n'))
			test_fail(__FILE__, __LINE__, ":%s says \"%s\"", wrong[i].line, s.app.message);
		CHECK_INT(s.app.message_role, ROLE_ERROR);
		CHECK(s.app.look.budget == budget && s.app.look.token == token && !s.app.line && !s.app.quit);
	}
	scene_close(&s);
}

TEST(app_line, the_line_completes_and_remembers)
{
	struct scene s;
	char path[600];
	snprintf(path, sizeof path, "%s", test_scratch("line-history"));
	unlink(path);
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	s.options.history = path;
	scene_press(&s, ":");
	scene_type(&s, "budg");
	scene_press(&s, "Tab");
	CHECK_STR(s.app.line_field.text, "budget");
	CHECK(strstr(s.app.line_names, "budget  budget-more  budget-less") != NULL);
	scene_type(&s, " 150");
	scene_press(&s, "Enter");
	CHECK_INT(s.app.look.budget, 150);
	scene_press(&s, ":");
	scene_type(&s, "scope l");
	scene_press(&s, "Tab");
	CHECK_STR(s.app.line_field.text, "scope layer ");
	scene_press(&s, "Enter");
	CHECK_INT(s.app.look.scope, LOOK_LAYER);
	scene_press(&s, ":");
	scene_type(&s, "b");
	scene_press(&s, "Up");
	CHECK_STR(s.app.line_field.text, "budget 150"); /* the newest that begins with what was written */
	scene_press(&s, "Down");
	CHECK_STR(s.app.line_field.text, "b");
	scene_press(&s, "BS");
	CHECK(s.app.line != NULL);
	scene_press(&s, "BS");
	CHECK(!s.app.line);
	scene_close(&s);
	CHECK(access(path, R_OK) == 0);
	scene_open(&s, &scene_plain, 24, 80);
	scene_press(&s, ":");
	scene_press(&s, "Up");
	scene_press(&s, "Up");
	CHECK_STR(s.app.line_field.text, "budget 150");
	scene_press(&s, "Esc");
	CHECK(!s.app.line);
	scene_close(&s);
}

TEST(app_line, panes_and_searches_can_be_typed)
{
	struct scene s;
	int pane[LOOK_MAX_PANE];
	scene_open_synthetic(&s, &scene_plain, 400, 40, 9, 3);
	scene_press(&s, "2");
	scene_perform(&s, "panes tova,truth");
	CHECK_INT(s.app.view, VIEW_MAPS);
	CHECK_INT(look_panes(&s.app.look, pane), 2);
	CHECK_STR(s.app.look.snap->series[pane[0]].name, "tova");
	scene_perform(&s, "panes nothing");
	CHECK(strstr(s.app.message, "nothing") && strstr(s.app.message, "snapkv"));
	scene_perform(&s, "panes default");
	CHECK_INT(s.app.look.n_pane, 0);
	scene_perform(&s, "search harbour|ledger");
	CHECK(s.app.look.search.match.n > 0);
	CHECK(spans_find(&s.app.look.search.match, s.app.look.token) >= 0);
	int token = s.app.look.token;
	scene_press(&s, "n");
	CHECK(s.app.look.token != token);
	scene_press(&s, "M");
	CHECK_INT(s.app.look.marked.n, s.app.look.search.match.n);
	scene_press(&s, "m"); /* in a span: that one is no longer marked */
	CHECK_INT(s.app.look.marked.n, s.app.look.search.match.n - 1);
	scene_press(&s, "U");
	CHECK_INT(s.app.look.marked.n, 0);
	scene_close(&s);
}

TEST(app_line, copies_numbers_and_python)
{
	struct scene s;
	char path[600], *text;
	size_t n;
	struct err e;
	snprintf(path, sizeof path, "%s", test_scratch("copied"));
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	s.options.copied = path;
	scene_perform(&s, "layer 2");
	scene_perform(&s, "head 4");
	scene_press(&s, "y");
	scene_press(&s, "p");
	CHECK(s.app.clipboard && strstr(s.app.clipboard, "load_file(\"") && strstr(s.app.clipboard, "app.kvg\")"));
	CHECK(strstr(s.app.clipboard, "snapkv = capture[\"rows.snapkv\"][2, 3:6]\n") != NULL);
	CHECK_INT(file_read_all(path, 1 << 16, &text, &n, &e), 0);
	CHECK_STR(text, s.app.clipboard);
	free(text);
	scene_perform(&s, "copy numbers");
	CHECK(strstr(s.app.clipboard, "\nsnapkv\t") && strstr(s.app.clipboard, "L2"));
	scene_press(&s, "y");
	scene_press(&s, "Esc");
	CHECK_INT(s.app.question, ASK_NOTHING);
	scene_close(&s);
}

TEST(app_line, settings_are_kept_when_asked)
{
	struct scene s;
	char path[600], line[700], *text;
	size_t n;
	struct err e;
	snprintf(path, sizeof path, "%s", test_scratch("kept-config"));
	unlink(path);
	scene_open_synthetic(&s, &scene_plain, 300, 40, 9, 3);
	scene_perform(&s, "write-config");
	CHECK(strstr(s.app.message, "no place") != NULL);
	snprintf(line, sizeof line, "write-config %s", path);
	scene_perform(&s, line);
	CHECK(strstr(s.app.message, "nothing was changed") && access(path, F_OK));
	scene_perform(&s, "set pool max");
	scene_perform(&s, "set budget 77");
	scene_perform(&s, line);
	CHECK(strstr(s.app.message, "pool, budget") || strstr(s.app.message, "budget, pool"));
	CHECK_INT(file_read_all(path, 1 << 16, &text, &n, &e), 0);
	CHECK(strstr(text, "\npool = max\n") && strstr(text, "\nbudget = 77\n") && strstr(text, "\n# pool = none\n"));
	free(text);
	scene_close(&s);
}
