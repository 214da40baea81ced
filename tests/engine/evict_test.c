/* Evicted caches against the double-precision reference, and the laws of evicting: everything kept changes nothing, and what was
 * evicted comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/simd/simd.h"
#ifdef KVGLASS_ON_DEVICE
#include "engine/cuda/kernels.h"
#endif
#include "engine/engine.h"
#include "engine/random.h"
#include "tests/support/loose_model.h"
#include "tests/support/reference_forward.h"
#include "tests/support/test.h"
#include "tests/support/tolerance.h"

#ifdef KVGLASS_ON_DEVICE
enum { TILE = ATTENTION_KEYS };
#else
enum { TILE = KEY_TILE };
#endif
enum { N_PROMPT = 2 * TILE + 30, N_RESPONSE = 5, N_ALL = N_PROMPT + N_RESPONSE };

static const struct loose_model_options family[] = {
	{.n_layer = 3, .n_head = 4, .n_kv_head = 2, .head_dim = 32, .n_embd = 64, .n_ff = 96, .n_vocab = 120, .type = TYPE_Q4_1,
		.rope_pairs = ROPE_ADJACENT, .sharpness = 2, .seed = 5},
	{.n_layer = 2, .n_head = 3, .n_kv_head = 3, .head_dim = 64, .n_embd = 96, .n_ff = 96, .n_vocab = 100, .type = TYPE_F32,
		.rope_pairs = ROPE_HALVES, .qk_norm = true, .seed = 6},
};

struct fixture {
	struct loose_model *owner;
	struct model *model;
	struct session *session;
	int32_t *ids;
	uint8_t *kept; /* (n_layer, n_head, N_PROMPT) */
	struct eviction eviction;
	struct err e;
};

static uint8_t *row_of(const struct fixture *f, int layer, int head)
{
	return f->kept + ((size_t)layer * (size_t)f->model->info.n_head + (size_t)head) * N_PROMPT;
}

/* A tenth of the tokens everywhere, and heads that keep only their last tokens (whole tiles are gone) or nothing at all. */
static void choose_kept(struct fixture *f)
{
	const struct model_info *info = &f->model->info;
	struct rng rng;
	rng_seed(&rng, 3);
	for (int i = 0; i < info->n_layer * info->n_head * N_PROMPT; i++)
		f->kept[i] = rng_uniform(&rng) < 0.1;
	memset(row_of(f, 0, 1), 0, N_PROMPT);
	memset(row_of(f, 1, 0), 0, N_PROMPT);
	memset(row_of(f, 1, 0) + N_PROMPT - 8, 1, 8);
	memset(row_of(f, 1, 2), 0, N_PROMPT);
	row_of(f, 1, 2)[3] = 1;
}

static void open_fixture(struct fixture *f, const struct loose_model_options *o)
{
	*f = (struct fixture){.owner = loose_model_make(o)};
	f->model = loose_model_get(f->owner);
	f->ids = loose_ids(f->model, N_ALL, 9);
	f->kept = malloc((size_t)(f->model->info.n_layer * f->model->info.n_head) * N_PROMPT);
	f->eviction = (struct eviction){.n = N_PROMPT, .kept = f->kept};
	choose_kept(f);
	struct session_options options = {.max_tokens = N_ALL, .n_threads = 2};
	CHECK_INT(session_open(&f->session, f->model, &options, &f->e), 0);
	CHECK_INT(session_run(f->session, &(struct run_request){.ids = f->ids, .n = N_PROMPT}, &f->e), 0);
}

static void close_fixture(struct fixture *f)
{
	session_close(f->session);
	free(f->kept);
	free(f->ids);
	loose_model_free(f->owner);
}

/* Logits of the response's rows, run again over the prompt; (N_RESPONSE, n_vocab), by the caller freed. */
static float *respond(struct fixture *f, int at_once, struct colsum_request *colsum)
{
	size_t n_vocab = (size_t)f->model->info.n_vocab;
	float *logits = malloc(N_RESPONSE * n_vocab * sizeof *logits);
	CHECK_INT(session_truncate(f->session, N_PROMPT), 0);
	for (int i = 0; i < N_RESPONSE; i += at_once) {
		const struct run_request r = {.ids = f->ids + N_PROMPT + i, .n = at_once, .logits = logits + (size_t)i * n_vocab,
			.colsum = colsum, .n_colsum = colsum != NULL};
		CHECK_INT(session_run(f->session, &r, &f->e), 0);
	}
	return logits;
}

