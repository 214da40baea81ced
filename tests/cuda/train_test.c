/* A whole training step on a device against the same on the CPU: losses, means, every tensor's gradient, the update; and a training of
 * several steps, from targets that were made there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file/tensor_type.h"
#include "engine/random.h"
#include "engine/train.h"
#include "engine/train/step.h"
#include "tests/cuda/on_device.h"
#include "tests/support/loose_model.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

enum { RANK = 3, N_PROMPT = 3 };
static const int length[N_PROMPT] = {1, 33, 20};

/* ---- prompts: their keys and values are constants, so that any will do -------------------------------------------------------- */

struct prompts {
	struct step_prompt item[N_PROMPT];
	void *array[N_PROMPT][3];
};

static uint16_t *as_half(float *x, size_t n)
{
	uint16_t *half = malloc(n * sizeof *half);
	for (size_t i = 0; i < n; i++)
		half[i] = f32_to_f16(x[i]);
	free(x);
	return half;
}

static void make_prompts(struct prompts *p, const struct model_info *info, bool half)
{
	struct rng rng;
	rng_seed(&rng, test_seed() + 9);
	for (int i = 0; i < N_PROMPT; i++) {
		size_t n = (size_t)length[i], map = (size_t)(info->n_layer * info->n_head) * n;
		size_t cache = (size_t)(info->n_layer * info->n_kv_head * info->head_dim) * n;
		float *truth = malloc(map * sizeof *truth);
		float *key = random_floats(&rng, cache, 1, false), *value = random_floats(&rng, cache, 1, false);
		for (size_t k = 0; k < map; k++)
			truth[k] = (float)(rng_uniform(&rng) * rng_uniform(&rng));
		p->item[i] = (struct step_prompt){.n = length[i], .truth = truth};
		if (half) {
			p->item[i].half_key = as_half(key, cache);
			p->item[i].half_value = as_half(value, cache);
		} else {
			p->item[i].key = key;
			p->item[i].value = value;
		}
		p->array[i][0] = truth;
		p->array[i][1] = half ? (void *)p->item[i].half_key : key;
		p->array[i][2] = half ? (void *)p->item[i].half_value : value;
	}
}

static void free_prompts(struct prompts *p)
{
	for (int i = 0; i < N_PROMPT; i++)
		for (int k = 0; k < 3; k++)
			free(p->array[i][k]);
}

/* ---- one step ------------------------------------------------------------------------------------------------------------------ */

struct outcome {
	double loss, *head_kl;
	float *mean;             /* of the second prompt, forward only */
	float *gradient, *value; /* value: after two updates by `shared` */
};

struct setting {
	const struct parameters *p;
	const struct prompts *prompts;
	float *shared; /* a gradient for the update, the same for both: Adam's first moves are signs, which rounding can turn over */
};

static void two_updates(struct train_step *s, const struct setting *t, struct outcome *out)
{
	const struct optimizer_options rule = {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.1f, .clip = 0.5f,
		.steps = 10, .floor = 0.1f};
	for (int i = 0; i < 2; i++) {
		double norm, square = vector_square_sum(t->shared, t->p->n);
		step_put(s, STEP_GRADIENT, t->shared);
		CHECK_INT(step_update(s, &rule, i, &norm, NULL), 0);
		CHECK_NEAR(norm, sqrt(square), TOL_F64_SUM * norm);
	}
	CHECK_INT(step_get(s, STEP_VALUE, out->value, NULL), 0);
}

