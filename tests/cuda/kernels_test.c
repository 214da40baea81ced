/* The kernels that work row by row, each against its definition in double precision: every shape with a tail, odd leading dimensions,
 * both kinds of element. Attention and captures: attention_test.c. */
#include <stdlib.h>

#include "engine/file/tensor_type.h"
#include "tests/cuda/on_device.h"
#include "tests/support/quantise.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

/* What one result may be off: float32 sums relative to the sum of their terms' magnitudes, and where it is stored as bfloat16 half a
 * unit of its eighth bit. */
static double allowed(double magnitude, double value, bool half)
{
	return TOL_SUM_REL * magnitude + TOL_EPS * fabs(value) + (half ? TOL_BF16_ROUND * fabs(value) : 0) + TOL_NOTHING;
}

static struct rng seeded(void)
{
	struct rng rng;
	rng_seed(&rng, test_seed());
	return rng;
}

/* ---- norm, activation, bias ---------------------------------------------------------------------------------------- */

static void check_norm(int n_rows, int n, bool half)
{
	struct rng rng = seeded();
	float *x = random_floats(&rng, (size_t)(n_rows * n), 3, false), *gain = random_floats(&rng, (size_t)n, 1, false);
	float *got = malloc((size_t)(n_rows * n) * sizeof *got);
	struct norm_args a = {.in = device_rows(x, n_rows, n, n + 3, false), .out = device_rows(NULL, n_rows, n, n + 5, half),
		.gain = device_put(gain, (size_t)n * sizeof *gain), .eps = 1e-5f, .n_rows = n_rows, .n = n};
	CHECK_INT(cuda_norm(&a, 0), cudaSuccess);
	device_get_rows(got, a.out, n_rows, n);
	for (int row = 0; row < n_rows; row++) {
		double square = 0;
		for (int i = 0; i < n; i++)
			square += (double)x[row * n + i] * x[row * n + i];
		for (int i = 0; i < n; i++) {
			double want = x[row * n + i] / sqrt(square / n + a.eps) * gain[i];
			CHECK_NEAR(got[row * n + i], want, allowed(fabs(want), want, half));
		}
	}
	device_free_all();
	free(x), free(gain), free(got);
}

TEST(cuda_kernels, norm)
{
	static const int n[] = {1, 7, 64, 255, 257, 576, 4097};
	for (size_t i = 0; device_is_there() && i < sizeof n / sizeof *n; i++)
		for (int half = 0; half < 2; half++)
			check_norm(1 + (int)i % 3, n[i], half);
}

static void check_swiglu(int n_rows, int n, bool half)
{
	struct rng rng = seeded();
	float *gate = random_floats(&rng, (size_t)(n_rows * n), 4, half), *up = random_floats(&rng, (size_t)(n_rows * n), 2, half);
	float *got = malloc((size_t)(n_rows * n) * sizeof *got);
	gate[0] = -90, up[0] = 3; /* exp(90) is no float32 */
	struct swiglu_args a = {.gate = device_rows(gate, n_rows, n, 2 * n + 1, half), .up = device_rows(up, n_rows, n, n + 1, half),
		.n_rows = n_rows, .n = n};
	CHECK_INT(cuda_swiglu(&a, 0), cudaSuccess);
	device_get_rows(got, a.gate, n_rows, n);
	for (int i = 0; i < n_rows * n; i++) {
		double want = gate[i] / (1 + exp(-(double)gate[i])) * up[i];
		CHECK_NEAR(got[i], want, allowed(8 * fabs(want), want, half));
	}
	device_free_all();
	free(gate), free(up), free(got);
}

TEST(cuda_kernels, swiglu)
{
	static const int n[] = {1, 31, 100, 1536, 1537};
	for (size_t i = 0; device_is_there() && i < sizeof n / sizeof *n; i++)
		for (int half = 0; half < 2; half++)
			check_swiglu(1 + (int)i, n[i], half);
}

