/* Attention of the lookahead rows of a step: one task for every (prompt, KV head), single-threaded inside. */
#include <math.h>
#include <string.h>

#include "engine/train/attention_grad.h"
#include "engine/train/step_cpu.h"

/* A task's scratch, laid out by carve(). */
struct task {
	float *attention, *query, *out, *d_out, *d_query, *key, *value, *d_key, *d_value;
	float *wide_key, *wide_value; /* (n, d) the prompt's, when they are kept in half precision */
	struct attention_block block;
	int which, group, first_head, n_rep;
	size_t map;    /* of the group's first head in (n_layer, n_head, n) */
	size_t q_at, kv_at; /* of the prompt's first row in (R, ...) */
};

struct attention_job {
	struct step_on_cpu *d;
	const struct attend_rows *op;
	const struct attend_rows_back *back; /* or NULL: forward */
};

static struct attention_block block_shape(const struct model *m, int n_row, int n_tokens)
{
	return (struct attention_block){.n = n_tokens, .n_row = n_row, .n_rep = m->info.n_head / m->info.n_kv_head,
		.head_dim = m->info.head_dim};
}

size_t row_attention_floats(const struct step_shape *shape)
{
	struct attention_block widest = block_shape(shape->model, shape->n_lookahead, shape->limits.max_tokens);
	size_t one = (size_t)widest.n_row * (size_t)widest.head_dim;
	return attention_scratch(&widest) + one * (size_t)(4 * widest.n_rep + 4) + 2 * (size_t)widest.n * (size_t)widest.head_dim;
}