static void check_family(const struct loose_model_options *o, int at_once)
{
	struct fixture f;
	open_fixture(&f, o);
	const struct model_info *info = &f.model->info;
	struct reference *want = reference_run(&(struct reference_request){.model = f.model, .ids = f.ids, .n_ids = N_ALL,
		.eviction = &f.eviction});
	float *map = calloc((size_t)(info->n_layer * info->n_head) * N_PROMPT, sizeof *map);
	double error = 0;
	struct colsum_request truth = {.first = N_PROMPT, .count = N_RESPONSE, .step = 1, .n_key = N_PROMPT, .sum = map, .row_error = &error};
	CHECK_INT(session_evict(f.session, &f.eviction, &f.e), 0);
	float *logits = respond(&f, at_once, &truth);
	for (int i = 0; i < N_RESPONSE * info->n_vocab; i++)
		CHECK_NEAR(logits[i], want->logits[(size_t)N_PROMPT * (size_t)info->n_vocab + (size_t)i], TOL_LOGIT);
	for (int layer = 0; layer < info->n_layer; layer++)
		for (int head = 0; head < info->n_head; head++)
			for (int j = 0; j < N_PROMPT; j++) {
				float got = map[((size_t)layer * (size_t)info->n_head + (size_t)head) * N_PROMPT + (size_t)j];
				CHECK_NEAR(got, reference_colsum(want, f.model, layer, head, (struct reference_rows){N_PROMPT, N_RESPONSE, 1}, j), TOL_MEAN_ABS * N_RESPONSE);
				CHECK(row_of(&f, layer, head)[j] || !(got != 0)); /* the attention of an evicted token is 0, not little */
			}
	CHECK(error > 0 && error <= TOL_ROW_SUM);
	free(map);
	free(logits);
	reference_free(want);
	close_fixture(&f);
}

TEST(evict, agrees_with_the_reference)
{
	for (size_t i = 0; i < sizeof family / sizeof *family; i++)
		check_family(&family[i], 1);
	check_family(&family[0], N_RESPONSE);
}

TEST(evict, everything_kept_is_nothing_evicted_and_what_was_evicted_comes_back)
{
	struct fixture f;
	open_fixture(&f, &family[0]);
	size_t bytes = (size_t)N_RESPONSE * (size_t)f.model->info.n_vocab * sizeof(float);
	float *before = respond(&f, 1, NULL);
	CHECK_INT(session_evict(f.session, &f.eviction, &f.e), ERR_NONE);
	float *evicted = respond(&f, 1, NULL);
	memset(f.kept, 1, (size_t)(f.model->info.n_layer * f.model->info.n_head) * N_PROMPT);
	CHECK_INT(session_evict(f.session, &f.eviction, &f.e), 0);
	float *kept = respond(&f, 1, NULL);
	CHECK_INT(session_evict(f.session, NULL, &f.e), 0);
	float *after = respond(&f, 1, NULL);
	CHECK(memcmp(before, evicted, bytes) != 0);
	CHECK_INT(memcmp(before, kept, bytes), 0);
	CHECK_INT(memcmp(before, after, bytes), 0);
	free(before), free(evicted), free(kept), free(after);
	close_fixture(&f);
}

/* Long runs over an evicted cache are cut into steps that know how to see it. */
TEST(evict, many_rows_at_once_are_the_same_as_one_by_one)
{
	struct fixture f;
	enum { N_LATE = 67, N_FIRST = N_PROMPT - N_LATE }; /* more than any backend takes at once */
	open_fixture(&f, &family[0]);
	size_t n_vocab = (size_t)f.model->info.n_vocab;
	uint8_t *kept = calloc((size_t)(f.model->info.n_layer * f.model->info.n_head), N_FIRST);
	for (int i = 0; i < f.model->info.n_layer * f.model->info.n_head * N_FIRST; i += 3)
		kept[i] = 1;
	float *one = malloc(n_vocab * sizeof *one);
	for (int at_once = 1; at_once <= N_LATE; at_once += N_LATE - 1) {
		CHECK_INT(session_truncate(f.session, N_FIRST), 0);
		CHECK_INT(session_evict(f.session, &(struct eviction){N_FIRST, kept}, &f.e), 0);
		for (int i = N_FIRST; i < N_PROMPT; i += at_once)
			CHECK_INT(session_run(f.session, &(struct run_request){.ids = f.ids + i, .n = at_once}, &f.e), 0);
		for (size_t i = 0; i < n_vocab && at_once > 1; i++)
			CHECK_NEAR(session_logits(f.session)[i], one[i], TOL_LOGIT);
		memcpy(one, session_logits(f.session), n_vocab * sizeof *one);
	}
	free(one);
	free(kept);
	close_fixture(&f);
}

TEST(evict, refuses_more_than_there_is)
{
	struct fixture f;
	open_fixture(&f, &family[0]);
	CHECK_INT(session_truncate(f.session, N_PROMPT - 1), 0);
	CHECK_INT(session_evict(f.session, &f.eviction, &f.e), ERR_USE);
	char held[16];
	snprintf(held, sizeof held, "%d", N_PROMPT - 1);
	CHECK(strstr(f.e.text, held) != NULL);
	close_fixture(&f);
}
