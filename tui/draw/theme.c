#include "tui/draw/theme.h"

#include <math.h>
#include <string.h>

enum { NONE = -1 }; /* the terminal's own colour */

struct look { /* colours are 0xRRGGBB, of 16: palette entries */
	int dark_fg, dark_bg, light_fg, light_bg;
	int ansi_dark_fg, ansi_dark_bg, ansi_light_fg, ansi_light_bg;
	uint32_t attr, mono_attr;
};

/* Greys keep a contrast of 4.5 and more on black or white; hues are those of Okabe and Ito, which everybody can
 * tell apart. */
static const struct look table[N_ROLE] = {
	[ROLE_PLAIN] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0, 0},
	[ROLE_DIM] = {0x8a8f98, NONE, 0x6a6f78, NONE, 8, NONE, 8, NONE, 0, ATTR_DIM},
	[ROLE_STRONG] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, ATTR_BOLD, ATTR_BOLD},
	[ROLE_BAR] = {0xc3c8d0, 0x2a2f38, 0x3a3f48, 0xdfe3e8, 7, 0, 0, 7, 0, ATTR_REVERSE},
	[ROLE_BAR_STRONG] = {0xffffff, 0x2a2f38, 0x000000, 0xdfe3e8, 15, 0, 0, 7, ATTR_BOLD, ATTR_REVERSE | ATTR_BOLD},
	[ROLE_LABEL] = {0x8a8f98, NONE, 0x6a6f78, NONE, 8, NONE, 8, NONE, 0, 0},
	[ROLE_LABEL_HERE] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, ATTR_BOLD, ATTR_BOLD},
	[ROLE_PANE] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0, 0},
	[ROLE_PANE_FOCUS] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, ATTR_BOLD | ATTR_UNDERLINE,
		ATTR_BOLD | ATTR_UNDERLINE},
	[ROLE_LOW] = {0xe69f00, NONE, 0xa34700, NONE, 3, NONE, 1, NONE, 0, 0},
	[ROLE_MIDDLE] = {0xc3c8d0, NONE, 0x3a3f48, NONE, 7, NONE, 0, NONE, 0, 0},
	[ROLE_HIGH] = {0x56b4e9, NONE, 0x005a96, NONE, 6, NONE, 4, NONE, 0, 0},
	[ROLE_WASTED] = {0xcc79a7, NONE, 0x9b3d73, NONE, 5, NONE, 5, NONE, 0, 0},
	[ROLE_PROTECTED] = {0x8a8f98, NONE, 0x6a6f78, NONE, 8, NONE, 8, NONE, 0, ATTR_DIM},
	[ROLE_CURSOR] = {0x000000, 0xffffff, 0xffffff, 0x000000, NONE, NONE, NONE, NONE, ATTR_BOLD,
		ATTR_REVERSE | ATTR_BOLD},
	[ROLE_ALWAYS] = {0x8a8f98, NONE, 0x6a6f78, NONE, 8, NONE, 8, NONE, ATTR_UNDERLINE, ATTR_UNDERLINE},
	[ROLE_KEPT] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, ATTR_BOLD | ATTR_UNDERLINE,
		ATTR_BOLD | ATTR_UNDERLINE},
	[ROLE_SOME] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0, 0},
	[ROLE_EVICTED] = {0x7d828b, NONE, 0x777c85, NONE, 8, NONE, 8, NONE, 0, ATTR_DIM},
	[ROLE_TEMPLATE] = {0x8f7fb8, NONE, 0x6b5799, NONE, 5, NONE, 5, NONE, ATTR_ITALIC, 0},
	[ROLE_RESPONSE] = {0x9ad0b0, NONE, 0x1f6b45, NONE, 2, NONE, 2, NONE, 0, 0},
	[ROLE_RULE] = {0x565b64, NONE, 0xa6abb4, NONE, 8, NONE, 7, NONE, 0, ATTR_DIM},
	[ROLE_MARK] = {0xe69f00, NONE, 0xa34700, NONE, 3, NONE, 1, NONE, 0, 0},
	[ROLE_FOUND] = {0x000000, 0xf0c75e, 0x000000, 0xffd866, 0, 3, 0, 3, 0, ATTR_REVERSE},
	[ROLE_SPAN] = {0xffffff, 0x7a4f9e, 0x000000, 0xd9c2ee, 15, 5, 15, 5, ATTR_ITALIC, ATTR_ITALIC},
	[ROLE_FIELD] = {NONE, 0x22262d, NONE, 0xeceff3, NONE, NONE, NONE, NONE, 0, ATTR_UNDERLINE},
	[ROLE_FIELD_FOCUS] = {NONE, 0x363c47, NONE, 0xd5dbe3, NONE, NONE, NONE, NONE, ATTR_BOLD,
		ATTR_BOLD | ATTR_UNDERLINE},
	[ROLE_DONE] = {0x000000, 0x56b4e9, 0xffffff, 0x005a96, 0, 6, 15, 4, 0, ATTR_REVERSE},
	[ROLE_GOOD] = {0x4fc79a, NONE, 0x00694a, NONE, 2, NONE, 2, NONE, 0, 0},
	[ROLE_WARN] = {0xf0c75e, NONE, 0x8a5a00, NONE, 3, NONE, 1, NONE, 0, ATTR_BOLD},
	[ROLE_ERROR] = {0xff7b6b, NONE, 0xb3261e, NONE, 9, NONE, 1, NONE, ATTR_BOLD, ATTR_BOLD | ATTR_REVERSE},
};