static void run_step(const struct model *m, const struct setting *t, struct outcome *out)
{
	size_t n = t->p->n, heads = (size_t)(m->info.n_layer * m->info.n_head);
	struct train_step *s;
	struct err e = {0};
	*out = (struct outcome){.head_kl = malloc(N_PROMPT * heads * sizeof *out->head_kl), .mean = malloc(heads * (size_t)length[1] * sizeof(float)),
		.gradient = calloc(n, sizeof(float)), .value = calloc(n, sizeof(float))};
	int rc = step_open(&s, m, t->p, &(struct step_limits){.max_prompts = N_PROMPT, .max_tokens = 40, .n_threads = 2}, &e);
	if (rc) {
		test_fail(__FILE__, __LINE__, "%s: %s", m->info.device, e.text);
		exit(2);
	}
	struct step_result alone = {.mean = (float *const[]){out->mean}}, result = {.head_kl = out->head_kl};
	CHECK_INT(step_run(s, &(struct step_request){.prompt = &t->prompts->item[1], .n_prompt = 1}, &alone, &e), 0);
	CHECK_INT(step_run(s, &(struct step_request){.prompt = t->prompts->item, .n_prompt = N_PROMPT, .backward = true}, &result, &e), 0);
	CHECK_STR(e.text, "");
	CHECK_INT(step_get(s, STEP_GRADIENT, out->gradient, &e), 0);
	out->loss = result.loss;
	two_updates(s, t, out);
	/* the same again: to the bit, though prompts are on the device already */
	float *again = malloc(n * sizeof *again);
	step_clear(s, STEP_GRADIENT);
	step_put(s, STEP_VALUE, t->p->value);
	CHECK_INT(step_run(s, &(struct step_request){.prompt = t->prompts->item, .n_prompt = N_PROMPT, .backward = true}, &result, &e), 0);
	CHECK_INT(step_get(s, STEP_GRADIENT, again, &e), 0);
	CHECK(!memcmp(again, out->gradient, n * sizeof *again));
	CHECK_NEAR(result.loss, out->loss, TOL_EXACT);
	free(again);
	step_close(s);
}

static void free_outcome(struct outcome *o)
{
	free(o->head_kl), free(o->mean), free(o->gradient), free(o->value);
}

/* ---- comparison ---------------------------------------------------------------------------------------------------------------- */

struct comparison {
	double tolerance; /* norm of the difference, as a share of the tensor's norm */
	double whole;     /* norm of the whole gradient: one row's key in the last layer has none but the rounding of that */
};

static void check_tensor(const struct comparison *c, const char *what, const float *got, const float *want, size_t n)
{
	double off = 0, size = 0;
	for (size_t i = 0; i < n; i++) {
		off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
		size += (double)want[i] * want[i];
	}
	CHECK(size > 0);
	if (!(sqrt(off) <= c->tolerance * sqrt(size) + TOL_SUM_REL * c->whole))
		test_fail(__FILE__, __LINE__, "gradient of %s is off by %.3g of its norm %.3g, allowed %.3g", what, sqrt(off / size), sqrt(size),
			c->tolerance);
}

static void compare(const struct model *m, const struct setting *t, const struct outcome *got, const struct outcome *want, bool bf16)
{
	const struct parameters *p = t->p;
	size_t heads = (size_t)(m->info.n_layer * m->info.n_head);
	const struct comparison c = {.tolerance = bf16 ? TOL_BF16_REL : TOL_GRADIENT,
		.whole = sqrt(vector_square_sum(want->gradient, p->n))};
	CHECK_NEAR(got->loss, want->loss, bf16 ? TOL_BF16_REL * want->loss : TOL_LOSS);
	for (size_t i = 0; i < N_PROMPT * heads; i++)
		CHECK_NEAR(got->head_kl[i], want->head_kl[i], bf16 ? TOL_BF16_REL * want->loss * (double)heads : TOL_LOSS);
	for (size_t i = 0; i < heads * (size_t)length[1] && !bf16; i++)
		CHECK_NEAR(got->mean[i], want->mean[i], TOL_MEAN_ABS);
	check_tensor(&c, "the soft tokens", got->gradient, want->gradient, (size_t)p->n_lookahead * (size_t)p->n_embd);
	for (int i = 0; i < p->n_layer * N_PROJ; i++) {
		const struct adapter_place *place = &p->place[i];
		const struct weight *w = &m->layer[i / N_PROJ].proj[i % N_PROJ];
		char what[40];
		if (place->a == NO_PARAMETER)
			continue;
		snprintf(what, sizeof what, "layer %d, %s, A", i / N_PROJ, projection_name(i % N_PROJ));
		check_tensor(&c, what, got->gradient + place->a, want->gradient + place->a, (size_t)p->r * (size_t)w->n_in);
		what[strlen(what) - 1] = 'B';
		check_tensor(&c, what, got->gradient + place->b, want->gradient + place->b, (size_t)p->r * (size_t)w->n_out);
	}
	for (size_t i = 0; i < p->n; i++)
		CHECK_NEAR(got->value[i], want->value[i], TOL_SUM_REL * (1 + fabs((double)want->value[i])));
}

