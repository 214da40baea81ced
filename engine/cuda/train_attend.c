/* Attention of the lookahead rows, one prompt after another: products of cuBLAS over all KV heads at once, a kernel for what lies between.
 * Rows are few (T), so rows x keys fit; nothing of prompt x prompt is stored. CPU twin: engine/train/row_attention.c. */
#include <math.h>

#include "engine/cuda/train.h"

struct task { /* one prompt in one layer */
	struct cuda_train *t;
	const struct attend_rows *op;
	struct prompt_layer prompt;
	int n, columns;           /* prompt tokens; and the rows' own */
	size_t q_at, kv_at;       /* of the prompt's first row in (R, ...) */
	float *lse, *mean;        /* of the layer */
	double *kl;
};

static const struct model_info *info_of(const struct task *k)
{
	return &k->t->shape.model->info;
}

static float *area(const struct task *k, enum train_area area)
{
	return k->t->area[area];
}

/* False after a failure. */
static bool begin(struct task *k, struct cuda_train *t, const struct attend_rows *op, int which)
{
	const struct model_info *info = &t->shape.model->info;
	size_t rows = (size_t)which * (size_t)op->n_row, heads = (size_t)info->n_head, d = (size_t)info->head_dim;
	int n = op->prompt[which].n;
	*k = (struct task){.t = t, .op = op, .n = n, .columns = n + op->n_row, .q_at = rows * heads * d,
		.kv_at = rows * (size_t)info->n_kv_head * d, .lse = op->lse + rows * heads,
		.mean = op->mean[which] + (size_t)op->layer * heads * (size_t)n,
		.kl = op->head_kl + ((size_t)which * (size_t)info->n_layer + (size_t)op->layer) * heads};
	return cuda_prompt_layer(t, &op->prompt[which], op->layer, &k->prompt);
}

/* ---- rows and heads ----------------------------------------------------------------------------------------------------- */

static struct heads_args heads_args(const struct task *k, int n_head, const float *rows, float *heads)
{
	size_t stride = (size_t)k->op->n_row * (size_t)info_of(k)->head_dim;
	return (struct heads_args){.rows = (float *)rows, .heads = heads, .stride = stride, .n_row = k->op->n_row, .n_head = n_head,
		.head_dim = info_of(k)->head_dim, .factor = 1};
}

/* The query carries 1 / sqrt(d), so that logits, dQ and dK need no factor of their own. */
static float query_scale(const struct task *k)
{
	return 1.0f / sqrtf((float)info_of(k)->head_dim);
}

static void gather(const struct task *k, struct heads_args a)
{
	CUDA_TRY(&k->t->device, cuda_rows_to_heads(&a, k->t->device.stream));
}

static void scatter(const struct task *k, struct heads_args a)
{
	CUDA_TRY(&k->t->device, cuda_heads_to_rows(&a, k->t->device.stream));
}

/* A prompt's keys or values, and behind them the rows' own: (n_kv_head, columns, d). */
static void load_cache(const struct task *k, const void *prompt, const float *rows, float *out)
{
	const struct model_info *info = info_of(k);
	size_t d = (size_t)info->head_dim, stride = (size_t)k->columns * d, n = (size_t)k->n * d;
	CUDA_TRY(&k->t->device, cuda_widen_heads(&(struct widen_heads_args){.from = prompt, .half = k->prompt.half, .to = out, .n = n,
		.stride = stride, .n_head = info->n_kv_head}, k->t->device.stream));
	struct heads_args own = heads_args(k, info->n_kv_head, rows, out + n);
	own.stride = stride;
	gather(k, own);
}

static void load(const struct task *k)
{
	load_cache(k, k->prompt.key, k->op->k + k->kv_at, area(k, TRAIN_KEYS));
	if (k->op->v)
		load_cache(k, k->prompt.value, k->op->v + k->kv_at, area(k, TRAIN_VALUES));
	struct heads_args query = heads_args(k, info_of(k)->n_head, k->op->q + k->q_at, area(k, TRAIN_QUERY));
	query.factor = query_scale(k);
	gather(k, query);
}

/* ---- products, for every KV head: its query heads' rows stacked, M = n_rep * T of them --------------------------------------- */

static int stacked_rows(const struct task *k)
{
	return info_of(k)->n_head / info_of(k)->n_kv_head * k->op->n_row;
}

/* rows (M, columns) = x (M, d) . cache^T: logits, or dP */
static void rows_times_cache(const struct task *k, const float *x, const float *cache, float *rows)
{
	int m = stacked_rows(k), d = info_of(k)->head_dim;
	cuda_train_multiply(k->t, &(struct train_batch){.n = info_of(k)->n_kv_head, .stride_a = (long long)m * d,
		.stride_b = (long long)k->columns * d, .stride_c = (long long)m * k->columns, .one = {.m = m, .n = k->columns, .k = d, .a = x, .lda = d,
		.b = cache, .ldb = d, .b_transposed = 1, .c = rows, .ldc = k->columns}});
}

