#include "export/plot/look.h"

#include <string.h>

#define MARKER 2.3 /* half width */

static const struct plot_look looks[] = {
	{"truth", 0x000000, 1.2, {0}, 0, MARK_NONE},
	{"lookahead", 0xd55e00, 1.4, {0}, 0, MARK_CIRCLE},
	{"snapkv", 0x0072b2, 1.3, {5, 1.8}, 2, MARK_SQUARE},
	{"untrained", 0xb2558b, 1.0, {4, 1.5, 1, 1.5}, 4, MARK_UP},
	{"recency", 0x666666, 1.0, {2.2, 1.6}, 2, MARK_DOWN},
	{"keynorm", 0x007a5a, 1.0, {7, 1.8, 1, 1.8}, 4, MARK_DIAMOND},
	{"h2o", 0xc47f00, 1.0, {8, 2.5}, 2, MARK_CROSS},
	{"observed", 0x8a6d00, 1.0, {3, 3}, 2, MARK_PLUS},
	{"tova", 0x3a8fc4, 1.0, {2, 2, 5, 2}, 4, MARK_CROSS},
	{"random", 0x999999, 0.8, {1, 1.2}, 2, MARK_PLUS},
	{"ceiling", 0x000000, 0.9, {1, 1.4}, 2, MARK_NONE},
	{"chance", 0x999999, 0.8, {0.6, 2}, 2, MARK_NONE},
};
/* For methods the table does not name, in turn. */
static const struct plot_look others[] = {
	{"", 0x8c564b, 1.0, {6, 1.5, 2, 1.5}, 4, MARK_UP},
	{"", 0x4b4b8c, 1.0, {3, 1.2}, 2, MARK_DIAMOND},
	{"", 0x6b8e23, 1.0, {1.5, 1.5, 4, 1.5}, 4, MARK_SQUARE},
	{"", 0x8b3a62, 1.0, {9, 2}, 2, MARK_DOWN},
};

const struct plot_look *plot_look_of(const char *method)
{
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
		if (!strcmp(looks[i].name, method))
			return &looks[i];
	return NULL;
}

const struct plot_look *plot_look_other(int i)
{
	return &others[i % (int)(sizeof others / sizeof *others)];
}

struct stroke plot_look_stroke(const struct plot_look *look)
{
	struct stroke s = {.width = look->width, .rgb = look->rgb, .n_dash = look->n_dash};
	memcpy(s.dash, look->dash, sizeof s.dash);
	return s;
}

void plot_marker(struct canvas *canvas, enum plot_mark marker, struct point at, uint32_t rgb)
{
	static const struct {
		int n;
		struct point p[8];
	} shape[] = {
		[MARK_CIRCLE] = {8,
			{{1, 0}, {0.71, 0.71}, {0, 1}, {-0.71, 0.71}, {-1, 0}, {-0.71, -0.71}, {0, -1}, {0.71, -0.71}}},
		[MARK_SQUARE] = {4, {{-0.85, -0.85}, {0.85, -0.85}, {0.85, 0.85}, {-0.85, 0.85}}},
		[MARK_UP] = {3, {{0, -1.1}, {1, 0.8}, {-1, 0.8}}},
		[MARK_DOWN] = {3, {{0, 1.1}, {1, -0.8}, {-1, -0.8}}},
		[MARK_DIAMOND] = {4, {{0, -1.2}, {0.9, 0}, {0, 1.2}, {-0.9, 0}}},
		[MARK_CROSS] = {4, {{-0.8, -0.8}, {0.8, 0.8}, {-0.8, 0.8}, {0.8, -0.8}}},
		[MARK_PLUS] = {4, {{-1, 0}, {1, 0}, {0, -1}, {0, 1}}},
	};
	if (marker == MARK_NONE)
		return;
	struct point p[8];
	int n = shape[marker].n;
	for (int i = 0; i < n; i++)
		p[i] = (struct point){at.x + MARKER * shape[marker].p[i].x, at.y + MARKER * shape[marker].p[i].y};
	struct stroke line = {.width = 0.9, .rgb = rgb};
	if (marker == MARK_CROSS || marker == MARK_PLUS) {
		canvas_path(canvas, p, 2, &line);
		canvas_path(canvas, p + 2, 2, &line);
	} else {
		canvas_polygon(canvas, p, n, rgb);
	}
}
