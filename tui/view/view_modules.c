/* Modules: why a module is good or bad on this prompt, its switches, and training it while one watches. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/saving.h"
#include "tui/view/frame.h"
#include "tui/view/modules.h"

static int modules_open(struct app *app, void **state, struct err *e)
{
	struct modules *m = calloc(1, sizeof *m);
	(void)app;
	*state = m;
	if (!m)
		return err_set(e, ERR_MEMORY, "Modules: out of memory");
	m->rate = 1e-3;
	m->objective_serial = m->gain_serial = -1;
	return 0;
}

static void forget(struct modules *m)
{
	inspect_rows_free(m->rows);
	module_facts_free(m->facts);
	modules_pause(m);
	school_unref(m->school);
	objective_free(&m->objective);
	free(m->layer_on);
	free(m->gain);
	m->rows = NULL;
	m->facts = NULL;
	m->school = NULL;
	m->layer_on = NULL;
	m->gain = m->first = NULL;
	m->objective_serial = m->gain_serial = -1;
	m->asked = false;
	*m->why = '\0';
}

static void modules_close(void *state)
{
	forget(state);
	free(state);
}

/* ---- following what is shown ----------------------------------------------------------------------------------------- */

static void as_trained(struct modules *m, int n_layer)
{
	m->sw = (struct lookahead_switches){.scale = 1};
	m->lora_off = false;
	memset(m->layer_on, 1, (size_t)n_layer);
}

static bool begin_run(struct app *app, struct modules *m)
{
	const struct capture *c = app->look.snap->capture;
	forget(m);
	m->layer_on = malloc((size_t)c->n_layer);
	m->run = m->layer_on ? c->token : NULL; /* captures of one run share their tokens */
	if (!m->layer_on)
		return false;
	as_trained(m, c->n_layer);
	m->worst = m->row = m->soft = m->live_layer = 0;
	return true;
}

/* Gains of the cursor's head: some thousand logarithms. */
static void follow_gain(struct app *app, struct modules *m)
{
	const struct look *l = &app->look;
	const struct capture *c = l->snap->capture;
	const struct capture_map *truth = capture_find(c, "truth");
	if (!m->rows || (m->gain_serial == l->snap->serial && m->gain_layer == l->layer && m->gain_head == l->head))
		return;
	size_t n = (size_t)c->n_prompt, n_rows = (size_t)m->rows->n_rows;
	free(m->gain);
	m->gain = truth ? malloc((2 * n_rows + 4 * n) * sizeof *m->gain) : NULL;
	m->gain_serial = l->snap->serial;
	m->gain_layer = l->layer;
	m->gain_head = l->head;
	if (!m->gain)
		return;
	m->first = m->gain + n_rows;
	m->all = inspect_head(inspect_row(m->rows, l->layer, l->head, 0), m->rows->n_rows, capture_row(c, truth, l->layer, l->head), c->n_prompt,
		m->gain + 2 * n_rows, m->gain, m->first);
}