TEST(cuda_kernels, bias)
{
	enum { ROWS = 3, N = 77 };
	struct rng rng = seeded();
	float *x = random_floats(&rng, ROWS * N, 1, false), *bias = random_floats(&rng, N, 1, false), got[ROWS * N];
	if (device_is_there()) {
		struct bias_args a = {.bias = device_put(bias, N * sizeof *bias), .out = device_rows(x, ROWS, N, 2 * N, false), .n_rows = ROWS, .n = N};
		CHECK_INT(cuda_add_bias(&a, 0), cudaSuccess);
		device_get_rows(got, a.out, ROWS, N);
		for (int i = 0; i < ROWS * N; i++)
			CHECK_NEAR(got[i], x[i] + bias[i % N], TOL_EXACT);
		device_free_all();
	}
	free(x), free(bias);
}

/* ---- rotary embedding ------------------------------------------------------------------------------------------------ */

struct rope_shape {
	int n_head, n_kv_head, d, n_rows, position;
	bool adjacent, norm, half;
};

/* Head h of a row in place: norm, then rotation by the row's angles, which are float32 as the reference has them. */
static void plain_rope(const struct rope_shape *s, const float *inv_freq, const float *gain, int row, const float *in, double *out)
{
	double square = 0;
	for (int i = 0; i < s->d; i++)
		square += (double)in[i] * in[i];
	for (int i = 0; i < s->d; i++)
		out[i] = gain ? in[i] / sqrt(square / s->d + 1e-6f) * gain[i] : in[i];
	for (int p = 0; p < s->d / 2; p++) {
		int first = s->adjacent ? 2 * p : p, second = s->adjacent ? 2 * p + 1 : s->d / 2 + p;
		double angle = (float)(s->position + row) * inv_freq[p], a = out[first], b = out[second];
		out[first] = a * cos(angle) - b * sin(angle);
		out[second] = b * cos(angle) + a * sin(angle);
	}
}

static void check_rope(const struct rope_shape *s)
{
	struct rng rng = seeded();
	int d = s->d, kv = s->n_kv_head * d, width = 2 * kv + s->n_head * d, max_tokens = s->position + s->n_rows + 2;
	int q_first = s->n_rows / 2; /* earlier rows' queries are nobody's business */
	float *x = random_floats(&rng, (size_t)(s->n_rows * width), 2, false), *got = malloc((size_t)(s->n_rows * width) * sizeof *got);
	float *gain = random_floats(&rng, (size_t)d, 1, false), *inv_freq = malloc((size_t)d * sizeof *inv_freq);
	float *cached = malloc((size_t)(s->n_kv_head * max_tokens * d) * sizeof *cached);
	double *want = malloc((size_t)d * sizeof *want);
	for (int i = 0; i < d / 2; i++)
		inv_freq[i] = (float)pow(10000, -2.0 * i / d);
	struct cuda_place place = {.position = s->position, .n_rows = s->n_rows};
	struct cuda_rows all = device_rows(x, s->n_rows, width, width, false), keys, values;
	keys = device_rows(NULL, s->n_kv_head * max_tokens, d, d, s->half), values = device_rows(NULL, s->n_kv_head * max_tokens, d, d, s->half);
	struct rope_table_args t = {.place = device_put(&place, sizeof place), .inv_freq = device_put(inv_freq, (size_t)d / 2 * sizeof *inv_freq),
		.out = device_put(NULL, (size_t)(s->n_rows * d / 2) * sizeof(float2)), .n_rows = s->n_rows, .head_dim = d};
	struct rope_args a = {.place = t.place, .table = t.out, .eps = 1e-6f, .adjacent = s->adjacent, .k = all, .v = all, .q = all,
		.q_first = q_first, .q_end = s->n_rows, .k_first = 0, .k_end = s->n_rows, .keys = keys.data, .values = values.data, .half = s->half,
		.max_tokens = max_tokens, .n_rows = s->n_rows, .n_head = s->n_head, .n_kv_head = s->n_kv_head, .head_dim = d};
	a.v.data = (float *)all.data + kv, a.q.data = (float *)all.data + 2 * kv;
	if (s->norm)
		a.q_norm = a.k_norm = device_put(gain, (size_t)d * sizeof *gain);
	CHECK_INT(cuda_rope_table(&t, 0), cudaSuccess);
	CHECK_INT(cuda_rope(&a, 0), cudaSuccess);
	device_get_rows(got, all, s->n_rows, width);
	for (int row = 0; row < s->n_rows; row++)
		for (int h = 0; h < s->n_head + s->n_kv_head; h++) {
			bool query = h >= s->n_kv_head;
			int at = row * width + (query ? 2 * kv + (h - s->n_kv_head) * d : h * d);
			plain_rope(s, inv_freq, s->norm ? gain : NULL, row, x + at, want);
			for (int i = 0; i < d; i++)
				CHECK_NEAR(got[at + i], query && row < q_first ? x[at + i] : want[i], TOL_ROTATED);
		}
	for (int kind = 0; kind < 2; kind++) { /* keys as they are in the rows now, values as they were */
		device_get_rows(cached, kind ? values : keys, s->n_kv_head * max_tokens, d);
		for (int g = 0; g < s->n_kv_head; g++)
			for (int j = 0; j < max_tokens; j++)
				for (int i = 0; i < d; i++) {
					float entry = cached[(g * max_tokens + j) * d + i];
					int row = j - s->position;
					if (row < 0 || row >= s->n_rows) {
						CHECK(isnan(entry));
						continue;
					}
					float from = got[row * width + kind * kv + g * d + i];
					CHECK_NEAR(entry, s->half ? bf16_rounded(from) : from, TOL_EXACT);
				}
	}
	device_free_all();
	free(x), free(got), free(gain), free(inv_freq), free(cached), free(want);
}