static uint32_t quantise(const struct theme *t, uint32_t rgb)
{
	return t->depth == DEPTH_RGB ? rgb : COLOUR_PALETTE | (uint32_t)colour_nearest_256(rgb);
}

static uint32_t pick(const struct theme *t, int rgb, int ansi)
{
	int value = t->depth == DEPTH_16 ? ansi : rgb;
	if (value == NONE)
		return COLOUR_DEFAULT;
	return t->depth == DEPTH_16 ? COLOUR_PALETTE | (uint32_t)ansi : quantise(t, (uint32_t)rgb);
}

struct style theme_style(const struct theme *t, enum role role)
{
	const struct look *l = &table[role];
	if (t->depth == DEPTH_MONO)
		return (struct style){COLOUR_DEFAULT, COLOUR_DEFAULT, l->mono_attr};
	struct style s = {
		.fg = t->light ? pick(t, l->light_fg, l->ansi_light_fg) : pick(t, l->dark_fg, l->ansi_dark_fg),
		.bg = t->light ? pick(t, l->light_bg, l->ansi_light_bg) : pick(t, l->dark_bg, l->ansi_dark_bg),
		.attr = l->attr,
	};
	bool lost = t->depth == DEPTH_16 && s.fg == COLOUR_DEFAULT && s.bg == COLOUR_DEFAULT;
	if (lost) /* sixteen colours have no fine greys: say it as without colours */
		s.attr |= l->mono_attr;
	return s;
}

struct style theme_line(const struct theme *t, int i)
{
	/* hues of Okabe and Ito, darker on light backgrounds; the ones that lie farthest apart first */
	static const int hue[][4] = { /* dark, light, of 16: dark, light */
		{0xe69f00, 0xa34700, 3, 1}, {0x56b4e9, 0x005a96, 6, 4}, {0x8a8f98, 0x6a6f78, 8, 8}, {0xcc79a7, 0x9b3d73, 5, 5},
		{0x4fc79a, 0x00694a, 2, 2}, {0xf0e442, 0x7a6a00, 11, 3}, {0xff7b6b, 0xb3261e, 9, 9}, {0xd0d4da, 0x3a3f48, 7, 0},
		{0x8f96ff, 0x4a4fc4, 12, 12}, {0xb98a5e, 0x7a4a1f, 1, 6},
	};
	const int *h = hue[i % (int)(sizeof hue / sizeof *hue)];
	if (t->depth == DEPTH_MONO)
		return style_plain;
	return (struct style){t->light ? pick(t, h[1], h[3]) : pick(t, h[0], h[2]), COLOUR_DEFAULT, 0};
}

bool theme_half_blocks(const struct theme *t)
{
	return t->utf8 && t->depth != DEPTH_MONO;
}

/* Viridis among the 256: the nearest entries step back in lightness and jump in hue, these rise. */
static const uint8_t viridis_256[] = {53, 54, 55, 24, 30, 36, 78, 113, 149, 184, 226};
/* Sixteen colours are the user's own, but these keep their order of lightness in every palette seen, and exist
 * among eight too. */
static const uint8_t ansi_ramp[] = {0, 4, 2, 6, 3, 7};
static const uint8_t ansi_diverging[] = {4, 6, 0, 3, 1};
enum { N_STEP = 64 }; /* levels told apart: enough for the eye, few enough for a terminal's table of colour pairs */

