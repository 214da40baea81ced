/* The kernels of a training step, each against its definition in double precision, over every shape with a tail. */
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/train_kernels.h"
#include "engine/file/tensor_type.h"
#include "tests/cuda/on_device.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

/* Float32 sums: relative to the sum of their terms' magnitudes, and one rounding of the result. */
static double allowed(double magnitude, double value)
{
	return TOL_SUM_REL * magnitude + TOL_EPS * fabs(value) + TOL_NOTHING;
}

static struct rng seeded(int more)
{
	struct rng rng;
	rng_seed(&rng, test_seed() + (uint64_t)more);
	return rng;
}

static float *put_floats(const float *x, size_t n)
{
	return device_put(x, n * sizeof *x);
}

static float *got_floats(const float *from, size_t n)
{
	float *x = malloc(n * sizeof *x);
	device_get(x, from, n * sizeof *x);
	return x;
}

/* ---- vectors ------------------------------------------------------------------------------------------------------- */

static void check_vectors(size_t n)
{
	struct rng rng = seeded((int)n);
	float *a = random_floats(&rng, n, 1, false), *b = random_floats(&rng, n, 1, false);
	struct add_args add = {.a = put_floats(a, n), .b = put_floats(b, n), .out = put_floats(NULL, n), .n = n};
	struct scale_args scale = {.x = put_floats(a, n), .factor = -0.3f, .n = n};
	struct narrow_args narrow = {.from = add.a, .to = device_put(NULL, n * sizeof(uint16_t)), .n = n};
	CHECK_INT(cuda_add(&add, 0) || cuda_scale(&scale, 0) || cuda_narrow(&narrow, 0), cudaSuccess);
	float *sum = got_floats(add.out, n), *scaled = got_floats(scale.x, n);
	uint16_t *half = malloc(n * sizeof *half);
	device_get(half, narrow.to, n * sizeof *half);
	for (size_t i = 0; i < n; i++) {
		CHECK_NEAR(sum[i], a[i] + b[i], TOL_EXACT);
		CHECK_NEAR(scaled[i], a[i] * -0.3f, TOL_EXACT);
		CHECK_NEAR(bf16_to_f32(half[i]), bf16_rounded(a[i]), TOL_EXACT);
	}
	device_free_all();
	free(a), free(b), free(sum), free(scaled), free(half);
}

TEST(cuda_train_kernels, vectors)
{
	static const size_t n[] = {1, 255, 256, 257, 5000};
	for (size_t i = 0; device_is_there() && i < sizeof n / sizeof *n; i++)
		check_vectors(n[i]);
}

/* ---- norm, activation ------------------------------------------------------------------------------------------------ */

static void check_norm_back(int n_row, int n)
{
	struct rng rng = seeded(n);
	size_t all = (size_t)(n_row * n);
	float *x = random_floats(&rng, all, 3, false), *gain = random_floats(&rng, (size_t)n, 1, false);
	float *dy = random_floats(&rng, all, 1, false), *dx = random_floats(&rng, all, 1, false);
	struct norm_back_args a = {.x = put_floats(x, all), .gain = put_floats(gain, (size_t)n), .dy = put_floats(dy, all),
		.dx = put_floats(dx, all), .eps = 1e-5f, .n_row = n_row, .n = n};
	CHECK_INT(cuda_norm_back(&a, 0), cudaSuccess);
	float *got = got_floats(a.dx, all);
	for (int row = 0; row < n_row; row++) {
		const float *xr = x + row * n, *dyr = dy + row * n;
		double square = 0, along = 0, size = 0;
		for (int i = 0; i < n; i++) {
			square += (double)xr[i] * xr[i];
			along += (double)xr[i] * gain[i] * dyr[i];
			size += fabs((double)xr[i] * gain[i] * dyr[i]);
		}
		double rms = sqrt(square / n + (double)a.eps);
		for (int i = 0; i < n; i++) {
			double u = xr[i] / rms, straight = gain[i] * (double)dyr[i] / rms, back = u * along / n / rms / rms;
			double want = dx[row * n + i] + straight - back, terms = fabs((double)dx[row * n + i]) + fabs(straight) + fabs(u) * size / n / rms / rms;
			CHECK_NEAR(got[row * n + i], want, allowed(terms, want));
		}
	}
	device_free_all();
	free(x), free(gain), free(dy), free(dx), free(got);
}

