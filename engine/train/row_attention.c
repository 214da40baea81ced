/* Attention of the lookahead rows of a step: one task for every (prompt, KV head), single-threaded inside. */
#include <math.h>
#include <string.h>

#include "engine/train/attention_grad.h"
#include "engine/train/layer.h"

/* A task's scratch, laid out by carve(). */
struct task {
	float *attention, *query, *out, *d_out, *d_query, *key, *value, *d_key, *d_value;
	float *wide_key, *wide_value; /* (n, d) the prompt's, when they are kept in half precision */
	struct attention_block block;
	int which, layer, group, first_head, n_rep;
	size_t map;    /* of the group's first head in (n_layer, n_head, n) */
	size_t q_at, kv_at; /* of the prompt's first row in (R, ...) */
};

struct attention_job {
	const struct pass *pass;
	int layer;
};

static struct attention_block block_shape(const struct model *m, int n_row, int n_tokens)
{
	return (struct attention_block){.n = n_tokens, .n_row = n_row, .n_rep = m->info.n_head / m->info.n_kv_head,
		.head_dim = m->info.head_dim};
}

size_t row_attention_floats(const struct model *m, int n_row, int max_tokens)
{
	struct attention_block widest = block_shape(m, n_row, max_tokens);
	size_t one = (size_t)n_row * (size_t)widest.head_dim;
	return attention_scratch(&widest) + one * (size_t)(4 * widest.n_rep + 4) + 2 * (size_t)max_tokens * (size_t)widest.head_dim;
}

static struct task carve(const struct attention_job *job, int piece, int thread)
{
	const struct train_step *s = job->pass->s;
	const struct model_info *info = &s->model->info;
	int which = piece / info->n_kv_head, group = piece % info->n_kv_head, n_rep = info->n_head / info->n_kv_head;
	const struct step_prompt *prompt = &job->pass->prompt[which];
	size_t d = (size_t)info->head_dim, n = (size_t)prompt->n, rows = (size_t)which * (size_t)s->n_row, one = (size_t)s->n_row * d;
	struct task t = {.which = which, .layer = job->layer, .group = group, .n_rep = n_rep, .first_head = group * n_rep,
		.block = block_shape(s->model, s->n_row, prompt->n), .q_at = rows * (size_t)info->n_head * d,
		.kv_at = rows * (size_t)info->n_kv_head * d};
	t.map = ((size_t)job->layer * (size_t)info->n_head + (size_t)t.first_head) * n;
	t.attention = s->task + (size_t)thread * s->task_floats;
	float *at = t.attention + attention_scratch(&t.block), **part[] = {&t.query, &t.out, &t.d_out, &t.d_query};
	for (size_t i = 0; i < sizeof part / sizeof *part; i++, at += one * (size_t)n_rep)
		*part[i] = at;
	float **single[] = {&t.key, &t.value, &t.d_key, &t.d_value};
	for (size_t i = 0; i < sizeof single / sizeof *single; i++, at += one)
		*single[i] = at;
	t.wide_key = at;
	t.wide_value = at + n * d;
	t.block.simd = s->cpu->simd->rows;
	t.block.look_key = t.key;
	t.block.look_value = t.value;
	t.block.query = t.query;
	return t;
}

/* Heads first .. first + count - 1 of rows (T, n_head * d), and back from (count, T, d). */
struct heads {
	int n_head, first, count, n_row, d;
};

static void gather(struct heads h, const float *rows, float *out)
{
	for (int k = 0; k < h.count; k++)
		for (int i = 0; i < h.n_row; i++)
			memcpy(out + ((size_t)k * (size_t)h.n_row + (size_t)i) * (size_t)h.d,
				rows + ((size_t)i * (size_t)h.n_head + (size_t)(h.first + k)) * (size_t)h.d, (size_t)h.d * sizeof *out);
}

static void scatter(struct heads h, const float *in, float *rows)
{
	for (int k = 0; k < h.count; k++)
		for (int i = 0; i < h.n_row; i++)
			memcpy(rows + ((size_t)i * (size_t)h.n_head + (size_t)(h.first + k)) * (size_t)h.d,
				in + ((size_t)k * (size_t)h.n_row + (size_t)i) * (size_t)h.d, (size_t)h.d * sizeof *rows);
}

static struct heads query_heads(const struct pass *pass, const struct task *t)
{
	const struct model_info *info = &pass->s->model->info;
	return (struct heads){info->n_head, t->first_head, t->n_rep, pass->s->n_row, info->head_dim};
}

static struct heads kv_head(const struct pass *pass, const struct task *t)
{
	const struct model_info *info = &pass->s->model->info;
	return (struct heads){info->n_kv_head, t->group, 1, pass->s->n_row, info->head_dim};
}

/* The query carries 1 / sqrt(d), so that logits, dQ and dK need no factor of their own. */
static float query_scale(const struct task *t)
{
	return 1.0f / sqrtf((float)t->block.head_dim);
}

