/* The left of the Modules screen and its switches: loss by layer and head, the worst heads, numbers of the cursor's head, LIVE. */
#include "tui/view/modules.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_COLS = 5 };

const char *modules_say_kl(char out[32], double kl)
{
	if (isnan(kl))
		return strcpy(out, "\xe2\x80\x93");
	snprintf(out, 32, kl >= 99.5 ? "%.0f" : kl >= 0.9995 ? "%.2f" : "%.3f", kl);
	if (kl < 0.9995)
		memmove(out, out + 1, strlen(out)); /* ".054": the zero says nothing */
	return out;
}

void modules_pane_title(const struct app *app, const struct modules *m, struct grid *g, enum modules_pane pane, const char *text)
{
	const struct rect *r = &m->layout.pane[pane];
	grid_text_cut(g, *r, 0, 0, r->cols, theme_style(&app->theme, m->focus == pane ? ROLE_PANE_FOCUS : ROLE_PANE), text);
}

/* ---- loss, layer x head ------------------------------------------------------------------------------------------ */

/* .01 is nothing to complain about, 1 is as bad as no module at all; a fixed scale, so that training can be watched. */
static float kl_level(double kl)
{
	double level = (log10(kl) + 2) / 2;
	return isnan(kl) ? NAN : (float)(level < 0 ? 0 : level > 1 ? 1 : level);
}

static float head_level(const struct modules *m, int layer, int head)
{
	const struct objective *o = &m->objective;
	const double *kl = o->kl[OBJECTIVE_LOOKAHEAD];
	return kl && layer < o->n_layer ? kl_level(kl[layer * o->n_head + head]) : NAN;
}

bool modules_loss_half(const struct app *app, const struct modules *m)
{
	return theme_half_blocks(&app->theme) && app->look.snap->capture->n_layer > m->layout.pane[PANE_LOSS].rows - 1;
}

static void draw_loss_line(const struct app *app, struct modules *m, struct grid *g, struct rect r, int line, bool half)
{
	const struct look *l = &app->look;
	const struct capture *c = l->snap->capture;
	int layer = half ? 2 * line : line;
	bool at = l->layer == layer || (half && l->layer == layer + 1);
	int row = line - m->layer_first + 1, cols = r.cols - LABEL_COLS;
	int from = layout_scroll(0, l->head, 1, cols, c->n_head); /* heads beyond the pane's width scroll */
	grid_printf(g, r, row, 0, theme_style(&app->theme, at ? ROLE_LABEL_HERE : ROLE_LABEL), "L%3d%s", at ? l->layer : layer,
		!at ? " " : m->focus == PANE_LOSS ? "\xe2\x96\xb8" : "\xc2\xb7");
	for (int col = 0; col < cols && from + col < c->n_head; col++) {
		char glyph[8];
		float top = head_level(m, layer, from + col), bottom = half && layer + 1 < c->n_layer ? head_level(m, layer + 1, from + col) : NAN;
		struct style s = half ? theme_half_cell(&app->theme, RAMP_MAGMA, top, bottom, glyph)
		                      : theme_cell(&app->theme, RAMP_MAGMA, top, glyph);
		grid_text(g, r, row, LABEL_COLS + col, s, glyph);
		struct cell *cell = grid_at(g, r.row + row, r.col + LABEL_COLS + col);
		if (!at || from + col != l->head || !cell)
			continue;
		if (half)
			theme_mark_half(&app->theme, cell, l->layer != layer);
		else
			cell->style = theme_style(&app->theme, ROLE_CURSOR);
	}
}