TEST(cuda_train_kernels, norm_back)
{
	static const int n[] = {1, 7, 64, 80, 255, 257, 576, 4097};
	for (size_t i = 0; device_is_there() && i < sizeof n / sizeof *n; i++)
		check_norm_back(1 + (int)i % 3, n[i]);
}

static void check_swiglu(size_t n)
{
	struct rng rng = seeded((int)n);
	float *gate = random_floats(&rng, n, 4, false), *up = random_floats(&rng, n, 2, false), *d_act = random_floats(&rng, n, 1, false);
	gate[0] = -90; /* exp(90) is no float32 */
	gate[n - 1] = 90;
	struct swiglu_back_args a = {.gate = put_floats(gate, n), .up = put_floats(up, n), .act = put_floats(NULL, n), .n = n};
	CHECK_INT(cuda_swiglu_train(&a, 0), cudaSuccess);
	float *act = got_floats(a.act, n);
	a.act = put_floats(d_act, n);
	a.d_up = put_floats(NULL, n);
	CHECK_INT(cuda_swiglu_train(&a, 0), cudaSuccess);
	float *d_gate = got_floats(a.act, n), *d_up = got_floats(a.d_up, n);
	for (size_t i = 0; i < n; i++) {
		double g = gate[i], sigma = 1 / (1 + exp(-g)), slope = sigma * (1 + g * (1 - sigma));
		/* the exponential's float32 argument is rounded: 8 times its result's rounding at most */
		CHECK_NEAR(act[i], g * sigma * up[i], allowed(8 * fabs(g * sigma * up[i]), 0));
		CHECK_NEAR(d_up[i], d_act[i] * g * sigma, allowed(8 * fabs(d_act[i] * g * sigma), 0));
		CHECK_NEAR(d_gate[i], d_act[i] * up[i] * slope, allowed(8 * fabs((double)d_act[i] * up[i]) * (sigma + fabs(g * sigma)), 0));
	}
	device_free_all();
	free(gate), free(up), free(d_act), free(act), free(d_gate), free(d_up);
}

TEST(cuda_train_kernels, swiglu_and_back)
{
	static const size_t n[] = {2, 31, 256, 1537};
	for (size_t i = 0; device_is_there() && i < sizeof n / sizeof *n; i++)
		check_swiglu(n[i]);
}

/* ---- rotation -------------------------------------------------------------------------------------------------------- */

static void check_rope(int n_head, int d, bool adjacent)
{
	enum { PROMPTS = 3, PERIOD = 4, ROWS = PROMPTS * PERIOD };
	const int32_t offset[PROMPTS] = {1, 7, 4000};
	struct rng rng = seeded(d + n_head);
	size_t n = (size_t)(ROWS * n_head * d);
	float *x = random_floats(&rng, n, 2, false), *inv_freq = malloc((size_t)d / 2 * sizeof *inv_freq);
	for (int i = 0; i < d / 2; i++)
		inv_freq[i] = (float)pow(10000, -2.0 * i / d);
	struct rope_rows_args a = {.x = put_floats(x, n), .offset = device_put(offset, sizeof offset), .inv_freq = put_floats(inv_freq, (size_t)d / 2),
		.n_row = ROWS, .n_head = n_head, .head_dim = d, .period = PERIOD, .adjacent = adjacent};
	CHECK_INT(cuda_rope_rows(&a, 0), cudaSuccess);
	float *got = got_floats(a.x, n);
	a.inverse = true;
	CHECK_INT(cuda_rope_rows(&a, 0), cudaSuccess);
	float *back = got_floats(a.x, n);
	for (int row = 0; row < ROWS; row++)
		for (int head = 0; head < n_head; head++)
			for (int p = 0; p < d / 2; p++) {
				size_t at = (size_t)((row * n_head + head) * d);
				size_t first = at + (size_t)(adjacent ? 2 * p : p), second = at + (size_t)(adjacent ? 2 * p + 1 : d / 2 + p);
				double angle = (float)(offset[row / PERIOD] + row % PERIOD) * inv_freq[p];
				CHECK_NEAR(got[first], x[first] * cos(angle) - x[second] * sin(angle), TOL_ROTATED);
				CHECK_NEAR(got[second], x[second] * cos(angle) + x[first] * sin(angle), TOL_ROTATED);
				CHECK_NEAR(back[first], x[first], TOL_ROTATED);
				CHECK_NEAR(back[second], x[second], TOL_ROTATED);
			}
	device_free_all();
	free(x), free(inv_freq), free(got), free(back);
}