/* Makes everything fit what is shown now; orders first answers of a new run. */
static void follow(struct app *app, struct modules *m)
{
	const struct snapshot *s = app->look.snap;
	struct inspect_rows *rows;
	if (m->run != s->capture->token && !begin_run(app, m)) {
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	if (!m->asked && !app->work.running) {
		m->asked = true;
		modules_ask_rows(app, m, false);
		if (!*m->why)
			modules_ask_facts(app, m);
	}
	if (m->school && (rows = school_take_rows(m->school))) {
		inspect_rows_free(m->rows);
		m->rows = rows;
		m->gain_serial = -1;
	}
	if (m->objective_serial != s->serial) {
		struct err e;
		objective_free(&m->objective);
		if (objective_make(&m->objective, s->evaluation, &e))
			app_say(app, ROLE_ERROR, "%s", e.text);
		m->objective_serial = s->serial;
	}
	follow_gain(app, m);
}

int modules_n_rows(const struct modules *m)
{
	return m->facts ? m->facts->n_lookahead : m->rows ? m->rows->n_rows : 0;
}

struct lookahead_switches modules_switches(const struct modules *m)
{
	struct lookahead_switches sw = m->sw;
	sw.layer_on = m->layer_on;
	if (m->lora_off)
		sw.proj_off = (1u << N_PROJ) - 1;
	return sw;
}

bool modules_training(const struct modules *m)
{
	struct school_view *v = m->school ? malloc(sizeof *v) : NULL;
	if (v)
		school_look(m->school, v);
	bool running = v && v->running;
	free(v);
	return running;
}

/* ---- switches ------------------------------------------------------------------------------------------------------- */

static void switched(struct app *app, struct modules *m)
{
	if (*m->why)
		app_say(app, ROLE_WARN, "%s", m->why);
	else if (modules_training(m))
		app_say(app, ROLE_WARN, "the switches wait until training is paused (Enter on TRAINING)");
	else
		modules_ask_rows(app, m, true);
}

static void toggle(struct app *app, struct modules *m)
{
	switch (m->live_line) {
	case LIVE_LORA: m->lora_off = !m->lora_off; break;
	case LIVE_ALPHA: m->sw.scale = 1; break;
	case LIVE_ROWS: m->sw.n_rows = 0; break;
	case LIVE_PROJ: m->sw.proj_off ^= 1u << m->live_proj; break;
	case LIVE_LAYERS: m->layer_on[m->live_layer] ^= 1; break;
	default: break;
	}
	switched(app, m);
}

static int within(int x, int low, int high)
{
	return x < low ? low : x > high ? high : x;
}

/* Half-octaves, and off. */
static float next_scale(float scale, int by)
{
	if (by < 0 && scale < 0.1f)
		return 0;
	if (by > 0 && scale <= 0)
		return 0.0625f;
	float next = scale * (by > 0 ? (float)M_SQRT2 : (float)M_SQRT1_2);
	return next > 0.99f && next < 1.01f ? 1 : next > 64 ? 64 : next;
}

static void change(struct app *app, struct modules *m, int by)
{
	int n_rows = modules_n_rows(m), now = m->sw.n_rows ? m->sw.n_rows : n_rows;
	switch (m->live_line) {
	case LIVE_ALPHA:
		m->sw.scale = next_scale(m->sw.scale, by);
		switched(app, m);
		break;
	case LIVE_ROWS:
		now = within(now + by, 1, n_rows > 1 ? n_rows : 1);
		m->sw.n_rows = now == n_rows ? 0 : now;
		switched(app, m);
		break;
	case LIVE_PROJ: m->live_proj = within(m->live_proj + by, 0, N_PROJ - 1); break;
	case LIVE_LAYERS: m->live_layer = within(m->live_layer + by, 0, app->look.snap->capture->n_layer - 1); break;
	default: break;
	}
}

/* ---- moving ----------------------------------------------------------------------------------------------------------- */

static void go_to_worst(struct app *app, const struct modules *m)
{
	const struct objective *o = &m->objective;
	if (o->worst && m->worst < o->n_layer * o->n_head)
		look_set_head(&app->look, o->worst[m->worst] / o->n_head, o->worst[m->worst] % o->n_head);
}

static void move_rows(struct app *app, struct modules *m, int by)
{
	const struct capture *c = app->look.snap->capture;
	switch (m->focus) {
	case PANE_LOSS:
	case PANE_ADAPTERS: look_move_layer(&app->look, by); break;
	case PANE_WORST: m->worst = within(m->worst + by, 0, c->n_layer * c->n_head - 1); break;
	case PANE_LIVE: m->live_line = within(m->live_line + by, 0, N_LIVE_LINE - 1); break;
	case PANE_ROWS: m->row = within(m->row + by, 0, m->rows ? m->rows->n_rows - 1 : 0); break;
	case PANE_SOFT: m->soft = within(m->soft + by, 0, m->facts ? m->facts->n_lookahead - 1 : 0); break;
	default: break;
	}
}

static void move_token_cell(struct app *app, const struct modules *m, int by)
{
	struct look *l = &app->look;
	struct look_window w = look_visible(l);
	int cols = modules_row_cols(&m->layout.pane[PANE_ROWS]), begin, end;
	look_column(w, cols > 0 ? cols : 1, 0, &begin, &end);
	look_move_token(l, by * (end - begin > 1 ? end - begin : 1));
}

static void change_rate(struct app *app, struct modules *m, int by)
{
	static const double rates[] = {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2};
	int n = sizeof rates / sizeof *rates, at = 0;
	if (m->school) {
		app_say(app, ROLE_WARN, "the rate stays as training began with it; u begins anew");
		return;
	}
	while (at < n - 1 && rates[at] < m->rate * 0.99)
		at++;
	m->rate = rates[within(at + by, 0, n - 1)];
}

static void move_cells(struct app *app, struct modules *m, int by)
{
	switch (m->focus) {
	case PANE_LOSS: look_move_head(&app->look, by); break;
	case PANE_LIVE: change(app, m, by); break;
	case PANE_ROWS: move_token_cell(app, m, by); break;
	case PANE_ADAPTERS: m->proj = within(m->proj + by, 0, N_PROJ - 1); break;
	case PANE_TRAINING: change_rate(app, m, by); break;
	default: break;
	}
}

/* ---- training --------------------------------------------------------------------------------------------------------- */

static void start_or_pause(struct app *app, struct modules *m)
{
	m->focus = PANE_TRAINING;
	if (modules_training(m)) {
		modules_pause(m);
		app_say(app, ROLE_PLAIN, "pausing after this step");
	} else {
		modules_order(app, m, SCHOOL_RUN);
	}
}

static void undo(struct app *app, struct modules *m)
{
	if (modules_training(m))
		app_say(app, ROLE_WARN, "pause first (Enter)");
	else if (m->school)
		modules_order(app, m, SCHOOL_REWIND);
	else
		app_say(app, ROLE_PLAIN, "nothing was trained here");
}

static void enter(struct app *app, struct modules *m)
{
	if (m->focus == PANE_WORST)
		go_to_worst(app, m);
	else if (m->focus == PANE_LOSS)
		app_show(app, VIEW_MAPS);
	else if (m->focus == PANE_LIVE)
		toggle(app, m);
	else if (m->focus == PANE_TRAINING)
		start_or_pause(app, m);
}

static void press_space(struct app *app, struct modules *m)
{
	if (m->focus != PANE_TRAINING)
		toggle(app, m);
	else if (modules_training(m))
		start_or_pause(app, m);
	else
		modules_order(app, m, SCHOOL_STEP);
}

/* ---- lines ------------------------------------------------------------------------------------------------------------- */

static void train_on(struct app *app, const char *path)
{
	struct modules *m = app->state[VIEW_MODULES];
	snprintf(m->prompt_path, sizeof m->prompt_path, "%s", path);
	if (m->school)
		app_say(app, ROLE_WARN, "a training goes on with what it began with; r runs the prompt again for a new one");
}

static void hold_beside(struct app *app, const char *path)
{
	struct modules *m = app->state[VIEW_MODULES];
	snprintf(m->beside_path, sizeof m->beside_path, "%s", path);
	modules_ask_facts(app, m);
}

static void write_modules(struct app *app, const char *path)
{
	modules_keep(app, app->state[VIEW_MODULES], path);
}

static void keep(struct app *app, const char *path);

static const struct ask ask_prompts = {.label = "Train on the prompts of (.jsonl or text; empty: this prompt): ", .accept = train_on};
static const struct ask ask_beside = {.label = "Hold beside (.safetensors, or a training's .log): ", .accept = hold_beside};
static const struct ask ask_keep = {.label = "Save the modules as: ", .accept = keep, .write = write_modules};

static void keep(struct app *app, const char *path)
{
	if (*path && saving_may_write(app, &ask_keep, path))
		write_modules(app, path);
}

/* ---- actions ------------------------------------------------------------------------------------------------------------ */

static int page_lines(const struct modules *m)
{
	int lines = m->layout.pane[m->focus].rows - 2;
	return lines > 1 ? lines : 1;
}

static bool act_on_modules(struct app *app, struct modules *m, enum action_id action)
{
	switch ((int)action) {
	case ACTION_ENTER: enter(app, m); break;
	case ACTION_SWITCH: press_space(app, m); break;
	case ACTION_AS_TRAINED:
		as_trained(m, app->look.snap->capture->n_layer);
		switched(app, m);
		break;
	case ACTION_UNDO_TRAINING: undo(app, m); break;
	case ACTION_KEEP_MODULES: app_ask_line(app, &ask_keep, "modules.safetensors"); break;
	case ACTION_TRAIN_ON: app_ask_line(app, &ask_prompts, m->prompt_path); break;
	case ACTION_BESIDE: app_ask_line(app, &ask_beside, m->beside_path); break;
	default: return false;
	}
	return true;
}

static bool modules_act(struct app *app, void *state, enum action_id action)
{
	struct modules *m = state;
	int n = N_MODULES_PANE;
	follow(app, m);
	if (!m->layer_on)
		return false;
	switch ((int)action) {
	case ACTION_CELL_LEFT: move_cells(app, m, -1); break;
	case ACTION_CELL_RIGHT: move_cells(app, m, 1); break;
	case ACTION_ROW_UP: move_rows(app, m, -1); break;
	case ACTION_ROW_DOWN: move_rows(app, m, 1); break;
	case ACTION_PAGE_UP: move_rows(app, m, -page_lines(m)); break;
	case ACTION_PAGE_DOWN: move_rows(app, m, page_lines(m)); break;
	case ACTION_HALF_UP: move_rows(app, m, -(page_lines(m) + 1) / 2); break;
	case ACTION_HALF_DOWN: move_rows(app, m, (page_lines(m) + 1) / 2); break;
	case ACTION_FIRST: move_rows(app, m, -1000000); break;
	case ACTION_LAST: move_rows(app, m, 1000000); break;
	case ACTION_LINE_START: look_set_token(&app->look, 0); break;
	case ACTION_LINE_END: look_set_token(&app->look, app->look.snap->capture->n_prompt - 1); break;
	case ACTION_PANE_NEXT: m->focus = (enum modules_pane)(((int)m->focus + 1) % n); break;
	case ACTION_PANE_PREV: m->focus = (enum modules_pane)(((int)m->focus + n - 1) % n); break;
	case ACTION_ZOOM_IN: look_zoom(&app->look, 1, modules_row_cols(&m->layout.pane[PANE_ROWS])); break;
	case ACTION_ZOOM_OUT: look_zoom(&app->look, -1, modules_row_cols(&m->layout.pane[PANE_ROWS])); break;
	default: return act_on_modules(app, m, action);
	}
	return true;
}

/* ---- the mouse ---------------------------------------------------------------------------------------------------------- */

static void click_in(struct app *app, struct modules *m, int row, int col)
{
	const struct look *l = &app->look;
	const struct capture *c = l->snap->capture;
	bool half = modules_loss_half(app, m);
	switch (m->focus) {
	case PANE_LOSS: {
		int layer = (m->layer_first + row - 1) * (half ? 2 : 1), head = within(col - 5, 0, c->n_head - 1);
		layer += half && l->layer == layer && l->head == head && layer + 1 < c->n_layer; /* a second click: the other layer of the line */
		if (row > 0 && layer < c->n_layer)
			look_set_head(&app->look, layer, head);
		break;
	}
	case PANE_WORST:
		m->worst = within(m->worst_first + row - 1, 0, c->n_layer * c->n_head - 1);
		if (row > 0)
			go_to_worst(app, m);
		break;
	case PANE_LIVE: m->live_line = within(row - 1, 0, N_LIVE_LINE - 1); break;
	case PANE_ROWS: m->row = within(m->row_first + row - 1, 0, m->rows ? m->rows->n_rows - 1 : 0); break;
	case PANE_ADAPTERS: look_set_head(&app->look, within(m->adapter_first + row - 2, 0, c->n_layer - 1), l->head); break;
	case PANE_SOFT: m->soft = within(m->soft_first + row - 2, 0, m->facts ? m->facts->n_lookahead - 1 : 0); break;
	default: break;
	}
}

static void modules_point(struct app *app, void *state, const struct event *at)
{
	struct modules *m = state;
	follow(app, m);
	if (at->kind == EVENT_WHEEL) {
		move_rows(app, m, at->wheel);
		return;
	}
	for (int pane = 0; pane < N_MODULES_PANE; pane++) {
		const struct rect *r = &m->layout.pane[pane];
		if (!rect_holds(*r, at->row, at->col))
			continue;
		m->focus = (enum modules_pane)pane;
		click_in(app, m, at->row - r->row, at->col - r->col);
	}
}

/* ---- drawing ------------------------------------------------------------------------------------------------------------ */

static void say_modules(const struct app *app, const struct modules *m, char *out, size_t out_bytes)
{
	const struct capture *c = app->look.snap->capture;
	const char *name = m->facts ? m->facts->name : capture_meta(c, "module_name"), *switches = capture_meta(c, "module_switches");
	int at = snprintf(out, out_bytes, "MODULES %s", name ? name : "none");
	if (m->facts && at > 0 && (size_t)at < out_bytes)
		at += snprintf(out + at, out_bytes - (size_t)at, " \xc2\xb7 %d rows r%d \xc2\xb7 base %s \xc2\xb7 %d fault%s%s%s", m->facts->n_lookahead, m->facts->r,
			m->facts->base_known ? "ok" : "unknown", m->facts->n_fault, m->facts->n_fault == 1 ? "" : "s", m->facts->n_fault ? ": " : "", m->facts->fault);
	if (switches && at > 0 && (size_t)at < out_bytes)
		snprintf(out + at, out_bytes - (size_t)at, " \xc2\xb7 %s", switches);
}

static void draw_status(const struct app *app, const struct modules *m, struct grid *g)
{
	static const char *const label[N_OBJECTIVE] = {"KL", "SnapKV", "untrained"};
	char left[700], right[160] = "", kl[32];
	int at = 0;
	for (int which = 0; which < N_OBJECTIVE; which++)
		at += snprintf(right + at, sizeof right - (size_t)at, "%s%s %s", which ? "  " : "", label[which], modules_say_kl(kl, m->objective.kl[which] ? m->objective.mean[which] : NAN));
	if (m->facts && m->facts->beside_kl)
		snprintf(right + at, sizeof right - (size_t)at, "  beside %s", modules_say_kl(kl, m->facts->beside_mean));
	say_modules(app, m, left, sizeof left);
	struct style strong = theme_style(&app->theme, ROLE_STRONG);
	int room = m->layout.status.cols - (int)strlen(right) - 3;
	bool odd = capture_meta(app->look.snap->capture, "module_switches") || (m->facts && m->facts->n_fault);
	grid_text_cut(g, m->layout.status, 0, 1, room, odd ? theme_style(&app->theme, ROLE_WARN) : strong, left);
	grid_text_right(g, rect_sub(m->layout.status, 0, 0, 1, m->layout.status.cols - 1), 0, strong, right);
}

static void modules_draw(struct app *app, void *state, struct grid *g)
{
	struct modules *m = state;
	follow(app, m);
	if (!m->layer_on)
		return;
	modules_layout(&m->layout, app, m->focus, &m->first_page);
	frame_title(app, g, m->layout.title);
	draw_status(app, m, g);
	modules_draw_left(app, m, g);
	modules_draw_rows(app, m, g);
	modules_draw_training(app, m, g);
	modules_draw_adapters(app, m, g);
	modules_draw_soft(app, m, g);
}

static const char *const reading[] = {
	"LOSS is what training minimises: KL of truth against the modules' prediction over all prompt tokens, by layer and query head, on "
	"a fixed scale from .01 to 1. WORST lists the heads, Enter goes to one.",
	"ROWS: what each lookahead row reads of the prompt in the cursor's head, as lift, and how much the loss would grow without the row. "
	"rows used: the loss with only the first rows.",
	"LIVE switches run the rows again over the same prompt; every map, curve and number follows, and a capture that is saved says so. "
	"A: as trained.",
	"TRAINING: Enter starts on this prompt (T: on the prompts of a file) and pauses, Space makes one step, u undoes, W keeps the modules "
	"as a file. b holds other modules beside these, or shows a training's log.",
	"ADAPTERS: what each LoRA adds, as a share of the weight it is added to; ranks: how many singular values carry it.",
	NULL,
};

const struct view view_modules = {
	.bit = AT_MODULES,
	.title = "Modules",
	.reading = reading,
	.open = modules_open,
	.close = modules_close,
	.draw = modules_draw,
	.act = modules_act,
	.point = modules_point,
};
