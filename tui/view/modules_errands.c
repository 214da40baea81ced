/* What the Modules screen asks of the live session. Each errand's state is its own: what it needs is copied in, what it finds is
 * handed over when it is done. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/lesson.h"
#include "engine/file.h"
#include "tui/command/train_prompts.h"
#include "tui/draw/glyph.h"
#include "tui/view/modules.h"

static const char lesson_name[] = "training";
enum { MOST_ROW_BYTES = 1 << 30 }; /* maps of all rows beyond this are left out: the mean is shown alone */

/* ---- what all of them share ---------------------------------------------------------------------------------------- */

struct task {
	struct modules *owner; /* for done() and drop(), on the screen's thread */
	const void *run;       /* the run it was asked of */
};

static struct task task_begin(struct modules *m)
{
	m->pending++;
	return (struct task){m, m->run};
}

/* Is the answer still of the run that is shown? Says what went wrong. */
static bool task_end(struct app *app, const struct task *t, int rc, const char *why)
{
	t->owner->pending--;
	if (rc && rc != ERR_CANCELLED)
		app_say(app, ROLE_ERROR, "%s", why);
	return !rc && t->run == t->owner->run;
}

/* The modules as they are now: those that are trained here, else the run's. *own is the caller's, NULL when they are the run's. */
static int present_modules(const struct errand_site *site, const struct lookahead **out, struct lookahead **own, struct err *e)
{
	struct lesson *lesson = errand_kept(site, lesson_name);
	*own = NULL;
	*out = site->modules;
	if (lesson) {
		int rc = lesson_modules(lesson, own, e);
		*out = *own;
		return rc;
	}
	return *out ? 0 : (int)err_set(e, ERR_USE, "this run had no modules: r names some, or train them here (Enter on TRAINING)");
}

static void order(struct app *app, struct modules *m, const struct errand *errand)
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
	struct task task;
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
	int rc = present_modules(site, &modules, &own, e);
	if (rc)
		return rc;
	struct inspect_request r = {.modules = modules, .switches = &t->sw, .base = errand_shown(site), .progress = site->progress};
	r.rows = inspect_rows_bytes(r.base, modules->n_lookahead) <= MOST_ROW_BYTES;
	rc = inspect_run(&c, &t->rows, site->live, &r, e);
	if (!rc && t->publish)
		errand_publish(site, c);
	else
		capture_unref(c);
	lookahead_free(own);
	return rc;
}

static void take_rows(struct modules *m, struct inspect_rows *rows)
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
	if (task_end(app, &t->task, rc, why)) {
		take_rows(t->task.owner, t->rows);
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
	*t = (struct rows_task){.task = task_begin(m), .sw = modules_switches(m), .layer_on = layer_on, .publish = publish};
	t->sw.layer_on = layer_on;
	order(app, m, &(struct errand){"lookahead rows", t, rows_run, rows_done, rows_drop});
}

/* ---- the modules' numbers ------------------------------------------------------------------------------------------ */

struct facts_task {
	struct task task;
	char beside[4096];
	struct lookahead_load_options load;
	struct evaluation_options evaluation;
	struct module_facts *facts;
};

void module_facts_free(struct module_facts *f)
{
	if (!f)
		return;
	free(f->adapter);
	free(f->spectrum);
	free(f->soft);
	free(f->beside_kl);
	training_log_free(f->log);
	free(f);
}

static int facts_new(struct module_facts **out, const struct lookahead *l, const struct anatomy *a, struct err *e)
{
	size_t n = (size_t)l->n_layer * N_PROJ;
	struct module_facts *f = *out = calloc(1, sizeof *f);
	if (f) {
		*f = (struct module_facts){.n_layer = l->n_layer, .n_lookahead = l->n_lookahead, .r = a->r, .n_fault = a->report->n_fault,
			.base_known = l->base_sha256 != NULL, .word_norm = a->word_norm, .beside_mean = NAN};
		f->adapter = calloc(n + 1, sizeof *f->adapter);
		f->soft = calloc((size_t)l->n_lookahead + 1, sizeof *f->soft);
		f->spectrum = malloc((n * (size_t)a->r + 1) * sizeof *f->spectrum);
		snprintf(f->name, sizeof f->name, "%s", l->name);
	}
	if (!f || !f->adapter || !f->soft || !f->spectrum)
		return err_set(e, ERR_MEMORY, "out of memory for the modules' numbers");
	memcpy(f->spectrum, a->spectrum, n * (size_t)a->r * sizeof *f->spectrum);
	if (f->n_fault)
		snprintf(f->fault, sizeof f->fault, "%s", a->report->fault[0].text);
	for (size_t i = 0; i < n; i++) {
		bool there = a->report->lora[i].present;
		f->adapter[i] = (struct adapter_fact){.share = there ? a->report->lora[i].delta / a->weight_norm[i] : NAN,
			.rank = anatomy_effective_rank(a, (int)i / N_PROJ, (int)i % N_PROJ), .alike = NAN, .share_beside = NAN};
	}
	return 0;
}