TEST(cuda_train_kernels, rope_of_several_prompts)
{
	static const int head[] = {1, 3, 2, 7}, d[] = {64, 80, 96, 128};
	for (int i = 0; device_is_there() && i < 4; i++) {
		check_rope(head[i], d[i], false);
		check_rope(head[i], d[i], true);
	}
}

/* ---- rows and heads -------------------------------------------------------------------------------------------------- */

static void check_heads(int n_head, int n_row, int d)
{
	struct rng rng = seeded(n_head + d);
	size_t one = (size_t)(n_row * d), stride = one + 5, n = one * (size_t)n_head, spread = stride * (size_t)n_head;
	float *x = random_floats(&rng, n, 1, false);
	struct heads_args a = {.rows = put_floats(x, n), .heads = put_floats(NULL, spread), .stride = stride, .n_row = n_row, .n_head = n_head,
		.head_dim = d, .factor = 0.5f};
	CHECK_INT(cuda_rows_to_heads(&a, 0), cudaSuccess);
	float *heads = got_floats(a.heads, spread);
	for (int h = 0; h < n_head; h++) {
		for (int i = 0; i < n_row; i++)
			for (int c = 0; c < d; c++)
				CHECK_NEAR(heads[(size_t)h * stride + (size_t)(i * d + c)], 0.5f * x[(i * n_head + h) * d + c], TOL_EXACT);
		CHECK(isnan(heads[(size_t)h * stride + one])); /* nothing beside them is touched */
	}
	a.factor = 2;
	a.rows = put_floats(NULL, n);
	CHECK_INT(cuda_heads_to_rows(&a, 0), cudaSuccess);
	float *rows = got_floats(a.rows, n);
	CHECK(!memcmp(rows, x, n * sizeof *x));
	device_free_all();
	free(x), free(heads), free(rows);
}

TEST(cuda_train_kernels, rows_and_heads)
{
	if (device_is_there()) {
		check_heads(1, 1, 64);
		check_heads(9, 4, 80);
		check_heads(3, 32, 96);
		check_heads(7, 5, 128);
	}
}

TEST(cuda_train_kernels, cached_heads_widened)
{
	enum { HEADS = 3, N = 5 * 96, STRIDE = N + 7 };
	struct rng rng = seeded(0);
	float *x = random_floats(&rng, HEADS * N, 3, false);
	uint16_t half[HEADS * N];
	for (int i = 0; i < HEADS * N; i++)
		half[i] = f32_to_f16(x[i]);
	for (int kind = 0; device_is_there() && kind < 2; kind++) {
		struct widen_heads_args a = {.from = kind ? device_put(half, sizeof half) : device_put(x, HEADS * N * sizeof *x), .half = kind,
			.to = put_floats(NULL, HEADS * STRIDE), .n = N, .stride = STRIDE, .n_head = HEADS};
		CHECK_INT(cuda_widen_heads(&a, 0), cudaSuccess);
		float *got = got_floats(a.to, HEADS * STRIDE);
		for (int i = 0; i < HEADS * N; i++)
			CHECK_NEAR(got[i / N * STRIDE + i % N], kind ? f16_to_f32(half[i]) : x[i], TOL_EXACT);
		device_free_all();
		free(got);
	}
	free(x);
}

/* ---- softmax, both ways ------------------------------------------------------------------------------------------------ */

struct softmax_case {
	int n_head, n_row, n;
	float *logit, *through, *d_mean; /* dP through the outputs */
};