static struct task carve(const struct attention_job *job, int piece, int thread)
{
	const struct step_on_cpu *s = job->d;
	const struct attend_rows *op = job->op;
	const struct model_info *info = &s->shape.model->info;
	int which = piece / info->n_kv_head, group = piece % info->n_kv_head, n_rep = info->n_head / info->n_kv_head;
	const struct step_prompt *prompt = &op->prompt[which];
	size_t d = (size_t)info->head_dim, n = (size_t)prompt->n, rows = (size_t)which * (size_t)op->n_row, one = (size_t)op->n_row * d;
	struct task t = {.which = which, .group = group, .n_rep = n_rep, .first_head = group * n_rep,
		.block = block_shape(s->shape.model, op->n_row, prompt->n), .q_at = rows * (size_t)info->n_head * d,
		.kv_at = rows * (size_t)info->n_kv_head * d};
	t.map = ((size_t)op->layer * (size_t)info->n_head + (size_t)t.first_head) * n;
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

static struct heads query_heads(const struct attention_job *job, const struct task *t)
{
	const struct model_info *info = &job->d->shape.model->info;
	return (struct heads){info->n_head, t->first_head, t->n_rep, job->op->n_row, info->head_dim};
}

static struct heads kv_head(const struct attention_job *job, const struct task *t)
{
	const struct model_info *info = &job->d->shape.model->info;
	return (struct heads){info->n_kv_head, t->group, 1, job->op->n_row, info->head_dim};
}

/* The query carries 1 / sqrt(d), so that logits, dQ and dK need no factor of their own. */
static float query_scale(const struct task *t)
{
	return 1.0f / sqrtf((float)t->block.head_dim);
}

/* The constants of this task: where they lie, or widened into its scratch. */
static void load_constants(const struct attention_job *job, struct task *t)
{
	const struct model_info *info = &job->d->shape.model->info;
	const struct step_prompt *prompt = &job->op->prompt[t->which];
	size_t n = (size_t)prompt->n * (size_t)info->head_dim;
	size_t at = ((size_t)job->op->layer * (size_t)info->n_kv_head + (size_t)t->group) * n;
	if (prompt->key) {
		t->block.key = prompt->key + at;
		t->block.value = prompt->value + at;
		return;
	}
	const struct simd_unpack *unpack = job->d->cpu->simd->unpack;
	unpack->unpack[TYPE_F16]((const uint8_t *)(prompt->half_key + at), (int)n, t->wide_key);
	unpack->unpack[TYPE_F16]((const uint8_t *)(prompt->half_value + at), (int)n, t->wide_value);
	t->block.key = t->wide_key;
	t->block.value = t->wide_value;
}

static void load_task(const struct attention_job *job, struct task *t)
{
	load_constants(job, t);
	gather(query_heads(job, t), job->op->q + t->q_at, t->query);
	t->block.simd->scale(t->query, query_scale(t), t->n_rep * job->op->n_row * t->block.head_dim);
	gather(kv_head(job, t), job->op->k + t->kv_at, t->key);
	if (job->op->v)
		gather(kv_head(job, t), job->op->v + t->kv_at, t->value);
}

static float *lse_of(const struct attention_job *job, const struct task *t)
{
	size_t head = (size_t)t->which * (size_t)job->d->shape.model->info.n_head + (size_t)t->first_head;
	return job->op->lse + head * (size_t)job->op->n_row;
}

/* The objective of the group's heads; in a step with a backward pass dLoss/ds takes the place of s. */
static void judge(const struct attention_job *job, const struct task *t, float *mean)
{
	const struct model_info *info = &job->d->shape.model->info;
	int n = t->block.n;
	const float *truth = job->op->prompt[t->which].truth + t->map;
	double weight = job->op->weight;
	double *kl = job->op->head_kl + ((size_t)t->which * (size_t)info->n_layer + (size_t)job->op->layer) * (size_t)info->n_head;
	for (int h = 0; h < t->n_rep; h++) {
		float *s = mean + (size_t)h * (size_t)n;
		kl[t->first_head + h] = objective_kl(truth + (size_t)h * (size_t)n, s, n, weight, weight > 0 ? s : NULL);
	}
}

static void forward_piece(void *context, int piece, int thread)
{
	const struct attention_job *job = context;
	struct task t = carve(job, piece, thread);
	load_task(job, &t);
	float *mean = job->op->mean[t.which] + t.map;
	attention_forward(&t.block, t.attention, job->op->attended ? t.out : NULL, lse_of(job, &t), mean);
	if (job->op->attended)
		scatter(query_heads(job, &t), t.out, job->op->attended + t.q_at);
	judge(job, &t, mean);
}

static void backward_piece(void *context, int piece, int thread)
{
	const struct attention_job *job = context;
	const struct attend_rows_back *back = job->back;
	struct task t = carve(job, piece, thread);
	load_task(job, &t);
	if (back->d_attended)
		gather(query_heads(job, &t), back->d_attended + t.q_at, t.d_out);
	struct attention_gradient g = {.lse = lse_of(job, &t), .d_mean = job->op->mean[t.which] + t.map,
		.d_out = back->d_attended ? t.d_out : NULL, .d_query = t.d_query, .d_key = t.d_key, .d_value = t.d_value};
	attention_backward(&t.block, &g, t.attention);
	t.block.simd->scale(t.d_query, query_scale(&t), t.n_rep * job->op->n_row * t.block.head_dim);
	scatter(query_heads(job, &t), t.d_query, back->d_q + t.q_at);
	scatter(kv_head(job, &t), t.d_key, back->d_k + t.kv_at);
	if (back->d_attended)
		scatter(kv_head(job, &t), t.d_value, back->d_v + t.kv_at);
}

static void run(struct attention_job job, threads_work *piece)
{
	threads_run(job.d->cpu->threads, job.op->n_prompt * job.d->shape.model->info.n_kv_head, piece, &job);
}

void row_attend(struct step_device *d, const struct attend_rows *op)
{
	run((struct attention_job){.d = (struct step_on_cpu *)d, .op = op}, forward_piece);
}

void row_attend_back(struct step_device *d, const struct attend_rows_back *op)
{
	run((struct attention_job){.d = (struct step_on_cpu *)d, .op = op->forward, .back = op}, backward_piece);
}
