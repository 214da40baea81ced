#include "engine/train/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/device.h"
#include "engine/train/layer.h"

/* The table for the model's device (model_info.device). */
static const struct step_ops *step_ops_for(const struct model *m)
{
	return strncmp(m->info.device, "cuda:", 5) ? &step_cpu : cuda_step_ops();
}

/* ---- memory ---- */

/* Bytes are handed out twice by the same function: counted with base NULL, then placed. */
struct arena {
	char *base;
	size_t n;
};

static void *take_bytes(struct arena *a, size_t n_bytes)
{
	void *at = a->base ? a->base + a->n : NULL;
	a->n += (n_bytes + 63) / 64 * 64; /* a cache line's start for each */
	return at;
}

static float *take(struct arena *a, size_t n)
{
	return take_bytes(a, n * sizeof(float));
}

static size_t widest(const struct model_info *info)
{
	size_t heads = (size_t)info->n_head * (size_t)info->head_dim;
	return heads > (size_t)info->n_ff ? heads : (size_t)info->n_ff;
}

static void take_tape(struct arena *a, const struct step_shape *shape, int layer, struct tape *tape)
{
	const struct model_info *info = &shape->model->info;
	size_t rows = (size_t)shape->limits.max_prompts * (size_t)shape->n_lookahead;
	size_t q = rows * (size_t)info->n_head * (size_t)info->head_dim, kv = rows * (size_t)info->n_kv_head * (size_t)info->head_dim;
	size_t width = rows * (size_t)info->n_embd, wide = rows * (size_t)info->n_ff;
	bool normed = shape->model->layer[layer].q_norm != NULL;
	*tape = (struct tape){.x = take(a, width), .q = take(a, q), .k = take(a, kv), .v = take(a, kv), .attended = take(a, q),
		.middle = take(a, width), .gate = take(a, wide), .up = take(a, wide), .lse = take(a, rows * (size_t)info->n_head)};
	if (normed) {
		tape->q_raw = take(a, q);
		tape->k_raw = take(a, kv);
	}
	for (int proj = 0; proj < N_PROJ; proj++)
		tape->low[proj] = take(a, rows * (size_t)shape->r);
}

static void take_all(struct arena *a, size_t n_parameter, struct train_step *s)
{
	const struct step_shape *shape = &s->shape;
	const struct model_info *info = &shape->model->info;
	size_t prompts = (size_t)shape->limits.max_prompts, rows = prompts * (size_t)shape->n_lookahead, width = rows * (size_t)info->n_embd;
	size_t heads = (size_t)info->n_layer * (size_t)info->n_head;
	for (int i = 0; i < N_STEP_VECTOR; i++)
		s->vector[i] = take(a, n_parameter);
	for (int layer = 0; layer < info->n_layer; layer++)
		take_tape(a, shape, layer, &s->tape[layer]);
	for (size_t i = 0; i < prompts; i++)
		s->mean[i] = take(a, heads * (size_t)shape->limits.max_tokens);
	float **narrow[] = {&s->normed, &s->out, &s->d_out, &s->d_normed};
	for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
		*narrow[i] = take(a, width);
	float **broad[] = {&s->act, &s->d_wide, &s->d_wide2, &s->d_q};
	for (size_t i = 0; i < sizeof broad / sizeof *broad; i++)
		*broad[i] = take(a, rows * widest(info));
	s->d_k = take(a, rows * (size_t)info->n_kv_head * (size_t)info->head_dim);
	s->d_v = take(a, rows * (size_t)info->n_kv_head * (size_t)info->head_dim);
	s->d_low = take(a, rows * (size_t)shape->r);
	s->head_kl = take_bytes(a, prompts * heads * sizeof *s->head_kl);
	s->offset = take_bytes(a, prompts * sizeof *s->offset);
}

/* What lies on the host: the pointers' homes and what comes and goes; small beside the arena. */
static int new_tables(struct train_step *s)
{
	const struct model_info *info = &s->shape.model->info;
	size_t prompts = (size_t)s->shape.limits.max_prompts, layers = (size_t)info->n_layer;
	s->tape = calloc(layers, sizeof *s->tape);
	s->mean = calloc(prompts, sizeof *s->mean);
	s->host_offset = calloc(prompts, sizeof *s->host_offset);
	s->host_kl = calloc(prompts * layers * (size_t)info->n_head, sizeof *s->host_kl);
	return s->tape && s->mean && s->host_offset && s->host_kl ? 0 : ERR_MEMORY;
}

