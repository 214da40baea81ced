#include "engine/train/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/layer.h"

/* ---- memory ---- */

/* Floats are handed out twice by the same function: counted with base NULL, then placed. */
struct arena {
	float *base;
	size_t n;
};

static float *take(struct arena *a, size_t n)
{
	float *at = a->base ? a->base + a->n : NULL;
	a->n += (n + 15) / 16 * 16; /* a cache line's start for each */
	return at;
}

struct step_shape {
	const struct model *model;
	int n_lookahead, r;
	struct step_limits limits;
};

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

static void take_all(struct arena *a, const struct step_shape *shape, struct train_step *s)
{
	const struct model_info *info = &shape->model->info;
	size_t rows = (size_t)shape->limits.max_prompts * (size_t)shape->n_lookahead, width = rows * (size_t)info->n_embd;
	for (int layer = 0; layer < info->n_layer; layer++)
		take_tape(a, shape, layer, &s->tape[layer]);
	for (int i = 0; i < shape->limits.max_prompts; i++)
		s->mean[i] = take(a, (size_t)info->n_layer * (size_t)info->n_head * (size_t)shape->limits.max_tokens);
	s->task_floats = (row_attention_floats(shape->model, shape->n_lookahead, shape->limits.max_tokens) + 15) / 16 * 16;
	s->task = take(a, (size_t)shape->limits.n_threads * s->task_floats);
	float **narrow[] = {&s->normed, &s->out, &s->d_out, &s->d_normed};
	for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
		*narrow[i] = take(a, width);
	float **broad[] = {&s->act, &s->d_wide, &s->d_wide2, &s->d_q};
	for (size_t i = 0; i < sizeof broad / sizeof *broad; i++)
		*broad[i] = take(a, rows * widest(info));
	s->d_k = take(a, rows * (size_t)info->n_kv_head * (size_t)info->head_dim);
	s->d_v = take(a, rows * (size_t)info->n_kv_head * (size_t)info->head_dim);
	s->d_low = take(a, rows * (size_t)shape->r);
}

/* The pointers' homes; small beside the arena. */
static int new_tables(struct train_step *s, const struct step_shape *shape)
{
	size_t prompts = (size_t)shape->limits.max_prompts, layers = (size_t)shape->model->info.n_layer;
	s->tape = calloc(layers, sizeof *s->tape);
	s->mean = calloc(prompts, sizeof *s->mean);
	s->offset = calloc(prompts, sizeof *s->offset);
	s->head_kl = calloc(prompts * layers * (size_t)shape->model->info.n_head, sizeof *s->head_kl);
	return s->tape && s->mean && s->offset && s->head_kl ? 0 : ERR_MEMORY;
}

uint64_t step_bytes(const struct model *m, int n_lookahead, int r, const struct step_limits *limits)
{
	struct step_shape shape = {.model = m, .n_lookahead = n_lookahead, .r = r, .limits = *limits};
	struct train_step s = {0};
	struct arena count = {0};
	if (new_tables(&s, &shape) == 0)
		take_all(&count, &shape, &s);
	free(s.tape);
	free(s.mean);
	free(s.offset);
	free(s.head_kl);
	return (uint64_t)count.n * sizeof(float);
}

int step_open(struct train_step **out, const struct model *m, const struct parameters *p, const struct step_limits *limits, struct err *e)
{
	struct step_shape shape = {.model = m, .n_lookahead = p->n_lookahead, .r = p->r, .limits = *limits};
	struct train_step *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_MEMORY, "no memory for a training step");
	*s = (struct train_step){.model = m, .limits = *limits, .n_row = p->n_lookahead};
	if (new_tables(s, &shape)) {
		step_close(s);
		return err_set(e, ERR_MEMORY, "no memory for a training step");
	}
	struct arena arena = {0};
	take_all(&arena, &shape, s);
	s->arena = aligned_alloc(64, arena.n * sizeof(float));
	if (!s->arena) {
		step_close(s);
		return err_set(e, ERR_MEMORY, "a training step of %d prompts needs %zu MiB", limits->max_prompts, arena.n >> 18);
	}
	arena = (struct arena){.base = s->arena};
	take_all(&arena, &shape, s);
	/* A backend of one row lends its threads, kernels and panel buffers. */
	struct backend_config config = {.model = m, .max_tokens = 1, .max_rows = 1, .n_threads = limits->n_threads};
	int rc = backend_cpu.open((struct backend **)&s->cpu, &config, e);
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
	if (s->cpu)
		backend_cpu.close((struct backend *)s->cpu);
	free(s->arena);
	free(s->tape);
	free(s->mean);
	free(s->offset);
	free(s->head_kl);
	free(s);
}

