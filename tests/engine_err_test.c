#include "engine/err.h"
#include "tests/support/test.h"

#include <string.h>

TEST(err, control_characters_are_replaced)
{
	struct err e;
	CHECK_INT(err_set(&e, ERR_FORMAT, "a%sb", "\x1b[2J\n"), ERR_FORMAT);
	CHECK_STR(e.text, "a?[2J?b");
}

TEST(err, text_is_utf8_whatever_a_file_called_itself)
{
	struct err e;
	err_set(&e, ERR_FORMAT, "%s", "caf\xc3\xa9 \xff\xc3 \xed\xa0\x80 \xc2\x9b" "2J \xe2\x82\xac");
	CHECK_STR(e.text, "caf\xc3\xa9 ?? ??? ??2J \xe2\x82\xac");
	err_set(&e, ERR_FORMAT, "%s", "half a character at the end: \xe2\x82");
	CHECK_STR(e.text, "half a character at the end: ??");
}

TEST(err, long_text_is_cut_between_characters)
{
	struct err e;
	char text[2 * sizeof e.text + 3];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	for (size_t i = 1; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	err_set(&e, ERR_FORMAT, "%s", text);
	CHECK_INT(strlen(e.text) % 2, 1); /* one x, then whole pairs */
}

TEST(err, prefix_keeps_code)
{
	struct err e;
	err_set(&e, ERR_LIMIT, "too long");
	CHECK_INT(err_prefix(&e, "blk.%d", 3), ERR_LIMIT);
	CHECK_STR(e.text, "blk.3: too long");
}
