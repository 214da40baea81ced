/* Where everything of an overlay stands: columns of text, the lines that fit, legend and note. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/plot/overlay.h"
#include "export/plot/overlay_room.h"

#define LEAST_COLUMN 120.0
#define COLUMN_GAP 8.0
#define ROW_GAP 7.0
#define EXCERPT (4.5 * CANVAS_PT_PER_INCH) /* height when the text does not fit and none was asked for */
#define CONTEXT 5                          /* lines a region has at least */

/* ---- shaping ---- */

enum ink { INK_BLACK, INK_PALE, INK_SMALL = 2 /* flag: a hex number */ };

/* The colour of every byte: tokens that are not kept are paler, so that those that are stand out. */
static uint8_t *ink_bytes(const struct overlay *o, int panel)
{
	uint8_t *ink = malloc(o->pieces.n_bytes + 1);
	if (!ink)
		return NULL;
	memset(ink, INK_PALE, o->pieces.n_bytes + 1);
	for (int i = 0; i < o->pieces.n; i++) {
		const struct piece_place *t = &o->pieces.place[i];
		if (o->panel[panel].step[i] || overlay_is_always_kept(o, o->first + i))
			memset(ink + t->first, INK_BLACK, t->last - t->first);
	}
	for (int i = 0; i < o->pieces.n_span; i++) {
		const struct text_span *s = &o->pieces.span[i];
		for (size_t b = s->first; b < s->last; b++)
			ink[b] |= o->pieces.boxed[i] ? INK_SMALL : 0;
	}
	return ink;
}

static int runs(const uint8_t *ink, size_t n_bytes, struct text_span *out)
{
	int n = 0;
	for (size_t b = 0; b < n_bytes; b++) {
		if (b == 0 || ink[b] != ink[b - 1])
			out[n++] = (struct text_span){.first = b, .scale = ink[b] & INK_SMALL ? PIECES_HEX_SCALE : 1,
				.rgb = ink[b] & INK_PALE ? OVERLAY_PALE : TEXT_BLACK};
		out[n - 1].last = b + 1;
	}
	return n;
}

static int shape(struct overlay *o, int panel, struct text_engine *t, struct err *e)
{
	uint8_t *ink = ink_bytes(o, panel);
	int n_run = 0;
	for (size_t b = 0; ink && b < o->pieces.n_bytes; b++)
		n_run += b == 0 || ink[b] != ink[b - 1];
	struct text_span *span = ink ? malloc(sizeof *span * ((size_t)n_run + 1)) : NULL;
	int rc = span ? 0 : (int)err_set(e, ERR_MEMORY, "figure: out of memory for %zu bytes of text", o->pieces.n_bytes);
	if (!rc) {
		struct text_request r = {.utf8 = o->pieces.utf8,
			.n_bytes = o->pieces.n_bytes,
			.style = {.size = OVERLAY_TYPE, .rgb = TEXT_BLACK},
			.span = span,
			.n_span = runs(ink, o->pieces.n_bytes, span),
			.wrap = o->layout.panel_w - 2 * OVERLAY_PAD};
		rc = text_block_make(&o->panel[panel].block, t, &r, e);
	}
	free(ink);
	free(span);
	return rc;
}

/* ---- which lines ---- */

/* A text that ends with a line break has an empty last line, which is not shown. */
static int count_lines(const struct overlay *o)
{
	const struct text_block *b = o->panel[0].block;
	int n = text_block_n_line(b);
	struct text_line last = text_block_line(b, n - 1);
	return n > 1 && last.first == last.last ? n - 1 : n;
}

/* Line on which token i begins. Tokens come in order, so `from` is where the one before was. */
static int line_of(const struct overlay *o, int i, int from)
{
	const struct text_block *b = o->panel[0].block;
	while (from + 1 < count_lines(o) && text_block_line(b, from + 1).first <= o->pieces.place[i].first)
		from++;
	return from;
}

static double *line_worth(const struct overlay *o, int n_line)
{
	double *worth = calloc((size_t)n_line + 1, sizeof *worth);
	for (int i = 0, line = 0; worth && i < o->pieces.n; i++) {
		line = line_of(o, i, line);
		worth[line] += overlay_difference(o, o->first + i);
	}
	return worth;
}

static void count_skipped(struct overlay *o)
{
	struct overlay_layout *l = &o->layout;
	int region = 0;
	l->n_after = 0;
	for (int i = 0, line = 0; i < o->pieces.n; i++) {
		line = line_of(o, i, line);
		while (region < l->n_region && line >= l->region[region].last)
			region++;
		if (region == l->n_region)
			l->n_after++;
		else if (line < l->region[region].first)
			l->region[region].n_skipped++;
	}
}

static int choose_lines(struct overlay *o, int most, struct err *e)
{
	struct overlay_layout *l = &o->layout;
	int n_line = count_lines(o);
	double *worth = line_worth(o, n_line);
	l->region = calloc((size_t)n_line + 1, sizeof *l->region);
	struct overlay_choice choice = {.worth = worth, .n_line = n_line, .most = most, .context = CONTEXT};
	l->n_region = worth && l->region ? overlay_choose(&choice, l->region) : -1;
	free(worth);
	if (l->n_region < 0)
		return err_set(e, ERR_MEMORY, "figure: out of memory for %d lines", n_line);
	count_skipped(o);
	return 0;
}

/* ---- sizes ---- */