/* A word as it can be drawn in one line. */
static void put_word(const struct model *m, int32_t id, char out[WORD_BYTES])
{
	char shown[256];
	size_t n;
	const char *piece = model_piece(m, id, &n);
	glyph_show(piece, n > 40 ? 40 : n, shown, sizeof shown);
	for (char *c = shown; *c; c++)
		if (*c == '\n')
			*c = '$';
	size_t fit = glyph_fit(shown, strlen(shown), 12);
	snprintf(out, WORD_BYTES, "\"%.*s\"", (int)(fit > WORD_BYTES - 3 ? WORD_BYTES - 3 : fit), shown);
}

static void fill_soft(struct module_facts *f, const struct anatomy *a, const struct model *m)
{
	for (int i = 0; i < f->n_lookahead; i++) {
		struct soft_fact *s = &f->soft[i];
		*s = (struct soft_fact){.norm = a->report->row_norm[i], .like = -1, .like_cosine = -2, .beside = NAN};
		for (int j = 0; j < f->n_lookahead; j++) {
			float cosine = a->cosine[i * f->n_lookahead + j];
			if (j != i && cosine > s->like_cosine) {
				s->like = j;
				s->like_cosine = cosine;
			}
		}
		for (int k = 0; k < SOFT_WORDS; k++) {
			const struct near_token *near = &a->near[i * ANATOMY_NEAR + k];
			s->cosine[k] = near->cosine;
			if (near->id >= 0)
				put_word(m, near->id, s->word[k]);
		}
	}
}

/* ---- other modules beside ---- */

static int judge_beside(struct module_facts *f, const struct facts_task *t, const struct errand_site *site, const struct lookahead *other,
	struct err *e)
{
	static const char *const only[] = {"lookahead"};
	const struct capture *c = NULL;
	struct evaluation *ev = NULL;
	struct objective o = {0};
	struct evaluation_options options = t->evaluation;
	options.method = only;
	options.n_method = 1;
	int rc = inspect_run(&c, NULL, site->live, &(struct inspect_request){.modules = other, .progress = site->progress}, e);
	rc = rc ? rc : evaluation_open(&ev, c, &options, NULL, e);
	rc = rc ? rc : objective_make(&o, ev, e);
	if (!rc) {
		f->beside_kl = o.kl[OBJECTIVE_LOOKAHEAD]; /* taken over */
		f->beside_mean = o.mean[OBJECTIVE_LOOKAHEAD];
		o.kl[OBJECTIVE_LOOKAHEAD] = NULL;
	}
	objective_free(&o);
	evaluation_close(ev);
	capture_unref(c);
	return rc;
}

static int compare_beside(struct module_facts *f, const struct lookahead *l, const struct lookahead *other, const struct anatomy *a,
	struct err *e)
{
	struct lookahead_report *r;
	float *cosine = malloc((size_t)l->n_lookahead * (size_t)other->n_lookahead * sizeof *cosine);
	int rc = cosine ? lookahead_report_make(&r, other, NULL, e) : (int)err_set(e, ERR_MEMORY, "out of memory for cosines");
	if (rc) {
		free(cosine);
		return rc;
	}
	lookahead_cosines(l, other, cosine);
	for (int i = 0; i < l->n_lookahead && i < other->n_lookahead; i++)
		f->soft[i].beside = (double)cosine[i * other->n_lookahead + i];
	for (int i = 0; i < f->n_layer * N_PROJ; i++) {
		f->adapter[i].alike = anatomy_alike(l, other, i / N_PROJ, i % N_PROJ);
		if (r->lora[i].present)
			f->adapter[i].share_beside = r->lora[i].delta / a->weight_norm[i];
	}
	lookahead_report_free(r);
	free(cosine);
	return 0;
}

static void put_file_name(char out[NAME_BYTES], const char *path)
{
	const char *slash = strrchr(path, '/');
	snprintf(out, NAME_BYTES, "%.*s", NAME_BYTES - 1, slash ? slash + 1 : path);
}

static int add_beside(struct module_facts *f, const struct facts_task *t, const struct errand_site *site, const struct lookahead *l,
	const struct anatomy *a, struct err *e)
{
	struct lookahead *other = NULL;
	int rc = lookahead_load(&other, live_model(site->live), t->beside, &t->load, e);
	rc = rc ? rc : compare_beside(f, l, other, a, e);
	rc = rc ? rc : judge_beside(f, t, site, other, e);
	if (!rc)
		put_file_name(f->beside, t->beside);
	lookahead_free(other);
	return rc;
}

