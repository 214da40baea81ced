#include "tui/draw/colour.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool starts(const char *s, const char *prefix)
{
	return s && !strncmp(s, prefix, strlen(prefix));
}

static const struct {
	const char *name;
	enum depth depth;
} flag_table[] = {{"mono", DEPTH_MONO}, {"16", DEPTH_16}, {"256", DEPTH_256}, {"24bit", DEPTH_RGB}};

bool colour_flag_known(const char *flag)
{
	for (size_t i = 0; i < sizeof flag_table / sizeof *flag_table; i++)
		if (!strcmp(flag, flag_table[i].name))
			return true;
	return !strcmp(flag, "auto");
}

enum depth colour_depth_of(int n)
{
	return n >= 1 << 24 ? DEPTH_RGB : n >= 256 ? DEPTH_256 : n >= 8 ? DEPTH_16 : DEPTH_MONO;
}

/* "xterm-16color": an entry that is named for its colours was chosen for them, whatever COLORTERM says. */
static bool is_named_for_few(const char *term)
{
	static const char *const endings[] = {"-8color", "-16color", "-88color"};
	size_t n = term ? strlen(term) : 0;
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		if (n >= strlen(endings[i]) && !strcmp(term + n - strlen(endings[i]), endings[i]))
			return true;
	return false;
}

/* GNU screen passes COLORTERM on and swallows the colours; the consoles have sixteen whatever anybody claims. */
static bool cannot_be_direct(const struct colour_world *w)
{
	return is_named_for_few(w->term) || starts(w->term, "linux") || starts(w->term, "vt") || (starts(w->term, "screen") && !w->tmux);
}

enum depth colour_depth(const struct colour_world *w)
{
	if (w->flag)
		for (size_t i = 0; i < sizeof flag_table / sizeof *flag_table; i++)
			if (!strcmp(w->flag, flag_table[i].name))
				return flag_table[i].depth;
	if (w->no_color && *w->no_color)
		return DEPTH_MONO;
	enum depth entry = colour_depth_of(w->terminfo_colors);
	bool says_direct = w->colorterm && (!strcmp(w->colorterm, "truecolor") || !strcmp(w->colorterm, "24bit"));
	if (entry != DEPTH_MONO && says_direct && !cannot_be_direct(w))
		return DEPTH_RGB;
	return entry;
}

static void add_entry(struct colour_entries *out, const char *stem, int n_stem)
{
	if (out->n < (int)(sizeof out->name / sizeof *out->name))
		snprintf(out->name[out->n++], sizeof out->name[0], "%.*s-direct", n_stem, stem);
}

void colour_direct_entries(const char *term, const char *tmux, struct colour_entries *out)
{
	*out = (struct colour_entries){0};
	if (tmux)
		add_entry(out, "tmux", 4);
	else if (term && *term)
		add_entry(out, term, (int)strcspn(term, "-"));
	add_entry(out, "xterm", 5);
}

bool colour_background_is_light(const char *flag, const char *colorfgbg)
{
	if (flag && !strcmp(flag, "light"))
		return true;
	if ((flag && !strcmp(flag, "dark")) || !colorfgbg)
		return false;
	const char *last = strrchr(colorfgbg, ';');
	if (!last || !last[1])
		return false;
	int bg = atoi(last + 1);
	return bg == 7 || (bg >= 9 && bg <= 15);
}

static const int cube_level[6] = {0, 95, 135, 175, 215, 255};

static int cube_step(int x) /* 0 .. 255 to the nearest of 0, 95, 135, 175, 215, 255 */
{
	return x < 48 ? 0 : x < 115 ? 1 : (x - 35) / 40;
}

static int distance(int r, int g, int b, uint32_t rgb)
{
	int dr = r - (int)(rgb >> 16 & 255), dg = g - (int)(rgb >> 8 & 255), db = b - (int)(rgb & 255);
	return 2 * dr * dr + 4 * dg * dg + 3 * db * db; /* the eye's weights, roughly */
}

int colour_nearest_256(uint32_t rgb)
{
	int r = cube_step((int)(rgb >> 16 & 255)), g = cube_step((int)(rgb >> 8 & 255)), b = cube_step((int)(rgb & 255));
	int mean = (int)((rgb >> 16 & 255) + (rgb >> 8 & 255) + (rgb & 255)) / 3;
	int grey = mean < 4 ? 0 : mean > 238 ? 23 : (mean - 3) / 10;
	int shade = 8 + 10 * grey;
	if (distance(shade, shade, shade, rgb) < distance(cube_level[r], cube_level[g], cube_level[b], rgb))
		return 232 + grey;
	return 16 + 36 * r + 6 * g + b;
}

uint32_t colour_of_256(int entry)
{
	if (entry >= 232)
		return (uint32_t)(8 + 10 * (entry - 232)) * 0x010101u;
	entry -= 16;
	return (uint32_t)(cube_level[entry / 36] << 16 | cube_level[entry / 6 % 6] << 8 | cube_level[entry % 6]);
}
