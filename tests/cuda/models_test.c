/* Whole models on a device against the same on the CPU: prefill in chunks, captures, decode through recorded graphs, lookahead rows,
 * norms, greedy generation; in float32 within the tolerances of float32, in bfloat16 within its own. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "tests/cuda/on_device.h"
#include "tests/support/loose_model.h"
#include "tests/support/test.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

enum { N_PROMPT = 83, N_RESPONSE = 5, N_SOFT = 3, N_GENERATED = 6, N_MAP = 3, N_NORM = 4 };

struct results { /* everything a session says */
	int n_vocab, n_row, n_norm_row; /* n_row: layers times heads */
	float *logits;                  /* (N_PROMPT + N_RESPONSE, n_vocab) */
	float *map[N_MAP];              /* (n_row, N_PROMPT): the last rows, every third, the response */
	float *soft, *soft_row;         /* (n_row, N_PROMPT), (n_row, N_SOFT, N_PROMPT) */
	float *norm[N_NORM];            /* (n_norm_row, N_PROMPT): keys, then the kinds of value norms */
	int32_t id[N_GENERATED];
	int n_id;
	double row_error;
};

static const int map_rows[N_MAP] = {20, 28, N_RESPONSE};

static void results_take(struct results *r, const struct model_info *info)
{
	*r = (struct results){.n_vocab = info->n_vocab, .n_row = info->n_layer * info->n_head, .n_norm_row = info->n_layer * info->n_kv_head};
	size_t map = (size_t)r->n_row * N_PROMPT;
	r->logits = calloc((size_t)((N_PROMPT + N_RESPONSE) * r->n_vocab), sizeof(float));
	for (int i = 0; i < N_MAP; i++)
		r->map[i] = calloc(map, sizeof(float));
	for (int i = 0; i < N_NORM; i++)
		r->norm[i] = calloc((size_t)r->n_norm_row * N_PROMPT, sizeof(float));
	r->soft = calloc(map, sizeof(float)), r->soft_row = calloc(map * N_SOFT, sizeof(float));
}

static void results_free(struct results *r)
{
	for (int i = 0; i < N_MAP; i++)
		free(r->map[i]);
	for (int i = 0; i < N_NORM; i++)
		free(r->norm[i]);
	free(r->logits), free(r->soft), free(r->soft_row);
}

/* ---- one session ---------------------------------------------------------------------------------------------------------- */

struct script {
	const struct model *model;
	const struct lookahead *modules;
	const int32_t *ids; /* prompt and response */
	int chunk;
	struct results *out;
	struct err e; /* of what went wrong first */
};

static int run_prompt_and_response(struct script *s, struct session *session, struct colsum_request request[N_MAP])
{
	struct results *r = s->out;
	int rc = session_run(session, &(struct run_request){.ids = s->ids, .n = N_PROMPT, .colsum = request, .n_colsum = N_MAP, .logits = r->logits,
		.stage = "prefill"}, &s->e);
	if (!rc)
		rc = session_lookahead(session, &(struct lookahead_request){.modules = s->modules, .sum = r->soft, .per_row = r->soft_row,
			.row_error = &r->row_error}, &s->e);
	for (int i = 0; i < N_RESPONSE && !rc; i++) {
		rc = session_run(session, &(struct run_request){.ids = s->ids + N_PROMPT + i, .n = 1, .colsum = request, .n_colsum = N_MAP}, &s->e);
		if (!rc)
			memcpy(r->logits + (size_t)((N_PROMPT + i) * r->n_vocab), session_logits(session), (size_t)r->n_vocab * sizeof(float));
	}
	return rc;
}

static int run_norms(struct script *s, struct session *session)
{
	int rc = session_key_norms(session, N_PROMPT, s->out->norm[0], &s->e);
	for (int kind = VALUE_L2; kind <= VALUE_L2_WO && !rc; kind++)
		rc = session_value_norms(session, (enum value_norm)kind, N_PROMPT, s->out->norm[1 + kind], &s->e);
	return rc;
}

/* Back to the prompt, and on by its own choice: recorded steps at positions that were there before. */
static int run_generation(struct script *s, struct session *session)
{
	bool stopped;
	int rc = session_truncate(session, N_PROMPT - 1);
	if (!rc)
		rc = session_run(session, &(struct run_request){.ids = s->ids + N_PROMPT - 1, .n = 1}, &s->e);
	if (!rc)
		rc = session_generate(session, &(struct generate_options){.n_max = N_GENERATED}, s->out->id, &s->out->n_id, &stopped, &s->e);
	return rc;
}