static void check_softmax_row(const struct softmax_case *c, int index, const float *p, const float *dp, float lse, bool outputs)
{
	int width = c->n + c->n_row, visible = c->n + index % c->n_row + 1;
	const float *logit = c->logit + (size_t)index * (size_t)width, *through = c->through + (size_t)index * (size_t)width;
	const float *d_mean = c->d_mean + (size_t)(index / c->n_row) * (size_t)c->n;
	double top = logit[0], sum = 0, dot = 0, size = 0;
	for (int j = 1; j < visible; j++)
		top = fmax(top, logit[j]);
	for (int j = 0; j < visible; j++)
		sum += exp(logit[j] - top);
	for (int j = 0; j < visible; j++) {
		double want = exp(logit[j] - top) / sum, g = (outputs ? through[j] : 0.0) + (j < c->n ? (double)d_mean[j] / c->n_row : 0);
		dot += want * g;
		size += want * fabs(g);
	}
	CHECK_NEAR(lse, top + log(sum), TOL_SUM_REL * (fabs(top) + 1 + log(sum)));
	for (int j = 0; j < width; j++) {
		double want = j < visible ? exp(logit[j] - top) / sum : 0;
		double g = (outputs ? through[j] : 0.0) + (j < c->n ? (double)d_mean[j] / c->n_row : 0);
		/* logits up to 10 in float32: their exponentials are that much off, and lse too */
		CHECK_NEAR(p[j], want, 10 * allowed(want, want));
		CHECK_NEAR(dp[j], j < visible ? want * (g - dot) : 0, 10 * allowed(want * (fabs(g) + size), 0));
	}
}

static void check_softmax(int n_head, int n_row, int n, bool outputs)
{
	struct rng rng = seeded(n);
	size_t rows = (size_t)(n_head * n_row), all = rows * (size_t)(n + n_row);
	struct softmax_case c = {.n_head = n_head, .n_row = n_row, .n = n, .logit = random_floats(&rng, all, 3, false),
		.through = random_floats(&rng, all, 1, false), .d_mean = random_floats(&rng, (size_t)(n_head * n), 1, false)};
	struct row_softmax_args a = {.logit = put_floats(c.logit, all), .lse = put_floats(NULL, rows), .n_head = n_head, .n_row = n_row, .n = n};
	CHECK_INT(cuda_row_softmax(&a, 0), cudaSuccess);
	float *forward = got_floats(a.logit, all), *lse = got_floats(a.lse, rows);
	struct row_softmax_back_args back = {.softmax = a, .d_mean = put_floats(c.d_mean, (size_t)(n_head * n)),
		.dp = outputs ? put_floats(c.through, all) : put_floats(NULL, all), .outputs = outputs};
	back.softmax.logit = put_floats(c.logit, all);
	CHECK_INT(cuda_row_softmax_back(&back, 0), cudaSuccess);
	float *p = got_floats(back.softmax.logit, all), *dp = got_floats(back.dp, all);
	for (size_t i = 0; i < rows; i++) {
		size_t at = i * (size_t)(n + n_row);
		check_softmax_row(&c, (int)i, forward + at, dp + at, lse[i], outputs);
		check_softmax_row(&c, (int)i, p + at, dp + at, lse[i], outputs);
	}
	device_free_all();
	free(c.logit), free(c.through), free(c.d_mean), free(forward), free(lse), free(p), free(dp);
}

TEST(cuda_train_kernels, softmax_and_back)
{
	if (!device_is_there())
		return;
	check_softmax(1, 1, 1, true);
	check_softmax(3, 5, 250, true);
	check_softmax(2, 32, 225, true);
	check_softmax(1, 4, 600, false);
}

/* ---- objective --------------------------------------------------------------------------------------------------------- */

