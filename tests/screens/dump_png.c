/* dump_png DUMP PNG: a picture of a screen dump (tui/draw/dump.h), for looking at and for README. Not part of the
 * program.
 *
 * Block elements are drawn as rectangles, so cells join as they do in a terminal; everything else is text in a
 * monospaced font.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cairo.h>
#include <pango/pangocairo.h>

#include "tui/draw/glyph.h"

enum { CELL_W = 9, CELL_H = 19, MARGIN = 8 };

struct look {
	uint32_t fg, bg;
	bool bold, dim, underline, reverse, italic;
};

struct page {
	cairo_t *cr;
	PangoLayout *layout;
	uint32_t fg, bg;
};

static const uint32_t ansi[16] = {0x000000, 0xcd3131, 0x0dbc79, 0xe5e510, 0x2472c8, 0xbc3fbc, 0x11a8cd, 0xe5e5e5,
	0x666666, 0xf14c4c, 0x23d18b, 0xf5f543, 0x3b8eea, 0xd670d6, 0x29b8db, 0xffffff};

static uint32_t palette(int n)
{
	static const int step[6] = {0, 95, 135, 175, 215, 255};
	if (n < 16)
		return ansi[n];
	if (n >= 232)
		return (uint32_t)(8 + 10 * (n - 232)) * 0x010101u;
	n -= 16;
	return (uint32_t)(step[n / 36] << 16 | step[n / 6 % 6] << 8 | step[n % 6]);
}

static uint32_t colour(const char *text, uint32_t own)
{
	if (*text == '#')
		return (uint32_t)strtoul(text + 1, NULL, 16);
	return *text == 'p' ? palette(atoi(text + 1)) : own;
}

static struct look look_from(const struct page *p, char *style)
{
	struct look l = {.fg = p->fg, .bg = p->bg};
	char *plus = strchr(style, '+');
	const char *attributes = plus ? plus + 1 : "";
	if (plus)
		*plus = '\0';
	char *slash = strchr(style, '/');
	l.fg = colour(style, p->fg);
	l.bg = slash ? colour(slash + 1, p->bg) : p->bg;
	l.bold = strstr(attributes, "bold");
	l.dim = strstr(attributes, "dim");
	l.underline = strstr(attributes, "underline");
	l.reverse = strstr(attributes, "reverse");
	l.italic = strstr(attributes, "italic");
	return l;
}

static void set_colour(cairo_t *cr, uint32_t rgb, double alpha)
{
	cairo_set_source_rgba(cr, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0, alpha);
}

static void box(cairo_t *cr, uint32_t rgb, double x, double y, double w, double h)
{
	set_colour(cr, rgb, 1);
	cairo_rectangle(cr, x, y, w, h);
	cairo_fill(cr);
}

static void draw_glyph(const struct page *p, const struct glyph *g, const struct look *l, double x, double y)
{
	uint32_t fg = l->reverse ? l->bg : l->fg, bg = l->reverse ? l->fg : l->bg;
	double w = CELL_W * g->width;
	char markup[64];
	box(p->cr, bg, x, y, w, CELL_H);
	if (g->code == 0x2580) {
		box(p->cr, fg, x, y, w, CELL_H / 2.0);
	} else if (g->code >= 0x2581 && g->code <= 0x2588) {
		double h = CELL_H * (g->code - 0x2580) / 8.0;
		box(p->cr, fg, x, y + CELL_H - h, w, h);
	} else if (g->code == 0x2500 || g->code == 0x2502) {
		bool across = g->code == 0x2500;
		box(p->cr, fg, across ? x : x + w / 2, across ? y + CELL_H / 2.0 : y, across ? w : 1, across ? 1 : CELL_H);
	} else if (g->code != ' ') {
		char *escaped = g_markup_escape_text(g->bytes, g->n_bytes);
		snprintf(markup, sizeof markup, "%s%s%s%s%s", l->bold ? "<b>" : "", l->italic ? "<i>" : "", escaped,
			l->italic ? "</i>" : "",
			l->bold ? "</b>" : "");
		g_free(escaped);
		set_colour(p->cr, fg, l->dim ? 0.55 : 1);
		cairo_move_to(p->cr, x, y + 1);
		pango_layout_set_markup(p->layout, markup, -1);
		pango_cairo_show_layout(p->cr, p->layout);
	}
	if (l->underline)
		box(p->cr, fg, x, y + CELL_H - 2, w, 1);
}

static void draw_row(const struct page *p, const char *glyphs, char *runs, int row)
{
	int col = 0, left = 0;
	struct look look = {0};
	char *save, *run = strtok_r(runs, " \n", &save);
	for (const char *at = glyphs; *at;) {
		struct glyph g;
		at += glyph_next(at, strlen(at), &g);
		for (; left <= 0 && run; run = strtok_r(NULL, " \n", &save)) {
			char *style = strchr(run, ':');
			left = atoi(run);
			look = look_from(p, style + 1);
		}
		draw_glyph(p, &g, &look, MARGIN + col * CELL_W, MARGIN + row * CELL_H);
		col += g.width;
		left -= g.width;
	}
}

int main(int argc, char **argv)
{
	char *line = NULL, *runs = NULL;
	size_t n_line = 0, n_runs = 0;
	int rows, cols;
	FILE *in = argc == 3 ? fopen(argv[1], "r") : NULL;
	if (!in || getline(&line, &n_line, in) < 0 || sscanf(line, "kvglass screen %d x %d", &rows, &cols) != 2) {
		fprintf(stderr, "usage: dump_png DUMP PNG\n");
		return 2;
	}
	bool light = strstr(line, "light");
	cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, cols * CELL_W + 2 * MARGIN,
		rows * CELL_H + 2 * MARGIN);
	struct page p = {.cr = cairo_create(s), .fg = light ? 0x1a1a1a : 0xd8dce2, .bg = light ? 0xffffff : 0x14171c};
	p.layout = pango_cairo_create_layout(p.cr);
	PangoFontDescription *font = pango_font_description_from_string("DejaVu Sans Mono");
	pango_font_description_set_absolute_size(font, 15 * PANGO_SCALE);
	pango_layout_set_font_description(p.layout, font);
	set_colour(p.cr, p.bg, 1);
	cairo_paint(p.cr);
	for (int row = 0; row < rows && getline(&line, &n_line, in) > 0 && getline(&runs, &n_runs, in) > 0; row++) {
		char *begin = strchr(line, '|'), *end = strrchr(line, '|');
		if (!begin || end == begin)
			continue;
		*end = '\0';
		draw_row(&p, begin + 1, runs, row);
	}
	int failed = cairo_surface_write_to_png(s, argv[2]) != CAIRO_STATUS_SUCCESS;
	pango_font_description_free(font);
	g_object_unref(p.layout);
	cairo_destroy(p.cr);
	cairo_surface_destroy(s);
	free(line);
	free(runs);
	fclose(in);
	return failed;
}
