/* Every kernel of every instruction set this machine runs, against plain double precision or the reference unpacker. */
#include "engine/cpu/simd/simd.h"

#include <stdlib.h>
#include <string.h>

#include "engine/random.h"
#include "tests/support/quantise.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

static float *numbers(struct rng *rng, size_t n, float deviation)
{
	float *x = malloc(n * sizeof *x + 1);
	for (size_t i = 0; i < n; i++)
		x[i] = deviation * (float)rng_normal(rng);
	return x;
}

static bool same_bits(float a, float b)
{
	uint32_t x, y;
	memcpy(&x, &a, sizeof x);
	memcpy(&y, &b, sizeof y);
	return x == y || (isnan(a) && isnan(b)); /* a NaN's payload is nobody's business */
}

/* Random bytes mean something in every type, damaged scales (infinite, NaN, denormal) included. */
static void check_unpack(const struct simd_kernels *simd, enum tensor_type type, int n, int misplaced)
{
	size_t n_bytes = tensor_type_bytes(type, (uint64_t)n);
	uint8_t *bytes = malloc(n_bytes + 64);
	float *want = malloc((size_t)n * sizeof *want), *got = malloc(((size_t)n + 1) * sizeof *got);
	struct rng rng;
	rng_seed_stream(&rng, test_seed(), (uint64_t)type * 1000 + (uint64_t)n);
	for (size_t i = 0; i < n_bytes + 64; i++)
		bytes[i] = (uint8_t)rng_next(&rng);
	got[n] = 123;
	tensor_unpack(type, bytes + misplaced, (size_t)n, want);
	simd->unpack->unpack[type](bytes + misplaced, n, got);
	for (int i = 0; i < n; i++)
		if (!same_bits(got[i], want[i])) {
			test_fail(__FILE__, __LINE__, "%s %s of %d: element %d is %.9g, not %.9g", simd->name, tensor_type_info(type)->name, n, i,
				(double)got[i], (double)want[i]);
			break;
		}
	CHECK(got[n] == 123);
	free(bytes), free(want), free(got);
}

TEST(simd, unpacks_the_same_bits)
{
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (int type = 0; type < N_TENSOR_TYPE; type++) {
			int block = tensor_type_info((enum tensor_type)type)->block_elements;
			for (int n = block; n <= 9 * block; n += block)
				check_unpack(*simd, (enum tensor_type)type, n, n % 7);
			for (int n = 1; block == 1 && n < 70; n++)
				check_unpack(*simd, (enum tensor_type)type, n, n % 5);
		}
}

static void check_dot(const struct simd_kernels *simd, enum tensor_type type, int n_row, int n)
{
	struct rng rng;
	rng_seed_stream(&rng, test_seed(), (uint64_t)type * 77 + (uint64_t)n);
	size_t row_bytes = tensor_type_bytes(type, (uint64_t)n);
	float *x = numbers(&rng, (size_t)n, 1), *row = numbers(&rng, (size_t)n, 0.1f), *out = calloc((size_t)n_row + 1, sizeof *out);
	uint8_t *bytes = malloc(row_bytes * (size_t)n_row + 1);
	for (int i = 0; i < n_row; i++) {
		float *values = numbers(&rng, (size_t)n, 0.1f);
		quantise(type, values, (size_t)n, bytes + 1 + (size_t)i * row_bytes);
		free(values);
	}
	struct weight_rows w = {.data = bytes + 1, .row_bytes = row_bytes, .n_row = n_row, .n_in = n};
	out[n_row] = 123;
	simd->dot->dot[type](&w, x, out);
	for (int i = 0; i < n_row; i++) {
		double want = 0, size = 0;
		tensor_unpack(type, bytes + 1 + (size_t)i * row_bytes, (size_t)n, row);
		for (int k = 0; k < n; k++) {
			want += (double)row[k] * x[k];
			size += fabs((double)row[k] * x[k]);
		}
		CHECK_NEAR(out[i], want, TOL_SUM_REL * size);
	}
	CHECK(out[n_row] == 123);
	free(x), free(row), free(out), free(bytes);
}