TEST(cuda_kernels, rope_and_cache)
{
	static const struct rope_shape shape[] = {
		{9, 3, 64, 5, 0, true, false, true}, {1, 1, 128, 1, 40, false, false, false}, {7, 1, 96, 3, 7, false, true, true},
		{4, 4, 80, 2, 77, false, false, true}, {2, 1, 6, 9, 131000, true, true, false}, {5, 5, 256, 1, 90, false, true, false},
	};
	for (size_t i = 0; device_is_there() && i < sizeof shape / sizeof *shape; i++)
		check_rope(&shape[i]);
}

/* ---- products ---------------------------------------------------------------------------------------------------------- */

struct matvec_shape {
	int n_rows, n_out, n_in;
	bool half, out_half, bias, add, swiglu;
};

static double dot(const float *a, const float *b, int n, double *magnitude)
{
	double sum = 0;
	for (int i = 0; i < n; i++) {
		sum += (double)a[i] * b[i];
		*magnitude += fabs((double)a[i] * b[i]);
	}
	return sum;
}

static void check_matvec(const struct matvec_shape *s)
{
	struct rng rng = seeded();
	int width = s->swiglu ? s->n_out / 2 : s->n_out;
	float *w = random_floats(&rng, (size_t)(s->n_out * s->n_in), 1, s->half), *x = random_floats(&rng, (size_t)(s->n_rows * s->n_in), 1, s->half);
	float *bias = random_floats(&rng, (size_t)s->n_out, 1, false), *before = random_floats(&rng, (size_t)(s->n_rows * width), 1, s->out_half);
	float *got = malloc((size_t)(s->n_rows * width) * sizeof *got);
	struct matvec_args a = {.in = device_rows(x, s->n_rows, s->n_in, s->n_in + 8, s->half),
		.out = device_rows(s->add ? before : NULL, s->n_rows, width, width + 3, s->out_half),
		.weight = device_rows(w, s->n_out, s->n_in, s->n_in, s->half).data, .half = s->half,
		.bias = s->bias ? device_put(bias, (size_t)s->n_out * sizeof *bias) : NULL, .add = s->add, .swiglu = s->swiglu, .n_rows = s->n_rows,
		.n_out = s->n_out, .n_in = s->n_in};
	CHECK_INT(cuda_matvec(&a, 0), cudaSuccess);
	device_get_rows(got, a.out, s->n_rows, width);
	for (int row = 0; row < s->n_rows; row++)
		for (int o = 0; o < width; o++) {
			double size = 1, want = dot(w + o * s->n_in, x + row * s->n_in, s->n_in, &size);
			if (s->bias)
				want += bias[o];
			if (s->swiglu) {
				double up_size = 1, up = dot(w + (o + width) * s->n_in, x + row * s->n_in, s->n_in, &up_size);
				size = size * fabs(up) + up_size * fabs(want);
				want = want / (1 + exp(-want)) * up;
			}
			if (s->add)
				want += before[row * width + o];
			CHECK_NEAR(got[row * width + o], want, allowed(size, want, s->out_half));
		}
	device_free_all();
	free(w), free(x), free(bias), free(before), free(got);
}