/* ---- a step ---- */

static void place_embedding(const struct pass *pass)
{
	size_t floats = (size_t)pass->s->n_row * (size_t)pass->s->model->info.n_embd;
	for (int i = 0; i < pass->n_prompt; i++) {
		memcpy(pass->s->tape[0].x + (size_t)i * floats, pass->p->value, floats * sizeof(float));
		pass->s->offset[i] = pass->prompt[i].n;
	}
}

/* The soft tokens are the same for every prompt: their gradient is the sum. */
static void gather_embedding(const struct pass *pass)
{
	int floats = pass->s->n_row * pass->s->model->info.n_embd;
	for (int i = 0; i < pass->n_prompt; i++)
		pass->s->cpu->simd->rows->axpy(pass->gradient, 1, pass->s->d_out + (size_t)i * (size_t)floats, floats);
}

static int collect(const struct pass *pass, struct step_result *result, struct err *e)
{
	const struct model_info *info = &pass->s->model->info;
	int heads = info->n_layer * info->n_head;
	double total = 0;
	for (int i = 0; i < pass->n_prompt; i++) {
		double sum = 0;
		for (int k = 0; k < heads; k++) {
			double kl = pass->s->head_kl[(size_t)i * (size_t)heads + (size_t)k];
			if (!isfinite(kl))
				return err_set(e, ERR_NUMBER, "the loss of prompt %d of this step is not finite in layer %d, head %d", i,
					k / info->n_head, k % info->n_head);
			sum += kl;
		}
		if (result->prompt_loss)
			result->prompt_loss[i] = sum / heads;
		total += sum / heads;
		if (result->mean)
			memcpy(result->mean[i], pass->s->mean[i], (size_t)heads * (size_t)pass->prompt[i].n * sizeof(float));
	}
	if (result->head_kl)
		memcpy(result->head_kl, pass->s->head_kl, (size_t)pass->n_prompt * (size_t)heads * sizeof(double));
	result->loss = total / pass->n_prompt;
	return 0;
}

static int check_request(const struct train_step *s, const struct step_request *r, struct err *e)
{
	if (r->n_prompt < 1 || r->n_prompt > s->limits.max_prompts)
		return err_set(e, ERR_USE, "a step of %d prompts, this one takes 1 to %d", r->n_prompt, s->limits.max_prompts);
	for (int i = 0; i < r->n_prompt; i++)
		if (r->prompt[i].n < 1 || r->prompt[i].n > s->limits.max_tokens)
			return err_set(e, ERR_LIMIT, "a training prompt of %d tokens, this step takes 1 to %d", r->prompt[i].n, s->limits.max_tokens);
	return 0;
}

int step_run(struct train_step *s, const struct parameters *p, const struct step_request *request, struct step_result *result,
	struct err *e)
{
	int rc = check_request(s, request, e), n_layer = s->model->info.n_layer;
	if (rc)
		return rc;
	struct pass pass = {.s = s, .p = p, .prompt = request->prompt, .n_prompt = request->n_prompt,
		.n_row = request->n_prompt * s->n_row, .n_share = request->n_share ? request->n_share : request->n_prompt,
		.gradient = request->gradient};
	atomic_store(&s->cpu->failure, 0);
	place_embedding(&pass);
	for (int layer = 0; layer < n_layer; layer++)
		layer_forward(&pass, layer);
	rc = collect(&pass, result, e);
	if (rc)
		return rc;
	if (pass.gradient) {
		memset(s->d_out, 0, (size_t)pass.n_row * (size_t)s->model->info.n_embd * sizeof(float));
		for (int layer = n_layer - 1; layer >= 0; layer--)
			layer_backward(&pass, layer);
		gather_embedding(&pass);
	}
	if (atomic_load(&s->cpu->failure))
		return err_set(e, ERR_MEMORY, "the matrix library found no memory for its work space");
	return model_check(s->model, e);
}
