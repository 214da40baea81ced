/* Products with stored weights, for many rows and few, in float32 and bfloat16, against double precision. */
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/cpu.h"
#include "engine/random.h"
#include "tests/support/loose_model.h"
#include "tests/support/quantise.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

struct fixture {
	struct loose_model *owner;
	struct backend *backend;
	struct cpu *cpu;
	struct rng rng;
};

enum { WIDE = 2560, MAX_ROWS = 600 };

static void open_fixture(struct fixture *f, const char *precision, int n_threads)
{
	struct loose_model_options o = {.n_layer = 1, .n_head = 2, .n_kv_head = 1, .head_dim = 16, .n_embd = 32, .n_ff = WIDE, .n_vocab = 4,
		.type = TYPE_F32, .seed = 1};
	struct err e = {0};
	rng_seed(&f->rng, test_seed());
	f->owner = loose_model_make(&o);
	loose_model_get(f->owner)->info.precision = precision;
	struct backend_config config = {.model = loose_model_get(f->owner), .max_tokens = MAX_ROWS, .max_rows = MAX_ROWS,
		.n_threads = n_threads};
	CHECK_INT(backend_cpu.open(&f->backend, &config, &e), 0);
	f->cpu = (struct cpu *)f->backend;
}

static void close_fixture(struct fixture *f)
{
	backend_cpu.close(f->backend);
	loose_model_free(f->owner);
}

static float *numbers(struct rng *rng, size_t n)
{
	float *x = malloc(n * sizeof *x);
	for (size_t i = 0; i < n; i++)
		x[i] = (float)rng_normal(rng);
	return x;
}

static struct weight make_weight(struct rng *rng, enum tensor_type type, int n_out, int n_in, uint8_t **owner)
{
	size_t row_bytes = tensor_type_bytes(type, (uint64_t)n_in);
	float *x = numbers(rng, (size_t)n_out * (size_t)n_in);
	*owner = malloc(row_bytes * (size_t)n_out + 3);
	for (int o = 0; o < n_out; o++)
		quantise(type, x + (size_t)o * (size_t)n_in, (size_t)n_in, *owner + 3 + (size_t)o * row_bytes);
	free(x);
	return (struct weight){.type = type, .data = *owner + 3, .n_out = n_out, .n_in = n_in};
}

static double rounded(float x, bool bf16)
{
	return bf16 ? (double)bf16_to_f32(f32_to_bf16(x)) : (double)x;
}

/* Checks some elements of out (n_row, ld_out) = before + in W^T + bias. */
static void check_product(const struct product *p, const float *before, bool bf16, struct rng *rng)
{
	const struct weight *w = p->weight;
	float *row = malloc((size_t)w->n_in * sizeof *row);
	for (int k = 0; k < 300; k++) {
		int i = k < 2 * p->n_row ? k / 2 : (int)rng_below(rng, (uint32_t)p->n_row), o = k % 3 ? (int)rng_below(rng, (uint32_t)w->n_out)
			: w->n_out - 1;
		tensor_unpack(w->type, w->data + (size_t)o * tensor_type_bytes(w->type, (uint64_t)w->n_in), (size_t)w->n_in, row);
		double want = (p->bias ? p->bias[o] : 0) + (p->add ? before[(size_t)i * (size_t)p->ld_out + (size_t)o] : 0), size = fabs(want);
		for (int c = 0; c < w->n_in; c++) {
			double term = rounded(row[c], bf16) * rounded(p->in[(size_t)i * (size_t)w->n_in + (size_t)c], bf16);
			want += term;
			size += fabs(term);
		}
		CHECK_NEAR(p->out[(size_t)i * (size_t)p->ld_out + (size_t)o], want, TOL_SUM_REL * size);
	}
	free(row);
}

struct shape {
	enum tensor_type type;
	int n_row, n_in, n_out[3];
	bool bias, add;
};

static void check_shape(struct fixture *f, const struct shape *s, bool bf16)
{
	struct product p[3];
	uint8_t *owner[3];
	struct weight w[3];
	float *out[3], *before[3], *bias[3], *in = numbers(&f->rng, (size_t)s->n_row * (size_t)s->n_in);
	int n = 0;
	for (; n < 3 && s->n_out[n]; n++) {
		int ld = s->n_out[n] + n; /* rows of the result need not touch */
		size_t size = (size_t)s->n_row * (size_t)ld;
		w[n] = make_weight(&f->rng, s->type, s->n_out[n], s->n_in, &owner[n]);
		bias[n] = numbers(&f->rng, (size_t)s->n_out[n]);
		before[n] = numbers(&f->rng, size + 1);
		out[n] = malloc((size + 1) * sizeof(float));
		memcpy(out[n], before[n], (size + 1) * sizeof(float));
		p[n] = (struct product){.in = in, .n_row = s->n_row, .weight = &w[n], .bias = s->bias ? bias[n] : NULL, .out = out[n], .ld_out = ld,
			.add = s->add};
	}
	cpu_products(f->cpu, p, n);
	for (int i = 0; i < n; i++) {
		check_product(&p[i], before[i], bf16 && s->n_row > 3, &f->rng);
		for (int row = 0; row < s->n_row; row++) /* between the rows nothing was written */
			for (int o = s->n_out[i]; o < p[i].ld_out; o++)
				CHECK(out[i][row * p[i].ld_out + o] == before[i][row * p[i].ld_out + o]);
		free(owner[i]), free(bias[i]), free(before[i]), free(out[i]);
	}
	free(in);
}

