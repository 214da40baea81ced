#include "tui/line/history.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/file.h"

TEST(history, keeps_each_line_once_and_what_is_no_line_not_at_all)
{
	struct history h = {0};
	static const char text[] = ":one\n/two\nthree\n:one\n\n:\n:bad\x80\n:tab\there\n:four";
	history_read(&h, text, sizeof text - 1);
	CHECK_INT(h.n, 3);
	CHECK_STR(h.line[0], "/two");
	CHECK_STR(h.line[1], ":one");
	CHECK_STR(h.line[2], ":four");
	history_add(&h, ':', "many\nlines");
	history_add(&h, ':', "");
	CHECK_INT(h.n, 3);
	history_free(&h);
}

TEST(history, walks_by_mark_and_beginning_and_comes_back_to_what_was_written)
{
	struct history h = {0};
	history_add(&h, ':', "budget 200");
	history_add(&h, '/', "budget");
	history_add(&h, ':', "goto 7");
	history_add(&h, ':', "budget 300");
	CHECK_STR(history_walk(&h, ':', -1, "bud"), "budget 300");
	CHECK_STR(history_walk(&h, ':', -1, "budget 300"), "budget 200");
	CHECK(history_walk(&h, ':', -1, "budget 200") == NULL);
	CHECK_STR(history_walk(&h, ':', 1, "budget 200"), "budget 300");
	CHECK_STR(history_walk(&h, ':', 1, "budget 300"), "bud");
	CHECK(history_walk(&h, ':', 1, "bud") == NULL);
	history_rest(&h);
	CHECK_STR(history_walk(&h, '/', -1, ""), "budget");
	history_free(&h);
}

TEST(history, two_programs_lose_nothing_of_each_other)
{
	const char *path = test_scratch("history");
	struct history a = {0}, b = {0};
	struct err e;
	unlink(path);
	history_load(&a, path); /* not there yet: no error */
	history_load(&b, path);
	history_add(&a, ':', "from a");
	history_add(&b, ':', "from b");
	CHECK_INT(history_save(&a, path, &e), 0);
	CHECK_INT(history_save(&b, path, &e), 0);
	history_free(&a);
	history_load(&a, path);
	CHECK_INT(a.n, 2);
	CHECK_STR(a.line[0], ":from a");
	CHECK_STR(a.line[1], ":from b");
	for (int i = 0; i < HISTORY_MOST + 10; i++) {
		char line[16];
		snprintf(line, sizeof line, "%d", i);
		history_add(&a, ':', line);
	}
	CHECK_INT(a.n, HISTORY_MOST);
	CHECK_INT(history_save(&a, path, &e), 0);
	history_free(&b);
	history_load(&b, path);
	CHECK_INT(b.n, HISTORY_MOST);
	CHECK_STR(b.line[HISTORY_MOST - 1], a.line[HISTORY_MOST - 1]);
	history_free(&a);
	history_free(&b);
	CHECK(history_save(&b, "/no/such/folder/history", &e) == 0); /* nothing new, nothing written */
	history_add(&b, ':', "x");
	CHECK(history_save(&b, "/no/such/folder/history", &e) != 0);
	history_free(&b);
}
