/* Attention and its captures of the CPU backend alone: queries, keys and values are put into its buffers, so that every head size,
 * grouping, chunking and window can be compared with a plain double-precision softmax. */
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/cpu.h"
#include "engine/random.h"
#include "tests/support/loose_model.h"
#include "tests/support/plain_attention.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

struct bench { /* a backend over invented q (n_head, n, d), k, v (n_kv_head, n, d) */
	struct loose_model *owner;
	struct backend *backend;
	int n_head, n_kv_head, d, n;
	bool bf16;
	float *q, *k, *v;
};

static float q_at(const struct bench *t, int head, int i, int c)
{
	return t->q[((size_t)head * (size_t)t->n + (size_t)i) * (size_t)t->d + (size_t)c];
}

static void open_bench(struct bench *t, int n_threads, int max_rows)
{
	struct loose_model_options o = {.n_layer = 1, .n_head = t->n_head, .n_kv_head = t->n_kv_head, .head_dim = t->d, .n_embd = 32,
		.n_ff = 32, .n_vocab = 2, .type = TYPE_F32};
	struct err e = {0};
	t->owner = loose_model_make(&o);
	loose_model_get(t->owner)->info.precision = t->bf16 ? "bf16" : "f32";
	struct backend_config config = {.model = loose_model_get(t->owner), .max_tokens = t->n, .max_rows = max_rows, .n_threads = n_threads};
	CHECK_INT(backend_cpu.open(&t->backend, &config, &e), 0);
}

static void close_bench(struct bench *t)
{
	backend_cpu.close(t->backend);
	loose_model_free(t->owner);
}

static void fill_random(struct bench *t, uint64_t seed, float sharpness)
{
	struct rng rng;
	rng_seed(&rng, seed);
	size_t n_q = (size_t)t->n_head * (size_t)t->n * (size_t)t->d, n_k = (size_t)t->n_kv_head * (size_t)t->n * (size_t)t->d;
	t->q = malloc(n_q * sizeof(float)), t->k = malloc(n_k * sizeof(float)), t->v = malloc(n_k * sizeof(float));
	for (size_t i = 0; i < n_q; i++)
		t->q[i] = sharpness * (float)rng_normal(&rng);
	for (size_t i = 0; i < n_k; i++) {
		t->k[i] = (float)rng_normal(&rng);
		t->v[i] = (float)rng_normal(&rng);
	}
}

static void free_numbers(struct bench *t)
{
	free(t->q), free(t->k), free(t->v);
}

/* Rows [first, first + n) as one step; attended rows go to out (n_total, n_head * d). */
static void run_step(struct bench *t, int first, int n, const struct capture *capture, int n_capture, float *out)
{
	struct cpu *c = (struct cpu *)t->backend;
	struct err e = {0};
	backend_cpu.step_begin(t->backend, &(struct step){.position = first, .n_rows = n, .capture = capture, .n_capture = n_capture});
	for (int i = 0; i < n; i++) {
		for (int h = 0; h < t->n_head; h++)
			memcpy(cpu_rows(c, ROWS_Q) + ((size_t)i * (size_t)t->n_head + (size_t)h) * (size_t)t->d,
				t->q + ((size_t)h * (size_t)t->n + (size_t)(first + i)) * (size_t)t->d, (size_t)t->d * sizeof(float));
		for (int g = 0; g < t->n_kv_head; g++) {
			size_t to = ((size_t)i * (size_t)t->n_kv_head + (size_t)g) * (size_t)t->d;
			size_t from = ((size_t)g * (size_t)t->n + (size_t)(first + i)) * (size_t)t->d;
			memcpy(cpu_rows(c, ROWS_K) + to, t->k + from, (size_t)t->d * sizeof(float));
			memcpy(cpu_rows(c, ROWS_V) + to, t->v + from, (size_t)t->d * sizeof(float));
		}
	}
	backend_cpu.append(t->backend, &(struct append_op){.layer = 0, .values = true});
	backend_cpu.attention(t->backend, &(struct attention_op){.layer = 0, .rows = {0, n}, .output = true});
	CHECK_INT(backend_cpu.step_end(t->backend, &e), 0);
	size_t width = (size_t)(t->n_head * t->d);
	if (out)
		memcpy(out + (size_t)first * width, cpu_rows(c, ROWS_ATTENDED), (size_t)n * width * sizeof(float));
}