static void check_objective(int n_head, int n_row, int n, double weight)
{
	struct rng rng = seeded(n);
	size_t all = (size_t)(n_head * n_row * (n + n_row)), map = (size_t)(n_head * n);
	float *p = random_floats(&rng, all, 1, false), *truth = random_floats(&rng, map, 1, false);
	for (size_t i = 0; i < all; i++)
		p[i] = fabsf(p[i]) * 0.01f;
	for (size_t i = 0; i < map; i++)
		truth[i] = i % 7 ? fabsf(truth[i]) : 0;
	truth[n > 1] = 2;
	struct column_mean_args m = {.p = put_floats(p, all), .mean = put_floats(NULL, map), .n_head = n_head, .n_row = n_row, .n = n};
	CHECK_INT(cuda_column_mean(&m, 0), cudaSuccess);
	float *mean = got_floats(m.mean, map);
	struct objective_args o = {.truth = put_floats(truth, map), .s = m.mean, .kl = device_put(NULL, (size_t)n_head * sizeof(double)),
		.weight = weight, .n_head = n_head, .n = n};
	CHECK_INT(cuda_objective(&o, 0), cudaSuccess);
	float *s = got_floats(o.s, map);
	double *kl = malloc((size_t)n_head * sizeof *kl);
	device_get(kl, o.kl, (size_t)n_head * sizeof *kl);
	for (int h = 0; h < n_head; h++) {
		double t_sum = 0, s_sum = 0, want = 0, pull = 0;
		for (int j = 0; j < n; j++) {
			double sum = 0;
			for (int row = 0; row < n_row; row++)
				sum += p[(size_t)((h * n_row + row) * (n + n_row) + j)];
			CHECK_NEAR(mean[h * n + j], sum / n_row, allowed(sum / n_row, sum / n_row));
			t_sum += (double)truth[h * n + j];
			s_sum += (double)mean[h * n + j];
		}
		for (int j = 0; j < n; j++) {
			double t = truth[h * n + j] / t_sum, q = mean[h * n + j] / s_sum;
			want += t * (log(t + 1e-12) - log(q + 1e-12));
			pull += t * q / (q + 1e-12);
		}
		CHECK_NEAR(kl[h], want, TOL_F64_SUM * 100); /* logarithms of up to 30 weigh the sum's terms */
		for (int j = 0; j < n; j++) {
			double t = truth[h * n + j] / t_sum, q = mean[h * n + j] / s_sum, slope = weight * (pull - t / (q + 1e-12)) / s_sum;
			CHECK_NEAR(s[h * n + j], weight > 0 ? slope : mean[h * n + j], allowed(0, weight * (1 + t / q) / s_sum));
		}
	}
	device_free_all();
	free(p), free(truth), free(mean), free(s), free(kl);
}

TEST(cuda_train_kernels, objective_and_its_derivative)
{
	if (!device_is_there())
		return;
	check_objective(1, 1, 1, 0.5);
	check_objective(3, 4, 17, 0.25);
	check_objective(2, 32, 255, 1e-3);
	check_objective(1, 5, 700, 0);
}

/* ---- the update -------------------------------------------------------------------------------------------------------- */

static void check_update(size_t n)
{
	struct rng rng = seeded((int)n);
	float *vector[4]; /* gradient, first, second, value */
	for (int i = 0; i < 4; i++)
		vector[i] = random_floats(&rng, n, 1, false);
	for (size_t i = 0; i < n; i++)
		vector[2][i] *= vector[2][i];
	struct square_sum_args square = {.x = put_floats(vector[0], n), .n = n, .part = device_put(NULL, SQUARE_PARTS * sizeof(double)),
		.out = device_put(NULL, sizeof(double))};
	double sum, want = vector_square_sum(vector[0], n);
	CHECK_INT(cuda_square_sum(&square, 0), cudaSuccess);
	device_get(&sum, square.out, sizeof sum);
	CHECK_NEAR(sum, want, TOL_F64_SUM * want);
	const struct optimizer_options rule = {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.1f, .clip = 1,
		.warmup = 3, .steps = 10, .floor = 0.1f};
	struct adamw a = optimizer_move(&rule, 4, sqrt(sum)), host = a;
	a.n = host.n = n;
	host.gradient = vector[0], host.first = vector[1], host.second = vector[2], host.value = vector[3];
	a.gradient = square.x, a.first = put_floats(vector[1], n), a.second = put_floats(vector[2], n), a.value = put_floats(vector[3], n);
	CHECK_INT(cuda_adamw(&a, 0), cudaSuccess);
	adamw_update(&host);
	float *got[3] = {got_floats(a.first, n), got_floats(a.second, n), got_floats(a.value, n)};
	for (int k = 0; k < 3; k++)
		for (size_t i = 0; i < n; i++)
			CHECK_NEAR(got[k][i], vector[1 + k][i], TOL_SUM_REL * (1 + fabs((double)vector[1 + k][i])));
	device_free_all();
	for (int k = 0; k < 4; k++)
		free(vector[k]);
	for (int k = 0; k < 3; k++)
		free(got[k]);
}

TEST(cuda_train_kernels, adamw_and_the_norm)
{
	static const size_t n[] = {1, 255, 70001};
	for (size_t i = 0; device_is_there() && i < sizeof n / sizeof *n; i++)
		check_update(n[i]);
}
