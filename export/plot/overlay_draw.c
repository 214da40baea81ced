#include <math.h>

#include "export/plot/overlay.h"
#include "export/plot/overlay_room.h"

#define MAX_RANGE 8 /* pieces of one token on one line; more than two need text of both directions */
#define RISE 6.6    /* of a mark above the baseline */
#define INSET 0.4   /* of boxes, so that neighbours stay two */
#define FALL 2.0    /* below it; the underline hangs under that */

struct drawing {
	const struct overlay *o;
	struct text_engine *t;
	struct canvas *c;
};

static const struct stroke always_line = {.width = 0.5, .rgb = OVERLAY_PALE, .dash = {1, 1.2}, .n_dash = 2};
static const struct stroke missed_line = {.width = 0.45, .rgb = 0x555555, .dash = {1.5, 1}, .n_dash = 2};
static const struct stroke hex_line = {.width = 0.35, .rgb = OVERLAY_PALE};

static void mark_step(const struct drawing *d, int step, struct text_range r, double base)
{
	double underline = overlay_underline(d->o, step), w = r.last - r.first;
	canvas_fill(d->c, (struct rect){r.first, base - RISE, w, RISE + FALL}, overlay_tint(d->o, step));
	canvas_fill(d->c, (struct rect){r.first, base + FALL, w, underline}, PLOT_INK);
}

static void mark_token(const struct drawing *d, int panel, int i, struct text_range r, double base)
{
	int position = d->o->first + i, step = d->o->panel[panel].step[i];
	if (step)
		mark_step(d, step, r, base);
	else if (overlay_is_always_kept(d->o, position))
		canvas_line(d->c, r.first, base + FALL, r.last, base + FALL, &always_line);
	else if (overlay_is_missed(d->o, panel, position))
		canvas_frame(d->c,
			(struct rect){r.first + INSET, base - RISE, fmax(r.last - r.first - 2 * INSET, INSET), RISE + FALL},
			&missed_line);
}

