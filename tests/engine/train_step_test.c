/* One step of training: gradients of every parameter kind against finite differences of a loss in double precision that shares no
 * code with engine/train; the objective, the optimiser, and what becomes of numbers that are not finite. */
#include "engine/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/forward/session.h"
#include "engine/random.h"
#include "engine/train/attention_grad.h"
#include "engine/train/optimizer.h"
#include "engine/train/step.h"
#include "tests/support/loose_model.h"
#include "tests/support/reference_forward.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

enum { T = 5, R = 3, N_PROMPT = 2 };

/* ---- a small problem: a model, two prompts with made-up truth, random modules and what trains them ---- */

struct problem {
	struct loose_model *loose;
	struct model *model;
	struct lookahead *modules;
	int32_t *ids[N_PROMPT];
	struct step_prompt prompt[N_PROMPT];
	float *truth[N_PROMPT], *key[N_PROMPT], *value[N_PROMPT];
	struct parameters parameters; /* from here on by problem_open_step() */
	struct train_step *step;
	float *gradient; /* (parameters.n) */
};

static void make_prompt(struct problem *p, int i, int n)
{
	const struct model_info *info = &p->model->info;
	size_t map = (size_t)info->n_layer * (size_t)info->n_head * (size_t)n;
	size_t cache = (size_t)info->n_kv_head * (size_t)n * (size_t)info->head_dim;
	struct session *s;
	struct session_options options = {.max_tokens = n, .n_threads = 1};
	struct rng rng;
	p->ids[i] = loose_ids(p->model, n, test_seed() + (uint64_t)i);
	p->truth[i] = malloc(map * sizeof(float));
	p->key[i] = malloc((size_t)info->n_layer * cache * sizeof(float));
	p->value[i] = malloc((size_t)info->n_layer * cache * sizeof(float));
	rng_seed(&rng, test_seed() + 77);
	for (size_t k = 0; k < map; k++)
		p->truth[i][k] = (float)(rng_uniform(&rng) * rng_uniform(&rng));
	CHECK_INT(session_open(&s, p->model, &options, NULL), 0);
	CHECK_INT(session_run(s, &(struct run_request){.ids = p->ids[i], .n = n, .stage = "prefill"}, NULL), 0);
	for (int layer = 0; layer < info->n_layer; layer++)
		s->ops->read_cache(s->backend, &(struct read_cache_op){.layer = layer, .n = n, .key = p->key[i] + (size_t)layer * cache,
			.value = p->value[i] + (size_t)layer * cache});
	session_close(s);
	p->prompt[i] = (struct step_prompt){.n = n, .truth = p->truth[i], .key = p->key[i], .value = p->value[i]};
}

static void problem_make(struct problem *p, const struct loose_model_options *o)
{
	*p = (struct problem){.loose = loose_model_make(o)};
	p->model = loose_model_get(p->loose);
	p->modules = loose_modules(p->model, T, R, test_seed() + 3);
	make_prompt(p, 0, 21);
	make_prompt(p, 1, 14);
}

/* After the last change to the model or the modules. */
static void problem_open_step(struct problem *p, int n_threads)
{
	const struct step_limits limits = {.max_prompts = N_PROMPT, .max_tokens = 32, .n_threads = n_threads};
	CHECK_INT(parameters_new(&p->parameters, p->model, p->modules, ~0u, NULL), 0);
	CHECK_INT(step_open(&p->step, p->model, &p->parameters, &limits, NULL), 0);
	p->gradient = calloc(p->parameters.n, sizeof *p->gradient);
}

/* The gradient over both prompts, from nothing, in p->gradient; the loss comes back. */
static double problem_run(struct problem *p)
{
	struct step_result result = {0};
	const struct step_request request = {.prompt = p->prompt, .n_prompt = N_PROMPT, .backward = true};
	CHECK_INT(step_run(p->step, &request, &result, NULL), 0);
	CHECK_INT(step_get(p->step, STEP_GRADIENT, p->gradient, NULL), 0);
	return result.loss;
}

static void problem_free(struct problem *p)
{
	if (p->step)
		step_close(p->step);
	parameters_free(&p->parameters);
	free(p->gradient);
	for (int i = 0; i < N_PROMPT; i++) {
		free(p->ids[i]);
		free(p->truth[i]);
		free(p->key[i]);
		free(p->value[i]);
	}
	lookahead_free(p->modules);
	loose_model_free(p->loose);
}