static void run_chunks(struct bench *t, int chunk, const struct capture *capture, int n_capture, float *out)
{
	for (int at = 0; at < t->n; at += chunk)
		run_step(t, at, t->n - at < chunk ? t->n - at : chunk, capture, n_capture, out);
}

/* ---- a fixture in closed form, and its numbers as NumPy gives them in float64 -------------------------------------------- */

enum { FIXTURE_PROMPT = 10, FIXTURE_ALL = 12 };

static void open_fixture(struct bench *t)
{
	*t = (struct bench){.n_head = 2, .n_kv_head = 1, .d = 4, .n = FIXTURE_ALL};
	t->q = malloc(sizeof(float) * 2 * FIXTURE_ALL * 4), t->k = malloc(sizeof(float) * FIXTURE_ALL * 4);
	t->v = malloc(sizeof(float) * FIXTURE_ALL * 4);
	for (int j = 0; j < FIXTURE_ALL; j++)
		for (int c = 0; c < 4; c++) {
			t->k[j * 4 + c] = (float)sin(1.1 * j + 0.7 * c);
			t->v[j * 4 + c] = (float)cos(0.6 * j + 0.9 * c);
			for (int h = 0; h < 2; h++)
				t->q[(h * FIXTURE_ALL + j) * 4 + c] = (float)(2 * cos(0.5 * j + 0.8 * c + 0.6 * h));
		}
	open_bench(t, 2, 0);
}

static void check_vector(const float *got, const double *want, int n, double factor)
{
	for (int i = 0; i < n; i++)
		CHECK_NEAR(got[i] * factor, want[i], TOL_VECTOR);
}

TEST(attention, vectors_of_the_closed_form)
{
	static const double snapkv[2][7] = {{0.770129, 0.174113, 0.031811, 0.052647, 0.344338, 0.931914, 0.575106},
		{0.842478, 0.394397, 0.054142, 0.020486, 0.088197, 0.530081, 0.803195}};
	static const double tova[10] = {0.272347, 0.160460, 0.021551, 0.005510, 0.015465, 0.121787, 0.286610, 0.098383, 0.012075, 0.005813};
	static const double h2o[2][10] = {
		{2.039730, 1.247759, 1.255640, 1.653420, 1.740696, 1.329717, 0.613097, 0.097260, 0.015687, 0.006995},
		{2.418963, 1.387512, 1.088615, 1.243334, 1.396638, 1.279876, 0.918039, 0.237600, 0.024793, 0.004630}};
	static const double truth[2][10] = {
		{0.185361, 0.229835, 0.043257, 0.006363, 0.006965, 0.051288, 0.245340, 0.165862, 0.022851, 0.004997},
		{0.080263, 0.261959, 0.124815, 0.017184, 0.005584, 0.017972, 0.134081, 0.257689, 0.074499, 0.010240}};
	static const double norm[10] = {1.459883, 1.450588, 1.321397, 1.481433, 1.422959, 1.332724, 1.496215, 1.393896, 1.352218, 1.502969};
	struct bench t;
	open_fixture(&t);
	for (int chunk = 1; chunk <= FIXTURE_PROMPT; chunk++) {
		float window[2][10] = {0}, last[2][10] = {0}, all[2][10] = {0}, response[2][10] = {0}, mean[10], norms[10];
		double error[4] = {0};
		struct capture capture[] = {
			{.first = 7, .count = 3, .step = 1, .n_key = 10, .sum = window[0], .row_error = &error[0]},
			{.first = 9, .count = 1, .step = 1, .n_key = 10, .sum = last[0], .row_error = &error[1]},
			{.first = 0, .count = 10, .step = 1, .n_key = 10, .sum = all[0], .row_error = &error[2]},
			{.first = 10, .count = 2, .step = 1, .n_key = 10, .sum = response[0], .row_error = &error[3]},
		};
		run_chunks(&t, chunk, capture, 4, NULL);
		for (int h = 0; h < 2; h++) {
			check_vector(window[h], snapkv[h], 7, 1);
			check_vector(all[h], h2o[h], 10, 1);
			check_vector(response[h], truth[h], 10, 0.5);
		}
		for (int j = 0; j < 10; j++)
			mean[j] = (last[0][j] + last[1][j]) / 2;
		check_vector(mean, tova, 10, 1);
		backend_cpu.key_norms(t.backend, 0, 10, norms);
		check_vector(norms, norm, 10, 1);
		for (int i = 0; i < 4; i++)
			CHECK(error[i] >= 0 && error[i] <= TOL_ROW_SUM);
	}
	free_numbers(&t);
	close_bench(&t);
}

