#include "engine/lookahead_weights.h"

#include <stdlib.h>
#include <string.h>

#include "engine/file/tensor_type.h"
#include "engine/model/model.h"
#include "engine/random.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

static struct lora random_lora(int r, int n_in, int n_out, uint64_t stream)
{
	struct rng rng;
	struct lora l = {.r = r, .n_in = n_in, .n_out = n_out, .a = malloc((size_t)(r * n_in) * sizeof *l.a),
		.b = malloc((size_t)(r * n_out) * sizeof *l.b)};
	rng_seed_stream(&rng, test_seed(), stream);
	for (int i = 0; i < r * n_in; i++)
		l.a[i] = (float)rng_normal(&rng);
	for (int i = 0; i < r * n_out; i++)
		l.b[i] = (float)rng_normal(&rng);
	return l;
}

static void drop(struct lora *l)
{
	free(l->a);
	free(l->b);
}

static double element(const struct lora *l, int o, int i)
{
	double sum = 0;
	for (int k = 0; k < l->r; k++)
		sum += (double)l->b[o * l->r + k] * (double)l->a[k * l->n_in + i];
	return sum;
}

TEST(lookahead_weights, inner_product_against_every_element)
{
	struct lora x = random_lora(3, 11, 7, 1), y = random_lora(5, 11, 7, 2);
	double want = 0, size = 0;
	for (int o = 0; o < 7; o++)
		for (int i = 0; i < 11; i++) {
			want += element(&x, o, i) * element(&y, o, i);
			size += fabs(element(&x, o, i) * element(&y, o, i));
		}
	CHECK_NEAR(lora_inner(&x, &y), want, 1e-12 * size);
	drop(&x);
	drop(&y);
}

/* Orthogonal rows of A and columns of B: singular values are the products of their norms. */
TEST(lookahead_weights, spectrum_that_is_known)
{
	enum { R = 4, N = 6 };
	struct lora l = {.r = R, .n_in = N, .n_out = N, .a = calloc(R * N, sizeof(float)), .b = calloc(R * N, sizeof(float))};
	static const float a[R] = {2, 0.5f, 3, 0}, b[R] = {1, 8, 0.25f, 5};
	static const double want[R] = {4, 2, 0.75, 0};
	double got[R];
	struct err e;
	for (int k = 0; k < R; k++) {
		l.a[k * N + (k + 1)] = a[k];
		l.b[(N - 1 - k) * R + k] = b[k];
	}
	CHECK_INT(lora_spectrum(&l, got, &e), 0);
	for (int k = 0; k < R; k++)
		CHECK_NEAR(got[k], want[k], 1e-12);
	l.a[3] = NAN;
	CHECK_INT(lora_spectrum(&l, got, &e), 0);
	CHECK(isnan(got[0]) && isnan(got[R - 1]));
	l.r = LORA_MAX_SPECTRUM + 1;
	CHECK_INT(lora_spectrum(&l, got, &e), ERR_LIMIT);
	drop(&l);
}

/* Of any matrix: squares sum to the Frobenius norm's, fourth powers to that of M^T M. */
TEST(lookahead_weights, spectrum_has_the_moments_of_the_matrix)
{
	enum { R = 8, IN = 40, OUT = 24 };
	struct lora l = random_lora(R, IN, OUT, 3);
	double got[R], square = 0, fourth = 0, want_fourth = 0;
	struct err e;
	CHECK_INT(lora_spectrum(&l, got, &e), 0);
	for (int k = 0; k < R; k++) {
		CHECK(k == 0 || got[k] <= got[k - 1]);
		square += got[k] * got[k];
		fourth += pow(got[k], 4);
	}
	for (int i = 0; i < IN; i++)
		for (int j = 0; j < IN; j++) {
			double sum = 0;
			for (int o = 0; o < OUT; o++)
				sum += element(&l, o, i) * element(&l, o, j);
			want_fourth += sum * sum;
		}
	CHECK_NEAR(square, lora_inner(&l, &l), 1e-11 * square);
	CHECK_NEAR(fourth, want_fourth, 1e-11 * fourth);
	drop(&l);
}

