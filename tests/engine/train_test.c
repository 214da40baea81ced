/* Training: gradients of every parameter kind against finite differences of a loss in double precision that shares no code with
 * engine/train, and against PyTorch; the loop's promises (same seed, resume, accumulation). */
#include "engine/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/forward/session.h"
#include "engine/random.h"
#include "engine/train/attention_grad.h"
#include "engine/train/optimizer.h"
#include "engine/train/step.h"
#include "engine/train/store.h"
#include "tests/support/loose_model.h"
#include "tests/support/reference_forward.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

enum { T = 5, R = 3, N_PROMPT = 2 };

/* ---- a small problem: a model, two prompts with made-up truth, random modules ---- */

struct problem {
	struct loose_model *loose;
	struct model *model;
	struct lookahead *modules;
	int32_t *ids[N_PROMPT];
	struct step_prompt prompt[N_PROMPT];
	float *truth[N_PROMPT], *key[N_PROMPT], *value[N_PROMPT];
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
	p->loose = loose_model_make(o);
	p->model = loose_model_get(p->loose);
	p->modules = loose_modules(p->model, T, R, test_seed() + 3);
	make_prompt(p, 0, 21);
	make_prompt(p, 1, 14);
}

static void problem_free(struct problem *p)
{
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
					s[j] = reference_colsum(r, p->model, layer, head, n, T, 1, j);
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
static double difference(const struct problem *p, const struct parameters *q, size_t at, const double *direction, size_t n, double step)
{
	double side[2];
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

/* Along the gradient itself and along a random direction. */
static void check_tensor(const struct problem *p, const struct parameters *q, const float *gradient, size_t at, size_t n, const char *what)
{
	double *direction = malloc(n * sizeof *direction), norm = 0;
	struct rng rng;
	rng_seed(&rng, test_seed() + at);
	for (size_t i = 0; i < n; i++)
		norm += (double)gradient[at + i] * (double)gradient[at + i];
	norm = sqrt(norm);
	CHECK(norm > 0);
	for (int random = 0; random < 2; random++) {
		double size = 0, expected = 0;
		for (size_t i = 0; i < n; i++) {
			direction[i] = random ? rng_normal(&rng) : (double)gradient[at + i];
			size += direction[i] * direction[i];
		}
		for (size_t i = 0; i < n; i++) {
			direction[i] /= sqrt(size);
			expected += direction[i] * (double)gradient[at + i];
		}
		double wide = difference(p, q, at, direction, n, 4e-3), narrow = difference(p, q, at, direction, n, 2e-3);
		double found = (4 * narrow - wide) / 3; /* Richardson: the error of third order cancels */
		if (!(fabs(found - expected) <= TOL_GRADIENT * norm))
			test_fail(__FILE__, __LINE__, "%s, %s: difference %.8g, gradient %.8g, norm %.3g", what,
				random ? "random direction" : "along the gradient", found, expected, norm);
	}
	free(direction);
}

static void check_gradients(const struct loose_model_options *o)
{
	static const char *const word[N_PROJ] = {"q", "k", "v", "o", "gate", "up", "down"};
	struct problem p;
	struct parameters q;
	struct train_step *s;
	problem_make(&p, o);
	CHECK_INT(parameters_new(&q, p.model, p.modules, ~0u, NULL), 0);
	CHECK_INT(step_open(&s, p.model, &q, &(struct step_limits){.max_prompts = N_PROMPT, .max_tokens = 32, .n_threads = 2}, NULL), 0);
	float *gradient = calloc(q.n, sizeof *gradient);
	struct step_result result = {0};
	CHECK_INT(step_run(s, &(struct step_request){.prompt = p.prompt, .n_prompt = N_PROMPT, .backward = true}, &result, NULL), 0);
	CHECK_INT(step_get(s, STEP_GRADIENT, gradient, NULL), 0);
	CHECK_NEAR(result.loss, reference_loss(&p, p.modules), TOL_LOSS);
	check_tensor(&p, &q, gradient, 0, (size_t)T * (size_t)q.n_embd, "soft tokens");
	for (int i = 0; i < q.n_layer * N_PROJ; i++) {
		char what[64];
		const struct weight *w = &p.model->layer[i / N_PROJ].proj[i % N_PROJ];
		bool last = i / N_PROJ == q.n_layer - 1, used = !last || i % N_PROJ == PROJ_Q || i % N_PROJ == PROJ_K;
		CHECK_INT(q.place[i].a != NO_PARAMETER, used);
		if (!used)
			continue;
		snprintf(what, sizeof what, "layer %d %s A", i / N_PROJ, word[i % N_PROJ]);
		check_tensor(&p, &q, gradient, q.place[i].a, (size_t)R * (size_t)w->n_in, what);
		what[strlen(what) - 1] = 'B';
		check_tensor(&p, &q, gradient, q.place[i].b, (size_t)R * (size_t)w->n_out, what);
	}
	free(gradient);
	step_close(s);
	parameters_free(&q);
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

static void float32_whatever_the_precision(float *gradient, const char *precision, size_t *n)
{
	struct problem p;
	struct parameters q;
	struct train_step *s;
	struct step_result result = {0};
	problem_make(&p, &(struct loose_model_options){.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 64,
		.n_vocab = 50, .type = TYPE_BF16, .rope_pairs = ROPE_HALVES, .seed = 8});
	p.model->info.precision = precision;
	CHECK_INT(parameters_new(&q, p.model, p.modules, ~0u, NULL), 0);
	CHECK_INT(step_open(&s, p.model, &q, &(struct step_limits){.max_prompts = 2, .max_tokens = 32, .n_threads = 2}, NULL), 0);
	CHECK_INT(step_run(s, &(struct step_request){.prompt = p.prompt, .n_prompt = 2, .backward = true}, &result, NULL), 0);
	*n = q.n;
	CHECK_INT(step_get(s, STEP_GRADIENT, gradient, NULL), 0);
	step_close(s);
	parameters_free(&q);
	problem_free(&p);
}

/* A session in bfloat16 may be trained on: the CPU's steps are float32 all the same. */
TEST(train, steps_of_a_bfloat16_model_are_float32)
{
	enum { ROOM = 1 << 16 };
	float *gradient[2] = {calloc(ROOM, sizeof(float)), calloc(ROOM, sizeof(float))};
	size_t n = 0;
	if (!loose_model_has_bf16())
		test_skip("this processor has no bfloat16 products");
	for (int i = 0; loose_model_has_bf16() && i < 2; i++)
		float32_whatever_the_precision(gradient[i], i ? "bf16" : "f32", &n);
	CHECK(n <= ROOM && !memcmp(gradient[0], gradient[1], n * sizeof(float)));
	free(gradient[0]);
	free(gradient[1]);
}

/* An adapter of a smaller rank is what the reference says it is, and what pads it stays zero. */
TEST(train, adapters_of_two_ranks)
{
	struct problem p;
	struct parameters q;
	struct train_step *s;
	problem_make(&p, &(struct loose_model_options){.n_layer = 2, .n_head = 6, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 96,
		.n_vocab = 50, .type = TYPE_F32, .rope_pairs = ROPE_ADJACENT, .seed = 8});
	struct lora *k = &p.modules->lora[PROJ_K];
	for (int i = 0; i < k->n_out; i++)
		memmove(k->b + 2 * i, k->b + R * i, 2 * sizeof *k->b);
	k->r = 2;
	CHECK_INT(parameters_new(&q, p.model, p.modules, ~0u, NULL), 0);
	CHECK_INT(q.r, R);
	CHECK_INT(step_open(&s, p.model, &q, &(struct step_limits){.max_prompts = N_PROMPT, .max_tokens = 32, .n_threads = 1}, NULL), 0);
	float *gradient = calloc(q.n, sizeof *gradient), *dead = gradient + q.place[PROJ_K].a + 2 * (size_t)k->n_in;
	struct step_result result = {0};
	CHECK_INT(step_run(s, &(struct step_request){.prompt = p.prompt, .n_prompt = N_PROMPT, .backward = true}, &result, NULL), 0);
	CHECK_INT(step_get(s, STEP_GRADIENT, gradient, NULL), 0);
	CHECK_NEAR(result.loss, reference_loss(&p, p.modules), TOL_LOSS);
	for (int i = 0; i < k->n_in; i++)
		CHECK_NEAR(dead[i], 0, TOL_EXACT);
	for (int i = 0; i < k->n_out; i++)
		CHECK_NEAR(gradient[q.place[PROJ_K].b + (size_t)(R * i + 2)], 0, TOL_EXACT);
	free(gradient);
	step_close(s);
	parameters_free(&q);
	problem_free(&p);
}

/* methods.md C.3: dKL/ds_j = (1 - t_j / q_j) / sum(s), and it sums against s to nothing. */
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

/* Two runs of one prompt each, sharing a mean over two, add up to one run of both. */
TEST(train, accumulation_equals_one_batch)
{
	struct problem p;
	struct parameters q;
	struct train_step *s;
	problem_make(&p, &(struct loose_model_options){.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 64,
		.n_vocab = 50, .type = TYPE_Q4_0, .rope_pairs = ROPE_ADJACENT, .seed = 8});
	CHECK_INT(parameters_new(&q, p.model, p.modules, ~0u, NULL), 0);
	CHECK_INT(step_open(&s, p.model, &q, &(struct step_limits){.max_prompts = 2, .max_tokens = 32, .n_threads = 2}, NULL), 0);
	float *both = calloc(q.n, sizeof *both), *apart = calloc(q.n, sizeof *apart);
	struct step_result result = {0};
	CHECK_INT(step_run(s, &(struct step_request){.prompt = p.prompt, .n_prompt = 2, .backward = true}, &result, NULL), 0);
	CHECK_INT(step_get(s, STEP_GRADIENT, both, NULL), 0);
	step_clear(s, STEP_GRADIENT);
	for (int i = 0; i < 2; i++)
		CHECK_INT(step_run(s, &(struct step_request){.prompt = p.prompt + i, .n_prompt = 1, .n_share = 2, .backward = true}, &result, NULL),
			0);
	CHECK_INT(step_get(s, STEP_GRADIENT, apart, NULL), 0);
	double off = 0, norm = 0;
	for (size_t i = 0; i < q.n; i++) {
		off += pow((double)both[i] - (double)apart[i], 2);
		norm += pow((double)both[i], 2);
	}
	CHECK_NEAR(sqrt(off / norm), 0, 1e-5);
	free(both);
	free(apart);
	step_close(s);
	parameters_free(&q);
	problem_free(&p);
}

/* ---- the loop ---- */

/* A tiny model on disk, six prompts of it as targets, and the training of them up to a step. */
struct course {
	struct model *model;
	struct target_store *store;
	int target[6];
};

static void course_open(struct course *c, const char *name)
{
	char folder[300];
	struct target_request request[6];
	const char *path = test_scratch(name);
	snprintf(folder, sizeof folder, "%s.targets", path);
	tiny_model_gguf(path, &(struct tiny_options){.kind = TINY_LLAMA, .type = TYPE_Q8_0, .seed = 4});
	CHECK_INT(model_open(&c->model, path, NULL, NULL), 0);
	CHECK_INT(target_store_open(&c->store, c->model, &(struct target_store_options){.folder = folder, .n_threads = 2}, NULL), 0);
	for (int i = 0; i < 6; i++)
		request[i] = (struct target_request){.ids = loose_ids(c->model, 20 + 3 * i, (uint64_t)i), .n = 20 + 3 * i, .n_response = 6};
	CHECK_INT(target_store_make(c->store, request, 6, c->target, NULL, NULL, NULL), 0);
	for (int i = 0; i < 6; i++)
		free((void *)request[i].ids);
}

static void course_close(struct course *c)
{
	target_store_close(c->store);
	model_close(c->model);
}

static struct train_options short_training(const char *checkpoint)
{
	struct train_options o;
	train_options_default(&o);
	o.n_lookahead = 4;
	o.batch = 4;
	o.steps = 12;
	o.warmup = 2;
	o.lr = 1e-2f;
	o.n_threads = 2;
	o.checkpoint = checkpoint;
	o.checkpoint_every = 5;
	return o;
}

/* Steps `until` of the training; the losses of the steps made here go to loss[step - 1]. */
static struct trainer *train_until(struct course *c, const struct train_options *o, int until, double *loss, int *resumed)
{
	struct trainer *t;
	CHECK_INT(trainer_open(&t, c->model, c->store, c->target, 6, o, resumed, NULL), 0);
	for (int step = *resumed; step < until; step++) {
		struct train_report report;
		CHECK_INT(trainer_step(t, &report, NULL), 0);
		CHECK_INT(report.step, step + 1);
		loss[step] = report.loss;
	}
	return t;
}

TEST(train, same_seed_same_losses_and_a_killed_run_goes_on_to_the_same_module)
{
	struct course c;
	double whole[12], again[12], parts[12];
	int resumed;
	course_open(&c, "course.gguf");
	struct train_options alone = short_training(NULL), kept = short_training(test_scratch("course.checkpoint"));
	struct trainer *t = train_until(&c, &alone, 12, whole, &resumed);
	struct lookahead *one = NULL, *other = NULL;
	CHECK_INT(trainer_export(t, &one, NULL), 0);
	trainer_close(t);
	trainer_close(train_until(&c, &alone, 12, again, &resumed));
	trainer_close(train_until(&c, &kept, 8, parts, &resumed)); /* dies after step 8; the last checkpoint is of step 5 */
	CHECK_INT(resumed, 0);
	t = train_until(&c, &kept, 12, parts, &resumed);
	CHECK_INT(resumed, 5);
	CHECK_INT(trainer_export(t, &other, NULL), 0);
	trainer_close(t);
	for (int i = 0; i < 12; i++) {
		CHECK_NEAR(again[i], whole[i], TOL_EXACT);
		CHECK_NEAR(parts[i], whole[i], TOL_EXACT);
	}
	CHECK(whole[11] < whole[0]);
	CHECK(!memcmp(one->embedding, other->embedding, (size_t)one->n_lookahead * (size_t)one->n_embd * sizeof(float)));
	lookahead_free(one);
	lookahead_free(other);
	course_close(&c);
}

TEST(train, a_checkpoint_of_other_options_is_refused)
{
	struct course c;
	double loss[12];
	int resumed;
	struct err e;
	course_open(&c, "other.gguf");
	struct train_options o = short_training(test_scratch("other.checkpoint"));
	trainer_close(train_until(&c, &o, 5, loss, &resumed));
	o.lr = 2e-2f;
	struct trainer *t = NULL;
	CHECK_INT(trainer_open(&t, c.model, c.store, c.target, 6, &o, &resumed, &e), ERR_USE);
	CHECK(strstr(e.text, "checkpoint of other options") != NULL);
	course_close(&c);
}

/* Responses written together are those written alone, and their truth the same up to the rounding of other product shapes. */
TEST(train, targets_are_what_a_session_measures)
{
	struct course c;
	course_open(&c, "targets.gguf");
	const struct model_info *info = model_info(c.model);
	for (int i = 0; i < 6; i++) {
		struct target t;
		struct session *s;
		int32_t ids[6];
		int n;
		bool stopped;
		CHECK_INT(target_get(c.store, c.target[i], &t, NULL), 0);
		CHECK_INT(session_open(&s, c.model, &(struct session_options){.max_tokens = t.n + 6, .n_threads = 1}, NULL), 0);
		CHECK_INT(session_run(s, &(struct run_request){.ids = t.ids, .n = t.n, .stage = "prefill"}, NULL), 0);
		size_t floats = (size_t)info->n_layer * (size_t)info->n_head * (size_t)t.n;
		float *sum = calloc(floats, sizeof *sum);
		struct colsum_request truth = {.first = t.n, .count = 6, .step = 1, .n_key = t.n, .sum = sum};
		struct generate_options go = {.n_max = 6, .colsum = &truth, .n_colsum = 1};
		CHECK_INT(session_generate(s, &go, ids, &n, &stopped, NULL), 0);
		CHECK_INT(t.n_response, n);
		for (int k = 0; k < n; k++)
			CHECK_INT(t.response[k], ids[k]);
		for (size_t k = 0; k < floats; k++)
			CHECK_NEAR(t.truth[k], sum[k] / (float)n, TOL_MEAN_ABS);
		free(sum);
		session_close(s);
	}
	course_close(&c);
}

static int stop_at(void *user, const char *stage, int64_t done, int64_t total)
{
	(void)stage;
	(void)total;
	return done > *(const int64_t *)user;
}

/* ^C while responses are written: prompts that brought theirs are kept, and going on gives what would have been there. */
TEST(train, targets_that_are_complete_outlive_a_stop)
{
	struct course c;
	struct target_request request[6];
	struct target_store *store;
	struct err e;
	int made[6];
	char folder[300];
	course_open(&c, "stop.gguf");
	snprintf(folder, sizeof folder, "%s", test_scratch("stopped.targets"));
	CHECK_INT(target_store_open(&store, c.model, &(struct target_store_options){.folder = folder, .n_threads = 2}, NULL), 0);
	int64_t before_responses = 0;
	for (int i = 0; i < 6; i++) {
		request[i] = (struct target_request){.ids = loose_ids(c.model, 20 + 3 * i, (uint64_t)i), .n = 20 + 3 * i, .n_response = 6};
		request[i].response = i % 2 ? request[i].ids : NULL;
		before_responses += request[i].n + (i % 2 ? 6 : 0);
	}
	const struct progress progress = {stop_at, &before_responses};
	CHECK_INT(target_store_make(store, request, 6, made, NULL, &progress, &e), ERR_CANCELLED);
	CHECK(strstr(e.text, "those of 3 of 6 prompts are kept"));
	CHECK_INT(target_store_make(store, request, 6, made, NULL, NULL, NULL), 0);
	for (int i = 0; i < 6; i += 2) {
		struct target t, whole;
		CHECK_INT(target_get(store, made[i], &t, NULL), 0);
		CHECK_INT(target_get(c.store, c.target[i], &whole, NULL), 0);
		CHECK_INT(t.n_response, whole.n_response);
		CHECK(t.n == whole.n && !memcmp(t.key, whole.key, target_cache_halves(model_info(c.model), t.n) * sizeof *t.key));
	}
	for (int i = 0; i < 6; i++)
		free((void *)request[i].ids);
	target_store_close(store);
	course_close(&c);
}

/* Training on the prompt of a live session: no folder, the same target, and undo leads back to the same losses. */
TEST(train, a_live_session_gives_a_target_and_training_can_be_undone)
{
	struct course c;
	struct target made, live;
	struct target_store *memory;
	struct session *s;
	struct err e;
	int number, resumed;
	double loss[2][3];
	course_open(&c, "live.gguf");
	CHECK_INT(target_get(c.store, c.target[3], &made, NULL), 0);
	CHECK_INT(target_store_open(&memory, c.model, &(struct target_store_options){.n_threads = 1}, NULL), 0);
	CHECK_INT(session_open(&s, c.model, &(struct session_options){.max_tokens = made.n + 1, .n_threads = 1}, NULL), 0);
	CHECK_INT(session_run(s, &(struct run_request){.ids = made.ids, .n = made.n, .stage = "prefill"}, NULL), 0);
	struct target_measured m = {.ids = made.ids, .n = made.n + 1, .response = made.response, .n_response = made.n_response, .truth = made.truth};
	CHECK_INT(target_store_add(memory, s, &m, &number, &e), ERR_USE);
	m.n = made.n;
	CHECK_INT(target_store_add(memory, s, &m, &number, NULL), 0);
	session_close(s);
	CHECK_INT(target_get(memory, number, &live, NULL), 0);
	CHECK(live.n == made.n && live.n_response == made.n_response && !memcmp(live.ids, made.ids, (size_t)made.n * sizeof *made.ids));
	size_t halves = live.bytes / 64; /* a stretch of both; the whole is compared by the losses below */
	CHECK(!memcmp(live.key, made.key, halves) && !memcmp(live.value, made.value, halves));
	CHECK_INT(target_store_make(memory, &(struct target_request){.ids = made.ids, .n = made.n, .n_response = 1}, 1, &number, NULL, NULL, &e),
		ERR_USE);
	struct train_options o = short_training(NULL);
	struct trainer *t;
	o.batch = 1;
	CHECK_INT(trainer_open(&t, c.model, memory, &number, 1, &o, &resumed, NULL), 0);
	for (int round = 0; round < 2; round++) {
		for (int step = 0; step < 3; step++) {
			struct train_report report;
			CHECK_INT(trainer_step(t, &report, NULL), 0);
			CHECK_INT(report.step, step + 1);
			loss[round][step] = report.loss;
		}
		trainer_rewind(t);
	}
	CHECK(loss[0][2] < loss[0][0]);
	CHECK(!memcmp(loss[0], loss[1], sizeof loss[0]));
	trainer_close(t);
	target_store_close(memory);
	course_close(&c);
}

TEST(train, what_is_not_finite_is_named)
{
	struct problem p;
	struct parameters q;
	char where[64];
	problem_make(&p, &(struct loose_model_options){.n_layer = 3, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 64,
		.n_vocab = 50, .type = TYPE_F32, .rope_pairs = ROPE_HALVES, .seed = 8});
	CHECK_INT(parameters_new(&q, p.model, p.modules, ~0u, NULL), 0);
	q.value[3] = NAN;
	parameters_find_bad(&q, q.value, where, sizeof where);
	CHECK_STR(where, "the soft tokens");
	q.value[q.place[1 * N_PROJ + PROJ_UP].a + 5] = INFINITY;
	parameters_find_bad(&q, q.value, where, sizeof where);
	CHECK_STR(where, "layer 1, up, A");
	q.value[q.n - 1] = NAN;
	parameters_find_bad(&q, q.value, where, sizeof where);
	CHECK_STR(where, "layer 2, k, B");
	parameters_free(&q);
	problem_free(&p);
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

/* The step refuses a gradient that is not finite: nothing moves. */
TEST(train, an_update_that_is_not_finite_is_none)
{
	struct problem p;
	struct parameters q;
	struct train_step *s;
	struct optimizer_options rule = {.lr = 0.1f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .steps = 10};
	double norm;
	problem_make(&p, &(struct loose_model_options){.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .n_embd = 64, .n_ff = 64,
		.n_vocab = 50, .type = TYPE_F32, .rope_pairs = ROPE_HALVES, .seed = 8});
	CHECK_INT(parameters_new(&q, p.model, p.modules, ~0u, NULL), 0);
	CHECK_INT(parameters_count(p.model, T, R), q.n);
	CHECK_INT(step_open(&s, p.model, &q, &(struct step_limits){.max_prompts = 1, .max_tokens = 32, .n_threads = 1}, NULL), 0);
	float *gradient = calloc(q.n, sizeof *gradient), *value = malloc(q.n * sizeof *value), *moment = malloc(q.n * sizeof *moment);
	gradient[q.n - 1] = NAN;
	step_put(s, STEP_GRADIENT, gradient);
	CHECK_INT(step_update(s, &rule, 0, &norm, NULL), 0);
	CHECK(isnan(norm));
	CHECK_INT(step_get(s, STEP_VALUE, value, NULL) || step_get(s, STEP_SECOND, moment, NULL), 0);
	CHECK(!memcmp(value, q.value, q.n * sizeof *value));
	gradient[q.n - 1] = 2;
	step_put(s, STEP_GRADIENT, gradient);
	CHECK_INT(step_update(s, &rule, 0, &norm, NULL), 0);
	CHECK_INT(step_get(s, STEP_VALUE, value, NULL), 0);
	CHECK_NEAR(norm, 2, TOL_EXACT);
	CHECK_NEAR(value[q.n - 1], q.value[q.n - 1] - 0.1f, 1e-6);
	CHECK(!memcmp(value, q.value, (q.n - 1) * sizeof *value));
	free(gradient);
	free(value);
	free(moment);
	step_close(s);
	parameters_free(&q);
	problem_free(&p);
}