TEST(simd, dot_products_of_stored_rows)
{
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (int type = 0; type < N_TENSOR_TYPE; type++) {
			int block = tensor_type_info((enum tensor_type)type)->block_elements;
			for (int blocks = 1; blocks <= 6; blocks++)
				check_dot(*simd, (enum tensor_type)type, blocks, blocks * block);
			for (int n = 1; block == 1 && n < 100; n += 3)
				check_dot(*simd, (enum tensor_type)type, 3, n);
		}
}

TEST(simd, transposes)
{
	float src[40 * 50], dst[50 * 48];
	for (int i = 0; i < 40 * 50; i++)
		src[i] = (float)i;
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (int m = 1; m <= 40; m += m < 20 ? 1 : 7)
			for (int n = 1; n <= 50; n += n < 20 ? 1 : 5) {
				for (int i = 0; i < 50 * 48; i++)
					dst[i] = -1;
				struct tile_rows rows = {.data = src, .m = m, .n = n, .ld = 50};
				(*simd)->unpack->transpose(&rows, dst, 48);
				int wrong = 0;
				for (int j = 0; j < 50; j++)
					for (int i = 0; i < 48; i++)
						wrong += dst[j * 48 + i] != (j < n && i < m ? src[i * 50 + j] : -1);
				CHECK_INT(wrong, 0);
			}
}

static void check_rows(const struct simd_rows *k, struct rng *rng, int n)
{
	float *x = numbers(rng, (size_t)n, 2), *y = numbers(rng, (size_t)n, 2), *out = malloc(((size_t)n + 1) * sizeof *out);
	double sum = 0, squares = 0, size = 0, most = -INFINITY;
	for (int i = 0; i < n; i++) {
		sum += x[i];
		squares += (double)x[i] * x[i];
		size += fabs((double)x[i]);
		most = x[i] > most ? (double)x[i] : most;
	}
	CHECK_NEAR(k->sum_abs(x, n), size, TOL_SUM_REL * size);
	CHECK_NEAR(k->sum_squares(x, n), squares, TOL_SUM_REL * squares);
	CHECK_NEAR(k->largest(x, n), most, TOL_EXACT);
	out[n] = 123;
	k->rmsnorm(x, y, 1e-5f, n, out);
	for (int i = 0; i < n; i++)
		CHECK_NEAR(out[i], x[i] / sqrt(squares / n + 1e-5f) * (double)y[i], TOL_SUM_REL * fabs((double)x[i] * y[i]));
	memcpy(out, y, (size_t)n * sizeof *out);
	k->axpy(out, -1.5f, x, n);
	for (int i = 0; i < n; i++)
		CHECK_NEAR(out[i], y[i] - 1.5 * x[i], TOL_SUM_REL * (fabs((double)y[i]) + fabs(1.5 * x[i])));
	k->scale(out, 0.5f, n);
	for (int i = 0; i < n; i++)
		CHECK_NEAR(out[i], 0.5 * (y[i] - 1.5 * x[i]), TOL_SUM_REL * (fabs((double)y[i]) + fabs(1.5 * x[i])));
	memcpy(out, x, (size_t)n * sizeof *out);
	CHECK_NEAR(k->scale_sum(out, -3, n), -3 * sum, 3 * TOL_SUM_REL * size);
	for (int i = 0; i < n; i++)
		CHECK_NEAR(out[i], -3.0 * x[i], TOL_SUM_REL * fabs(3.0 * x[i]));
	memcpy(out, x, (size_t)n * sizeof *out);
	for (int i = 0; i < n; i++)
		out[i] *= 10; /* well past where exp(-x) leaves the float range when squared */
	k->swiglu(out, y, n);
	for (int i = 0; i < n; i++) {
		double gate = (double)(x[i] * 10), want = gate / (1 + exp(-gate)) * y[i];
		CHECK_NEAR(out[i], want, 1e-30 + TOL_SUM_REL * fabs(want));
	}
	CHECK(out[n] == 123);
	free(x), free(y), free(out);
}

TEST(simd, row_kernels)
{
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (int n = 1; n < 140; n += n < 70 ? 1 : 13)
			check_rows((*simd)->rows, &rng, n);
}