TEST(cuda_kernels, products_of_few_rows)
{
	static const struct matvec_shape shape[] = {
		{1, 1, 1, .half = true}, {1, 5, 64, .half = false}, {2, 7, 1032, .half = true, .bias = true}, {3, 16, 100, .add = true}, {4, 33, 264, .half = true, .add = true},
		{5, 9, 250, .half = true}, {8, 11, 2056, .bias = true}, {7, 6, 3, .half = true, .bias = true, .add = true},
		{1, 14, 96, .half = true, .out_half = true, .swiglu = true}, {8, 22, 72, .out_half = false, .swiglu = true},
		{3, 300, 96, .half = true, .out_half = true},
	};
	for (size_t i = 0; device_is_there() && i < sizeof shape / sizeof *shape; i++)
		check_matvec(&shape[i]);
}

struct lora_case { /* one part: its rank and columns, and what it should add to */
	int r, n_out;
	float *a, *b, *before, *got;
	struct cuda_rows out;
};

static void make_part(struct lora_args *args, int i, struct lora_case *p, struct rng *rng)
{
	int n_rows = args->n_rows, n_in = args->n_in;
	bool half = args->out_half;
	size_t n_a = (size_t)(p->r * n_in), n_b = (size_t)(p->r * p->n_out), n = (size_t)(n_rows * p->n_out);
	p->a = random_floats(rng, n_a, 1, false), p->b = random_floats(rng, n_b, 1, false);
	p->before = random_floats(rng, n, 1, half), p->got = malloc(n * sizeof *p->got);
	p->out = device_rows(p->before, n_rows, p->n_out, p->n_out + 2, half);
	args->a[i] = device_put(p->a, n_a * sizeof *p->a), args->b[i] = device_put(p->b, n_b * sizeof *p->b);
	args->out[i] = p->out.data, args->ld_out[i] = p->out.ld;
	args->r[i] = p->r, args->n_out[i] = p->n_out, args->low_at[i] = args->ld_low;
	args->ld_low += p->r;
}

static void check_part(struct lora_case *p, const float *x, int n_rows, int n_in, bool half)
{
	device_get_rows(p->got, p->out, n_rows, p->n_out);
	for (int row = 0; row < n_rows; row++)
		for (int o = 0; o < p->n_out; o++) {
			double want = p->before[row * p->n_out + o], size = 1;
			for (int k = 0; k < p->r; k++) {
				double low_size = 0, low = dot(p->a + k * n_in, x + row * n_in, n_in, &low_size);
				want += low * p->b[k * p->n_out + o];
				size += low_size * fabs(p->b[k * p->n_out + o]);
			}
			CHECK_NEAR(p->got[row * p->n_out + o], want, allowed(size, want, half));
		}
	free(p->a), free(p->b), free(p->before), free(p->got);
}

static void check_lora(int n_rows, int n_in, struct lora_case *part, int n_part, bool half)
{
	struct rng rng = seeded();
	float *x = random_floats(&rng, (size_t)(n_rows * n_in), 1, half);
	struct lora_args args = {.in = device_rows(x, n_rows, n_in, n_in + 1, half), .out_half = half, .n_part = n_part, .n_rows = n_rows,
		.n_in = n_in};
	for (int i = 0; i < n_part; i++)
		make_part(&args, i, &part[i], &rng);
	args.ld_low++;
	args.low = device_put(NULL, (size_t)(n_rows * args.ld_low) * sizeof(float));
	CHECK_INT(cuda_lora_rows(&args, 0), cudaSuccess);
	for (int i = 0; i < n_part; i++)
		check_part(&part[i], x, n_rows, n_in, half);
	device_free_all();
	free(x);
}

/* Parts of different ranks and widths, as K, V and Q are, and where only some of them have an adapter. */
TEST(cuda_kernels, lora)
{
	for (int half = 0; device_is_there() && half < 2; half++) {
		check_lora(1, 33, (struct lora_case[]){{.r = 1, .n_out = 5}}, 1, half);
		check_lora(5, 96, (struct lora_case[]){{.r = 8, .n_out = 130}, {.r = 3, .n_out = 7}}, 2, half);
		check_lora(20, 70, (struct lora_case[]){{.r = 17, .n_out = 40}, {.r = 1, .n_out = 257}, {.r = 9, .n_out = 129}}, 3, half);
	}
}

