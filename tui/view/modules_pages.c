/* Pages of the Modules screen: rows x tokens, adapters, soft tokens. */
#include "tui/view/modules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/ramp.h"
#include "tui/draw/columns.h"

enum { LABEL_COLS = 5, GAIN_COLS = 8, DETAIL_LINES = 2 };

static const char *const bar[] = {" ", "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
	"\xe2\x96\x87", "\xe2\x96\x88"};

/* Why a page has nothing to show. */
static const char *missing(const struct app *app, const struct modules *m)
{
	return *m->why ? m->why : m->pending ? "measuring" : app->work.running ? "comes when the run is finished" : "not measured";
}

static const char *bar_of(double share)
{
	int i = isnan(share) ? 0 : (int)ceil(8 * share);
	return bar[i < 0 ? 0 : i > 8 ? 8 : i];
}

/* ---- rows x tokens ---------------------------------------------------------------------------------------------- */

int modules_row_cols(const struct rect *r)
{
	return r->cols - LABEL_COLS - GAIN_COLS - 2; /* sinks and window */
}

/* Lift of a row over the tokens that are shown: its share of their mass, times their number. */
static void row_lift(const struct snapshot *s, const float *row, float *out)
{
	double sum = 0;
	for (int j = 0; j < s->n_shown; j++)
		sum += (double)row[s->shown_first + j];
	for (int j = 0; j < s->n_shown; j++)
		out[j] = sum > 0 ? (float)((double)row[s->shown_first + j] / sum * s->n_shown) : NAN;
}

static void draw_row_line(const struct app *app, const struct modules *m, struct grid *g, int i, float *lift, float *column)
{
	struct rect r = m->layout.pane[PANE_ROWS];
	const struct look *l = &app->look;
	int cols = modules_row_cols(&r), line = 1 + i - m->row_first, cursor = look_column_of(l, cols);
	bool here = i == m->row;
	grid_printf(g, r, line, 0, theme_style(&app->theme, here ? ROLE_LABEL_HERE : ROLE_LABEL), "r%02d%s", i,
		!here ? " " : m->focus == PANE_ROWS ? "\xe2\x96\xb8" : "\xc2\xb7");
	row_lift(l->snap, inspect_row(m->rows, l->layer, l->head, i), lift);
	columns_largest(lift, 0, look_visible(l), cols, column);
	for (int col = 0; col < cols; col++) {
		char glyph[8];
		struct style s = theme_cell(&app->theme, RAMP_VIRIDIS, ramp_level(RAMP_LIFT, column[col], 0), glyph);
		grid_text(g, r, line, LABEL_COLS + col, here && col == cursor ? theme_style(&app->theme, ROLE_CURSOR) : s, glyph);
	}
	if (!m->gain || isnan(m->gain[i]))
		return;
	char gain[32] = "0";
	bool none = fabs(m->gain[i]) < 0.00005; /* it would read as a signed zero */
	if (!none)
		snprintf(gain, sizeof gain, "%+.4f", m->gain[i]);
	grid_text_right(g, rect_sub(r, line, 0, 1, r.cols), 0,
		theme_style(&app->theme, none ? ROLE_DIM : m->gain[i] < 0 ? ROLE_LOW : ROLE_PLAIN), gain);
}

/* KL of the head with the first 1, 2, ... rows, as bars: how many rows are enough. */
static void draw_rows_used(const struct app *app, const struct modules *m, struct grid *g, int line)
{
	struct rect r = m->layout.pane[PANE_ROWS];
	char first[32], last[32];
	double largest = 0;
	if (!m->gain)
		return;
	for (int i = 0; i < m->rows->n_rows; i++)
		largest = fmax(largest, m->first[i]);
	int col = grid_text(g, r, line, 0, theme_style(&app->theme, ROLE_DIM), "rows used ");
	int room = r.cols - col - 16;
	for (int i = 0; i < m->rows->n_rows && i < room; i++)
		grid_text(g, r, line, col + i, theme_style(&app->theme, i == m->row ? ROLE_LABEL_HERE : ROLE_PLAIN), bar_of(m->first[i] / largest));
	int n = m->rows->n_rows < room ? m->rows->n_rows : room;
	grid_printf(g, r, line, col + n + 1, theme_style(&app->theme, ROLE_DIM), "%s \xe2\x86\x92 %s", modules_say_kl(first, m->first[0]),
		modules_say_kl(last, m->first[m->rows->n_rows - 1]));
}

