/* Gradients of training on the sample model against PyTorch's autograd through the paper's joint pass [prompt; soft tokens], in double
 * precision (tests/golden/make_gradients.py). Autograd knows nothing of constants: it goes through all rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/forward/session.h"
#include "engine/train/step.h"
#include "tests/support/counter.h"
#include "tests/support/golden.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

enum { N_SAMPLE = 12 };

struct problem {
	struct model *model;
	struct golden raw;                /* prompt and truth */
	struct file_map map;
	struct st_file found;             /* what autograd found */
	struct lookahead *modules;
	struct parameters parameters;
	struct step_prompt prompt;
	float *key, *value, *gradient;
	double *head_kl;
	double worst; /* relative to the tensor's norm */
};

static void measure_prompt_cache(struct problem *p)
{
	const struct model_info *info = model_info(p->model);
	int n = p->raw.n_prompt;
	size_t one = (size_t)info->n_kv_head * (size_t)n * (size_t)info->head_dim;
	struct session *s;
	CHECK_INT(session_open(&s, p->model, &(struct session_options){.max_tokens = n}, NULL), 0);
	CHECK_INT(session_run(s, &(struct run_request){.ids = p->raw.prompt, .n = n, .stage = "prefill"}, NULL), 0);
	p->key = malloc((size_t)info->n_layer * one * sizeof *p->key);
	p->value = malloc((size_t)info->n_layer * one * sizeof *p->value);
	for (int layer = 0; layer < info->n_layer; layer++)
		s->ops->read_cache(s->backend, &(struct read_cache_op){.layer = layer, .n = n, .key = p->key + (size_t)layer * one,
			.value = p->value + (size_t)layer * one});
	session_close(s);
	p->prompt = (struct step_prompt){.n = n, .key = p->key, .value = p->value,
		.truth = golden_floats(&p->raw, "rows.truth", (size_t)info->n_layer * (size_t)info->n_head * (size_t)n)};
}

static double run_step(struct problem *p)
{
	const struct model_info *info = model_info(p->model);
	struct train_step *s;
	struct step_result result = {0};
	p->gradient = calloc(p->parameters.n, sizeof *p->gradient);
	result.head_kl = p->head_kl = calloc((size_t)info->n_layer * (size_t)info->n_head, sizeof *p->head_kl);
	const struct step_limits limits = {.max_prompts = 1, .max_tokens = p->prompt.n, .n_threads = 2};
	CHECK_INT(step_open(&s, p->model, &p->parameters, &limits, NULL), 0);
	CHECK_INT(step_run(s, &(struct step_request){.prompt = &p->prompt, .n_prompt = 1, .backward = true}, &result, NULL), 0);
	CHECK_INT(step_get(s, STEP_GRADIENT, p->gradient, NULL), 0);
	step_close(s);
	return result.loss;
}

/* Floats of the golden file, its size and place checked; a failed check and NULL when it has none. */
static const float *found_floats(const struct problem *p, const char *name, size_t n)
{
	const struct st_tensor *t = st_find(&p->found, name);
	if (t && t->dtype == ST_F32 && t->n_bytes == n * sizeof(float) && (uintptr_t)t->data % sizeof(float) == 0)
		return (const float *)(const void *)t->data;
	test_fail(__FILE__, __LINE__, "gradients.safetensors: %s is missing or not %zu floats", name, n);
	return NULL;
}

