/* What the Modules screen asks of the live session: rows under switches, and the modules as a file. Each errand's state is its own: what
 * it needs is copied in, what it finds is handed over when it is done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/lesson.h"
#include "tui/view/modules_task.h"

const char modules_lesson_name[] = "training";

/* ---- what all of them share ---------------------------------------------------------------------------------------- */

struct modules_task modules_task_begin(struct modules *m)
{
	m->pending++;
	return (struct modules_task){m, m->run};
}

bool modules_task_end(struct app *app, const struct modules_task *t, int rc, const char *why)
{
	t->owner->pending--;
	if (rc && rc != ERR_CANCELLED)
		app_say(app, ROLE_ERROR, "%s", why);
	return !rc && t->run == t->owner->run;
}

int modules_present(const struct errand_site *site, const struct lookahead **out, struct lookahead **own, struct err *e)
{
	struct lesson *lesson = errand_kept(site, modules_lesson_name);
	*own = NULL;
	*out = site->modules;
	if (lesson) {
		int rc = lesson_modules(lesson, own, e);
		*out = *own;
		return rc;
	}
	return *out ? 0 : (int)err_set(e, ERR_USE, "this run had no modules: r names some, or train them here (Enter on TRAINING)");
}

void modules_send(struct app *app, struct modules *m, const struct errand *errand)
{
	struct err e;
	if (app_errand(app, errand, &e) == 0)
		return;
	if (!m->rows && !m->facts)
		snprintf(m->why, sizeof m->why, "%s", e.text);
	else
		app_say(app, ROLE_ERROR, "%s", e.text);
}

/* ---- rows under switches ---------------------------------------------------------------------------------------- */

struct rows_task {
	struct modules_task task;
	struct lookahead_switches sw;
	uint8_t *layer_on;
	bool publish;
	struct inspect_rows *rows;
};

static void rows_free(struct rows_task *t)
{
	inspect_rows_free(t->rows);
	free(t->layer_on);
	free(t);
}

static int rows_run(void *state, const struct errand_site *site, struct err *e)
{
	struct rows_task *t = state;
	const struct lookahead *modules;
	struct lookahead *own;
	const struct capture *c = NULL;
	int rc = modules_present(site, &modules, &own, e);
	if (rc)
		return rc;
	struct inspect_request r = {.modules = modules, .switches = &t->sw, .base = errand_shown(site), .progress = site->progress};
	r.rows = inspect_rows_bytes(r.base, modules->n_lookahead) <= MODULES_MOST_ROW_BYTES;
	rc = inspect_run(&c, &t->rows, site->live, &r, e);
	if (!rc && t->publish)
		errand_publish(site, c);
	else
		capture_unref(c);
	lookahead_free(own);
	return rc;
}

void modules_take_rows(struct modules *m, struct inspect_rows *rows)
{
	inspect_rows_free(m->rows);
	m->rows = rows;
	m->gain_serial = -1;
	if (rows && m->row >= rows->n_rows)
		m->row = rows->n_rows - 1;
}

static void rows_done(struct app *app, void *state, int rc, const char *why)
{
	struct rows_task *t = state;
	if (rc == ERR_USE && !t->task.owner->rows)
		snprintf(t->task.owner->why, sizeof t->task.owner->why, "%s", why);
	if (modules_task_end(app, &t->task, rc, why)) {
		modules_take_rows(t->task.owner, t->rows);
		t->rows = NULL;
		*t->task.owner->why = '\0';
	}
	rows_free(t);
}

static void rows_drop(void *state)
{
	struct rows_task *t = state;
	t->task.owner->pending--;
	rows_free(t);
}

void modules_ask_rows(struct app *app, struct modules *m, bool publish)
{
	const struct capture *c = app->look.snap->capture;
	struct rows_task *t = calloc(1, sizeof *t);
	uint8_t *layer_on = malloc((size_t)c->n_layer);
	if (!t || !layer_on) {
		free(t);
		free(layer_on);
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	memcpy(layer_on, m->layer_on, (size_t)c->n_layer);
	*t = (struct rows_task){.task = modules_task_begin(m), .sw = modules_switches(m), .layer_on = layer_on, .publish = publish};
	t->sw.layer_on = layer_on;
	modules_send(app, m, &(struct errand){"lookahead rows", t, rows_run, rows_done, rows_drop});
}

/* ---- keeping the result ------------------------------------------------------------------------------------------ */

struct keep_task {
	struct modules_task task;
	char path[4096];
};

static int keep_run(void *state, const struct errand_site *site, struct err *e)
{
	struct keep_task *t = state;
	const struct lookahead *l;
	struct lookahead *own;
	int rc = modules_present(site, &l, &own, e);
	rc = rc ? rc : lookahead_save(l, t->path, true, e);
	lookahead_free(own);
	return rc;
}

static void keep_done(struct app *app, void *state, int rc, const char *why)
{
	struct keep_task *t = state;
	if (modules_task_end(app, &t->task, rc, why))
		app_say(app, ROLE_GOOD, "saved %s \xc2\xb7 use it: -l %s", t->path, t->path);
	free(t);
}

static void keep_drop(void *state)
{
	struct keep_task *t = state;
	t->task.owner->pending--;
	free(t);
}

void modules_keep(struct app *app, struct modules *m, const char *path)
{
	struct keep_task *t = calloc(1, sizeof *t);
	if (!t) {
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	t->task = modules_task_begin(m);
	snprintf(t->path, sizeof t->path, "%s", path);
	modules_send(app, m, &(struct errand){"saving the modules", t, keep_run, keep_done, keep_drop});
}