static struct model *open_tiny(const char *path)
{
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_Q4_1, .seed = 4});
	return test_model_open(path);
}

TEST(lookahead_weights, norms_of_stored_matrices)
{
	struct model *m = open_tiny(test_scratch("norms.gguf"));
	struct err e;
	int n = m->info.n_layer * N_PROJ;
	double *one = calloc((size_t)n, sizeof *one), *many = calloc((size_t)n, sizeof *many);
	CHECK_INT(model_weight_norms(m, 1, one, NULL, &e), 0);
	CHECK_INT(model_weight_norms(m, 3, many, NULL, &e), 0);
	CHECK(!memcmp(one, many, (size_t)n * sizeof *one));
	const struct weight *w = &m->layer[1].proj[PROJ_DOWN];
	size_t count = (size_t)w->n_in * (size_t)w->n_out;
	float *values = malloc(count * sizeof *values);
	double square = 0;
	tensor_unpack(w->type, w->data, count, values);
	for (size_t i = 0; i < count; i++)
		square += (double)values[i] * (double)values[i];
	CHECK_NEAR(one[N_PROJ + PROJ_DOWN], sqrt(square), 1e-12 * sqrt(square));
	free(values);
	free(one);
	free(many);
	model_close(m);
}

static void unpack_word(const struct model *m, int id, float *out)
{
	const struct weight *w = &m->embedding;
	tensor_unpack(w->type, w->data + (size_t)id * tensor_type_bytes(w->type, (uint64_t)w->n_in), (size_t)w->n_in, out);
}

/* Soft tokens that are words of the vocabulary, scaled, find themselves; one of no direction finds nothing. */
TEST(lookahead_weights, nearest_words)
{
	static const int word[] = {5, 60, 17};
	struct model *m = open_tiny(test_scratch("nearest.gguf"));
	struct lookahead *l = NULL;
	struct near_token near[40 * 3];
	struct err e;
	double norm = 0, sum = 0;
	CHECK_INT(lookahead_untrained(&l, m, 40, 0, 0, 1, &e), 0);
	int n = l->n_embd;
	for (int i = 0; i < 3; i++) {
		unpack_word(m, word[i], l->embedding + (size_t)i * (size_t)n);
		for (int k = 0; k < n; k++)
			l->embedding[i * n + k] *= i == 1 ? -0.25f : 3;
	}
	memset(l->embedding + 39 * n, 0, (size_t)n * sizeof(float));
	CHECK_INT(lookahead_nearest(l, m, &(struct nearest_request){.n_near = 3, .n_threads = 2, .out = near, .mean_norm = &norm}, &e), 0);
	CHECK(near[0].id == word[0] && near[6].id == word[2]);
	CHECK_NEAR((double)near[0].cosine, 1, 1e-6); /* float32 sums of some hundred terms */
	CHECK(near[3].id != word[1] && near[3].cosine < 0.9f); /* it points away */
	CHECK(near[0].cosine >= near[1].cosine && near[1].cosine >= near[2].cosine);
	CHECK_INT(near[39 * 3].id, -1);
	float *row = malloc((size_t)n * sizeof *row);
	for (int id = 0; id < m->info.n_vocab; id++) {
		double square = 0;
		unpack_word(m, id, row);
		for (int k = 0; k < n; k++)
			square += (double)row[k] * (double)row[k];
		sum += sqrt(square);
	}
	CHECK_NEAR(norm, sum / m->info.n_vocab, 1e-9 * norm);
	float cosine[40 * 40];
	lookahead_cosines(l, l, cosine);
	CHECK_NEAR((double)cosine[0], 1, 1e-6);
	CHECK_NEAR((double)cosine[1 * 40 + 2], (double)cosine[2 * 40 + 1], 0);
	CHECK(isnan(cosine[39]));
	free(row);
	lookahead_free(l);
	model_close(m);
}