/* What the cursor's row reads most, and at the cursor. */
static void draw_row_detail(const struct app *app, const struct modules *m, struct grid *g, int line)
{
	struct rect r = m->layout.pane[PANE_ROWS];
	const struct snapshot *s = app->look.snap;
	const float *row = inspect_row(m->rows, app->look.layer, app->look.head, m->row);
	int best = s->shown_first;
	size_t n;
	char text[300], piece[48], first[32];
	for (int j = s->shown_first; j < s->shown_first + s->n_shown; j++)
		if (row[j] > row[best])
			best = j;
	const char *shown = token_text_of(s->text, best, &n);
	snprintf(piece, sizeof piece, "%.*s", (int)(n < 40 ? n : 40), shown);
	for (char *c = piece; *c; c++)
		if (*c == '\n')
			*c = ' ';
	snprintf(text, sizeof text, "r%02d reads \"%s\" #%d %.1f %% most, #%d %.2f %%%s%s", m->row, piece, best, 100 * (double)row[best],
		app->look.token, 100 * (double)row[app->look.token], m->gain ? " \xc2\xb7 first rows up to it: KL " : "",
		m->gain ? modules_say_kl(first, m->first[m->row]) : "");
	grid_text_cut(g, r, line, 0, r.cols, theme_style(&app->theme, ROLE_PLAIN), text);
}

void modules_draw_rows(struct app *app, struct modules *m, struct grid *g)
{
	struct rect r = m->layout.pane[PANE_ROWS];
	char title[160], kl[32];
	if (r.rows == 0)
		return;
	snprintf(title, sizeof title, "ROWS L%d\xc2\xb7Q%d  KL %s, and how much more without each", app->look.layer, app->look.head,
		modules_say_kl(kl, m->gain ? m->all : NAN));
	modules_pane_title(app, m, g, PANE_ROWS, title);
	if (!m->rows) {
		grid_text_cut(g, r, 2, 1, r.cols - 1, theme_style(&app->theme, ROLE_DIM), missing(app, m));
		return;
	}
	int lines = r.rows - 1 - DETAIL_LINES, cols = modules_row_cols(&r);
	float *lift = malloc((size_t)app->look.snap->n_shown * sizeof *lift + 1), *column = malloc((size_t)cols * sizeof *column + 1);
	m->row_first = layout_scroll(m->row_first, m->row, 1, lines, m->rows->n_rows);
	for (int i = m->row_first; lift && column && i < m->rows->n_rows && i - m->row_first < lines; i++)
		draw_row_line(app, m, g, i, lift, column);
	free(lift);
	free(column);
	draw_rows_used(app, m, g, r.rows - 2);
	draw_row_detail(app, m, g, r.rows - 1);
}

/* ---- adapters ---------------------------------------------------------------------------------------------------- */

static const struct adapter_fact *adapter_at(const struct module_facts *f, int layer, int proj)
{
	return &f->adapter[layer * N_PROJ + proj];
}

/* A thousandth of the weight is nothing, as large as the weight is much. */
static float share_level(double share)
{
	double level = (log10(share) + 3) / 3;
	return isnan(share) ? NAN : (float)(level < 0 ? 0 : level > 1 ? 1 : level);
}

static void say_share(char out[16], double share)
{
	if (isnan(share))
		strcpy(out, "\xe2\x80\x93");
	else
		snprintf(out, 16, share >= 0.0995 ? "%.0f" : "%.1f", 100 * share);
}

static void draw_adapter_line(const struct app *app, const struct modules *m, struct grid *g, int layer, int width)
{
	struct rect r = m->layout.pane[PANE_ADAPTERS];
	int line = 2 + layer - m->adapter_first;
	bool at = layer == app->look.layer;
	grid_printf(g, r, line, 0, theme_style(&app->theme, at ? ROLE_LABEL_HERE : ROLE_LABEL), "L%3d%s", layer,
		!at ? " " : m->focus == PANE_ADAPTERS ? "\xe2\x96\xb8" : "\xc2\xb7");
	for (int p = 0; p < N_PROJ; p++) {
		char text[16];
		double share = adapter_at(m->facts, layer, p)->share;
		say_share(text, share);
		struct style s = theme_on_level(&app->theme, RAMP_MAGMA, share_level(share), theme_style(&app->theme, ROLE_PLAIN));
		if (at && p == m->proj && m->focus == PANE_ADAPTERS)
			s = theme_style(&app->theme, ROLE_CURSOR);
		struct rect cell = rect_sub(r, line, LABEL_COLS + p * width, 1, width - 1);
		grid_fill(g, cell, s);
		grid_text_right(g, cell, 0, s, text);
	}
}

