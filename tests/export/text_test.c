/* Shaping and measuring; what an engine takes, it gives back. */
#include "export/draw/text.h"

#include <malloc.h>
#include <string.h>
#include <time.h>

#include "tests/support/test.h"

TEST(text, characters_without_a_font_are_counted_once)
{
	/* two unassigned planes' characters, which no font can have, and one that every font has */
	const char *text = "a\xf1\x90\x80\x81 \xf1\x90\x80\x81 \xf1\x90\x80\x82";
	struct text_engine *t;
	struct text_block *b;
	uint32_t first = 0;
	struct err e;
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(text_engine_missing(t, &first), 0);
	struct text_request r = {.utf8 = text, .n_bytes = strlen(text), .style = {.size = 9}};
	for (int i = 0; i < 2; i++) {
		CHECK_INT(text_block_make(&b, t, &r, &e), 0);
		text_block_free(b);
	}
	CHECK_INT(text_engine_missing(t, &first), 2);
	CHECK_INT(first, 0x50001);
	text_engine_close(t);
}

TEST(text, engines_do_not_add_up)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	test_skip(
		"mallinfo2 says nothing under this sanitizer"); /* whose leak check has fontconfig on its list of exceptions */
#else
	/* Pango asks fontconfig from a thread of its own, which may give an engine or two back later: a set of fonts is 240 kB
	 * here, so that 16 engines that stayed would be 3.8 MB. */
	const size_t few = 1500000;
	size_t before = 0;
	for (int i = 0; i < 20; i++) {
		struct text_engine *t;
		struct err e;
		CHECK_INT(text_engine_open(&t, &e), 0);
		CHECK(text_width(t, &(struct text_style){.size = 8}, "lift \xe6\xb5\xb7 \xe2\x96\xbe") > 20);
		text_engine_close(t);
		before = i == 3 ? mallinfo2().uordblks : before;
	}
	bool gone = false;
	for (int wait = 0; wait < 100 && !gone; wait++) { /* that thread needs its turn, on a busy machine after a while */
		gone = mallinfo2().uordblks < before + few;
		if (!gone)
			nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	CHECK(gone);
#endif
}

/* Word by word, then the whole: the runs of a mixed line cover it and know their direction. */
TEST(text, runs_tell_directions)
{
	static const char words[] = "ab \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xd8\xa7\xd9\x84 cd";
	struct text_engine *t;
	struct text_block *b;
	struct text_run run[8];
	struct err e;
	const struct text_request r = {.utf8 = words, .n_bytes = strlen(words), .style = {.size = 8}};
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(text_block_make(&b, t, &r, &e), 0);
	CHECK_INT(text_block_runs(b, 0, run, 8), 3);
	CHECK(run[0].first == 0 && run[0].last == 3 && !run[0].right_to_left);
	CHECK(run[1].last == 16 && run[1].right_to_left); /* Hebrew and Arabic together */
	CHECK(run[2].last == strlen(words) && !run[2].right_to_left);
	struct text_range range;
	CHECK_INT(text_block_ranges(b, 0, run[1].first, run[1].last, &range, 1), 1); /* one range, not one a script */
	CHECK_INT(text_block_ranges(b, 0, 0, strlen(words), &range, 1), 1);
	CHECK_NEAR(range.last, text_block_width(b), 0.01);
	text_block_free(b);
	text_engine_close(t);
}

TEST(text, lines_wrap_between_words_and_keep_breaks)
{
	static const char words[] = "The harbour office keeps a careful ledger\nof every boat";
	struct text_engine *t;
	struct text_block *b;
	struct err e;
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(
		text_block_make(&b, t,
			&(struct text_request){.utf8 = words, .n_bytes = strlen(words), .style = {.size = 8}, .wrap = 90}, &e),
		0);
	size_t at = 0;
	bool broken = false;
	for (int i = 0; i < text_block_n_line(b); i++) {
		struct text_line l = text_block_line(b, i);
		CHECK(l.width <= 90.01 && l.first >= at && l.last >= l.first);
		CHECK(i == 0 || words[l.first - 1] == ' ' || words[l.first - 1] == '\n');
		broken |= l.first > 0 && words[l.first - 1] == '\n';
		at = l.last;
	}
	CHECK_INT(at, strlen(words));
	CHECK(broken && text_block_n_line(b) >= 3);
	text_block_free(b);
	text_engine_close(t);
}

/* Hebrew between Latin words: a range over both is two stretches, and they lie where the reader sees them. */
TEST(text, right_to_left_words_have_their_own_ranges)
{
	static const char words[] = "ab \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d cd";
	struct text_engine *t;
	struct text_block *b;
	struct err e;
	struct text_range r[4], first, last;
	CHECK_INT(text_engine_open(&t, &e), 0);
	CHECK_INT(text_block_make(
				  &b, t, &(struct text_request){.utf8 = words, .n_bytes = strlen(words), .style = {.size = 10}}, &e),
		0);
	CHECK_INT(text_block_ranges(b, 0, 3, 5, &first, 1), 1);  /* the first letter stands at the right */
	CHECK_INT(text_block_ranges(b, 0, 9, 11, &last, 1), 1); /* the last at the left */
	CHECK(last.last <= first.first + 0.01);
	CHECK_INT(text_block_ranges(b, 0, 0, 5, r, 4), 2);
	CHECK(!text_block_line(b, 0).right_to_left);
	text_block_free(b);
	text_engine_close(t);
}

/* Shaping knows nothing of pixels: twice the size is twice the width. */
TEST(text, widths_grow_with_the_size_alone)
{
	struct text_engine *t;
	struct err e;
	CHECK_INT(text_engine_open(&t, &e), 0);
	double small = text_width(t, &(struct text_style){.size = 7.2}, "token position 1234");
	double large = text_width(t, &(struct text_style){.size = 14.4}, "token position 1234");
	CHECK_NEAR(large / small, 2, 0.003); /* Pango counts in 1/1024 point, 19 glyphs */
	text_engine_close(t);
}
