/* The loop of training: which prompts a step takes, accumulation, the update, checkpoints. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/file.h"
#include "engine/random.h"
#include "engine/safetensors.h"
#include "engine/train.h"
#include "engine/train/optimizer.h"
#include "engine/train/parameters.h"
#include "engine/train/step.h"

struct trainer {
	const struct model *model;
	struct target_store *store;
	int *target; /* (n_target) numbers in the store */
	int n_target;
	struct train_options options;
	char *checkpoint, *note;
	struct optimizer_options rule;
	struct parameters parameters; /* the values as they were last asked for; the present ones are the step's */
	float *start; /* parameters' values before the first step */
	struct train_step *step;
	int64_t updates; /* made */
	struct step_prompt *prompt; /* (n_micro) of the run at hand */
	char identity[65]; /* of everything that the result depends on */
};

void train_options_default(struct train_options *o)
{
	*o = (struct train_options){.n_lookahead = 32, .r = 8, .alpha = 32, .targets = (1u << N_PROJ) - 1, .lr = 1e-3f, .clip = 1,
		.batch = 8, .steps = 200, .warmup = 10, .seed = 1, .checkpoint_every = 50};
}

static int n_micro(const struct train_options *o)
{
	return o->n_micro > 0 && o->n_micro < o->batch ? o->n_micro : o->batch;
}

static struct step_limits limits_of(const struct train_options *o, int longest)
{
	return (struct step_limits){.max_prompts = n_micro(o), .max_tokens = longest,
		.n_threads = o->n_threads > 0 ? o->n_threads : engine_build()->n_threads};
}

uint64_t trainer_bytes(const struct model *m, const struct train_options *o, int longest)
{
	struct step_limits limits = limits_of(o, longest);
	return step_bytes(m, o->n_lookahead, o->r, &limits);
}

/* ---- opening ---- */

static int longest_target(struct trainer *t, int *longest, struct err *e)
{
	*longest = t->options.longest;
	for (int i = 0; i < t->n_target; i++) {
		struct target target;
		int rc = target_get(t->store, t->target[i], &target, e);
		if (rc)
			return rc;
		*longest = target.n > *longest ? target.n : *longest;
	}
	return 0;
}

/* Hash of options, model, starting values and targets: a checkpoint of another identity is not continued; without one nobody asks. */
static int identify(struct trainer *t, struct err *e)
{
	const struct train_options *o = &t->options;
	const char *model_hash;
	char text[1024], start[65], targets[65];
	int rc = model_sha256(t->model, &model_hash, e);
	uint64_t *token_sum = calloc((size_t)t->n_target, sizeof *token_sum);
	if (!rc && !token_sum)
		rc = err_set(e, ERR_MEMORY, "no memory for %d targets", t->n_target);
	for (int i = 0; i < t->n_target && !rc; i++) {
		struct target target;
		rc = target_get(t->store, t->target[i], &target, e);
		for (int j = 0; j < target.n && !rc; j++)
			token_sum[i] = token_sum[i] * 0x9e3779b97f4a7c15u + (uint64_t)target.ids[j] + (uint64_t)target.n_response;
	}
	if (!rc) {
		sha256_hex(t->parameters.value, t->parameters.n * sizeof *t->parameters.value, start);
		sha256_hex(token_sum, (size_t)t->n_target * sizeof *token_sum, targets);
		int n = snprintf(text, sizeof text, "%s %s %s %a %a %a %d %d %d %d %llu %u", model_hash, start, targets, (double)o->lr,
			(double)o->weight_decay, (double)o->clip, o->batch, n_micro(o), o->steps, o->warmup, (unsigned long long)o->seed, o->targets);
		sha256_hex(text, (size_t)n, t->identity);
	}
	free(token_sum);
	return rc;
}

