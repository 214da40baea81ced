#include "tui/command/train_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/evaluation.h"
#include "analysis/measure.h"
#include "tui/command/prompt.h"

enum { BUDGET = 128 };

struct judged {
	const struct capture *capture; /* truth, snapkv, untrained */
	int target;                    /* number in the store; -1: no response, nothing to judge by */
};

struct judge {
	struct judged *item;
	int n;
	struct judge_score fixed[N_JUDGE]; /* SnapKV and the control do not change */
};

static const char *const method_name[N_JUDGE] = {"snapkv", "untrained", "lookahead"};

/* ---- one prompt under one method ---- */

static int score_method(const struct capture *c, int which, struct judge_score *sum, struct err *e)
{
	struct evaluation *ev;
	const struct evaluation_options options = {.protocol = protocol_default(), .method = &method_name[which], .n_method = 1};
	const struct scope all = {.layer = -1, .kv_head = -1};
	int rc = evaluation_open(&ev, c, &options, NULL, e);
	if (rc)
		return rc;
	int m = evaluation_find(ev, method_name[which]), budget = c->n_prompt / 2 < BUDGET ? c->n_prompt / 2 : BUDGET;
	int kept = options.protocol.select.sink + options.protocol.select.window;
	int k = evaluation_k(ev, budget > kept ? budget : kept + 1, e);
	if (m < 0 || k < 0) {
		evaluation_close(ev);
		return m < 0 ? (int)err_set(e, ERR_USE, "%s was not measured", method_name[which]) : ERR_USE;
	}
	struct agreement a = evaluation_agreement(ev, m, all, k);
	sum->kl += a.kl;
	sum->overlap += a.overlap;
	sum->mass_ratio += a.mass_ratio;
	evaluation_close(ev);
	return 0;
}

static void divide(struct judge_score *s, int n)
{
	s->kl /= n;
	s->overlap /= n;
	s->mass_ratio /= n;
}

/* ---- measuring once ---- */

static int measure_one(struct judged *out, const struct model *m, struct target_store *store, const struct train_prompt *p,
	const struct options *o, const struct progress *progress, struct err *e)
{
	static const char *const method[] = {"snapkv", "untrained"};
	const struct measure_watch watch = {.progress = progress};
	const struct measure_options options = {.mode = prompt_mode_of(o), .n_response = (int)o->response_tokens, .seed = (uint64_t)o->seed,
		.conversation = p->message, .n_message = p->n_message, .method = method, .n_method = 2, .n_threads = (int)o->threads,
		.watch = &watch};
	int rc = measure_prompt(&out->capture, m, p->text, p->n_bytes, &options, e);
	if (rc) {
		capture_unref(out->capture); /* what a stop leaves is of no use here */
		out->capture = NULL;
		return rc;
	}
	const struct capture *c = out->capture;
	const struct target_request request = {.ids = c->token, .n = c->n_prompt, .response = c->token + c->n_prompt,
		.n_response = c->n_response};
	out->target = -1;
	return c->n_response ? target_store_make(store, &request, 1, &out->target, NULL, progress, e) : 0;
}

/* Those without a response go; the fixed methods are scored over the rest. */
static int settle(struct judge *j, struct err *e)
{
	int n = 0;
	for (int i = 0; i < j->n; i++) {
		if (j->item[i].target >= 0)
			j->item[n++] = j->item[i];
		else
			capture_unref(j->item[i].capture);
	}
	j->n = n;
	for (int which = JUDGE_SNAPKV; which <= JUDGE_UNTRAINED; which++) {
		for (int i = 0; i < n; i++) {
			int rc = score_method(j->item[i].capture, which, &j->fixed[which], e);
			if (rc)
				return rc;
		}
		divide(&j->fixed[which], n);
	}
	return n ? 0 : err_set(e, ERR_USE, "--eval: no prompt that can be judged by");
}

int judge_open(struct judge **out, const struct model *m, struct target_store *store, const struct train_prompts *prompts,
	const struct options *o, const struct progress *progress, struct err *e)
{
	struct judge *j = calloc(1, sizeof *j);
	if (!j || !(j->item = calloc((size_t)prompts->n + 1, sizeof *j->item))) {
		free(j);
		return err_set(e, ERR_MEMORY, "no memory for %d prompts", prompts->n);
	}
	int rc = 0;
	for (; j->n < prompts->n && !rc; j->n += !rc)
		rc = measure_one(&j->item[j->n], m, store, &prompts->item[j->n], o, progress, e);
	rc = rc ? rc : settle(j, e);
	if (rc) {
		judge_close(j);
		return rc;
	}
	*out = j;
	return 0;
}

void judge_close(struct judge *j)
{
	for (int i = 0; j && i < j->n; i++)
		capture_unref(j->item[i].capture);
	if (j)
		free(j->item);
	free(j);
}

int judge_n_prompt(const struct judge *j)
{
	return j->n;
}

/* ---- judging ---- */

/* The held-out capture with the modules' prediction in it. */
static int with_prediction(const struct capture *base, const float *mean, const struct capture **out, struct err *e)
{
	struct capture parts = *base;
	struct capture_map *map = malloc(((size_t)base->n_map + 1) * sizeof *map);
	if (!map)
		return err_set(e, ERR_MEMORY, "no memory for a capture");
	memcpy(map, base->map, (size_t)base->n_map * sizeof *map);
	map[base->n_map] = (struct capture_map){.name = "lookahead", .kind = MAP_ROWS, .data = mean, .row_error = NAN};
	parts.map = map;
	parts.n_map++;
	int rc = capture_build(out, &parts, e);
	free(map);
	return rc;
}

static int judge_one(const struct judged *item, struct trainer *t, struct judge_score *sum, struct err *e)
{
	const struct capture *c = item->capture, *predicted;
	double loss;
	float *mean = malloc((size_t)c->n_layer * (size_t)c->n_head * (size_t)c->n_prompt * sizeof *mean);
	if (!mean)
		return err_set(e, ERR_MEMORY, "no memory for a prediction");
	int rc = trainer_judge(t, item->target, &loss, mean, NULL, e);
	rc = rc ? rc : with_prediction(c, mean, &predicted, e);
	if (!rc) {
		rc = score_method(predicted, JUDGE_MODULES, sum, e);
		capture_unref(predicted);
	}
	free(mean);
	return rc;
}

int judge_run(struct judge *j, struct trainer *t, struct judge_score out[N_JUDGE], struct err *e)
{
	memcpy(out, j->fixed, sizeof j->fixed);
	out[JUDGE_MODULES] = (struct judge_score){0};
	for (int i = 0; i < j->n; i++) {
		int rc = judge_one(&j->item[i], t, &out[JUDGE_MODULES], e);
		if (rc)
			return rc;
	}
	divide(&out[JUDGE_MODULES], j->n);
	return 0;
}
