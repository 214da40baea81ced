#include "tui/draw/theme.h"
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

static double lightness(uint32_t rgb)
{
	double sum = 0;
	static const double weight[] = {0.2126, 0.7152, 0.0722};
	for (int i = 0; i < 3; i++)
		sum += weight[i] * pow((rgb >> (16 - 8 * i) & 255) / 255.0, 2.2);
	return sum;
}

static double contrast(uint32_t a, uint32_t b)
{
	double x = lightness(a), y = lightness(b);
	return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

TEST(theme, screen_and_figures_share_their_ramp)
{
	struct theme t = {.depth = DEPTH_RGB, .utf8 = true};
	char glyph[8];
	for (int i = 0; i <= 100; i++) {
		struct style s = theme_cell(&t, RAMP_VIRIDIS, (float)i / 100, glyph);
		uint32_t figure = ramp_rgb(RAMP_VIRIDIS, (float)i / 100);
		CHECK(fabs(lightness(s.bg) - lightness(figure)) < 0.03);
	}
	CHECK(theme_cell(&t, RAMP_VIRIDIS, 0, glyph).bg == ramp_rgb(RAMP_VIRIDIS, 0));
	CHECK(theme_cell(&t, RAMP_VIRIDIS, 1, glyph).bg == ramp_rgb(RAMP_VIRIDIS, 1));
}

TEST(theme, lightness_rises_with_the_level_among_256_colours)
{
	struct theme t = {.depth = DEPTH_256, .utf8 = true};
	char glyph[8];
	double last = -1;
	for (int i = 0; i <= 100; i++) {
		struct style s = theme_cell(&t, RAMP_VIRIDIS, (float)i / 100, glyph);
		CHECK(s.bg & COLOUR_PALETTE);
		double l = lightness(colour_of_256((int)(s.bg & 0xff)));
		CHECK(l >= last);
		last = l;
	}
}

TEST(theme, glyphs_rise_without_colour)
{
	struct theme t = {.depth = DEPTH_MONO, .utf8 = true};
	char glyph[8];
	CHECK(!theme_half_blocks(&t));
	theme_cell(&t, RAMP_VIRIDIS, 0, glyph);
	CHECK_STR(glyph, "\xc2\xb7");
	theme_cell(&t, RAMP_VIRIDIS, 1, glyph);
	CHECK_STR(glyph, "@");
	struct style s = theme_cell(&t, RAMP_VIRIDIS, NAN, glyph);
	CHECK_STR(glyph, " ");
	CHECK(s.bg == COLOUR_DEFAULT && s.fg == COLOUR_DEFAULT);
	t.utf8 = false;
	theme_cell(&t, RAMP_VIRIDIS, 0, glyph);
	CHECK_STR(glyph, ".");
	theme_cell(&t, RAMP_DIVERGING, 0, glyph);
	CHECK_STR(glyph, "=");
	theme_cell(&t, RAMP_DIVERGING, 1, glyph);
	CHECK_STR(glyph, "#");
}

TEST(theme, half_blocks_hold_two_levels)
{
	struct theme t = {.depth = DEPTH_RGB, .utf8 = true};
	char glyph[8];
	struct style s = theme_half_cell(&t, RAMP_VIRIDIS, 1, 0, glyph);
	CHECK_STR(glyph, "\xe2\x96\x80");
	CHECK(s.fg == ramp_rgb(RAMP_VIRIDIS, 1) && s.bg == ramp_rgb(RAMP_VIRIDIS, 0));
	s = theme_half_cell(&t, RAMP_VIRIDIS, NAN, 1, glyph);
	CHECK_STR(glyph, "\xe2\x96\x84");
	CHECK(s.fg == ramp_rgb(RAMP_VIRIDIS, 1) && s.bg == COLOUR_DEFAULT);
	s = theme_half_cell(&t, RAMP_VIRIDIS, 0.5f, 0.5f, glyph);
	CHECK_STR(glyph, " ");
	struct cell cell = {.style = s, .width = 1};
	strcpy(cell.glyph, glyph);
	uint32_t level = s.bg;
	theme_mark_half(&t, &cell, true);
	CHECK_STR(cell.glyph, "\xe2\x96\x84");
	CHECK(cell.style.bg == level && cell.style.fg != level); /* the other row's colour is kept */
}

TEST(theme, text_on_a_level_can_be_read)
{
	struct theme t = {.depth = DEPTH_RGB, .utf8 = true};
	for (int depth = DEPTH_256; depth <= DEPTH_RGB; depth++) {
		t.depth = (enum depth)depth;
		for (int i = 0; i <= 100; i++) {
			struct style s = theme_on_level(&t, RAMP_VIRIDIS, (float)i / 100, style_plain);
			uint32_t fg = s.fg & COLOUR_PALETTE ? colour_of_256((int)(s.fg & 0xff)) : s.fg;
			uint32_t bg = s.bg & COLOUR_PALETTE ? colour_of_256((int)(s.bg & 0xff)) : s.bg;
			CHECK(contrast(fg, bg) >= 4.0);
		}
	}
}

/* Nothing is said by colour alone: what must be told apart differs in attributes too when there are none. */
TEST(theme, roles_differ_without_colour)
{
	struct theme t = {.depth = DEPTH_MONO};
	static const enum role apart[][2] = {{ROLE_KEPT, ROLE_EVICTED}, {ROLE_KEPT, ROLE_SOME},
		{ROLE_SOME, ROLE_EVICTED}, {ROLE_ALWAYS, ROLE_EVICTED}, {ROLE_ALWAYS, ROLE_KEPT},
		{ROLE_CURSOR, ROLE_KEPT}, {ROLE_PANE, ROLE_PANE_FOCUS}, {ROLE_FIELD, ROLE_FIELD_FOCUS},
		{ROLE_LABEL, ROLE_LABEL_HERE}};
	for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
		CHECK(theme_style(&t, apart[i][0]).attr != theme_style(&t, apart[i][1]).attr);
	for (int role = 0; role < N_ROLE; role++) {
		struct style s = theme_style(&t, (enum role)role);
		CHECK(s.fg == COLOUR_DEFAULT && s.bg == COLOUR_DEFAULT);
	}
	t.depth = DEPTH_16;
	for (int role = 0; role < N_ROLE; role++) {
		struct style s = theme_style(&t, (enum role)role);
		CHECK(s.fg == COLOUR_DEFAULT || (s.fg & COLOUR_PALETTE && (s.fg & 0xff) < 16));
	}
}

TEST(theme, greys_can_be_read_on_their_background)
{
	static const enum role text[] = {ROLE_DIM, ROLE_LABEL, ROLE_LOW, ROLE_MIDDLE, ROLE_HIGH, ROLE_PROTECTED,
		ROLE_TEMPLATE,
		ROLE_RESPONSE, ROLE_MARK, ROLE_GOOD, ROLE_WARN, ROLE_ERROR, ROLE_BAR, ROLE_BAR_STRONG};
	for (int light = 0; light < 2; light++) {
		struct theme t = {.depth = DEPTH_RGB, .light = light};
		for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
			struct style s = theme_style(&t, text[i]);
			uint32_t fg = s.fg == COLOUR_DEFAULT ? (light ? 0x000000 : 0xffffff) : s.fg;
			uint32_t bg = s.bg == COLOUR_DEFAULT ? (light ? 0xffffff : 0x000000) : s.bg;
			if (!(contrast(fg, bg) >= 4.5))
				test_fail(__FILE__, __LINE__, "role %d on a %s background: contrast %.1f", (int)text[i],
					light ? "light" : "dark",
					contrast(fg, bg));
		}
	}
}