/* The objective by its definition, over the reference's n x n attention. */
static double reference_loss(const struct problem *p, const struct lookahead *modules)
{
	const struct model_info *info = &p->model->info;
	double loss = 0;
	for (int i = 0; i < N_PROMPT; i++) {
		int n = p->prompt[i].n;
		struct reference *r = reference_run(&(struct reference_request){.model = p->model, .ids = p->ids[i], .n_ids = n,
			.modules = modules});
		for (int layer = 0; layer < info->n_layer; layer++)
			for (int head = 0; head < info->n_head; head++) {
				const float *truth = p->truth[i] + (size_t)(layer * info->n_head + head) * (size_t)n;
				double s[64], s_sum = 0, t_sum = 0;
				for (int j = 0; j < n; j++) {
					s[j] = reference_colsum(r, p->model, layer, head, (struct reference_rows){n, T, 1}, j);
					s_sum += s[j];
					t_sum += (double)truth[j];
				}
				for (int j = 0; j < n; j++) {
					double t = (double)truth[j] / t_sum;
					loss += t * (log(t + 1e-12) - log(s[j] / s_sum + 1e-12)) / (info->n_layer * info->n_head * N_PROMPT);
				}
			}
		reference_free(r);
	}
	return loss;
}

/* ---- gradients ---- */

/* Derivative of the reference loss along `direction` (n) at offset `at` of the parameters, by central differences. */
static double difference(const struct problem *p, size_t at, const double *direction, size_t n, double step)
{
	double side[2];
	const struct parameters *q = &p->parameters;
	struct parameters moved = *q;
	moved.value = malloc(q->n * sizeof *moved.value);
	for (int sign = 0; sign < 2; sign++) {
		struct lookahead *l = NULL;
		memcpy(moved.value, q->value, q->n * sizeof *moved.value);
		for (size_t i = 0; i < n; i++)
			moved.value[at + i] += (float)((sign ? 1 : -1) * step * direction[i]);
		CHECK_INT(parameters_export(&moved, p->model, &l, NULL), 0);
		side[sign] = reference_loss(p, l);
		lookahead_free(l);
	}
	free(moved.value);
	return (side[1] - side[0]) / (2 * step);
}

/* The n parameters at `at`: along the gradient itself and along a random direction. */
static void check_tensor(const struct problem *p, size_t at, size_t n, const char *what)
{
	const float *gradient = p->gradient + at;
	double *direction = malloc(n * sizeof *direction), norm = 0;
	struct rng rng;
	rng_seed(&rng, test_seed() + at);
	for (size_t i = 0; i < n; i++)
		norm += (double)gradient[i] * (double)gradient[i];
	norm = sqrt(norm);
	CHECK(norm > 0);
	for (int random = 0; random < 2; random++) {
		double size = 0, expected = 0;
		for (size_t i = 0; i < n; i++) {
			direction[i] = random ? rng_normal(&rng) : (double)gradient[i];
			size += direction[i] * direction[i];
		}
		for (size_t i = 0; i < n; i++) {
			direction[i] /= sqrt(size);
			expected += direction[i] * (double)gradient[i];
		}
		double wide = difference(p, at, direction, n, 4e-3), narrow = difference(p, at, direction, n, 2e-3);
		double found = (4 * narrow - wide) / 3; /* Richardson: the error of third order cancels */
		if (!(fabs(found - expected) <= TOL_GRADIENT * norm))
			test_fail(__FILE__, __LINE__, "%s, %s: difference %.8g, gradient %.8g, norm %.3g", what,
				random ? "random direction" : "along the gradient", found, expected, norm);
	}
	free(direction);
}

static void check_gradients(const struct loose_model_options *o)
{
	struct problem p;
	problem_make(&p, o);
	problem_open_step(&p, 2);
	const struct parameters *q = &p.parameters;
	CHECK_NEAR(problem_run(&p), reference_loss(&p, p.modules), TOL_LOSS);
	check_tensor(&p, 0, (size_t)T * (size_t)q->n_embd, "soft tokens");
	for (int i = 0; i < q->n_layer * N_PROJ; i++) {
		char what[64];
		const struct weight *w = &p.model->layer[i / N_PROJ].proj[i % N_PROJ];
		bool last = i / N_PROJ == q->n_layer - 1, used = !last || i % N_PROJ == PROJ_Q || i % N_PROJ == PROJ_K;
		CHECK_INT(q->place[i].a != NO_PARAMETER, used);
		if (!used)
			continue;
		snprintf(what, sizeof what, "layer %d %s A", i / N_PROJ, projection_name(i % N_PROJ));
		check_tensor(&p, q->place[i].a, (size_t)R * (size_t)w->n_in, what);
		what[strlen(what) - 1] = 'B';
		check_tensor(&p, q->place[i].b, (size_t)R * (size_t)w->n_out, what);
	}
	problem_free(&p);
}

TEST(train, gradients_are_those_of_differences_llama)
{
	check_gradients(&(struct loose_model_options){.n_layer = 3, .n_head = 6, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 96,
		.n_vocab = 50, .type = TYPE_F32, .rope_pairs = ROPE_ADJACENT, .seed = 5});
}