/* Lookahead rows that equal response rows measure what the response measures. */
TEST(attention, equal_rows_measure_the_same)
{
	struct bench t;
	open_fixture(&t);
	float response[2][10] = {0}, rows[2][2][10];
	struct capture capture[] = {{.first = 10, .count = 2, .step = 1, .n_key = 10, .sum = response[0]},
		{.first = 10, .count = 2, .step = 1, .n_key = 10, .per_row = rows[0][0]}};
	run_step(&t, 0, 10, NULL, 0, NULL);
	run_step(&t, 10, 2, capture, 2, NULL);
	for (int h = 0; h < 2; h++)
		for (int j = 0; j < 10; j++)
			CHECK_NEAR(rows[h][0][j] + rows[h][1][j], response[h][j], TOL_EXACT);
	free_numbers(&t);
	close_bench(&t);
}

/* ---- every shape against double precision ------------------------------------------------------------------------------ */

struct shape {
	int n_head, n_kv_head, d, n, chunk;
	float sharpness;
};

static void check_shape(const struct shape *s, bool bf16)
{
	struct bench t = {.n_head = s->n_head, .n_kv_head = s->n_kv_head, .d = s->d, .n = s->n, .bf16 = bf16};
	size_t width = (size_t)(t.n_head * t.d), map = (size_t)t.n_head * (size_t)t.n;
	int window = t.n < 32 ? t.n : 32, n_odd = t.n / 3, n_key = t.n - t.n / 5;
	float *out = calloc((size_t)t.n * width, sizeof *out), *last = calloc(map, sizeof *last), *odd = calloc(map, sizeof *odd);
	float *all = calloc(map, sizeof *all);
	double error[3] = {0};
	fill_random(&t, test_seed() + (uint64_t)t.n, s->sharpness);
	open_bench(&t, 2, s->chunk);
	const struct plain_attention plain = {t.n_head, t.n_kv_head, t.d, t.n, t.q, t.k, t.v};
	struct capture capture[] = {
		{.first = t.n - window, .count = window, .step = 1, .n_key = t.n, .sum = last, .row_error = &error[0]},
		{.first = 1, .count = n_odd, .step = 3, .n_key = n_key, .sum = odd, .row_error = &error[1]},
		{.first = 0, .count = t.n, .step = 1, .n_key = t.n, .sum = all, .row_error = &error[2]},
	};
	run_chunks(&t, s->chunk, capture, 3, out);
	double *p = malloc((size_t)t.n * sizeof *p), *mixed = malloc((size_t)t.d * sizeof *mixed);
	double *want[3] = {calloc((size_t)t.n, sizeof(double)), calloc((size_t)t.n, sizeof(double)), calloc((size_t)t.n, sizeof(double))};
	for (int h = 0; h < t.n_head; h++) {
		for (int i = 0; i < 3; i++)
			memset(want[i], 0, (size_t)t.n * sizeof(double));
		for (int row = 0; row < t.n; row++) {
			plain_attention_row(&plain, h, row, p, mixed);
			for (int c = 0; c < t.d; c++)
				CHECK_NEAR(out[(size_t)row * width + (size_t)(h * t.d + c)], mixed[c], bf16 ? TOL_ATTENDED_BF16 * s->sharpness : TOL_ATTENDED);
			for (int i = 0; i < 3; i++)
				for (int j = 0; capture_row(&capture[i], row) >= 0 && j < t.n; j++)
					want[i][j] += p[j];
		}
		for (int j = 0; j < t.n; j++) {
			CHECK_NEAR(last[h * t.n + j], want[0][j], TOL_MEAN_ABS * window);
			CHECK_NEAR(all[h * t.n + j], want[2][j], TOL_MEAN_ABS * t.n);
		}
		for (int j = 0; j < n_key; j++)
			CHECK_NEAR(odd[h * n_key + j], want[1][j], TOL_MEAN_ABS * (n_odd ? n_odd : 1));
	}
	for (int i = 0; i < 3; i++)
		CHECK(error[i] >= 0 && error[i] <= TOL_ROW_SUM);
	free(p), free(mixed), free(want[0]), free(want[1]), free(want[2]), free(out), free(last), free(odd), free(all);
	free_numbers(&t);
	close_bench(&t);
}