static void free_tables(struct train_step *s)
{
	free(s->tape);
	free(s->mean);
	free(s->host_offset);
	free(s->host_kl);
}

uint64_t step_bytes(const struct model *m, int n_lookahead, int r, const struct step_limits *limits)
{
	struct train_step s = {.shape = {.model = m, .n_lookahead = n_lookahead, .r = r, .limits = *limits}};
	struct arena count = {0};
	if (new_tables(&s) == 0)
		take_all(&count, parameters_count(m, n_lookahead, r), &s);
	free_tables(&s);
	return (uint64_t)count.n + step_ops_for(m)->bytes(&s.shape);
}

static int open_parts(struct train_step *s, struct err *e)
{
	struct arena arena = {0};
	if (new_tables(s))
		return err_set(e, ERR_MEMORY, "no memory for a training step");
	int rc = s->ops->open(&s->device, &s->shape, e);
	if (rc)
		return rc;
	take_all(&arena, s->p->n, s);
	size_t n_bytes = arena.n;
	arena = (struct arena){.base = s->ops->take(s->device, n_bytes)};
	rc = s->ops->finish(s->device, e);
	if (rc)
		return err_prefix(e, "a training step of %d prompts, %zu MiB", s->shape.limits.max_prompts, n_bytes >> 20);
	take_all(&arena, s->p->n, s);
	for (int i = 0; i < N_STEP_VECTOR; i++)
		step_clear(s, (enum step_vector)i);
	step_put(s, STEP_VALUE, s->p->value);
	return s->ops->finish(s->device, e);
}

