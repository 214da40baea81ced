#include "engine/err.h"
#include "tests/support/test.h"

#include <string.h>

TEST(err, control_characters_are_replaced)
{
	struct err e;
	CHECK_INT(err_set(&e, ERR_FORMAT, "a%sb", "\x1b[2J\n"), ERR_FORMAT);
	CHECK_STR(e.text, "a?[2J?b");
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
