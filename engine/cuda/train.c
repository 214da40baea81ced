#include "engine/cuda/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct step_ops table;

const struct step_ops *cuda_step_ops(void)
{
	return &table;
}

/* Any thread may come by. */
static struct cuda_train *enter(struct step_device *device)
{
	struct cuda_train *t = (struct cuda_train *)device;
	CUDA_TRY(&t->device, cudaSetDevice(t->device.index));
	return t;
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

static bool is_half(const struct model *m)
{
	return !strcmp(m->info.precision, "bf16");
}

static size_t area_bytes(const struct step_shape *shape, enum train_area area)
{
	const struct model_info *info = &shape->model->info;
	size_t own = (size_t)shape->n_lookahead, d = (size_t)info->head_dim, heads = (size_t)info->n_head, kv_heads = (size_t)info->n_kv_head;
	size_t columns = (size_t)shape->limits.max_tokens + own, rows = (size_t)shape->limits.max_prompts * own;
	size_t widest = heads * d > (size_t)info->n_ff ? heads * d : (size_t)info->n_ff;
	widest = widest > (size_t)info->n_embd ? widest : (size_t)info->n_embd;
	switch (area) {
	case TRAIN_NARROW:
		return is_half(shape->model) ? rows * widest * sizeof(uint16_t) : 0;
	case TRAIN_KEYS:
	case TRAIN_VALUES:
		return kv_heads * columns * d * sizeof(float);
	case TRAIN_QUERY:
	case TRAIN_OUT:
	case TRAIN_D_QUERY:
		return heads * own * d * sizeof(float);
	case TRAIN_D_OWN:
		return kv_heads * own * d * sizeof(float);
	case TRAIN_P:
	case TRAIN_DP:
		return heads * own * columns * sizeof(float);
	case TRAIN_PARTS:
		return (SQUARE_PARTS + 1) * sizeof(double);
	default: /* TRAIN_WORKSPACE */
		return WORKSPACE_BYTES;
	}
}

/* The scratch, one prompt, and the weights where they are not on the device yet. */
static uint64_t scratch_bytes(const struct step_shape *shape)
{
	bool resident;
	uint64_t weights = cuda_weights_bytes(shape->model, &resident), sum = resident ? 0 : weights;
	for (int i = 0; i < N_TRAIN_AREA; i++)
		sum += area_bytes(shape, (enum train_area)i);
	return sum + cuda_prompt_bytes(&shape->model->info, shape->limits.max_tokens, true);
}

static void close_device(struct step_device *device)
{
	struct cuda_train *t = (struct cuda_train *)device;
	if (!t)
		return;
	cudaSetDevice(t->device.index);
	if (t->device.stream)
		cudaStreamSynchronize(t->device.stream);
	if (t->upload.device)
		cuda_upload_close(&t->upload);
	if (t->blas)
		cublas_find(NULL)->destroy(t->blas);
	cuda_prompts_free(t);
	for (int i = 0; i < N_TRAIN_AREA; i++)
		cuda_release(&t->device, t->area[i]);
	for (int i = 0; i < t->n_taken; i++)
		cuda_release(&t->device, t->taken[i]);
	free(t->taken);
	cuda_device_close(&t->device);
	free(t);
}

static bool open_products(struct cuda_train *t)
{
	const struct cublas *blas = cublas_find(&t->device.failure);
	return blas && CUBLAS_TRY(&t->device, blas->create(&t->blas)) && CUBLAS_TRY(&t->device, blas->set_stream(t->blas, t->device.stream)) &&
		CUBLAS_TRY(&t->device, blas->set_workspace(t->blas, t->area[TRAIN_WORKSPACE], WORKSPACE_BYTES));
}

static int open_parts(struct cuda_train *t, struct err *e)
{
	int rc = cuda_device_open(&t->device, t->shape.model, e);
	rc = rc ? rc : cuda_weights_of(&t->weights, t->shape.model, &t->device, e);
	if (rc)
		return rc;
	for (int i = 0; i < N_TRAIN_AREA; i++)
		t->area[i] = cuda_take(&t->device, area_bytes(&t->shape, (enum train_area)i), "the attention of a training step");
	if (!t->device.failure.code && open_products(t))
		cuda_upload_open(&t->upload, &t->device);
	return cuda_failure(&t->device, e);
}

/* Some kernels have a row of their grid for every row of the step. */
static int check_shape(const struct step_shape *shape, struct err *e)
{
	enum { MOST_ROWS = 65535 };
	int64_t rows = (int64_t)shape->limits.max_prompts * shape->n_lookahead;
	if (rows > MOST_ROWS)
		return err_set(e, ERR_LIMIT, "a training step of %d prompts with %d lookahead rows each, on a CUDA device %d rows are possible: take a "
			"smaller batch", shape->limits.max_prompts, shape->n_lookahead, MOST_ROWS);
	return 0;
}

static int open_device(struct step_device **out, const struct step_shape *shape, struct err *e)
{
	int rc = check_shape(shape, e);
	if (rc)
		return rc;
	struct cuda_train *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_MEMORY, "no memory for a training step");
	*t = (struct cuda_train){.base.ops = &table, .shape = *shape, .half = is_half(shape->model)};
	rc = open_parts(t, e);
	if (rc) {
		close_device((struct step_device *)t);
		return rc;
	}
	*out = (struct step_device *)t;
	return 0;
}