static void check_step(const struct model *on_cpu, const struct model *on_device, int n_lookahead, bool half, bool bf16)
{
	struct lookahead *modules = loose_modules(on_cpu, n_lookahead, RANK, test_seed() + 3);
	struct parameters p;
	struct prompts prompts;
	struct outcome want, got;
	struct rng rng;
	rng_seed(&rng, 5);
	CHECK_INT(parameters_new(&p, on_cpu, modules, ~0u, NULL), 0);
	make_prompts(&prompts, &on_cpu->info, half);
	struct setting t = {.p = &p, .prompts = &prompts, .shared = random_floats(&rng, p.n, 1, false)};
	run_step(on_cpu, &t, &want);
	run_step(on_device, &t, &got);
	compare(on_cpu, &t, &got, &want, bf16);
	free_outcome(&want), free_outcome(&got);
	free(t.shared);
	free_prompts(&prompts);
	parameters_free(&p);
	lookahead_free(modules);
}

/* ---- models in memory: head sizes, groupings, biases, norms ------------------------------------------------------------------------ */

static const struct loose_model_options family[] = {
	{.n_layer = 3, .n_head = 3, .n_kv_head = 1, .head_dim = 64, .n_embd = 96, .n_ff = 160, .n_vocab = 50, .type = TYPE_F32,
		.rope_pairs = ROPE_ADJACENT},
	{.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 80, .n_embd = 64, .n_ff = 96, .n_vocab = 50, .type = TYPE_BF16,
		.rope_pairs = ROPE_HALVES, .bias = true},
	{.n_layer = 3, .n_head = 5, .n_kv_head = 5, .head_dim = 96, .n_embd = 64, .n_ff = 96, .n_vocab = 50, .type = TYPE_F16,
		.rope_pairs = ROPE_HALVES, .qk_norm = true},
	{.n_layer = 2, .n_head = 1, .n_kv_head = 1, .head_dim = 128, .n_embd = 64, .n_ff = 64, .n_vocab = 50, .type = TYPE_Q8_0,
		.rope_pairs = ROPE_ADJACENT},
};
enum { N_FAMILY = sizeof family / sizeof *family };

static void check_family(const struct loose_model_options *o, int n_lookahead, bool half, bool bf16)
{
	struct loose_model_options seeded = *o;
	seeded.seed = test_seed() + 2;
	struct loose_model *owner = loose_model_make(&seeded);
	struct model *m = loose_model_get(owner);
	struct model on_cpu = *m;
	on_cpu.info.device = "cpu";
	on_cpu.info.precision = "f32";
	m->info.device = "cuda:0";
	m->info.precision = bf16 ? "bf16" : "f32";
	check_step(&on_cpu, m, n_lookahead, half, bf16);
	loose_model_free(owner);
}

TEST(cuda_train, a_step_of_every_family_in_float32)
{
	for (int i = 0; device_is_there() && i < N_FAMILY; i++)
		check_family(&family[i], i == 2 ? 1 : 5, i % 2, false);
}

TEST(cuda_train, a_step_of_every_family_in_bfloat16)
{
	for (int i = 0; device_is_there() && i < N_FAMILY; i++)
		check_family(&family[i], 4, i % 2 == 0, true);
}

/* ---- models from files ------------------------------------------------------------------------------------------------------------- */

