#include "tui/line/field.h"
#include "tui/terminal/event.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void type(struct field *f, const char *text)
{
	for (; *text; text++)
		field_type(f, (unsigned char)*text);
}

TEST(field, edits)
{
	struct field f = {0};
	CHECK(field_set(&f, "one two"));
	field_act(&f, ACTION_EDIT_WORD);
	CHECK_STR(f.text, "one ");
	type(&f, "2");
	field_act(&f, ACTION_EDIT_HOME);
	field_type(&f, 0x4f60); /* a wide character */
	CHECK_STR(f.text, "\xe4\xbd\xa0one 2");
	field_act(&f, ACTION_EDIT_LEFT);
	CHECK_INT(f.at, 0);
	field_act(&f, ACTION_EDIT_LEFT);
	CHECK_INT(f.at, 0);
	field_act(&f, ACTION_EDIT_RUBOUT);
	field_act(&f, ACTION_EDIT_RIGHT);
	CHECK_INT(f.at, 3);
	field_act(&f, ACTION_EDIT_RUBOUT);
	CHECK_STR(f.text, "one 2");
	field_act(&f, ACTION_EDIT_END);
	field_act(&f, ACTION_EDIT_DELETE);
	field_act(&f, ACTION_EDIT_LEFT);
	field_act(&f, ACTION_EDIT_CUT_TAIL);
	CHECK_STR(f.text, "one ");
	field_act(&f, ACTION_EDIT_CUT_HEAD);
	CHECK_STR(f.text, "");
	field_act(&f, ACTION_EDIT_WORD);
	CHECK(!field_act(&f, ACTION_QUIT));
	field_type(&f, K_ENTER); /* no new lines in a line */
	field_type(&f, K_F1);
	CHECK_STR(f.text, "");
	field_free(&f);
}

TEST(field, a_base_and_its_marks_are_one)
{
	struct field f = {0};
	field_set(&f, "ae\xcc\x81");
	field_act(&f, ACTION_EDIT_LEFT);
	CHECK_INT(f.at, 1);
	field_act(&f, ACTION_EDIT_DELETE);
	CHECK_STR(f.text, "a");
	field_free(&f);
}

TEST(field, long_lines_follow_the_cursor)
{
	struct field f = {0};
	struct grid g = {0};
	grid_resize(&g, 1, 8);
	field_set(&f, "0123456789abcdef");
	field_draw(&f, &g, grid_whole(&g), style_plain, true);
	CHECK_STR(grid_at(&g, 0, 6)->glyph, "f");
	CHECK_INT(g.cursor_col, 7);
	field_act(&f, ACTION_EDIT_HOME);
	field_draw(&f, &g, grid_whole(&g), style_plain, true);
	CHECK_STR(grid_at(&g, 0, 0)->glyph, "0");
	CHECK_INT(g.cursor_col, 0);
	grid_free(&g);
	field_free(&f);
}

TEST(field, many_lines_wrap_and_scroll)
{
	struct field f = {.many_lines = true};
	struct grid g = {0};
	grid_resize(&g, 2, 4);
	field_set(&f, "abcdef\nx");
	field_draw(&f, &g, grid_whole(&g), style_plain, true); /* abcd|ef|x : the last two are seen */
	CHECK_STR(grid_at(&g, 0, 0)->glyph, "e");
	CHECK_STR(grid_at(&g, 1, 0)->glyph, "x");
	CHECK_INT(g.cursor_row, 1);
	CHECK_INT(g.cursor_col, 1);
	field_type(&f, '\n');
	CHECK_STR(f.text, "abcdef\nx\n");
	grid_free(&g);
	field_free(&f);
}

TEST(field, completes_names_of_files)
{
	struct field f = {0};
	char list[200], folder[512];
	bool grew;
	snprintf(folder, sizeof folder, "%s", test_scratch("complete"));
	mkdir(folder, 0700);
	static const char *const name[] = {"alpha.kvg", "alphabet.txt", "beta"};
	for (int i = 0; i < 3; i++) {
		char path[600];
		snprintf(path, sizeof path, "%s/%s", folder, name[i]);
		if (i == 2)
			mkdir(path, 0700);
		else
			close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	char begin[600], want[640];
	snprintf(begin, sizeof begin, "%s/al", folder);
	field_set(&f, begin);
	CHECK_INT(field_complete(&f, &grew, list, sizeof list), 2);
	CHECK(grew);
	CHECK_STR(list, "alpha.kvg  alphabet.txt");
	snprintf(want, sizeof want, "%s/alpha", folder);
	CHECK_STR(f.text, want);
	CHECK_INT(field_complete(&f, &grew, list, sizeof list), 2);
	CHECK(!grew);
	type(&f, "b");
	CHECK_INT(field_complete(&f, &grew, list, sizeof list), 1);
	snprintf(want, sizeof want, "%s/alphabet.txt", folder);
	CHECK_STR(f.text, want);
	snprintf(begin, sizeof begin, "%s/b", folder);
	field_set(&f, begin);
	field_complete(&f, &grew, list, sizeof list);
	snprintf(want, sizeof want, "%s/beta/", folder); /* a folder invites to go on */
	CHECK_STR(f.text, want);
	CHECK_INT(field_complete(&f, &grew, list, sizeof list), 0);
	field_set(&f, "/no/such/folder/x");
	CHECK_INT(field_complete(&f, &grew, list, sizeof list), 0);
	field_free(&f);
}