int step_open(struct train_step **out, const struct model *m, const struct parameters *p, const struct step_limits *limits, struct err *e)
{
	struct train_step *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_MEMORY, "no memory for a training step");
	*s = (struct train_step){.shape = {.model = m, .n_lookahead = p->n_lookahead, .r = p->r, .limits = *limits}, .p = p,
		.ops = step_ops_for(m)};
	int rc = open_parts(s, e);
	if (rc) {
		step_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void step_close(struct train_step *s)
{
	if (!s)
		return;
	s->ops->close(s->device);
	free_tables(s);
	free(s);
}

/* ---- the vectors ---- */

void step_clear(struct train_step *s, enum step_vector which)
{
	s->ops->zero(s->device, s->vector[which], s->p->n);
}

void step_put(struct train_step *s, enum step_vector which, const float *from)
{
	s->ops->put(s->device, s->vector[which], from, s->p->n * sizeof *from);
}

int step_get(struct train_step *s, enum step_vector which, float *to, struct err *e)
{
	s->ops->get(s->device, to, s->vector[which], s->p->n * sizeof *to);
	return s->ops->finish(s->device, e);
}

int step_update(struct train_step *s, const struct optimizer_options *o, int64_t update, double *norm, struct err *e)
{
	*norm = sqrt(s->ops->square_sum(s->device, s->vector[STEP_GRADIENT], s->p->n));
	int rc = s->ops->finish(s->device, e);
	if (rc || !isfinite(*norm))
		return rc;
	struct adamw move = optimizer_move(o, update, *norm);
	move.n = s->p->n;
	move.gradient = s->vector[STEP_GRADIENT];
	move.first = s->vector[STEP_FIRST];
	move.second = s->vector[STEP_SECOND];
	move.value = s->vector[STEP_VALUE];
	s->ops->adamw(s->device, &move);
	return s->ops->finish(s->device, e);
}

/* ---- a step ---- */

static size_t soft_floats(const struct train_step *s)
{
	return (size_t)s->shape.n_lookahead * (size_t)s->shape.model->info.n_embd;
}

static void place_embedding(const struct pass *pass)
{
	struct train_step *s = pass->s;
	size_t floats = soft_floats(s);
	for (int i = 0; i < pass->n_prompt; i++) {
		s->ops->copy(s->device, s->vector[STEP_VALUE], floats, s->tape[0].x + (size_t)i * floats);
		s->host_offset[i] = pass->prompt[i].n;
	}
	s->ops->put(s->device, s->offset, s->host_offset, (size_t)pass->n_prompt * sizeof *s->offset);
}

/* The soft tokens are the same for every prompt: their gradient is the sum. */
static void gather_embedding(const struct pass *pass)
{
	struct train_step *s = pass->s;
	float *gradient = s->vector[STEP_GRADIENT];
	for (int i = 0; i < pass->n_prompt; i++)
		s->ops->add(s->device, gradient, s->d_out + (size_t)i * soft_floats(s), soft_floats(s), gradient);
}

static int collect_losses(const struct pass *pass, struct step_result *result, struct err *e)
{
	const struct model_info *info = &pass->s->shape.model->info;
	size_t heads = (size_t)info->n_layer * (size_t)info->n_head;
	double total = 0;
	for (int i = 0; i < pass->n_prompt; i++) {
		double sum = 0;
		for (size_t k = 0; k < heads; k++) {
			double kl = pass->s->host_kl[(size_t)i * heads + k];
			if (!isfinite(kl))
				return err_set(e, ERR_NUMBER, "the loss of prompt %d of this step is not finite in layer %d, head %d", i,
					(int)k / info->n_head, (int)k % info->n_head);
			sum += kl;
		}
		if (result->prompt_loss)
			result->prompt_loss[i] = sum / (double)heads;
		total += sum / (double)heads;
	}
	if (result->head_kl)
		memcpy(result->head_kl, pass->s->host_kl, (size_t)pass->n_prompt * heads * sizeof(double));
	result->loss = total / pass->n_prompt;
	return 0;
}

/* Waits for the forward pass. */
static int collect(const struct pass *pass, struct step_result *result, struct err *e)
{
	struct train_step *s = pass->s;
	const struct model_info *info = &s->shape.model->info;
	size_t heads = (size_t)info->n_layer * (size_t)info->n_head;
	s->ops->get(s->device, s->host_kl, s->head_kl, (size_t)pass->n_prompt * heads * sizeof(double));
	for (int i = 0; result->mean && i < pass->n_prompt; i++)
		s->ops->get(s->device, result->mean[i], s->mean[i], heads * (size_t)pass->prompt[i].n * sizeof(float));
	int rc = s->ops->finish(s->device, e);
	return rc ? rc : collect_losses(pass, result, e);
}

static int check_request(const struct step_limits *limits, const struct step_request *r, struct err *e)
{
	if (r->n_prompt < 1 || r->n_prompt > limits->max_prompts)
		return err_set(e, ERR_USE, "a step of %d prompts, this one takes 1 to %d", r->n_prompt, limits->max_prompts);
	for (int i = 0; i < r->n_prompt; i++)
		if (r->prompt[i].n < 1 || r->prompt[i].n > limits->max_tokens)
			return err_set(e, ERR_LIMIT, "a training prompt of %d tokens, this step takes 1 to %d", r->prompt[i].n, limits->max_tokens);
	return 0;
}

int step_run(struct train_step *s, const struct step_request *request, struct step_result *result, struct err *e)
{
	const struct model_info *info = &s->shape.model->info;
	int rc = check_request(&s->shape.limits, request, e);
	if (rc)
		return rc;
	double share = request->n_share ? request->n_share : request->n_prompt;
	struct pass pass = {.s = s, .prompt = request->prompt, .n_prompt = request->n_prompt,
		.n_row = request->n_prompt * s->shape.n_lookahead,
		.weight = request->backward ? 1.0 / (share * info->n_layer * info->n_head) : 0};
	place_embedding(&pass);
	for (int layer = 0; layer < info->n_layer; layer++)
		layer_forward(&pass, layer);
	rc = collect(&pass, result, e);
	if (rc)
		return rc;
	if (request->backward) {
		s->ops->zero(s->device, s->d_out, (size_t)pass.n_row * (size_t)info->n_embd);
		for (int layer = info->n_layer - 1; layer >= 0; layer--)
			layer_backward(&pass, layer);
		gather_embedding(&pass);
		rc = s->ops->finish(s->device, e);
	}
	return rc ? rc : model_check(s->shape.model, e);
}