/* The log that kvglass train left beside the file, if it did; one that is no log is no reason to fail. */
static void find_log(struct module_facts *f, const struct lookahead *l)
{
	char path[4200];
	if (!l->path)
		return;
	snprintf(path, sizeof path, "%s.log", l->path);
	if (access(path, R_OK) == 0 && training_log_open(&f->log, path, NULL) == 0)
		put_file_name(f->log_name, path);
}

static bool is_modules(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot && !strcmp(dot, ".safetensors");
}

static int facts_run(void *state, const struct errand_site *site, struct err *e)
{
	struct facts_task *t = state;
	const struct lookahead *l;
	struct lookahead *own;
	struct anatomy *a = NULL;
	int rc = present_modules(site, &l, &own, e);
	rc = rc ? rc : anatomy_make(&a, l, live_model(site->live), 0, site->progress, e);
	rc = rc ? rc : facts_new(&t->facts, l, a, e);
	if (!rc) {
		fill_soft(t->facts, a, live_model(site->live));
		find_log(t->facts, l);
		if (*t->beside && is_modules(t->beside)) {
			rc = add_beside(t->facts, t, site, l, a, e);
		} else if (*t->beside) {
			training_log_free(t->facts->log);
			rc = training_log_open(&t->facts->log, t->beside, e);
			put_file_name(t->facts->log_name, t->beside);
		}
	}
	anatomy_free(a);
	lookahead_free(own);
	return rc;
}

static void facts_free(struct facts_task *t)
{
	module_facts_free(t->facts);
	free(t);
}

static void facts_done(struct app *app, void *state, int rc, const char *why)
{
	struct facts_task *t = state;
	struct modules *m = t->task.owner;
	if (rc)
		*m->beside_path = '\0'; /* what cannot be read is not asked for again */
	if (task_end(app, &t->task, rc, why)) {
		module_facts_free(m->facts);
		m->facts = t->facts;
		t->facts = NULL;
	}
	facts_free(t);
}

static void facts_drop(void *state)
{
	struct facts_task *t = state;
	t->task.owner->pending--;
	facts_free(t);
}

void modules_ask_facts(struct app *app, struct modules *m)
{
	struct facts_task *t = calloc(1, sizeof *t);
	if (!t) {
		app_say(app, ROLE_ERROR, "out of memory");
		return;
	}
	*t = (struct facts_task){.task = task_begin(m), .load = app->options->load,
		.evaluation = {.protocol = app->options->protocol, .seed = app->options->measure.seed}};
	snprintf(t->beside, sizeof t->beside, "%s", m->beside_path);
	order(app, m, &(struct errand){"the modules' numbers", t, facts_run, facts_done, facts_drop});
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

struct train_task {
	struct task task;
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
		put_file_name(name, path);
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
	return rc ? rc : errand_keep(site, lesson_name, *out, (void (*)(void *))lesson_close, e);
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
	r.rows = inspect_rows_bytes(r.base, now->n_lookahead) <= MOST_ROW_BYTES;
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
		more = t->order == SCHOOL_RUN && school_wanted(t->school) && !progress_report(site->progress, lesson_name, report.step, 0);
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
	struct lesson *lesson = errand_kept(site, lesson_name);
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
	if (task_end(app, &t->task, rc, why)) {
		take_rows(m, school_take_rows(t->school));
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
	*t = (struct train_task){.task = task_begin(m), .order = school_order, .school = school_ref(m->school), .rate = m->rate,
		.seed = app->options->measure.seed};
	snprintf(t->prompts, sizeof t->prompts, "%s", m->prompt_path);
	school_want(m->school, school_order == SCHOOL_RUN);
	order(app, m, &(struct errand){lesson_name, t, train_run, train_done, train_drop});
}

void modules_pause(struct modules *m)
{
	if (m->school)
		school_want(m->school, false);
}

/* ---- keeping the result ------------------------------------------------------------------------------------------ */

struct keep_task {
	struct task task;
	char path[4096];
};

static int keep_run(void *state, const struct errand_site *site, struct err *e)
{
	struct keep_task *t = state;
	const struct lookahead *l;
	struct lookahead *own;
	int rc = present_modules(site, &l, &own, e);
	rc = rc ? rc : lookahead_save(l, t->path, true, e);
	lookahead_free(own);
	return rc;
}

static void keep_done(struct app *app, void *state, int rc, const char *why)
{
	struct keep_task *t = state;
	if (task_end(app, &t->task, rc, why))
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
	t->task = task_begin(m);
	snprintf(t->path, sizeof t->path, "%s", path);
	order(app, m, &(struct errand){"saving the modules", t, keep_run, keep_done, keep_drop});
}