static struct model *open_tiny(enum tiny_kind kind, enum device_choice device, enum precision precision)
{
	const char *path = test_scratch("tiny.gguf");
	struct model *m = NULL;
	struct err e = {0};
	tiny_model_gguf(path, &(struct tiny_options){.kind = kind, .type = kind == TINY_QWEN2 ? TYPE_Q5_K : TYPE_F16, .seed = test_seed()});
	if (model_open(&m, path, &(struct model_options){.device = device, .precision = precision}, &e)) {
		test_fail(__FILE__, __LINE__, "%s: %s", tiny_shape(kind)->name, e.text);
		exit(2);
	}
	return m;
}

TEST(cuda_train, a_step_of_every_family_from_its_file)
{
	for (int kind = 0; device_is_there() && kind < N_TINY; kind++) {
		struct model *on_cpu = open_tiny((enum tiny_kind)kind, DEVICE_CPU, PRECISION_F32);
		struct model *on_device = open_tiny((enum tiny_kind)kind, DEVICE_CUDA, PRECISION_F32);
		check_step(on_cpu, on_device, 4, true, false);
		model_close(on_cpu), model_close(on_device);
	}
}

/* ---- a training -------------------------------------------------------------------------------------------------------------------- */

enum { TARGETS = 3, STEPS = 4 };

struct training {
	struct target target[TARGETS]; /* of the store below */
	struct target_store *store;
	double loss[STEPS], judged;
};

/* Targets with responses of the model's own, and with a given one; then steps in two parts each, a judgement, and the way back. */
static void train(const struct model *m, const char *folder, struct training *out)
{
	struct target_request request[TARGETS];
	struct err e = {0};
	int number[TARGETS], resumed;
	struct trainer *t = NULL;
	struct train_report report;
	for (int i = 0; i < TARGETS; i++)
		request[i] = (struct target_request){.ids = loose_ids(m, 12 + 5 * i, (uint64_t)i), .n = 12 + 5 * i, .n_response = 4};
	request[1].response = loose_ids(m, 4, 99);
	CHECK_INT(target_store_open(&out->store, m, &(struct target_store_options){.folder = folder, .n_threads = 2}, &e), 0);
	CHECK_INT(target_store_make(out->store, request, TARGETS, number, NULL, NULL, &e), 0);
	CHECK_STR(e.text, "");
	for (int i = 0; i < TARGETS; i++)
		CHECK_INT(target_get(out->store, number[i], &out->target[i], NULL), 0);
	struct train_options o;
	train_options_default(&o);
	o.n_lookahead = 4, o.batch = 2, o.n_micro = 1, o.steps = STEPS, o.warmup = 1, o.lr = 5e-3f, o.n_threads = 2;
	CHECK_INT(trainer_open(&t, m, out->store, number, TARGETS, &o, &resumed, &e), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < STEPS; i++) {
			CHECK_INT(trainer_step(t, &report, &e), 0);
			CHECK(round == 0 || !(fabs(report.loss - out->loss[i]) > 0));
			out->loss[i] = report.loss;
		}
		CHECK_INT(trainer_judge(t, number[0], &out->judged, NULL, NULL, &e), 0);
		trainer_rewind(t);
	}
	CHECK_STR(e.text, "");
	trainer_close(t);
	for (int i = 0; i < TARGETS; i++)
		free((void *)request[i].ids);
	free((void *)request[1].response);
}

static void compare_targets(const struct model_info *info, const struct target *got, const struct target *want)
{
	size_t map = (size_t)(info->n_layer * info->n_head * want->n);
	CHECK_INT(got->n_response, want->n_response);
	CHECK(!memcmp(got->response, want->response, (size_t)want->n_response * sizeof *want->response));
	for (size_t i = 0; i < map; i++)
		CHECK_NEAR(got->truth[i], want->truth[i], TOL_MEAN_ABS);
}