static void check_powers(const struct simd_rows *k, struct rng *rng, bool base_two, int visible, int n)
{
	float *s = numbers(rng, (size_t)n, 20), *out = malloc(((size_t)n + 1) * sizeof *out);
	memcpy(out, s, (size_t)n * sizeof *s);
	out[n] = 123;
	float shift = k->largest(s, n), got = base_two ? k->exp2_row(out, shift, visible, n) : k->exp_row(out, shift, visible, n);
	double sum = 0;
	for (int j = 0; j < n; j++) {
		double x = (double)(s[j] - shift), want = j >= visible ? 0 : base_two ? exp2(x) : exp(x);
		CHECK_NEAR(out[j], want, 2e-7 * want + 1.3e-38); /* what leaves the normal numbers is 0 */
		sum += want;
	}
	CHECK_NEAR(got, sum, TOL_SUM_REL * sum);
	CHECK(out[n] == 123);
	free(s), free(out);
}

TEST(simd, exponentials_of_a_row)
{
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (int n = 1; n <= 300; n += n < 40 ? 1 : 37)
			for (int visible = 0; visible <= n; visible += n < 10 ? 1 : 5) {
				check_powers((*simd)->rows, &rng, false, visible, n);
				check_powers((*simd)->rows, &rng, true, visible, n);
			}
}

/* The bf16 form gives the same sum and the same numbers, rounded. */
TEST(simd, exponentials_rounded)
{
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (int n = 1; n <= 256; n += n < 40 ? 1 : 31)
			for (int visible = 1; visible <= n; visible += n < 10 ? 1 : 7) {
				float *s = numbers(&rng, (size_t)n, 5), shift = (*simd)->rows->largest(s, n);
				uint16_t out[257];
				out[n] = 123;
				float sum = (*simd)->rows->exp2_row_bf16(s, shift, visible, n, out), want = (*simd)->rows->exp2_row(s, shift, visible, n);
				CHECK_NEAR(sum, want, TOL_EXACT);
				for (int j = 0; j < n; j++)
					CHECK_INT(out[j], f32_to_bf16(s[j]));
				CHECK_INT(out[n], 123);
				free(s);
			}
}

TEST(simd, rounds_to_bf16)
{
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++) {
		float x[259] = {0, -0.0f, INFINITY, -INFINITY, NAN, 3.3895314e38f, 1.00390625f, 1.01171875f};
		uint16_t out[260];
		for (int i = 8; i < 259; i++) {
			uint32_t bits = (uint32_t)rng_next(&rng);
			memcpy(&x[i], &bits, sizeof bits);
		}
		for (int n = 1; n <= 259; n += n < 40 ? 1 : 31) {
			out[n] = 123;
			(*simd)->unpack->round_bf16(x, n, out);
			for (int i = 0; i < n; i++) {
				if (isnan(x[i]))
					CHECK(isnan(bf16_to_f32(out[i])));
				else if (fabsf(x[i]) < 1.1754944e-38f)
					CHECK_NEAR(bf16_to_f32(out[i]), x[i], 1.1754944e-38);
				else
					CHECK_INT(out[i], f32_to_bf16(x[i]));
			}
			CHECK_INT(out[n], 123);
		}
	}
}

TEST(simd, rotates_pairs)
{
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (int d = 2; d <= 130; d += d < 70 ? 2 : 20)
			for (int adjacent = 0; adjacent < 2; adjacent++) {
				float *x = numbers(&rng, (size_t)d + 1, 1), *y = malloc(((size_t)d + 1) * sizeof *y), cosine[130], sine[130];
				for (int i = 0; i < d / 2; i++) {
					int first = adjacent ? 2 * i : i, second = adjacent ? 2 * i + 1 : d / 2 + i;
					cosine[first] = cosine[second] = (float)cos(i + 1);
					sine[second] = (float)sin(i + 1);
					sine[first] = -sine[second];
				}
				memcpy(y, x, ((size_t)d + 1) * sizeof *y);
				(adjacent ? (*simd)->rows->rope_adjacent : (*simd)->rows->rope_halves)(y, cosine, sine, d);
				for (int i = 0; i < d / 2; i++) {
					int first = adjacent ? 2 * i : i, second = adjacent ? 2 * i + 1 : d / 2 + i;
					CHECK_NEAR(y[first], x[first] * cos(i + 1) - x[second] * sin(i + 1), 1e-6);
					CHECK_NEAR(y[second], x[second] * cos(i + 1) + x[first] * sin(i + 1), 1e-6);
				}
				CHECK(y[d] == x[d]);
				free(x), free(y);
			}
}