TEST(train, gradients_are_those_of_differences_qwen2)
{
	check_gradients(&(struct loose_model_options){.n_layer = 2, .n_head = 4, .n_kv_head = 4, .head_dim = 16, .n_embd = 64, .n_ff = 64,
		.n_vocab = 50, .type = TYPE_Q8_0, .rope_pairs = ROPE_HALVES, .bias = true, .seed = 6});
}

TEST(train, gradients_are_those_of_differences_qwen3)
{
	check_gradients(&(struct loose_model_options){.n_layer = 3, .n_head = 4, .n_kv_head = 1, .head_dim = 32, .n_embd = 64, .n_ff = 160,
		.n_vocab = 50, .type = TYPE_Q4_1, .rope_pairs = ROPE_HALVES, .qk_norm = true, .seed = 7});
}

/* A session in bfloat16 may be trained on: the CPU's steps are float32 all the same. */
TEST(train, steps_of_a_bfloat16_model_are_float32)
{
	struct problem p[2];
	if (!loose_model_has_bf16()) {
		test_skip("this processor has no bfloat16 products");
		return;
	}
	for (int i = 0; i < 2; i++) {
		problem_make(&p[i], &(struct loose_model_options){.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .n_embd = 64,
			.n_ff = 64, .n_vocab = 50, .type = TYPE_BF16, .rope_pairs = ROPE_HALVES, .seed = 8});
		p[i].model->info.precision = i ? "bf16" : "f32";
		problem_open_step(&p[i], 2);
		problem_run(&p[i]);
	}
	CHECK(!memcmp(p[0].gradient, p[1].gradient, p[0].parameters.n * sizeof *p[0].gradient));
	problem_free(&p[0]);
	problem_free(&p[1]);
}

/* An adapter of a smaller rank is what the reference says it is, and what pads it stays zero. */
TEST(train, adapters_of_two_ranks)
{
	struct problem p;
	problem_make(&p, &(struct loose_model_options){.n_layer = 2, .n_head = 6, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 96,
		.n_vocab = 50, .type = TYPE_F32, .rope_pairs = ROPE_ADJACENT, .seed = 8});
	struct lora *k = &p.modules->lora[PROJ_K];
	for (int i = 0; i < k->n_out; i++)
		memmove(k->b + 2 * i, k->b + R * i, 2 * sizeof *k->b);
	k->r = 2;
	problem_open_step(&p, 1);
	CHECK_INT(p.parameters.r, R);
	CHECK_NEAR(problem_run(&p), reference_loss(&p, p.modules), TOL_LOSS);
	const float *dead_a = p.gradient + p.parameters.place[PROJ_K].a + 2 * (size_t)k->n_in;
	const float *b = p.gradient + p.parameters.place[PROJ_K].b;
	for (int i = 0; i < k->n_in; i++)
		CHECK_NEAR(dead_a[i], 0, TOL_EXACT);
	for (int i = 0; i < k->n_out; i++)
		CHECK_NEAR(b[R * i + 2], 0, TOL_EXACT);
	problem_free(&p);
}

/* dKL/ds_j = (1 - t_j / q_j) / sum(s), and it sums against s to nothing. */
TEST(train, objective_and_its_derivative)
{
	float truth[4] = {3, 1, 0, 4}, s[4] = {1, 2, 3, 4}, d_s[4];
	double want = 0.375 * log(0.375 / 0.1) + 0.125 * log(0.125 / 0.2) + 0.5 * log(0.5 / 0.4);
	CHECK_NEAR(objective_kl(truth, s, 4, 2.0, d_s), want, 1e-10);
	double t[4] = {0.375, 0.125, 0, 0.5}, along = 0;
	for (int j = 0; j < 4; j++) {
		CHECK_NEAR(d_s[j], 2.0 * (1 - t[j] / ((double)s[j] / 10)) / 10, 1e-7);
		along += (double)d_s[j] * (double)s[j];
	}
	CHECK_NEAR(along, 0, 1e-6);
}

TEST(train, optimizer_clips_and_warms_up)
{
	struct optimizer_options rule = {.lr = 0.1f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .clip = 1, .warmup = 2, .steps = 10,
		.floor = 0.1f};
	float value[2] = {1, 1}, first[2] = {0}, second[2] = {0}, gradient[2] = {30, 40};
	CHECK_NEAR(optimizer_rate(&rule, 0), 0.05, 1e-7);
	CHECK_NEAR(optimizer_rate(&rule, 2), 0.1, 1e-7);
	CHECK_NEAR(optimizer_rate(&rule, 10), 0.01, 1e-7);
	CHECK_NEAR(vector_square_sum(gradient, 2), 2500, TOL_EXACT);
	struct adamw move = optimizer_move(&rule, 0, 50);
	CHECK_NEAR(move.shrink, 0.02, 1e-9);
	move.n = 2, move.gradient = gradient, move.first = first, move.second = second, move.value = value;
	adamw_update(&move);
	CHECK_NEAR(value[0], 0.95, 1e-6); /* Adam's first move is the rate, whatever the gradient's size */
	CHECK_NEAR(optimizer_move(&rule, 1, 0.5).shrink, 1, TOL_EXACT);
}