static int step_of(float level, int n)
{
	int step = (int)(level * (float)n);
	return step < 0 ? 0 : step >= n ? n - 1 : step;
}

/* The background a level has, and as RGB for contrast; palette entries below 16 have none that is known. */
static uint32_t level_colour(const struct theme *t, enum ramp_colour ramp, float level)
{
	if (isnan(level) || t->depth == DEPTH_MONO)
		return COLOUR_DEFAULT;
	if (t->depth == DEPTH_16 && ramp == RAMP_DIVERGING)
		return COLOUR_PALETTE | ansi_diverging[step_of(level, sizeof ansi_diverging)];
	if (t->depth == DEPTH_16)
		return COLOUR_PALETTE | ansi_ramp[step_of(level, sizeof ansi_ramp)];
	if (t->depth == DEPTH_256 && ramp == RAMP_VIRIDIS)
		return COLOUR_PALETTE | viridis_256[step_of(level, sizeof viridis_256)];
	return quantise(t, ramp_rgb(ramp, (float)step_of(level, N_STEP) / (N_STEP - 1)));
}

static bool wants_black(const struct theme *t, enum ramp_colour ramp, float level)
{
	uint32_t colour = level_colour(t, ramp, level);
	uint8_t entry = colour & 0xff;
	if (t->depth == DEPTH_16)
		return entry == 2 || entry == 3 || entry == 6 || entry == 7;
	return ramp_wants_black(colour & COLOUR_PALETTE ? colour_of_256(entry) : colour);
}

struct style theme_on_level(const struct theme *t, enum ramp_colour ramp, float level, struct style base)
{
	if (isnan(level) || t->depth == DEPTH_MONO)
		return base;
	bool black = wants_black(t, ramp, level);
	base.bg = level_colour(t, ramp, level);
	base.fg = t->depth == DEPTH_16 ? COLOUR_PALETTE | (black ? 0u : 7u) : quantise(t, black ? 0x000000 : 0xffffff);
	return base;
}

static char level_glyph(enum ramp_colour ramp, float level)
{
	static const char rising[] = ".-:=+*#%@", signed_[] = "=-.+#";
	if (isnan(level))
		return ' ';
	if (ramp == RAMP_DIVERGING)
		return signed_[step_of(level, sizeof signed_ - 1)];
	return rising[step_of(level, sizeof rising - 1)];
}

struct style theme_cell(const struct theme *t, enum ramp_colour ramp, float level, char *glyph)
{
	char g = level_glyph(ramp, level);
	if (theme_half_blocks(t))
		g = ' ';
	if (g == '.' && t->utf8)
		strcpy(glyph, "\xc2\xb7");
	else
		memcpy(glyph, (char[2]){g, '\0'}, 2);
	return theme_on_level(t, ramp, level, style_plain);
}

struct style theme_half_cell(const struct theme *t, enum ramp_colour ramp, float top, float bottom, char *glyph)
{
	uint32_t above = level_colour(t, ramp, top), below = level_colour(t, ramp, bottom);
	bool upper = above != COLOUR_DEFAULT;
	if (above == below) {
		strcpy(glyph, " ");
		return (struct style){COLOUR_DEFAULT, below, 0};
	}
	/* the upper half's colour is the foreground, or the lower's when only it has one */
	strcpy(glyph, upper ? "\xe2\x96\x80" : "\xe2\x96\x84");
	return upper ? (struct style){above, below, 0} : (struct style){below, above, 0};
}

void theme_mark_half(const struct theme *t, struct cell *cell, bool bottom)
{
	struct style cursor = theme_style(t, ROLE_CURSOR);
	uint32_t mark = cursor.bg == COLOUR_DEFAULT ? COLOUR_PALETTE | (t->light ? 0u : 15u) : cursor.bg;
	bool blank = cell->glyph[0] == ' ', upper = !strcmp(cell->glyph, "\xe2\x96\x80");
	uint32_t above = blank ? cell->style.bg : upper ? cell->style.fg : cell->style.bg;
	uint32_t below = blank ? cell->style.bg : upper ? cell->style.bg : cell->style.fg;
	strcpy(cell->glyph, bottom ? "\xe2\x96\x84" : "\xe2\x96\x80");
	cell->style = (struct style){mark, bottom ? above : below, 0};
}
