#include "analysis/lesson.h"

#include <stdlib.h>
#include <string.h>

enum { N_LOOKAHEAD = 32, RANK = 8, ALPHA = 32, WARMUP = 5 };

struct lesson {
	struct target_store *store;
	struct trainer *trainer;
	const struct model *model;
};

/* ---- what is learned from ---- */

static int add_live(struct lesson *l, struct live *live, int *number, struct err *e)
{
	const struct capture *c = live_capture(live);
	const struct capture_map *truth = capture_find(c, "truth");
	if (!truth)
		return err_set(e, ERR_USE, "training needs truth, and this prompt has no response");
	const struct target_measured measured = {.ids = c->token, .response = c->token + c->n_prompt, .n = c->n_prompt,
		.n_response = c->n_response, .truth = truth->data};
	return target_store_add(l->store, live_session(live), &measured, number, e);
}

/* Their numbers, without the prompts that the model answers with nothing. */
static int make_targets(struct lesson *l, const struct lesson_options *o, int *number, int *n, const struct progress *progress, struct err *e)
{
	int rc = target_store_make(l->store, o->prompt, o->n_prompt, number, NULL, progress, e);
	*n = 0;
	for (int i = 0; !rc && i < o->n_prompt; i++)
		if (number[i] >= 0)
			number[(*n)++] = number[i];
	return rc || *n ? rc : (int)err_set(e, ERR_USE, "training: no usable prompts: the model answers all %d with nothing", o->n_prompt);
}

static bool has_adapters(const struct lookahead *l)
{
	for (int i = 0; l && i < l->n_layer * N_PROJ; i++)
		if (l->lora[i].a)
			return true;
	return false;
}

static struct train_options options_of(const struct lesson_options *o, int n_target)
{
	struct train_options t;
	int batch = o->batch > 0 ? o->batch : 4;
	train_options_default(&t);
	t.start = has_adapters(o->start) ? o->start : NULL;
	t.n_lookahead = N_LOOKAHEAD;
	t.r = RANK;
	t.alpha = ALPHA;
	t.lr = o->lr > 0 ? o->lr : 1e-3f;
	t.batch = n_target < batch ? n_target : batch;
	t.steps = o->steps > 0 ? o->steps : 200;
	t.warmup = WARMUP;
	t.seed = o->seed;
	t.n_threads = o->n_threads;
	t.note = o->note;
	return t;
}

static int open_all(struct lesson *l, struct live *live, const struct lesson_options *o, int *number, const struct progress *progress,
	struct err *e)
{
	const struct target_store_options store = {.folder = o->prompt ? o->folder : NULL, .limit_bytes = o->limit_bytes,
		.n_threads = o->n_threads};
	int n = 1, resumed, rc = target_store_open(&l->store, l->model, &store, e);
	rc = rc ? rc : o->prompt ? make_targets(l, o, number, &n, progress, e) : add_live(l, live, number, e);
	if (rc)
		return rc;
	const struct train_options t = options_of(o, n);
	return trainer_open(&l->trainer, l->model, l->store, number, n, &t, &resumed, e);
}

int lesson_open(struct lesson **out, struct live *live, const struct lesson_options *o, const struct progress *progress, struct err *e)
{
	struct lesson *l = calloc(1, sizeof *l);
	int *number = calloc((size_t)(o->prompt ? o->n_prompt : 1) + 1, sizeof *number);
	int rc = l && number ? 0 : (int)err_set(e, ERR_MEMORY, "training: out of memory");
	*out = NULL;
	if (!rc) {
		l->model = live_model(live);
		rc = open_all(l, live, o, number, progress, e);
	}
	free(number);
	if (rc)
		lesson_close(l);
	else
		*out = l;
	return rc;
}

void lesson_close(struct lesson *l)
{
	if (!l)
		return;
	trainer_close(l->trainer);
	target_store_close(l->store);
	free(l);
}

/* ---- steps ---- */

int lesson_step(struct lesson *l, struct train_report *report, struct err *e)
{
	return trainer_step(l->trainer, report, e);
}

void lesson_rewind(struct lesson *l)
{
	trainer_rewind(l->trainer);
}

int lesson_modules(struct lesson *l, struct lookahead **out, struct err *e)
{
	int rc = trainer_export(l->trainer, out, e);
	if (rc)
		return rc;
	free((*out)->name);
	(*out)->name = strdup("trained here");
	if (!(*out)->name) {
		lookahead_free(*out);
		*out = NULL;
		return err_set(e, ERR_MEMORY, "training: out of memory");
	}
	return 0;
}
