/* Attention and its captures on a device: queries, keys and values are put into the backend's buffers, so that every head size, grouping,
 * chunking and window can be compared with a plain double-precision softmax. */
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/cuda.h"
#include "tests/cuda/on_device.h"
#include "tests/support/loose_model.h"
#include "tests/support/plain_attention.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

struct bench {
	struct loose_model *owner;
	const struct backend_ops *ops;
	struct backend *backend;
	struct plain_attention a;
	bool half;
};

static void open_bench(struct bench *t, int max_rows)
{
	struct loose_model_options o = {.n_layer = 2, .n_head = t->a.n_head, .n_kv_head = t->a.n_kv_head, .head_dim = t->a.d, .n_embd = 32,
		.n_ff = 32, .n_vocab = 2, .type = TYPE_F32};
	struct err e = {0};
	t->owner = loose_model_make(&o);
	struct model *m = loose_model_get(t->owner);
	m->info.device = "cuda:0";
	m->info.precision = t->half ? "bf16" : "f32";
	t->ops = backend_for(m);
	struct backend_config config = {.model = m, .max_tokens = t->a.n, .max_rows = max_rows, .n_threads = 1};
	if (t->ops->open(&t->backend, &config, &e)) {
		test_fail(__FILE__, __LINE__, "%s", e.text);
		exit(2);
	}
}

static void close_bench(struct bench *t)
{
	t->ops->close(t->backend);
	loose_model_free(t->owner);
	free((void *)t->a.q), free((void *)t->a.k), free((void *)t->a.v);
}

/* Rows first .. first + n - 1 of (n_head, t->n, d), as a buffer has them: heads side by side. */
static void set_rows(struct bench *t, enum row_buffer buffer, const float *x, int n_head, int first, int n)
{
	size_t d = (size_t)t->a.d;
	float *rows = malloc((size_t)(n * n_head) * d * sizeof *rows);
	for (int i = 0; i < n; i++)
		for (int h = 0; h < n_head; h++)
			memcpy(rows + (size_t)(i * n_head + h) * d, x + ((size_t)h * (size_t)t->a.n + (size_t)(first + i)) * d, d * sizeof *rows);
	device_set_rows(cuda_rows_of(t->backend, buffer), rows, n, n_head * t->a.d);
	free(rows);
}

/* Rows [first, first + n) as one step, in the second of two layers; attended rows go to out (all rows, n_head * d). */
static int run_step(struct bench *t, int first, int n, const struct capture *capture, int n_capture, float *out, struct err *e)
{
	t->ops->step_begin(t->backend, &(struct step){.position = first, .n_rows = n, .capture = capture, .n_capture = n_capture});
	set_rows(t, ROWS_Q, t->a.q, t->a.n_head, first, n);
	set_rows(t, ROWS_K, t->a.k, t->a.n_kv_head, first, n);
	set_rows(t, ROWS_V, t->a.v, t->a.n_kv_head, first, n);
	t->ops->append(t->backend, &(struct append_op){.layer = 1, .values = true});
	t->ops->attention(t->backend, &(struct attention_op){.layer = 1, .rows = {0, n}, .output = true});
	int rc = t->ops->step_end(t->backend, e);
	if (!rc)
		device_get_rows(out + first * t->a.n_head * t->a.d, cuda_rows_of(t->backend, ROWS_ATTENDED), n, t->a.n_head * t->a.d);
	return rc;
}

struct shape {
	int n_head, n_kv_head, d, n, chunk;
	float sharpness;
};

struct measured { /* one capture, and what it should be */
	struct capture capture;
	float *sum; /* (2 layers, n_head, n_key) */
	double error;
};

static void plan(struct measured *m, const struct bench *t, int first, int count, int step, int n_key)
{
	m->error = 0;
	m->sum = calloc((size_t)(2 * t->a.n_head * n_key), sizeof *m->sum);
	m->capture = (struct capture){.first = first, .count = count, .step = step, .n_key = n_key, .sum = m->sum, .row_error = &m->error};
}

static void check_sums(const struct bench *t, const struct measured *m, int head, const double *want, double tolerance)
{
	const struct capture *c = &m->capture;
	tolerance *= c->count ? c->count : 1;
	for (int j = 0; j < c->n_key; j++) {
		CHECK_NEAR(m->sum[head * c->n_key + j], 0, TOL_EXACT);
		CHECK_NEAR(m->sum[(t->a.n_head + head) * c->n_key + j], want[j], tolerance);
	}
}

static void fill(struct bench *t, float sharpness)
{
	struct rng rng;
	rng_seed(&rng, test_seed() + (uint64_t)t->a.n);
	t->a.q = random_floats(&rng, (size_t)(t->a.n_head * t->a.n * t->a.d), sharpness, t->half);
	t->a.k = random_floats(&rng, (size_t)(t->a.n_kv_head * t->a.n * t->a.d), 1, t->half);
	t->a.v = random_floats(&rng, (size_t)(t->a.n_kv_head * t->a.n * t->a.d), 1, t->half);
}

