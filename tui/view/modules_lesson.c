/* Live training, as errands: steps until the screen wants no more, the newest prediction shown in between. */
#include <stdio.h>
#include <stdlib.h>

#include "analysis/lesson.h"
#include "engine/file.h"
#include "tui/command/train_prompts.h"
#include "tui/view/modules_task.h"

struct train_task {
	struct modules_task task;
	enum school_order order;
	struct school *school; /* counted */
	double rate;
	uint64_t seed;
	char prompts[4096];
};

static int open_on_file(struct lesson **out, const struct train_task *t, struct lesson_options *o, const struct errand_site *site, struct err *e)
{
	char *path = (char *)t->prompts, on[SCHOOL_TEXT], name[NAME_BYTES];
	const struct option_texts files = {&path, 1};
	const struct options as_train = {.response_tokens = 96, .longest = 2048};
	struct train_prompts p = {0};
	struct target_request *request = NULL;
	char *folder = file_place(FILE_PLACE_CACHE, "targets");
	int rc = folder ? train_prompts_read(&p, live_model(site->live), &files, &as_train, e)
		: (int)err_set(e, ERR_SYSTEM, "no folder for targets: neither XDG_CACHE_HOME nor HOME is set");
	if (!rc && p.n == 0) {
		char why[300];
		train_prompts_faults(&p, &as_train, why, sizeof why);
		rc = err_set(e, ERR_USE, "%s: no usable prompts%s%s", path, *why ? ": " : "", why);
	}
	if (!rc && !(request = calloc((size_t)p.n, sizeof *request)))
		rc = err_set(e, ERR_MEMORY, "no memory for %d prompts", p.n);
	for (int i = 0; !rc && i < p.n; i++)
		request[i] = (struct target_request){.ids = p.item[i].tokens.id, .n = p.item[i].tokens.n,
			.response = p.item[i].has_response ? p.item[i].response.id : NULL,
			.n_response = p.item[i].has_response ? p.item[i].response.n : 96};
	if (!rc) {
		modules_put_file_name(name, path);
		snprintf(on, sizeof on, "%d prompt%s of %s", p.n, p.n == 1 ? "" : "s", name);
		school_set_text(t->school, on, NULL);
		o->prompt = request;
		o->n_prompt = p.n;
		o->folder = folder;
		o->limit_bytes = (uint64_t)8 << 30; /* as kvglass train */
		rc = lesson_open(out, site->live, o, site->progress, e);
	}
	free(request);
	free(folder);
	train_prompts_free(&p);
	return rc;
}

static int begin_lesson(struct lesson **out, const struct train_task *t, const struct errand_site *site, struct err *e)
{
	struct lesson_options o = {.start = site->modules, .lr = (float)t->rate, .seed = t->seed, .note = "kvglass " KVGLASS_VERSION " view, live"};
	int rc;
	if (*t->prompts) {
		rc = open_on_file(out, t, &o, site, e);
	} else {
		school_set_text(t->school, "this prompt", NULL);
		rc = lesson_open(out, site->live, &o, site->progress, e);
	}
	return rc ? rc : errand_keep(site, modules_lesson_name, *out, (void (*)(void *))lesson_close, e);
}

/* The prediction of the modules as they are now: onto the screen. */
static int show_step(struct lesson *lesson, const struct train_task *t, const struct errand_site *site, struct err *e)
{
	struct lookahead *now = NULL;
	struct inspect_rows *rows = NULL;
	const struct capture *c = NULL;
	int rc = lesson_modules(lesson, &now, e);
	if (rc)
		return rc;
	struct inspect_request r = {.modules = now, .base = errand_shown(site)};
	r.rows = inspect_rows_bytes(r.base, now->n_lookahead) <= MODULES_MOST_ROW_BYTES;
	rc = inspect_run(&c, &rows, site->live, &r, e);
	if (!rc) {
		school_give_rows(t->school, rows);
		errand_publish(site, c);
	}
	lookahead_free(now);
	return rc;
}

/* Showing a step takes its time too: at most about a third of the training's. */
static int take_steps(struct lesson *lesson, const struct train_task *t, const struct errand_site *site, struct err *e)
{
	double shown = 0, cost = 0;
	bool more = true, stale = false;
	int rc = 0;
	for (int step = 0; more && !rc; step++) {
		struct train_report report;
		rc = lesson_step(lesson, &report, e);
		if (rc)
			break;
		school_add(t->school, report.loss, report.seconds, report.rate);
		more = t->order == SCHOOL_RUN && school_wanted(t->school) && !progress_report(site->progress, modules_lesson_name, report.step, 0);
		double now = worker_now();
		stale = more && now - shown < 2 * cost;
		if (stale)
			continue;
		rc = show_step(lesson, t, site, e);
		shown = worker_now();
		cost = shown - now;
	}
	return rc;
}

static int train_run(void *state, const struct errand_site *site, struct err *e)
{
	struct train_task *t = state;
	struct lesson *lesson = errand_kept(site, modules_lesson_name);
	int rc = 0;
	if (t->order == SCHOOL_REWIND) {
		school_rewind(t->school);
		if (!lesson)
			return 0;
		lesson_rewind(lesson);
		return show_step(lesson, t, site, e);
	}
	school_set_text(t->school, NULL, "");
	school_set_running(t->school, true);
	if (!lesson)
		rc = begin_lesson(&lesson, t, site, e);
	rc = rc ? rc : take_steps(lesson, t, site, e);
	school_set_running(t->school, false);
	if (rc && rc != ERR_CANCELLED)
		school_set_text(t->school, NULL, e->text);
	return rc;
}

static void train_free(struct train_task *t)
{
	school_unref(t->school);
	free(t);
}

static void train_done(struct app *app, void *state, int rc, const char *why)
{
	struct train_task *t = state;
	struct modules *m = t->task.owner;
	if (modules_task_end(app, &t->task, rc, why)) {
		modules_take_rows(m, school_take_rows(t->school));
		*m->why = '\0';
		modules_ask_facts(app, m);
	}
	train_free(t);
}

static void train_drop(void *state)
{
	struct train_task *t = state;
	t->task.owner->pending--;
	train_free(t);
}

void modules_order(struct app *app, struct modules *m, enum school_order school_order)
{
	struct train_task *t = calloc(1, sizeof *t);
	if (t && !m->school)
		m->school = school_new();
	if (!t || !m->school) {
		free(t);
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	*t = (struct train_task){.task = modules_task_begin(m), .order = school_order, .school = school_ref(m->school), .rate = m->rate,
		.seed = app->options->measure.seed};
	snprintf(t->prompts, sizeof t->prompts, "%s", m->prompt_path);
	school_want(m->school, school_order == SCHOOL_RUN);
	modules_send(app, m, &(struct errand){modules_lesson_name, t, train_run, train_done, train_drop});
}

void modules_pause(struct modules *m)
{
	if (m->school)
		school_want(m->school, false);
}
