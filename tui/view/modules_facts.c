/* The modules' numbers, and those of others beside them, or of a training's log: copied out of everything that the runner owns. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tui/draw/glyph.h"
#include "tui/view/modules_task.h"

struct facts_task {
	struct modules_task task;
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

void modules_put_file_name(char out[NAME_BYTES], const char *path)
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
		modules_put_file_name(f->beside, t->beside);
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
		modules_put_file_name(f->log_name, path);
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
	int rc = modules_present(site, &l, &own, e);
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
			modules_put_file_name(t->facts->log_name, t->beside);
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
	if (modules_task_end(app, &t->task, rc, why)) {
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
	*t = (struct facts_task){.task = modules_task_begin(m), .load = app->options->load,
		.evaluation = {.protocol = app->options->protocol, .seed = app->options->measure.seed}};
	snprintf(t->beside, sizeof t->beside, "%s", m->beside_path);
	modules_send(app, m, &(struct errand){"the modules' numbers", t, facts_run, facts_done, facts_drop});
}
