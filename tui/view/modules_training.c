/* The training page: the live training's loss, or a training log's, as bars over the steps. */
#include "tui/view/modules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { AXIS_COLS = 6 };

struct curve {
	const double *loss;
	int n, last_step;      /* of the last entry */
	double level[2];       /* what it is to be held against: untrained, SnapKV; NaN */
};

/* ---- the chart ------------------------------------------------------------------------------------------------------ */

static double top_of(const struct curve *c)
{
	double top = 0;
	for (int i = 0; i < c->n; i++)
		if (isfinite(c->loss[i]))
			top = fmax(top, c->loss[i]);
	for (int i = 0; i < 2; i++)
		if (!isnan(c->level[i]) && c->level[i] < 3 * top)
			top = fmax(top, c->level[i]);
	return top > 0 ? top * 1.05 : 1;
}

/* Mean of the steps that a column stands for; NaN where there is none. */
static double column_of(const struct curve *c, int col, int cols)
{
	int n = c->n > cols ? c->n : cols; /* a step a column until there are more */
	int begin = (int)((int64_t)col * n / cols), end = (int)((int64_t)(col + 1) * n / cols), defined = 0;
	double sum = 0;
	for (int i = begin; i < end && i < c->n; i++)
		if (isfinite(c->loss[i])) {
			sum += c->loss[i];
			defined++;
		}
	return defined ? sum / defined : NAN;
}

