/* Whole models of random weights against the double-precision reference, and the laws that a session must keep. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "tests/support/loose_model.h"
#include "tests/support/reference_forward.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

enum { N_PROMPT = 100, N_RESPONSE = 6, N_SOFT = 5 };

static const struct loose_model_options family[] = {
	{.n_layer = 3, .n_head = 3, .n_kv_head = 1, .head_dim = 32, .n_embd = 96, .n_ff = 160, .n_vocab = 300, .type = TYPE_F32,
		.rope_pairs = ROPE_ADJACENT, .sharpness = 2}, /* a GGUF of Llama */
	{.n_layer = 2, .n_head = 4, .n_kv_head = 2, .head_dim = 80, .n_embd = 64, .n_ff = 100, .n_vocab = 97, .type = TYPE_BF16,
		.rope_pairs = ROPE_HALVES}, /* a folder of Llama */
	{.n_layer = 2, .n_head = 7, .n_kv_head = 1, .head_dim = 64, .n_embd = 128, .n_ff = 192, .n_vocab = 256, .type = TYPE_Q8_0,
		.rope_pairs = ROPE_HALVES, .bias = true}, /* Qwen2 */
	{.n_layer = 2, .n_head = 4, .n_kv_head = 4, .head_dim = 96, .n_embd = 64, .n_ff = 96, .n_vocab = 200, .type = TYPE_F16,
		.rope_pairs = ROPE_HALVES, .qk_norm = true, .sharpness = 1.5f}, /* Qwen3 */
	{.n_layer = 2, .n_head = 2, .n_kv_head = 2, .head_dim = 128, .n_embd = 256, .n_ff = 512, .n_vocab = 300, .type = TYPE_Q4_K,
		.rope_pairs = ROPE_ADJACENT},
	{.n_layer = 1, .n_head = 3, .n_kv_head = 3, .head_dim = 64, .n_embd = 96, .n_ff = 128, .n_vocab = 64, .type = TYPE_Q4_1,
		.rope_pairs = ROPE_ADJACENT}, /* one layer: the last is the first */
};
enum { N_FAMILY = sizeof family / sizeof *family };

struct fixture {
	struct loose_model *owner;
	struct model *model;
	int32_t *ids; /* prompt and response */
	struct err e;
};

static void open_fixture(struct fixture *f, const struct loose_model_options *o)
{
	struct loose_model_options seeded = *o;
	seeded.seed = test_seed();
	*f = (struct fixture){.owner = loose_model_make(&seeded)};
	f->model = loose_model_get(f->owner);
	f->ids = loose_ids(f->model, N_PROMPT + N_RESPONSE, test_seed() + 1);
}

static void close_fixture(struct fixture *f)
{
	free(f->ids);
	loose_model_free(f->owner);
}

static struct session *open_session(struct fixture *f, int n_threads, int chunk)
{
	struct session *s = NULL;
	struct session_options o = {.max_tokens = N_PROMPT + N_RESPONSE + N_SOFT, .n_threads = n_threads, .chunk_rows = chunk};
	CHECK_INT(session_open(&s, f->model, &o, &f->e), 0);
	return s;
}

static size_t map_size(const struct model *m, int n)
{
	return (size_t)m->info.n_layer * (size_t)m->info.n_head * (size_t)n;
}

static void check_colsum(const struct model *m, const struct reference *want, const struct colsum_request *got)
{
	for (int layer = 0; layer < m->info.n_layer; layer++)
		for (int head = 0; head < m->info.n_head; head++)
			for (int j = 0; j < got->n_key; j++)
				CHECK_NEAR(got->sum[((size_t)layer * (size_t)m->info.n_head + (size_t)head) * (size_t)got->n_key + (size_t)j],
					reference_colsum(want, m, layer, head, (struct reference_rows){got->first, got->count, got->step}, j), TOL_MEAN_ABS * got->count);
}