static void draw_loss(const struct app *app, struct modules *m, struct grid *g)
{
	struct rect r = m->layout.pane[PANE_LOSS];
	const struct capture *c = app->look.snap->capture;
	bool half = modules_loss_half(app, m);
	int lines = half ? (c->n_layer + 1) / 2 : c->n_layer, here = half ? app->look.layer / 2 : app->look.layer;
	m->layer_first = layout_scroll(m->layer_first, here, 1, r.rows - 1, lines);
	modules_pane_title(app, m, g, PANE_LOSS, r.cols < 17 ? "LOSS by head" : "LOSS layer \xc3\x97 head");
	if (!m->objective.kl[OBJECTIVE_LOOKAHEAD]) {
		grid_text_cut(g, r, 2, 0, r.cols, theme_style(&app->theme, ROLE_DIM), "no prediction");
		grid_text_cut(g, r, 3, 0, r.cols, theme_style(&app->theme, ROLE_DIM), "or no answer");
		return;
	}
	for (int line = m->layer_first; line < lines && line - m->layer_first < r.rows - 1; line++)
		draw_loss_line(app, m, g, r, line, half);
}

static void draw_worst(const struct app *app, struct modules *m, struct grid *g)
{
	struct rect r = m->layout.pane[PANE_WORST];
	const struct objective *o = &m->objective;
	modules_pane_title(app, m, g, PANE_WORST, "WORST");
	if (!o->worst)
		return;
	int n = o->n_layer * o->n_head;
	m->worst_first = layout_scroll(m->worst_first, m->worst, 1, r.rows - 1, n);
	for (int i = m->worst_first; i < n && i - m->worst_first < r.rows - 1; i++) {
		int at = o->worst[i], layer = at / o->n_head, head = at % o->n_head, row = i - m->worst_first + 1;
		bool here = layer == app->look.layer && head == app->look.head;
		char kl[32];
		struct style s = theme_style(&app->theme, i == m->worst && m->focus == PANE_WORST ? ROLE_CURSOR : here ? ROLE_LABEL_HERE : ROLE_PLAIN);
		grid_printf(g, r, row, 0, s, "L%d Q%d", layer, head);
		grid_text_right(g, rect_sub(r, row, 0, 1, r.cols < 16 ? r.cols : 16), 0, s, modules_say_kl(kl, o->kl[OBJECTIVE_LOOKAHEAD][at]));
	}
}

/* The cursor's head under every method. */
static void draw_here(const struct app *app, const struct modules *m, struct grid *g)
{
	static const char *const label[N_OBJECTIVE] = {"modules", "SnapKV", "untrained"};
	struct rect r = m->layout.here;
	const struct look *l = &app->look;
	const struct objective *o = &m->objective;
	int at = l->layer * o->n_head + l->head;
	char kl[32], beside[32];
	grid_printf(g, r, 0, 0, theme_style(&app->theme, ROLE_STRONG), "L%d\xc2\xb7KV%d Q%d", l->layer, l->head / (l->snap->capture->n_head / l->snap->capture->n_kv_head), l->head);
	bool other = m->facts && m->facts->beside_kl;
	if (other)
		grid_printf(g, r, 0, 14, theme_style(&app->theme, ROLE_PLAIN), "beside %s", modules_say_kl(beside, m->facts->beside_kl[at]));
	for (int which = 0; which < N_OBJECTIVE; which++)
		grid_printf(g, r, 1 + which, 1, theme_style(&app->theme, which ? ROLE_PLAIN : ROLE_STRONG), "%-10s%6s", label[which],
			modules_say_kl(kl, o->kl[which] ? o->kl[which][at] : NAN));
}

/* ---- LIVE -------------------------------------------------------------------------------------------------------- */

static void put_box(const struct app *app, struct grid *g, struct rect r, int *col, bool on, bool here, const char *word)
{
	struct style s = theme_style(&app->theme, here ? ROLE_CURSOR : on ? ROLE_PLAIN : ROLE_DIM);
	*col += grid_printf(g, r, 0, *col, s, "[%c] %s", on ? 'x' : ' ', word) + 1;
}

static void draw_projections(const struct app *app, const struct modules *m, struct grid *g, struct rect r, bool focus)
{
	int col = 8;
	for (int p = 0; p < N_PROJ; p++) {
		bool here = focus && m->live_proj == p, on = !(m->sw.proj_off >> p & 1);
		/* short words where there is no room for boxes */
		if (r.cols >= 60)
			put_box(app, g, r, &col, on, here, projection_name(p));
		else
			col += grid_text(g, r, 0, col, theme_style(&app->theme, here ? ROLE_CURSOR : on ? ROLE_STRONG : ROLE_DIM), on ? "x" : "-") +
				grid_text(g, r, 0, col + 1, theme_style(&app->theme, here ? ROLE_LABEL_HERE : on ? ROLE_PLAIN : ROLE_DIM), projection_name(p)) + 1;
	}
}