/* ---- memory --------------------------------------------------------------------------------------------------------- */

static void *take(struct step_device *device, size_t n_bytes)
{
	struct cuda_train *t = enter(device);
	void **grown = realloc(t->taken, (size_t)(t->n_taken + 1) * sizeof *grown);
	if (!grown) {
		err_set(&t->device.failure, ERR_MEMORY, "no memory for a training step");
		return NULL;
	}
	t->taken = grown;
	void *p = cuda_take(&t->device, n_bytes, "a training step");
	if (p)
		t->taken[t->n_taken++] = p;
	return p;
}

static void put(struct step_device *device, void *to, const void *host, size_t n_bytes)
{
	cuda_upload_bytes(&enter(device)->upload, to, host, n_bytes);
}

static void get(struct step_device *device, void *host, const void *from, size_t n_bytes)
{
	struct cuda_train *t = enter(device);
	if (CUDA_TRY(&t->device, cudaMemcpyAsync(host, from, n_bytes, cudaMemcpyDeviceToHost, t->device.stream)))
		CUDA_TRY(&t->device, cudaStreamSynchronize(t->device.stream));
}

static int finish(struct step_device *device, struct err *e)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cudaStreamSynchronize(t->device.stream));
	int rc = cuda_failure(&t->device, e);
	t->device.failure = (struct err){0}; /* a device that is lost says so again */
	return rc;
}

/* ---- operations that are one kernel, or none -------------------------------------------------------------------------- */

static void zero(struct step_device *device, float *x, size_t n)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cudaMemsetAsync(x, 0, n * sizeof *x, t->device.stream));
}

static void copy(struct step_device *device, const float *from, size_t n, float *to)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cudaMemcpyAsync(to, from, n * sizeof *to, cudaMemcpyDeviceToDevice, t->device.stream));
}

static void scale(struct step_device *device, float *x, float factor, size_t n)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cuda_scale(&(struct scale_args){.x = x, .factor = factor, .n = n}, t->device.stream));
}

static void add(struct step_device *device, const float *a, const float *b, size_t n, float *out)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cuda_add(&(struct add_args){.a = a, .b = b, .out = out, .n = n}, t->device.stream));
}

static void norm(struct step_device *device, const struct norm_rows *op, float *y)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cuda_norm(&(struct norm_args){.in = {(void *)op->x, op->n, false}, .out = {y, op->n, false},
		.gain = cuda_weight_at(t->weights, op->gain), .eps = op->eps, .n_rows = op->n_row, .n = op->n}, t->device.stream));
}

static void norm_back(struct step_device *device, const struct norm_rows *op, const float *dy, float *dx)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cuda_norm_back(&(struct norm_back_args){.x = op->x, .gain = cuda_weight_at(t->weights, op->gain), .dy = dy,
		.dx = dx, .eps = op->eps, .n_row = op->n_row, .n = op->n}, t->device.stream));
}

static void swiglu(struct step_device *device, const struct swiglu_rows *op, float *act)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cuda_swiglu_train(&(struct swiglu_back_args){.gate = op->gate, .up = op->up, .act = act, .n = op->n},
		t->device.stream));
}

static void swiglu_back(struct step_device *device, const struct swiglu_rows *op, float *d_act, float *d_up)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cuda_swiglu_train(&(struct swiglu_back_args){.gate = op->gate, .up = op->up, .act = d_act, .d_up = d_up,
		.n = op->n}, t->device.stream));
}

static void rope(struct step_device *device, const struct rope_rows *op)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cuda_rope_rows(&(struct rope_rows_args){.x = op->x, .offset = op->offset,
		.inv_freq = cuda_weight_at(t->weights, op->model->rope_inv_freq), .n_row = op->n_row, .n_head = op->n_head,
		.head_dim = op->model->info.head_dim, .period = op->period, .adjacent = op->model->rope_pairs == ROPE_ADJACENT,
		.inverse = op->inverse}, t->device.stream));
}

static double square_sum(struct step_device *device, const float *x, size_t n)
{
	struct cuda_train *t = enter(device);
	double *part = t->area[TRAIN_PARTS], *out = part + SQUARE_PARTS, sum = NAN;
	CUDA_TRY(&t->device, cuda_square_sum(&(struct square_sum_args){.x = x, .n = n, .part = part, .out = out}, t->device.stream));
	get(device, &sum, out, sizeof sum);
	return sum;
}

static void adamw(struct step_device *device, const struct adamw *op)
{
	struct cuda_train *t = enter(device);
	CUDA_TRY(&t->device, cuda_adamw(op, t->device.stream));
}

static const struct step_ops table = {
	.name = "cuda",
	.bytes = scratch_bytes,
	.open = open_device,
	.close = close_device,
	.take = take,
	.put = put,
	.get = get,
	.finish = finish,
	.zero = zero,
	.copy = copy,
	.scale = scale,
	.add = add,
	.product = cuda_train_product,
	.product_back = cuda_train_product_back,
	.gemm = cuda_train_gemm,
	.norm = norm,
	.norm_back = norm_back,
	.swiglu = swiglu,
	.swiglu_back = swiglu_back,
	.rope = rope,
	.attend = cuda_train_attend,
	.attend_back = cuda_train_attend_back,
	.square_sum = square_sum,
	.adamw = adamw,
};