static void check_logits(const struct model *m, const struct reference *want, int row, const float *got)
{
	for (int i = 0; i < m->info.n_vocab; i++)
		CHECK_NEAR(got[i], want->logits[(size_t)row * (size_t)m->info.n_vocab + (size_t)i], TOL_LOGIT);
}

struct cut { /* of the prompt into steps: the session's chunk, or (chunk 0) most of it at once and the rest in runs of `each` */
	int chunk, each;
};

static void run_prompt(struct fixture *f, struct session *s, struct cut cut, struct colsum_request *request, int n_request, float *logits)
{
	enum { FIRST = N_PROMPT - 13 /* no number of rows from 2 on divides what is left: every last run is a shorter one */ };
	for (int at = 0, n; at < N_PROMPT; at += n) {
		n = !cut.each ? N_PROMPT : at ? cut.each : FIRST;
		n = N_PROMPT - at < n ? N_PROMPT - at : n;
		CHECK_INT(session_run(s, &(struct run_request){.ids = f->ids + at, .n = n, .colsum = request, .n_colsum = n_request,
			.logits = logits + (size_t)at * (size_t)f->model->info.n_vocab, .stage = "prefill"}, &f->e), 0);
	}
}

/* Prompt in steps with several captures, then the response token by token with truth and the even rows' truth. */
static void check_family(const struct loose_model_options *o, struct cut cut)
{
	struct fixture f;
	open_fixture(&f, o);
	const struct model *m = f.model;
	struct reference *want = reference_run(&(struct reference_request){.model = m, .ids = f.ids, .n_ids = N_PROMPT + N_RESPONSE});
	struct session *s = open_session(&f, 2, cut.chunk);
	float *maps = calloc(map_size(m, N_PROMPT) * 4, sizeof *maps), *logits = malloc(sizeof(float) * N_PROMPT * (size_t)m->info.n_vocab);
	double error = 0;
	struct colsum_request request[4] = {{.first = N_PROMPT - 32, .count = 32, .step = 1}, {.first = 0, .count = N_PROMPT, .step = 1},
		{.first = N_PROMPT, .count = N_RESPONSE, .step = 1}, {.first = N_PROMPT, .count = (N_RESPONSE + 1) / 2, .step = 2}};
	for (int i = 0; i < 4; i++) {
		request[i].n_key = N_PROMPT;
		request[i].sum = maps + (size_t)i * map_size(m, N_PROMPT);
		request[i].row_error = &error;
	}
	run_prompt(&f, s, cut, request, 4, logits);
	for (int row = 0; row < N_PROMPT; row++)
		check_logits(m, want, row, logits + (size_t)row * (size_t)m->info.n_vocab);
	for (int i = 0; i < N_RESPONSE; i++) {
		CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids + N_PROMPT + i, .n = 1, .colsum = request, .n_colsum = 4}, &f.e), 0);
		check_logits(m, want, N_PROMPT + i, session_logits(s));
	}
	for (int i = 0; i < 4; i++)
		check_colsum(m, want, &request[i]);
	CHECK(error > 0 && error <= TOL_ROW_SUM);
	CHECK_INT(session_length(s), N_PROMPT + N_RESPONSE);
	session_close(s);
	reference_free(want);
	free(maps), free(logits);
	close_fixture(&f);
}

TEST(forward, families_in_one_chunk)
{
	for (int i = 0; i < N_FAMILY; i++)
		check_family(&family[i], (struct cut){0});
}

TEST(forward, families_in_chunks)
{
	for (int i = 0; i < N_FAMILY; i++) {
		check_family(&family[i], (struct cut){.chunk = 70}); /* the window of 32 spans two chunks: 70 rows, then 30 */
		check_family(&family[i], (struct cut){.each = 1 + i}); /* the kernels of few rows, for each number of them */
	}
}