static void *run_script(void *script)
{
	struct script *s = script;
	struct session *session = NULL;
	struct session_options o = {.max_tokens = N_PROMPT + N_RESPONSE + N_GENERATED + N_SOFT, .n_threads = 1, .chunk_rows = s->chunk};
	struct colsum_request request[N_MAP] = {{.first = N_PROMPT - map_rows[0], .count = map_rows[0], .step = 1},
		{.first = 0, .count = map_rows[1], .step = 3}, {.first = N_PROMPT, .count = map_rows[2], .step = 1}};
	for (int i = 0; i < N_MAP; i++) {
		request[i].n_key = N_PROMPT;
		request[i].sum = s->out->map[i];
		request[i].row_error = &s->out->row_error;
	}
	int rc = session_open(&session, s->model, &o, &s->e);
	rc = rc ? rc : run_prompt_and_response(s, session, request);
	rc = rc ? rc : run_norms(s, session);
	rc = rc ? rc : run_generation(s, session);
	session_close(session);
	return NULL;
}

/* ---- comparison ------------------------------------------------------------------------------------------------------------- */

/* Float32: every element within `tolerance`. bfloat16: the root mean square of the difference, as a share of the values'. */
static void check_all(const char *what, const float *got, const float *want, size_t n, double tolerance, bool bf16)
{
	double off = 0, size = 0, worst = 0;
	for (size_t i = 0; i < n; i++) {
		double d = fabs((double)got[i] - want[i]);
		worst = d <= worst ? worst : d;
		off += d * d;
		size += (double)want[i] * want[i];
	}
	if (bf16 ? !(sqrt(off / size) <= TOL_BF16_REL) : !(worst <= tolerance))
		test_fail(__FILE__, __LINE__, "%s: worst difference %.3g, root mean square %.3g of the values'", what, worst, sqrt(off / size));
}

static void check_generation(const struct results *got, const struct results *want)
{
	CHECK_INT(got->n_id, want->n_id);
	for (int i = 0; i < got->n_id && i < want->n_id; i++)
		CHECK_INT(got->id[i], want->id[i]);
}

static void compare(const struct results *got, const struct results *want, bool bf16)
{
	size_t map = (size_t)want->n_row * N_PROMPT, norms = (size_t)want->n_norm_row * N_PROMPT;
	check_all("logits", got->logits, want->logits, (size_t)((N_PROMPT + N_RESPONSE) * want->n_vocab), TOL_LOGIT, bf16);
	for (int i = 0; i < N_MAP; i++)
		check_all("column sums", got->map[i], want->map[i], map, TOL_MEAN_ABS * map_rows[i], bf16);
	check_all("lookahead's column sums", got->soft, want->soft, map, TOL_MEAN_ABS * N_SOFT, bf16);
	check_all("lookahead's rows", got->soft_row, want->soft_row, map * N_SOFT, TOL_MEAN_ABS, bf16);
	for (int i = 0; i < N_NORM; i++) {
		double largest = 0;
		for (size_t k = 0; k < norms; k++)
			largest = want->norm[i][k] > largest ? want->norm[i][k] : largest;
		check_all("norms", got->norm[i], want->norm[i], norms, TOL_NORM_REL * largest, bf16);
	}
	CHECK(got->row_error > 0 && got->row_error <= TOL_ROW_SUM);
	if (!bf16)
		check_generation(got, want);
}

static void run_on(struct script *s, struct results *out, const struct model *m, int chunk)
{
	s->model = m;
	s->chunk = chunk;
	s->out = out;
	results_take(out, &m->info);
	run_script(s);
	if (s->e.code)
		test_fail(__FILE__, __LINE__, "%s %s: %s", m->info.device, m->info.precision, s->e.text);
}

/* ---- models in memory: every head size and grouping, every stored type ----------------------------------------------------- */

static const struct loose_model_options family[] = {
	{.n_layer = 3, .n_head = 3, .n_kv_head = 1, .head_dim = 64, .n_embd = 96, .n_ff = 160, .n_vocab = 300, .type = TYPE_F32,
		.rope_pairs = ROPE_ADJACENT},
	{.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 80, .n_embd = 64, .n_ff = 104, .n_vocab = 97, .type = TYPE_BF16,
		.rope_pairs = ROPE_HALVES},
	{.n_layer = 2, .n_head = 7, .n_kv_head = 1, .head_dim = 64, .n_embd = 128, .n_ff = 192, .n_vocab = 256, .type = TYPE_Q8_0,
		.rope_pairs = ROPE_HALVES, .bias = true},
	{.n_layer = 2, .n_head = 5, .n_kv_head = 5, .head_dim = 96, .n_embd = 64, .n_ff = 96, .n_vocab = 200, .type = TYPE_F16,
		.rope_pairs = ROPE_HALVES, .qk_norm = true},
	{.n_layer = 1, .n_head = 2, .n_kv_head = 2, .head_dim = 128, .n_embd = 256, .n_ff = 512, .n_vocab = 300, .type = TYPE_Q4_K,
		.rope_pairs = ROPE_ADJACENT},
	{.n_layer = 1, .n_head = 1, .n_kv_head = 1, .head_dim = 64, .n_embd = 96, .n_ff = 128, .n_vocab = 64, .type = TYPE_Q4_1,
		.rope_pairs = ROPE_ADJACENT},
};
enum { N_FAMILY = sizeof family / sizeof *family };