/* Two runs of one prompt each, sharing a mean over two, add up to one run of both. */
TEST(train, accumulation_equals_one_batch)
{
	struct problem p;
	problem_make(&p, &(struct loose_model_options){.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 64,
		.n_vocab = 50, .type = TYPE_Q4_0, .rope_pairs = ROPE_ADJACENT, .seed = 8});
	problem_open_step(&p, 2);
	float *apart = calloc(p.parameters.n, sizeof *apart);
	problem_run(&p);
	step_clear(p.step, STEP_GRADIENT);
	for (int i = 0; i < N_PROMPT; i++) {
		struct step_result result = {0};
		const struct step_request one = {.prompt = p.prompt + i, .n_prompt = 1, .n_share = N_PROMPT, .backward = true};
		CHECK_INT(step_run(p.step, &one, &result, NULL), 0);
	}
	CHECK_INT(step_get(p.step, STEP_GRADIENT, apart, NULL), 0);
	double off = 0, norm = 0;
	for (size_t i = 0; i < p.parameters.n; i++) {
		off += pow((double)p.gradient[i] - (double)apart[i], 2);
		norm += pow((double)p.gradient[i], 2);
	}
	CHECK_NEAR(sqrt(off / norm), 0, 1e-5);
	free(apart);
	problem_free(&p);
}

/* ---- what is not finite ---- */

TEST(train, what_is_not_finite_is_named)
{
	struct problem p;
	char where[64];
	problem_make(&p, &(struct loose_model_options){.n_layer = 3, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 64,
		.n_vocab = 50, .type = TYPE_F32, .rope_pairs = ROPE_HALVES, .seed = 8});
	struct parameters *q = &p.parameters;
	CHECK_INT(parameters_new(q, p.model, p.modules, ~0u, NULL), 0);
	q->value[3] = NAN;
	parameters_find_bad(q, q->value, where, sizeof where);
	CHECK_STR(where, "the soft tokens");
	q->value[q->place[1 * N_PROJ + PROJ_UP].a + 5] = INFINITY;
	parameters_find_bad(q, q->value, where, sizeof where);
	CHECK_STR(where, "layer 1, up, A");
	q->value[q->n - 1] = NAN;
	parameters_find_bad(q, q->value, where, sizeof where);
	CHECK_STR(where, "layer 2, k, B");
	problem_free(&p);
}

/* The step refuses a gradient that is not finite: nothing moves. */
TEST(train, an_update_that_is_not_finite_is_none)
{
	struct problem p;
	const struct optimizer_options rule = {.lr = 0.1f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .steps = 10};
	double norm;
	problem_make(&p, &(struct loose_model_options){.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 64,
		.n_vocab = 50, .type = TYPE_F32, .rope_pairs = ROPE_HALVES, .seed = 8});
	problem_open_step(&p, 1);
	const size_t n = p.parameters.n;
	const float *before = p.parameters.value;
	float *value = malloc(n * sizeof *value), *moment = malloc(n * sizeof *moment);
	CHECK_INT(parameters_count(p.model, T, R), n);
	p.gradient[n - 1] = NAN;
	step_put(p.step, STEP_GRADIENT, p.gradient);
	CHECK_INT(step_update(p.step, &rule, 0, &norm, NULL), 0);
	CHECK(isnan(norm));
	CHECK_INT(step_get(p.step, STEP_VALUE, value, NULL) || step_get(p.step, STEP_SECOND, moment, NULL), 0);
	CHECK(!memcmp(value, before, n * sizeof *value));
	for (size_t i = 0; i < n; i++)
		CHECK_NEAR(moment[i], 0, TOL_EXACT);
	p.gradient[n - 1] = 2;
	step_put(p.step, STEP_GRADIENT, p.gradient);
	CHECK_INT(step_update(p.step, &rule, 0, &norm, NULL), 0);
	CHECK_INT(step_get(p.step, STEP_VALUE, value, NULL), 0);
	CHECK_NEAR(norm, 2, TOL_EXACT);
	CHECK_NEAR(value[n - 1], before[n - 1] - 0.1f, 1e-6);
	CHECK(!memcmp(value, before, (n - 1) * sizeof *value));
	free(value);
	free(moment);
	problem_free(&p);
}