static void divide(struct overlay *o)
{
	struct overlay_layout *l = &o->layout;
	double side = l->width >= PLOT_WIDE ? 0 : PLOT_LINE_ROOM + 2; /* room of turned names */
	l->left = PLOT_MARGIN + side;
	double room = l->width - l->left - PLOT_MARGIN;
	int most = side > 0 ? 1 : (int)fmax(1, floor((room + COLUMN_GAP) / (LEAST_COLUMN + COLUMN_GAP)));
	int columns = o->n_panel < most ? o->n_panel : most;
	l->grid_rows = (o->n_panel + columns - 1) / columns;
	l->columns = (o->n_panel + l->grid_rows - 1) / l->grid_rows;
	l->panel_w = (room - COLUMN_GAP * (l->columns - 1)) / l->columns;
	l->step_x = l->panel_w + COLUMN_GAP;
	l->top = PLOT_MARGIN;
}

static int shown_lines(const struct overlay_layout *l)
{
	int lines = l->n_after > 0;
	for (int i = 0; i < l->n_region; i++)
		lines += l->region[i].last - l->region[i].first + (l->region[i].n_skipped > 0);
	return lines;
}

static int lay_out_heights(struct overlay *o, struct text_engine *t, struct err *e)
{
	struct overlay_layout *l = &o->layout;
	bool turned = l->left > PLOT_MARGIN;
	int n_line = count_lines(o);
	double name = turned ? 0 : PLOT_LINE_ROOM + 2, between = name + ROW_GAP;
	l->legend_rows = overlay_legend(o, t, NULL, 0);
	double foot = 5 + l->legend_rows * OVERLAY_LEGEND_ROW + 2 + text_block_n_line(l->note) * PLOT_LINE_ROOM;
	double fixed = 2 * PLOT_MARGIN + (l->grid_rows - 1) * between + name + foot + l->grid_rows * 2 * OVERLAY_PAD;
	double whole = fixed + l->grid_rows * n_line * OVERLAY_PITCH;
	double height = o->spec->height_in > 0 ? o->spec->height_in * CANVAS_PT_PER_INCH
		: whole <= PLOT_MAX_HEIGHT ? whole
		: fmin(fmax(EXCERPT, fixed + l->grid_rows * 10 * OVERLAY_PITCH), PLOT_MAX_HEIGHT);
	int most = (int)floor((height - fixed) / l->grid_rows / OVERLAY_PITCH + 1e-6);
	if (most < 3 && most < n_line)
		return err_set(e, ERR_USE, "figure: %d panels of text need at least %.2f in of height", o->n_panel,
			(fixed + 3 * l->grid_rows * OVERLAY_PITCH) / CANVAS_PT_PER_INCH);
	int rc = choose_lines(o, most, e);
	l->panel_h = shown_lines(l) * OVERLAY_PITCH + 2 * OVERLAY_PAD;
	l->step_y = l->panel_h + between;
	l->height = fixed + l->grid_rows * (l->panel_h - 2 * OVERLAY_PAD);
	l->legend_y = l->height - PLOT_MARGIN - foot + 5;
	l->note_y = l->height - PLOT_MARGIN - text_block_n_line(l->note) * PLOT_LINE_ROOM;
	return rc;
}

int overlay_lay_out(struct overlay *o, struct text_engine *t, struct err *e)
{
	struct overlay_layout *l = &o->layout;
	*l = (struct overlay_layout){.width = o->spec->width_in * CANVAS_PT_PER_INCH};
	divide(o);
	if (l->panel_w < 60)
		return err_set(e, ERR_USE, "figure: a width of %.2f in leaves no room for text; %.2f is the least here",
			o->spec->width_in, (l->width - l->panel_w * l->columns + 60 * l->columns) / CANVAS_PT_PER_INCH);
	char text[300];
	overlay_note_text(o, text, sizeof text);
	struct text_request r = {
		.utf8 = text, .n_bytes = strlen(text), .style = plot_label, .wrap = l->width - 2 * PLOT_MARGIN};
	int rc = text_block_make(&l->note, t, &r, e);
	for (int i = 0; !rc && i < o->n_panel; i++)
		rc = shape(o, i, t, e);
	return rc ? rc : lay_out_heights(o, t, e);
}

/* ---- legend ---- */

/* Writes the entries' places (NULL: only counts rows); returns the rows they take. */
int overlay_legend(const struct overlay *o, struct text_engine *t, struct overlay_entry *out, int n_max)
{
	const struct overlay_layout *l = &o->layout;
	double x = 0, room = l->width - l->left - PLOT_MARGIN;
	int row = 0, n = 0;
	for (int kind = 1; kind <= o->n_step + 2; kind++) {
		struct overlay_entry entry = {.kind = ENTRY_STEP, .step = kind};
		if (kind > o->n_step)
			entry.kind = kind == o->n_step + 1 ? ENTRY_ALWAYS : ENTRY_MISSED;
		if (entry.kind == ENTRY_MISSED && (o->n_pair > 1 || o->n_panel < 2))
			continue;
		if (entry.kind == ENTRY_ALWAYS && o->first >= o->cand_first && o->last <= o->cand_last)
			continue;
		if (entry.kind == ENTRY_STEP)
			overlay_step_text(o, kind, entry.text, sizeof entry.text);
		else
			snprintf(entry.text, sizeof entry.text, "%s",
				entry.kind == ENTRY_ALWAYS ? "always kept" : "kept by truth only");
		double w = OVERLAY_SWATCH + 3 + text_width(t, &plot_label, entry.text);
		if (x > 0 && x + w > room) {
			x = 0;
			row++;
		}
		entry.x = l->left + x;
		entry.row = row;
		x += w + 10;
		if (out && n < n_max)
			out[n] = entry;
		n++;
	}
	return out ? n : row + 1;
}