TEST(cuda_train, a_training_is_that_of_the_cpu)
{
	if (!device_is_there())
		return;
	char folder[2][300];
	struct training want = {0}, got = {0};
	struct model *on_cpu = open_tiny(TINY_QWEN3, DEVICE_CPU, PRECISION_F32), *on_device = open_tiny(TINY_QWEN3, DEVICE_CUDA, PRECISION_F32);
	snprintf(folder[0], sizeof folder[0], "%s", test_scratch("targets.cpu"));
	snprintf(folder[1], sizeof folder[1], "%s", test_scratch("targets.cuda"));
	train(on_cpu, folder[0], &want);
	train(on_device, folder[1], &got);
	for (int i = 0; i < TARGETS; i++)
		compare_targets(&on_cpu->info, &got.target[i], &want.target[i]);
	for (int i = 0; i < STEPS; i++)
		CHECK_NEAR(got.loss[i], want.loss[i], TOL_TRAINED);
	CHECK_NEAR(got.judged, want.judged, TOL_TRAINED);
	target_store_close(got.store), target_store_close(want.store);
	model_close(on_cpu), model_close(on_device);
}

/* ---- a live session's prompt ------------------------------------------------------------------------------------------------------- */

/* Prompt, response and truth in one session; its target; steps on it. */
static void train_live(const struct model *m, double *loss)
{
	enum { N = 40, RESPONSE = 6 };
	const struct model_info *info = &m->info;
	int32_t *ids = loose_ids(m, N + RESPONSE, 7);
	float *truth = calloc((size_t)(info->n_layer * info->n_head * N), sizeof *truth);
	const struct colsum_request response = {.first = N, .count = RESPONSE, .step = 1, .n_key = N, .sum = truth};
	struct session *s = NULL;
	struct target_store *store = NULL;
	struct trainer *t = NULL;
	struct train_report report;
	struct train_options o;
	struct err e = {0};
	int number, resumed;
	CHECK_INT(session_open(&s, m, &(struct session_options){.max_tokens = N + RESPONSE, .n_threads = 2}, &e), 0);
	CHECK_INT(session_run(s, &(struct run_request){.ids = ids, .n = N + RESPONSE, .colsum = &response, .n_colsum = 1}, &e), 0);
	CHECK_INT(target_store_open(&store, m, &(struct target_store_options){.n_threads = 2}, &e), 0);
	CHECK_INT(target_store_add(store, s, &(struct target_measured){.ids = ids, .n = N, .response = ids + N, .n_response = RESPONSE,
		.truth = truth}, &number, &e), 0);
	train_options_default(&o);
	o.n_lookahead = 4, o.batch = 1, o.steps = STEPS, o.warmup = 1, o.lr = 5e-3f, o.n_threads = 2;
	CHECK_INT(trainer_open(&t, m, store, &number, 1, &o, &resumed, &e), 0);
	for (int i = 0; i < STEPS; i++) {
		CHECK_INT(trainer_step(t, &report, &e), 0);
		loss[i] = report.loss;
	}
	CHECK_STR(e.text, "");
	trainer_close(t);
	target_store_close(store);
	session_close(s);
	free(ids), free(truth);
}

TEST(cuda_train, a_live_session_is_trained_on)
{
	double want[STEPS], got[STEPS];
	for (int kind = TINY_LLAMA; device_is_there() && kind <= TINY_LLAMA3; kind++) {
		struct model *on_cpu = open_tiny((enum tiny_kind)kind, DEVICE_CPU, PRECISION_F32);
		struct model *on_device = open_tiny((enum tiny_kind)kind, DEVICE_CUDA, PRECISION_AUTO);
		CHECK_STR(on_device->info.precision, "bf16");
		train_live(on_cpu, want);
		train_live(on_device, got);
		CHECK(got[STEPS - 1] < got[0]);
		for (int i = 0; i < STEPS; i++)
			CHECK_NEAR(got[i], want[i], (i ? TOL_BF16_TRAINED_REL : TOL_BF16_REL) * want[i]);
		model_close(on_cpu), model_close(on_device);
	}
}