static int open_parts(struct trainer *t, struct err *e)
{
	const struct train_options *o = &t->options;
	struct lookahead *fresh = NULL;
	int longest, rc = longest_target(t, &longest, e);
	if (!rc && !o->start)
		rc = lookahead_untrained(&fresh, t->model, o->n_lookahead, o->r, o->alpha, o->seed, e);
	rc = rc ? rc : parameters_new(&t->parameters, t->model, o->start ? o->start : fresh, o->targets ? o->targets : ~0u, e);
	lookahead_free(fresh);
	if (rc)
		return rc;
	struct step_limits limits = limits_of(o, longest);
	rc = step_open(&t->step, t->model, &t->parameters, &limits, e);
	if (rc)
		return rc;
	t->prompt = malloc((size_t)n_micro(o) * sizeof *t->prompt);
	t->start = malloc(t->parameters.n * sizeof *t->start);
	if (!t->prompt || !t->start)
		return err_set(e, ERR_MEMORY, "no memory for %zu parameters", t->parameters.n);
	memcpy(t->start, t->parameters.value, t->parameters.n * sizeof *t->start);
	t->rule = (struct optimizer_options){.lr = o->lr, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = o->weight_decay,
		.clip = o->clip, .warmup = o->warmup, .steps = o->steps, .floor = 0.05f};
	return t->checkpoint ? identify(t, e) : 0;
}

static int read_checkpoint(struct trainer *t, int *resumed, struct err *e);

int trainer_open(struct trainer **out, const struct model *m, struct target_store *store, const int *target, int n_target,
	const struct train_options *o, int *resumed, struct err *e)
{
	*resumed = 0;
	if (n_target < 1)
		return err_set(e, ERR_USE, "training: no usable prompts");
	if (o->batch < 1 || o->steps < 1 || o->warmup < 0 || !(o->lr > 0))
		return err_set(e, ERR_USE, "training: batch %d, steps %d, warm-up %d, rate %g: all must be positive", o->batch, o->steps,
			o->warmup, (double)o->lr);
	struct trainer *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_MEMORY, "no memory for training");
	*t = (struct trainer){.model = m, .store = store, .n_target = n_target, .options = *o,
		.checkpoint = o->checkpoint ? strdup(o->checkpoint) : NULL, .note = o->note ? strdup(o->note) : NULL,
		.target = malloc((size_t)n_target * sizeof *t->target)};
	int rc = 0;
	if (!t->target || (o->checkpoint && !t->checkpoint) || (o->note && !t->note))
		rc = err_set(e, ERR_MEMORY, "no memory for %d targets", n_target);
	else
		memcpy(t->target, target, (size_t)n_target * sizeof *target);
	rc = rc ? rc : open_parts(t, e);
	rc = rc ? rc : read_checkpoint(t, resumed, e);
	if (rc) {
		trainer_close(t);
		return rc;
	}
	*out = t;
	return 0;
}

void trainer_close(struct trainer *t)
{
	if (!t)
		return;
	step_close(t->step);
	parameters_free(&t->parameters);
	free(t->start);
	free(t->prompt);
	free(t->target);
	free(t->checkpoint);
	free(t->note);
	free(t);
}

/* ---- a step ---- */

/* Place `position` of an endless sequence of shuffled passes over the targets: a function of seed and position alone, so that a
 * resumed run goes on with the same prompts. */