/* The last 32 rows, every third row on fewer keys, all rows, one row at the border of a chunk, two on either side of it, a whole chunk. */
enum { N_MEASURED = 6 };

static void check_shape(const struct shape *s, bool half)
{
	struct bench t = {.a = {.n_head = s->n_head, .n_kv_head = s->n_kv_head, .d = s->d, .n = s->n}, .half = half};
	int width = s->n_head * s->d, window = s->n < 32 ? s->n : 32;
	struct measured measured[N_MEASURED];
	struct capture capture[N_MEASURED];
	struct err e = {0};
	fill(&t, s->sharpness);
	open_bench(&t, s->chunk);
	plan(&measured[0], &t, s->n - window, window, 1, s->n);
	plan(&measured[1], &t, 1, s->n / 3, 3, s->n - s->n / 5);
	plan(&measured[2], &t, 0, s->n, 1, s->n);
	int border = s->chunk < s->n ? s->chunk : s->n - 1;
	plan(&measured[3], &t, border, 1, 1, s->n);
	plan(&measured[4], &t, border > 0 ? border - 1 : 0, 2, 1, s->n);
	plan(&measured[5], &t, border, s->chunk, 1, s->n);
	for (int i = 0; i < N_MEASURED; i++)
		capture[i] = measured[i].capture;
	float *out = calloc((size_t)(s->n * width), sizeof *out);
	for (int at = 0; at < s->n; at += s->chunk)
		CHECK_INT(run_step(&t, at, s->n - at < s->chunk ? s->n - at : s->chunk, capture, N_MEASURED, out, &e), 0);
	CHECK_INT(t.ops->collect(t.backend, &e), 0);
	CHECK_STR(e.text, "");
	double *p = malloc((size_t)s->n * sizeof *p), *mixed = malloc((size_t)s->d * sizeof *mixed);
	for (int h = 0; h < s->n_head; h++) {
		double *want = calloc((size_t)(N_MEASURED * s->n), sizeof *want);
		for (int row = 0; row < s->n; row++) {
			plain_attention_row(&t.a, h, row, p, mixed);
			for (int c = 0; c < s->d; c++)
				CHECK_NEAR(out[row * width + h * s->d + c], mixed[c], half ? TOL_ATTENDED_BF16 * s->sharpness : TOL_ATTENDED);
			for (int i = 0; i < N_MEASURED; i++)
				for (int j = 0; capture_row(&capture[i], row) >= 0 && j < s->n; j++)
					want[i * s->n + j] += p[j];
		}
		for (int i = 0; i < N_MEASURED; i++)
			check_sums(&t, &measured[i], h, want + i * s->n, half ? TOL_CAPTURED_BF16 * s->sharpness : TOL_MEAN_ABS);
		free(want);
	}
	for (int i = 0; i < N_MEASURED; i++) {
		CHECK(measured[i].error >= 0 && measured[i].error <= TOL_ROW_SUM);
		free(measured[i].sum);
	}
	free(p), free(mixed), free(out);
	close_bench(&t);
}

static const struct shape shapes[] = {
	{3, 1, 64, 1, 8, 1},   {3, 1, 64, 2, 1, 1},    {9, 3, 64, 130, 130, 1}, {9, 3, 64, 100, 65, 3}, {4, 4, 80, 70, 70, 1},
	{5, 1, 96, 97, 96, 1}, {7, 1, 128, 66, 40, 1}, {4, 1, 64, 200, 128, 8}, {1, 1, 64, 70, 64, 1},  {2, 1, 128, 20, 1, 1},
	{3, 3, 80, 5, 1, 1},
};

TEST(cuda_attention, shapes_and_chunks_in_float32)
{
	for (size_t i = 0; device_is_there() && i < sizeof shapes / sizeof *shapes; i++)
		check_shape(&shapes[i], false);
}

TEST(cuda_attention, shapes_and_chunks_in_bfloat16)
{
	for (size_t i = 0; device_is_there() && i < sizeof shapes / sizeof *shapes; i++)
		check_shape(&shapes[i], true);
}

/* A NaN among the queries reaches the report of the step, for many rows and for one. */
TEST(cuda_attention, nan_is_reported)
{
	for (int n = 1; device_is_there() && n <= 40; n += 39)
		for (int half = 0; half < 2; half++) {
			struct bench t = {.a = {.n_head = 2, .n_kv_head = 1, .d = 64, .n = n}, .half = half};
			struct err e = {0};
			fill(&t, 1);
			((float *)t.a.q)[(n - 1) * 64 + 1] = NAN;
			open_bench(&t, n);
			float *out = calloc((size_t)(n * 128), sizeof *out);
			CHECK_INT(run_step(&t, 0, n, NULL, 0, out, &e), ERR_NUMBER);
			CHECK(strstr(e.text, "layer 1") != NULL);
			free(out);
			close_bench(&t);
		}
}