/* The last layer skips what nobody looks at: without logits of all rows and with few captures the numbers must be the same. */
TEST(forward, nothing_asked_changes_nothing)
{
	for (int i = 0; i < N_FAMILY; i++) {
		struct fixture f;
		open_fixture(&f, &family[i]);
		struct reference *want = reference_run(&(struct reference_request){.model = f.model, .ids = f.ids, .n_ids = N_PROMPT + 1});
		for (int chunk = 17; chunk <= N_PROMPT; chunk += 83) {
			struct session *s = open_session(&f, 1, chunk);
			float *map = calloc(map_size(f.model, N_PROMPT), sizeof *map);
			struct colsum_request request = {.first = 40, .count = 3, .step = 7, .n_key = N_PROMPT, .sum = map};
			CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids, .n = N_PROMPT, .colsum = &request, .n_colsum = 1}, &f.e), 0);
			check_logits(f.model, want, N_PROMPT - 1, session_logits(s));
			check_colsum(f.model, want, &request);
			CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids + N_PROMPT, .n = 1}, &f.e), 0);
			check_logits(f.model, want, N_PROMPT, session_logits(s));
			free(map);
			session_close(s);
		}
		reference_free(want);
		close_fixture(&f);
	}
}

/* Truth measured token by token is truth measured in one teacher-forced run. */
TEST(forward, truth_by_decode_is_truth_by_one_run)
{
	struct fixture f;
	open_fixture(&f, &family[0]);
	float *map[2];
	for (int i = 0; i < 2; i++) {
		map[i] = calloc(map_size(f.model, N_PROMPT), sizeof(float));
		struct session *s = open_session(&f, 2, 0);
		struct colsum_request request = {.first = N_PROMPT, .count = N_RESPONSE, .step = 1, .n_key = N_PROMPT, .sum = map[i]};
		CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids, .n = N_PROMPT}, &f.e), 0);
		for (int at = 0, n = i ? N_RESPONSE : 1; at < N_RESPONSE; at += n)
			CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids + N_PROMPT + at, .n = n, .colsum = &request, .n_colsum = 1}, &f.e),
				0);
		session_close(s);
	}
	for (size_t k = 0; k < map_size(f.model, N_PROMPT); k++)
		CHECK_NEAR(map[0][k], map[1][k], TOL_MEAN_ABS);
	free(map[0]), free(map[1]);
	close_fixture(&f);
}

/* bf16 is close to the reference, and what it writes into the cache serves float32 steps as well. */
TEST(forward, bfloat16_is_close)
{
	if (!loose_model_has_bf16()) {
		test_skip("this processor has no bfloat16 products");
		return;
	}
	for (int i = 0; i < N_FAMILY; i++) {
		struct fixture f;
		open_fixture(&f, &family[i]);
		f.model->info.precision = "bf16";
		struct reference *want = reference_run(&(struct reference_request){.model = f.model, .ids = f.ids, .n_ids = N_PROMPT + 1});
		struct session *s = open_session(&f, 2, 70);
		float *map = calloc(map_size(f.model, N_PROMPT), sizeof *map);
		double error = 0, off = 0, size = 0;
		struct colsum_request request = {.first = N_PROMPT - 32, .count = 32, .step = 1, .n_key = N_PROMPT, .sum = map, .row_error = &error};
		CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids, .n = N_PROMPT, .colsum = &request, .n_colsum = 1}, &f.e), 0);
		CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids + N_PROMPT, .n = 1}, &f.e), 0);
		for (int k = 0; k < f.model->info.n_vocab; k++) {
			double logit = want->logits[(size_t)N_PROMPT * (size_t)f.model->info.n_vocab + (size_t)k];
			off += (session_logits(s)[k] - logit) * (session_logits(s)[k] - logit);
			size += logit * logit;
		}
		CHECK(sqrt(off / size) <= TOL_BF16_REL);
		for (int at = 0; at < f.model->info.n_layer * f.model->info.n_head; at++)
			for (int j = 0; j < N_PROMPT; j++)
				CHECK_NEAR(map[at * N_PROMPT + j] / 32, reference_colsum(want, f.model, at / f.model->info.n_head,
					at % f.model->info.n_head, (struct reference_rows){N_PROMPT - 32, 32, 1}, j) / 32, TOL_BF16_REL);
		CHECK(error > 0 && error <= TOL_ROW_SUM);
		free(map);
		session_close(s);
		reference_free(want);
		close_fixture(&f);
	}
}

