/* The life of a session: limits, failures that change nothing, cancelling, generating, two sessions at once. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/simd/simd.h"
#include "engine/engine.h"
#include "engine/forward/session.h"
#include "tests/support/loose_model.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

static const struct loose_model_options small = {.n_layer = 3, .n_head = 4, .n_kv_head = 2, .head_dim = 32, .n_embd = 64, .n_ff = 96,
	.n_vocab = 120, .type = TYPE_Q4_1, .rope_pairs = ROPE_ADJACENT, .sharpness = 2, .seed = 5};

enum { N = 90 };

struct fixture {
	struct loose_model *owner;
	struct model *model;
	struct session *session;
	int32_t *ids;
	struct err e;
};

static void open_fixture(struct fixture *f, int max_tokens, int chunk)
{
	*f = (struct fixture){.owner = loose_model_make(&small)};
	f->model = loose_model_get(f->owner);
	f->ids = loose_ids(f->model, N, 9);
	struct session_options o = {.max_tokens = max_tokens, .n_threads = 2, .chunk_rows = chunk};
	CHECK_INT(session_open(&f->session, f->model, &o, &f->e), 0);
}

static void close_fixture(struct fixture *f)
{
	session_close(f->session);
	free(f->ids);
	loose_model_free(f->owner);
}

static int run(struct fixture *f, int first, int n)
{
	return session_run(f->session, &(struct run_request){.ids = f->ids + first, .n = n, .stage = "prefill"}, &f->e);
}

/* Logits after ids[0 .. n) in a fresh session. */
static float *fresh_logits(struct fixture *f, int n)
{
	size_t bytes = (size_t)f->model->info.n_vocab * sizeof(float);
	float *logits = malloc(bytes);
	struct session *s;
	struct session_options o = {.max_tokens = N, .n_threads = 1};
	CHECK_INT(session_open(&s, f->model, &o, &f->e), 0);
	CHECK_INT(session_run(s, &(struct run_request){.ids = f->ids, .n = n}, &f->e), 0);
	memcpy(logits, session_logits(s), bytes);
	session_close(s);
	return logits;
}

