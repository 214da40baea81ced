/* Colour bars: what a colour means, in units. */
#include <math.h>

#include "export/plot/plot.h"

#define MAX_TICK 8
#define STEPS 256 /* of the gradient */

struct bar_tick {
	float value, level;
	char text[24];
};

static int make_ticks(const struct colour_bar *bar, struct bar_tick tick[MAX_TICK])
{
	static const struct {
		float value;
		const char *text;
	} fixed[][6] = {
		[RAMP_LIFT] = {{1,
						   "\xe2\x89\xa4"
						   "1\xc3\x97"},
			{3, "3\xc3\x97"}, {10, "10\xc3\x97"}, {30, "30\xc3\x97"},
			{100,
				"\xe2\x89\xa5"
				"100\xc3\x97"}},
		[RAMP_PERCENTILE] = {{0, "0"}, {0.25f, "25"}, {0.5f, "50"}, {0.75f, "75"}, {1, "100 %"}},
		[RAMP_DIFFERENCE] = {{-2,
								 "\xe2\x89\xa4"
								 "1/100"},
			{-1, "1/10"}, {0, "equal"}, {1, "10\xc3\x97"},
			{2,
				"\xe2\x89\xa5"
				"100\xc3\x97"}},
	};
	for (int i = 0; i < bar->n_tick && i < MAX_TICK; i++) {
		tick[i].level = bar->tick[i].level;
		snprintf(tick[i].text, sizeof tick[i].text, "%s", bar->tick[i].text);
	}
	if (bar->tick)
		return bar->n_tick < MAX_TICK ? bar->n_tick : MAX_TICK;
	if (bar->scale == RAMP_RAW) {
		for (int i = 0; i < 3; i++) {
			tick[i].value = bar->max * (float)i / 2;
			tick[i].level = (float)i / 2;
			snprintf(tick[i].text, sizeof tick[i].text, i ? "%.2g" : "0", (double)tick[i].value);
		}
		return 3;
	}
	for (int i = 0; i < 5; i++) {
		tick[i].value = fixed[bar->scale][i].value;
		tick[i].level = ramp_level(bar->scale, tick[i].value, 1);
		snprintf(tick[i].text, sizeof tick[i].text, "%s", fixed[bar->scale][i].text);
	}
	return 5;
}

/* What the bar measures, in the longest words that fit along it. */
static const char *bar_label(struct text_engine *t, const struct colour_bar *bar)
{
	static const char *const text[][3] = {
		[RAMP_LIFT] = {"lift (\xc3\x97 uniform, log)", "lift (log)", "lift"},
		[RAMP_PERCENTILE] = {"rank percentile in the row", "rank percentile", "rank"},
		[RAMP_RAW] = {"mean attention", "attention", "mean"},
		[RAMP_DIFFERENCE] = {"lift relative to truth (log)", "lift ratio (log)", "ratio"},
	};
	double room = bar->upright ? bar->at.h : bar->at.w;
	int i = 0;
	if (bar->label)
		return text_width(t, &plot_label, bar->label) <= room ? bar->label : "";
	while (i < 2 && text_width(t, &plot_label, text[bar->scale][i]) > room)
		i++;
	return text[bar->scale][i];
}

static double widest_tick(struct text_engine *t, const struct colour_bar *bar)
{
	struct bar_tick tick[MAX_TICK];
	int n = make_ticks(bar, tick);
	double width = 0;
	for (int i = 0; i < n; i++)
		width = fmax(width, text_width(t, &plot_tick, tick[i].text));
	return width;
}

double plot_colour_bar_room(struct text_engine *t, const struct colour_bar *bar)
{
	double line = PLOT_LABEL_SIZE * (TEXT_ASCENT + TEXT_DESCENT);
	if (bar->upright)
		return PLOT_TICK + PLOT_GAP + widest_tick(t, bar) + 3 + line;
	return PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE + 3 + line;
}

static void draw_gradient(struct canvas *c, const struct colour_bar *bar)
{
	uint32_t cell[STEPS];
	for (int i = 0; i < STEPS; i++) {
		int level = bar->upright ? STEPS - 1 - i : i;
		cell[i] = ramp_rgb(bar->colour, (float)level / (STEPS - 1));
	}
	canvas_cells(c, bar->at, cell, bar->upright ? 1 : STEPS, bar->upright ? STEPS : 1);
	canvas_frame(c, bar->at, &plot_frame);
}

static void draw_upright(struct canvas *c, struct text_engine *t, const struct colour_bar *bar)
{
	struct bar_tick tick[MAX_TICK];
	int n = make_ticks(bar, tick);
	double right = bar->at.x + bar->at.w, bottom = bar->at.y + bar->at.h;
	for (int i = 0; i < n; i++) {
		double y = bottom - (double)tick[i].level * bar->at.h;
		canvas_line(c, right, y, right + PLOT_TICK, y, &plot_frame);
		struct point at = {right + PLOT_TICK + PLOT_GAP, y + PLOT_TICK_SIZE * TEXT_ASCENT / 2};
		canvas_text(c, t, &plot_tick, at, ALIGN_LEFT, TURN_NONE, tick[i].text);
	}
	double x = right + PLOT_TICK + PLOT_GAP + widest_tick(t, bar) + 3 + PLOT_LABEL_SIZE * TEXT_ASCENT;
	canvas_text(
		c, t, &plot_label, (struct point){x, bar->at.y + bar->at.h / 2}, ALIGN_CENTRE, TURN_LEFT, bar_label(t, bar));
}

static void draw_flat(struct canvas *c, struct text_engine *t, const struct colour_bar *bar)
{
	struct bar_tick tick[MAX_TICK];
	int n = make_ticks(bar, tick);
	double bottom = bar->at.y + bar->at.h, base = bottom + PLOT_TICK + PLOT_GAP + PLOT_TICK_SIZE * TEXT_ASCENT;
	for (int i = 0; i < n; i++) {
		double x = bar->at.x + (double)tick[i].level * bar->at.w;
		canvas_line(c, x, bottom, x, bottom + PLOT_TICK, &plot_frame);
		enum align align = i == 0 ? ALIGN_LEFT
			: i == n - 1          ? ALIGN_RIGHT
								  : ALIGN_CENTRE; /* the ends stay above the bar */
		canvas_text(c, t, &plot_tick, (struct point){x, base}, align, TURN_NONE, tick[i].text);
	}
	struct point at = {
		bar->at.x + bar->at.w / 2, base + 3 + PLOT_LABEL_SIZE * TEXT_ASCENT + PLOT_TICK_SIZE * TEXT_DESCENT};
	canvas_text(c, t, &plot_label, at, ALIGN_CENTRE, TURN_NONE, bar_label(t, bar));
}

void plot_colour_bar(struct canvas *c, struct text_engine *t, const struct colour_bar *bar)
{
	canvas_begin(c, "colour-bar");
	draw_gradient(c, bar);
	if (bar->upright)
		draw_upright(c, t, bar);
	else
		draw_flat(c, t, bar);
	canvas_end(c);
}