/* The constants of this task: where they lie, or widened into its scratch. */
static void load_constants(const struct pass *pass, struct task *t)
{
	const struct model_info *info = &pass->s->model->info;
	const struct step_prompt *prompt = &pass->prompt[t->which];
	size_t n = (size_t)prompt->n * (size_t)info->head_dim;
	size_t at = ((size_t)t->layer * (size_t)info->n_kv_head + (size_t)t->group) * n;
	if (prompt->key) {
		t->block.key = prompt->key + at;
		t->block.value = prompt->value + at;
		return;
	}
	const struct simd_unpack *unpack = pass->s->cpu->simd->unpack;
	unpack->unpack[TYPE_F16]((const uint8_t *)(prompt->half_key + at), (int)n, t->wide_key);
	unpack->unpack[TYPE_F16]((const uint8_t *)(prompt->half_value + at), (int)n, t->wide_value);
	t->block.key = t->wide_key;
	t->block.value = t->wide_value;
}

static void load_task(const struct pass *pass, struct task *t)
{
	load_constants(pass, t);
	const struct tape *tape = &pass->s->tape[t->layer];
	gather(query_heads(pass, t), tape->q + t->q_at, t->query);
	t->block.simd->scale(t->query, query_scale(t), t->n_rep * pass->s->n_row * t->block.head_dim);
	gather(kv_head(pass, t), tape->k + t->kv_at, t->key);
	if (!is_last_layer(pass, t->layer))
		gather(kv_head(pass, t), tape->v + t->kv_at, t->value);
}

static float *lse_of(const struct pass *pass, const struct task *t)
{
	size_t head = (size_t)t->which * (size_t)pass->s->model->info.n_head + (size_t)t->first_head;
	return pass->s->tape[t->layer].lse + head * (size_t)pass->s->n_row;
}

/* The objective of the group's heads; in a step with a backward pass dLoss/ds takes the place of s. */
static void judge(const struct pass *pass, const struct task *t, float *mean)
{
	const struct model_info *info = &pass->s->model->info;
	int n = t->block.n;
	const float *truth = pass->prompt[t->which].truth + t->map;
	double weight = 1.0 / ((double)pass->n_share * info->n_layer * info->n_head);
	double *kl = pass->s->head_kl + ((size_t)t->which * (size_t)info->n_layer + (size_t)t->layer) * (size_t)info->n_head;
	for (int h = 0; h < t->n_rep; h++) {
		float *s = mean + (size_t)h * (size_t)n;
		kl[t->first_head + h] = objective_kl(truth + (size_t)h * (size_t)n, s, n, weight, pass->gradient ? s : NULL);
	}
}

static void forward_piece(void *context, int piece, int thread)
{
	const struct attention_job *job = context;
	const struct pass *pass = job->pass;
	struct task t = carve(job, piece, thread);
	load_task(pass, &t);
	float *mean = pass->s->mean[t.which] + t.map;
	bool last = is_last_layer(pass, t.layer);
	attention_forward(&t.block, t.attention, last ? NULL : t.out, lse_of(pass, &t), mean);
	if (!last)
		scatter(query_heads(pass, &t), t.out, pass->s->tape[t.layer].attended + t.q_at);
	judge(pass, &t, mean);
}

static void backward_piece(void *context, int piece, int thread)
{
	const struct attention_job *job = context;
	const struct pass *pass = job->pass;
	struct train_step *s = pass->s;
	struct task t = carve(job, piece, thread);
	load_task(pass, &t);
	bool last = is_last_layer(pass, t.layer);
	if (!last)
		gather(query_heads(pass, &t), s->d_wide + t.q_at, t.d_out);
	struct attention_gradient g = {.lse = lse_of(pass, &t), .d_mean = s->mean[t.which] + t.map, .d_out = last ? NULL : t.d_out,
		.d_query = t.d_query, .d_key = t.d_key, .d_value = t.d_value};
	attention_backward(&t.block, &g, t.attention);
	t.block.simd->scale(t.d_query, query_scale(&t), t.n_rep * s->n_row * t.block.head_dim);
	scatter(query_heads(pass, &t), t.d_query, s->d_q + t.q_at);
	scatter(kv_head(pass, &t), t.d_key, s->d_k + t.kv_at);
	if (!last)
		scatter(kv_head(pass, &t), t.d_value, s->d_v + t.kv_at);
}

static void run(const struct pass *pass, int layer, threads_work *piece)
{
	struct attention_job job = {.pass = pass, .layer = layer};
	threads_run(pass->s->cpu->threads, pass->n_prompt * pass->s->model->info.n_kv_head, piece, &job);
}

void row_attention_forward(const struct pass *pass, int layer)
{
	run(pass, layer, forward_piece);
}

void row_attention_backward(const struct pass *pass, int layer)
{
	run(pass, layer, backward_piece);
}