/* Singular values as bars, largest first; the adapter beside. */
static void draw_adapter_detail(const struct app *app, const struct modules *m, struct grid *g)
{
	struct rect r = m->layout.pane[PANE_ADAPTERS];
	const struct module_facts *f = m->facts;
	const struct adapter_fact *a = adapter_at(f, app->look.layer, m->proj);
	const double *s = f->spectrum + (size_t)(app->look.layer * N_PROJ + m->proj) * (size_t)f->r;
	struct style plain = theme_style(&app->theme, ROLE_PLAIN), dim = theme_style(&app->theme, ROLE_DIM);
	char share[16];
	int line = r.rows - 2, col = grid_printf(g, r, line, 0, theme_style(&app->theme, ROLE_STRONG), "L%d %s ", app->look.layer, projection_name(m->proj));
	if (isnan(a->share)) {
		grid_text(g, r, line, col, dim, "no adapter");
		return;
	}
	say_share(share, a->share);
	col += grid_printf(g, r, line, col, plain, "%s %% of the weight \xc2\xb7 ranks %.1f of %d ", share, a->rank, f->r);
	for (int k = 0; k < f->r && k < 32 && f->r > 0 && s[0] > 0; k++)
		col += grid_text(g, r, line, col, plain, bar_of(s[k] / s[0]));
	if (f->r > 0)
		grid_printf(g, r, line, col + 1, dim, "\xcf\x83 %.3g", s[0]);
	if (!*f->beside)
		return;
	say_share(share, a->share_beside);
	grid_printf(g, r, line + 1, 0, dim, "beside: %s %%, cosine %.2f", share, a->alike);
}

void modules_draw_adapters(const struct app *app, struct modules *m, struct grid *g)
{
	struct rect r = m->layout.pane[PANE_ADAPTERS];
	if (r.rows == 0)
		return;
	modules_pane_title(app, m, g, PANE_ADAPTERS, "ADAPTERS  scale |BA| in % of |W|");
	if (!m->facts) {
		grid_text_cut(g, r, 2, 1, r.cols - 1, theme_style(&app->theme, ROLE_DIM), missing(app, m));
		return;
	}
	int lines = r.rows - 4, width = (r.cols - LABEL_COLS) / N_PROJ;
	width = width > 9 ? 9 : width;
	for (int p = 0; p < N_PROJ; p++)
		grid_text_right(g, rect_sub(r, 1, LABEL_COLS + p * width, 1, width - 1), 0, theme_style(&app->theme, ROLE_DIM), projection_name(p));
	m->adapter_first = layout_scroll(m->adapter_first, app->look.layer, 1, lines, m->facts->n_layer);
	for (int layer = m->adapter_first; layer < m->facts->n_layer && layer - m->adapter_first < lines; layer++)
		draw_adapter_line(app, m, g, layer, width);
	draw_adapter_detail(app, m, g);
}

/* ---- soft tokens -------------------------------------------------------------------------------------------------- */

static void draw_soft_line(const struct app *app, const struct modules *m, struct grid *g, int i)
{
	struct rect r = m->layout.pane[PANE_SOFT];
	const struct soft_fact *f = &m->facts->soft[i];
	int line = 2 + i - m->soft_first, col = 0;
	bool here = i == m->soft;
	struct style plain = theme_style(&app->theme, here && m->focus == PANE_SOFT ? ROLE_STRONG : ROLE_PLAIN), dim = theme_style(&app->theme, ROLE_DIM);
	col += grid_printf(g, r, line, 0, theme_style(&app->theme, here ? ROLE_LABEL_HERE : ROLE_LABEL), "r%02d%s ", i,
		!here ? " " : m->focus == PANE_SOFT ? "\xe2\x96\xb8" : "\xc2\xb7");
	col += grid_printf(g, r, line, col, plain, "%5.2f ", f->norm);
	if (f->like >= 0)
		col += grid_printf(g, r, line, col, dim, " r%02d %5.2f ", f->like, (double)f->like_cosine);
	if (*m->facts->beside)
		col += grid_printf(g, r, line, col, plain, " %5.2f ", f->beside);
	for (int k = 0; k < SOFT_WORDS && *f->word[k] && col < r.cols - 12; k++) {
		col += grid_printf(g, r, line, col, dim, " %.2f ", (double)f->cosine[k]);
		col += grid_text_cut(g, r, line, col, r.cols - col, plain, f->word[k]);
	}
}

void modules_draw_soft(const struct app *app, struct modules *m, struct grid *g)
{
	struct rect r = m->layout.pane[PANE_SOFT];
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	if (r.rows == 0)
		return;
	modules_pane_title(app, m, g, PANE_SOFT, "SOFT TOKENS");
	if (!m->facts) {
		grid_text_cut(g, r, 2, 1, r.cols - 1, dim, missing(app, m));
		return;
	}
	grid_printf(g, r, 1, 5, dim, " norm  most alike%s  nearest words (norm %.2f)", *m->facts->beside ? "  beside" : "", m->facts->word_norm);
	m->soft_first = layout_scroll(m->soft_first, m->soft, 1, r.rows - 2, m->facts->n_lookahead);
	for (int i = m->soft_first; i < m->facts->n_lookahead && i - m->soft_first < r.rows - 2; i++)
		draw_soft_line(app, m, g, i);
}