static const char *eighth(double height) /* of one cell */
{
	static const char *const bar[] = {" ", "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84", "\xe2\x96\x85",
		"\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
	int i = (int)lround(8 * height);
	return bar[i < 0 ? 0 : i > 8 ? 8 : i];
}

static void draw_levels(const struct app *app, struct grid *g, struct rect r, const struct curve *c, double top)
{
	static const char *const name[2] = {"untrained", "SnapKV"};
	for (int i = 0; i < 2; i++) {
		int row = isnan(c->level[i]) ? -1 : (int)((1 - c->level[i] / top) * r.rows);
		if (row < 0 || row >= r.rows)
			continue;
		for (int col = AXIS_COLS; col < r.cols; col++)
			grid_text(g, r, row, col, theme_style(&app->theme, ROLE_RULE), "\xe2\x94\x80");
		grid_text_right(g, rect_sub(r, row, 0, 1, r.cols), 0, theme_style(&app->theme, ROLE_DIM), name[i]);
	}
}

static void draw_chart(const struct app *app, struct grid *g, struct rect r, const struct curve *c)
{
	double top = top_of(c);
	int cols = r.cols - AXIS_COLS;
	char text[32];
	struct style dim = theme_style(&app->theme, ROLE_DIM);
	draw_levels(app, g, r, c, top);
	for (int col = 0; col < cols; col++) {
		double height = column_of(c, col, cols) / top * r.rows;
		for (int row = 0; row < r.rows && !isnan(height); row++) {
			double part = height - (r.rows - 1 - row);
			if (part > 1.0 / 16 || row == r.rows - 1)
				grid_text(g, r, row, AXIS_COLS + col, theme_style(&app->theme, ROLE_GOOD), eighth(part));
		}
	}
	grid_printf(g, r, 0, 0, dim, "%5s", modules_say_kl(text, top));
	grid_printf(g, r, r.rows - 1, 0, dim, "%5s", "0");
}

/* ---- words ----------------------------------------------------------------------------------------------------------- */

static void say_live(const struct modules *m, const struct school_view *v, char *out, size_t out_bytes)
{
	char loss[32];
	if (v->n_step == 0)
		snprintf(out, out_bytes, "%s \xc2\xb7 %s", v->on, v->running ? "preparing" : "at the start");
	else
		snprintf(out, out_bytes, "%s \xc2\xb7 step %d \xc2\xb7 loss %s \xc2\xb7 %.2g s a step \xc2\xb7 %s", v->on, v->n_step,
			modules_say_kl(loss, v->loss[v->n_loss - 1]), v->seconds, v->running ? "running" : "paused");
	(void)m;
}

static void say_log(const struct module_facts *f, char *out, size_t out_bytes)
{
	char loss[32], own[32], snapkv[32], untrained[32];
	const struct training_log *log = f->log;
	int at = snprintf(out, out_bytes, "%s \xc2\xb7 %d steps \xc2\xb7 loss %s", f->log_name, log->step[log->n_step - 1],
		modules_say_kl(loss, log->loss[log->n_step - 1]));
	if (log->n_held > 0 && at > 0 && (size_t)at < out_bytes)
		snprintf(out + at, out_bytes - (size_t)at, " \xc2\xb7 held out %s (SnapKV %s, untrained %s)",
			modules_say_kl(own, log->held[0][log->n_held - 1].kl), modules_say_kl(snapkv, log->held[1][log->n_held - 1].kl),
			modules_say_kl(untrained, log->held[2][log->n_held - 1].kl));
}

static const char *keys_of(const struct school_view *v)
{
	return v->running ? "Enter pause" : "Enter start \xc2\xb7 Space one step \xc2\xb7 u undo \xc2\xb7 W keep \xc2\xb7 T prompts \xc2\xb7 \xe2\x86\x90 \xe2\x86\x92 rate";
}

static void draw_words(const struct app *app, const struct modules *m, struct grid *g, const struct school_view *v)
{
	struct rect r = m->layout.pane[PANE_TRAINING];
	char text[400], on[120];
	if (m->school)
		say_live(m, v, text, sizeof text);
	else if (m->facts && m->facts->log)
		say_log(m->facts, text, sizeof text);
	else
		snprintf(text, sizeof text, "nothing trained yet");
	grid_text_cut(g, r, 1, 1, r.cols - 1, theme_style(&app->theme, ROLE_PLAIN), text);
	snprintf(on, sizeof on, "rate %.3g on %.80s", m->rate, *m->prompt_path ? m->prompt_path : "this prompt");
	snprintf(text, sizeof text, "%s \xc2\xb7 %s", keys_of(v), on);
	bool failed = m->school && *v->stopped;
	grid_text_cut(g, r, 2, 1, r.cols - 1, theme_style(&app->theme, failed ? ROLE_ERROR : ROLE_DIM), failed ? v->stopped : text);
}

void modules_draw_training(const struct app *app, const struct modules *m, struct grid *g)
{
	struct rect r = m->layout.pane[PANE_TRAINING];
	if (r.rows == 0)
		return;
	struct school_view *v = calloc(1, sizeof *v);
	if (!v)
		return;
	if (m->school)
		school_look(m->school, v);
	modules_pane_title(app, m, g, PANE_TRAINING, v->running ? "TRAINING \xe2\x96\xb8 live" : "TRAINING");
	draw_words(app, m, g, v);
	struct curve c = {.loss = v->loss, .n = v->n_loss, .last_step = v->n_step,
		.level = {m->objective.mean[OBJECTIVE_UNTRAINED], m->objective.mean[OBJECTIVE_SNAPKV]}};
	if (!m->school && m->facts && m->facts->log) {
		const struct training_log *log = m->facts->log;
		int last = log->n_held - 1;
		c = (struct curve){.loss = log->loss, .n = log->n_step, .last_step = log->step[log->n_step - 1],
			.level = {last < 0 ? NAN : log->held[2][last].kl, last < 0 ? NAN : log->held[1][last].kl}};
	}
	if (c.n > 0 && r.rows > 5) {
		draw_chart(app, g, rect_sub(r, 3, 0, r.rows - 4, r.cols), &c);
		grid_printf(g, r, r.rows - 1, AXIS_COLS, theme_style(&app->theme, ROLE_DIM), "step %d", c.last_step - c.n + 1);
		char end[24];
		snprintf(end, sizeof end, "%d", c.last_step);
		grid_text_right(g, rect_sub(r, r.rows - 1, 0, 1, r.cols), 0, theme_style(&app->theme, ROLE_DIM), end);
	}
	free(v);
}