static const struct shape shape[] = {
	{TYPE_Q4_1, 1, 576, {192, 96, 1}, false, false},  {TYPE_Q4_1, 3, 576, {100}, true, true},      {TYPE_Q4_1, 4, 96, {5, 97, 193}, true, false},
	{TYPE_Q8_0, 33, 64, {96}, false, true},           {TYPE_Q4_0, 257, 160, {200, 10}, true, true}, {TYPE_Q5_0, 20, 320, {70}, false, false},
	{TYPE_Q5_1, 20, 320, {70}, false, true},          {TYPE_Q4_K, 40, 512, {130}, true, false},     {TYPE_Q5_K, 5, 256, {30, 31}, false, false},
	{TYPE_Q6_K, 600, 256, {97}, true, true},          {TYPE_F16, 40, 77, {50}, true, true},         {TYPE_BF16, 300, 33, {20, 1}, false, false},
	{TYPE_F32, 19, 2499, {101}, true, true},          {TYPE_Q4_K, 9, 2560, {64}, true, true},       {TYPE_F32, 512, 1, {3}, true, false},
	{TYPE_BF16, 2, 2500, {520}, false, true},
};

TEST(matmul, stored_types_and_tails)
{
	struct fixture f;
	open_fixture(&f, "f32", 2);
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
		check_shape(&f, &shape[i], false);
	CHECK_INT(atomic_load(&f.cpu->failure), 0);
	close_fixture(&f);
}

TEST(matmul, bfloat16_rounds_the_operands_only)
{
	struct fixture f;
	if (!simd_available()[0]->bf16_products) {
		test_skip("this processor has no bfloat16 products");
		return;
	}
	open_fixture(&f, "bf16", 2);
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
		check_shape(&f, &shape[i], true);
	CHECK_INT(atomic_load(&f.cpu->failure), 0);
	close_fixture(&f);
}

TEST(matmul, threads_change_nothing)
{
	for (int half = 0; half < (simd_available()[0]->bf16_products ? 2 : 1); half++) {
		float *out[3];
		for (int i = 0; i < 3; i++) {
			struct fixture f;
			uint8_t *owner;
			open_fixture(&f, half ? "bf16" : "f32", i == 0 ? 1 : i == 1 ? 2 : 6);
			struct weight w = make_weight(&f.rng, TYPE_Q4_1, 200, 576, &owner);
			float *in = numbers(&f.rng, MAX_ROWS * 576);
			out[i] = malloc(sizeof(float) * MAX_ROWS * 200);
			struct product p = {.in = in, .n_row = MAX_ROWS, .weight = &w, .out = out[i], .ld_out = 200};
			cpu_products(f.cpu, &p, 1);
			free(in), free(owner);
			close_fixture(&f);
		}
		CHECK(!memcmp(out[0], out[1], sizeof(float) * MAX_ROWS * 200));
		CHECK(!memcmp(out[0], out[2], sizeof(float) * MAX_ROWS * 200));
		free(out[0]), free(out[1]), free(out[2]);
	}
}

TEST(matmul, lora_adds_to_its_rows_alone)
{
	struct fixture f;
	open_fixture(&f, "f32", 2);
	for (int r = 1; r <= 64; r += 21) {
		enum { ROWS = 40, FIRST = 3, N_ROW = 35, IN = 32, OUT = WIDE };
		float *a = numbers(&f.rng, (size_t)r * IN), *b = numbers(&f.rng, (size_t)r * OUT), *in = cpu_rows(f.cpu, ROWS_NORMED);
		float *out = cpu_rows(f.cpu, ROWS_GATE), *before = numbers(&f.rng, ROWS * OUT), *source = numbers(&f.rng, ROWS * IN);
		memcpy(in, source, sizeof(float) * ROWS * IN);
		memcpy(out, before, sizeof(float) * ROWS * OUT);
		struct adapter adapter = {.r = r, .n_in = IN, .n_out = OUT, .a = a, .b = b};
		struct lora_part part = {&adapter, ROWS_GATE};
		backend_cpu.lora(f.backend, &(struct lora_op){.in = ROWS_NORMED, .rows = {FIRST, N_ROW}, .part = &part, .n_part = 1});
		for (int i = 0; i < ROWS; i++)
			for (int o = 0; o < OUT; o += 7) {
				double want = before[i * OUT + o], size = fabs(want);
				for (int k = 0; k < r && i >= FIRST && i < FIRST + N_ROW; k++) {
					double inner = 0;
					for (int c = 0; c < IN; c++)
						inner += (double)a[k * IN + c] * source[i * IN + c];
					want += inner * b[k * OUT + o];
					size += fabs(inner * b[k * OUT + o]) + fabs((double)b[k * OUT + o]) * 6;
				}
				CHECK_NEAR(out[i * OUT + o], want, TOL_SUM_REL * size);
			}
		free(a), free(b), free(before), free(source);
	}
	close_fixture(&f);
}