static int target_at(const struct trainer *t, int64_t position, int *order)
{
	struct rng rng;
	rng_seed_stream(&rng, t->options.seed, (uint64_t)(position / t->n_target));
	for (int i = 0; i < t->n_target; i++)
		order[i] = i;
	for (int i = t->n_target - 1; i > 0; i--) {
		int j = (int)rng_below(&rng, (uint32_t)i + 1), swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	return t->target[order[position % t->n_target]];
}

static int step_prompt_of(struct trainer *t, int number, struct step_prompt *out, struct err *e)
{
	struct target target;
	int rc = target_get(t->store, number, &target, e);
	if (rc)
		return rc;
	*out = (struct step_prompt){.n = target.n, .truth = target.truth, .half_key = target.key, .half_value = target.value};
	return 0;
}

static int accumulate(struct trainer *t, const int *batch, double *loss, int64_t *tokens, struct err *e)
{
	const struct train_options *o = &t->options;
	step_clear(t->step, STEP_GRADIENT);
	for (int at = 0; at < o->batch; at += n_micro(o)) {
		struct step_prompt *prompt = t->prompt;
		int n = o->batch - at < n_micro(o) ? o->batch - at : n_micro(o);
		for (int i = 0; i < n; i++) {
			int rc = step_prompt_of(t, batch[at + i], &prompt[i], e);
			if (rc)
				return rc;
			*tokens += prompt[i].n;
		}
		struct step_request request = {.prompt = prompt, .n_prompt = n, .n_share = o->batch, .backward = true};
		struct step_result result = {0};
		int rc = step_run(t->step, &request, &result, e);
		for (int i = 0; i < n && !rc; i++)
			rc = target_check(t->store, batch[at + i], e);
		if (rc)
			return rc;
		*loss += result.loss * n / o->batch;
	}
	return 0;
}

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int name_bad_gradient(struct trainer *t, struct err *e)
{
	char where[64];
	float *gradient = malloc(t->parameters.n * sizeof *gradient);
	int rc = gradient ? step_get(t->step, STEP_GRADIENT, gradient, e) : (int)err_set(e, ERR_NUMBER, "the gradient is not finite");
	if (gradient && !rc) {
		parameters_find_bad(&t->parameters, gradient, where, sizeof where);
		rc = err_set(e, ERR_NUMBER, "the gradient of %s is not finite", where);
	}
	free(gradient);
	return rc;
}

int trainer_step(struct trainer *t, struct train_report *report, struct err *e)
{
	const struct train_options *o = &t->options;
	double begin = seconds_now();
	int64_t step = t->updates;
	int *batch = malloc(((size_t)o->batch + (size_t)t->n_target) * sizeof *batch);
	if (!batch)
		return err_set(e, ERR_MEMORY, "no memory for a batch of %d", o->batch);
	for (int i = 0; i < o->batch; i++)
		batch[i] = target_at(t, step * o->batch + i, batch + o->batch);
	*report = (struct train_report){.step = (int)step + 1, .steps = o->steps, .rate = (double)optimizer_rate(&t->rule, step)};
	int rc = accumulate(t, batch, &report->loss, &report->tokens, e);
	free(batch);
	if (rc)
		return err_prefix(e, "step %lld", (long long)step + 1);
	rc = step_update(t->step, &t->rule, step, &report->norm, e);
	report->seconds = seconds_now() - begin;
	if (!rc && !isfinite(report->norm))
		rc = name_bad_gradient(t, e);
	if (rc)
		return err_prefix(e, "step %lld", (long long)step + 1);
	t->updates++;
	bool due = t->checkpoint && o->checkpoint_every > 0 && t->updates % o->checkpoint_every == 0;
	return due ? trainer_save_checkpoint(t, e) : 0;
}

void trainer_rewind(struct trainer *t)
{
	step_put(t->step, STEP_VALUE, t->start);
	step_clear(t->step, STEP_FIRST);
	step_clear(t->step, STEP_SECOND);
	t->updates = 0;
}

int trainer_judge(struct trainer *t, int target, double *loss, float *mean, double *head_kl, struct err *e)
{
	struct step_prompt prompt;
	int rc = step_prompt_of(t, target, &prompt, e);
	if (rc)
		return rc;
	struct step_request request = {.prompt = &prompt, .n_prompt = 1};
	struct step_result result = {.head_kl = head_kl, .mean = mean ? (float *const[]){mean} : NULL};
	rc = step_run(t->step, &request, &result, e);
	rc = rc ? rc : target_check(t->store, target, e);
	*loss = rc ? NAN : result.loss;
	return rc;
}

/* What modules say of their making: the model they were made for, and how. */
static int sign(struct lookahead *l, const struct trainer *t, struct err *e)
{
	const char *hex;
	int rc = model_sha256(t->model, &hex, e);
	if (rc)
		return rc;
	free(l->base_sha256);
	free(l->training);
	l->base_sha256 = strdup(hex);
	l->training = t->note ? strdup(t->note) : NULL;
	return l->base_sha256 && (l->training || !t->note) ? 0 : (int)err_set(e, ERR_MEMORY, "training: out of memory");
}

int trainer_export(struct trainer *t, struct lookahead **out, struct err *e)
{
	int rc = step_get(t->step, STEP_VALUE, t->parameters.value, e);
	rc = rc ? rc : parameters_export(&t->parameters, t->model, out, e);
	if (rc)
		return rc;
	rc = sign(*out, t, e);
	if (rc) {
		lookahead_free(*out);
		*out = NULL;
	}
	return rc;
}

/* ---- checkpoints ---- */

static struct st_tensor floats(const char *name, const float *data, size_t n)
{
	return (struct st_tensor){.name = name, .dtype = ST_F32, .n_dim = 1, .dim = {(int64_t)n}, .data = (const uint8_t *)data,
		.n_bytes = n * sizeof(float)};
}

/* The vectors that a checkpoint keeps, by their names there. */
static const struct {
	const char *name;
	enum step_vector vector;
} kept[] = {{"value", STEP_VALUE}, {"first", STEP_FIRST}, {"second", STEP_SECOND}};
enum { N_KEPT = sizeof kept / sizeof *kept };

int trainer_save_checkpoint(struct trainer *t, struct err *e)
{
	size_t n = t->parameters.n;
	struct st_tensor tensor[N_KEPT + 1];
	struct st_pair meta = {"kvglass.training", t->identity};
	if (!t->checkpoint)
		return 0;
	float *copy = malloc(N_KEPT * n * sizeof *copy);
	int rc = copy ? 0 : (int)err_set(e, ERR_MEMORY, "no memory for a checkpoint of %zu parameters", n);
	for (size_t i = 0; i < N_KEPT && !rc; i++) {
		rc = step_get(t->step, kept[i].vector, copy + i * n, e);
		tensor[i] = floats(kept[i].name, copy + i * n, n);
	}
	tensor[N_KEPT] = (struct st_tensor){.name = "step", .dtype = ST_I64, .n_dim = 1, .dim = {1}, .data = (const uint8_t *)&t->updates,
		.n_bytes = sizeof t->updates};
	rc = rc ? rc : st_write(t->checkpoint, tensor, N_KEPT + 1, &meta, 1, e);
	free(copy);
	return rc;
}

static int load_vector(struct trainer *t, const struct st_file *f, size_t which, float *copy, struct err *e)
{
	const struct st_tensor *tensor = st_find(f, kept[which].name);
	size_t n = t->parameters.n;
	if (!tensor || tensor->n_bytes != n * sizeof *copy)
		return err_set(e, ERR_FORMAT, "%s: not a whole checkpoint", t->checkpoint);
	int rc = st_read_f32(tensor, 0, n, copy, e);
	if (!rc)
		step_put(t->step, kept[which].vector, copy);
	return rc;
}

static int load_checkpoint(struct trainer *t, const struct st_file *f, struct err *e)
{
	const struct st_tensor *step = st_find(f, "step");
	const char *identity = st_meta(f, "kvglass.training");
	if (!identity || strcmp(identity, t->identity))
		return err_set(e, ERR_USE, "%s is a checkpoint of other options, prompts or model: remove it, or train as it was begun",
			t->checkpoint);
	if (!step || step->dtype != ST_I64 || step->n_bytes != sizeof t->updates)
		return err_set(e, ERR_FORMAT, "%s: not a whole checkpoint", t->checkpoint);
	float *copy = malloc(t->parameters.n * sizeof *copy);
	int rc = copy ? 0 : (int)err_set(e, ERR_MEMORY, "no memory for a checkpoint of %zu parameters", t->parameters.n);
	for (size_t i = 0; i < N_KEPT && !rc; i++)
		rc = load_vector(t, f, i, copy, e);
	if (!rc)
		memcpy(&t->updates, step->data, sizeof t->updates);
	free(copy);
	return rc;
}

static int read_checkpoint(struct trainer *t, int *resumed, struct err *e)
{
	struct file_map map;
	struct st_file f = {0};
	FILE *probe = t->checkpoint ? fopen(t->checkpoint, "rb") : NULL;
	if (!probe)
		return 0;
	fclose(probe);
	int rc = file_map_open(&map, t->checkpoint, e);
	if (rc)
		return rc;
	rc = st_parse(&f, map.data, map.size, t->checkpoint, e);
	rc = rc ? rc : load_checkpoint(t, &f, e);
	st_free(&f);
	int changed = file_map_check(&map, e);
	rc = changed ? changed : rc;
	file_map_close(&map);
	*resumed = rc ? 0 : (int)t->updates;
	return rc;
}