TEST(attention, shapes_and_chunks)
{
	static const struct shape shape[] = {
		{3, 1, 64, 1, 8, 1},     {3, 1, 64, 2, 1, 1},       {9, 3, 64, 300, 300, 1}, {9, 3, 64, 300, 65, 3},  {4, 4, 80, 90, 90, 1},
		{5, 1, 96, 257, 256, 1}, {7, 1, 128, 256, 100, 1},  {2, 2, 6, 130, 66, 1},   {4, 1, 64, 513, 512, 8}, {1, 1, 4, 70, 64, 1},
		{3, 1, 64, 520, 129, 1}, {14, 2, 64, 128, 128, 20},
	};
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
		check_shape(&shape[i], false);
}

/* bf16 rounds what is attended to; what is measured stays float32, with the tolerances of float32. */
TEST(attention, bfloat16_measures_in_float32)
{
	static const struct shape shape[] = {{9, 3, 64, 300, 300, 1}, {5, 1, 96, 257, 128, 1}, {4, 2, 80, 520, 512, 2}, {2, 2, 6, 130, 66, 1}};
	if (!simd_available()[0]->bf16_products) {
		test_skip("this processor has no bfloat16 products");
		return;
	}
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
		check_shape(&shape[i], true);
}

/* The same numbers to the bit whatever the number of threads, for many rows and for few. */
TEST(attention, threads_change_nothing)
{
	for (int chunk = 40; chunk <= 320; chunk *= 2) {
		float *out[3], *sum[3];
		for (int i = 0; i < 3; i++) {
			struct bench t = {.n_head = 6, .n_kv_head = 3, .d = 32, .n = 600};
			fill_random(&t, test_seed(), 1);
			open_bench(&t, i == 0 ? 1 : i == 1 ? 2 : 5, chunk);
			out[i] = calloc(600 * 6 * 32, sizeof(float)), sum[i] = calloc(6 * 600, sizeof(float));
			struct capture capture = {.first = 10, .count = 590, .step = 1, .n_key = 600, .sum = sum[i]};
			run_chunks(&t, chunk, &capture, 1, out[i]);
			free_numbers(&t);
			close_bench(&t);
		}
		for (int i = 1; i < 3; i++) {
			CHECK(!memcmp(out[i], out[0], 600 * 6 * 32 * sizeof(float)));
			CHECK(!memcmp(sum[i], sum[0], 6 * 600 * sizeof(float)));
		}
		for (int i = 0; i < 3; i++)
			free(out[i]), free(sum[i]);
	}
}

/* A NaN among the queries must reach the self-check of the rows it touches, and the report of the step. */
TEST(attention, nan_is_reported)
{
	for (int n = 20; n <= 200; n += 180) {
		struct bench t = {.n_head = 2, .n_kv_head = 1, .d = 8, .n = n};
		fill_random(&t, 3, 1);
		open_bench(&t, 2, n);
		t.q[5 * 8 + 1] = NAN;
		struct cpu *c = (struct cpu *)t.backend;
		float sum[2 * 200] = {0};
		double error[2] = {0, 0};
		struct err e = {0};
		struct capture capture[] = {{.first = 5, .count = 1, .step = 1, .n_key = n, .sum = sum, .row_error = &error[0]},
			{.first = 6, .count = 1, .step = 1, .n_key = n, .sum = sum, .row_error = &error[1]}};
		backend_cpu.step_begin(t.backend, &(struct step){.position = 0, .n_rows = n, .capture = capture, .n_capture = 2});
		for (int i = 0; i < n; i++)
			for (int k = 0; k < 8; k++) {
				cpu_rows(c, ROWS_Q)[i * 16 + k] = q_at(&t, 0, i, k);
				cpu_rows(c, ROWS_Q)[i * 16 + 8 + k] = q_at(&t, 1, i, k);
				cpu_rows(c, ROWS_K)[i * 8 + k] = t.k[i * 8 + k];
				cpu_rows(c, ROWS_V)[i * 8 + k] = t.v[i * 8 + k];
			}
		backend_cpu.append(t.backend, &(struct append_op){.layer = 0, .values = true});
		backend_cpu.attention(t.backend, &(struct attention_op){.layer = 0, .rows = {0, n}, .output = true});
		CHECK_INT(backend_cpu.step_end(t.backend, &e), ERR_NUMBER);
		CHECK(strstr(e.text, "layer 0") != NULL);
		CHECK(isnan(error[0]));
		CHECK(error[1] <= TOL_ROW_SUM);
		free_numbers(&t);
		close_bench(&t);
	}
}