static void check_family(const struct loose_model_options *o, int chunk, bool bf16)
{
	struct loose_model_options seeded = *o;
	seeded.seed = test_seed();
	struct loose_model *owner = loose_model_make(&seeded);
	struct model *m = loose_model_get(owner);
	struct results want, got;
	struct script s = {.modules = loose_modules(m, N_SOFT, 4, 11), .ids = loose_ids(m, N_PROMPT + N_RESPONSE, test_seed() + 1)};
	m->info.device = "cpu";
	run_on(&s, &want, m, 0);
	m->info.device = "cuda:0";
	m->info.precision = bf16 ? "bf16" : "f32";
	run_on(&s, &got, m, chunk);
	compare(&got, &want, bf16);
	results_free(&got), results_free(&want);
	lookahead_free((struct lookahead *)s.modules);
	free((void *)s.ids);
	loose_model_free(owner);
}

TEST(cuda_models, families_in_float32)
{
	for (int i = 0; device_is_there() && i < N_FAMILY; i++)
		check_family(&family[i], i % 2 ? 37 : 0, false);
}

TEST(cuda_models, families_in_bfloat16)
{
	for (int i = 0; device_is_there() && i < N_FAMILY; i++)
		check_family(&family[i], i % 2 ? 0 : 64, true);
}

/* ---- models from files -------------------------------------------------------------------------------------------------------- */

static void check_file(enum tiny_kind kind, enum tensor_type type, const char *path)
{
	struct err e = {0};
	struct model *on_cpu = NULL, *on_device = NULL;
	struct results want, got;
	tiny_model_gguf(path, &(struct tiny_options){.kind = kind, .type = type, .seed = test_seed()});
	CHECK_INT(model_open(&on_cpu, path, &(struct model_options){.device = DEVICE_CPU, .precision = PRECISION_F32}, &e), 0);
	CHECK_INT(model_open(&on_device, path, &(struct model_options){.device = DEVICE_CUDA, .precision = PRECISION_F32}, &e), 0);
	if (!on_cpu || !on_device) {
		test_fail(__FILE__, __LINE__, "%s: %s", tiny_shape(kind)->name, e.text);
		model_close(on_cpu), model_close(on_device);
		return;
	}
	struct script s = {.modules = loose_modules(on_cpu, N_SOFT, 4, 11), .ids = loose_ids(on_cpu, N_PROMPT + N_RESPONSE, test_seed() + 1)};
	run_on(&s, &want, on_cpu, 0);
	run_on(&s, &got, on_device, 50);
	compare(&got, &want, false);
	results_free(&got), results_free(&want);
	lookahead_free((struct lookahead *)s.modules);
	free((void *)s.ids);
	model_close(on_cpu), model_close(on_device);
}

TEST(cuda_models, every_family_from_its_file)
{
	static const enum tensor_type type[N_TINY] = {TYPE_Q4_1, TYPE_BF16, TYPE_Q5_K, TYPE_Q6_K};
	for (int kind = 0; device_is_there() && kind < N_TINY; kind++)
		check_file((enum tiny_kind)kind, type[kind], test_scratch("tiny.gguf"));
}

/* ---- two sessions on one model --------------------------------------------------------------------------------------------------- */

static bool same_results(const struct results *a, const struct results *b)
{
	bool same = !memcmp(a->logits, b->logits, (size_t)((N_PROMPT + N_RESPONSE) * a->n_vocab) * sizeof(float));
	for (int i = 0; i < N_MAP; i++)
		same &= !memcmp(a->map[i], b->map[i], (size_t)a->n_row * N_PROMPT * sizeof(float));
	return same && !memcmp(a->id, b->id, sizeof a->id);
}

/* At once and by itself, in chunks that other work falls between: the same to the bit. */
TEST(cuda_models, two_sessions_at_once)
{
	if (!device_is_there())
		return;
	struct loose_model *owner = loose_model_make(&family[0]);
	struct model *m = loose_model_get(owner);
	struct results result[3];
	struct script script[3];
	pthread_t thread[2];
	struct lookahead *modules = loose_modules(m, N_SOFT, 4, 11);
	int32_t *ids = loose_ids(m, N_PROMPT + N_RESPONSE, test_seed() + 1);
	m->info.device = "cuda:0";
	m->info.precision = "bf16";
	for (int i = 0; i < 3; i++) {
		results_take(&result[i], &m->info);
		script[i] = (struct script){.model = m, .modules = modules, .ids = ids, .chunk = 32, .out = &result[i]};
	}
	for (int i = 0; i < 2; i++)
		CHECK_INT(pthread_create(&thread[i], NULL, run_script, &script[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	run_script(&script[2]);
	for (int i = 0; i < 3; i++) {
		CHECK_STR(script[i].e.text, "");
		CHECK(same_results(&result[i], &result[2]));
		results_free(&result[i]);
	}
	lookahead_free(modules);
	free(ids);
	loose_model_free(owner);
}