TEST(simd, exponential_keeps_nan_and_drops_minus_infinity)
{
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (int n = 1; n <= 40; n++)
			for (int base_two = 0; base_two < 2; base_two++) {
				const struct simd_rows *k = (*simd)->rows;
				float s[40];
				for (int i = 0; i < n; i++)
					s[i] = i % 2 ? -INFINITY : -1000.0f * (float)i;
				CHECK_NEAR(base_two ? k->exp2_row(s, 0, n, n) : k->exp_row(s, 0, n, n), 1, TOL_EXACT);
				CHECK_NEAR(s[0], 1, TOL_EXACT);
				for (int i = 1; i < n; i++)
					CHECK_NEAR(s[i], 0, TOL_EXACT);
				s[n - 1] = NAN;
				CHECK(isnan(base_two ? k->exp2_row(s, 1, n, n) : k->exp_row(s, 1, n, n)));
				CHECK(isnan(s[n - 1]));
			}
}

TEST(simd, swiglu_keeps_nan)
{
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++) {
		float gate = NAN, up = 1;
		(*simd)->rows->swiglu(&gate, &up, 1);
		CHECK(isnan(gate));
	}
}

static void check_product_few(const struct simd_rows *k, struct rng *rng, int m, int n_key, int d)
{
	float *q = numbers(rng, (size_t)m * (size_t)d, 1), *keys = numbers(rng, (size_t)d * KEY_TILE, 1);
	float *values = numbers(rng, (size_t)n_key * (size_t)d, 1), *score = calloc((size_t)m * KEY_TILE, sizeof *score);
	float *out = malloc(((size_t)m * (size_t)d + 1) * sizeof *out);
	struct tile_rows rows = {.data = q, .m = m, .n = d, .ld = d};
	k->scores_few(&rows, keys, n_key, score, KEY_TILE);
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n_key; j++) {
			double want = 0, size = 0;
			for (int c = 0; c < d; c++) {
				want += (double)q[i * d + c] * keys[c * KEY_TILE + j];
				size += fabs((double)q[i * d + c] * keys[c * KEY_TILE + j]);
			}
			CHECK_NEAR(score[i * KEY_TILE + j], want, TOL_SUM_REL * size);
		}
	rows = (struct tile_rows){.data = score, .m = m, .n = n_key, .ld = KEY_TILE};
	out[m * d] = 123;
	k->values_few(&rows, values, d, out);
	for (int i = 0; i < m; i++)
		for (int c = 0; c < d; c++) {
			double want = 0, size = 0;
			for (int j = 0; j < n_key; j++) {
				want += (double)score[i * KEY_TILE + j] * values[j * d + c];
				size += fabs((double)score[i * KEY_TILE + j] * values[j * d + c]);
			}
			CHECK_NEAR(out[i * d + c], want, TOL_SUM_REL * size);
		}
	CHECK(out[m * d] == 123);
	free(q), free(keys), free(values), free(score), free(out);
}

TEST(simd, attention_of_few_rows)
{
	static const int width[] = {4, 6, 64, 80, 96, 100, 128};
	struct rng rng;
	rng_seed(&rng, test_seed());
	for (const struct simd_kernels *const *simd = simd_available(); *simd; simd++)
		for (size_t w = 0; w < sizeof width / sizeof *width; w++)
			for (int m = 1; m <= 9; m++)
				check_product_few((*simd)->rows, &rng, m, m == 1 ? 1 : m == 2 ? KEY_TILE : 17 * m + 1, width[w]);
}