/* ---- lookahead ---------------------------------------------------------------------------------------------------------- */

static void check_lookahead(struct fixture *f, const struct lookahead *modules, const struct lookahead_switches *sw, int chunk)
{
	const struct model *m = f->model;
	int n_rows = sw && sw->n_rows ? sw->n_rows : modules->n_lookahead;
	struct reference *want = reference_run(&(struct reference_request){.model = m, .ids = f->ids, .n_ids = N_PROMPT, .modules = modules,
		.switches = sw});
	struct session *s = open_session(f, 2, chunk);
	float *sum = calloc(map_size(m, N_PROMPT), sizeof *sum), *rows = calloc(map_size(m, N_PROMPT) * (size_t)n_rows, sizeof *rows);
	double error = 0;
	CHECK_INT(session_run(s, &(struct run_request){.ids = f->ids, .n = N_PROMPT}, &f->e), 0);
	struct lookahead_request request = {.modules = modules, .switches = sw, .sum = sum, .per_row = rows, .row_error = &error};
	CHECK_INT(session_lookahead(s, &request, &f->e), 0);
	struct colsum_request as_rows = {.first = N_PROMPT, .count = n_rows, .step = 1, .n_key = N_PROMPT, .sum = sum};
	check_colsum(m, want, &as_rows);
	for (int layer = 0; layer < m->info.n_layer; layer++)
		for (int head = 0; head < m->info.n_head; head++)
			for (int i = 0; i < n_rows; i++)
				for (int j = 0; j < N_PROMPT; j++)
					CHECK_NEAR(rows[(((size_t)(layer * m->info.n_head + head)) * (size_t)n_rows + (size_t)i) * N_PROMPT + (size_t)j],
						reference_colsum(want, m, layer, head, (struct reference_rows){N_PROMPT + i, 1, 1}, j), TOL_MEAN_ABS);
	CHECK(error > 0 && error <= TOL_ROW_SUM);
	CHECK_INT(session_length(s), N_PROMPT);
	free(sum), free(rows);
	session_close(s);
	reference_free(want);
}

TEST(forward, lookahead_rows_of_every_family)
{
	for (int i = 0; i < N_FAMILY; i++) {
		struct fixture f;
		open_fixture(&f, &family[i]);
		struct lookahead *modules = loose_modules(f.model, N_SOFT, 3, 11);
		check_lookahead(&f, modules, NULL, 0);
		lookahead_free(modules);
		close_fixture(&f);
	}
}

TEST(forward, lookahead_switches)
{
	static const uint8_t second_off[] = {1, 0, 1};
	static const struct lookahead_switches sw[] = {
		{.scale = 0}, {.scale = 0.5f, .n_rows = 2}, {.scale = 1, .layer_on = second_off}, {.scale = 1, .proj_off = 1 << PROJ_Q},
		{.scale = 1, .proj_off = 1 << PROJ_K | 1 << PROJ_DOWN}, {.scale = 1, .proj_off = 1 << PROJ_V | 1 << PROJ_O | 1 << PROJ_GATE | 1 << PROJ_UP},
	};
	struct fixture f;
	open_fixture(&f, &family[0]);
	struct lookahead *modules = loose_modules(f.model, N_SOFT, 8, 12);
	for (size_t i = 0; i < sizeof sw / sizeof *sw; i++)
		check_lookahead(&f, modules, &sw[i], i == 1 ? 2 : 0);
	lookahead_free(modules);
	close_fixture(&f);
}