/* ---- stored types ---------------------------------------------------------------------------------------------------------- */

TEST(cuda_kernels, unpacking_of_every_type)
{
	enum { N = 256 * 9 };
	struct rng rng = seeded();
	float *x = random_floats(&rng, N, 1, false), *want = malloc(N * sizeof *want), *got = malloc(N * sizeof *got);
	uint8_t *packed = malloc(N * sizeof(float));
	for (int type = 0; device_is_there() && type < N_TENSOR_TYPE; type++)
		for (int half = 0; half < 2; half++) {
			quantise((enum tensor_type)type, x, N, packed);
			tensor_unpack((enum tensor_type)type, packed, N, want);
			struct cuda_rows out = device_rows(NULL, 1, N, N, half);
			struct unpack_args a = {.type = type, .from = device_put(packed, tensor_type_bytes((enum tensor_type)type, N)), .to = out.data,
				.half = half, .n = N};
			CHECK_INT(cuda_unpack(&a, 0), cudaSuccess);
			device_get_rows(got, out, 1, N);
			for (int i = 0; i < N; i++) {
				float expected = half ? bf16_rounded(want[i]) : want[i];
				if (!(fabs((double)got[i] - expected) <= TOL_EXACT)) {
					test_fail(__FILE__, __LINE__, "%s, half %d, element %d: %.9g, not %.9g", tensor_type_info((enum tensor_type)type)->name, half, i,
						(double)got[i], (double)expected);
					break;
				}
			}
			device_free_all();
		}
	free(x), free(want), free(got), free(packed);
}

/* ---- random weights ---------------------------------------------------------------------------------------------------------- */

