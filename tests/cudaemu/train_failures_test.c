/* Training on a device that is too small, fails or is lost on the way: named, nothing leaks, parameters stay as they were. */
#include <stdlib.h>
#include <string.h>

#include "engine/random.h"
#include "engine/train/step.h"
#include "tests/cudaemu/attempt.h"
#include "tests/support/loose_model.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

enum { N_PROMPT = 3, TOKENS = 400, T = 2, RANK = 2 };

static const struct loose_model_options shape = {.n_layer = 2, .n_head = 2, .n_kv_head = 2, .head_dim = 64, .n_embd = 32, .n_ff = 32,
	.n_vocab = 20, .type = TYPE_BF16, .rope_pairs = ROPE_HALVES};

struct attempt { /* steps of one prompt each, in turn, and an update */
	struct err e;
	int steps;
	struct loose_model *owner;
	struct model *model;
	struct lookahead *modules;
	struct parameters p;
	float *array[N_PROMPT][3];
	struct step_prompt prompt[N_PROMPT];
	float *gradient, *value;
};

static void begin(void *attempt)
{
	struct attempt *a = attempt;
	struct rng rng;
	rng_seed(&rng, 4);
	*a = (struct attempt){.owner = loose_model_make(&shape), .steps = 2};
	a->model = loose_model_get(a->owner);
	a->modules = loose_modules(a->model, T, RANK, 3);
	CHECK_INT(parameters_new(&a->p, a->model, a->modules, ~0u, NULL), 0);
	a->gradient = calloc(a->p.n, sizeof *a->gradient), a->value = calloc(a->p.n, sizeof *a->value);
	for (int i = 0; i < N_PROMPT; i++) {
		size_t n[3] = {(size_t)(shape.n_layer * shape.n_head) * TOKENS};
		n[1] = n[2] = n[0] * (size_t)shape.head_dim;
		for (int k = 0; k < 3; k++) {
			a->array[i][k] = malloc(n[k] * sizeof(float));
			for (size_t j = 0; j < n[k]; j++)
				a->array[i][k][j] = (float)rng_uniform(&rng);
		}
		a->prompt[i] = (struct step_prompt){.n = TOKENS, .truth = a->array[i][0], .key = a->array[i][1], .value = a->array[i][2]};
	}
}

static void end(void *attempt)
{
	struct attempt *a = attempt;
	for (int i = 0; i < N_PROMPT; i++)
		for (int k = 0; k < 3; k++)
			free(a->array[i][k]);
	free(a->gradient), free(a->value);
	parameters_free(&a->p);
	lookahead_free(a->modules);
	loose_model_free(a->owner);
}

static int run(void *attempt)
{
	struct attempt *a = attempt;
	const struct optimizer_options rule = {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .steps = 10};
	struct train_step *s = NULL;
	struct step_result result = {0};
	double norm;
	int rc = step_open(&s, a->model, &a->p, &(struct step_limits){.max_prompts = 1, .max_tokens = TOKENS, .n_threads = 1}, &a->e);
	for (int i = 0; i < a->steps && !rc; i++)
		rc = step_run(s, &(struct step_request){.prompt = &a->prompt[i % N_PROMPT], .n_prompt = 1, .backward = true}, &result, &a->e);
	rc = rc ? rc : step_get(s, STEP_GRADIENT, a->gradient, &a->e);
	rc = rc ? rc : step_update(s, &rule, 0, &norm, &a->e);
	rc = rc ? rc : step_get(s, STEP_VALUE, a->value, &a->e);
	step_close(s);
	return rc;
}

static const struct attempt_kind kind = {.n_bytes = sizeof(struct attempt), .begin = begin, .run = run, .end = end, .makes_room = true};

TEST(cuda_train_failures, every_allocation_may_fail)
{
	attempt_fail_each(&kind, "cudaMalloc", cudaErrorMemoryAllocation, ERR_MEMORY);
	attempt_fail_each(&kind, "cudaHostAlloc", cudaErrorMemoryAllocation, ERR_MEMORY);
}

TEST(cuda_train_failures, too_many_rows)
{
	struct attempt a;
	struct train_step *s = NULL;
	cudaemu_reset(&cudaemu_usual_machine);
	begin(&a);
	CHECK_INT(step_open(&s, a.model, &a.p, &(struct step_limits){.max_prompts = 40000, .max_tokens = TOKENS, .n_threads = 1}, &a.e), ERR_LIMIT);
	CHECK(strstr(a.e.text, "40000 prompts") && strstr(a.e.text, "smaller batch"));
	end(&a);
	CHECK_INT(cudaemu_allocations(), 0);
}

TEST(cuda_train_failures, lost_device)
{
	struct attempt a;
	cudaemu_reset(&cudaemu_usual_machine);
	begin(&a);
	CHECK_INT(run(&a), 0);
	end(&a);
	int n = cudaemu_calls("kernel");
	CHECK(n > 100);
	for (int at = 1; at <= n; at += n / 7 + 1) {
		cudaemu_reset(&cudaemu_usual_machine);
		begin(&a);
		cudaemu_lose_device(at, cudaErrorIllegalAddress);
		CHECK_INT(run(&a), ERR_DEVICE);
		CHECK(strstr(a.e.text, "cuda:0") && strstr(a.e.text, "--device cpu"));
		a.e = (struct err){0};
		a.model->info.device = "cpu";
		CHECK_INT(run(&a), 0);
		end(&a);
		CHECK_INT(cudaemu_allocations(), 0);
	}
	cudaemu_reset(&cudaemu_usual_machine);
}

/* Room for a step and one or two prompts, not for three: they take turns, and the result is the same to the bit. */
TEST(cuda_train_failures, prompts_take_turns_where_memory_is_short)
{
	struct cudaemu_machine small = cudaemu_usual_machine;
	struct attempt wide, narrow;
	cudaemu_reset(&cudaemu_usual_machine);
	begin(&wide);
	wide.steps = 2 * N_PROMPT; /* those that had to go come back */
	CHECK_INT(run(&wide), 0);
	int before = cudaemu_calls("cudaMalloc");
	cudaemu_reset(&small);
	begin(&narrow);
	narrow.steps = 2 * N_PROMPT;
	struct step_limits limits = {.max_prompts = 1, .max_tokens = TOKENS, .n_threads = 1};
	small.memory = step_bytes(narrow.model, T, RANK, &limits) + (3 << 20); /* a prompt has 0.8 MiB; half of what is free is for them */
	cudaemu_reset(&small);
	CHECK_INT(run(&narrow), 0);
	CHECK_STR(narrow.e.text, "");
	CHECK(cudaemu_calls("cudaMalloc") > before);
	CHECK(!memcmp(wide.gradient, narrow.gradient, wide.p.n * sizeof(float)));
	CHECK(!memcmp(wide.value, narrow.value, wide.p.n * sizeof(float)));
	end(&wide), end(&narrow);
	cudaemu_reset(&small);
	small.memory = 1 << 20;
	cudaemu_reset(&small);
	begin(&narrow);
	CHECK_INT(run(&narrow), ERR_MEMORY);
	CHECK(strstr(narrow.e.text, "MiB") != NULL);
	end(&narrow);
	CHECK_INT(cudaemu_allocations(), 0);
	cudaemu_reset(&cudaemu_usual_machine);
}