/* y (M, d) = rows . cache: outputs, or dQ */
static void rows_into_cache(const struct task *k, const float *rows, const float *cache, float *y)
{
	int m = stacked_rows(k), d = info_of(k)->head_dim;
	cuda_train_multiply(k->t, &(struct train_batch){.n = info_of(k)->n_kv_head, .stride_a = (long long)m * k->columns,
		.stride_b = (long long)k->columns * d, .stride_c = (long long)m * d, .one = {.m = m, .n = d, .k = k->columns, .a = rows,
		.lda = k->columns, .b = cache, .ldb = d, .c = y, .ldc = d}});
}

/* Gradient of the rows' own keys or values: rows[:, n:]^T . x, to where they came from. */
static void rows_onto_own(const struct task *k, const float *rows, const float *x, float *out)
{
	int m = stacked_rows(k), d = info_of(k)->head_dim, own = k->op->n_row;
	cuda_train_multiply(k->t, &(struct train_batch){.n = info_of(k)->n_kv_head, .stride_a = (long long)m * k->columns,
		.stride_b = (long long)m * d, .stride_c = (long long)own * d, .one = {.m = own, .n = d, .k = m, .a = rows + k->n, .lda = k->columns,
		.a_transposed = 1, .b = x, .ldb = d, .c = area(k, TRAIN_D_OWN), .ldc = d}});
	scatter(k, heads_args(k, info_of(k)->n_kv_head, out + k->kv_at, area(k, TRAIN_D_OWN)));
}

static struct row_softmax_args softmax_args(const struct task *k)
{
	return (struct row_softmax_args){.logit = area(k, TRAIN_P), .lse = k->lse, .n_head = info_of(k)->n_head, .n_row = k->op->n_row, .n = k->n};
}

/* ---- forward ----------------------------------------------------------------------------------------------------------------- */

static void judge(const struct task *k)
{
	struct cuda_device *d = &k->t->device;
	int n_head = info_of(k)->n_head;
	CUDA_TRY(d, cuda_column_mean(&(struct column_mean_args){.p = area(k, TRAIN_P), .mean = k->mean, .n_head = n_head, .n_row = k->op->n_row,
		.n = k->n}, d->stream));
	CUDA_TRY(d, cuda_objective(&(struct objective_args){.truth = k->prompt.truth, .s = k->mean, .kl = k->kl, .weight = k->op->weight,
		.n_head = n_head, .n = k->n}, d->stream));
}

static void forward(const struct task *k)
{
	load(k);
	rows_times_cache(k, area(k, TRAIN_QUERY), area(k, TRAIN_KEYS), area(k, TRAIN_P));
	struct row_softmax_args softmax = softmax_args(k);
	CUDA_TRY(&k->t->device, cuda_row_softmax(&softmax, k->t->device.stream));
	judge(k);
	if (!k->op->attended)
		return;
	rows_into_cache(k, area(k, TRAIN_P), area(k, TRAIN_VALUES), area(k, TRAIN_OUT));
	scatter(k, heads_args(k, info_of(k)->n_head, k->op->attended + k->q_at, area(k, TRAIN_OUT)));
}

void cuda_train_attend(struct step_device *device, const struct attend_rows *op)
{
	struct cuda_train *t = (struct cuda_train *)device;
	struct task k;
	for (int i = 0; i < op->n_prompt && begin(&k, t, op, i); i++)
		forward(&k);
}

/* ---- backward ---------------------------------------------------------------------------------------------------------------- */

static void backward(const struct task *k, const struct attend_rows_back *back)
{
	float *p = area(k, TRAIN_P), *dp = area(k, TRAIN_DP);
	load(k);
	rows_times_cache(k, area(k, TRAIN_QUERY), area(k, TRAIN_KEYS), p);
	if (back->d_attended) {
		gather(k, heads_args(k, info_of(k)->n_head, back->d_attended + k->q_at, area(k, TRAIN_OUT)));
		rows_times_cache(k, area(k, TRAIN_OUT), area(k, TRAIN_VALUES), dp);
	}
	CUDA_TRY(&k->t->device, cuda_row_softmax_back(&(struct row_softmax_back_args){.softmax = softmax_args(k), .d_mean = k->mean, .dp = dp,
		.outputs = back->d_attended != NULL}, k->t->device.stream));
	if (back->d_attended)
		rows_onto_own(k, p, area(k, TRAIN_OUT), back->d_v);
	rows_onto_own(k, dp, area(k, TRAIN_QUERY), back->d_k);
	rows_into_cache(k, dp, area(k, TRAIN_KEYS), area(k, TRAIN_D_QUERY));
	struct heads_args d_query = heads_args(k, info_of(k)->n_head, back->d_q + k->q_at, area(k, TRAIN_D_QUERY));
	d_query.factor = query_scale(k);
	scatter(k, d_query);
}

void cuda_train_attend_back(struct step_device *device, const struct attend_rows_back *op)
{
	struct cuda_train *t = (struct cuda_train *)device;
	struct task k;
	for (int i = 0; i < op->forward->n_prompt && begin(&k, t, op->forward, i); i++)
		backward(&k, op);
}