/* First token that reaches past the line's start. */
static int first_token(const struct overlay *o, struct text_line l)
{
	int low = 0, high = o->pieces.n;
	while (low < high) {
		int middle = (low + high) / 2;
		if (o->pieces.place[middle].last > l.first)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void draw_marks(const struct drawing *d, int panel, int line, double x, double base)
{
	const struct overlay *o = d->o;
	const struct text_block *b = o->panel[panel].block;
	struct text_line l = text_block_line(b, line);
	for (int i = first_token(o, l); i < o->pieces.n && o->pieces.place[i].first < l.last; i++) {
		struct text_range r[MAX_RANGE];
		int n = pieces_ranges(&o->pieces, i, b, line, r, MAX_RANGE);
		for (int k = 0; k < n; k++)
			mark_token(d, panel, i, (struct text_range){x + r[k].first, x + r[k].last}, base);
	}
}

/* Boxes around the hex numbers of bytes that make no character. */
static void draw_boxes(const struct drawing *d, int panel, int line, double x, double base)
{
	const struct pieces *p = &d->o->pieces;
	const struct text_block *b = d->o->panel[panel].block;
	for (int i = 0; i < p->n_span; i++) {
		struct text_range r[MAX_RANGE];
		int n = p->boxed[i] ? text_block_ranges(b, line, p->span[i].first, p->span[i].last, r, MAX_RANGE) : 0;
		for (int k = 0; k < n; k++)
			canvas_frame(d->c, (struct rect){x + r[k].first, base - 5.6, r[k].last - r[k].first, 7}, &hex_line);
	}
}

static void draw_ellipsis(const struct drawing *d, int n_token, double x, double base)
{
	static const struct text_style style = {.size = OVERLAY_TYPE, .italic = true, .rgb = OVERLAY_PALE};
	char text[64];
	snprintf(text, sizeof text, "\xe2\x8b\xaf %d token%s left out \xe2\x8b\xaf", n_token, n_token == 1 ? "" : "s");
	canvas_text(
		d->c, d->t, &style, (struct point){x + d->o->layout.panel_w / 2, base}, ALIGN_CENTRE, TURN_NONE, text);
}

static void draw_line(const struct drawing *d, int panel, int line, double left, double base)
{
	const struct text_block *b = d->o->panel[panel].block;
	draw_marks(d, panel, line, left, base);
	draw_boxes(d, panel, line, left, base);
	canvas_block_line(d->c, b, line, left + text_block_line(b, line).x, base, TURN_NONE);
}

static void draw_text(const struct drawing *d, int panel, struct rect r)
{
	const struct overlay_layout *l = &d->o->layout;
	double base = r.y + OVERLAY_PAD + OVERLAY_PITCH * 0.70;
	for (int i = 0; i < l->n_region; i++) {
		if (l->region[i].n_skipped) {
			draw_ellipsis(d, l->region[i].n_skipped, r.x, base);
			base += OVERLAY_PITCH;
		}
		for (int line = l->region[i].first; line < l->region[i].last; line++, base += OVERLAY_PITCH)
			draw_line(d, panel, line, r.x + OVERLAY_PAD, base);
	}
	if (l->n_after)
		draw_ellipsis(d, l->n_after, r.x, base);
}

static void draw_panel(const struct drawing *d, int i)
{
	const struct overlay_layout *l = &d->o->layout;
	static const struct stroke frame = {.width = 0.5, .rgb = 0x999999};
	struct rect r = {
		l->left + i % l->columns * l->step_x, l->top + i / l->columns * l->step_y, l->panel_w, l->panel_h};
	bool turned = l->left > PLOT_MARGIN;
	plot_begin_panel(d->c, i);
	draw_text(d, i, r);
	canvas_frame(d->c, r, &frame);
	struct point under = {r.x + r.w / 2, r.y + r.h + 2 + PLOT_LINE_ROOM * TEXT_ASCENT};
	struct point beside = {PLOT_MARGIN + PLOT_LINE_ROOM * TEXT_ASCENT, r.y + r.h / 2};
	plot_panel_name(d->c, d->t, i, d->o->panel[i].label, turned ? beside : under, ALIGN_CENTRE,
		turned ? TURN_LEFT : TURN_NONE);
	canvas_end(d->c);
}

static void draw_legend(const struct drawing *d)
{
	struct overlay_entry entry[OVERLAY_MAX_ENTRY];
	int n = overlay_legend(d->o, d->t, entry, OVERLAY_MAX_ENTRY);
	canvas_begin(d->c, "legend");
	for (int i = 0; i < n; i++) {
		double base = d->o->layout.legend_y + entry[i].row * OVERLAY_LEGEND_ROW + RISE;
		struct text_range r = {entry[i].x, entry[i].x + OVERLAY_SWATCH};
		if (entry[i].kind == ENTRY_STEP)
			mark_step(d, entry[i].step, r, base);
		else if (entry[i].kind == ENTRY_ALWAYS)
			canvas_line(d->c, r.first, base + FALL, r.last, base + FALL, &always_line);
		else
			canvas_frame(d->c, (struct rect){r.first, base - RISE, OVERLAY_SWATCH, RISE + FALL}, &missed_line);
		canvas_text(d->c, d->t, &plot_label, (struct point){r.last + 3, base}, ALIGN_LEFT, TURN_NONE, entry[i].text);
	}
	canvas_end(d->c);
}

void overlay_draw(const struct overlay *o, struct text_engine *t, struct canvas *c)
{
	const struct overlay_layout *l = &o->layout;
	struct drawing d = {o, t, c};
	for (int i = 0; i < o->n_panel; i++)
		draw_panel(&d, i);
	draw_legend(&d);
	plot_note(c, l->note, l->width / 2, PLOT_MARGIN, l->width - PLOT_MARGIN, l->note_y);
}