static void draw_live_layers(const struct app *app, const struct modules *m, struct grid *g, struct rect r, bool focus)
{
	int n = app->look.snap->capture->n_layer, room = r.cols - 8 - 4, from = layout_scroll(0, m->live_layer, 1, room, n);
	for (int i = from; i < n && i - from < room; i++) {
		bool on = m->layer_on[i] != 0;
		struct style s = theme_style(&app->theme, focus && i == m->live_layer ? ROLE_CURSOR : on ? ROLE_STRONG : ROLE_DIM);
		grid_text(g, r, 0, 8 + i - from, s, on ? "x" : "-");
	}
	if (focus)
		grid_printf(g, r, 0, 8 + (n < room ? n : room) + 1, theme_style(&app->theme, ROLE_DIM), "%d", m->live_layer);
}

static void draw_live_line(const struct app *app, const struct modules *m, struct grid *g, int line)
{
	struct rect r = rect_sub(m->layout.pane[PANE_LIVE], 1 + line, 0, 1, m->layout.pane[PANE_LIVE].cols);
	static const char *const label[N_LIVE_LINE] = {"LoRA", "alpha", "rows", "q k ..", "layers"};
	bool focus = m->focus == PANE_LIVE && m->live_line == line;
	int n_rows = modules_n_rows(m), col = 8;
	struct style value = theme_style(&app->theme, focus ? ROLE_CURSOR : ROLE_PLAIN);
	grid_text(g, r, 0, 1, theme_style(&app->theme, focus ? ROLE_LABEL_HERE : ROLE_LABEL), label[line]);
	switch (line) {
	case LIVE_LORA: put_box(app, g, r, &col, !m->lora_off, focus, m->lora_off ? "off" : "on"); break;
	case LIVE_ALPHA: grid_printf(g, r, 0, col, value, "\xc3\x97 %.3g", (double)m->sw.scale); break;
	case LIVE_ROWS: grid_printf(g, r, 0, col, value, "%d of %d", m->sw.n_rows ? m->sw.n_rows : n_rows, n_rows); break;
	case LIVE_PROJ: draw_projections(app, m, g, r, focus); break;
	case LIVE_LAYERS: draw_live_layers(app, m, g, r, focus); break;
	default: break;
	}
}

/* Without a session: what is here all the same, and how to get the rest. */
static void draw_no_session(const struct app *app, const struct modules *m, struct grid *g)
{
	struct rect r = m->layout.pane[PANE_LIVE];
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	modules_pane_title(app, m, g, PANE_LIVE, "LIVE  no session");
	grid_text_cut(g, r, 1, 1, r.cols - 1, theme_style(&app->theme, ROLE_PLAIN), m->why);
	grid_text_cut(g, r, 3, 1, r.cols - 1, dim, "loss and worst heads are the capture's");
	grid_text_cut(g, r, 4, 1, r.cols - 1, dim, "rows, switches, adapters, training: r runs");
	grid_text_cut(g, r, 5, 1, r.cols - 1, dim, "the prompt with a model and modules");
}

static void draw_live(const struct app *app, const struct modules *m, struct grid *g)
{
	if (*m->why) {
		draw_no_session(app, m, g);
		return;
	}
	char title[120];
	snprintf(title, sizeof title, "LIVE  Space switches, \xe2\x86\x90 \xe2\x86\x92 change, A as trained%s",
		m->pending && !modules_training(m) ? " \xc2\xb7 measuring" : "");
	modules_pane_title(app, m, g, PANE_LIVE, title);
	for (int line = 0; line < N_LIVE_LINE; line++)
		draw_live_line(app, m, g, line);
}

void modules_draw_left(struct app *app, struct modules *m, struct grid *g)
{
	draw_loss(app, m, g);
	draw_worst(app, m, g);
	draw_here(app, m, g);
	draw_live(app, m, g);
}