static uint64_t plain_hash(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Each element against the definition, and all of them against what makes them normal: mean, deviation, share beyond two deviations. */
TEST(cuda_kernels, random_numbers)
{
	enum { N = 20011, SEED = 7 };
	float *got = malloc(N * sizeof *got);
	double deviation = 0.02;
	for (int half = 0; device_is_there() && half < 2; half++) {
		struct cuda_rows out = device_rows(NULL, 1, N, N, half);
		struct random_args a = {.to = out.data, .half = half, .n = N, .seed = SEED, .deviation = (float)deviation};
		double sum = 0, square = 0;
		int far = 0;
		CHECK_INT(cuda_random(&a, 0), cudaSuccess);
		device_get_rows(got, out, 1, N);
		for (int i = 0; i < N; i++) {
			uint64_t bits = plain_hash(plain_hash(SEED) + (uint64_t)i / 2 + 1);
			double radius = deviation * sqrt(-2 * log(((double)(bits >> 41) + 0.5) / 0x1p23)), angle = (double)(bits & 0xffffff) / 0x1p24 * 2 * acos(-1);
			double want = radius * (i % 2 ? sin(angle) : cos(angle));
			CHECK_NEAR(got[i], want, allowed(radius, want, half));
			sum += got[i], square += (double)got[i] * got[i];
			far += fabs((double)got[i]) > 2 * deviation;
		}
		CHECK_NEAR(sum / N, 0, 4 * deviation / sqrt(N));
		CHECK_NEAR(sqrt(square / N) / deviation, 1, 4 / sqrt(2.0 * N));
		CHECK_NEAR(far / (double)N, 0.0455, 4 * sqrt(0.0455 / N));
		device_free_all();
	}
	free(got);
}

/* ---- the largest -------------------------------------------------------------------------------------------------------------- */

static int argmax_of(const float *x, int n)
{
	unsigned long long got = 0;
	struct argmax_args a = {.x = device_put(x, (size_t)n * sizeof *x), .n = n, .out = device_put(&got, sizeof got)};
	CHECK_INT(cuda_argmax(&a, 0), cudaSuccess);
	device_get(&got, a.out, sizeof got);
	device_free_all();
	return argmax_index(got);
}

TEST(cuda_kernels, argmax)
{
	enum { N = 49157 };
	struct rng rng = seeded();
	float *x = random_floats(&rng, N, 1, false);
	if (device_is_there()) {
		x[0] = -5;
		CHECK_INT(argmax_of(x, 1), 0);
		for (int i = 0; i < N; i++)
			x[i] = -3e38f - (float)(i % 7);
		x[48000] = x[1025] = x[2049] = -1; /* equals: the lowest wins, whichever thread has it */
		CHECK_INT(argmax_of(x, N), 1025);
		CHECK_INT(argmax_of(x, 1000), 0);
		x[N - 1] = 0;
		CHECK_INT(argmax_of(x, N), N - 1);
		x[N - 2] = -0.0f; /* no less than 0 */
		CHECK_INT(argmax_of(x, N), N - 2);
		x[N - 3] = 1e-40f;
		CHECK_INT(argmax_of(x, N), N - 3);
		x[17] = NAN;
		CHECK_INT(argmax_of(x, N), -1);
		x[17] = -INFINITY;
		CHECK_INT(argmax_of(x, N), -1);
	}
	free(x);
}

/* ---- the cache ---------------------------------------------------------------------------------------------------------------- */

TEST(cuda_kernels, norms_and_widening_of_cached_rows)
{
	enum { ROWS = 67, N = 80, LD = 96 };
	struct rng rng = seeded();
	float got[ROWS], *wide = malloc(sizeof(float) * ROWS * LD);
	for (int half = 0; device_is_there() && half < 2; half++) {
		float *x = random_floats(&rng, ROWS * N, 2, half);
		struct cuda_rows rows = device_rows(x, ROWS, N, LD, half);
		float *out = device_put(NULL, sizeof got);
		for (int l1 = 0; l1 < 2; l1++) {
			struct row_norms_args a = {.rows = rows.data, .half = half, .ld = LD, .n_rows = ROWS, .n = N, .l1 = l1, .factor = 0.5f, .out = out};
			CHECK_INT(cuda_row_norms(&a, 0), cudaSuccess);
			a.add = true;
			a.factor = 0.25f;
			CHECK_INT(cuda_row_norms(&a, 0), cudaSuccess);
			device_get(got, out, sizeof got);
			for (int row = 0; row < ROWS; row++) {
				double norm = 0;
				for (int i = 0; i < N; i++)
					norm += l1 ? fabs(x[row * N + i]) : (double)x[row * N + i] * x[row * N + i];
				norm = 0.75 * (l1 ? norm : sqrt(norm));
				CHECK_NEAR(got[row], norm, TOL_SUM_REL * norm);
			}
		}
		struct widen_args w = {.from = rows.data, .half = half, .to = device_put(NULL, sizeof(float) * ROWS * LD), .n = ROWS * LD - 16};
		CHECK_INT(cuda_widen(&w, 0), cudaSuccess);
		device_get(wide, w.to, sizeof(float) * ROWS * LD);
		for (int row = 0; row < ROWS; row++)
			for (int i = 0; i < N; i++)
				CHECK_NEAR(wide[row * LD + i], x[row * N + i], TOL_EXACT);
		device_free_all();
		free(x);
	}
	free(wide);
}

TEST(cuda_kernels, embedding)
{
	enum { VOCAB = 19, WIDTH = 100 };
	static const int32_t ids[] = {18, 0, 7, 7};
	struct rng rng = seeded();
	float got[4 * WIDTH];
	for (int half = 0; device_is_there() && half < 2; half++) {
		float *table = random_floats(&rng, VOCAB * WIDTH, 1, half);
		struct embed_args a = {.ids = device_put(ids, sizeof ids), .table = device_rows(table, VOCAB, WIDTH, WIDTH, half).data, .half = half,
			.n_rows = 4, .n_embd = WIDTH, .out = device_rows(NULL, 4, WIDTH, WIDTH + 4, false)};
		CHECK_INT(cuda_embed(&a, 0), cudaSuccess);
		device_get_rows(got, a.out, 4, WIDTH);
		for (int i = 0; i < 4 * WIDTH; i++)
			CHECK_NEAR(got[i], table[ids[i / WIDTH] * WIDTH + i % WIDTH], TOL_EXACT);
		device_free_all();
		free(table);
	}
}
