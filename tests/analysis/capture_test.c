/* Captures as objects: what is checked, counted, shared and found. Files are in kvg_test.c. */
#include "analysis/capture.h"
#include "analysis/synthetic.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const struct capture *small(void)
{
	struct synthetic_spec s = synthetic_default();
	s.n_layer = 2, s.n_head = 4, s.n_kv_head = 2, s.n_prompt = 50, s.n_response = 7;
	const struct capture *c = NULL;
	struct err e;
	if (synthetic_capture(&c, &s, &e))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return c;
}

TEST(capture, synthetic_is_plausible)
{
	const struct capture *c = small();
	CHECK_INT(c->n_prompt, 50);
	CHECK_STR(capture_meta(c, "window"), "32");
	CHECK_STR(capture_meta(c, "rows.truth"), "7");
	CHECK(!capture_meta(c, "indow") && !capture_find(c, "trut"));
	const char *const rows[] = {"truth", "truth_even", "snapkv", "lookahead", "untrained", "h2o", "tova", "snapkv_w8"};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct capture_map *m = capture_find(c, rows[i]);
		CHECK(m && m->kind == MAP_ROWS);
		for (int row = 0; m && row < 8; row++) {
			const float *x = capture_row(c, m, row / 4, row % 4);
			double sum = 0;
			for (int j = 0; j < 50; j++)
				sum += x[j];
			CHECK(sum > 0.8 && sum < 1.0);
		}
	}
	CHECK(capture_find(c, "keynorm")->kind == MAP_SCORE);
	CHECK(!capture_find(c, "snapkv_w64")); /* longer than the prompt */
	size_t n;
	const char *piece = capture_piece(c, 0, &n);
	CHECK(n == 12 && !memcmp(piece, "<|im_start|>", 12));
	capture_unref(c);
}

TEST(capture, same_seed_same_maps)
{
	const struct capture *a = small(), *b = small();
	for (int i = 0; i < a->n_map; i++) {
		size_t heads = a->map[i].kind == MAP_SCORE ? 2 : 4;
		CHECK(!memcmp(a->map[i].data, b->map[i].data, 2 * heads * 50 * sizeof(float)));
	}
	capture_unref(a);
	capture_unref(b);
}

TEST(capture, extend_shares_what_did_not_change)
{
	const struct capture *a = small(), *b = NULL;
	struct err e;
	struct capture parts = *a;
	struct capture_map map[16];
	memcpy(map, a->map, (size_t)a->n_map * sizeof *map);
	float *truth = malloc(2 * 4 * 50 * sizeof *truth);
	memcpy(truth, map[0].data, 2 * 4 * 50 * sizeof *truth);
	truth[3] = 0.5f;
	map[0].data = truth;
	map[0].n_rows = 3, map[0].n_rows_due = 128;
	parts.map = map;
	parts.complete = false;
	CHECK_INT(capture_extend(&b, a, &parts, &e), 0);
	free(truth);
	CHECK(b->token == a->token && b->text == a->text);
	CHECK(b->map[1].data == a->map[1].data && b->map[0].data != a->map[0].data);
	capture_unref(a); /* b holds what it needs */
	CHECK_NEAR(capture_row(b, capture_find(b, "truth"), 0, 0)[3], 0.5, 0);
	CHECK(capture_row(b, capture_find(b, "snapkv"), 1, 3)[49] > 0);
	CHECK_STR(capture_meta(b, "rows.truth"), "3");
	CHECK_STR(capture_meta(b, "rows_due.truth"), "128");
	CHECK_STR(capture_meta(b, "complete"), "false");
	capture_unref(b);
}

static void refuses(const struct capture *parts, enum err_code code, const char *want)
{
	struct err e = {0};
	const struct capture *out = parts;
	CHECK_INT(capture_build(&out, parts, &e), code);
	CHECK(!out);
	if (!strstr(e.text, want))
		test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", e.text, want);
}

TEST(capture, refuses_what_cannot_be)
{
	const struct capture *c = small();
	struct capture p = *c;
	struct capture_map map[16];
	float *data = malloc(2 * 4 * 50 * sizeof *data);
	memcpy(data, c->map[0].data, 2 * 4 * 50 * sizeof *data);
	memcpy(map, c->map, (size_t)c->n_map * sizeof *map);
	map[0].data = data;
	p.map = map;
	data[(1 * 4 + 2) * 50 + 17] = NAN;
	refuses(&p, ERR_NUMBER, "rows.truth: layer 1, head 2, token 17 is nan");
	data[(1 * 4 + 2) * 50 + 17] = -INFINITY;
	refuses(&p, ERR_NUMBER, "rows.truth: layer 1, head 2, token 17 is -inf, only finite");
	data[(1 * 4 + 2) * 50 + 17] = -0.25f;
	refuses(&p, ERR_NUMBER, "token 17 is -0.25, attention is never negative");
	data[(1 * 4 + 2) * 50 + 17] = -0.0f;
	const struct capture *built = NULL;
	struct err e;
	CHECK_INT(capture_build(&built, &p, &e), 0);
	capture_unref(built);
	map[1].name = "truth";
	refuses(&p, ERR_FORMAT, "two maps are called rows.truth");
	map[1].name = "\xff";
	refuses(&p, ERR_FORMAT, "map 1 has no valid name");
	p = *c;
	p.n_kv_head = 3;
	refuses(&p, ERR_FORMAT, "n_head 4 is no multiple of n_kv_head 3");
	p = *c;
	p.n_prompt = 0;
	refuses(&p, ERR_FORMAT, "n_prompt is 0");
	p = *c;
	p.offset = NULL;
	refuses(&p, ERR_FORMAT, "tokens.text is there but tokens.offset is missing");
	p = *c;
	int32_t offset[58];
	memcpy(offset, c->offset, sizeof offset);
	offset[9] = offset[8] - 1;
	p.offset = offset;
	refuses(&p, ERR_FORMAT, "tokens.offset: element 9");
	p = *c;
	int32_t token[57];
	memcpy(token, c->token, sizeof token);
	token[51] = -1;
	p.token = token;
	refuses(&p, ERR_FORMAT, "tokens.response: element 1 is -1");
	p = *c;
	uint8_t part[57] = {[4] = 9};
	p.part = part;
	refuses(&p, ERR_FORMAT, "tokens.part: element 4 is 9");
	free(data);
	capture_unref(c);
}

TEST(capture, the_least_there_can_be)
{
	const struct capture parts = {.n_layer = 1, .n_head = 1, .n_kv_head = 1, .n_prompt = 1};
	const struct capture *c = NULL;
	struct err e;
	CHECK_INT(capture_build(&c, &parts, &e), 0);
	size_t n = 7;
	capture_piece(c, 0, &n);
	CHECK_INT(n, 0);
	CHECK_INT(c->token[0], 0);
	CHECK(!c->part && !capture_find(c, "truth"));
	capture_unref(c);
}

static void *count_up_and_down(void *user)
{
	for (int i = 0; i < 20000; i++)
		capture_unref(capture_ref(user));
	capture_unref(user);
	return NULL;
}

TEST(capture, counts_from_many_threads)
{
	const struct capture *c = small();
	pthread_t thread[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, count_up_and_down, (void *)capture_ref(c));
	capture_unref(c);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL); /* the last one frees: ASan and TSan judge */
}
