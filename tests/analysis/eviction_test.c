/* Continuing from an evicted cache, on a tiny model. */
#include "analysis/eviction.h"
#include "tests/support/measured.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "The harbour office keeps a careful ledger of every boat that enters the bay, and of its cargo.\n";

struct fixture {
	struct measured on;
	struct evaluation *ev;
	struct err e;
};

static void open_fixture(struct fixture *f, float temperature)
{
	struct evaluation_options eo = {.protocol = protocol_default(), .seed = 1, .n_threads = 1};
	eo.protocol.select.window = 8;
	*f = (struct fixture){.on = measured_model(TINY_LLAMA, 3)};
	measured_prompt(&f->on, text, (struct measure_options){.n_response = 20, .temperature = temperature, .seed = 5, .window = 8});
	if (evaluation_open(&f->ev, f->on.capture, &eo, NULL, &f->e))
		test_fail(__FILE__, __LINE__, "%s", f->e.text);
}

static void close_fixture(struct fixture *f)
{
	evaluation_close(f->ev);
	measured_close(&f->on);
}

/* In every head exactly the budget stays, protected tokens among it, and the token is kept where its survival budget says so. */
TEST(eviction, keeps_what_the_method_chose)
{
	struct fixture f;
	struct kept_tokens k;
	open_fixture(&f, 0);
	const struct capture *c = f.on.capture;
	int n = c->n_prompt, budget = n / 2, m = evaluation_find(f.ev, "snapkv"), group = c->n_head / c->n_kv_head;
	CHECK_INT(eviction_choose(&k, f.ev, m, budget, &f.e), 0);
	CHECK_INT(k.n, n);
	CHECK_INT(k.n_entry, (int64_t)c->n_layer * c->n_kv_head * budget);
	CHECK_INT(k.n_all, (int64_t)c->n_layer * c->n_kv_head * n);
	for (int row = 0; row < c->n_layer * c->n_head; row++)
		for (int j = 0; j < n; j++)
			CHECK_INT(k.kept[row * n + j],
				evaluation_survival(f.ev, m, row / c->n_head, row % c->n_head / group, j) <= budget);
	kept_tokens_free(&k);
	CHECK_INT(eviction_choose(&k, f.ev, m, 12, &f.e), ERR_USE); /* sinks and window */
	CHECK(!k.kept);
	close_fixture(&f);
}

TEST(eviction, keeping_everything_changes_nothing)
{
	struct fixture f;
	struct kept_tokens k;
	struct whole_response *whole;
	struct evicted_response *r;
	open_fixture(&f, 0);
	CHECK_INT(eviction_whole(&whole, f.on.live, NULL, &f.e), 0);
	CHECK_INT(whole->n, f.on.capture->n_response);
	CHECK_INT(memcmp(whole->id, f.on.capture->token + f.on.capture->n_prompt, (size_t)whole->n * sizeof *whole->id), 0);
	CHECK_INT(eviction_choose(&k, f.ev, evaluation_find(f.ev, "snapkv"), f.on.capture->n_prompt, &f.e), 0);
	CHECK_INT(k.n_entry, k.n_all);
	CHECK_INT(eviction_run(&r, f.on.live, &k, whole, NULL, &f.e), 0);
	CHECK(r->first_different == -1 && r->n == whole->n && r->ended == whole->ended);
	CHECK(!(r->mean_kl != 0) && !(r->top_share != 1));
	evicted_response_free(r);
	whole_response_free(whole);
	kept_tokens_free(&k);
	close_fixture(&f);
}

/* KL once more, from logits that are run here. */
static double plain_kl(const float *p, const float *q, int n)
{
	double *a = malloc((size_t)n * sizeof *a), *b = malloc((size_t)n * sizeof *b), a_sum = 0, b_sum = 0, kl = 0;
	for (int i = 0; i < n; i++) {
		a_sum += a[i] = exp((double)p[i]);
		b_sum += b[i] = exp((double)q[i]);
	}
	for (int i = 0; i < n; i++)
		kl += a[i] / a_sum * log(a[i] / a_sum / (b[i] / b_sum));
	free(a);
	free(b);
	return kl;
}

static void check_forced(struct fixture *f, const struct kept_tokens *k, const struct whole_response *whole, const struct evicted_response *r)
{
	struct session *s = live_session(f->on.live);
	CHECK_INT(session_evict(s, &(struct eviction){k->n, k->kept}, &f->e), 0);
	for (int i = 0; i < whole->n; i++) {
		CHECK_INT(session_run(s, &(struct run_request){.ids = whole->id + i, .n = 1}, &f->e), 0);
		double want = plain_kl(whole->logits + (size_t)i * (size_t)whole->n_vocab, session_logits(s), whole->n_vocab);
		CHECK_NEAR(r->kl[i], want, 1e-6 + 1e-3 * want); /* float32 logits, rows taken in another order */
	}
	CHECK_INT(session_evict(s, NULL, &f->e), 0);
}

TEST(eviction, parts_from_the_whole_cache_and_says_where)
{
	struct fixture f;
	struct kept_tokens k;
	struct whole_response *whole, *again;
	struct evicted_response *r;
	open_fixture(&f, 0);
	CHECK_INT(eviction_whole(&whole, f.on.live, NULL, &f.e), 0);
	CHECK_INT(eviction_choose(&k, f.ev, evaluation_find(f.ev, "random"), 14, &f.e), 0);
	CHECK_INT(eviction_run(&r, f.on.live, &k, whole, NULL, &f.e), 0);
	CHECK(r->mean_kl > 1e-6 && r->n >= 1 && r->id[0] == whole->id[0]); /* the first token comes from the whole prompt */
	CHECK(r->top_share >= 0 && r->top_share <= 1);
	for (int i = 0; i < r->first_different; i++)
		CHECK_INT(r->id[i], whole->id[i]);
	check_forced(&f, &k, whole, r);
	CHECK_INT(eviction_whole(&again, f.on.live, NULL, &f.e), 0); /* nothing of it is left */
	CHECK_INT(memcmp(again->logits, whole->logits, (size_t)whole->n * (size_t)whole->n_vocab * sizeof(float)), 0);
	whole_response_free(again);
	evicted_response_free(r);
	whole_response_free(whole);
	kept_tokens_free(&k);
	close_fixture(&f);
}

/* A sampled response is no yardstick for greedy ones: the whole cache is asked for its own. */
TEST(eviction, compares_greedy_with_greedy)
{
	struct fixture greedy, sampled;
	struct whole_response *a, *b;
	open_fixture(&greedy, 0);
	open_fixture(&sampled, 5);
	CHECK_INT(eviction_whole(&a, greedy.on.live, NULL, &greedy.e), 0);
	CHECK_INT(eviction_whole(&b, sampled.on.live, NULL, &sampled.e), 0);
	/* the first token stands for the prompt's own: the rest must be what greedy decoding makes of it */
	struct session *s = live_session(sampled.on.live);
	CHECK_INT(session_run(s, &(struct run_request){.ids = b->id, .n = 1}, &sampled.e), 0);
	for (int i = 1; i < b->n; i++) {
		const float *logits = session_logits(s);
		for (int v = 0; v < b->n_vocab; v++)
			CHECK(logits[v] <= logits[b->id[i]]);
		CHECK_INT(session_run(s, &(struct run_request){.ids = b->id + i, .n = 1}, &sampled.e), 0);
	}
	whole_response_free(a);
	whole_response_free(b);
	close_fixture(&greedy);
	close_fixture(&sampled);
}