/* What the prompt's rows left behind is the same to the bit after a lookahead pass: logits, norms, and what follows. */
TEST(forward, lookahead_leaves_no_trace)
{
	struct fixture f;
	open_fixture(&f, &family[0]);
	const struct model *m = f.model;
	size_t n_norm = (size_t)(m->info.n_layer * m->info.n_kv_head) * N_PROMPT, n_map = map_size(m, N_PROMPT);
	struct lookahead *modules = loose_modules(m, N_SOFT, 8, 13);
	float *logits[2], *keys[2], *values[2], *map[2], *first = calloc(n_map, sizeof *first), *again = calloc(n_map, sizeof *again);
	for (int with = 0; with < 2; with++) {
		logits[with] = malloc((size_t)m->info.n_vocab * 2 * sizeof(float)), map[with] = calloc(n_map, sizeof(float));
		keys[with] = malloc(n_norm * sizeof(float)), values[with] = malloc(n_norm * sizeof(float));
		struct session *s = open_session(&f, 2, 0);
		struct colsum_request truth = {.first = N_PROMPT, .count = N_RESPONSE, .step = 1, .n_key = N_PROMPT, .sum = map[with]};
		CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids, .n = N_PROMPT}, &f.e), 0);
		if (with) {
			CHECK_INT(session_lookahead(s, &(struct lookahead_request){.modules = modules, .sum = first}, &f.e), 0);
			CHECK_INT(session_lookahead(s, &(struct lookahead_request){.modules = modules, .sum = again}, &f.e), 0);
		}
		memcpy(logits[with], session_logits(s), (size_t)m->info.n_vocab * sizeof(float));
		CHECK_INT(session_key_norms(s, N_PROMPT, keys[with], &f.e), 0);
		CHECK_INT(session_value_norms(s, VALUE_L2_WO, N_PROMPT, values[with], &f.e), 0);
		CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids + N_PROMPT, .n = N_RESPONSE, .colsum = &truth, .n_colsum = 1}, &f.e), 0);
		memcpy(logits[with] + m->info.n_vocab, session_logits(s), (size_t)m->info.n_vocab * sizeof(float));
		session_close(s);
	}
	CHECK(!memcmp(logits[0], logits[1], (size_t)m->info.n_vocab * 2 * sizeof(float)));
	CHECK(!memcmp(keys[0], keys[1], n_norm * sizeof(float)));
	CHECK(!memcmp(values[0], values[1], n_norm * sizeof(float)));
	CHECK(!memcmp(map[0], map[1], n_map * sizeof(float)));
	CHECK(!memcmp(first, again, n_map * sizeof(float)));
	for (int i = 0; i < 2; i++)
		free(logits[i]), free(keys[i]), free(values[i]), free(map[i]);
	free(first), free(again);
	lookahead_free(modules);
	close_fixture(&f);
}

/* Soft tokens that are the response's embeddings, without LoRA, measure what the response measures. */
TEST(forward, soft_tokens_of_the_response_measure_truth)
{
	struct fixture f;
	open_fixture(&f, &family[0]);
	const struct model *m = f.model;
	struct lookahead *modules = loose_modules(m, N_SOFT, 2, 14);
	size_t n_map = map_size(m, N_PROMPT);
	float *truth = calloc(n_map, sizeof *truth), *soft = calloc(n_map, sizeof *soft);
	for (int i = 0; i < N_SOFT; i++)
		tensor_unpack(m->embedding.type, m->embedding.data + (size_t)f.ids[N_PROMPT + i] * tensor_type_bytes(m->embedding.type,
			(uint64_t)m->info.n_embd), (size_t)m->info.n_embd, modules->embedding + i * m->info.n_embd);
	struct session *s = open_session(&f, 2, 0);
	struct lookahead_switches off = {.scale = 0};
	struct colsum_request request = {.first = N_PROMPT, .count = N_SOFT, .step = 1, .n_key = N_PROMPT, .sum = truth};
	CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids, .n = N_PROMPT}, &f.e), 0);
	CHECK_INT(session_lookahead(s, &(struct lookahead_request){.modules = modules, .switches = &off, .sum = soft}, &f.e), 0);
	CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids + N_PROMPT, .n = N_SOFT, .colsum = &request, .n_colsum = 1}, &f.e), 0);
	for (size_t k = 0; k < n_map; k++)
		CHECK_NEAR(soft[k], truth[k], TOL_EXACT);
	free(truth), free(soft);
	session_close(s);
	lookahead_free(modules);
	close_fixture(&f);
}

