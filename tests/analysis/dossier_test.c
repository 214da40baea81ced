/* One token's dossier against whole evaluations under each variant's protocol. */
#include "analysis/dossier.h"
#include "analysis/synthetic.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

static const struct capture *synthetic(void)
{
	struct synthetic_spec s = synthetic_default();
	const struct capture *c = NULL;
	s.n_layer = 3, s.n_head = 6, s.n_kv_head = 2, s.n_prompt = 220, s.n_response = 40;
	CHECK_INT(synthetic_capture(&c, &s, NULL), 0);
	return c;
}

static struct evaluation *evaluate(const struct capture *c, const struct protocol *p)
{
	const struct evaluation_options o = {.protocol = *p, .seed = 1};
	struct evaluation *ev = NULL;
	struct err e = {0};
	if (evaluation_open(&ev, c, &o, NULL, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return ev;
}

/* Every variant's ranks are those of an evaluation under it. */
static void check_ranks(const struct capture *c, const struct protocol *p)
{
	struct variant list[VARIANT_MAX];
	struct evaluation *own = evaluate(c, p);
	int n = variants_list(p, list), units = evaluation_n_unit(own), n_method = evaluation_n_method(own), applied = 0;
	int *rank = malloc((size_t)(c->n_layer * units * n) * sizeof *rank);
	CHECK(n <= VARIANT_MAX);
	for (int v = 0; v < n; v++) {
		struct protocol varied = *p;
		varied.score = list[v].score;
		struct evaluation *ev = evaluate(c, &varied);
		for (int m = 0; m < n_method; m++) {
			if (!variants_apply(own, m))
				continue;
			applied++;
			for (int j = 4; j < 188; j += 23) {
				CHECK_INT(variants_ranks(own, &(struct variants_question){m, {-1, -1}, j, list, n}, NULL, rank, NULL), 0);
				for (int row = 0; row < c->n_layer * units; row++)
					CHECK_INT(rank[row * n + v], evaluation_rank(ev, m, row / units, row % units, j));
			}
		}
		evaluation_close(ev);
	}
	CHECK(applied >= 4 * n);
	evaluation_close(own);
	free(rank);
}

TEST(dossier, a_variants_ranks_are_those_of_its_evaluation)
{
	const struct capture *c = synthetic();
	struct protocol p = protocol_default();
	check_ranks(c, &p);
	p.score.pool = POOL_MAX;
	p.score.pool_before_group = true;
	check_ranks(c, &p);
	p.score.group = REDUCE_NONE;
	check_ranks(c, &p);
	capture_unref(c);
}

TEST(dossier, scopes_are_parts_of_everything)
{
	const struct capture *c = synthetic();
	const struct protocol p = protocol_default();
	struct evaluation *ev = evaluate(c, &p);
	struct variant list[VARIANT_MAX];
	int n = variants_list(&p, list), m = evaluation_find(ev, "snapkv"), all[3 * 2 * VARIANT_MAX], some[2 * VARIANT_MAX];
	CHECK_INT(n, 9);
	CHECK(!strcmp(list[0].label, "mean") && !list[0].pools && !strcmp(list[4].label, "avg 7") && list[4].pools);
	CHECK_INT(variants_ranks(ev, &(struct variants_question){m, {-1, -1}, 100, list, n}, NULL, all, NULL), 0);
	CHECK_INT(variants_ranks(ev, &(struct variants_question){m, {1, -1}, 100, list, n}, NULL, some, NULL), 0);
	CHECK(!memcmp(some, all + 2 * n, (size_t)(2 * n) * sizeof *some));
	CHECK_INT(variants_ranks(ev, &(struct variants_question){m, {2, 1}, 100, list, n}, NULL, some, NULL), 0);
	CHECK(!memcmp(some, all + 5 * n, (size_t)n * sizeof *some));
	CHECK(!variants_apply(ev, evaluation_find(ev, "oracle")) && !variants_apply(ev, evaluation_find(ev, "keynorm")) &&
		!variants_apply(ev, evaluation_find(ev, "random")));
	evaluation_close(ev);
	capture_unref(c);
}

static int stop_at_two(void *user, const char *stage, int64_t done, int64_t total)
{
	(void)user;
	(void)total;
	CHECK_STR(stage, "token");
	return done >= 2;
}

TEST(dossier, can_be_stopped)
{
	const struct capture *c = synthetic();
	const struct protocol p = protocol_default();
	const struct progress progress = {stop_at_two, NULL};
	struct evaluation *ev = evaluate(c, &p);
	struct variant list[VARIANT_MAX];
	int n = variants_list(&p, list), rank[3 * 2 * VARIANT_MAX];
	struct err e;
	CHECK_INT(variants_ranks(ev, &(struct variants_question){evaluation_find(ev, "snapkv"), {-1, -1}, 100, list, n}, &progress, rank, &e),
		ERR_CANCELLED);
	evaluation_close(ev);
	capture_unref(c);
}

TEST(dossier, lifts_are_those_of_the_maps)
{
	const struct capture *c = synthetic();
	const struct protocol p = protocol_default();
	struct evaluation *ev = evaluate(c, &p);
	static const char *const name[] = {"oracle", "snapkv", "observed"};
	float got[3 * 6], row[220];
	for (int i = 0; i < 3; i++) {
		int m = evaluation_find(ev, name[i]);
		CHECK_INT(dossier_lifts(ev, m, 77, got, NULL), 0);
		for (int r = 0; r < 3 * 6; r++) {
			CHECK_INT(evaluation_lift(ev, m, r / 6, r % 6, row, NULL), 0);
			CHECK_NEAR(got[r], row[77], 0);
		}
	}
	CHECK_INT(dossier_lifts(ev, evaluation_find(ev, "keynorm"), 77, got, NULL), ERR_USE);
	evaluation_close(ev);
	capture_unref(c);
}