/* One tensor in the module file's row order: its norm, its product with a known array, some of its elements. */
static void check_tensor(struct problem *p, const char *name, const float *got, size_t n)
{
	const float *want = found_floats(p, name, 2 + N_SAMPLE);
	char probe_name[80];
	float *probe = malloc(n * sizeof *probe);
	double square = 0, along = 0;
	if (!want || !probe)
		return;
	snprintf(probe_name, sizeof probe_name, "probe.%s", name);
	counter_fill(probe, n, (uint64_t)strtoull(golden_meta(&p->raw, "module_seed"), NULL, 10), probe_name, 1);
	for (size_t i = 0; i < n; i++) {
		square += (double)got[i] * (double)got[i];
		along += (double)got[i] * (double)probe[i];
	}
	free(probe);
	double norm = (double)want[0], off[2 + N_SAMPLE] = {sqrt(square) - norm, along - (double)want[1]};
	for (size_t i = 0; i < N_SAMPLE; i++)
		off[2 + i] = (double)(got[i * n / N_SAMPLE] - want[2 + i]);
	for (int i = 0; i < 2 + N_SAMPLE; i++) {
		p->worst = fmax(p->worst, fabs(off[i]) / norm);
		if (!(fabs(off[i]) <= TOL_GRADIENT * norm))
			test_fail(__FILE__, __LINE__, "%s, number %d: off by %.3g of the norm %.3g", name, i, off[i] / norm, norm);
	}
}

static void check_all(struct problem *p)
{
	struct lookahead *g = NULL;
	struct parameters as_values = p->parameters; /* the gradient takes the values' place: export brings the file's row order */
	as_values.value = p->gradient;
	CHECK_INT(parameters_export(&as_values, p->model, &g, NULL), 0);
	check_tensor(p, "lookahead.embedding", g->embedding, (size_t)g->n_lookahead * (size_t)g->n_embd);
	for (int i = 0; i < g->n_layer * N_PROJ; i++) {
		const struct lora *lora = &g->lora[i];
		char name[64];
		if (!lora->a)
			continue;
		snprintf(name, sizeof name, "layers.%d.%s.lora_a", i / N_PROJ, projection_name(i % N_PROJ));
		check_tensor(p, name, lora->a, (size_t)lora->r * (size_t)lora->n_in);
		name[strlen(name) - 1] = 'b';
		check_tensor(p, name, lora->b, (size_t)lora->r * (size_t)lora->n_out);
	}
	lookahead_free(g);
}

static void check_sample_gradients(struct problem *p)
{
	const struct model_info *info = model_info(p->model);
	size_t heads = (size_t)info->n_layer * (size_t)info->n_head;
	p->modules = golden_modules(&p->raw, p->model);
	CHECK_INT(parameters_new(&p->parameters, p->model, p->modules, ~0u, NULL), 0);
	measure_prompt_cache(p);
	double loss = run_step(p);
	const float *head_kl = found_floats(p, "head_kl", heads);
	for (size_t i = 0; head_kl && i < heads; i++)
		CHECK_NEAR(p->head_kl[i], head_kl[i], TOL_LOSS);
	CHECK_NEAR(loss, strtod(st_meta(&p->found, "loss"), NULL), TOL_LOSS);
	check_all(p);
	printf("    gradients: every number within %.1e of its tensor's norm\n", p->worst);
	lookahead_free(p->modules);
	parameters_free(&p->parameters);
	free(p->key);
	free(p->value);
	free(p->gradient);
	free(p->head_kl);
}

TEST(train_golden, gradients_are_those_of_autograd)
{
	const char *file = test_sample_model();
	struct problem p = {0};
	if (!file) {
		test_skip("the sample model is not in the cache (make model)");
		return;
	}
	CHECK_INT(file_map_open(&p.map, test_tree("tests/golden/smollm2/gradients.safetensors"), NULL), 0);
	CHECK_INT(st_parse(&p.found, p.map.data, p.map.size, "gradients.safetensors", NULL), 0);
	if (golden_open(&p.raw, "tests/golden/smollm2/raw.safetensors")) {
		CHECK_INT(model_open(&p.model, file, &(struct model_options){.device = DEVICE_CPU, .precision = PRECISION_F32}, NULL), 0);
		check_sample_gradients(&p);
		model_close(p.model);
	}
	golden_close(&p.raw);
	st_free(&p.found);
	file_map_close(&p.map);
}