/* ---- norms ------------------------------------------------------------------------------------------------------------- */

/* Mean over the group's heads of the norm of V[g,j] W_O^(h), from the definition. */
static double plain_value_norm(const struct model *m, const struct reference *r, enum value_norm kind, int layer, int g, int j)
{
	const struct weight *w = &m->layer[layer].proj[PROJ_O];
	int d = m->info.head_dim, group = m->info.n_head / m->info.n_kv_head;
	const double *v = r->value + (((size_t)layer * (size_t)m->info.n_kv_head + (size_t)g) * (size_t)r->n + (size_t)j) * (size_t)d;
	float *row = malloc((size_t)w->n_in * sizeof *row);
	double mean = 0;
	for (int h = g * group; h < (g + 1) * group; h++) {
		double norm = 0;
		for (int o = 0; o < w->n_out; o++) {
			double sum = 0;
			tensor_unpack(w->type, w->data + (size_t)o * tensor_type_bytes(w->type, (uint64_t)w->n_in), (size_t)w->n_in, row);
			for (int c = 0; c < d; c++)
				sum += v[c] * row[h * d + c];
			norm += kind == VALUE_L1_WO ? fabs(sum) : sum * sum;
		}
		mean += (kind == VALUE_L1_WO ? norm : sqrt(norm)) / group;
	}
	free(row);
	return mean;
}

TEST(forward, norms_of_keys_and_values)
{
	for (int i = 0; i < N_FAMILY; i++) {
		struct fixture f;
		open_fixture(&f, &family[i]);
		const struct model *m = f.model;
		struct reference *want = reference_run(&(struct reference_request){.model = m, .ids = f.ids, .n_ids = N_PROMPT});
		struct session *s = open_session(&f, 2, 33);
		CHECK_INT(session_run(s, &(struct run_request){.ids = f.ids, .n = N_PROMPT}, &f.e), 0);
		int n = N_PROMPT - 3;
		float *got = malloc(sizeof *got * (size_t)(m->info.n_layer * m->info.n_kv_head * n));
		for (int kind = -1; kind <= VALUE_L2_WO; kind++) {
			CHECK_INT(kind < 0 ? session_key_norms(s, n, got, &f.e) : session_value_norms(s, (enum value_norm)kind, n, got, &f.e), 0);
			for (int at = 0; at < m->info.n_layer * m->info.n_kv_head; at++)
				for (int j = 0; j < n; j += j < 4 ? 1 : 13) {
					double expected = kind < 0 ? want->key_norm[at * N_PROMPT + j] : 0;
					const double *v = want->value + ((size_t)at * N_PROMPT + (size_t)j) * (size_t)m->info.head_dim;
					for (int c = 0; kind == VALUE_L2 && c < m->info.head_dim; c++)
						expected += v[c] * v[c];
					if (kind == VALUE_L2)
						expected = sqrt(expected);
					if (kind > VALUE_L2)
						expected = plain_value_norm(m, want, (enum value_norm)kind, at / m->info.n_kv_head, at % m->info.n_kv_head, j);
					CHECK_NEAR(got[at * n + j], expected, TOL_NORM_REL * expected);
				}
		}
		CHECK_INT(session_key_norms(s, N_PROMPT + 1, got, &f.e), ERR_USE);
		free(got);
		session_close(s);
		reference_free(want);
		close_fixture(&f);
	}
}