TEST(session, refuses_what_cannot_be)
{
	struct fixture f;
	open_fixture(&f, 50, 0);
	CHECK(session_logits(f.session) == NULL);
	CHECK_INT(run(&f, 0, 51), ERR_LIMIT);
	CHECK(strstr(f.e.text, "51") && strstr(f.e.text, "50"));
	CHECK_INT(run(&f, 0, 0), ERR_USE);
	CHECK_INT(run(&f, 0, 50), 0);
	CHECK_INT(run(&f, 0, 1), ERR_LIMIT);
	CHECK_INT(session_truncate(f.session, 51), ERR_USE);
	CHECK_INT(session_truncate(f.session, -1), ERR_USE);
	CHECK_INT(session_truncate(f.session, 20), 0);
	CHECK_INT(session_length(f.session), 20);
	f.model->info.n_ctx = 25;
	CHECK_INT(run(&f, 20, 6), ERR_LIMIT);
	CHECK(strstr(f.e.text, "context is 25") != NULL);
	f.model->info.n_ctx = 1 << 20;
	f.ids[3] = f.model->info.n_vocab;
	CHECK_INT(run(&f, 0, 10), ERR_USE);
	CHECK(strstr(f.e.text, "token 3") != NULL);
	f.ids[3] = -1;
	CHECK_INT(run(&f, 0, 10), ERR_USE);
	float sum[1];
	struct colsum_request bad[] = {{.first = 0, .count = 1, .step = 0, .n_key = 1, .sum = sum},
		{.first = -1, .count = 1, .step = 1, .n_key = 1, .sum = sum}, {.first = 0, .count = 1, .step = 1, .n_key = 0, .sum = sum},
		{.first = 0, .count = -1, .step = 1, .n_key = 1, .sum = sum}, {.first = 0, .count = 1, .step = 1, .n_key = 1}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_INT(session_run(f.session, &(struct run_request){.ids = f.ids + 10, .n = 2, .colsum = &bad[i], .n_colsum = 1}, &f.e), ERR_USE);
	CHECK_INT(session_length(f.session), 20);
	struct lookahead *modules = loose_modules(f.model, 31, 2, 1);
	float *map = calloc(3 * 4 * 20, sizeof *map);
	CHECK_INT(session_lookahead(f.session, &(struct lookahead_request){.modules = modules, .sum = map}, &f.e), ERR_LIMIT);
	modules->n_embd--;
	CHECK_INT(session_lookahead(f.session, &(struct lookahead_request){.modules = modules, .sum = map}, &f.e), ERR_USE);
	CHECK_INT(session_truncate(f.session, 0), 0);
	modules->n_embd++;
	CHECK_INT(session_lookahead(f.session, &(struct lookahead_request){.modules = modules, .sum = map}, &f.e), ERR_USE);
	free(map);
	lookahead_free(modules);
	close_fixture(&f);
	session_close(NULL);
}

TEST(session, memory_is_refused_before_it_is_taken)
{
	struct fixture f;
	open_fixture(&f, N, 0);
	struct memory_estimate some, many;
	model_estimate(f.model, 1000, 2, &some);
	model_estimate(f.model, 2000, 2, &many);
	CHECK_INT(some.maps, 2ull * 3 * 4 * 1000 * sizeof(float));
	CHECK(some.kv >= 2ull * 3 * 2 * 32 * 1000 * sizeof(float));
	CHECK(some.kv <= 2ull * 3 * 2 * 32 * 1280 * sizeof(float));
	CHECK(some.scratch > 0 && many.scratch > some.scratch);
	CHECK(some.total == some.weights + some.kv + some.scratch + some.maps);
	CHECK(some.available > 0);
	struct session *s = (struct session *)1;
	struct session_options o = {.max_tokens = 1 << 30};
	CHECK_INT(session_open(&s, f.model, &o, &f.e), ERR_MEMORY);
	CHECK(s == NULL);
	CHECK(strstr(f.e.text, "MiB") != NULL);
	CHECK(engine_peak_memory() > 1 << 20);
	close_fixture(&f);
}

struct stopper {
	int calls, stop_at;
	int64_t last_done, last_total;
	bool backwards;
};

static int stop(void *user, const char *stage, int64_t done, int64_t total)
{
	struct stopper *s = user;
	CHECK_STR(stage, "prefill");
	s->backwards |= done < s->last_done;
	s->last_done = done;
	s->last_total = total;
	return ++s->calls == s->stop_at;
}

/* However late a run is cancelled, the session is as before. */
TEST(session, cancel_leaves_the_cache)
{
	struct fixture f;
	open_fixture(&f, N, 16);
	float *want = fresh_logits(&f, N);
	CHECK_INT(run(&f, 0, 40), 0);
	int calls = 0;
	for (int stop_at = 1; !calls; stop_at++) {
		struct stopper s = {.stop_at = stop_at};
		struct progress progress = {.report = stop, .user = &s};
		int rc = session_run(f.session, &(struct run_request){.ids = f.ids + 40, .n = N - 40, .stage = "prefill", .progress = &progress}, &f.e);
		CHECK(!s.backwards);
		if (rc == 0) {
			calls = s.calls;
			CHECK_INT(s.last_done, N - 40);
			CHECK_INT(s.last_total, N - 40);
		} else {
			CHECK_INT(rc, ERR_CANCELLED);
			CHECK_INT(session_length(f.session), 40);
			CHECK(session_logits(f.session) == NULL);
		}
	}
	CHECK(calls >= 4 * 3); /* four chunks of three layers */
	for (int i = 0; i < f.model->info.n_vocab; i++)
		CHECK_NEAR(session_logits(f.session)[i], want[i], TOL_LOGIT);
	free(want);
	close_fixture(&f);
}

TEST(session, truncate_forgets)
{
	struct fixture f;
	open_fixture(&f, N, 0);
	float *want = fresh_logits(&f, 60);
	CHECK_INT(run(&f, 0, N), 0);
	CHECK_INT(session_truncate(f.session, 50), 0);
	CHECK(session_logits(f.session) == NULL);
	CHECK_INT(run(&f, 50, 10), 0);
	for (int i = 0; i < f.model->info.n_vocab; i++)
		CHECK_NEAR(session_logits(f.session)[i], want[i], TOL_LOGIT);
	free(want);
	close_fixture(&f);
}

static int32_t top_of(const float *logits, int n)
{
	int32_t top = 0;
	for (int i = 1; i < n; i++)
		if (logits[i] > logits[top])
			top = i;
	return top;
}

static int stop_after_five(void *user, int i, int32_t id)
{
	int32_t *seen = user;
	seen[i] = id;
	return i == 4;
}

TEST(session, generates_greedily_and_measures_what_it_writes)
{
	struct fixture f;
	open_fixture(&f, N, 0);
	int32_t ids[20], seen[20] = {0};
	int n, n_vocab = f.model->info.n_vocab;
	bool stopped;
	size_t n_map = 3 * 4 * 40;
	float *truth = calloc(n_map, sizeof *truth), *again = calloc(n_map, sizeof *again);
	struct colsum_request request = {.first = 40, .count = 20, .step = 1, .n_key = 40, .sum = truth};
	struct generate_options o = {.n_max = 20, .colsum = &request, .n_colsum = 1};
	CHECK_INT(session_generate(f.session, &o, ids, &n, &stopped, &f.e), ERR_USE); /* nothing to continue from */
	CHECK_INT(run(&f, 0, 40), 0);
	CHECK_INT(session_generate(f.session, &o, ids, &n, &stopped, &f.e), 0);
	CHECK_INT(n, 20);
	CHECK(!stopped);
	CHECK_INT(session_length(f.session), 60);
	session_truncate(f.session, 0);
	CHECK_INT(run(&f, 0, 40), 0);
	request.sum = again;
	for (int i = 0; i < n; i++) {
		CHECK_INT(ids[i], top_of(session_logits(f.session), n_vocab));
		CHECK_INT(session_run(f.session, &(struct run_request){.ids = &ids[i], .n = 1, .colsum = &request, .n_colsum = 1}, &f.e), 0);
	}
	for (size_t i = 0; i < n_map; i++)
		CHECK_NEAR(again[i], truth[i], TOL_EXACT);
	session_truncate(f.session, 0);
	CHECK_INT(run(&f, 0, 40), 0);
	o = (struct generate_options){.n_max = 20, .on_token = stop_after_five, .user = seen};
	CHECK_INT(session_generate(f.session, &o, ids, &n, &stopped, &f.e), 0);
	CHECK_INT(n, 5);
	CHECK(!memcmp(seen, ids, 5 * sizeof *ids));
	CHECK_INT(session_length(f.session), 45);
	o.n_max = N;
	CHECK_INT(session_generate(f.session, &o, ids, &n, &stopped, &f.e), ERR_LIMIT);
	free(truth), free(again);
	close_fixture(&f);
}

/* Sampling follows the seed, and at a high temperature the distribution that the logits give. */
TEST(session, samples_by_seed)
{
	struct fixture f;
	open_fixture(&f, N, 0);
	int32_t a[10], b[10], id;
	int n, hits = 0, n_vocab = f.model->info.n_vocab;
	bool stopped;
	CHECK_INT(run(&f, 0, 40), 0);
	for (int i = 0; i < 2; i++) {
		session_truncate(f.session, 39);
		CHECK_INT(run(&f, 39, 1), 0);
		CHECK_INT(session_generate(f.session, &(struct generate_options){.n_max = 10, .temperature = 1, .seed = 3}, i ? b : a, &n, &stopped,
			&f.e), 0);
	}
	CHECK(!memcmp(a, b, sizeof a));
	session_truncate(f.session, 39);
	CHECK_INT(run(&f, 39, 1), 0);
	float *logits = malloc((size_t)n_vocab * sizeof *logits);
	memcpy(logits, session_logits(f.session), (size_t)n_vocab * sizeof *logits);
	int32_t top = top_of(logits, n_vocab);
	double sum = 0;
	for (int i = 0; i < n_vocab; i++)
		sum += exp(((double)logits[i] - logits[top]) / 2);
	for (uint64_t seed = 0; seed < 400; seed++) {
		CHECK_INT(session_generate(f.session, &(struct generate_options){.n_max = 1, .temperature = 2, .seed = seed}, &id, &n, &stopped,
			&f.e), 0);
		hits += id == top;
		session_truncate(f.session, 39);
		CHECK_INT(run(&f, 39, 1), 0);
	}
	double p = 1 / sum, deviation = sqrt(400 * p * (1 - p));
	CHECK_NEAR(hits, 400 * p, 4 * deviation);
	free(logits);
	close_fixture(&f);
}

/* Damaged weights end in a message that names the layer, not in NaN maps. */
TEST(session, damaged_weights_are_named)
{
	struct fixture f;
	open_fixture(&f, N, 0);
	float *bad = malloc(64 * sizeof *bad);
	for (int i = 0; i < 64; i++)
		bad[i] = 1;
	bad[7] = NAN;
	const float *good = f.model->layer[1].attn_norm;
	f.model->layer[1].attn_norm = bad;
	CHECK_INT(run(&f, 0, 70), ERR_NUMBER);
	CHECK(strstr(f.e.text, "layer 1") != NULL);
	CHECK_INT(run(&f, 0, 2), ERR_NUMBER);
	CHECK_INT(session_length(f.session), 0);
	f.model->layer[1].attn_norm = good;
	const float *gain = f.model->output_norm;
	f.model->output_norm = bad;
	CHECK_INT(run(&f, 0, 2), ERR_NUMBER);
	CHECK(strstr(f.e.text, "logits") != NULL);
	f.model->output_norm = gain;
	CHECK_INT(run(&f, 0, 2), 0);
	free(bad);
	close_fixture(&f);
}

/* ---- two sessions on one model, in two threads ------------------------------------------------------------------------- */

struct runner {
	struct model *model;
	const int32_t *ids;
	float *map, *logits;
	int rc;
};

static void *run_alone(void *argument)
{
	struct runner *r = argument;
	struct session *s;
	struct err e;
	struct session_options o = {.max_tokens = N + 40, .n_threads = 2, .chunk_rows = 70};
	struct colsum_request request = {.first = 5, .count = N - 5, .step = 1, .n_key = N, .sum = r->map};
	struct lookahead *modules = loose_modules(r->model, 32, 4, 6);
	r->rc = session_open(&s, r->model, &o, &e);
	for (int repeat = 0; !r->rc && repeat < 3; repeat++) {
		session_truncate(s, 0);
		r->rc = session_run(s, &(struct run_request){.ids = r->ids, .n = N, .colsum = &request, .n_colsum = 1}, &e);
		if (!r->rc)
			r->rc = session_lookahead(s, &(struct lookahead_request){.modules = modules, .sum = r->map}, &e);
	}
	if (!r->rc)
		memcpy(r->logits, session_logits(s), (size_t)r->model->info.n_vocab * sizeof(float));
	session_close(s);
	lookahead_free(modules);
	return NULL;
}

static void check_two_at_once(const char *precision)
{
	struct loose_model *owner = loose_model_make(&small);
	struct model *m = loose_model_get(owner);
	m->info.precision = precision;
	int32_t *ids = loose_ids(m, N, 9);
	struct runner r[3];
	pthread_t thread[2];
	size_t n_map = 3 * 4 * N;
	for (int i = 0; i < 3; i++)
		r[i] = (struct runner){.model = m, .ids = ids, .map = calloc(n_map, sizeof(float)),
			.logits = calloc((size_t)m->info.n_vocab, sizeof(float))};
	for (int i = 0; i < 2; i++)
		CHECK_INT(pthread_create(&thread[i], NULL, run_alone, &r[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	run_alone(&r[2]);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(r[i].rc, 0);
		CHECK(!memcmp(r[i].map, r[2].map, n_map * sizeof(float)));
		CHECK(!memcmp(r[i].logits, r[2].logits, (size_t)m->info.n_vocab * sizeof(float)));
	}
	for (int i = 0; i < 3; i++)
		free(r[i].map), free(r[i].logits);
	free(ids);
	loose_model_free(owner);
}

TEST(session, two_at_once_on_one_model)
{
	check_two_at_once("f32");
	if (simd_available()[0]->bf16_products)
		check_two_at_once("bf16");
}

TEST(session, build_says_what_it_is)
{
	const struct engine_build *b = engine_build();
	CHECK(b == engine_build());
	CHECK_STR(b->version, KVGLASS_VERSION);
	CHECK(!strncmp(b->matmul, "oneDNN ", 7));
	CHECK(!strncmp(b->simd, "avx512", 6) || !strcmp(b->simd, "avx2") || !strcmp(b->simd, "baseline"));
	CHECK(b->n_threads >= 1);
	CHECK(!b->cuda || (*b->cuda && strspn(b->cuda, "0123456789.") == strlen(b->cuda)));
}
