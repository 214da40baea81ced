#include "tui/draw/colour.h"
#include "tests/support/test.h"

TEST(colour, order_is_flag_then_no_color_then_guess)
{
	struct colour_world w = {.term = "xterm-256color", .terminfo_colors = 256};
	CHECK_INT(colour_depth(&w), DEPTH_256);
	w.colorterm = "truecolor";
	CHECK_INT(colour_depth(&w), DEPTH_RGB);
	w.no_color = "1";
	CHECK_INT(colour_depth(&w), DEPTH_MONO);
	w.no_color = ""; /* empty means unset, says no-color.org */
	CHECK_INT(colour_depth(&w), DEPTH_RGB);
	w.no_color = "1";
	w.flag = "auto";
	CHECK_INT(colour_depth(&w), DEPTH_MONO);
	w.flag = "16";
	CHECK_INT(colour_depth(&w), DEPTH_16);
	w.flag = "24bit";
	CHECK_INT(colour_depth(&w), DEPTH_RGB);
}

TEST(colour, guesses)
{
	struct colour_world w = {.term = "xterm", .terminfo_colors = 8};
	CHECK_INT(colour_depth(&w), DEPTH_16); /* a bare xterm has not said that it can do more */
	w = (struct colour_world){.term = "vt100", .terminfo_colors = -1, .colorterm = "truecolor"};
	CHECK_INT(colour_depth(&w), DEPTH_MONO);
	w = (struct colour_world){.term = "linux", .terminfo_colors = 8, .colorterm = "truecolor"};
	CHECK_INT(colour_depth(&w), DEPTH_16);
	w = (struct colour_world){.term = "xterm-16color", .terminfo_colors = 16, .colorterm = "truecolor"};
	CHECK_INT(colour_depth(&w), DEPTH_16);
	w.term = "xterm"; /* what many terminals of 24 bits call themselves */
	CHECK_INT(colour_depth(&w), DEPTH_RGB);
	w = (struct colour_world){.term = "screen-256color", .terminfo_colors = 256, .colorterm = "truecolor"};
	CHECK_INT(colour_depth(&w), DEPTH_256); /* GNU screen */
	w.tmux = "/tmp/tmux-0/default,1,0";
	CHECK_INT(colour_depth(&w), DEPTH_RGB);
	w = (struct colour_world){.term = "xterm-direct", .terminfo_colors = 1 << 24};
	CHECK_INT(colour_depth(&w), DEPTH_RGB);
	w = (struct colour_world){.term = "foot", .terminfo_colors = 256, .colorterm = "yes"};
	CHECK_INT(colour_depth(&w), DEPTH_256);
}

TEST(colour, direct_entries_begin_with_the_nearest_relative)
{
	struct colour_entries e;
	colour_direct_entries("alacritty", NULL, &e);
	CHECK_STR(e.name[0], "alacritty-direct");
	CHECK_STR(e.name[1], "xterm-direct");
	colour_direct_entries("xterm-256color", "/tmp/tmux", &e);
	CHECK_STR(e.name[0], "tmux-direct");
	colour_direct_entries(NULL, NULL, &e);
	CHECK_INT(e.n, 1);
}

TEST(colour, background)
{
	CHECK(!colour_background_is_light(NULL, NULL));
	CHECK(colour_background_is_light("auto", "0;15"));
	CHECK(colour_background_is_light(NULL, "0;default;7"));
	CHECK(!colour_background_is_light(NULL, "15;0"));
	CHECK(!colour_background_is_light(NULL, "0;8"));
	CHECK(!colour_background_is_light(NULL, "nonsense;"));
	CHECK(!colour_background_is_light("dark", "0;15"));
	CHECK(colour_background_is_light("light", "15;0"));
}

TEST(colour, palette_entries_are_their_own_nearest)
{
	for (int i = 16; i < 256; i++)
		CHECK(colour_of_256(colour_nearest_256(colour_of_256(i))) == colour_of_256(i));
	CHECK_INT(colour_nearest_256(0x000000), 16);
	CHECK_INT(colour_nearest_256(0xffffff), 231);
	CHECK_INT(colour_nearest_256(0x808080), 244);
}
